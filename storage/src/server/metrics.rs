//! What a server is doing, in numbers.

use super::TabletServer;
use crate::cache::CacheStats;
use crate::log::LogStats;
use std::sync::atomic::Ordering;
use std::time::Duration;
use terrane_client::ids::CommitTs;

/// A server's state at one moment, and its counters since it started.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    /// Bytes of all memtables, active and frozen.
    pub memtable_bytes: usize,
    /// Their budget.
    pub memtable_budget: usize,
    /// Runs of the tablet that has the most.
    pub runs_most: usize,
    /// How far behind flushing and merging are, from 0 to 1: what writers are slowed by.
    pub pressure: f64,
    /// Delay given to writers so far, all together.
    pub delayed: Duration,
    /// Tablets split.
    pub splits: u64,
    /// The longest that one of these splits has kept commits waiting.
    pub split_pause_longest: Duration,
    /// Pairs of tablets merged.
    pub merges: u64,
    /// The longest that one of these merges has kept commits waiting.
    pub merge_pause_longest: Duration,
    /// The timestamp that clients read users' tables at.
    pub visible_ts: CommitTs,
    /// METADATA's commit log.
    pub metadata_log: LogStats,
    /// The users' commit log.
    pub users_log: LogStats,
    /// The block cache.
    pub cache: CacheStats,
}

impl TabletServer {
    /// The server's metrics.
    pub fn metrics(&self) -> ServerMetrics {
        let backlog = self.backlog();
        let (splits, split_pause_longest) = self.splits.get();
        let (merges, merge_pause_longest) = self.tablet_merges.get();
        ServerMetrics {
            memtable_bytes: backlog.memtable_bytes,
            memtable_budget: backlog.memtable_budget,
            runs_most: self.runs_most.load(Ordering::Relaxed),
            pressure: backlog.pressure(),
            delayed: self.throttle.delayed(),
            splits,
            split_pause_longest,
            merges,
            merge_pause_longest,
            visible_ts: self.users_line.visible_ts(),
            metadata_log: self.metadata_line.log().stats(),
            users_log: self.users_line.log().stats(),
            cache: self.files.cache().stats(),
        }
    }
}
