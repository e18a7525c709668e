//! Failpoints: named places in the code where a test makes things fail, wait or crash.
//!
//! The registry belongs to one [`crate::Env`], not to the process, so tests run in parallel. A
//! place that nobody armed costs one relaxed load.
//!
//! ```
//! # use terrane_env::Env;
//! let env = Env::system();
//! assert!(env.failpoints.hit("flush.before_publish").is_ok());
//! env.failpoints.fail("flush.before_publish", "the test says so");
//! assert!(env.failpoints.hit("flush.before_publish").is_err());
//! ```

use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The error of a failpoint that a test told to fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failpoint {name}: {message}")]
pub struct FailpointError {
    /// The failpoint.
    pub name: String,
    /// What the test said.
    pub message: String,
}

type Action = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The failpoints of one [`crate::Env`].
#[derive(Default)]
pub struct Failpoints {
    /// How many are armed: 0 lets `hit` return without taking the lock.
    armed: AtomicUsize,
    actions: Mutex<HashMap<String, Action>>,
}

impl fmt::Debug for Failpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failpoints").field("armed", &self.armed).finish_non_exhaustive()
    }
}

impl Failpoints {
    /// Does what a test armed `name` with; nothing if none did. The action runs outside the
    /// registry's lock, so it may arm, disarm and block.
    #[inline]
    pub fn hit(&self, name: &str) -> Result<(), FailpointError> {
        if self.armed.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        self.hit_armed(name)
    }

    #[cold]
    fn hit_armed(&self, name: &str) -> Result<(), FailpointError> {
        let action = self.actions.lock().get(name).cloned();
        match action {
            None => Ok(()),
            Some(action) => {
                action().map_err(|message| FailpointError { name: name.to_owned(), message })
            }
        }
    }

    /// Arms `name` with a closure; an earlier action of that name is replaced.
    pub fn arm(&self, name: &str, action: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        let mut actions = self.actions.lock();
        actions.insert(name.to_owned(), Arc::new(action));
        self.armed.store(actions.len(), Ordering::Relaxed);
    }

    /// Disarms `name`. A thread already inside its action stays there until it returns.
    pub fn disarm(&self, name: &str) {
        let mut actions = self.actions.lock();
        actions.remove(name);
        self.armed.store(actions.len(), Ordering::Relaxed);
    }

    /// Makes every hit of `name` fail.
    pub fn fail(&self, name: &str, message: &str) {
        let message = message.to_owned();
        self.arm(name, move || Err(message.clone()));
    }

    /// Makes every hit of `name` take this long.
    pub fn delay(&self, name: &str, duration: Duration) {
        self.arm(name, move || {
            #[allow(clippy::disallowed_methods, reason = "a test's delay is real time")]
            std::thread::sleep(duration);
            Ok(())
        });
    }

    /// Stops every thread that hits `name` until the gate is opened.
    pub fn gate(&self, name: &str) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        let inside = gate.clone();
        self.arm(name, move || {
            inside.pass();
            Ok(())
        });
        gate
    }
}

/// Holds back the threads that reach a failpoint. Dropping it does not open it.
#[derive(Debug, Default)]
pub struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    reached: usize,
    open: bool,
}

impl Gate {
    /// Waits until `threads` threads have reached the gate, in total.
    pub fn wait_reached(&self, threads: usize) {
        let mut state = self.state.lock();
        while state.reached < threads {
            self.changed.wait(&mut state);
        }
    }

    /// How many threads have reached the gate, in total.
    pub fn reached(&self) -> usize {
        self.state.lock().reached
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.state.lock().open = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock();
        state.reached += 1;
        self.changed.notify_all();
        while !state.open {
            self.changed.wait(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_armed_name_fails_and_only_while_armed() {
        let failpoints = Failpoints::default();
        assert!(failpoints.hit("a").is_ok());
        failpoints.fail("a", "no");
        assert!(failpoints.hit("b").is_ok());
        let error = failpoints.hit("a").unwrap_err();
        assert_eq!(error.to_string(), "failpoint a: no");
        failpoints.disarm("a");
        assert!(failpoints.hit("a").is_ok());
    }

    #[test]
    fn an_action_may_disarm_itself() {
        let failpoints = Arc::new(Failpoints::default());
        let inside = failpoints.clone();
        failpoints.arm("once", move || {
            inside.disarm("once");
            Err("first".to_owned())
        });
        assert!(failpoints.hit("once").is_err());
        assert!(failpoints.hit("once").is_ok());
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_gate_holds_a_thread_until_opened() {
        let failpoints = Arc::new(Failpoints::default());
        let gate = failpoints.gate("here");
        let inside = failpoints.clone();
        let thread = std::thread::spawn(move || inside.hit("here"));
        gate.wait_reached(1);
        assert!(!thread.is_finished());
        gate.open();
        assert!(thread.join().unwrap().is_ok());
        assert_eq!(gate.reached(), 1);
    }
}
