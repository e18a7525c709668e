//! One budget of the cache.

use quick_cache::sync::Cache;
use quick_cache::{OptionsBuilder, Weighter};
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value and the weight it was last told to have: the replacement must see one weight for an entry
/// from insertion to eviction, whatever the value grew to meanwhile.
#[derive(Clone)]
struct Weighed<V> {
    value: V,
    weight: u64,
}

#[derive(Clone)]
struct ByWeight;

impl<K, V> Weighter<K, Weighed<V>> for ByWeight {
    fn weight(&self, _: &K, entry: &Weighed<V>) -> u64 {
        // Entries of no weight would never be evicted.
        entry.weight.max(1)
    }
}

/// A budget's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionStats {
    /// Lookups that found their entry.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Entries held.
    pub entries: u64,
    /// Bytes held.
    pub bytes: u64,
    /// Bytes that may be held.
    pub capacity_bytes: u64,
}

/// Entries that share a budget.
pub(super) struct Region<K, V> {
    cache: Cache<K, Weighed<V>, ByWeight>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<K, V> fmt::Debug for Region<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Copy, V: Clone> Region<K, V> {
    pub(super) fn new(capacity_bytes: u64, entry_bytes_guess: u64) -> Self {
        let items =
            usize::try_from(capacity_bytes / entry_bytes_guess).unwrap_or(usize::MAX).max(16);
        let options = OptionsBuilder::new()
            .estimated_items_capacity(items)
            .weight_capacity(capacity_bytes)
            .build()
            .expect("both capacities are given");
        let cache = Cache::with_options(
            options,
            ByWeight,
            Default::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        );
        Self { cache, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let found = self.cache.get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found.map(|entry| entry.value)
    }

    pub(super) fn insert(&self, key: K, value: V, weight: u64) {
        self.cache.insert(key, Weighed { value, weight });
    }

    /// Weighs an entry again, if it is still there.
    pub(super) fn reweigh(&self, key: K, weigh: impl FnOnce(&V) -> u64) {
        if let Some(entry) = self.cache.peek(&key) {
            let weight = weigh(&entry.value);
            // It may have been evicted meanwhile: then it stays out.
            let _evicted = self.cache.replace(key, Weighed { value: entry.value, weight }, true);
        }
    }

    pub(super) fn remove(&self, key: &K) {
        self.cache.remove(key);
    }

    pub(super) fn clear(&self) {
        self.cache.clear();
    }

    pub(super) fn stats(&self) -> RegionStats {
        RegionStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            entries: self.cache.len() as u64,
            bytes: self.cache.weight(),
            capacity_bytes: self.cache.capacity(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn it_stays_within_its_budget_and_counts() {
        let region: Region<u32, Arc<Vec<u8>>> = Region::new(100_000, 1_000);
        for key in 0..1_000 {
            region.insert(key, Arc::new(vec![0; 1_000]), 1_000);
        }
        let stats = region.stats();
        assert!(stats.bytes <= stats.capacity_bytes, "{stats:?}");
        assert!(stats.entries > 20, "{stats:?}");
        let found = (0..1_000).filter(|key| region.get(key).is_some()).count() as u64;
        let stats = region.stats();
        assert_eq!((stats.hits, stats.misses), (found, 1_000 - found));
    }

    #[test]
    fn an_entry_that_grew_weighs_more_and_one_that_left_stays_out() {
        let region: Region<u32, u64> = Region::new(100_000, 1_000);
        region.insert(1, 10, 10);
        region.reweigh(1, |value| value * 50);
        assert_eq!(region.stats().bytes, 500);
        region.remove(&1);
        region.reweigh(1, |value| value * 50);
        assert_eq!((region.stats().bytes, region.get(&1)), (0, None));
    }
}
