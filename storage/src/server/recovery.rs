//! Starting: the lease, METADATA, then the users' log (rule 18's order).
//!
//! METADATA's tablets come first ([`super::metadata_level`]); then METADATA says which
//! tablets this server has and from where on their records count, and the users' log is sorted into one
//! memtable a tablet. A tablet serves once the master loads it; until then its memtable waits here, and the
//! log keeps its records. A tablet whose split was begun counts as its two children from the beginning, one that was being
//! merged only if its neighbour does not have its rows; and METADATA says the same before the server is there for anyone
//! (rule 19).

use super::background::{Background, Job};
use super::directory::DataDirectory;
use super::files::TableFiles;
use super::hybrid_clock::HybridClock;
use super::line::CommitLine;
use super::metadata_level::MetadataLevel;
use super::options::ServerOptions;
use super::purges::{Purges, note_key};
use super::requests::Requests;
use super::row_locks::RowLocks;
use super::sorting::{Maxima, named, replay_into, replay_root};
use super::split::ChangeCounters;
use super::throttle::Throttle;
use super::{Pins, TabletServer};
use crate::cache::BlockCache;
use crate::log::{CommitLog, LogIdentity, LogOptions, Replay};
use crate::tablet::directory::TabletDirectory;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;
use terrane_client::lock::{Lease, LockService, Outcome};
use terrane_client::metadata::{self, ROOT_KEY, TabletRow, codec, edit, settled};
use terrane_client::service::TabletName;
use terrane_env::Env;

impl TabletServer {
    /// Opens the server in a data directory that this process owns. METADATA is served when this returns;
    /// the other tablets once the master loads them.
    pub async fn open(
        env: Env,
        directory: Arc<DataDirectory>,
        name: &str,
        lock: Arc<dyn LockService>,
        options: ServerOptions,
    ) -> Result<Arc<Self>, TabletError> {
        let lease = lock.acquire_lease(name).await?;
        let clock = Arc::new(HybridClock::new(env.clock.clone()));
        let requests = Requests::default();
        let root = take_root(&*lock, name, &lease).await?;
        let is_noted = lock.get(&note_key(name)).await?.is_some();
        let mut options = options;
        if is_noted {
            // Files that are not part of the logs any more may hold what has to be purged.
            options.users_log.spare_segments_max = 0;
            options.metadata_log.spare_segments_max = 0;
        }
        let opener = LogOpener { env: &env, name, lease: &lease };
        let memtable_bytes = Arc::new(AtomicUsize::new(0));
        let line = |log: (CommitLog, &LogOptions), maxima: &Maxima| {
            clock.observe(maxima.commit_ts);
            let (bytes, step) = (memtable_bytes.clone(), log.1.segment_bytes);
            CommitLine::new(log.0, env.clone(), clock.clone(), bytes, step, maxima.seq)
        };

        let began = env.clock.monotonic();
        let path = directory.metadata_log(name);
        let (log, replay) = opener.open(&path, options.metadata_log.clone())?;
        let (root, others, mut maxima) = replay_root(replay, root, &requests)?;
        let tablets = TabletDirectory::default();
        let cache = BlockCache::new(options.cache);
        let files = TableFiles::new(env.clone(), directory.clone(), cache, lease.generation);
        let level = MetadataLevel {
            env: &env,
            tablets: &tablets,
            files: &files,
            requests: &requests,
            memtable_bytes: &memtable_bytes,
            now_micros: clock.wall_micros(),
        };
        let metadata = level.open(root, &others, &mut maxima)?;
        drop(others);
        let metadata_line = line((log, &options.metadata_log), &maxima);
        let metadata_opening_for = env.clock.monotonic().saturating_sub(began);
        files.sweep(&metadata.rows)?;
        let begun = |is_begun: fn(&TabletRow) -> bool| -> Vec<TabletName> {
            let own = metadata.rows.iter().filter(|row| row.server == name && !is_metadata(row));
            own.filter(|row| is_begun(row)).map(named).collect()
        };
        let split = begun(|row| row.split.is_some());
        let merging = begun(|row| row.merge.is_some());
        let rows = settled(metadata.rows.clone());
        files.references.count(&rows);

        let own = rows.into_iter().filter(|row| row.server == name && !is_metadata(row)).collect();
        let path = directory.users_log(name);
        let began = env.clock.monotonic();
        let (log, replay) = opener.open(&path, options.users_log.clone())?;
        let (recovered, maxima) = replay_into(replay, own, &requests)?;
        let replayed_for = env.clock.monotonic().saturating_sub(began);
        let recovered = recovered.into_iter().map(|tablet| (named(&tablet.row), tablet)).collect();
        let users_line = line((log, &options.users_log), &maxima);

        let purges = Purges::new(is_noted, clock.wall_micros());
        let server = Arc::new(Self {
            name: name.to_owned(),
            throttle: Throttle::new(options.delay_max),
            background: Arc::new(Background::new(options.quiet_after)),
            env,
            options,
            directory,
            lock,
            lease,
            clock,
            metadata_line,
            users_line,
            tablets,
            recovered: parking_lot::Mutex::new(recovered),
            row_locks: RowLocks::default(),
            requests,
            pins: Arc::new(Pins::default()),
            files,
            memtable_bytes,
            is_freezing: AtomicBool::new(false),
            was_tight: AtomicBool::new(false),
            runs_most: AtomicUsize::new(0),
            splits: ChangeCounters::default(),
            tablet_merges: ChangeCounters::default(),
            small_looked_for: parking_lot::Mutex::default(),
            jobs: super::jobs::Jobs::default(),
            purges,
            replayed_for,
            closed: AtomicBool::new(false),
        });
        server.take_metadata(&metadata, metadata_opening_for).await?;
        for parent in &split {
            server.roll_forward(parent).await?;
        }
        for left in &merging {
            server.settle_merge(left).await?;
        }
        server.background.start(&server.env, &Arc::downgrade(&server))?;
        if is_noted {
            server.background.wake(Job::Purge);
        }
        Ok(server)
    }
}

