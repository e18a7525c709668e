//! Replacing a METADATA row in a stopped directory. It bypasses every rule there is, so that tests can inject
//! damage that no bug is known to make.
//!
//! The directory is opened as a server opens it, under a lease of its own, and one record is appended to
//! METADATA's log; the root's row is a value of the lock service and is put there. Nothing is checked but that the
//! row is one.

use super::{InspectError, metadata};
use crate::lock_service::EmbeddedLockService;
use crate::log::{CommitLog, LogIdentity, RecordRef};
use crate::server::line::RECORD_MUTATION;
use crate::server::{DataDirectory, ServerOptions};
use futures::executor::block_on;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, RequestId, Seq, StorageId};
use terrane_client::lock::{Change, LockError, LockService, Outcome, Transaction};
use terrane_client::metadata::{ROOT_KEY, TabletRow, codec};
use terrane_client::row::{ROW_COMPLETE, ROW_MARKER, RowMutation};
use terrane_env::Env;

/// Puts `row` where METADATA has the tablet of `table` that ends at `end`. Durable when it returns.
pub fn replace(
    env: &Env,
    directory: &DataDirectory,
    table: StorageId,
    end: Option<&[u8]>,
    row: &TabletRow,
) -> Result<(), InspectError> {
    let lock = EmbeddedLockService::open(env, &directory.lock_service())?;
    let stored = block_on(lock.get(ROOT_KEY))?.ok_or(InspectError::NoRoot)?;
    let root = codec::parse_state(&stored.value)
        .map_err(|error| InspectError::Value { place: ROOT_KEY.to_owned(), error })?;
    if table == StorageId::METADATA && end == root.end.as_deref() {
        return replace_root(&lock, row);
    }
    // What cannot be read any more has no say in how the record is numbered.
    let own = metadata::own_tablets(env, directory, &root).unwrap_or_default();
    let lease = block_on(lock.acquire_lease(&root.server))?;
    let identity = LogIdentity { server: root.server.clone(), epoch: lease.generation };
    let options = ServerOptions::default().metadata_log;
    let (log, mut replay) =
        CommitLog::open(env, &directory.metadata_log(&root.server), identity, options)?;
    let mut seq = replay.report().last_seq;
    let mut commit_ts = CommitTs::ABSENT;
    for tablet in own.iter().map(|tablet| &tablet.row).chain([&root]) {
        seq = seq.max(tablet.max_seq);
        commit_ts = commit_ts.max(tablet.max_commit_ts).max(tablet.gc_floor);
        for group in &tablet.groups {
            seq = seq.max(group.redo_point);
        }
    }
    for record in replay.by_ref() {
        let record = record?;
        seq = seq.max(record.seq);
        commit_ts = commit_ts.max(record.commit_ts);
    }
    drop(replay);
    let not_edited = InspectError::NotEdited;
    let key = codec::row_key(table, end).map_err(not_edited)?;
    let cells = codec::row_cells(row).map_err(not_edited)?;
    let mut payload = Vec::new();
    RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells }.encode(&mut payload);
    let record = RecordRef {
        table: StorageId::METADATA,
        seq: Seq(seq.0 + 1),
        commit_ts: CommitTs(commit_ts.0 + 1),
        request: RequestId::default(),
        kind: RECORD_MUTATION,
        key: &key,
        payload: &payload,
    };
    let reservation = log.reserve(record.encoded_bytes_max() as u64)?;
    block_on(log.append(reservation, &[record])?)?;
    log.close();
    Ok(block_on(lock.release_lease(&lease))?)
}

fn replace_root(lock: &EmbeddedLockService, row: &TabletRow) -> Result<(), InspectError> {
    let value = codec::state(row).map_err(InspectError::NotEdited)?.into();
    let changes = vec![Change::Put { key: ROOT_KEY.to_owned(), value }];
    match block_on(lock.commit(Transaction { compares: Vec::new(), changes }))? {
        Outcome::Committed(_) => Ok(()),
        Outcome::Conflict => {
            let nothing = LockError::Unavailable("a conflict without a condition".to_owned());
            Err(InspectError::NotEdited(TabletError::Internal(nothing.to_string())))
        }
    }
}
