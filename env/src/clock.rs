//! Time.
//!
//! Wall time may jump in either direction (an operator, NTP): whoever needs order keeps a hybrid
//! logical clock above it. Monotonic time never goes back but means nothing outside the process.

use parking_lot::{Condvar, Mutex};
use std::fmt::Debug;
use std::time::Duration;

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// Microseconds since 1970-01-01 00:00 UTC.
    fn now_micros(&self) -> i64;
    /// Time since an arbitrary moment; never decreases.
    fn monotonic(&self) -> Duration;
    /// Blocks the calling thread until `duration` of monotonic time has passed.
    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the real clock")]
mod system {
    use super::{Clock, Duration, SystemClock};
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    impl SystemClock {
        /// A clock whose monotonic time starts now.
        pub fn new() -> Self {
            Self { origin: Instant::now() }
        }
    }

    impl Default for SystemClock {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for SystemClock {
        fn now_micros(&self) -> i64 {
            let micros =
                |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
            match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => micros(since),
                Err(before) => -micros(before.duration()),
            }
        }

        fn monotonic(&self) -> Duration {
            self.origin.elapsed()
        }

        fn sleep(&self, duration: Duration) {
            std::thread::sleep(duration);
        }
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    /// (wall time in microseconds, monotonic time)
    now: Mutex<(i64, Duration)>,
    moved: Condvar,
}

impl ManualClock {
    /// Starts at a wall time; monotonic time starts at zero.
    pub fn new(now_micros: i64) -> Self {
        Self { now: Mutex::new((now_micros, Duration::ZERO)), moved: Condvar::new() }
    }

    /// Moves both times forward and wakes the sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        now.0 += i64::try_from(by.as_micros()).expect("a test moves its clock by less than an age");
        now.1 += by;
        self.moved.notify_all();
    }

    /// Sets wall time alone, as an operator may: backwards too.
    pub fn set_micros(&self, now_micros: i64) {
        self.now.lock().0 = now_micros;
    }
}

impl Clock for ManualClock {
    fn now_micros(&self) -> i64 {
        self.now.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().1
    }

    fn sleep(&self, duration: Duration) {
        let mut now = self.now.lock();
        let until = now.1 + duration;
        while now.1 < until {
            self.moved.wait(&mut now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn system_time_is_this_century_and_monotonic_time_grows() {
        let clock = SystemClock::new();
        assert!(clock.now_micros() > 1_600_000_000_000_000);
        let before = clock.monotonic();
        clock.sleep(Duration::from_millis(2));
        assert!(clock.monotonic() >= before + Duration::from_millis(2));
    }

    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_sleeper_wakes_when_the_manual_clock_passes_its_time() {
        let clock = Arc::new(ManualClock::new(1_000));
        let sleeper = {
            let clock = clock.clone();
            std::thread::spawn(move || {
                let before = clock.monotonic();
                clock.sleep(Duration::from_secs(10));
                clock.monotonic() - before
            })
        };
        // The sleeper may start late, so the clock moves until it has woken.
        while !sleeper.is_finished() {
            clock.advance(Duration::from_secs(4));
            std::thread::yield_now();
        }
        assert!(sleeper.join().unwrap() >= Duration::from_secs(10));
        let passed = clock.monotonic();
        assert_eq!(clock.now_micros(), 1_000 + passed.as_micros() as i64);
        clock.set_micros(5);
        assert_eq!((clock.now_micros(), clock.monotonic()), (5, passed));
    }
}
