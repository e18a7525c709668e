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
                 when all cores are busy; grant CAP_SYS_NICE or a real-time limit (ulimit -r 1)"
            );
        });
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "no safe wrapper of sched_setscheduler exists in our dependencies")]
mod linux {
    use super::Priority;

    pub fn current_thread() -> i32 {
        // SAFETY: gettid has no preconditions.
        unsafe { libc::gettid() }
    }

    pub fn set_class(thread: i32, priority: Priority) -> std::io::Result<()> {
        let (policy, level) = match priority {
            Priority::Normal => (libc::SCHED_OTHER, 0),
            Priority::Background => (libc::SCHED_IDLE, 0),
            // Children must not inherit it: a thread started by a real-time one is an ordinary one.
            Priority::RealTime => (libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, 1),
        };
        let parameters = libc::sched_param { sched_priority: level };
        // SAFETY: `parameters` lives across the call, which only reads it. A stale id gives ESRCH.
        match unsafe { libc::sched_setscheduler(thread, policy, &parameters) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    #[cfg(test)]
    pub fn class(thread: i32) -> i32 {
        // SAFETY: sched_getscheduler only reads its argument.
        unsafe { libc::sched_getscheduler(thread) & !libc::SCHED_RESET_ON_FORK }
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
    fn a_real_time_thread_runs_even_where_the_class_is_refused() {
        let (send, receive) = mpsc::channel();
        let handle = SystemThreads
            .spawn(
                "real time",
                Priority::RealTime,
                Box::new(move || send.send(linux::class(linux::current_thread())).unwrap()),
            )
            .unwrap();
        let class = receive.recv().unwrap();
        assert!([libc::SCHED_RR, libc::SCHED_OTHER].contains(&class), "{class}");
        handle.join().unwrap();
    }

    #[test]
    fn a_panic_is_told_to_who_joins() {
        let handle =
            SystemThreads.spawn("panics", Priority::Normal, Box::new(|| panic!("told"))).unwrap();
        assert!(handle.join().is_err());
    }
}
