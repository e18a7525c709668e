//! Reading a whole file to find out whether it is what it says: every checksum, the order of keys, the index,
//! the filters and the properties against the rows, the history part against what hides it.
//!
//! It goes on behind damage, so that one bad page does not hide another; what cannot be counted then is not
//! compared. The first wrong row of a block stands for the block's others.

use super::Sstable;
use super::block_list::BlockList;
use super::hidden::Hiders;
use crate::sstable::block::{Block, Column};
use crate::sstable::error::{Malformed, Result, SstableError};
use crate::sstable::filter::{self, Filter};
use crate::sstable::format::{Footer, HISTORY_BLOCK, block_flags};
use crate::sstable::index::{BlockInfo, Partition, TopEntry};
use crate::sstable::properties::Properties;
use crate::sstable::values::CellRef;
use crate::sstable::zone::ZoneMap;
use terrane_client::ids::CommitTs;
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_MARKER};

/// How much of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Sections, index, filters, zone maps: not the blocks.
    Sections,
    /// Every byte.
    Pages,
}

/// What verifying a file found.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// Blocks whose head was read.
    pub blocks: u32,
    /// Pages read.
    pub pages: u64,
    /// Row versions read.
    pub rows: u64,
    /// What is wrong, in the order of the file's index.
    pub problems: Vec<SstableError>,
}

impl Sstable {
    /// Reads and checks every byte of the file, past the cache; the first problem is the error.
    pub fn verify(&self) -> Result<()> {
        self.examine(Depth::Pages).problems.into_iter().next().map_or(Ok(()), Err)
    }

    /// Reads the file past the cache and lists everything that is wrong with it.
    pub fn examine(&self, depth: Depth) -> Examination {
        let mut examiner = Examiner {
            table: self,
            found: Examination::default(),
            parts: Vec::new(),
            counted: Properties {
                min_commit_ts: i64::MAX,
                max_commit_ts: i64::MIN,
                ..Properties::default()
            },
            is_partial: depth == Depth::Sections,
            last: None,
            hiders: Hiders::default(),
            in_history: false,
        };
        examiner.index(&self.shared.data, depth);
        if let Some(history) = &self.shared.history {
            (examiner.last, examiner.in_history) = (None, true);
            examiner.index(history, depth);
            examiner.history(history);
        }
        examiner.sections();
        examiner.found
    }
}

/// Whether a reader of any column of this version of a key would be told of it.
fn knows_version(filter: &Filter, columns: &[Column<'_>], key: &[u8], row: u32, flags: u8) -> bool {
    let hash = filter::hash(key);
    let has = |column: &&Column<'_>| !matches!(column.cell(row), CellRef::Absent);
    columns.iter().filter(has).all(|column| filter.may_have(hash, &[column.id]))
        && (flags == 0 || filter.may_have(hash, &[]))
}

/// A file being examined.
struct Examiner<'a> {
    table: &'a Sstable,
    found: Examination,
    /// Offset and length of everything that something refers to.
    parts: Vec<(u64, u64)>,
    /// What the rows add up to.
    counted: Properties,
    /// Some rows could not be read: nothing is compared with sums.
    is_partial: bool,
    /// The last row's key and timestamp, and whether its block says that its versions go on.
    last: Option<(Vec<u8>, CommitTs, bool)>,
    /// The data blocks, by what they say is hidden.
    hiders: Hiders,
    /// The blocks being read are those of the history part.
    in_history: bool,
}

