//! Erasing: what the log held leaves the disk, for tables that promise that (rule 13).
//!
//! 1. [`CommitLog::end_segment`]: nothing more is written to the files that hold records so far. From now on a file that is freed
//!    is removed instead of kept, and what was kept goes: spare files, and prepared segments that were made of such.
//! 2. The caller publishes in runs what those files hold and says so with [`CommitLog::retire`].
//! 3. [`CommitLog::wait_erased`]: returns when the files are gone.
//!
//! Files are removed rather than overwritten with zeros: that is one operation on a directory instead of as many bytes as
//! the log has, and on a file system that copies on write it is the only one of the two that lets go of the blocks. What it costs
//! is that the next segment grows a new file.
//!
//! Fault model: a crash at any point leaves files that are no part of the log or still are one; both are found when it is
//! opened, and the former are removed there by whoever opens it with no spare segments.

use super::CommitLog;
use super::error::LogError;
use super::segment::remove_quietly;
use super::state::{LogSegment, Shared, State};
use std::time::Duration;
use terrane_client::ids::Seq;

/// How long is waited before it is looked again whether a file could be removed.
const LOOK: Duration = Duration::from_millis(20);

/// The files that a log is to get rid of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Segments of smaller number.
    below: u32,
    /// Records in them have at most this seq.
    pub last_seq: Seq,
}

impl CommitLog {
    /// Lets the segments so far take no more records. May block while a segment is prepared: not for use under the commit
    /// mutex.
    pub fn end_segment(&self) -> Result<Erasure, LogError> {
        let shared = &*self.shared;
        let mut state = shared.state.lock();
        state.spares_max = 0;
        let spares = std::mem::take(&mut state.spares);
        state.freed.extend(spares.into_iter().map(LogSegment::unused));
        loop {
            if let Some(stopped) = &state.stopped {
                return Err(stopped.clone());
            }
            if state.is_untouched() {
                break;
            }
            // What was promised must find room in segments that held nothing before.
            let has_fresh = state.ready.iter().any(|segment| !segment.is_reused);
            if has_fresh && state.usable_fresh(&shared.options) >= state.reserved {
                state.leave_active();
                break;
            }
            let failures = state.prepare_failures;
            let stale = state.usable(&shared.options) - state.usable_fresh(&shared.options);
            let wanted = stale + state.reserved + 1;
            state.wanted = state.wanted.max(wanted);
            shared.prepare.notify_one();
            shared.space.wait(&mut state);
            if let Some(error) = state.failure_since(failures) {
                return Err(error);
            }
        }
        let below = state.after_active();
        let ended = state.segments.iter().filter(|segment| segment.id.number < below);
        let last_seq = ended.map(|segment| segment.last_seq).max().unwrap_or_default();
        drop(state);
        shared.prepare.notify_one();
        Ok(Erasure { below, last_seq: Seq(last_seq) })
    }

    /// Waits until the files are gone. Everything in them was retired.
    ///
    /// # Errors
    /// [`LogError::Misuse`] where it was not: it would be waited for ever.
    pub fn wait_erased(&self, erasure: &Erasure) -> Result<(), LogError> {
        let shared = &*self.shared;
        let mut state = shared.state.lock();
        if state.free_below < erasure.below {
            let text = format!("segments below {} are still needed", erasure.below);
            return Err(LogError::Misuse(text));
        }
        shared.work.notify_one();
        loop {
            if let Some(stopped) = &state.stopped {
                return Err(stopped.clone());
            }
            let is_freed = state.low.segment >= erasure.below;
            if is_freed && state.freed.is_empty() && !state.is_freeing && state.recycling == 0 {
                break;
            }
            shared.prepare.notify_one();
            shared.space.wait_for(&mut state, LOOK);
        }
        let left = std::mem::take(&mut state.unremoved);
        drop(state);
        // What could not be removed before may be now.
        for path in &left {
            remove_quietly(&shared.env, path);
        }
        let mut still = Vec::new();
        for path in left {
            if shared.env.files.exists(&path)? {
                still.push(path);
            }
        }
        shared.env.files.sync_dir(&shared.directory)?;
        let Some(first) = still.first().cloned() else { return Ok(()) };
        shared.state.lock().unremoved.extend(still);
        Err(LogError::Stopped(format!("{} cannot be removed", first.display())))
    }

    /// Keeps freed files for reuse again: nothing in the log has to be erased any more.
    pub fn keep_spares(&self) {
        let mut state = self.shared.state.lock();
        state.spares_max = self.shared.options.spare_segments_max;
    }
}

impl State {
    /// True where there is one segment, new from its first byte on, and nothing in it yet.
    fn is_untouched(&self) -> bool {
        self.segments.len() == 1
            && !self.active.is_reused
            && self.position == super::format::SEGMENT_HEADER_BYTES as u64
            && self.ready.iter().all(|segment| !segment.is_reused)
    }

    /// Gives up the active segment and the prepared ones that were made of files used before.
    fn leave_active(&mut self) {
        // No frame fits any more, so the next one takes a new segment.
        self.position = self.active.len;
        let reused = self.ready.iter().filter(|segment| segment.is_reused);
        self.freed.extend(reused.map(|segment| LogSegment::of_file(segment)));
        self.ready.retain(|segment| !segment.is_reused);
    }

    /// The segment that the next frame goes to.
    pub(super) fn after_active(&self) -> u32 {
        match self.ready.front() {
            Some(next) if self.position >= self.active.len => next.id.number,
            _ => self.active.id.number,
        }
    }
}

impl Shared {
    /// Removes files, and remembers those that stay.
    pub(super) fn remove_files(&self, paths: &[std::path::PathBuf]) {
        for path in paths {
            if let Err(error) = self.env.files.remove(path)
                && !error.is_not_found()
            {
                tracing::warn!("left behind until the next start: {error}");
                self.state.lock().unremoved.push(path.clone());
            }
        }
    }
}
