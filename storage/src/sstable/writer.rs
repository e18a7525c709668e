//! Writing an SSTable: row versions in order, a finished file at the end.
//!
//! Contract: keys ascend; versions of one key come newest first, each commit timestamp once. The file is
//! new and empty. [`SstableWriter::finish`] syncs the file; the caller syncs the directory, once for all
//! files of a flush, before it mentions any of them. After an error the file is worth nothing: drop the
//! writer and remove it.
//!
//! A version that a newer one of its key hides goes to the history part, whose blocks are written between the others as
//! they fill. So the newest of rows are together, and a read of the newest touches nothing else.

use super::block_list_builder::{BlockListBuilder, Place};
use super::codec::{Codec, Compressor};
use super::error::{Result, SstableError};
use super::filter::FilterBuilder;
use super::format::{
    BLOCK_ROWS_MAX, CLIENT_TIMES, FILTERS_KNOW_COLUMNS, FORMAT_VERSION, Footer, HISTORY_BLOCK,
    HISTORY_PART, PageRef,
};
use super::key_cells::KeyCells;
use super::properties::{HistoryPart, Properties};
use super::schema::{self, FileColumn, WriterSchema};
use super::tombstones::{self, RangeTombstone};
use super::versions::hides_older;
use crate::checksum::crc32c;
use bytes::Bytes;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, Seq};
use terrane_client::metadata::FileRow;
use terrane_client::schema::BlockFilter;
use terrane_env::files::File;
use terrane_env::{IoError, Operation};

/// Bytes collected before they are written to the file.
const WRITE_BYTES: usize = 1 << 20;
/// An index partition is closed at this many bytes,
const PARTITION_BYTES: usize = 16 << 10;
/// or at this many hashes of its filter, so that it stays a good unit to cache (80 KiB).
const PARTITION_HASHES: usize = 1 << 16;

/// How a file is laid out.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Compression of pages.
    pub codec: Codec,
    /// A block closes at this many raw bytes,
    pub block_bytes: usize,
    /// if it has this many rows.
    pub block_rows: usize,
    /// It closes at this many raw bytes however few its rows.
    pub block_bytes_max: usize,
    /// It closes at this many rows however few its bytes; at most 16,384. Only the versions of one key,
    /// which stay together where they can, make it up to twice as large.
    pub block_rows_max: usize,
    /// What the file's filters know.
    pub filter: BlockFilter,
    /// Cells have timestamps of the client's: a cell may be newer than its row, and one commit may have several rows of a
    /// key.
    pub client_times: bool,
    /// What newer versions of the file hide is kept apart from them. Not where cells have timestamps of the client's, of which
    /// any may be the newest.
    pub history_part: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            codec: Codec::Lz4,
            block_bytes: 64 << 10,
            block_rows: 1024,
            block_bytes_max: 512 << 10,
            block_rows_max: 8192,
            filter: BlockFilter::Row,
            client_times: false,
            history_part: true,
        }
    }
}

/// One row version, but for its cells.
#[derive(Clone, Copy, Debug)]
pub struct RowVersion<'a> {
    /// The encoded row key.
    pub key: &'a [u8],
    /// The record's sequence number; a file keeps only the range of them.
    pub seq: Seq,
    /// When it was committed.
    pub commit_ts: CommitTs,
    /// ROW_DELETE, ROW_MARKER, ROW_COMPLETE of [`terrane_client::row`].
    pub flags: u8,
}

/// One cell of a row version.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// The column.
    pub column: ColumnId,
    /// Row timestamp minus cell timestamp: how much older than its row a cell is that came here by a
    /// merge, or that has a timestamp of the client's, which may be newer, too.
    pub ts_delta: i64,
    /// The stored bytes; `None` is an explicit NULL.
    pub value: Option<&'a [u8]>,
}

