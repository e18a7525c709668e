//! The two-level index: a pinned top over partitions of block descriptions.
//!
//! ```text
//! partition := blocks u32 | per block: offset u64 | stored length u32 | head length u32 | lead length u32
//!                                      | rows u32 | keys u32 | flags u16 | zero u16 | min ts i64 | max ts i64
//!              | key table
//! top       := partitions u32 | per partition: index reference | filter reference | blocks u32 | keys u32 | rows u64
//!              | key table
//! key table := where the first key, then the last key of each entry ends, u32 | their bytes
//! ```
//!
//! A block's head length covers head and directory, its lead length also the pages of keys, times and
//! flags, which follow at once: what a point read takes in one read. Keys are the first and last row
//! keys as they are, so that a key between two blocks is known to be in neither.

use super::error::Malformed;
use super::format::PageRef;
use super::input::{Input, u32_at};
use bytes::Bytes;
use terrane_client::ids::CommitTs;

/// What the index says of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    pub(crate) offset: u64,
    pub(crate) stored_len: u32,
    pub(crate) head_len: u32,
    pub(crate) lead_len: u32,
    /// Row versions inside.
    pub rows: u32,
    /// Distinct row keys inside.
    pub keys: u32,
    /// See [`super::format::block_flags`].
    pub flags: u16,
    /// Smallest commit timestamp of a row.
    pub min_ts: CommitTs,
    /// Largest commit timestamp of a row.
    pub max_ts: CommitTs,
}

impl BlockInfo {
    const BYTES: usize = 48;

    /// True where every row has a key of its own in this part of the file, is written whole with its marker, and
    /// none is a delete: at a read timestamp from [`BlockInfo::max_ts`] on, rows are answers.
    pub fn is_clean(&self) -> bool {
        super::format::block_flags::is_clean(self.flags)
    }

    /// True where some of its keys have older versions in the history part. None of them counts for a reader of the newest
    /// at a read timestamp from [`BlockInfo::max_ts`] on.
    pub fn has_history(&self) -> bool {
        self.flags & super::format::block_flags::HAS_HISTORY != 0
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        for value in [self.stored_len, self.head_len, self.lead_len, self.rows, self.keys] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.min_ts.0.to_le_bytes());
        out.extend_from_slice(&self.max_ts.0.to_le_bytes());
    }

    fn decode(input: &mut Input) -> Result<Self, Malformed> {
        let info = Self {
            offset: input.u64()?,
            stored_len: input.u32()?,
            head_len: input.u32()?,
            lead_len: input.u32()?,
            rows: input.u32()?,
            keys: input.u32()?,
            flags: input.u16()?,
            min_ts: {
                input.u16()?;
                CommitTs(input.i64()?)
            },
            max_ts: CommitTs(input.i64()?),
        };
        if info.head_len > info.lead_len || info.lead_len > info.stored_len {
            return Err(Malformed("block lengths are out of order"));
        }
        Ok(info)
    }
}

/// First and last keys of entries.
#[derive(Debug, Default)]
pub(crate) struct KeyTable {
    ends: Bytes,
    data: Bytes,
}

#[derive(Default)]
struct KeyTableBuilder {
    ends: Vec<u32>,
    data: Vec<u8>,
}

impl KeyTableBuilder {
    fn push(&mut self, first: &[u8], last: &[u8]) {
        for key in [first, last] {
            self.data.extend_from_slice(key);
            self.ends.push(self.data.len() as u32);
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.ends.iter().flat_map(|end| end.to_le_bytes()));
        out.extend_from_slice(&self.data);
    }

    fn bytes(&self) -> usize {
        self.ends.len() * 4 + self.data.len()
    }
}

impl KeyTable {
    fn decode(input: &mut Input, entries: usize) -> Result<Self, Malformed> {
        let ends = input.take(entries * 8)?;
        let data = input.rest();
        let table = Self { ends, data };
        let mut last = 0;
        for index in 0..entries * 2 {
            let end = u32_at(&table.ends, index) as usize;
            if end < last || end > table.data.len() {
                return Err(Malformed("index keys end out of order"));
            }
            last = end;
        }
        if last != table.data.len() {
            return Err(Malformed("index keys do not fill their table"));
        }
        Ok(table)
    }

    fn len(&self) -> usize {
        self.ends.len() / 8
    }

    fn key(&self, index: usize) -> Bytes {
        let start = index.checked_sub(1).map_or(0, |before| u32_at(&self.ends, before) as usize);
        self.data.slice(start..u32_at(&self.ends, index) as usize)
    }

    fn key_slice(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| u32_at(&self.ends, before) as usize);
        &self.data[start..u32_at(&self.ends, index) as usize]
    }

    /// An entry's first key.
    pub(crate) fn first(&self, entry: usize) -> Bytes {
        self.key(entry * 2)
    }

    /// An entry's last key.
    pub(crate) fn last(&self, entry: usize) -> Bytes {
        self.key(entry * 2 + 1)
    }

    /// The first entry whose last key is at or above `key`: none before it holds `key`.
    pub(crate) fn seek(&self, key: &[u8]) -> usize {
        partition_point(self.len(), |entry| self.key_slice(entry * 2 + 1) < key)
    }

    /// The first entry whose first key is at or above `key`: it and none after hold a key below.
    pub(crate) fn seek_end(&self, key: &[u8]) -> usize {
        partition_point(self.len(), |entry| self.key_slice(entry * 2) < key)
    }

    /// True where `key` is below the entry's first key.
    pub(crate) fn is_before(&self, key: &[u8], entry: usize) -> bool {
        key < self.key_slice(entry * 2)
    }
}

