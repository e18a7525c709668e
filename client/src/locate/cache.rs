//! Where tablets were last seen.

use crate::ids::StorageId;
use crate::metadata::TabletRow;
use crate::read::KeyRange;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A tablet's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The table.
    pub table: StorageId,
    /// The row keys it holds.
    pub range: KeyRange,
    /// The server that serves it.
    pub server: Arc<str>,
}

impl Location {
    /// As METADATA has it.
    pub fn of(row: &TabletRow) -> Self {
        let range =
            KeyRange { start: row.start.clone().into(), end: row.end.clone().map(Bytes::from) };
        Self { table: row.table, range, server: row.server.as_str().into() }
    }
}

/// Tables the cache knows at most. Nobody tells it of tables that were dropped: past this it begins anew, and finds
/// what is asked for in METADATA again.
const TABLES_MAX: usize = 1 << 16;

/// The cache: for each table its tablets by their first key. They never overlap; there may be gaps.
#[derive(Default)]
pub(super) struct LocationCache {
    tables: RwLock<HashMap<StorageId, BTreeMap<Bytes, Arc<Location>>>>,
    servers: RwLock<BTreeSet<Arc<str>>>,
}

impl LocationCache {
    /// The tablet that holds a key, if it is known.
    pub(super) fn find(&self, table: StorageId, key: &[u8]) -> Option<Arc<Location>> {
        let tables = self.tables.read();
        let below = (std::ops::Bound::Unbounded, std::ops::Bound::Included(key));
        let (_, location) = tables.get(&table)?.range::<[u8], _>(below).next_back()?;
        location.range.contains(key).then(|| location.clone())
    }

    /// Adds a tablet; what overlaps with it is older knowledge and goes.
    pub(super) fn insert(&self, location: Location) -> Arc<Location> {
        let location = Arc::new(location);
        if !self.servers.read().contains(&location.server) {
            self.servers.write().insert(location.server.clone());
        }
        let mut tables = self.tables.write();
        if tables.len() >= TABLES_MAX && !tables.contains_key(&location.table) {
            tables.clear();
        }
        let tablets = tables.entry(location.table).or_default();
        tablets.retain(|_, known| known.range.intersect(&location.range).is_empty());
        tablets.insert(location.range.start.clone(), location.clone());
        location
    }

    /// Every server that was ever seen to serve a tablet.
    pub(super) fn servers(&self) -> Vec<Arc<str>> {
        self.servers.read().iter().cloned().collect()
    }

    /// Drops a table's tablets.
    pub(super) fn forget(&self, table: StorageId) {
        self.tables.write().remove(&table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_come_and_go_leave_little() {
        let cache = LocationCache::default();
        let of = |table| Location {
            table: StorageId(table),
            range: KeyRange::all(),
            server: "server".into(),
        };
        for table in 0..3 * TABLES_MAX as u64 {
            cache.insert(of(table));
            assert!(cache.find(StorageId(table), b"key").is_some());
        }
        assert!(cache.tables.read().len() <= TABLES_MAX);
        cache.insert(of(7));
        assert!(cache.find(StorageId(7), b"key").is_some());
    }
}
