//! Starting: the lease, METADATA, then the users' log (rule 18's order).
//!
//! The root row comes from the lock service, METADATA's newer rows from its log; then METADATA says which
//! tablets this server has and from where on their records count, and the users' log is sorted into one
//! memtable a tablet. A tablet serves once the master loads it; until then its memtable waits here, and the
//! log keeps its records. A tablet whose split was begun counts as its two children from the beginning, one that was being
//! merged only if its neighbour does not have its rows; and METADATA says the same before the server is there for anyone
//! (rule 19).

use super::background::{Background, Job};
use super::delete_range;
use super::directory::DataDirectory;
use super::files::TableFiles;
use super::hybrid_clock::HybridClock;
use super::line::{CommitLine, RECORD_MUTATION, RECORD_RANGE_DELETE};
use super::options::ServerOptions;
use super::purges::{Purges, note_key};
use super::requests::Requests;
use super::row_locks::RowLocks;
use super::split::ChangeCounters;
use super::throttle::Throttle;
use super::{Pins, TabletServer};
use crate::cache::BlockCache;
use crate::log::{CommitLog, LogIdentity, LogOptions, Record, Replay};
use crate::memtable::{Memtable, RangeDelete};
use crate::scan::{Piece, Scan, ScanOptions};
use crate::tablet::Tablet;
use crate::tablet::directory::{HeldSchemas, TabletDirectory};
use crate::tablet::group_version::GroupVersion;
use crate::tablet::version::Version;
use bytes::Bytes;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use terrane_client::columns::value_at;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::lock::{Change, Compare, Lease, LockService, Outcome, Transaction};
use terrane_client::metadata::{self, ROOT_KEY, TabletRow, codec, column, settled};
use terrane_client::read::{Projected, ScanRequest};
use terrane_client::row::RowChange;
use terrane_client::service::TabletName;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::Env;

/// What recovery found of one tablet.
pub(super) struct Recovered {
    /// Its METADATA row.
    pub(super) row: TabletRow,
    /// Records above its redo point.
    pub(super) memtable: Arc<Memtable>,
    /// Some of them change maps: they are not a memtable's as they are.
    pub(super) has_map_changes: Cell<bool>,
}

/// What every record and row raises.
#[derive(Debug, Default)]
struct Maxima {
    seq: Seq,
    commit_ts: CommitTs,
}

impl Maxima {
    fn see_row(&mut self, row: &TabletRow) {
        self.seq = self.seq.max(row.max_seq);
        self.commit_ts = self.commit_ts.max(row.max_commit_ts).max(row.gc_floor);
        for group in &row.groups {
            self.seq = self.seq.max(group.redo_point);
        }
    }
}

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

        let path = directory.metadata_log(name);
        let (log, replay) = opener.open(&path, options.metadata_log.clone())?;
        let (metadata_found, maxima) = replay_into(replay, vec![root], &requests)?;
        let metadata_line = line((log, &options.metadata_log), &maxima);
        let tablets = TabletDirectory::default();
        let cache = BlockCache::new(options.cache);
        let files = TableFiles::new(env.clone(), directory.clone(), cache, lease.generation);
        for Recovered { row, memtable, .. } in metadata_found.into_values() {
            memtable_bytes.fetch_add(memtable.bytes(), Ordering::Relaxed);
            let group = LocalityGroupId::default();
            let runs = files.open_runs(&row, group)?;
            requests.recovered_in(&runs, clock.wall_micros())?;
            let group = GroupVersion::new(group, memtable, runs);
            let version = Version::new(row.gc_floor, vec![group]);
            let schemas = HeldSchemas::new(Arc::new(metadata::schema()).into());
            let since = env.clock.monotonic();
            tablets.add(Arc::new(Tablet::new(row, version, since)), schemas);
        }
        let rows = metadata_rows(&tablets)?;
        files.sweep(&rows)?;
        let split: Vec<TabletName> = rows
            .iter()
            .filter(|row| row.split.is_some() && row.server == name)
            .map(named)
            .collect();
        let merging: Vec<TabletName> = rows
            .iter()
            .filter(|row| row.merge.is_some() && row.server == name)
            .map(named)
            .collect();
        let rows = settled(rows);
        files.references.count(&rows);

        let own = rows.into_iter().filter(|row| row.server == name && !is_metadata(row)).collect();
        let path = directory.users_log(name);
        let began = env.clock.monotonic();
        let (log, replay) = opener.open(&path, options.users_log.clone())?;
        let (recovered, maxima) = replay_into(replay, own, &requests)?;
        let replayed_for = env.clock.monotonic().saturating_sub(began);
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
        let value = serde_json::to_vec(&row)
            .map_err(|error| TabletError::Internal(format!("cannot write the root: {error}")))?;
        let transaction = Transaction {
            compares: vec![Compare { key: ROOT_KEY.to_owned(), revision }],
            changes: vec![Change::Put { key: ROOT_KEY.to_owned(), value: value.into() }],
        };
        if let Outcome::Committed(_) = lock.commit(transaction).await? {
            return Ok(row);
        }
    }
}

/// The tablets of one table, by the end of their range: where a record belongs.
type Routes = HashMap<StorageId, BTreeMap<RangeEnd, usize>>;

/// The end of a range; unbounded sorts last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum RangeEnd {
    Before(Bytes),
    Unbounded,
}

