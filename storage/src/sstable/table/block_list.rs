//! One of a file's two lists of blocks, by its index: the data part's, or the history part's.

use super::{MetaEntry, Shared};
use crate::cache::MetaPart;
use crate::sstable::error::{Malformed, Result, SstableError};
use crate::sstable::index::{Partition, TopEntry, TopIndex};
use std::ops::Range;
use std::sync::Arc;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct BlockList {
    /// The numbers of its blocks.
    pub(super) numbers: Range<u32>,
    pub(super) top: TopIndex,
}

impl BlockList {
    /// The partition of a block, and the block's place in it.
    pub(super) fn locate(&self, block: u32) -> Result<(usize, usize)> {
        let place = block.checked_sub(self.numbers.start);
        place.and_then(|place| self.top.locate(place)).ok_or_else(|| {
            let Range { start, end } = self.numbers;
            SstableError::Refused(format!("block {block} of {start} to {end}"))
        })
    }

    /// The number of a partition's first block.
    pub(super) fn first_block(&self, partition: usize) -> u32 {
        self.numbers.start + self.top.first_block(partition)
    }

    /// What names a partition, or its filter, in the cache.
    pub(super) fn cached(&self, partition: usize) -> u32 {
        // Not more than blocks, and so as far apart.
        self.numbers.start + partition as u32
    }

    /// The first block whose last key is at or above `key`.
    pub(super) fn seek(&self, file: &Shared, key: &[u8]) -> Result<u32> {
        let partition = self.top.keys.seek(key);
        match partition < self.top.entries.len() {
            false => Ok(self.numbers.end),
            true => {
                let within = self.partition(file, partition)?.keys.seek(key);
                Ok(self.first_block(partition) + within as u32)
            }
        }
    }

    /// The first block whose first key is at or above `key`.
    pub(super) fn seek_end(&self, file: &Shared, key: &[u8]) -> Result<u32> {
        // The partition before may have blocks that start below too, and others that do not.
        match self.top.keys.seek_end(key).checked_sub(1) {
            None => Ok(self.numbers.start),
            Some(partition) => {
                let within = self.partition(file, partition)?.keys.seek_end(key);
                Ok(self.first_block(partition) + within as u32)
            }
        }
    }

    /// The blocks that may hold keys of [start, end), by their bounds.
    pub(super) fn blocks_in(
        &self,
        file: &Shared,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> Result<Range<u32>> {
        let first = self.seek(file, start)?;
        let end = match end {
            None => self.numbers.end,
            Some(end) => self.seek_end(file, end)?,
        };
        Ok(first..end.max(first))
    }

    /// Row versions in the blocks before this one; the end of its numbers gives those of all.
    pub(super) fn rows_before(&self, file: &Shared, block: u32) -> Result<u64> {
        if block == self.numbers.end {
            return Ok(self.top.rows_before(self.top.entries.len()));
        }
        let (index, place) = self.locate(block)?;
        let partition = self.partition(file, index)?;
        let within: u64 = partition.blocks[..place].iter().map(|block| u64::from(block.rows)).sum();
        Ok(self.top.rows_before(index) + within)
    }

    /// A partition of its index.
    pub(super) fn partition(&self, file: &Shared, index: usize) -> Result<Arc<Partition>> {
        let context = &file.context;
        let part = MetaPart::Partition(self.cached(index));
        if let Some(MetaEntry::Partition(partition)) =
            file.cache.meta(context.number, part, context.residence())
        {
            return Ok(partition);
        }
        let partition = Arc::new(Self::read_partition(file, &self.top.entries[index])?);
        let entry = MetaEntry::Partition(partition.clone());
        file.cache.insert_meta(context.number, part, entry, context.residence());
        Ok(partition)
    }

    /// The same past the cache.
    pub(super) fn read_partition(file: &Shared, entry: &TopEntry) -> Result<Partition> {
        file.context.section(&entry.index, |bytes| {
            let partition = Partition::decode(bytes)?;
            match partition.blocks.len() == entry.blocks as usize {
                true => Ok(partition),
                false => Err(Malformed("partition has another number of blocks")),
            }
        })
    }
}
