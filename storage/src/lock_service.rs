//! The embedded lock service: Chubby's part for a cluster that is one process.
//!
//! A small ordered key-value store with one revision counter ([`terrane_client::lock`] is the contract): the root
//! tablet's METADATA row, table schemas, the generations of leases. docs/format-lock-service.md has the bytes.
//!
//! Contract: linearizable, and durable before it answers. A transaction's compares see everything sequenced before
//! it; reads see only what is durable, and so does whoever is told of a conflict. A generation is durable before its
//! lease is given, so none is given twice, whatever crashes. Leases end with the process: whoever opens the
//! directory holds its LOCK, so no other can live on.
//!
//! Concurrency: a transaction is checked, appended to a commit log of the service's own and applied to the latest
//! map under one mutex; the log's sync thread applies it to the visible map once it is durable. So transactions share syncs,
//! and dropping a future changes nothing but who is told.
//!
//! Fault model: the log's ([`crate::log`]). From time to time all is written to a snapshot, which is durable under its
//! name before the log behind it is freed; a damaged one is reported, never skipped. After a log failure everything is refused.

mod snapshot;
mod store;

pub use snapshot::fuzz_decode;

use crate::log::inspect::LogView;
use crate::log::{
    CommitLog, LogError, LogIdentity, LogOptions, Record, RecordRef, Reservation, Ticket,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Applied, State, Store};
use terrane_client::ids::{CommitTs, Generation, RequestId, Seq, StorageId};
use terrane_client::lock::{
    Change, Lease, LockError, LockService, Outcome, Transaction, Versioned,
};
use terrane_env::Env;

/// A snapshot is taken when the log has grown by this much and by twice the last snapshot.
const SNAPSHOT_LOG_BYTES_MIN: u64 = 1 << 20;

/// A log of more segments when it is opened, as many short lives leave it, gets a snapshot with the first commit.
const SEGMENTS_MAX: u64 = 8;

/// Keys and values are small: segments are, too.
fn log_options() -> LogOptions {
    LogOptions {
        segment_bytes: 4 << 20,
        first_segment_bytes: 1 << 20,
        frame_bytes: 64 << 10,
        group_bytes: 64 << 10,
        commit_bytes_max: 64 << 20,
        ..LogOptions::default()
    }
}

/// A record's `kind` in the service's log.
mod kind {
    /// A key and its value.
    pub const PUT: u8 = 1;
    /// A key that is gone.
    pub const DELETE: u8 = 2;
    /// The last generation given: eight bytes.
    pub const GENERATION: u8 = 3;
}

/// See the module's documentation.
#[derive(Debug)]
pub struct EmbeddedLockService {
    env: Env,
    directory: PathBuf,
    log: CommitLog,
    store: Arc<Store>,
    /// Bytes the log had written when the last snapshot was tried, `None` where one is due; and that snapshot's
    /// size.
    snapshot: Mutex<(Option<u64>, u64)>,
}

impl EmbeddedLockService {
    /// Opens the service in `directory`, created if missing. The caller holds the data directory's LOCK.
    pub fn open(env: &Env, directory: &Path) -> Result<Self, LockError> {
        env.files.create_dir_all(directory).map_err(|error| from_log(error.into()))?;
        let snapshot = snapshot::load(env, directory)?.unwrap_or_default();
        let snapshot_bytes = snapshot.bytes();
        let mut state = State::new(snapshot);
        // One epoch for ever: the directory's LOCK fences, and segments are never numbered twice.
        let identity = LogIdentity { server: "lock-service".to_owned(), epoch: Generation(1) };
        let (log, replay) = CommitLog::open(env, &directory.join("log"), identity, log_options())
            .map_err(from_log)?;
        for record in replay {
            apply(&mut state, &record.map_err(from_log)?, &directory.join("log"))?;
        }
        let store = Arc::new(Store::new(state));
        let durable = Arc::downgrade(&store);
        log.on_durable(move |seq| {
            if let Some(store) = durable.upgrade() {
                store.make_visible(seq);
            }
        });
        let written = (log.stats().segments <= SEGMENTS_MAX).then_some(0);
        Ok(Self {
            env: env.clone(),
            directory: directory.to_owned(),
            log,
            store,
            snapshot: Mutex::new((written, snapshot_bytes)),
        })
    }

    /// Every key and its value in a directory that nobody has open; nothing there is changed.
    pub fn read_stopped(
        env: &Env,
        directory: &Path,
    ) -> Result<Vec<(String, Versioned)>, LockError> {
        let mut state = State::new(snapshot::newest(env, directory)?.unwrap_or_default());
        let path = directory.join("log");
        let view = LogView::of_directory(env, &path).map_err(from_log)?;
        let chain = view.chain().map_err(from_log)?;
        for record in view.records(chain) {
            apply(&mut state, &record.map_err(from_log)?, &path)?;
        }
        Ok(state.list(""))
    }

    /// Tells of changes below a prefix: the value is the revision of the last one. Changes in quick succession
    /// are told once; look again after each.
    pub fn watch(&self, prefix: &str) -> tokio::sync::watch::Receiver<u64> {
        self.store.watch(prefix)
    }

