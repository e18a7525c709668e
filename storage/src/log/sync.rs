//! The sync thread: one group at a time, written, synced, announced.
//!
//! While a sync is under way the next group gathers; that is all the batching there is, and there is no
//! timer. A failed write or sync poisons the segment's file: the group is written to a new segment, with
//! the same lsn, and synced there. If that fails too the log stops.

use super::error::LogError;
use super::format::LowWater;
use super::group::Group;
use super::prepare;
use super::state::{Placement, Shared, State};
use parking_lot::MutexGuard;
use std::sync::Arc;
use terrane_client::ids::Seq;
use terrane_env::IoError;

/// How many emptied groups are kept for their memory: one being filled, one being written.
const FREE_GROUPS_MAX: usize = 2;

/// A group on its way to the disk.
struct Work {
    group: Group,
    /// The group ends with a low-water mark.
    marks: bool,
    /// The mark's contents, once placed.
    low: LowWater,
}

/// The thread's body: runs until the log is closed or stops.
pub(super) fn run(shared: &Arc<Shared>) {
    let _end = End(shared);
    let mut durable_lsn = shared.state.lock().next_lsn - 1;
    while let Some(mut work) = next_work(shared) {
        if let Err(error) = make_durable(shared, &mut work, durable_lsn) {
            stop(shared, &error.to_string());
            break;
        }
        durable_lsn += work.group.frames().len() as u64;
        announce(shared, work);
    }
}

/// The thread's end, in a panic too: no one must wait for it any more.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let why = if std::thread::panicking() { "its thread panicked" } else { "closed" };
        let mut state = self.0.state.lock();
        state.stopping = true;
        state.stopped.get_or_insert(LogError::Stopped(why.to_owned()));
        drop(state);
        let unknown = LogError::OutcomeUnknown(format!("the commit log is stopped: {why}"));
        self.0.durability.fail(unknown);
        self.0.prepare.notify_all();
        self.0.space.notify_all();
    }
}

/// Waits for the next group, or for a mark to be wanted; `None` once the log is closed and drained.
fn next_work(shared: &Shared) -> Option<Work> {
    let mut state = shared.state.lock();
    loop {
        let marks = state.wants_mark(state.queue.front(), &shared.options);
        if !state.queue.is_empty() || marks {
            let mut group = match state.queue.pop_front() {
                Some(group) => group,
                None => state.free_groups.pop().unwrap_or_default(),
            };
            if marks {
                group.push_mark(state.last_seq);
            }
            group.seal();
            return Some(Work { group, marks, low: LowWater::default() });
        }
        if state.stopping {
            return None;
        }
        shared.work.wait(&mut state);
    }
}

/// Writes and syncs a group, once more in a new segment if it fails.
fn make_durable(shared: &Shared, work: &mut Work, synced_lsn: u64) -> Result<(), IoError> {
    let placements = place(shared, work)?;
    let failure = match write(shared, &mut work.group, &placements, synced_lsn) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    tracing::error!("commit log: {failure}; writing to a new segment");
    let mut state = shared.state.lock();
    state.poison(&placements);
    state.stats.resent += 1;
    drop(state);
    let placements = place(shared, work)?;
    write(shared, &mut work.group, &placements, synced_lsn)
}

/// Places a group, making a segment if none is ready.
fn place(shared: &Shared, work: &mut Work) -> Result<Vec<Placement>, IoError> {
    let mut state = shared.state.lock();
    loop {
        if let Some(placements) = state.place(&mut work.group) {
            if work.marks {
                work.low = state.next_low();
                work.group.set_mark(work.low);
            }
            shared.prepare.notify_one();
            return Ok(placements);
        }
        debug_assert!(
            work.group.commits == 0 || state.stats.resent > 0,
            "space is promised before it is used"
        );
        MutexGuard::unlocked(&mut state, || prepare::prepare_segment(shared))?;
    }
}

fn write(
    shared: &Shared,
    group: &mut Group,
    placements: &[Placement],
    synced_lsn: u64,
) -> Result<(), IoError> {
    for placement in placements {
        let segment = &placement.segment;
        for frame in placement.frames.clone() {
            let lsn = synced_lsn + 1 + frame as u64;
            group.encode_header(frame, lsn, synced_lsn, segment.id.number, segment.seed);
        }
        segment.file.write_at(&group.bytes()[placement.bytes.clone()], placement.offset)?;
    }
    hit(shared, "log.before_sync");
    for placement in placements {
        placement.segment.file.sync_data()?;
    }
    hit(shared, "log.after_sync");
    Ok(())
}

/// A failpoint where a test may wait or cut the power; IO errors are the file system's to give.
fn hit(shared: &Shared, name: &str) {
    let _ = shared.env.failpoints.hit(name);
}

/// Tells everyone that a group is durable.
fn announce(shared: &Shared, work: Work) {
    let last_seq = work.group.last_seq;
    if last_seq > shared.durability.seq() {
        // Before the mark rises: a ticket that is first asked right after it does not wait.
        if let Some(hook) = shared.on_durable.get() {
            (hook.0)(Seq(last_seq));
        }
        shared.durability.advance(last_seq);
        shared.durability.wake();
    }
    let marks = work.marks;
    let mut state = shared.state.lock();
    state.note_durable(work, 2 * shared.options.group_bytes);
    drop(state);
    if marks {
        shared.prepare.notify_one();
    }
}

/// Ends the log's service: what is not durable now has an unknown outcome.
fn stop(shared: &Shared, why: &str) {
    tracing::error!("commit log stopped, no more writes are taken: {why}");
    let mut state = shared.state.lock();
    state.stopped = Some(LogError::Stopped(why.to_owned()));
    state.queue.clear();
    drop(state);
    shared.durability.fail(LogError::OutcomeUnknown(why.to_owned()));
}

impl State {
    /// Counts a durable group, and frees the segments that its mark has given up.
    fn note_durable(&mut self, work: Work, keep_bytes: usize) {
        let mut group = work.group;
        self.next_lsn += group.frames().len() as u64;
        self.stats.groups += 1;
        self.stats.frames += group.frames().len() as u64;
        self.stats.bytes_written += group.len() as u64;
        if work.marks {
            self.low = work.low;
            while self.segments.front().is_some_and(|first| first.id.number < work.low.segment) {
                self.freed.extend(self.segments.pop_front());
            }
        }
        group.clear(keep_bytes);
        if self.free_groups.len() < FREE_GROUPS_MAX {
            self.free_groups.push(group);
        }
    }
}
