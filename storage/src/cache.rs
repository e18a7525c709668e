//! The block cache: decoded blocks of SSTables, and their index partitions, filters and zone maps.
//!
//! Two budgets: a scan over large data never drives out the indexes and filters that every point read
//! needs. A block's weight is what it holds in memory; it grows when one more of its pages is
//! decoded, and the cache is told. What is evicted stays alive while a reader holds it. Replacement is
//! quick_cache's S3-FIFO, which a single pass over cold blocks does not flush; scans larger than the
//! cache should not fill it at all ([`crate::sstable::ReadOptions`]).
//!
//! Files are known by numbers that are never reused on one server.

mod region;

pub use region::RegionStats;

use crate::sstable::{Block, MetaEntry};
use region::Region;
use std::sync::Arc;

/// A block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct BlockKey {
    file: u64,
    block: u32,
}

/// A part of a file that is not data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaPart {
    /// An index partition.
    Partition(u32),
    /// A partition's filter.
    Filter(u32),
    /// A column's zone map.
    Zones(u32),
}

/// Budgets, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct CacheOptions {
    /// For data blocks.
    pub data_bytes: u64,
    /// For index partitions, filters and zone maps.
    pub meta_bytes: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { data_bytes: 256 << 20, meta_bytes: 64 << 20 }
    }
}

/// What the cache did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Data blocks.
    pub data: RegionStats,
    /// Index partitions, filters, zone maps.
    pub meta: RegionStats,
}

/// See the module's doc. Shared by all tables of a server.
#[derive(Debug)]
pub struct BlockCache {
    blocks: Region<BlockKey, Arc<Block>>,
    meta: Region<(u64, MetaPart), MetaEntry>,
}

/// Expected size of an entry, from which the cache guesses how many it will have.
const BLOCK_BYTES_GUESS: u64 = 64 << 10;
const META_BYTES_GUESS: u64 = 16 << 10;

impl BlockCache {
    /// An empty cache.
    pub fn new(options: CacheOptions) -> Arc<Self> {
        Arc::new(Self {
            blocks: Region::new(options.data_bytes, BLOCK_BYTES_GUESS),
            meta: Region::new(options.meta_bytes, META_BYTES_GUESS),
        })
    }

    pub(crate) fn block(&self, file: u64, block: u32) -> Option<Arc<Block>> {
        self.blocks.get(&BlockKey { file, block })
    }

    pub(crate) fn insert_block(&self, file: u64, block: Arc<Block>) {
        let weight = block.resident_bytes() as u64;
        self.blocks.insert(BlockKey { file, block: block.number() }, block, weight);
    }

    /// A cached block grew.
    pub(crate) fn reweigh_block(&self, file: u64, block: u32) {
        self.blocks
            .reweigh(BlockKey { file, block }, |block: &Arc<Block>| block.resident_bytes() as u64);
    }

    pub(crate) fn meta(&self, file: u64, part: MetaPart) -> Option<MetaEntry> {
        self.meta.get(&(file, part))
    }

    pub(crate) fn insert_meta(&self, file: u64, part: MetaPart, entry: MetaEntry) {
        let weight = entry.resident_bytes() as u64;
        self.meta.insert((file, part), entry, weight);
    }

    /// Drops one block.
    pub(crate) fn remove_block(&self, file: u64, block: u32) {
        self.blocks.remove(&BlockKey { file, block });
    }

    /// Drops one part.
    pub(crate) fn remove_meta(&self, file: u64, part: MetaPart) {
        self.meta.remove(&(file, part));
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.blocks.clear();
        self.meta.clear();
    }

    /// Counters and sizes.
    pub fn stats(&self) -> CacheStats {
        CacheStats { data: self.blocks.stats(), meta: self.meta.stats() }
    }
}
