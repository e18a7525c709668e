//! The server's hybrid logical clock: commit timestamps near wall time that never go back.
//!
//! Invariant: [`HybridClock::next`] is greater than everything it gave before and everything
//! [`HybridClock::observe`] was shown, on any thread, whatever wall time does. Loading a tablet shows it
//! the tablet's largest commit timestamp (rule 6), a read at T shows it T (rule 24).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use terrane_client::ids::CommitTs;
use terrane_env::clock::Clock;

/// How far ahead of this server's clock a timestamp may lie before it is refused (rule 24).
pub const AHEAD_MICROS_MAX: i64 = 500_000;

/// See the module's documentation.
#[derive(Debug)]
pub struct HybridClock {
    wall: Arc<dyn Clock>,
    last: AtomicI64,
}

impl HybridClock {
    /// A clock that has given nothing yet.
    pub fn new(wall: Arc<dyn Clock>) -> Self {
        Self { wall, last: AtomicI64::new(0) }
    }

    /// A timestamp after all earlier ones.
    pub fn next(&self) -> CommitTs {
        let now = self.wall.now_micros();
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let next = now.max(last + 1);
            match self.last.compare_exchange_weak(last, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return CommitTs(next),
                Err(seen) => last = seen,
            }
        }
    }

    /// Advances the clock past a timestamp.
    pub fn observe(&self, at: CommitTs) {
        self.last.fetch_max(at.0, Ordering::AcqRel);
    }

    /// True where a timestamp is further in the future than clocks may differ.
    pub fn is_too_far_ahead(&self, at: CommitTs) -> bool {
        let now = self.wall.now_micros().max(self.last.load(Ordering::Acquire));
        at.0 > now.saturating_add(AHEAD_MICROS_MAX)
    }

    /// The time: not before anything that was given or shown.
    pub fn now(&self) -> CommitTs {
        CommitTs(self.wall.now_micros().max(self.last.load(Ordering::Acquire)))
    }

    /// Wall time, for history and expiry.
    pub fn wall_micros(&self) -> i64 {
        self.wall.now_micros()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terrane_env::clock::ManualClock;

    #[test]
    fn timestamps_ascend_while_wall_time_stands_still_or_goes_back() {
        let wall = Arc::new(ManualClock::new(1_000));
        let clock = HybridClock::new(wall.clone());
        assert_eq!(clock.next(), CommitTs(1_000));
        assert_eq!(clock.next(), CommitTs(1_001));
        wall.set_micros(10);
        assert_eq!(clock.next(), CommitTs(1_002));
        clock.observe(CommitTs(5_000));
        clock.observe(CommitTs(4_000));
        assert_eq!(clock.next(), CommitTs(5_001));
        wall.set_micros(9_000);
        assert_eq!(clock.next(), CommitTs(9_000));
    }

    #[test]
    fn half_a_second_ahead_is_too_far() {
        let clock = HybridClock::new(Arc::new(ManualClock::new(1_000)));
        assert!(!clock.is_too_far_ahead(CommitTs(1_000 + AHEAD_MICROS_MAX)));
        assert!(clock.is_too_far_ahead(CommitTs(1_001 + AHEAD_MICROS_MAX)));
        assert!(clock.is_too_far_ahead(CommitTs::MAX));
    }
}
