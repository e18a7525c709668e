//! The background threads: one flushes, one compacts, one purges. Idle, they sleep; the last one for as long as no table
//! promises to purge.
//!
//! Scheduling: they run in the background class, on cores nobody else wants, until work falls behind; then
//! they are boosted. While such a thread holds what a commit or a read may wait for, it is boosted too
//! ([`Background::urgently`]): a thread of that class that is not run can keep a lock for long.
//!
//! The threads hold the server weakly: a server that is dropped without being closed takes its threads
//! with it.

use super::TabletServer;
use parking_lot::{Condvar, Mutex};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_env::Env;
use terrane_env::threads::{Priority, ThreadHandle};

/// A failed flush or compaction is tried again after this long.
const RETRY: Duration = Duration::from_secs(1);

/// Which thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Memtables become files.
    Flush = 0,
    /// Files become fewer files.
    Compact = 1,
    /// What is dead goes, where that is promised.
    Purge = 2,
}

impl Job {
    const ALL: [Job; 3] = [Job::Flush, Job::Compact, Job::Purge];

    fn thread_name(self) -> &'static str {
        match self {
            Job::Flush => "flush",
            Job::Compact => "compact",
            Job::Purge => "purge",
        }
    }
}

/// Why a thread goes to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// There may be something to do.
    Wanted,
    /// Nothing was wanted for a while.
    Quiet,
}

#[derive(Debug, Default)]
struct Signals {
    wanted: [bool; 3],
    stopping: bool,
    /// After this long the purge thread looks again; `None`: when it is woken.
    purge_after: Option<Duration>,
}

/// Wakes, boosts and stops the threads.
#[derive(Debug)]
pub(super) struct Background {
    /// After this long without work the compaction thread looks for some.
    quiet_after: Duration,
    signals: Mutex<Signals>,
    changed: Condvar,
    threads: [Mutex<Option<ThreadHandle>>; 3],
    /// Work has fallen behind: the thread stays boosted.
    behind: [AtomicBool; 3],
}

impl Background {
    /// Threads that are not started yet.
    pub(super) fn new(quiet_after: Duration) -> Self {
        Self {
            quiet_after,
            signals: Mutex::default(),
            changed: Condvar::default(),
            threads: Default::default(),
            behind: Default::default(),
        }
    }

    /// Starts the threads.
    pub(super) fn start(
        self: &Arc<Self>,
        env: &Env,
        server: &Weak<TabletServer>,
    ) -> Result<(), TabletError> {
        for job in Job::ALL {
            let (this, server) = (self.clone(), server.clone());
            let body = Box::new(move || this.run(job, &server));
            let thread = env
                .threads
                .spawn(job.thread_name(), Priority::Background, body)
                .map_err(|error| TabletError::Unavailable(format!("no thread: {error}")))?;
            *self.threads[job as usize].lock() = Some(thread);
        }
        Ok(())
    }

    /// There may be something to do.
    pub(super) fn wake(&self, job: Job) {
        let mut signals = self.signals.lock();
        if !signals.wanted[job as usize] {
            signals.wanted[job as usize] = true;
            self.changed.notify_all();
        }
    }

    /// Tells whether work has fallen behind.
    pub(super) fn set_behind(&self, job: Job, behind: bool) {
        if self.behind[job as usize].swap(behind, Ordering::AcqRel) != behind {
            self.boost(job, behind);
        }
    }

    /// Runs what others may wait for.
    pub(super) fn urgently<T>(&self, job: Job, work: impl FnOnce() -> T) -> T {
        self.boost(job, true);
        let done = work();
        self.boost(job, self.behind[job as usize].load(Ordering::Acquire));
        done
    }

    fn boost(&self, job: Job, boosted: bool) {
        if let Some(thread) = &*self.threads[job as usize].lock() {
            thread.boost(boosted);
        }
    }

    /// Whether the server is closing: long work stops at the next good place.
    pub(super) fn is_stopping(&self) -> bool {
        self.signals.lock().stopping
    }

    /// Tells the threads to end.
    pub(super) fn stop(&self) {
        self.signals.lock().stopping = true;
        self.changed.notify_all();
        for job in Job::ALL {
            self.boost(job, true);
        }
    }

    /// Waits for the threads' end. Not on one of them.
    pub(super) fn join(&self) {
        for thread in &self.threads {
            let thread = thread.lock().take();
            if let Some(thread) = thread
                && thread.join().is_err()
            {
                tracing::error!("a background thread had panicked");
            }
        }
    }

    fn run(&self, job: Job, server: &Weak<TabletServer>) {
        let mut failed = false;
        while let Some(wake) = self.wait(job, failed) {
            let Some(server) = server.upgrade() else { return };
            let done = match job {
                Job::Flush => server.flush_round(),
                Job::Compact => server.compact_round(wake),
                Job::Purge => server.purge_round().map(|after| {
                    self.signals.lock().purge_after = after;
                }),
            };
            failed = done.is_err();
            if let Err(error) = done
                && !self.is_stopping()
            {
                tracing::warn!("{} failed and will be tried again: {error}", job.thread_name());
            }
        }
    }

    /// Waits for work; `None` at the end. After a failure it waits a while, whatever is wanted: what
    /// failed, fails again a microsecond later.
    fn wait(&self, job: Job, failed: bool) -> Option<Wake> {
        let mut signals = self.signals.lock();
        let mut is_due = false;
        while !signals.stopping {
            let is_wanted = signals.wanted[job as usize];
            if is_due || (!failed && is_wanted) {
                signals.wanted[job as usize] = false;
                let is_quiet = !failed && !is_wanted;
                return Some(if is_quiet { Wake::Quiet } else { Wake::Wanted });
            }
            let after = signals.purge_after;
            let mut wait = |time| self.changed.wait_for(&mut signals, time).timed_out();
            match (failed, job) {
                (true, _) => is_due = wait(RETRY),
                (false, Job::Compact) => is_due = wait(self.quiet_after),
                (false, Job::Purge) if after.is_some() => {
                    is_due = wait(after.unwrap_or(RETRY));
                }
                (false, Job::Flush | Job::Purge) => self.changed.wait(&mut signals),
            }
        }
        None
    }
}
