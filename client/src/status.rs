//! What tablet servers say of themselves and of what they serve: for the tables of schema `terrane`, and for sizes.
//!
//! Plain numbers of one moment. Counters count from the server's start.

use crate::ids::{CommitTs, LocalityGroupId, Seq, StorageId};
use crate::metadata::events::EventKind;
use crate::metadata::{FileRow, GroupRow, TabletRow};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A tablet as its server sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletStatus {
    /// Its METADATA row, as last written.
    pub row: TabletRow,
    /// About how many bytes of its files are its own: those that lie inside its range.
    pub disk_bytes: u64,
    /// About how many row versions of the default group's files lie inside its range.
    pub rows: u64,
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

/// The files of some tablets with their tables and locality groups, each once: tablets that were one name the same
/// files until they are merged.
pub fn distinct_files<'t>(
    tablets: impl IntoIterator<Item = &'t TabletStatus>,
) -> impl Iterator<Item = (StorageId, LocalityGroupId, &'t FileRow)> {
    let mut seen: HashSet<(StorageId, &str)> = HashSet::new();
    let of_tablet = |TabletStatus { row, .. }: &'t TabletStatus| {
        let files = |group: &'t GroupRow| {
            let files = group.runs.iter().flat_map(|run| &run.files);
            files.map(|file| (row.table, group.group, file))
        };
        row.groups.iter().flat_map(files)
    };
    let files = tablets.into_iter().flat_map(of_tablet);
    files.filter(move |(table, _, file)| seen.insert((*table, &file.name)))
}

/// Bytes of some tablets in files and in memory.
pub fn stored_bytes<'t>(tablets: impl Iterator<Item = &'t TabletStatus> + Clone) -> u64 {
    let files: u64 = distinct_files(tablets.clone()).map(|(.., file)| file.size_bytes).sum();
    files + tablets.map(|tablet| tablet.memtable_bytes).sum::<u64>()
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
    /// What is at work in the background, and what waits.
    pub jobs: Vec<JobStatus>,
    /// Compactions under way and the last ones that were, newest first.
    pub compactions: Vec<CompactionStatus>,
    /// How far the tablets of tables that promise it are purged.
    pub purges: Vec<PurgeStatus>,
}

/// How far a tablet whose table promises to purge is purged (rule 13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeStatus {
    /// The tablet; `None` for what was dropped and is left in the server's commit log.
    pub tablet: Option<TabletRange>,
    /// The promise: how long after its death something is gone, in microseconds.
    pub within_micros: i64,
    /// Whether there may be something dead that is still stored.
    pub is_pending: bool,
    /// What was dead by then is gone: microseconds since 1970-01-01 UTC. `None` until the first purge.
    pub purged_to_micros: Option<i64>,
    /// By when the oldest that may be left has to be gone; `None` where nothing is.
    pub deadline_micros: Option<i64>,
    /// When the last purge was done.
    pub done_at_micros: Option<i64>,
    /// The oldest open read, where it keeps something that would go otherwise: microseconds since 1970-01-01 UTC. It
    /// is ended before the deadline.
    pub open_read_micros: Option<i64>,
    /// Why the last purge failed; it is tried again.
    pub error: Option<String>,
}

/// Work on a tablet that is under way or waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// What is done.
    pub kind: EventKind,
    /// Whether it is under way.
    pub is_running: bool,
    /// The tablet.
    pub tablet: TabletRange,
    /// The locality group, if it is of one.
    pub group: Option<LocalityGroupId>,
    /// Why it is done.
    pub reason: String,
    /// When it began: microseconds since 1970-01-01 UTC.
    pub started_micros: Option<i64>,
    /// Bytes that it has to go through.
    pub input_bytes: u64,
    /// What part of it is done, from 0 to 1, where that is known.
    pub progress: Option<f64>,
}

/// A tablet by its table and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletRange {
    /// The table.
    pub table: StorageId,
    /// First key inside.
    pub start: Vec<u8>,
    /// First key outside; `None` is the table's last tablet.
    pub end: Option<Vec<u8>>,
}

/// A compaction that is under way or was lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompactionStatus {
    /// The tablet as it was.
    pub tablet: TabletRange,
    /// The locality group.
    pub group: LocalityGroupId,
    /// Everything became one run, and what no read needs went.
    pub is_major: bool,
    /// Why it is done.
    pub reason: String,
    /// How it stands.
    pub state: CompactionState,
    /// When it began: microseconds since 1970-01-01 UTC.
    pub started_micros: i64,
    /// How long it took, or has taken so far, in microseconds.
    pub micros: u64,
    /// Runs that it reads.
    pub runs: u64,
    /// Their bytes.
    pub input_bytes: u64,
    /// Their row versions, and how many of them have been read.
    pub input_rows: u64,
    /// See `input_rows`.
    pub read_rows: u64,
    /// Files that it has written.
    pub output_files: u64,
    /// Their bytes.
    pub output_bytes: u64,
    /// Their row versions.
    pub output_rows: u64,
}

/// How a compaction stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompactionState {
    /// Under way.
    Running,
    /// Its files are the tablet's.
    Done,
    /// It has changed nothing, and why.
    Failed(String),
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
