//! The prepare thread: the next segment is ready before it is needed, and freed ones are kept or removed.
//!
//! So a full disk shows here, where a commit that is not sequenced yet waits for space, and never in
//! the sync thread (rule 16).

use super::error::LogError;
use super::format::{SegmentHeader, SegmentId};
use super::segment::{SegmentFile, SpareFile, create, recycle};
use super::state::{LogSegment, Shared, State};
use std::sync::Arc;
use terrane_env::IoError;

enum Task {
    Prepare,
    Free(Vec<LogSegment>),
}

/// The thread's body: runs until the log is closed or stops.
pub(super) fn run(shared: &Arc<Shared>) {
    let _end = End(shared);
    while let Some(task) = next_task(shared) {
        match task {
            Task::Prepare => match prepare_segment(shared) {
                Ok(()) => {}
                Err(error) => note_failure(shared, error),
            },
            Task::Free(segments) => {
                free(shared, segments);
                shared.state.lock().is_freeing = false;
            }
        }
        shared.space.notify_all();
    }
}

/// The thread's end: after a panic no one must wait for space any more.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let stopped = LogError::Stopped("its prepare thread panicked".to_owned());
            self.0.state.lock().stopped.get_or_insert(stopped);
            self.0.space.notify_all();
        }
    }
}

fn next_task(shared: &Shared) -> Option<Task> {
    let mut state = shared.state.lock();
    loop {
        if state.stopping {
            return None;
        }
        if !state.freed.is_empty() && !state.replaying {
            state.is_freeing = true;
            return Some(Task::Free(std::mem::take(&mut state.freed)));
        }
        if state.wanted > 0 && state.usable(&shared.options) >= state.wanted {
            state.wanted = 0;
            shared.space.notify_all();
        }
        // A failure is not tried again until something has changed or someone waits.
        let ahead = state.ready.is_empty() && state.prepare_error.is_none();
        if ahead || state.wanted > 0 {
            return Some(Task::Prepare);
        }
        shared.prepare.wait(&mut state);
    }
}

fn note_failure(shared: &Shared, error: IoError) {
    tracing::warn!("no segment prepared for the commit log: {error}");
    let mut state = shared.state.lock();
    state.wanted = 0;
    state.prepare_failures += 1;
    state.prepare_error = Some(error);
}

/// Prepares one segment, from a freed file if there is one.
pub(super) fn prepare_segment(shared: &Shared) -> Result<(), IoError> {
    let mut state = shared.state.lock();
    let id = SegmentId { number: state.next_segment, epoch: shared.identity.epoch.0 };
    state.next_segment += 1;
    let spare = state.spares.pop().filter(|_| state.spares_max > 0);
    state.recycling += usize::from(spare.is_some());
    let len = state.next_bytes;
    let header = SegmentHeader {
        id,
        server: shared.identity.server.clone(),
        low: state.low,
        void_from: 0,
        proven_lsn: 0,
    };
    drop(state);
    if let Some(spare) = spare {
        match recycle(&shared.env, &shared.directory, &spare, &header) {
            Ok(segment) => {
                add_ready(shared, segment, true);
                return Ok(());
            }
            Err(error) => {
                // The file may have either name, and is not trusted with a commit any more.
                tracing::warn!("freed log segment given up: {error}");
                let named = shared.directory.join(id.to_string());
                shared.remove_files(&[spare.path, named]);
                shared.state.lock().recycling -= 1;
            }
        }
    }
    let segment = create(&shared.env, &shared.directory, &header, len, &shared.options)?;
    add_ready(shared, segment, false);
    Ok(())
}

fn add_ready(shared: &Shared, segment: SegmentFile, recycled: bool) {
    let mut state = shared.state.lock();
    if recycled {
        state.recycling -= 1;
        state.stats.segments_recycled += 1;
    } else {
        state.next_bytes = (segment.len * 2).min(shared.options.segment_bytes);
    }
    // What it held before is to be erased since it was taken.
    if recycled && state.spares_max == 0 {
        state.freed.push(LogSegment::of_file(&segment));
        drop(state);
        shared.prepare.notify_one();
        return;
    }
    // The sync thread may have prepared and taken a later one meanwhile; segments are used in order.
    if segment.id.number < state.active.id.number {
        state.spares.push(SpareFile { path: segment.path, len: segment.len });
        return;
    }
    let at = state.ready.partition_point(|ready| ready.id.number < segment.id.number);
    state.ready.insert(at, Arc::new(segment));
    drop(state);
    // A mark may have waited for space.
    shared.work.notify_one();
}

/// Keeps the largest files for reuse and removes the others.
fn free(shared: &Shared, segments: Vec<LogSegment>) {
    let mut remove = Vec::new();
    let mut state = shared.state.lock();
    for segment in segments {
        if segment.poisoned || segment.len < shared.options.first_segment_bytes {
            remove.push(segment.path);
        } else {
            state.spares.push(SpareFile { path: segment.path, len: segment.len });
        }
    }
    let spares_max = state.spares_max;
    state.keep_spares(spares_max, &mut remove);
    state.prepare_error = None;
    drop(state);
    shared.remove_files(&remove);
    if !remove.is_empty()
        && let Err(error) = shared.env.files.sync_dir(&shared.directory)
    {
        tracing::warn!("removed log segments may come back: {error}");
    }
}

impl State {
    /// Leaves at most `max` spares, the largest; they are taken from the end.
    fn keep_spares(&mut self, max: usize, remove: &mut Vec<std::path::PathBuf>) {
        self.spares.sort_unstable_by_key(|spare| spare.len);
        let over = self.spares.len().saturating_sub(max);
        remove.extend(self.spares.drain(..over).map(|spare| spare.path));
    }

    /// Why no space could be prepared, for someone whose wait began after `failures` failures.
    pub(super) fn failure_since(&self, failures: u64) -> Option<LogError> {
        if self.prepare_failures == failures {
            return None;
        }
        let error = self.prepare_error.clone()?;
        Some(if error.is_disk_full() { LogError::Full(error) } else { LogError::Io(error) })
    }
}
