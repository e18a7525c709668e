//! The operating system's threads.

use super::{Priority, ThreadHandle, Threads};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

/// The operating system's threads.
#[derive(Debug)]
pub struct SystemThreads;

impl Threads for SystemThreads {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that starts threads")]
    fn spawn(
        &self,
        name: &str,
        priority: Priority,
        body: Box<dyn FnOnce() + Send>,
    ) -> std::io::Result<ThreadHandle> {
        let id = Arc::new(AtomicI32::new(0));
        let id_inside = id.clone();
        let join = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let own = linux::current_thread();
            if priority != Priority::Normal {
                apply(own, priority);
            }
            id_inside.store(own, Ordering::Release);
            body();
            id_inside.store(0, Ordering::Release);
        })?;
        Ok(ThreadHandle { join, priority, id })
    }
}

/// Puts a thread into a class; a refusal is logged once per process and otherwise ignored.
pub(super) fn apply(thread: i32, priority: Priority) {
    static REFUSED: std::sync::Once = std::sync::Once::new();
    if let Err(error) = linux::set_class(thread, priority) {
        REFUSED.call_once(|| {
            tracing::warn!(
                "scheduling class {priority:?} refused ({error}): commits may wait for a scheduler tick \
                 when all cores are busy"
            );
        });
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no safe wrapper of these system calls exists in our dependencies")]
mod linux {
    use super::Priority;
    use std::io::{Error, Result};

    /// The shortest that Linux gives.
    const PROMPT_SLICE_NS: u64 = 100_000;

    pub fn current_thread() -> i32 {
        // SAFETY: gettid has no preconditions.
        unsafe { libc::gettid() }
    }

    pub fn set_class(thread: i32, priority: Priority) -> Result<()> {
        let policy = match priority {
            Priority::Normal => libc::SCHED_OTHER,
            Priority::Background => libc::SCHED_IDLE,
            Priority::Prompt => return shorten_slice(thread),
        };
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: `parameters` lives across the call, which only reads it. A stale id gives ESRCH.
        match unsafe { libc::sched_setscheduler(thread, policy, &parameters) } {
            0 => Ok(()),
            _ => Err(Error::last_os_error()),
        }
    }

    fn shorten_slice(thread: i32) -> Result<()> {
        // As it is but for the slice: a lower niceness than the thread's own would take a privilege.
        let attributes = libc::sched_attr { sched_runtime: PROMPT_SLICE_NS, ..attributes(thread)? };
        // SAFETY: `attributes` lives across the call, which only reads it. A stale id gives ESRCH.
        match unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, 0) } {
            0 => Ok(()),
            _ => Err(Error::last_os_error()),
        }
    }

    pub fn attributes(thread: i32) -> Result<libc::sched_attr> {
        let size = size_of::<libc::sched_attr>() as u32;
        let mut attributes = libc::sched_attr {
            size,
            sched_policy: 0,
            sched_flags: 0,
            sched_nice: 0,
            sched_priority: 0,
            sched_runtime: 0,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the call writes at most `size` bytes to `attributes`, which lives across it.
        let read =
            unsafe { libc::syscall(libc::SYS_sched_getattr, thread, &raw mut attributes, size, 0) };
        match read {
            0 => Ok(attributes),
            _ => Err(Error::last_os_error()),
        }
    }

    #[cfg(test)]
    pub fn class(thread: i32) -> i32 {
        // SAFETY: sched_getscheduler only reads its argument.
        unsafe { libc::sched_getscheduler(thread) }
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    use super::Priority;

    pub fn current_thread() -> i32 {
        0
    }

    pub fn set_class(_thread: i32, _priority: Priority) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_background_thread_is_idle_class_until_boosted() {
        let (ready, is_ready) = mpsc::channel();
        let (stop, is_stopped) = mpsc::channel::<()>();
        let handle = SystemThreads
            .spawn(
                "background",
                Priority::Background,
                Box::new(move || {
                    ready.send(linux::current_thread()).unwrap();
                    let _ = is_stopped.recv();
                }),
            )
            .unwrap();
        let id = is_ready.recv().unwrap();
        assert_eq!(linux::class(id), libc::SCHED_IDLE);
        handle.boost(true);
        assert_eq!(linux::class(id), libc::SCHED_OTHER);
        handle.boost(false);
        assert_eq!(linux::class(id), libc::SCHED_IDLE);
        drop(stop);
        handle.join().unwrap();
    }

    #[test]
    fn a_prompt_thread_is_of_the_default_class_with_a_short_slice() {
        let (send, receive) = mpsc::channel();
        let handle = SystemThreads
            .spawn(
                "prompt",
                Priority::Prompt,
                Box::new(move || {
                    send.send(linux::attributes(linux::current_thread())).unwrap();
                }),
            )
            .unwrap();
        let attributes = receive.recv().unwrap().unwrap();
        assert_eq!(attributes.sched_policy, libc::SCHED_OTHER.cast_unsigned());
        // 0 where Linux has one slice for all.
        assert!([0, 100_000].contains(&attributes.sched_runtime), "{}", attributes.sched_runtime);
        handle.join().unwrap();
    }

    #[test]
    fn a_panic_is_told_to_who_joins() {
        let handle =
            SystemThreads.spawn("panics", Priority::Normal, Box::new(|| panic!("told"))).unwrap();
        assert!(handle.join().is_err());
    }
}
