//! The block cache: decoded blocks of SSTables, and their index partitions, filters and zone maps.
//!
//! Two budgets: a scan over large data never drives out the indexes and filters that every point read
//! needs. Two more of the same kind for files of locality groups that are `in_memory`: nothing else drives those
//! out (Bigtable, section 6). A block's weight is what it holds in memory; it grows when one more of its pages is
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
    /// For files of `in_memory` groups: blocks, and an eighth as much for the rest.
    pub in_memory_bytes: u64,
}

/// Whose budget a file's parts count against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Residence {
    /// Everyone's.
    Shared,
    /// That of `in_memory` groups.
    InMemory,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { data_bytes: 256 << 20, meta_bytes: 64 << 20, in_memory_bytes: 128 << 20 }
    }
}

/// What the cache did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Data blocks.
    pub data: RegionStats,
    /// Index partitions, filters, zone maps.
    pub meta: RegionStats,
    /// Data blocks of `in_memory` groups.
    pub in_memory: RegionStats,
}

/// See the module's doc. Shared by all tables of a server.
#[derive(Debug)]
pub struct BlockCache {
    blocks: Region<BlockKey, Arc<Block>>,
    meta: Region<(u64, MetaPart), MetaEntry>,
    in_memory_blocks: Region<BlockKey, Arc<Block>>,
    in_memory_meta: Region<(u64, MetaPart), MetaEntry>,
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
            in_memory_blocks: Region::new(options.in_memory_bytes, BLOCK_BYTES_GUESS),
            in_memory_meta: Region::new(options.in_memory_bytes / 8, META_BYTES_GUESS),
        })
    }

    fn blocks(&self, residence: Residence) -> &Region<BlockKey, Arc<Block>> {
        match residence {
            Residence::Shared => &self.blocks,
            Residence::InMemory => &self.in_memory_blocks,
        }
    }

    fn metas(&self, residence: Residence) -> &Region<(u64, MetaPart), MetaEntry> {
        match residence {
            Residence::Shared => &self.meta,
            Residence::InMemory => &self.in_memory_meta,
        }
    }

    pub(crate) fn block(&self, file: u64, block: u32, of: Residence) -> Option<Arc<Block>> {
        self.blocks(of).get(&BlockKey { file, block })
    }

    pub(crate) fn insert_block(&self, file: u64, block: Arc<Block>, of: Residence) {
        let weight = block.resident_bytes() as u64;
        self.blocks(of).insert(BlockKey { file, block: block.number() }, block, weight);
    }

    /// A cached block grew.
    pub(crate) fn reweigh_block(&self, file: u64, block: u32, of: Residence) {
        self.blocks(of)
            .reweigh(BlockKey { file, block }, |block: &Arc<Block>| block.resident_bytes() as u64);
    }

    pub(crate) fn meta(&self, file: u64, part: MetaPart, of: Residence) -> Option<MetaEntry> {
        self.metas(of).get(&(file, part))
    }

    pub(crate) fn insert_meta(&self, file: u64, part: MetaPart, entry: MetaEntry, of: Residence) {
        let weight = entry.resident_bytes() as u64;
        self.metas(of).insert((file, part), entry, weight);
    }

    /// Drops one block.
    pub(crate) fn remove_block(&self, file: u64, block: u32) {
        self.blocks.remove(&BlockKey { file, block });
        self.in_memory_blocks.remove(&BlockKey { file, block });
    }

    /// Drops one part.
    pub(crate) fn remove_meta(&self, file: u64, part: MetaPart) {
        self.meta.remove(&(file, part));
        self.in_memory_meta.remove(&(file, part));
    }

    /// Drops everything.
    pub fn clear(&self) {
        self.blocks.clear();
        self.meta.clear();
        self.in_memory_blocks.clear();
        self.in_memory_meta.clear();
    }

    /// Counters and sizes.
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            data: self.blocks.stats(),
            meta: self.meta.stats(),
            in_memory: self.in_memory_blocks.stats(),
        }
    }
}