impl<'a> Cell<'a> {
    /// A cell as old as its row, as [`terrane_client::row::CellsIter`] yields it.
    pub fn new((column, value): (ColumnId, Option<&'a [u8]>)) -> Self {
        Self { column, ts_delta: 0, value }
    }
}

/// What a finished file holds.
#[derive(Clone, Debug)]
pub struct SstableSummary {
    /// Stored bytes.
    pub size_bytes: u64,
    /// Data blocks.
    pub blocks: u32,
    /// First and last row key; `None` where there are no rows.
    pub bounds: Option<(Bytes, Bytes)>,
    /// Counts and ranges.
    pub properties: Properties,
}

impl SstableSummary {
    /// The METADATA reference to this file, bounded by its own keys. Rows only: bounds of range
    /// tombstones are the caller's.
    pub fn file_row(&self, name: String) -> FileRow {
        let (start, end) = match &self.bounds {
            None => (Vec::new(), None),
            Some((first, last)) => (first.to_vec(), Some([&last[..], &[0]].concat())),
        };
        let (min_seq, max_seq) = self.properties.seq_range();
        FileRow {
            name,
            size_bytes: self.size_bytes,
            rows: self.properties.rows,
            start,
            end,
            min_seq,
            max_seq,
            max_commit_ts: self.properties.commit_ts_range().1,
        }
    }
}

/// Writes one SSTable.
pub struct SstableWriter {
    file: Arc<dyn File>,
    options: WriterOptions,
    compressor: Compressor,
    columns: Vec<FileColumn>,
    key_cells: KeyCells,
    data: BlockListBuilder,
    /// From the first version on that has a place in it.
    history: Option<BlockListBuilder>,
    /// Of the last row.
    last_key: Vec<u8>,
    last_ts: CommitTs,
    /// It, or a newer one of its key, hides all older ones.
    hides_older: bool,
    first_key: Vec<u8>,
    /// Of the open partition of the data part: what is hidden has a key that is there.
    filter: FilterBuilder,
    /// Per column, the zones of the data blocks so far.
    zones: Vec<Vec<u8>>,
    tombstones: Vec<RangeTombstone>,
    properties: Properties,
    /// Bytes not yet written, and where they go.
    buffer: Vec<u8>,
    written: u64,
    failed: bool,
}

impl SstableWriter {
    /// Starts a file.
    pub fn new(file: Arc<dyn File>, schema: &WriterSchema, options: WriterOptions) -> Result<Self> {
        assert!(options.block_rows_max <= BLOCK_ROWS_MAX / 2, "row ordinals are 16 bits");
        let columns = schema.dictionary();
        let compressor = Compressor::new(options.codec)
            .map_err(|error| IoError::new(Operation::Write, file.path(), error))?;
        Ok(Self {
            compressor,
            key_cells: KeyCells::new(schema, &columns),
            data: BlockListBuilder::new(&columns, 0),
            history: None,
            last_key: Vec::new(),
            last_ts: CommitTs::MAX,
            hides_older: false,
            first_key: Vec::new(),
            filter: FilterBuilder::new(options.filter),
            zones: vec![Vec::new(); columns.len()],
            tombstones: Vec::new(),
            properties: Properties {
                storage: schema.storage.0,
                group: u64::from(schema.group.0),
                schema_version: u64::from(schema.version),
                min_seq: u64::MAX,
                min_commit_ts: i64::MAX,
                max_commit_ts: i64::MIN,
                ..Properties::default()
            },
            buffer: Vec::with_capacity(WRITE_BYTES * 2),
            written: 0,
            failed: false,
            columns,
            options,
            file,
        })
    }

    /// Adds a row version. Cells come ascending by column, without key columns.
    pub fn add<'a>(
        &mut self,
        row: RowVersion<'_>,
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Result<()> {
        if self.failed {
            return Err(SstableError::Refused("an earlier row failed".to_owned()));
        }
        self.failed = true;
        let repeats = self.check_order(&row)?;
        if repeats && self.hides_older && self.keeps_apart() {
            self.add_history(&row, cells)?;
        } else {
            self.add_data(&row, repeats, cells)?;
        }
        self.last_ts = row.commit_ts;
        self.hides_older = hides_older(row.flags) || (repeats && self.hides_older);
        let properties = &mut self.properties;
        properties.rows += 1;
        properties.min_seq = properties.min_seq.min(row.seq.0);
        properties.max_seq = properties.max_seq.max(row.seq.0);
        self.failed = false;
        Ok(())
    }

    fn keeps_apart(&self) -> bool {
        self.options.history_part && !self.options.client_times
    }

    fn add_data<'a>(
        &mut self,
        row: &RowVersion<'_>,
        repeats: bool,
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Result<()> {
        if self.data.is_full(repeats, &self.options) {
            self.close_data_block(repeats)?;
        }
        if !repeats {
            self.key_cells.decode(row.key)?;
            self.filter.add_row(row.key);
            self.properties.keys += 1;
            self.last_key.clear();
            self.last_key.extend_from_slice(row.key);
        }
        self.key_cells.add_to(&mut self.data.block)?;
        let filter = &mut self.filter;
        filter.add_version(row.flags);
        let cells = cells.into_iter().inspect(|cell| filter.add_column(cell.column));
        self.data.add(row, repeats, cells)
    }

