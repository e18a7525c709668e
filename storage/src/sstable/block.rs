//! A block as it is read: pages are fetched, checked and parsed when they are first needed.
//!
//! Rows are row versions, known by their ordinal; versions of one key are adjacent, newest first.
//! [`Block::rows`] gives keys, timestamps and flags, [`Block::column`] one column's cells,
//! [`Block::column_array`] a column as an Arrow array. The first of each that needs a page may read
//! the file; what is parsed stays with the block and never fails again.

use super::error::{Malformed, Result, SstableError};
use super::exceptions::Exceptions;
use super::file::FileContext;
use super::format::{self, BlockHead, Encoding, PageEntry, PageKind, block_flags};
use super::index::BlockInfo;
use super::input::Input;
use super::ints::Ints;
use super::keys::Keys;
use super::presence::CellState;
use super::values::{CellRef, ColumnPage};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::atomic::{self, AtomicUsize};
use std::sync::{Arc, OnceLock};
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::row::{CellsBuilder, PackedCells};

/// Pages closer to each other than this are fetched in one read.
const READ_GAP_BYTES: u64 = 32 << 10;

/// A parsed page.
#[derive(Debug)]
enum Page {
    Keys(Keys),
    Ints(Ints),
    Exceptions(Exceptions),
    Column(ColumnPage),
}

/// The places of the pages that every block has.
const KEYS: usize = 0;
const TIMES: usize = 1;
const FLAGS: usize = 2;

/// See the module's doc.
#[derive(Debug)]
pub struct Block {
    context: Arc<FileContext>,
    offset: u64,
    head: BlockHead,
    pages: Box<[OnceLock<Page>]>,
    resident: AtomicUsize,
    /// Whether the cache must hear of its growth.
    cached: bool,
}

impl Block {
    /// Reads a block's head; with `lead` also the pages that every point read needs, in the same read.
    pub(crate) fn open(
        context: &Arc<FileContext>,
        number: u32,
        info: &BlockInfo,
        lead: bool,
        cached: bool,
    ) -> Result<Self> {
        let len = if lead { info.lead_len } else { info.head_len };
        let bytes = context.read(info.offset, len as usize)?;
        let head = BlockHead::decode(bytes.slice(..info.head_len as usize))
            .and_then(|head| Self::check_head(head, number, info))
            .map_err(|malformed| context.corruption(info.offset, malformed))?;
        let block = Self {
            pages: head.pages.iter().map(|_| OnceLock::new()).collect(),
            resident: AtomicUsize::new(
                size_of::<Self>() + head.pages.len() * (size_of::<Page>() + PageEntry::BYTES),
            ),
            context: context.clone(),
            offset: info.offset,
            head,
            cached,
        };
        if lead {
            for slot in [KEYS, TIMES, FLAGS] {
                let reference = &block.head.pages[slot].reference;
                let stored = reference
                    .end()
                    .filter(|end| *end <= bytes.len() as u64)
                    .map(|end| bytes.slice(reference.offset as usize..end as usize));
                let stored = stored.ok_or_else(|| {
                    context.corruption(info.offset, Malformed("lead is too short"))
                })?;
                block.install(slot, stored)?;
            }
        }
        Ok(block)
    }

    fn check_head(head: BlockHead, number: u32, info: &BlockInfo) -> Result<BlockHead, Malformed> {
        let kinds = [PageKind::Keys, PageKind::Times, PageKind::Flags];
        let has_lead = head.pages.iter().take(3).map(|page| page.kind).eq(kinds);
        let same = head.number == number
            && head.rows == info.rows
            && head.keys == info.keys
            && head.flags == info.flags
            && (head.min_ts, head.max_ts) == (info.min_ts.0, info.max_ts.0);
        let within = head.pages.iter().all(|page| {
            page.reference.offset >= u64::from(info.head_len)
                && page.reference.end().is_some_and(|end| end <= u64::from(info.stored_len))
        });
        match has_lead && same && within {
            true => Ok(head),
            false => Err(Malformed("block is not the one the index describes")),
        }
    }