    fn reserve(&self, records: &[RecordRef<'_>]) -> Result<Reservation, LockError> {
        let bytes: usize = records.iter().map(RecordRef::encoded_bytes_max).sum();
        self.log.reserve(bytes as u64).map_err(from_log)
    }

    /// Appends records, numbering them, and notes what they do.
    fn append(
        &self,
        state: &mut State,
        reservation: Reservation,
        mut records: Vec<RecordRef<'_>>,
        applied: Applied,
    ) -> Result<Ticket, LockError> {
        let first = state.next_seq();
        for (record, seq) in records.iter_mut().zip(first..) {
            record.seq = Seq(seq);
            record.commit_ts = CommitTs(applied.revision.cast_signed());
        }
        let ticket = self.log.append(reservation, &records).map_err(from_log)?;
        state.apply(ticket.seq(), applied);
        Ok(ticket)
    }

    /// Checks and appends a transaction; its outcome counts once the ticket is durable.
    fn sequence(&self, transaction: Transaction) -> Result<(Outcome, Ticket), LockError> {
        let records: Vec<RecordRef<'_>> = transaction.changes.iter().map(record_of).collect();
        let reservation = self.reserve(&records)?;
        let mut state = self.store.lock();
        let seen = self.log.ticket(Seq(state.next_seq() - 1));
        if !state.holds(&transaction.compares) {
            return Ok((Outcome::Conflict, seen));
        }
        if records.is_empty() {
            return Ok((Outcome::Committed(state.revision()), seen));
        }
        let revision = state.revision() + 1;
        let changes = transaction.changes.clone();
        let applied = Applied { revision, changes, generation: state.generation() };
        let ticket = self.append(&mut state, reservation, records, applied)?;
        Ok((Outcome::Committed(revision), ticket))
    }

    /// Writes a snapshot if the log has grown enough; the log is freed behind it. A failure is logged and
    /// tried again later: the log still has everything.
    fn snapshot_if_due(&self) {
        let Some(mut last) = self.snapshot.try_lock() else { return };
        let written = self.log.stats().bytes_written;
        let growth = last.0.map(|before| written - before);
        if growth.is_some_and(|growth| growth < SNAPSHOT_LOG_BYTES_MIN.max(2 * last.1)) {
            return;
        }
        last.0 = Some(written);
        let snapshot = self.store.snapshot();
        match snapshot::save(&self.env, &self.directory, &snapshot) {
            Ok(bytes) => {
                last.1 = bytes;
                self.log.retire(Seq(snapshot.seq));
            }
            Err(error) => tracing::warn!("no snapshot of the lock service: {error}"),
        }
    }
}

/// Applies a record read back from the log in `log`.
fn apply(state: &mut State, record: &Record, log: &Path) -> Result<(), LockError> {
    state.replay(record).map_err(|what| LockError::Corruption {
        file: log.display().to_string(),
        offset: 0,
        what,
    })
}

/// The record of a change, not numbered yet.
fn record_of(change: &Change) -> RecordRef<'_> {
    match change {
        Change::Put { key, value } => record(kind::PUT, key.as_bytes(), value),
        Change::Delete { key } => record(kind::DELETE, key.as_bytes(), &[]),
    }
}

fn record<'a>(kind: u8, key: &'a [u8], payload: &'a [u8]) -> RecordRef<'a> {
    RecordRef {
        table: StorageId(0),
        seq: Seq(0),
        commit_ts: CommitTs(0),
        request: RequestId::default(),
        kind,
        key,
        payload,
    }
}

/// A log's error, before or without a commit.
fn from_log(error: LogError) -> LockError {
    let text = error.to_string();
    match error {
        LogError::Corruption { file, offset, what } => {
            LockError::Corruption { file: file.display().to_string(), offset, what }
        }
        LogError::Full(_) => LockError::DiskFull(text),
        LogError::OutcomeUnknown(_) => LockError::OutcomeUnknown(text),
        _ => LockError::Unavailable(text),
    }
}

#[async_trait]
impl LockService for EmbeddedLockService {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, LockError> {
        Ok(self.store.lock().get(key))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, LockError> {
        Ok(self.store.lock().list(prefix))
    }

    async fn commit(&self, transaction: Transaction) -> Result<Outcome, LockError> {
        let (outcome, ticket) = self.sequence(transaction)?;
        ticket.await.map_err(from_log)?;
        self.snapshot_if_due();
        Ok(outcome)
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, LockError> {
        let held = || LockError::LeaseHeld(holder.to_owned());
        let payload = [0; 8];
        let reservation = self.reserve(&[record(kind::GENERATION, &[], &payload)])?;
        let (generation, ticket) = {
            let mut state = self.store.lock();
            if state.is_held(holder) {
                return Err(held());
            }
            let generation = Generation(state.generation().0 + 1);
            let payload = generation.0.to_le_bytes();
            let records = vec![record(kind::GENERATION, &[], &payload)];
            let applied = Applied { revision: state.revision(), changes: Vec::new(), generation };
            (generation, self.append(&mut state, reservation, records, applied)?)
        };
        ticket.await.map_err(from_log)?;
        // Only now: a lease whose taker has gone away while it waited would be held by no one.
        if !self.store.lock().hold(holder, generation) {
            return Err(held());
        }
        Ok(Lease { holder: holder.to_owned(), generation })
    }

    async fn release_lease(&self, lease: &Lease) -> Result<(), LockError> {
        self.store.lock().release(lease);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
