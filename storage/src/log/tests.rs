//! The log's tests: what they share. Each scenario has its file.

mod crash;
mod erase;
mod faults;
mod open;
mod space;
mod torn;

use super::format::SegmentId;
use super::*;
use std::path::PathBuf;
use terrane_client::ids::{CommitTs, Generation, RequestId, StorageId};
use terrane_env::files::FileSystem;
use terrane_env::files::crash::CrashFileSystem;

pub(super) const DIRECTORY: &str = "/log";

/// Small enough that every test crosses frames, groups and segments.
pub(super) fn small() -> LogOptions {
    LogOptions {
        segment_bytes: 16 << 10,
        first_segment_bytes: 8 << 10,
        frame_bytes: 1 << 10,
        group_bytes: 2 << 10,
        commit_bytes_max: 64 << 10,
        spare_segments_max: 2,
        allocate_step_bytes: 4 << 10,
    }
}

pub(super) fn identity(epoch: u64) -> LogIdentity {
    LogIdentity { server: "s1".to_owned(), epoch: Generation(epoch) }
}

pub(super) fn env(disk: &CrashFileSystem) -> Env {
    Env::system().with_files(Arc::new(disk.clone()))
}

pub(super) fn open(disk: &CrashFileSystem, epoch: u64) -> (CommitLog, Vec<Record>) {
    let (log, mut replay) =
        CommitLog::open(&env(disk), Path::new(DIRECTORY), identity(epoch), small()).unwrap();
    let records = replay.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
    (log, records)
}

pub(super) fn open_error(disk: &CrashFileSystem, epoch: u64) -> LogError {
    try_open_error(disk, epoch).expect("an error at opening or in the replay")
}

pub(super) fn try_open_error(disk: &CrashFileSystem, epoch: u64) -> Option<LogError> {
    let opened = CommitLog::open(&env(disk), Path::new(DIRECTORY), identity(epoch), small());
    match opened {
        Err(error) => Some(error),
        Ok((_log, mut replay)) => replay.find_map(Result::err),
    }
}

/// A record whose contents follow from its seq and a tag.
pub(super) fn record(seq: u64, tag: u64, payload_len: usize) -> Record {
    let mut payload = tag.to_le_bytes().to_vec();
    payload.resize(payload_len.max(8), seq as u8);
    Record {
        table: StorageId(1000 + seq % 3),
        seq: Seq(seq),
        commit_ts: CommitTs(1_700_000_000_000_000 + seq as i64),
        request: RequestId { client: 7, number: seq / 2 },
        kind: 1,
        key: format!("row {seq}").into_bytes().into(),
        payload: payload.into(),
    }
}

pub(super) fn append(log: &CommitLog, records: &[Record]) -> Result<Ticket, LogError> {
    let refs: Vec<RecordRef<'_>> = records.iter().map(Record::as_ref).collect();
    let bytes: usize = refs.iter().map(RecordRef::encoded_bytes_max).sum();
    log.append(log.reserve(bytes as u64)?, &refs)
}

/// Appends one record and waits until it is durable.
pub(super) fn put(log: &CommitLog, seq: u64) -> Record {
    let record = record(seq, 0, 40);
    append(log, std::slice::from_ref(&record)).unwrap().wait().unwrap();
    record
}

/// The segments on a disk, ascending.
pub(super) fn segments(disk: &CrashFileSystem) -> Vec<(SegmentId, PathBuf)> {
    let names = disk.list(Path::new(DIRECTORY)).unwrap();
    let mut ids: Vec<SegmentId> = names.iter().filter_map(|name| SegmentId::parse(name)).collect();
    ids.sort_unstable();
    ids.into_iter().map(|id| (id, Path::new(DIRECTORY).join(id.to_string()))).collect()
}

pub(super) fn frames(disk: &CrashFileSystem, segment: &(SegmentId, PathBuf)) -> Vec<scan::FrameAt> {
    let bytes = disk.read(&segment.1).unwrap();
    scan::scan_segment(&bytes, segment.0.number, segment.0.seed("s1")).frames
}

/// Waits for something a thread of the log does.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..5000 {
        if holds() {
            return;
        }
        Env::system().clock.sleep(std::time::Duration::from_millis(1));
    }
    panic!("did not happen within 5 s: {what}");
}
