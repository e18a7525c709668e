//! Named threads with a scheduling class.
//!
//! Why classes: with both cores busy, a thread that waits for a sync is run up to one scheduler tick
//! (4 ms at HZ=250) after the disk is done. So what a commit waits for is [`Priority::Prompt`], and what nobody
//! waits for runs in [`Priority::Background`]. Prompt is not a real-time class: that takes a privilege, and it
//! preempts those who append to a group the moment the group before is durable, which makes groups small. Of
//! durable single-row writes it cost a third where nothing else ran.
//!
//! A background thread that holds a lock can be kept off the cores while others wait for that
//! lock: it must hold locks that foreground threads take only for moments, and whoever sees it fall
//! behind boosts it ([`ThreadHandle::boost`]).

pub mod system;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// A thread's scheduling class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// The default class.
    Normal,
    /// Runs when a core would be idle (SCHED_IDLE), until boosted: compaction, flush encoding, preallocation.
    Background,
    /// The default class with the shortest time slice, 0.1 ms: the scheduler takes who needs little first. Linux
    /// before 6.12 has one slice for all. Only for threads that sleep almost always.
    Prompt,
}

/// Starts threads.
pub trait Threads: Send + Sync + Debug {
    /// Starts a thread. Only the first 15 bytes of the name show in the system's tools.
    ///
    /// Fails when the system has no thread to give. A class that is refused is logged once per process
    /// and the thread runs in the default one.
    fn spawn(
        &self,
        name: &str,
        priority: Priority,
        body: Box<dyn FnOnce() + Send>,
    ) -> std::io::Result<ThreadHandle>;
}

/// A started thread. Dropping the handle leaves the thread running.
#[derive(Debug)]
pub struct ThreadHandle {
    join: std::thread::JoinHandle<()>,
    priority: Priority,
    /// The system's id of the thread; 0 until it runs.
    id: Arc<AtomicI32>,
}

impl ThreadHandle {
    /// Waits for the thread's end. An error carries the payload of its panic.
    pub fn join(self) -> std::thread::Result<()> {
        self.join.join()
    }

    /// True once the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.join.is_finished()
    }

    /// Moves a [`Priority::Background`] thread to the default class, or back. Other classes stay.
    pub fn boost(&self, boosted: bool) {
        let id = self.id.load(Ordering::Acquire);
        if self.priority == Priority::Background && id != 0 && !self.is_finished() {
            let class = if boosted { Priority::Normal } else { Priority::Background };
            system::apply(id, class);
        }
    }
}
