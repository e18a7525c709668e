//! An open SSTable.
//!
//! Cheap to clone; clones share everything. The footer, the top index, the column dictionary, the
//! properties and the range tombstones are read when it is opened and stay in memory; index partitions,
//! filters, zone maps and blocks go through the cache. Any number of threads may read.
//!
//! Blocks are in two lists: those of the data part, numbered from 0 on, and those of the history part, with the versions that newer
//! ones of the file hide, from 2^31 on. Who reads a row through [`Sstable::versions`] need not know; who reads data blocks
//! finds what is beneath a version by [`Sstable::history_of`].
//!
//! Nothing here applies a tablet's key bounds, hides deleted rows or merges versions: that is the reader's
//! part, who also consults [`Sstable::range_tombstones`].

mod block_list;
mod hidden;
mod outline;
mod verify;

pub use outline::{BlockOutline, Outline, PageOutline, Part, PartitionOutline};
pub use verify::{Depth, Examination};

use super::block::Block;
use super::error::{Malformed, Result, SstableError};
use super::file::FileContext;
use super::filter::{self, Filter};
use super::format::{
    self, CLIENT_TIMES, FILTERS_KNOW_COLUMNS, FORMAT_VERSION, Footer, HISTORY_BLOCK, HISTORY_PART,
    KNOWN_FEATURES, PageRef, block_flags,
};
use super::index::{BlockInfo, Partition, TopIndex};
use super::properties::Properties;
use super::read_counts;
use super::schema::{self, FileColumn};
use super::tombstones::{self, RangeTombstone};
use super::versions::Versions;
use super::zone::{Zone, ZoneMap};
use crate::cache::{BlockCache, MetaPart, Residence};
use block_list::BlockList;
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicBool};
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::read::KeyRange;
use terrane_env::Env;
use terrane_env::files::File;

/// Read at the file's end when it is opened: most files' footer and small sections lie there.
const TAIL_BYTES: u64 = 16 << 10;

/// How a read treats the cache.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// Keep what is read. Not for scans that would drive out everything else.
    pub fill_cache: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { fill_cache: true }
    }
}

/// A cached part of a file that is not data.
#[derive(Clone, Debug)]
pub(crate) enum MetaEntry {
    Partition(Arc<Partition>),
    Filter(Arc<Filter>),
    Zones(Arc<ZoneMap>),
}

impl MetaEntry {
    pub(crate) fn resident_bytes(&self) -> usize {
        match self {
            Self::Partition(partition) => partition.resident_bytes(),
            Self::Filter(filter) => filter.resident_bytes(),
            Self::Zones(zones) => zones.resident_bytes(),
        }
    }
}

/// See the module's doc.
#[derive(Clone, Debug)]
pub struct Sstable {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    context: Arc<FileContext>,
    cache: Arc<BlockCache>,
    /// See [`CLIENT_TIMES`].
    has_client_times: bool,
    /// See [`FILTERS_KNOW_COLUMNS`].
    filters_know_columns: bool,
    data: BlockList,
    history: Option<BlockList>,
    properties: Properties,
    tombstones: Vec<RangeTombstone>,
}

impl Drop for Shared {
    /// A file's number is never used again: what the cache holds of it would only take room.
    fn drop(&mut self) {
        let file = self.context.number;
        for list in [Some(&self.data), self.history.as_ref()].into_iter().flatten() {
            for block in list.numbers.clone() {
                self.cache.remove_block(file, block);
            }
            for partition in 0..list.top.entries.len() {
                self.cache.remove_meta(file, MetaPart::Partition(list.cached(partition)));
                self.cache.remove_meta(file, MetaPart::Filter(list.cached(partition)));
            }
        }
        for column in &self.context.columns {
            self.cache.remove_meta(file, MetaPart::Zones(column.id.0));
        }
    }
}

impl Sstable {
    /// Opens a file. `number` names it in the cache: of the files of one server no two may ever have
    /// the same.
    pub fn open(env: &Env, path: &Path, number: u64, cache: &Arc<BlockCache>) -> Result<Self> {
        Self::open_file(env.files.open_read(path)?, number, cache)
    }

