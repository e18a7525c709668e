//! What tablet servers say of themselves and of what they serve: for the tables of schema `terrane`, and for sizes.
//!
//! Plain numbers of one moment. Counters count from the server's start.

use crate::ids::{CommitTs, LocalityGroupId, Seq};
use crate::metadata::TabletRow;
use serde::{Deserialize, Serialize};

/// A tablet as its server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletStatus {
    /// Its METADATA row, as last written.
    pub row: TabletRow,
    /// Bytes in the active and frozen memtables.
    pub memtable_bytes: u64,
    /// The same, by locality group.
    pub groups: Vec<GroupMemory>,
    /// Frozen memtables not yet flushed.
    pub frozen: u32,
}

/// What memory holds of a locality group of a tablet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMemory {
    /// Which group.
    pub group: LocalityGroupId,
    /// Bytes in its active and frozen memtables.
    pub memtable_bytes: u64,
}

/// A tablet server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name, as METADATA has it.
    pub name: String,
    /// Tablets it serves.
    pub tablets: u64,
    /// Bytes of all memtables, active and frozen.
    pub memtable_bytes: u64,
    /// Their budget.
    pub memtable_budget_bytes: u64,
    /// Runs of the tablet that has the most.
    pub runs_most: u64,
    /// How far behind flushing and merging are, from 0 to 1: what writers are slowed by.
    pub pressure: f64,
    /// Delay given to writers, all together, in microseconds.
    pub delayed_micros: u64,
    /// The timestamp that users' tables are read at.
    pub visible_ts: CommitTs,
    /// The parts of its block cache.
    pub caches: Vec<CacheStatus>,
    /// Its commit logs.
    pub logs: Vec<LogStatus>,
}

/// A part of a block cache with a budget of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStatus {
    /// What is in it: `data` blocks, those of `in_memory` groups, or the `meta` of files: indexes, filters, zone maps.
    pub region: String,
    /// Bytes that may be held.
    pub capacity_bytes: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Entries held.
    pub entries: u64,
    /// Lookups that found their entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
}

/// A commit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// `users`, or METADATA's: `metadata`.
    pub name: String,
    /// Segments that are part of the log.
    pub segments: u64,
    /// Their size in bytes.
    pub segment_bytes: u64,
    /// Space promised to commits that are not placed yet, in bytes.
    pub reserved_bytes: u64,
    /// Commits appended.
    pub commits: u64,
    /// Groups made durable: one write, one sync.
    pub groups: u64,
    /// Bytes of frames made durable, headers included.
    pub bytes_written: u64,
    /// Groups written again to a new segment after a failed write or sync.
    pub resent: u64,
    /// Segments taken into use.
    pub segments_started: u64,
    /// Of these, files used before.
    pub segments_recycled: u64,
    /// Largest sequence number appended.
    pub last_seq: Seq,
    /// Largest sequence number that is durable.
    pub durable_seq: Seq,
}