/// Opens logs in this server's name and epoch.
struct LogOpener<'a> {
    env: &'a Env,
    name: &'a str,
    lease: &'a Lease,
}

impl LogOpener<'_> {
    fn open(
        &self,
        directory: &Path,
        options: LogOptions,
    ) -> Result<(CommitLog, Replay), TabletError> {
        let identity = LogIdentity { server: self.name.to_owned(), epoch: self.lease.generation };
        Ok(CommitLog::open(self.env, directory, identity, options)?)
    }
}

/// Makes METADATA's first tablet this server's, under its lease's generation. An edit that the server before
/// had under way may still land: the row is read again then. Once it is taken, such an edit meets a revision
/// that it has not seen, and fails.
async fn take_root(
    lock: &dyn LockService,
    name: &str,
    lease: &Lease,
) -> Result<TabletRow, TabletError> {
    loop {
        let (mut row, revision) = match lock.get(ROOT_KEY).await? {
            None => {
                (TabletRow::empty(&metadata::schema(), Vec::new(), None, name, lease.generation), 0)
            }
            Some(stored) => (codec::parse_state(&stored.value)?, stored.revision),
        };
        if row.generation > lease.generation {
            let message = "another server has taken the root tablet".to_owned();
            return Err(TabletError::Unavailable(message));
        }
        if revision > 0 {
            row.server = name.to_owned();
            row.generation = lease.generation;
            row.version += 1;
        }
        let transaction = edit::root_transaction(&row, revision)?;
        if let Outcome::Committed(_) = lock.commit(transaction).await? {
            return Ok(row);
        }
    }
}

fn is_metadata(row: &TabletRow) -> bool {
    row.table == StorageId::METADATA
}