    /// Like [`Sstable::open`], with an open file.
    pub fn open_file(file: Arc<dyn File>, number: u64, cache: &Arc<BlockCache>) -> Result<Self> {
        let mut context = FileContext {
            len: file.len()?,
            file,
            number,
            columns: Vec::new(),
            cache: Arc::downgrade(cache),
            is_in_memory: AtomicBool::new(false),
        };
        let footer_len = Footer::BYTES as u64;
        let Some(footer_at) = context.len.checked_sub(footer_len) else {
            return Err(context.corruption(0, Malformed("file is shorter than a footer")));
        };
        let tail_at = context.len.saturating_sub(TAIL_BYTES);
        let tail = context.read(tail_at, (context.len - tail_at) as usize)?;
        let footer = Footer::decode(tail.slice((footer_at - tail_at) as usize..))
            .map_err(|malformed| context.corruption(footer_at, malformed))?;
        check_footer(&context, &footer)?;
        let tail = Tail { context: &context, at: tail_at, bytes: tail };
        let columns = tail.section(&footer.columns, schema::decode)?;
        let properties = tail.section(&footer.properties, Properties::decode)?;
        let tombstones = tail.section(&footer.tombstones, tombstones::decode)?;
        let list = |reference: &PageRef, first: u32, count: u32| {
            let top = tail.section(reference, |bytes| TopIndex::decode(bytes, count))?;
            let end = first.checked_add(count).filter(|_| count < HISTORY_BLOCK);
            let too_many =
                || tail.context.corruption(reference.offset, Malformed("too many blocks"));
            Ok::<_, SstableError>(BlockList { numbers: first..end.ok_or_else(too_many)?, top })
        };
        let data = list(&footer.top_index, 0, footer.blocks)?;
        if (footer.incompatible & HISTORY_PART != 0) != properties.history.is_some() {
            let malformed = Malformed("the footer does not know of the history part");
            return Err(context.corruption(footer_at, malformed));
        }
        let history = properties.history.as_ref();
        let history = history.map(|part| list(&part.top_index, HISTORY_BLOCK, part.blocks));
        let history = history.transpose()?;
        context.columns = columns;
        let shared = Shared {
            context: Arc::new(context),
            cache: cache.clone(),
            data,
            history,
            has_client_times: footer.incompatible & CLIENT_TIMES != 0,
            filters_know_columns: footer.compatible & FILTERS_KNOW_COLUMNS != 0,
            properties,
            tombstones,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Lets what is read of the file stay in memory, or no longer, beside everything else of its kind.
    pub fn keep_in_memory(&self, keep: bool) {
        self.shared.context.is_in_memory.store(keep, atomic::Ordering::Relaxed);
    }

    /// The file's path, for messages.
    pub fn file_name(&self) -> String {
        self.shared.context.name()
    }

    /// The number it was opened with.
    pub fn file_number(&self) -> u64 {
        self.shared.context.number
    }

    /// Stored bytes.
    pub fn size_bytes(&self) -> u64 {
        self.shared.context.len
    }

    /// What the file says of itself.
    pub fn properties(&self) -> &Properties {
        &self.shared.properties
    }

    /// Deleted ranges, ascending by start.
    pub fn range_tombstones(&self) -> &[RangeTombstone] {
        &self.shared.tombstones
    }

    /// The columns that have pages, ascending by id.
    pub fn columns(&self) -> &[FileColumn] {
        &self.shared.context.columns
    }

    /// Data blocks.
    pub fn block_count(&self) -> u32 {
        self.shared.data.numbers.end
    }

    /// The numbers of the blocks of the history part; none where there is no such part.
    pub fn history_blocks(&self) -> Range<u32> {
        self.shared
            .history
            .as_ref()
            .map_or(HISTORY_BLOCK..HISTORY_BLOCK, |list| list.numbers.clone())
    }

    /// First and last row key; `None` where there are no rows.
    pub fn key_bounds(&self) -> Option<(Bytes, Bytes)> {
        let top = &self.shared.data.top;
        let last = top.entries.len().checked_sub(1)?;
        Some((top.keys.first(0), top.keys.last(last)))
    }

    /// Memory that stays taken while the table is open, whatever the cache does.
    pub fn pinned_bytes(&self) -> usize {
        let tombstones = &self.shared.tombstones;
        self.shared.data.top.resident_bytes()
            + self.shared.history.as_ref().map_or(0, |list| list.top.resident_bytes())
            + self.shared.context.columns.len() * size_of::<FileColumn>()
            + tombstones.iter().map(|range| size_of_val(range) + range.start.len()).sum::<usize>()
    }

    /// The list that has a block.
    fn list_of(&self, block: u32) -> Result<&BlockList> {
        match block & HISTORY_BLOCK {
            0 => Ok(&self.shared.data),
            _ => self.shared.history.as_ref().ok_or_else(|| {
                self.shared.context.corruption(0, Malformed("there is no history part"))
            }),
        }
    }

    fn in_partition(&self, block: u32) -> Result<(Arc<Partition>, usize)> {
        let list = self.list_of(block)?;
        let (partition, place) = list.locate(block)?;
        Ok((list.partition(&self.shared, partition)?, place))
    }

    /// What the index says of a block.
    pub fn block_info(&self, number: u32) -> Result<BlockInfo> {
        let (partition, place) = self.in_partition(number)?;
        Ok(partition.blocks[place])
    }

    /// A block's first and last row key.
    pub fn block_bounds(&self, number: u32) -> Result<(Bytes, Bytes)> {
        let (partition, place) = self.in_partition(number)?;
        Ok((partition.keys.first(place), partition.keys.last(place)))
    }

    /// Row versions in the data blocks before this one; the block count gives those of all.
    pub fn rows_before(&self, number: u32) -> Result<u64> {
        self.shared.data.rows_before(&self.shared, number)
    }

    /// The data blocks that may hold keys of [start, end), by their bounds: exactly those whose own range meets
    /// it.
    pub fn blocks_in(&self, start: &[u8], end: Option<&[u8]>) -> Result<Range<u32>> {
        self.shared.data.blocks_in(&self.shared, start, end)
    }

    /// About how many row versions and bytes are in the blocks of both parts that may hold keys of a range; all of the file
    /// where those are all.
    pub fn rows_and_bytes_in(&self, range: &KeyRange) -> Result<(u64, u64)> {
        let file = &self.shared;
        let mut rows = 0;
        let mut bytes: Option<Range<u64>> = None;
        for list in std::iter::once(&file.data).chain(&file.history) {
            let blocks = list.blocks_in(file, &range.start, range.end.as_deref())?;
            if blocks == (0..self.block_count()) {
                return Ok((file.properties.rows, self.size_bytes()));
            }
            let Some(last) = blocks.clone().last() else { continue };
            rows += list.rows_before(file, blocks.end)? - list.rows_before(file, blocks.start)?;
            // Blocks of one part lie among those of the other that have the same keys.
            let (first, last) = (self.block_info(blocks.start)?, self.block_info(last)?);
            let (start, end) = (first.offset, last.offset + u64::from(last.stored_len));
            bytes = Some(match bytes {
                None => start..end,
                Some(known) => known.start.min(start)..known.end.max(end),
            });
        }
        Ok((rows, bytes.map_or(0, |bytes| bytes.end - bytes.start)))
    }

    /// The versions of a key in the history part: the first block that has some, and which of its rows they are. More may
    /// follow in the next block, as [`block_flags::CONTINUED`] says. Where there are none, there is no block, or one that has only
    /// keys around it. `near` is a block in which the key may be.
    pub fn history_of(
        &self,
        key: &[u8],
        near: Option<&Arc<Block>>,
        options: ReadOptions,
    ) -> Result<Option<(Arc<Block>, Range<u32>)>> {
        if let Some(block) = near
            && starts_in(block, key)?
        {
            return Ok(Some((block.clone(), block.rows()?.find(key))));
        }
        let list = self.list_of(HISTORY_BLOCK)?;
        let number = list.seek(&self.shared, key)?;
        if number >= list.numbers.end || key < &self.block_bounds(number)?.0[..] {
            return Ok(None);
        }
        let block = self.block(number, true, options)?;
        let rows = block.rows()?.find(key);
        Ok(Some((block, rows)))
    }

    /// True where a block has a next one, in the same part.
    pub(super) fn has_block_after(&self, number: u32) -> bool {
        let list = self.list_of(number);
        list.is_ok_and(|list| list.numbers.contains(&number.wrapping_add(1)))
    }

    /// Reads a block; with `rows` also keys, timestamps and flags, in the same read.
    pub fn block(&self, number: u32, rows: bool, options: ReadOptions) -> Result<Arc<Block>> {
        let context = &self.shared.context;
        if let Some(block) = self.shared.cache.block(context.number, number, context.residence()) {
            read_counts::note_cache_hit();
            return Ok(block);
        }
        let info = self.block_info(number)?;
        // What is to stay in memory is kept, whoever reads it first.
        let keeps = options.fill_cache || context.residence() == Residence::InMemory;
        let block = Arc::new(Block::open(context, number, &info, rows, keeps)?);
        if keeps {
            self.shared.cache.insert_block(context.number, block.clone(), context.residence());
        }
        Ok(block)
    }

    /// What the values of a column in a block are between. `None`: nothing is known, the block may
    /// hold anything.
    pub fn zone(&self, number: u32, column: ColumnId) -> Result<Option<Zone>> {
        let context = &self.shared.context;
        let Some(column) = context.column(column) else { return Ok(None) };
        let part = MetaPart::Zones(column.id.0);
        let zones = match self.shared.cache.meta(context.number, part, context.residence()) {
            Some(MetaEntry::Zones(zones)) => zones,
            _ => {
                let blocks = self.block_count() as usize;
                let zones = Arc::new(context.section(&column.zones, |bytes| {
                    ZoneMap::decode(bytes, column.physical, blocks)
                })?);
                let entry = MetaEntry::Zones(zones.clone());
                self.shared.cache.insert_meta(context.number, part, entry, context.residence());
                zones
            }
        };
        Ok(zones.zone(number as usize))
    }

    /// False where the file has no row with this key; for a reader of cells of `columns` and of flags, where it has
    /// neither.
    pub fn may_contain(&self, key: &[u8], columns: Option<&[ColumnId]>) -> Result<bool> {
        Ok(self.candidate_partition(key, columns)?.is_some())
    }

    /// The partition that may have this key, by bounds and filter; only what is of use to a reader of `columns`.
    fn candidate_partition(
        &self,
        key: &[u8],
        columns: Option<&[ColumnId]>,
    ) -> Result<Option<usize>> {
        let top = &self.shared.data.top;
        let partition = top.keys.seek(key);
        if partition >= top.entries.len() || top.keys.is_before(key, partition) {
            return Ok(None);
        }
        let Some(filter) = self.filter(partition)? else { return Ok(Some(partition)) };
        let row = filter::hash(key);
        let passes = match columns.filter(|_| self.shared.filters_know_columns) {
            Some(columns) => filter.may_have(row, columns),
            None => filter.may_contain(row),
        };
        if !passes {
            read_counts::note_file_skipped();
        }
        Ok(passes.then_some(partition))
    }

    /// The versions of a row at or below a timestamp, newest first. A reader that wants cells of `columns` and flags, and nothing
    /// else, gets none where the file's filters know that they have neither.
    pub fn versions(
        &self,
        key: &[u8],
        columns: Option<&[ColumnId]>,
        max_ts: CommitTs,
        options: ReadOptions,
    ) -> Result<Versions<'_>> {
        let mut versions = Versions::new(self, max_ts, options);
        let Some(index) = self.candidate_partition(key, columns)? else { return Ok(versions) };
        let partition = self.shared.data.partition(&self.shared, index)?;
        let place = partition.keys.seek(key);
        if place >= partition.blocks.len() || partition.keys.is_before(key, place) {
            return Ok(versions);
        }
        let number = self.shared.data.first_block(index) + place as u32;
        versions.enter(number, key)?;
        Ok(versions)
    }

    /// A partition's filter, if the file was written with filters.
    fn filter(&self, index: usize) -> Result<Option<Arc<Filter>>> {
        let reference = &self.shared.data.top.entries[index].filter;
        if reference.stored_len == 0 {
            return Ok(None);
        }
        let context = &self.shared.context;
        let part = MetaPart::Filter(self.shared.data.cached(index));
        if let Some(MetaEntry::Filter(filter)) =
            self.shared.cache.meta(context.number, part, context.residence())
        {
            return Ok(Some(filter));
        }
        let filter = Arc::new(context.section(reference, Filter::decode)?);
        let entry = MetaEntry::Filter(filter.clone());
        self.shared.cache.insert_meta(context.number, part, entry, context.residence());
        Ok(Some(filter))
    }
}

/// Where the next key that is looked for in a history part may be.
#[derive(Clone, Debug)]
pub struct Near {
    /// In this block,
    pub block: Arc<Block>,
    /// where it likely has this row.
    pub row: u32,
}

impl Near {
    /// The rows of a key, if it has the row and starts in the block; none, if the key would be just before or behind the row.
    /// `None` where it has to be looked for.
    pub fn rows_of(&self, key: &[u8]) -> Result<Option<Range<u32>>> {
        let rows = self.block.rows()?;
        if self.row >= rows.len() {
            return Ok(None);
        }
        let row = match rows.compare_key(self.row, key) {
            Ordering::Equal => {
                let own = rows.versions_of(self.row);
                let is_whole = own.start > 0 || self.block.flags() & block_flags::CONTINUES == 0;
                return Ok(is_whole.then_some(own));
            }
            Ordering::Greater => self.row,
            Ordering::Less => self.row + 1,
        };
        let is_between = row > 0
            && row < rows.len()
            && rows.compare_key(row - 1, key).is_lt()
            && rows.compare_key(row, key).is_gt();
        Ok(is_between.then_some(row..row))
    }
}

/// True where the first version of a key, if there is one, is in this block and in none before it.
fn starts_in(block: &Block, key: &[u8]) -> Result<bool> {
    let rows = block.rows()?;
    let is_continued = block.flags() & block_flags::CONTINUES != 0;
    Ok(match rows.compare_key(0, key) {
        Ordering::Less => rows.compare_key(rows.len() - 1, key).is_ge(),
        Ordering::Equal => !is_continued,
        Ordering::Greater => false,
    })
}

/// Refuses what this code cannot read.
fn check_footer(context: &FileContext, footer: &Footer) -> Result<()> {
    if footer.version > FORMAT_VERSION || footer.incompatible & !KNOWN_FEATURES != 0 {
        let what = format!("format {}, features {:#x}", footer.version, footer.incompatible);
        return Err(SstableError::Unsupported { file: context.name(), what });
    }
    if footer.version == 0 || footer.file_len != context.len {
        let malformed = Malformed("footer belongs to a file of another length or format");
        return Err(context.corruption(context.len - Footer::BYTES as u64, malformed));
    }
    Ok(())
}

/// The file's last bytes, and the file before them.
struct Tail<'a> {
    context: &'a FileContext,
    at: u64,
    bytes: Bytes,
}

impl Tail<'_> {
    fn section<T>(
        &self,
        reference: &PageRef,
        parse: impl FnOnce(Bytes) -> Result<T, Malformed>,
    ) -> Result<T> {
        let end = reference.end().filter(|end| *end <= self.context.len);
        let (Some(start), Some(end)) = (reference.offset.checked_sub(self.at), end) else {
            return self.context.section(reference, parse);
        };
        let stored = self.bytes.slice(start as usize..(end - self.at) as usize);
        // Sections stay in memory; the rest of the tail should not.
        format::open_page(reference, Bytes::copy_from_slice(&stored))
            .and_then(parse)
            .map_err(|malformed| self.context.corruption(reference.offset, malformed))
    }
}