    /// Its place in its part of the file.
    pub fn number(&self) -> u32 {
        self.head.number
    }

    /// Row versions.
    pub fn row_count(&self) -> u32 {
        self.head.rows
    }

    /// Distinct row keys.
    pub fn key_count(&self) -> u32 {
        self.head.keys
    }

    /// See [`format::block_flags`].
    pub fn flags(&self) -> u16 {
        self.head.flags
    }

    /// True where every row has a key of its own in this part of the file, is written whole with its marker, and
    /// none is a delete: at a read timestamp from [`Block::max_ts`] on, rows are answers.
    pub fn is_clean(&self) -> bool {
        block_flags::is_clean(self.head.flags)
    }

    /// True where some cells are kept outside the column pages.
    pub fn has_exceptions(&self) -> bool {
        self.head.flags & block_flags::HAS_EXCEPTIONS != 0
    }

    /// Smallest commit timestamp of a row.
    pub fn min_ts(&self) -> CommitTs {
        CommitTs(self.head.min_ts)
    }

    /// Largest commit timestamp of a row.
    pub fn max_ts(&self) -> CommitTs {
        CommitTs(self.head.max_ts)
    }

    /// Bytes of keys and cells before encoding.
    pub fn raw_bytes(&self) -> u32 {
        self.head.raw_bytes
    }

    /// Memory taken so far.
    pub fn resident_bytes(&self) -> usize {
        self.resident.load(atomic::Ordering::Relaxed)
    }

    /// The pages that every block has, which come first: keys, times, flags.
    pub(crate) const LEAD_PAGES: usize = FLAGS + 1;

    /// Its pages, in the order they lie in.
    pub(crate) fn page_entries(&self) -> &[PageEntry] {
        &self.head.pages
    }

    /// Reads, checks and parses one page.
    pub(crate) fn check_page(&self, slot: usize) -> Result<()> {
        self.page(slot).map(drop)
    }

    /// True where it has a page of exceptions, whatever its flags say.
    pub(crate) fn has_exceptions_page(&self) -> bool {
        self.slot(0, PageKind::Exceptions).is_some()
    }

    /// Cells, explicit NULLs included, without those of key columns.
    pub(crate) fn cell_count(&self) -> Result<u64> {
        let mut cells = self.exceptions()?.map_or(0, Exceptions::len);
        for (slot, entry) in self.head.pages.iter().enumerate() {
            let is_key = self.context.column(ColumnId(entry.column)).is_some_and(|c| c.is_key);
            if let (false, Page::Column(page)) = (is_key, self.page(slot)?) {
                cells += page.presence.value_count() + page.presence.null_count();
            }
        }
        Ok(cells as u64)
    }

    fn slot(&self, column: u32, kind: PageKind) -> Option<usize> {
        let place = (column, kind);
        self.head.pages.binary_search_by(|page| (page.column, page.kind).cmp(&place)).ok()
    }

    fn page(&self, slot: usize) -> Result<&Page> {
        if let Some(page) = self.pages[slot].get() {
            return Ok(page);
        }
        let reference = &self.head.pages[slot].reference;
        let stored =
            self.context.read(self.offset + reference.offset, reference.stored_len as usize)?;
        self.install(slot, stored)
    }

    /// Checks, parses and keeps a page.
    fn install(&self, slot: usize, stored: Bytes) -> Result<&Page> {
        let entry = &self.head.pages[slot];
        let page = format::open_page(&entry.reference, stored)
            .and_then(|raw| self.parse(entry, raw))
            .map_err(|malformed| {
                self.context.corruption(self.offset + entry.reference.offset, malformed)
            })?;
        let bytes = match &page {
            Page::Keys(keys) => keys.resident_bytes(),
            Page::Ints(_) => entry.reference.raw_len as usize,
            Page::Exceptions(exceptions) => exceptions.resident_bytes(),
            Page::Column(column) => entry.reference.raw_len as usize + column.extra_bytes(),
        };
        // Another reader may have been faster; its page is as good.
        if self.pages[slot].set(page).is_ok() {
            self.resident.fetch_add(bytes, atomic::Ordering::Relaxed);
            if self.cached
                && let Some(cache) = self.context.cache()
            {
                let of = self.context.residence();
                cache.reweigh_block(self.context.number, self.number(), of);
            }
        }
        Ok(self.pages[slot].get().expect("set just now, by this reader or another"))
    }