    /// Adds a version that a newer one hides. Filters need not hear of it: that one has flags, and so they let its row pass
    /// whichever columns are looked for. Nor has it pages of key columns, which are for blocks that are read as they lie.
    fn add_history<'a>(
        &mut self,
        row: &RowVersion<'_>,
        cells: impl IntoIterator<Item = Cell<'a>>,
    ) -> Result<()> {
        let history =
            self.history.get_or_insert_with(|| BlockListBuilder::new(&self.columns, HISTORY_BLOCK));
        let repeats = history.has_last_key(row.key);
        if history.is_full(repeats, &self.options) {
            self.close_history_block(repeats)?;
        }
        let Some(history) = &mut self.history else { return Ok(()) };
        history.add(row, repeats, cells.into_iter())?;
        self.data.notes_history = true;
        Ok(())
    }

    /// Whether the row has the last one's key.
    fn check_order(&mut self, row: &RowVersion<'_>) -> Result<bool> {
        let refused = |what: String| Err(SstableError::Refused(what));
        if self.properties.rows == 0 {
            self.first_key = row.key.to_vec();
            return Ok(false);
        }
        match row.key.cmp(&self.last_key) {
            std::cmp::Ordering::Greater => Ok(false),
            std::cmp::Ordering::Equal if row.commit_ts < self.last_ts => Ok(true),
            std::cmp::Ordering::Equal
                if self.options.client_times && row.commit_ts == self.last_ts =>
            {
                Ok(true)
            }
            std::cmp::Ordering::Equal => refused(format!(
                "versions of a key do not descend: {} after {}",
                row.commit_ts.0, self.last_ts.0
            )),
            std::cmp::Ordering::Less => refused("keys do not ascend".to_owned()),
        }
    }

    /// Adds a deleted range. Any order.
    pub fn add_range_tombstone(&mut self, tombstone: RangeTombstone) {
        let properties = &mut self.properties;
        properties.min_commit_ts = properties.min_commit_ts.min(tombstone.commit_ts.0);
        properties.max_commit_ts = properties.max_commit_ts.max(tombstone.commit_ts.0);
        self.tombstones.push(tombstone);
    }

    /// Widens the file's range of sequence numbers: for a flush whose last mutations left no row.
    pub fn include_seq(&mut self, seq: Seq) {
        self.properties.min_seq = self.properties.min_seq.min(seq.0);
        self.properties.max_seq = self.properties.max_seq.max(seq.0);
    }

    /// Attaches a value that readers find in [`Properties::user`]. Names are short texts.
    pub fn set_property(&mut self, name: &str, value: Bytes) {
        assert!(name.len() < 1 << 15, "names are short");
        self.properties.user.insert(name.to_owned(), value);
    }

    /// About how large the file would be if finished now.
    pub fn estimated_bytes(&self) -> u64 {
        let of_history = self.history.as_ref().map_or(0, |history| history.block.raw_bytes());
        self.position() + (self.data.block.raw_bytes() + of_history) as u64
    }

    /// The first row's key; `None` before the first row.
    pub fn first_key(&self) -> Option<&[u8]> {
        (self.properties.rows > 0).then_some(&self.first_key[..])
    }

    /// Row versions added.
    pub fn rows(&self) -> u64 {
        self.properties.rows
    }

    fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Closes the open data block. `continued` says that the next row of the data part has its last key.
    fn close_data_block(&mut self, continued: bool) -> Result<()> {
        let offset = self.position();
        self.data.close_block(
            Place { offset, continued },
            &mut self.properties,
            &mut self.compressor,
            &mut self.zones,
            &mut self.buffer,
        )?;
        if self.data.partition_bytes() >= PARTITION_BYTES || self.filter.len() >= PARTITION_HASHES {
            self.close_data_partition(continued)?;
        }
        self.flush_buffer(WRITE_BYTES)
    }

    /// Closes the open block of the history part, in the same way.
    fn close_history_block(&mut self, continued: bool) -> Result<()> {
        let offset = self.position();
        let Some(history) = &mut self.history else { return Ok(()) };
        history.close_block(
            Place { offset, continued },
            &mut self.properties,
            &mut self.compressor,
            &mut [],
            &mut self.buffer,
        )?;
        if history.partition_bytes() >= PARTITION_BYTES {
            self.close_history_partition()?;
        }
        self.flush_buffer(WRITE_BYTES)
    }

