//! One block being written: row versions in, pages out.

use super::codec::{Compressor, PAGE_RAW_BYTES_MAX};
use super::column_builder::ColumnBuilder;
use super::error::{Result, SstableError};
use super::exceptions::ExceptionsBuilder;
use super::format::{BlockHead, Encoding, PageEntry, PageKind, PageRef, block_flags};
use super::ints;
use super::keys::KeysBuilder;
use super::schema::FileColumn;
use super::writer::{Cell, RowVersion};
use crate::checksum::crc32c;
use terrane_client::ids::ColumnId;
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_MARKER};

/// Bytes counted for a row beside its key and cells, and for a cell beside its value: what a packed
/// mutation takes for timestamp, flags, column and size.
const ROW_OVERHEAD_BYTES: usize = 9;
const CELL_OVERHEAD_BYTES: usize = 2;

/// A block being written.
pub(crate) struct BlockBuilder {
    columns: Vec<(FileColumn, ColumnBuilder)>,
    keys: KeysBuilder,
    times: Vec<i64>,
    flags: Vec<i64>,
    exceptions: ExceptionsBuilder,
    raw_bytes: usize,
    cells: u64,
}

/// What a written block is to the index.
pub(crate) struct WrittenBlock {
    pub(crate) head: BlockHead,
    pub(crate) stored_len: usize,
    pub(crate) lead_len: usize,
}