    fn parse(&self, entry: &PageEntry, raw: Bytes) -> Result<Page, Malformed> {
        let rows = self.head.rows as usize;
        match (entry.kind, entry.encoding) {
            (PageKind::Keys, Encoding::Own) => {
                Keys::decode(raw, rows, self.head.keys as usize).map(Page::Keys)
            }
            (PageKind::Times | PageKind::Flags | PageKind::ColumnTimes, Encoding::Ints) => {
                let mut input = Input::new(raw);
                let ints = Ints::decode(&mut input, rows)?;
                input.finish()?;
                Ok(Page::Ints(ints))
            }
            (PageKind::Exceptions, Encoding::Own) => {
                Exceptions::decode(raw, rows).map(Page::Exceptions)
            }
            (PageKind::Column, encoding) => {
                let column = self
                    .context
                    .column(ColumnId(entry.column))
                    .ok_or(Malformed("page of a column that the file does not have"))?;
                ColumnPage::decode(raw, encoding, column.physical, rows).map(Page::Column)
            }
            _ => Err(Malformed("encoding does not belong to the page")),
        }
    }

    /// Fetches the pages of these columns, neighbours in one read; with `rows` also those of
    /// [`Block::rows`]. What is in memory already is not read again.
    pub fn prefetch(&self, columns: &[ColumnId], rows: bool) -> Result<()> {
        let wanted = |slot: usize| {
            let page = &self.head.pages[slot];
            match page.kind {
                PageKind::Keys | PageKind::Times | PageKind::Flags => rows,
                PageKind::Exceptions => true,
                PageKind::Column | PageKind::ColumnTimes => {
                    columns.contains(&ColumnId(page.column))
                }
            }
        };
        let missing: Vec<usize> = (0..self.pages.len())
            .filter(|slot| self.pages[*slot].get().is_none() && wanted(*slot))
            .collect();
        let mut rest = &missing[..];
        while let Some(first) = rest.first() {
            // Pages lie in the order of their slots.
            let start = self.head.pages[*first].reference.offset;
            let mut end = start;
            let near = rest.iter().take_while(|slot| {
                let reference = &self.head.pages[**slot].reference;
                let is_near = reference.offset >= start
                    && reference.offset.saturating_sub(end) <= READ_GAP_BYTES;
                if is_near {
                    end = end.max(reference.offset + u64::from(reference.stored_len));
                }
                is_near
            });
            let (group, others) = rest.split_at(near.count().max(1));
            self.fetch(group, start, end.max(start))?;
            rest = others;
        }
        Ok(())
    }

    /// Reads pages that lie between two offsets of the block.
    fn fetch(&self, slots: &[usize], start: u64, end: u64) -> Result<()> {
        let bytes = self.context.read(self.offset + start, (end - start) as usize)?;
        for slot in slots {
            let reference = &self.head.pages[*slot].reference;
            let from = (reference.offset - start) as usize;
            let stored = bytes.slice(from..from + reference.stored_len as usize);
            // A page that is used as it is must not keep much more than itself in memory.
            let stored = match stored.len() * 2 < bytes.len() {
                true => Bytes::copy_from_slice(&stored),
                false => stored,
            };
            self.install(*slot, stored)?;
        }
        Ok(())
    }