fn partition_point(len: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        match is_before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

/// A partition being filled.
#[derive(Default)]
pub(crate) struct PartitionBuilder {
    blocks: Vec<BlockInfo>,
    keys: KeyTableBuilder,
}

impl PartitionBuilder {
    pub(crate) fn push(&mut self, block: BlockInfo, first: &[u8], last: &[u8]) {
        self.blocks.push(block);
        self.keys.push(first, last);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes the partition takes.
    pub(crate) fn bytes(&self) -> usize {
        4 + self.blocks.len() * BlockInfo::BYTES + self.keys.bytes()
    }

    /// The partition as it is stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes());
        out.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        self.blocks.iter().for_each(|block| block.encode(&mut out));
        self.keys.encode(&mut out);
        out
    }

    /// Describes the partition but for its references, with its first and last key, and starts the next.
    pub(crate) fn finish(&mut self) -> (TopEntry, Vec<u8>, Vec<u8>) {
        let key = |index: usize| {
            let start = match index {
                0 => 0,
                _ => self.keys.ends[index - 1] as usize,
            };
            self.keys.data[start..self.keys.ends[index] as usize].to_vec()
        };
        let bounds = (key(0), key(self.blocks.len() * 2 - 1));
        let entry = TopEntry {
            index: PageRef::default(),
            filter: PageRef::default(),
            blocks: self.blocks.len() as u32,
            keys: self.blocks.iter().map(|block| block.keys).sum(),
            rows: self.blocks.iter().map(|block| u64::from(block.rows)).sum(),
        };
        *self = Self::default();
        (entry, bounds.0, bounds.1)
    }
}

/// A parsed partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) blocks: Box<[BlockInfo]>,
    pub(crate) keys: KeyTable,
}

impl Partition {
    pub(crate) fn decode(page: Bytes) -> Result<Self, Malformed> {
        let mut input = Input::new(page);
        let count = input.count(BlockInfo::BYTES)?;
        let blocks: Result<Box<[BlockInfo]>, Malformed> =
            (0..count).map(|_| BlockInfo::decode(&mut input)).collect();
        Ok(Self { blocks: blocks?, keys: KeyTable::decode(&mut input, count)? })
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.blocks.len() * size_of::<BlockInfo>() + self.keys.data.len() + self.keys.ends.len()
    }
}

/// What the top index says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopEntry {
    pub(crate) index: PageRef,
    pub(crate) filter: PageRef,
    pub(crate) blocks: u32,
    pub(crate) keys: u32,
    pub(crate) rows: u64,
}

impl TopEntry {
    pub(crate) const BYTES: usize = 2 * PageRef::BYTES + 16;
}

/// The top index being filled.
#[derive(Default)]
pub(crate) struct TopBuilder {
    entries: Vec<TopEntry>,
    keys: KeyTableBuilder,
}

impl TopBuilder {
    pub(crate) fn push(&mut self, entry: TopEntry, first: &[u8], last: &[u8]) {
        self.entries.push(entry);
        self.keys.push(first, last);
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            entry.index.encode(out);
            entry.filter.encode(out);
            out.extend_from_slice(&entry.blocks.to_le_bytes());
            out.extend_from_slice(&entry.keys.to_le_bytes());
            out.extend_from_slice(&entry.rows.to_le_bytes());
        }
        self.keys.encode(out);
    }
}

/// The parsed top index.
#[derive(Debug)]
pub(crate) struct TopIndex {
    pub(crate) entries: Box<[TopEntry]>,
    pub(crate) keys: KeyTable,
    /// The number of the first block of each partition, and at the end the number of blocks.
    first_blocks: Box<[u32]>,
    /// Rows before each partition.
    rows_before: Box<[u64]>,
}

impl TopIndex {
    /// Parses the top index of a file of `blocks` blocks.
    pub(crate) fn decode(page: Bytes, blocks: u32) -> Result<Self, Malformed> {
        let mut input = Input::new(page);
        let count = input.count(TopEntry::BYTES)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(TopEntry {
                index: PageRef::decode(&mut input)?,
                filter: PageRef::decode(&mut input)?,
                blocks: input.u32()?,
                keys: input.u32()?,
                rows: input.u64()?,
            });
        }
        let keys = KeyTable::decode(&mut input, count)?;
        let (mut first_blocks, mut rows_before) = (vec![0u32], vec![0u64]);
        for (index, entry) in entries.iter().enumerate() {
            let blocks = first_blocks[index].checked_add(entry.blocks);
            let rows = rows_before[index].checked_add(entry.rows);
            let (Some(blocks), Some(rows)) = (blocks, rows) else {
                return Err(Malformed("top index counts overflow"));
            };
            if entry.blocks == 0 {
                return Err(Malformed("top index has an empty partition"));
            }
            first_blocks.push(blocks);
            rows_before.push(rows);
        }
        if first_blocks.last() != Some(&blocks) {
            return Err(Malformed("top index has another number of blocks"));
        }
        Ok(Self {
            entries: entries.into(),
            keys,
            first_blocks: first_blocks.into(),
            rows_before: rows_before.into(),
        })
    }

    /// The partition of a block, and the block's place in it.
    pub(crate) fn locate(&self, block: u32) -> Option<(usize, usize)> {
        let partition =
            self.first_blocks.partition_point(|first| *first <= block).checked_sub(1)?;
        (partition < self.entries.len())
            .then(|| (partition, (block - self.first_blocks[partition]) as usize))
    }

    /// The number of a partition's first block; the block count for the one after the last.
    pub(crate) fn first_block(&self, partition: usize) -> u32 {
        self.first_blocks[partition]
    }

    /// Rows before a partition.
    pub(crate) fn rows_before(&self, partition: usize) -> u64 {
        self.rows_before[partition]
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.entries.len() * (size_of::<TopEntry>() + 12)
            + self.keys.data.len()
            + self.keys.ends.len()
    }
}