/// Sorts a log's records into the tablets of `rows`.
fn replay_into(
    mut replay: Replay,
    rows: Vec<TabletRow>,
    requests: &Requests,
) -> Result<(HashMap<TabletName, Recovered>, Maxima), TabletError> {
    let mut maxima = Maxima { seq: replay.report().last_seq, ..Maxima::default() };
    let mut routes = Routes::new();
    let mut found: Vec<Recovered> = Vec::with_capacity(rows.len());
    for row in rows {
        maxima.see_row(&row);
        let end = match &row.end {
            Some(end) => RangeEnd::Before(Bytes::from(end.clone())),
            None => RangeEnd::Unbounded,
        };
        routes.entry(row.table).or_default().insert(end, found.len());
        let memtable = Arc::new(Memtable::new());
        found.push(Recovered { row, memtable, has_map_changes: Cell::new(false) });
    }
    if let Some(redo) = found.iter().map(|tablet| redo_point(&tablet.row)).min() {
        replay.skip_through(redo);
    }
    for record in replay {
        let record = record?;
        maxima.seq = maxima.seq.max(record.seq);
        maxima.commit_ts = maxima.commit_ts.max(record.commit_ts);
        requests.recovered(record.request, record.commit_ts);
        match record.kind {
            RECORD_MUTATION => {
                if let Some(place) = route(&routes, &found, &record) {
                    apply(&found[place], &record);
                }
            }
            RECORD_RANGE_DELETE => apply_range(&routes, &found, &record)?,
            kind => {
                let text = format!("the log holds a record of unknown kind {kind}");
                return Err(TabletError::Unavailable(text));
            }
        }
    }
    let found = found.into_iter().map(|tablet| (named(&tablet.row), tablet));
    Ok((found.collect(), maxima))
}

fn named(row: &TabletRow) -> TabletName {
    TabletName { table: row.table, end: row.end.clone().map(Bytes::from) }
}

/// Everything up to this is in the tablet's runs.
pub(super) fn redo_point(row: &TabletRow) -> Seq {
    row.groups.iter().map(|group| group.redo_point).min().unwrap_or_default()
}

/// The tablet a record is of; none if its table was dropped.
fn route(routes: &Routes, found: &[Recovered], record: &Record) -> Option<usize> {
    use std::ops::Bound::{Excluded, Unbounded};
    let after = (Excluded(RangeEnd::Before(record.key.clone())), Unbounded);
    let (_, place) = routes.get(&record.table)?.range(after).next()?;
    found[*place].row.contains(&record.key).then_some(*place)
}

fn apply(tablet: &Recovered, record: &Record) {
    if record.seq > redo_point(&tablet.row) {
        let Record { key, seq, commit_ts, payload, .. } = record;
        tablet.memtable.insert(key, *seq, *commit_ts, payload);
        tablet.memtable.remember(record.request);
        if RowChange::has_map_changes(payload) {
            tablet.has_map_changes.set(true);
        }
    }
}

/// Gives each tablet that a range delete meets its part of it.
fn apply_range(routes: &Routes, found: &[Recovered], record: &Record) -> Result<(), TabletError> {
    use std::ops::Bound::{Excluded, Unbounded};
    let range = delete_range::range_of(record)?;
    let Some(tablets) = routes.get(&record.table) else { return Ok(()) };
    let after = (Excluded(RangeEnd::Before(range.start.clone())), Unbounded);
    for (_, place) in tablets.range(after) {
        let Recovered { row, memtable, .. } = &found[*place];
        let inside = range.intersect(&row.key_range());
        if range.end.as_ref().is_some_and(|end| row.start.as_slice() >= &end[..]) {
            break;
        }
        if !inside.is_empty() && record.seq > redo_point(row) {
            let Record { seq, commit_ts, .. } = *record;
            memtable.delete_range(RangeDelete { range: inside, seq, commit_ts });
            memtable.remember(record.request);
        }
    }
    Ok(())
}

fn is_metadata(row: &TabletRow) -> bool {
    row.table == StorageId::METADATA
}

/// Every tablet of every table, METADATA's own included, as this server knows them.
fn metadata_rows(tablets: &TabletDirectory) -> Result<Vec<TabletRow>, TabletError> {
    let schema = Arc::new(metadata::schema());
    let mut rows = Vec::new();
    for tablet in tablets.table(StorageId::METADATA)?.tablets() {
        rows.push(tablet.row());
        let request = ScanRequest {
            versions: Default::default(),
            table: tablet.table,
            schema_version: schema.version,
            read_ts: None,
            ranges: vec![tablet.range.clone()],
            projection: vec![Projected::Column(column::STATE)],
            map_parts: Default::default(),
            predicates: Vec::new(),
            limit: None,
            reverse: false,
            batch_rows_max: 1024,
        };
        let sources = tablet.version().default_group().sources.clone();
        let groups = vec![(LocalityGroupId::default(), sources)];
        let pieces = vec![Piece { groups, range: tablet.range.clone() }];
        let (schema, metrics) = (schema.clone(), Arc::default());
        let options = ScanOptions::default();
        for batch in Scan::new(&request, schema, CommitTs::MAX, pieces, options, metrics)? {
            let batch = batch?;
            for i in 0..batch.num_rows() {
                match value_at(batch.column(0), i, &DataType::Jsonb) {
                    Ok(Value::Text(state)) => rows.push(codec::parse_state(state.as_bytes())?),
                    other => {
                        let text = format!("a METADATA row without state: {other:?}");
                        return Err(TabletError::Internal(text));
                    }
                }
            }
        }
    }
    Ok(rows)
}