    /// Keys, timestamps and flags of the block's rows.
    pub fn rows(&self) -> Result<Rows<'_>> {
        match (self.page(KEYS)?, self.page(TIMES)?, self.page(FLAGS)?) {
            (Page::Keys(keys), Page::Ints(times), Page::Ints(flags)) => {
                Ok(Rows { keys, times, flags, rows: self.head.rows as usize })
            }
            _ => unreachable!("the first three pages are these: checked when opened"),
        }
    }

    pub(crate) fn exceptions(&self) -> Result<Option<&Exceptions>> {
        match self.slot(0, PageKind::Exceptions).map(|slot| self.page(slot)).transpose()? {
            Some(Page::Exceptions(exceptions)) => Ok(Some(exceptions)),
            _ => Ok(None),
        }
    }

    fn ints(&self, column: ColumnId, kind: PageKind) -> Result<Option<&Ints>> {
        match self.slot(column.0, kind).map(|slot| self.page(slot)).transpose()? {
            Some(Page::Ints(ints)) => Ok(Some(ints)),
            _ => Ok(None),
        }
    }

    /// One column's cells.
    pub fn column(&self, id: ColumnId) -> Result<Column<'_>> {
        let page =
            match self.slot(id.0, PageKind::Column).map(|slot| self.page(slot)).transpose()? {
                Some(Page::Column(page)) => Some(page),
                _ => None,
            };
        let times = self.ints(id, PageKind::ColumnTimes)?;
        let exceptions = self.exceptions()?.filter(|exceptions| exceptions.has_column(id.0));
        Ok(Column { id, rows: self.head.rows as usize, page, times, exceptions })
    }

    /// The columns that have cells in this block, ascending, without those of the key.
    pub fn columns(&self) -> Result<Vec<ColumnId>> {
        let mut columns: Vec<ColumnId> = self
            .head
            .pages
            .iter()
            .filter(|page| page.kind == PageKind::Column)
            .map(|page| ColumnId(page.column))
            .filter(|id| !self.context.column(*id).is_some_and(|column| column.is_key))
            .collect();
        if let Some(exceptions) = self.exceptions()? {
            columns.extend(exceptions.columns().iter().map(|id| ColumnId(*id)));
            columns.sort_unstable();
            columns.dedup();
        }
        Ok(columns)
    }

    /// A row version's cells, packed. `columns` ascend; `None` is all but the key's.
    pub fn row_cells(&self, row: u32, columns: Option<&[ColumnId]>) -> Result<PackedCells> {
        let all;
        let columns = match columns {
            Some(columns) => columns,
            None => {
                all = self.columns()?;
                &all
            }
        };
        let mut cells = CellsBuilder::default();
        for id in columns {
            match self.column(*id)?.cell(row) {
                CellRef::Absent => {}
                CellRef::Null => cells.push(*id, None),
                CellRef::Value(bytes) => cells.push(*id, Some(&bytes)),
            }
        }
        Ok(cells.finish())
    }

    pub(crate) fn mismatch(&self, column: ColumnId, what: String) -> SstableError {
        SstableError::Mismatch { column: column.0, what }
    }

    pub(crate) fn page_corruption(&self, column: ColumnId, what: &'static str) -> SstableError {
        let page = self
            .slot(column.0, PageKind::Column)
            .map_or(0, |slot| self.head.pages[slot].reference.offset);
        self.context.corruption(self.offset + page, Malformed(what))
    }
}

/// Keys, timestamps and flags of a block's rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    keys: &'a Keys,
    times: &'a Ints,
    flags: &'a Ints,
    rows: usize,
}