impl BlockBuilder {
    pub(crate) fn new(columns: &[FileColumn]) -> Self {
        Self {
            columns: columns.iter().map(|c| (*c, ColumnBuilder::new(c.physical))).collect(),
            keys: KeysBuilder::default(),
            times: Vec::new(),
            flags: Vec::new(),
            exceptions: ExceptionsBuilder::default(),
            raw_bytes: 0,
            cells: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn keys(&self) -> usize {
        self.keys.keys()
    }

    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    /// Cells so far, without those of key columns.
    pub(crate) fn cells(&self) -> u64 {
        self.cells
    }

    pub(crate) fn first_and_last_key(&self) -> (&[u8], &[u8]) {
        self.keys.first_and_last()
    }

    /// Adds a row version; `repeats` says that its key is the last one's.
    pub(crate) fn add<'a>(
        &mut self,
        row: &RowVersion<'_>,
        repeats: bool,
        cells: impl Iterator<Item = Cell<'a>>,
    ) -> Result<()> {
        let ordinal = self.rows();
        self.raw_bytes += ROW_OVERHEAD_BYTES + row.key.len();
        let (mut next, mut last) = (0, ColumnId(0));
        for cell in cells {
            if cell.column <= last {
                return Err(SstableError::Refused(format!(
                    "cells do not ascend: column {} after {}",
                    cell.column.0, last.0
                )));
            }
            last = cell.column;
            while next < self.columns.len() && self.columns[next].0.id < cell.column {
                next += 1;
            }
            self.raw_bytes += CELL_OVERHEAD_BYTES + cell.value.map_or(0, <[u8]>::len);
            self.cells += 1;
            let conforms = match self.columns.get_mut(next) {
                Some((column, builder)) if column.id == cell.column => {
                    if column.is_key {
                        let what = format!("column {} is in the key", cell.column.0);
                        return Err(SstableError::Refused(what));
                    }
                    builder.push(ordinal, cell.value, cell.ts_delta)
                }
                _ => false,
            };
            if !conforms {
                self.exceptions.push(ordinal, cell.column.0, cell.value, cell.ts_delta);
            }
        }
        self.keys.push(row.key, repeats);
        self.times.push(row.commit_ts.0);
        self.flags.push(i64::from(row.flags));
        Ok(())
    }

    /// Adds a key column's value in the row that is added next.
    pub(crate) fn add_key_cell(&mut self, column: usize, value: &[u8]) -> bool {
        let ordinal = self.rows();
        self.columns[column].1.push(ordinal, Some(value), 0)
    }

    /// Writes the block to `out` and starts over. A zone of each column goes to the end of its
    /// `zones`, of which there may be none. `neighbours` are the flags that it shares keys with the blocks beside it, `has_history` is the
    /// one that older versions are elsewhere.
    pub(crate) fn finish(
        &mut self,
        number: u32,
        neighbours: u16,
        has_history: u16,
        compressor: &mut Compressor,
        zones: &mut [Vec<u8>],
        out: &mut Vec<u8>,
    ) -> Result<WrittenBlock> {
        let mut pages =
            Pages { compressor, entries: Vec::new(), raw: Vec::new(), body: Vec::new() };
        let rows = self.rows();
        self.lead(&mut pages)?;
        let lead_body = pages.body.len();
        let mut zone_builders = Vec::with_capacity(self.columns.len());
        let mut has_cell_times = self.exceptions.has_times();
        if !self.exceptions.is_empty() {
            self.exceptions.encode(&mut pages.raw);
            pages.push(0, PageKind::Exceptions, Encoding::Own, false)?;
        }
        for (column, builder) in &self.columns {
            let (encoding, zone) = builder.encode(rows, &mut pages.raw);
            zone_builders.push(zone);
            if builder.is_empty() {
                pages.raw.clear();
                continue;
            }
            let dense = matches!(encoding, Encoding::Ints | Encoding::Bits);
            pages.push(column.id.0, PageKind::Column, encoding, dense)?;
            if let Some(times) = builder.times(rows) {
                has_cell_times = true;
                ints::encode(times.iter().copied(), ints::bounds(&times), &mut pages.raw);
                pages.push(column.id.0, PageKind::ColumnTimes, Encoding::Ints, true)?;
            }
        }
        for (column, is_null) in self.exceptions.cells() {
            if let Ok(at) = self.columns.binary_search_by_key(&column, |(column, _)| column.id.0) {
                zone_builders[at].exception(is_null);
            }
        }
        for (zone, section) in zone_builders.iter().zip(zones) {
            zone.encode(section);
        }
        let Pages { mut entries, body, .. } = pages;
        let head_len = BlockHead::len(entries.len());
        entries.iter_mut().for_each(|page| page.reference.offset += head_len as u64);
        let (min_ts, max_ts) = ints::bounds(&self.times);
        let head = BlockHead {
            number,
            rows: rows as u32,
            keys: self.keys() as u32,
            raw_bytes: u32::try_from(self.raw_bytes).unwrap_or(u32::MAX),
            flags: self.block_flags(neighbours, has_cell_times) | has_history,
            min_ts,
            max_ts,
            pages: entries,
        };
        head.encode(out);
        out.extend_from_slice(&body);
        self.clear();
        let stored_len = head_len + body.len();
        if u32::try_from(stored_len).is_err() {
            return Err(SstableError::Refused("a block would be larger than 4 GiB".to_owned()));
        }
        Ok(WrittenBlock { head, stored_len, lead_len: head_len + lead_body })
    }

    /// The pages that every point read needs.
    fn lead(&self, pages: &mut Pages<'_>) -> Result<()> {
        self.keys.encode(&mut pages.raw);
        pages.push(0, PageKind::Keys, Encoding::Own, false)?;
        ints::encode(self.times.iter().copied(), ints::bounds(&self.times), &mut pages.raw);
        pages.push(0, PageKind::Times, Encoding::Ints, true)?;
        ints::encode(self.flags.iter().copied(), ints::bounds(&self.flags), &mut pages.raw);
        pages.push(0, PageKind::Flags, Encoding::Ints, true)
    }

    fn block_flags(&self, neighbours: u16, has_cell_times: bool) -> u16 {
        let complete = i64::from(ROW_COMPLETE | ROW_MARKER);
        let flag = |set: bool, flag: u16| if set { flag } else { 0 };
        neighbours
            | flag(neighbours == 0 && self.keys() == self.rows(), block_flags::DISTINCT_KEYS)
            | flag(
                self.flags.iter().any(|flags| flags & i64::from(ROW_DELETE) != 0),
                block_flags::HAS_DELETE,
            )
            | flag(
                self.flags.iter().all(|flags| flags & complete == complete),
                block_flags::ALL_COMPLETE,
            )
            | flag(!self.exceptions.is_empty(), block_flags::HAS_EXCEPTIONS)
            | flag(has_cell_times, block_flags::HAS_CELL_TIMES)
    }

    /// Row versions that carry ROW_DELETE.
    pub(crate) fn deletes(&self) -> u64 {
        self.flags.iter().filter(|flags| **flags & i64::from(ROW_DELETE) != 0).count() as u64
    }

    fn clear(&mut self) {
        self.columns.iter_mut().for_each(|(_, builder)| builder.clear());
        self.keys.clear();
        self.times.clear();
        self.flags.clear();
        self.exceptions.clear();
        self.raw_bytes = 0;
        self.cells = 0;
    }
}

/// A block's pages, compressed one after the other.
struct Pages<'a> {
    compressor: &'a mut Compressor,
    entries: Vec<PageEntry>,
    /// The next page's raw bytes.
    raw: Vec<u8>,
    body: Vec<u8>,
}

impl Pages<'_> {
    /// Adds the page that is in `raw`. Its offset counts from the first page.
    fn push(&mut self, column: u32, kind: PageKind, encoding: Encoding, dense: bool) -> Result<()> {
        if self.raw.len() > PAGE_RAW_BYTES_MAX {
            return Err(SstableError::Refused(format!("page of {} bytes", self.raw.len())));
        }
        let (codec, stored) = self.compressor.compress(&self.raw, dense);
        let reference = PageRef {
            offset: self.body.len() as u64,
            stored_len: stored.len() as u32,
            raw_len: self.raw.len() as u32,
            crc: crc32c(stored),
            codec,
        };
        self.body.extend_from_slice(stored);
        self.entries.push(PageEntry { column, kind, encoding, reference });
        self.raw.clear();
        Ok(())
    }
}
