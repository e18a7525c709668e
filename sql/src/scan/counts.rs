//! What the reads of a scan node did, as EXPLAIN ANALYZE shows it.
//!
//! A node may be executed in several partitions and several times. Reads under way are counted with those that ended:
//! whoever asks gets the sum of that moment.

use datafusion::physical_plan::metrics::{CustomMetricValue, Metric, MetricValue, MetricsSet};
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::read::ScanMetrics;

/// The counts of one scan node.
#[derive(Debug, Default)]
pub struct ScanCounts {
    reads: Mutex<Reads>,
}

#[derive(Debug, Default)]
struct Reads {
    ended: ScanMetrics,
    open: Vec<Arc<ScanMetrics>>,
}

/// A read under way; dropped, it has ended.
pub struct OpenRead {
    counts: Arc<ScanCounts>,
    metrics: Arc<ScanMetrics>,
}

impl Drop for OpenRead {
    fn drop(&mut self) {
        let mut reads = self.counts.reads.lock();
        reads.open.retain(|open| !Arc::ptr_eq(open, &self.metrics));
        reads.ended.add(&self.metrics);
    }
}

impl ScanCounts {
    /// Counts a read from now on.
    pub fn open(self: &Arc<Self>, metrics: Arc<ScanMetrics>) -> OpenRead {
        self.reads.lock().open.push(Arc::clone(&metrics));
        OpenRead { counts: Arc::clone(self), metrics }
    }

    fn sum(&self) -> ScanMetrics {
        let sum = ScanMetrics::default();
        let reads = self.reads.lock();
        sum.add(&reads.ended);
        reads.open.iter().for_each(|open| sum.add(open));
        sum
    }

    /// The sums, as DataFusion shows them.
    pub fn metrics(&self) -> MetricsSet {
        let sum = self.sum();
        let all = [
            ("tablets", sum.tablets),
            ("blocks_read", sum.blocks_read),
            ("blocks_skipped", sum.blocks_skipped),
            ("files_skipped", sum.files_skipped),
            ("cache_hits", sum.cache_hits),
            ("file_bytes", sum.file_bytes),
            ("rows_seen", sum.rows_seen),
            ("rows_returned", sum.rows_returned),
        ];
        let mut metrics = MetricsSet::new();
        for (name, count) in all {
            let value = MetricValue::Custom { name: name.into(), value: Arc::new(Exact(count)) };
            metrics.push(Arc::new(Metric::new(value, None)));
        }
        metrics
    }
}

/// A count to the last digit: DataFusion's own counts are rounded to `1.23 K` when shown.
#[derive(Debug, Default)]
struct Exact(AtomicU64);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.load(Ordering::Relaxed).fmt(f)
    }
}

impl CustomMetricValue for Exact {
    fn new_empty(&self) -> Arc<dyn CustomMetricValue> {
        Arc::new(Self::default())
    }

    fn aggregate(&self, other: Arc<dyn CustomMetricValue>) {
        if let Some(Self(other)) = other.as_any().downcast_ref() {
            self.0.fetch_add(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_usize(&self) -> usize {
        usize::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn is_eq(&self, other: &Arc<dyn CustomMetricValue>) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|Self(other)| {
            other.load(Ordering::Relaxed) == self.0.load(Ordering::Relaxed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_count_while_they_run_and_once_when_they_have_ended() {
        let counts = Arc::new(ScanCounts::default());
        let shown = || {
            let metrics = counts.metrics().aggregate_by_name();
            let mut values = metrics.iter().map(|metric| metric.value());
            values.find(|value| value.name() == "rows_seen").map(ToString::to_string)
        };
        let read = Arc::new(ScanMetrics::default());
        let open = counts.open(Arc::clone(&read));
        read.rows_seen.fetch_add(12_345, Ordering::Relaxed);
        assert_eq!(shown().as_deref(), Some("12345"));
        drop(open);
        assert_eq!(shown().as_deref(), Some("12345"));
        let again = Arc::new(ScanMetrics::default());
        again.rows_seen.fetch_add(5, Ordering::Relaxed);
        let _open = counts.open(again);
        assert_eq!(shown().as_deref(), Some("12350"));
    }
}