    /// Closes the open partition. `continued` says that the next row has its last key.
    fn close_data_partition(&mut self, continued: bool) -> Result<()> {
        let (index, mut filter) = (self.section(&self.data.partition_page())?, PageRef::default());
        let mut page = Vec::new();
        if self.filter.finish(continued, &mut page) {
            filter = self.section(&page)?;
        }
        self.data.end_partition(index, filter);
        Ok(())
    }

    /// The same of the history part, which has no filters.
    fn close_history_partition(&mut self) -> Result<()> {
        let Some(page) = self.history.as_ref().map(BlockListBuilder::partition_page) else {
            return Ok(());
        };
        let index = self.section(&page)?;
        if let Some(history) = &mut self.history {
            history.end_partition(index, PageRef::default());
        }
        Ok(())
    }

    /// Ends the history part, if there is one.
    fn finish_history(&mut self) -> Result<()> {
        if self.history.as_ref().is_some_and(|history| history.block.rows() > 0) {
            self.close_history_block(false)?;
        }
        if self.history.as_ref().is_some_and(BlockListBuilder::has_open_partition) {
            self.close_history_partition()?;
        }
        let Some(history) = self.history.take() else { return Ok(()) };
        let top_index = self.section(&history.top_index())?;
        let (blocks, rows) = (history.blocks, history.rows);
        self.properties.history = Some(HistoryPart { top_index, blocks, rows });
        Ok(())
    }

    /// Appends a section of the file.
    fn section(&mut self, raw: &[u8]) -> Result<PageRef> {
        let Ok(raw_len) = u32::try_from(raw.len()) else {
            return Err(SstableError::Refused(format!("section of {} bytes", raw.len())));
        };
        let offset = self.position();
        let (codec, stored) = self.compressor.compress(raw, false);
        let reference = PageRef {
            offset,
            stored_len: stored.len() as u32,
            raw_len,
            crc: crc32c(stored),
            codec,
        };
        self.buffer.extend_from_slice(stored);
        Ok(reference)
    }

    /// Writes what is collected, if it is at least this much.
    fn flush_buffer(&mut self, bytes_min: usize) -> Result<()> {
        if self.buffer.len() >= bytes_min && !self.buffer.is_empty() {
            self.file.write_at(&self.buffer, self.written)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes what is left and syncs the file, not its directory.
    pub fn finish(mut self) -> Result<SstableSummary> {
        if self.failed {
            return Err(SstableError::Refused("an earlier row failed".to_owned()));
        }
        if self.data.block.rows() > 0 {
            self.close_data_block(false)?;
        }
        if self.data.has_open_partition() {
            self.close_data_partition(false)?;
        }
        self.finish_history()?;
        if self.properties.min_commit_ts > self.properties.max_commit_ts {
            (self.properties.min_commit_ts, self.properties.max_commit_ts) = (0, 0);
        }
        if self.properties.min_seq > self.properties.max_seq {
            self.properties.min_seq = 0;
        }
        self.write_tail()?;
        self.flush_buffer(0)?;
        self.file.sync_all()?;
        let rows = self.properties.rows;
        Ok(SstableSummary {
            size_bytes: self.written,
            blocks: self.data.blocks,
            bounds: (rows > 0).then(|| (self.first_key.into(), self.last_key.into())),
            properties: self.properties,
        })
    }

    fn features(&self) -> u32 {
        let feature = |has: bool, feature: u32| if has { feature } else { 0 };
        feature(self.options.client_times, CLIENT_TIMES)
            | feature(self.properties.history.is_some(), HISTORY_PART)
    }

    fn write_tail(&mut self) -> Result<()> {
        for (index, zones) in std::mem::take(&mut self.zones).into_iter().enumerate() {
            self.columns[index].zones = self.section(&zones)?;
        }
        let mut page = Vec::new();
        tombstones::encode(&mut self.tombstones, &mut page);
        let tombstones = self.section(&page)?;
        page.clear();
        schema::encode(&self.columns, &mut page);
        let columns = self.section(&page)?;
        page.clear();
        self.properties.encode(&mut page);
        let properties = self.section(&page)?;
        let top_index = self.section(&self.data.top_index())?;
        let footer = Footer {
            top_index,
            columns,
            properties,
            tombstones,
            file_len: self.position() + Footer::BYTES as u64,
            blocks: self.data.blocks,
            version: FORMAT_VERSION,
            incompatible: self.features(),
            compatible: match self.options.filter {
                BlockFilter::RowColumn => FILTERS_KNOW_COLUMNS,
                BlockFilter::None | BlockFilter::Row => 0,
            },
        };
        footer.encode(&mut self.buffer);
        Ok(())
    }
}