impl Examiner<'_> {
    fn problem(&mut self, offset: u64, what: &'static str) {
        let error = self.table.shared.context.corruption(offset, Malformed(what));
        self.found.problems.push(error);
    }

    fn check(&mut self, holds: bool, offset: u64, what: &'static str) {
        if !holds {
            self.problem(offset, what);
        }
    }

    /// Keeps what was read; notes what could not be.
    fn keep<T>(&mut self, read: Result<T>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                self.is_partial = true;
                self.last = None;
                self.found.problems.push(error);
                None
            }
        }
    }

    /// The partitions of an index, their filters and, at depth, their blocks.
    fn index(&mut self, list: &BlockList, depth: Depth) {
        let table = self.table;
        let (context, top) = (&table.shared.context, &list.top);
        for (at, entry) in top.entries.iter().enumerate() {
            for part in [&entry.index, &entry.filter] {
                self.parts.push((part.offset, u64::from(part.stored_len)));
            }
            let filter = match entry.filter.stored_len {
                0 => None,
                _ => self.keep(context.section(&entry.filter, Filter::decode)),
            };
            let Some(partition) = self.keep(BlockList::read_partition(&table.shared, entry)) else {
                continue;
            };
            self.partition(entry, &partition);
            let same_bounds = partition.keys.first(0) == top.keys.first(at)
                && partition.keys.last(partition.blocks.len() - 1) == top.keys.last(at);
            self.check(same_bounds, entry.index.offset, "top index has other keys for a partition");
            if depth == Depth::Sections {
                continue;
            }
            for (place, info) in partition.blocks.iter().enumerate() {
                let number = list.first_block(at) + place as u32;
                self.block(number, info, &partition, place, filter.as_ref());
            }
        }
        let goes_on = self.last.as_ref().is_some_and(|(_, _, continued)| *continued);
        self.check(!goes_on, 0, "the last block says that its last key goes on");
    }

    /// What the file says of its history part, and data blocks of what they hide there.
    fn history(&mut self, list: &BlockList) {
        let Some(said) = &self.table.properties().history else { return };
        let offset = said.top_index.offset;
        self.parts.push((offset, u64::from(said.top_index.stored_len)));
        let rows = list.top.rows_before(list.top.entries.len());
        self.check(rows == said.rows, offset, "the history part has another number of rows");
        if !self.is_partial {
            let hides = self.hiders.are_all_found(self.table);
            let found = self.keep(hides).unwrap_or(true);
            self.check(
                found,
                offset,
                "a block says that it hides versions, or hides some and does not",
            );
        }
    }

    fn partition(&mut self, entry: &TopEntry, partition: &Partition) {
        let rows: u64 = partition.blocks.iter().map(|block| u64::from(block.rows)).sum();
        let keys: u64 = partition.blocks.iter().map(|block| u64::from(block.keys)).sum();
        let same = rows == entry.rows && keys == u64::from(entry.keys);
        self.check(same, entry.index.offset, "top index has other counts for a partition");
        for block in &partition.blocks {
            self.parts.push((block.offset, u64::from(block.stored_len)));
        }
    }

    fn block(
        &mut self,
        number: u32,
        info: &BlockInfo,
        partition: &Partition,
        place: usize,
        filter: Option<&Filter>,
    ) {
        let table = self.table;
        let context = &table.shared.context;
        let Some(block) = self.keep(Block::open(context, number, info, false, false)) else {
            return;
        };
        self.found.blocks += 1;
        let mut end = u64::from(info.head_len);
        let mut lead_end = end;
        let mut is_whole = true;
        for (slot, entry) in block.page_entries().iter().enumerate() {
            self.found.pages += 1;
            let reference = &entry.reference;
            self.check(reference.offset == end, info.offset + end, "page is not where it belongs");
            end = reference.offset + u64::from(reference.stored_len);
            if slot < Block::LEAD_PAGES {
                lead_end = end;
            }
            is_whole &= self.keep(block.check_page(slot)).is_some();
        }
        self.check(end == u64::from(info.stored_len), info.offset, "block has another length");
        self.check(lead_end == u64::from(info.lead_len), info.offset, "lead has another length");
        if !is_whole {
            return;
        }
        if self.rows(&block, info, filter).is_err() {
            self.is_partial = true;
        }
        let same_bounds = block.rows().is_ok_and(|rows| {
            rows.compare_key(0, &partition.keys.first(place)).is_eq()
                && rows.compare_key(rows.len() - 1, &partition.keys.last(place)).is_eq()
        });
        self.check(same_bounds, info.offset, "the index has other keys for the block");
        self.counted.raw_bytes += u64::from(block.raw_bytes());
        if let Some(cells) = self.keep(block.cell_count()) {
            self.counted.cells += cells;
        }
    }

    /// The order of a block's rows, and what its head says of them.
    fn rows(&mut self, block: &Block, info: &BlockInfo, filter: Option<&Filter>) -> Result<()> {
        let rows = block.rows()?;
        let announced = match (&self.last, block.number()) {
            (None, 0 | HISTORY_BLOCK) => Some(false),
            (last, _) => last.as_ref().map(|(_, _, continued)| *continued),
        };
        let mut seen = Seen { announced, ..Seen::default() };
        let by_column = match filter.filter(|_| self.table.shared.filters_know_columns) {
            Some(filter) => {
                let columns = block.columns()?.into_iter().map(|id| block.column(id));
                Some((filter, columns.collect::<Result<Vec<_>>>()?))
            }
            None => None,
        };
        let mut key = Vec::new();
        for row in 0..rows.len() {
            key.clear();
            rows.append_key(row, &mut key);
            let (commit_ts, flags) = (rows.commit_ts(row), rows.flags(row));
            let order = match &self.last {
                None => Order::NewKey,
                Some((last, last_ts, _)) => {
                    let order = Order::of(last, *last_ts, &key, commit_ts);
                    order.with_client_times(self.table.shared.has_client_times)
                }
            };
            if let Order::Wrong(what) = order {
                seen.wrong = seen.wrong.or(Some(what));
            }
            let repeats = order == Order::OlderVersion;
            if row == 0 {
                seen.continues = repeats;
            }
            if row == 0 || !repeats {
                seen.keys += 1;
                let passes = filter.is_none_or(|filter| filter.may_contain(filter::hash(&key)));
                seen.wrong = seen.wrong.or((!passes).then_some("a key is not in the filter"));
            }
            if let Some((filter, columns)) = &by_column {
                let passes = knows_version(filter, columns, &key, row, flags);
                seen.wrong =
                    seen.wrong.or((!passes).then_some("a column of a key is not in the filter"));
            }
            if self.in_history {
                let is_hidden = repeats || self.hiders.hide(self.table, &key, commit_ts)?;
                seen.wrong = seen.wrong.or((!is_hidden).then_some(NOT_HIDDEN));
            } else {
                self.counted.keys += u64::from(!repeats);
            }
            seen.row(commit_ts, flags);
            match &mut self.last {
                Some((last, last_ts, _)) => {
                    std::mem::swap(last, &mut key);
                    *last_ts = commit_ts;
                }
                None => self.last = Some((key.clone(), commit_ts, false)),
            }
        }
        self.found.rows += u64::from(rows.len());
        self.counted.rows += u64::from(rows.len());
        self.counted.deletes += seen.deletes;
        self.counted.min_commit_ts = self.counted.min_commit_ts.min(seen.min_ts);
        self.counted.max_commit_ts = self.counted.max_commit_ts.max(seen.max_ts);
        self.head(block, info, &seen);
        Ok(())
    }

    fn head(&mut self, block: &Block, info: &BlockInfo, seen: &Seen) {
        if let Some(what) = seen.wrong {
            self.problem(info.offset, what);
        }
        let same = seen.keys == u64::from(info.keys)
            && (seen.min_ts, seen.max_ts) == (info.min_ts.0, info.max_ts.0);
        self.check(same, info.offset, "block head has other keys or timestamps than its rows");
        // What a block behind one that could not be read continues is not known.
        let unknown = if seen.announced.is_none() { block_flags::CONTINUES } else { 0 };
        // That is counted beside the history part.
        let may_hide = self.table.shared.history.is_some() && !self.in_history;
        let elsewhere = if may_hide { block_flags::HAS_HISTORY } else { 0 };
        let checked = !(block_flags::HAS_CELL_TIMES | block_flags::CONTINUED | unknown | elsewhere);
        let expected = seen.block_flags(block, info.flags);
        let same = (expected ^ info.flags) & checked == 0;
        self.check(same, info.offset, "block head has other flags than its rows");
        let same = seen.announced.is_none_or(|announced| announced == seen.continues);
        self.check(same, info.offset, "a key's versions go on in another block than said");
        if let Some((_, _, continued)) = &mut self.last {
            *continued = info.flags & block_flags::CONTINUED != 0;
        }
    }

    /// The rest of the file: zone maps, and what the footer leads to, which was read when it was opened.
    fn sections(&mut self) {
        let table = self.table;
        let context = &table.shared.context;
        for column in &context.columns {
            self.parts.push((column.zones.offset, u64::from(column.zones.stored_len)));
            let blocks = table.block_count() as usize;
            let zones = context
                .section(&column.zones, |bytes| ZoneMap::decode(bytes, column.physical, blocks));
            self.keep(zones);
        }
        let Some(footer) = self.keep(table.footer()) else { return };
        for part in [footer.top_index, footer.columns, footer.properties, footer.tombstones] {
            self.parts.push((part.offset, u64::from(part.stored_len)));
        }
        self.parts.push((context.len - Footer::BYTES as u64, Footer::BYTES as u64));
        self.coverage();
        self.properties(footer.properties.offset);
    }

    /// There is nothing between the parts, and nothing is part of two.
    fn coverage(&mut self) {
        if self.is_partial && !self.found.problems.is_empty() {
            return;
        }
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort_unstable();
        let mut end = 0;
        for (offset, len) in parts.into_iter().filter(|(_, len)| *len > 0) {
            self.check(offset <= end, end, "bytes that belong to nothing");
            self.check(offset >= end, offset, "bytes that belong to two parts");
            end = end.max(offset.saturating_add(len));
        }
    }

    fn properties(&mut self, offset: u64) {
        if self.is_partial {
            return;
        }
        let table = self.table;
        let said = table.properties();
        let tombstones = table.range_tombstones().iter().map(|t| t.commit_ts.0);
        let counted = &mut self.counted;
        for commit_ts in tombstones {
            counted.min_commit_ts = counted.min_commit_ts.min(commit_ts);
            counted.max_commit_ts = counted.max_commit_ts.max(commit_ts);
        }
        if counted.min_commit_ts > counted.max_commit_ts {
            (counted.min_commit_ts, counted.max_commit_ts) = (0, 0);
        }
        let counts = |p: &Properties| [p.rows, p.keys, p.cells, p.deletes, p.raw_bytes];
        let same = counts(counted) == counts(said);
        let same_times = counted.commit_ts_range() == said.commit_ts_range();
        self.check(same, offset, "properties have other counts than the rows");
        self.check(same_times, offset, "properties have other timestamps than the rows");
        let in_order = said.min_seq <= said.max_seq;
        self.check(in_order, offset, "smallest sequence number above the largest");
    }
}

