//! Back-pressure: when background work falls behind, every writer is slowed a little, none is stopped.
//!
//! A token bucket over written bytes. How far behind the work is, the pressure, is a number from 0 to 1;
//! at 0 nothing is delayed, above it the bucket's rate falls from [`RATE_MAX`] to [`RATE_MIN`]
//! geometrically. So the delay of a write grows with its size and with the pressure, and a burst that
//! fits the bucket is not delayed at all.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes a second just above no pressure.
const RATE_MAX: f64 = 64e6;
/// Bytes a second at full pressure: a slow drip, never a stall.
const RATE_MIN: f64 = 256e3;
/// Seconds of rate the bucket holds.
const BURST_SECONDS: f64 = 0.05;

/// Runs of one tablet above which merging counts as behind, and the number that counts as far behind.
pub const RUNS_PRESSED: usize = 12;
const RUNS_FULL: usize = 32;

/// See the module's documentation.
#[derive(Debug)]
pub struct Throttle {
    bucket: Mutex<Bucket>,
    /// Microseconds of delay given so far: a metric.
    delayed_micros: AtomicU64,
    delay_max: Duration,
}

#[derive(Debug, Default)]
struct Bucket {
    /// When the bytes taken so far will have been paid for.
    paid_until: Duration,
}

/// How far behind background work is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    /// Bytes in all memtables.
    pub memtable_bytes: usize,
    /// The budget.
    pub memtable_budget: usize,
    /// Runs of the tablet with the most.
    pub runs: usize,
}

impl Backlog {
    /// The pressure this backlog makes, from 0 to 1.
    pub fn pressure(self) -> f64 {
        let over = |value: usize, from: usize, to: usize| {
            (value.saturating_sub(from) as f64 / (to - from).max(1) as f64).min(1.0)
        };
        // Flushing starts at 7/8; a budget that is used up and half again is full pressure.
        let budget = self.memtable_budget.max(8);
        let memory = over(self.memtable_bytes, budget, budget + budget / 2);
        memory.max(over(self.runs, RUNS_PRESSED, RUNS_FULL))
    }
}

impl Throttle {
    /// A throttle without pressure.
    pub fn new(delay_max: Duration) -> Self {
        Self { bucket: Mutex::new(Bucket::default()), delayed_micros: AtomicU64::new(0), delay_max }
    }

    /// Delay given to all writers so far.
    pub fn delayed(&self) -> Duration {
        Duration::from_micros(self.delayed_micros.load(Ordering::Relaxed))
    }

    /// How long a write of `bytes` at monotonic time `now` is to wait.
    pub fn delay(
        &self,
        backlog: Backlog,
        bytes: usize,
        now: impl FnOnce() -> Duration,
    ) -> Duration {
        let pressure = backlog.pressure();
        if pressure <= 0.0 {
            return Duration::ZERO;
        }
        let rate = RATE_MAX * (RATE_MIN / RATE_MAX).powf(pressure);
        let cost = Duration::from_secs_f64(bytes as f64 / rate);
        let burst = Duration::from_secs_f64(BURST_SECONDS);
        let now = now();
        let mut bucket = self.bucket.lock();
        let start = bucket.paid_until.max(now.saturating_sub(burst));
        bucket.paid_until = start + cost;
        let delay = bucket.paid_until.saturating_sub(now).min(self.delay_max);
        self.delayed_micros
            .fetch_add(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        // What was cut off is not owed: writers that keep coming pay again.
        bucket.paid_until = bucket.paid_until.min(now + self.delay_max);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(memtable_bytes: usize, runs: usize) -> Backlog {
        Backlog { memtable_bytes, memtable_budget: 1_000, runs }
    }

    fn total_delay(backlog: Backlog) -> Duration {
        let throttle = Throttle::new(Duration::from_secs(10));
        let mut now = Duration::from_secs(100);
        for _ in 0..1_000 {
            now += throttle.delay(backlog, 10_000, || now);
        }
        now - Duration::from_secs(100)
    }

    #[test]
    fn without_pressure_nothing_waits() {
        assert_eq!(total_delay(backlog(1_000, RUNS_PRESSED)), Duration::ZERO);
    }

    #[test]
    fn ten_megabytes_wait_longer_the_further_behind_the_work_is() {
        let little = total_delay(backlog(1_010, 0));
        let half = total_delay(backlog(1_250, 0));
        let full = total_delay(backlog(5_000, 0));
        assert!(
            little > Duration::from_millis(50) && little < Duration::from_secs(1),
            "{little:?}"
        );
        assert!(half > little * 4 && full > half * 4, "{little:?} {half:?} {full:?}");
        assert!(full < Duration::from_secs(60), "{full:?}");
        assert!(total_delay(backlog(0, RUNS_FULL)) > half);
    }

    #[test]
    fn no_single_write_waits_longer_than_the_limit() {
        let throttle = Throttle::new(Duration::from_millis(100));
        for _ in 0..100 {
            let delay = throttle.delay(backlog(9_000, 99), 100 << 20, || Duration::from_secs(5));
            assert!(delay <= Duration::from_millis(100));
        }
        assert!(throttle.delayed() > Duration::from_secs(1));
    }
}