impl Rows<'_> {
    /// How many rows there are.
    pub fn len(&self) -> u32 {
        self.rows as u32
    }

    /// Never: blocks have rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// When a row version was committed.
    #[inline]
    pub fn commit_ts(&self, row: u32) -> CommitTs {
        CommitTs(self.times.get(row as usize))
    }

    /// ROW_DELETE, ROW_MARKER, ROW_COMPLETE.
    #[inline]
    pub fn flags(&self, row: u32) -> u8 {
        self.flags.get(row as usize) as u8
    }

    /// Appends a row's key.
    #[inline]
    pub fn append_key(&self, row: u32, out: &mut Vec<u8>) {
        self.keys.append(self.keys.key_of_row(row as usize), out);
    }

    /// A row's key.
    pub fn key(&self, row: u32) -> Vec<u8> {
        let index = self.keys.key_of_row(row as usize);
        let mut key = Vec::with_capacity(self.keys.key_len(index));
        self.keys.append(index, &mut key);
        key
    }

    /// Compares a row's key with `key`, without putting it together.
    #[inline]
    pub fn compare_key(&self, row: u32, key: &[u8]) -> Ordering {
        self.keys.compare(self.keys.key_of_row(row as usize), key)
    }

    /// The rows of the key that `row` has.
    #[inline]
    pub fn versions_of(&self, row: u32) -> Range<u32> {
        let index = self.keys.key_of_row(row as usize);
        self.keys.first_row(index) as u32..self.keys.first_row(index + 1) as u32
    }

    /// The rows with this key; empty where there are none.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Range<u32> {
        let (index, found) = self.keys.search(key);
        let start = self.keys.first_row(index) as u32;
        match found {
            true => start..self.keys.first_row(index + 1) as u32,
            false => start..start,
        }
    }

    /// Of versions of one key, those at or below a timestamp.
    pub fn not_above(&self, versions: Range<u32>, max_ts: CommitTs) -> Range<u32> {
        // Mostly the newest is wanted.
        if versions.is_empty() || self.commit_ts(versions.start) <= max_ts {
            return versions;
        }
        let (mut low, mut high) = (versions.start + 1, versions.end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.commit_ts(middle) > max_ts {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low..versions.end
    }

    /// The first row whose key is at or above `key`; the row count where there is none.
    #[inline]
    pub fn lower_bound(&self, key: &[u8]) -> u32 {
        let (index, _) = self.keys.search(key);
        self.keys.first_row(index) as u32
    }

    /// Appends the commit timestamps of some rows.
    pub fn append_commit_ts(&self, rows: Range<u32>, out: &mut Vec<i64>) {
        self.times.unpack(rows.start as usize..rows.end as usize, out);
    }
}

/// One column's cells in a block.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    pub(crate) id: ColumnId,
    pub(crate) rows: usize,
    pub(crate) page: Option<&'a ColumnPage>,
    times: Option<&'a Ints>,
    /// Only where the column has some.
    pub(crate) exceptions: Option<&'a Exceptions>,
}

impl<'a> Column<'a> {
    /// One cell.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn cell(&self, row: u32) -> CellRef<'a> {
        let row = row as usize;
        assert!(row < self.rows, "row {row} of {}", self.rows);
        match self.page.map_or(CellRef::Absent, |page| page.cell(row)) {
            CellRef::Absent => self
                .exceptions
                .map_or(CellRef::Absent, |exceptions| exceptions.cell(row, self.id.0)),
            cell => cell,
        }
    }

    /// How much older a cell is than its row: its own timestamp is the row's minus this.
    #[inline]
    pub fn ts_delta(&self, row: u32) -> i64 {
        let row = row as usize;
        match self.times.map_or(0, |times| times.get(row)) {
            0 => self.exceptions.map_or(0, |exceptions| exceptions.ts_delta(row, self.id.0)),
            delta => delta,
        }
    }

    /// True where no cell is older than its row.
    pub fn is_as_old_as_rows(&self) -> bool {
        self.times.is_none() && self.exceptions.is_none()
    }

    /// Rows without a cell: their value is in an older version, or the column's missing value.
    pub fn absent_count(&self) -> usize {
        let Some(page) = self.page else {
            return self.rows - self.exceptions.map_or(0, |other| other.rows_of(self.id.0).count());
        };
        let absent = self.rows - page.presence.value_count() - page.presence.null_count();
        let is_absent = |row: &usize| page.presence.state(*row) == CellState::Absent;
        absent - self.exceptions.map_or(0, |o| o.rows_of(self.id.0).filter(is_absent).count())
    }
}
