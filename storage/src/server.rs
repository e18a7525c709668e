//! The tablet server: what [`TabletService`](terrane_client::service::TabletService) promises, kept with
//! a commit log, memtables and SSTables.
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | what can be tuned |
//! | [`directory`] | the data directory: format, lock, paths |
//! | [`hybrid_clock`] | commit timestamps |
//! | [`line`] | a commit log and the order of its commits |
//! | [`row_locks`], [`requests`], [`pins`], [`throttle`] | who may write a row; retries; open reads; back-pressure |
//! | [`delete_range`] | deleting ranges of keys |
//! | [`modify`], `places`, `row_reads`, [`reading`], [`sampling`] | writing and reading |
//! | [`recovery`], [`sorting`], [`metadata_level`] | starting: the logs, METADATA's tablets |
//! | [`loading`], [`edits`], [`files`] | tablets come and go; METADATA rows change; SSTables by name |
//! | [`split`], [`split_points`], [`merge`], [`small_tablets`], [`file_references`] | one tablet becomes two, which share its files; two become one |
//! | [`background`], [`flush`], [`compact`] | the background threads; memtables to files; fewer files |
//! | `purge`, `purges` | what is dead leaves the files in time, where that is promised; how far that is |
//! | `jobs` | what is at work, and what waits |
//! | [`service`], [`metrics`], `status` | the trait; the server in numbers; the same for clients |
//!
//! Fault model: the process may be killed, or the power cut, at any moment; what was acknowledged is
//! there afterwards and a commit is there whole or not at all. A failed log write stops writes, not reads.
//! Damage is reported with file and offset.

mod background;
mod compact;
pub mod delete_range;
pub mod directory;
mod edits;
mod file_references;
mod files;
mod flush;
pub mod hybrid_clock;
mod jobs;
pub mod line;
mod loading;
mod merge;
mod metadata_level;
pub mod metrics;
mod modify;
pub mod options;
pub mod pins;
mod places;
mod purge;
mod purges;
mod reading;
mod recovery;
pub mod requests;
mod row_ends;
pub mod row_locks;
mod row_reads;
mod sampling;
mod service;
mod small_tablets;
mod sorting;
mod split;
mod split_points;
mod status;
mod tablet_size;
pub mod throttle;

pub use directory::{DataDirectory, DirectoryError};
pub use metrics::ServerMetrics;
pub use options::ServerOptions;

use crate::tablet::Tablet;
use crate::tablet::directory::TabletDirectory;
use background::Background;
use files::TableFiles;
use hybrid_clock::HybridClock;
use jobs::Jobs;
use line::CommitLine;
use parking_lot::Mutex;
use pins::Pins;
use purges::Purges;
use requests::Requests;
use row_locks::RowLocks;
use sorting::Recovered;
use split::ChangeCounters;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::lock::{Lease, LockService};
use terrane_client::schema::reads_micros;
use terrane_client::service::TabletName;
use terrane_env::Env;
use throttle::{Backlog, Throttle};

/// See the module's documentation.
pub struct TabletServer {
    name: String,
    env: Env,
    options: ServerOptions,
    directory: Arc<DataDirectory>,
    lock: Arc<dyn LockService>,
    lease: Lease,
    clock: Arc<HybridClock>,
    /// METADATA's commits.
    metadata_line: CommitLine,
    /// Everyone else's.
    users_line: CommitLine,
    tablets: TabletDirectory,
    /// What the log held for tablets that are not loaded yet.
    recovered: Mutex<HashMap<TabletName, Recovered>>,
    row_locks: RowLocks,
    requests: Requests,
    pins: Arc<Pins>,
    throttle: Throttle,
    files: TableFiles,
    background: Arc<Background>,
    /// Bytes of all memtables.
    memtable_bytes: Arc<AtomicUsize>,
    /// A memtable was frozen because memory is tight, and is not flushed yet.
    is_freezing: AtomicBool,
    was_tight: AtomicBool,
    /// Runs of the tablet that has the most.
    runs_most: AtomicUsize,
    splits: ChangeCounters,
    tablet_merges: ChangeCounters,
    /// When it was last looked for neighbours to be merged.
    small_looked_for: Mutex<Duration>,
    jobs: Jobs,
    purges: Purges,
    /// How long the users' log was read at the start.
    replayed_for: Duration,
    closed: AtomicBool,
}

impl std::fmt::Debug for TabletServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TabletServer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TabletServer {
    /// Its name, as METADATA has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line a table's commits go to.
    fn line(&self, table: StorageId) -> &CommitLine {
        match table {
            StorageId::METADATA => &self.metadata_line,
            _ => &self.users_line,
        }
    }

    /// How far behind background work is.
    fn backlog(&self) -> Backlog {
        Backlog {
            memtable_bytes: self.memtable_bytes.load(Ordering::Relaxed),
            memtable_budget: self.options.memtable_bytes,
            runs: self.runs_most.load(Ordering::Relaxed),
        }
    }

    /// A place where a test lets the server fail, wait or crash.
    fn failpoint(&self, name: &str) -> Result<(), TabletError> {
        self.env.failpoints.hit(name).map_err(|error| TabletError::Io(error.to_string()))
    }

    /// What a flush or merge of a tablet now may drop versions up to: no read at or above it may change
    /// (rule 7).
    fn history_floor(&self, tablet: &Tablet) -> Result<CommitTs, TabletError> {
        let schema = self.tablets.table(tablet.table)?.current_schema();
        let now = self.clock.wall_micros();
        let kept = CommitTs(now.saturating_sub(schema.kept_micros()));
        let floor = self.open_floor(tablet.table).min(kept);
        Ok(match schema.purge_within_micros {
            None => floor,
            // Whoever reads longer is not waited for.
            Some(within) => {
                let oldest = CommitTs(now.saturating_sub(reads_micros(within)));
                floor.max(oldest.min(self.line(tablet.table).visible_ts()))
            }
        })
    }

    /// The oldest timestamp that someone reads at, or may begin to.
    fn open_floor(&self, table: StorageId) -> CommitTs {
        let visible = self.line(table).visible_ts();
        self.pins.oldest().map_or(visible, |pin| pin.min(visible))
    }

    /// Lets a tablet's new files stay in memory where their locality group says so. After they are published: this
    /// cannot fail, whatever has become of the table.
    fn keep_in_memory(&self, tablet: &Tablet) {
        if let Some(table) = self.tablets.get(tablet.table) {
            tablet.keep_in_memory(&table.schemas().layout);
        }
    }

    fn check_open(&self) -> Result<(), TabletError> {
        match self.closed.load(Ordering::Acquire) {
            true => Err(TabletError::Unavailable("the server is shutting down".to_owned())),
            false => Ok(()),
        }
    }

    /// Refuses new calls, syncs what was committed and ends the server's threads. Memtables are not
    /// flushed: the log has them.
    pub async fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        blocking::in_place(|| {
            self.background.stop();
            self.background.join();
            self.users_line.log().close();
            self.metadata_line.log().close();
        });
        if let Err(error) = self.lock.release_lease(&self.lease).await {
            tracing::warn!("lease of {} not given back: {error}", self.name);
        }
        self.directory.release();
    }
}

impl Drop for TabletServer {
    fn drop(&mut self) {
        // Not joined: this may be one of the threads.
        self.background.stop();
    }
}