/// How a row follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    NewKey,
    OlderVersion,
    SameCommit,
    Wrong(&'static str),
}

const NOT_HIDDEN: &str = "a version in the history part that no newer one hides";
const DO_NOT_DESCEND: &str = "versions of a key do not descend";

impl Order {
    /// Where cells have timestamps of the client's one commit may write several versions of a key.
    fn with_client_times(self, has_client_times: bool) -> Self {
        match self {
            Self::SameCommit if has_client_times => Self::OlderVersion,
            Self::SameCommit => Self::Wrong(DO_NOT_DESCEND),
            other => other,
        }
    }

    fn of(last: &[u8], last_ts: CommitTs, key: &[u8], commit_ts: CommitTs) -> Self {
        match key.cmp(last) {
            std::cmp::Ordering::Greater => Self::NewKey,
            std::cmp::Ordering::Equal if commit_ts < last_ts => Self::OlderVersion,
            std::cmp::Ordering::Equal if commit_ts == last_ts => Self::SameCommit,
            std::cmp::Ordering::Equal => Self::Wrong(DO_NOT_DESCEND),
            std::cmp::Ordering::Less => Self::Wrong("keys do not ascend"),
        }
    }
}

/// What a block's rows are.
struct Seen {
    keys: u64,
    deletes: u64,
    all_complete: bool,
    min_ts: i64,
    max_ts: i64,
    /// The first row has the key of the last block's last.
    continues: bool,
    /// Whether the block before says so; `None` where that could not be read.
    announced: Option<bool>,
    /// The first thing that is wrong with its rows.
    wrong: Option<&'static str>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            keys: 0,
            deletes: 0,
            all_complete: true,
            min_ts: i64::MAX,
            max_ts: i64::MIN,
            continues: false,
            announced: None,
            wrong: None,
        }
    }
}

impl Seen {
    fn row(&mut self, commit_ts: CommitTs, flags: u8) {
        const COMPLETE: u8 = ROW_COMPLETE | ROW_MARKER;
        self.deletes += u64::from(flags & ROW_DELETE != 0);
        self.all_complete &= flags & COMPLETE == COMPLETE;
        self.min_ts = self.min_ts.min(commit_ts.0);
        self.max_ts = self.max_ts.max(commit_ts.0);
    }

    /// The flags its head should have, but for those that take more than its rows to know.
    fn block_flags(&self, block: &Block, said: u16) -> u16 {
        let flag = |set: bool, flag: u16| if set { flag } else { 0 };
        let shares = said & (block_flags::CONTINUES | block_flags::CONTINUED) != 0;
        let distinct = !shares && self.keys == u64::from(block.row_count());
        flag(distinct, block_flags::DISTINCT_KEYS)
            | flag(self.deletes > 0, block_flags::HAS_DELETE)
            | flag(self.all_complete, block_flags::ALL_COMPLETE)
            | flag(block.has_exceptions_page(), block_flags::HAS_EXCEPTIONS)
            | flag(self.continues, block_flags::CONTINUES)
    }
}
