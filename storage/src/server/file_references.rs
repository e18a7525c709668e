//! How often tablets name a file: after a split it is more than once (rule 20, one process).
//!
//! Contract: a file that a tablet no longer names is removed only where [`FileReferences::release`] says that
//! nobody else does. Counted is what METADATA says, whether the tablet is served here or not: one that could
//! not be loaded keeps its files too. Only files with several references have an entry.
//!
//! Fault model: the counts are made anew at every start, from METADATA's rows, before anything is removed. A
//! count that was not lowered before a crash, or because a tablet was dropped unserved, leaves a file behind
//! that the next start sweeps; never the other way round, since a reference is counted before the tablet that
//! holds it can be changed.

use parking_lot::Mutex;
use std::collections::HashMap;
use terrane_client::ids::StorageId;
use terrane_client::metadata::TabletRow;

/// A file by its table and name.
type FileName = (StorageId, String);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct FileReferences {
    /// Of each file with several references their number.
    shared: Mutex<HashMap<FileName, usize>>,
}

impl FileReferences {
    /// Counts the references of all tablets there are. What was counted before is forgotten.
    pub(super) fn count(&self, rows: &[TabletRow]) {
        let mut counts: HashMap<FileName, usize> = HashMap::new();
        for row in rows {
            for file in row.files() {
                *counts.entry((row.table, file.name.clone())).or_default() += 1;
            }
        }
        counts.retain(|_, count| *count > 1);
        *self.shared.lock() = counts;
    }

    /// Tablets of a table take the place of others, and name the same files: two of one, or one of two.
    pub(super) fn replace(&self, before: &[&TabletRow], after: &[&TabletRow]) {
        let Some(table) = before.first().map(|row| row.table) else { return };
        let mut changes: HashMap<&str, (usize, usize)> = HashMap::new();
        for file in before.iter().flat_map(|row| row.files()) {
            changes.entry(&file.name).or_default().0 += 1;
        }
        for file in after.iter().flat_map(|row| row.files()) {
            changes.entry(&file.name).or_default().1 += 1;
        }
        let mut shared = self.shared.lock();
        for (name, (fewer, more)) in changes.into_iter().filter(|(_, (old, new))| old != new) {
            let key = (table, name.to_owned());
            let count = shared.get(&key).copied().unwrap_or(1) + more;
            match count.saturating_sub(fewer) {
                0 | 1 => shared.remove(&key),
                count => shared.insert(key, count),
            };
        }
    }

    /// Whether a file is named more than once.
    pub(super) fn is_shared(&self, table: StorageId, name: &str) -> bool {
        let shared = self.shared.lock();
        !shared.is_empty() && shared.contains_key(&(table, name.to_owned()))
    }

    /// A tablet no longer names a file; true where nobody else does.
    pub(super) fn release(&self, table: StorageId, name: &str) -> bool {
        let mut shared = self.shared.lock();
        if shared.is_empty() {
            return true;
        }
        let key = (table, name.to_owned());
        let Some(count) = shared.get_mut(&key) else { return true };
        *count -= 1;
        if *count == 1 {
            shared.remove(&key);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use terrane_client::ids::{CommitTs, Generation, Seq};
    use terrane_client::metadata::merge;
    use terrane_client::metadata::split::{SplitIntent, children};
    use terrane_client::metadata::{self, FileRow, RunRow};

    const TABLE: StorageId = StorageId(1);

    fn split(parent: &TabletRow, at: &[u8]) -> (TabletRow, TabletRow) {
        let intent = Some(SplitIntent { at: at.to_vec(), is_chosen: false });
        children(&TabletRow { split: intent, ..parent.clone() }).unwrap()
    }

    fn tablet() -> TabletRow {
        let table = metadata::schema();
        let mut row = TabletRow::empty(&table, Vec::new(), None, "server", Generation(1));
        let file = |name: &str, start: &[u8], end: &[u8]| FileRow {
            name: name.to_owned(),
            size_bytes: 1,
            rows: 1,
            start: start.to_vec(),
            end: Some(end.to_vec()),
            min_seq: Seq(1),
            max_seq: Seq(1),
            max_commit_ts: CommitTs(1),
        };
        let files = vec![file("low", b"a", b"c"), file("wide", b"c", b"x")];
        row.groups[0].runs = vec![RunRow { files }];
        row
    }

    #[test]
    fn a_file_goes_with_its_last_reference() {
        let references = FileReferences::default();
        let (left, right) = split(&tablet(), b"m");
        references.replace(&[&tablet()], &[&left, &right]);
        let (middle, last) = split(&right, b"p");
        references.replace(&[&right], &[&middle, &last]);
        assert!(references.release(TABLE, "low"), "the left child alone has it");
        assert!(!references.release(TABLE, "wide"));
        assert!(!references.release(TABLE, "wide"));
        assert!(references.release(TABLE, "wide"));
    }

    #[test]
    fn a_merge_takes_back_what_a_split_has_counted() {
        let references = FileReferences::default();
        let (left, right) = split(&tablet(), b"m");
        references.replace(&[&tablet()], &[&left, &right]);
        assert!(references.is_shared(TABLE, "wide"));
        let (middle, last) = split(&right, b"p");
        references.replace(&[&right], &[&middle, &last]);
        let union = merge::union(&left, &middle, Seq(1)).unwrap();
        references.replace(&[&left, &middle], &[&union]);
        let union_of_all = merge::union(&union, &last, Seq(1)).unwrap();
        references.replace(&[&union, &last], &[&union_of_all]);
        assert!(!references.is_shared(TABLE, "wide"));
        assert!(references.release(TABLE, "low"));
        assert!(references.release(TABLE, "wide"));
    }

    #[test]
    fn counts_are_the_same_after_a_restart() {
        let references = FileReferences::default();
        let (left, right) = split(&tablet(), b"m");
        references.count(&[left, right]);
        assert!(references.release(TABLE, "low"));
        assert!(!references.release(TABLE, "wide"));
        assert!(references.release(TABLE, "wide"));
    }
}
