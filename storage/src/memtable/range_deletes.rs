//! A memtable's range tombstones.
//!
//! Two forms: what was committed, in order, for recovery to part among locality groups; and fragments, for reads. Both
//! stand behind a lock that readers take for the length of a search, and only where there are any.
//!
//! Concurrency: one writer. The count is raised, with release, after a tombstone is in: a reader that is owed it (whoever
//! reads at or above its timestamp does so after its commit was applied) sees the count, and with it the tombstone.

use crate::fragments::Fragments;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::read::KeyRange;

/// A committed deletion of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeDelete {
    /// The keys.
    pub range: KeyRange,
    /// Its place in the server's commit order.
    pub seq: Seq,
    /// Rows committed before this are deleted.
    pub commit_ts: CommitTs,
}

/// See the module's documentation.
#[derive(Default)]
pub(super) struct RangeDeletes {
    count: AtomicUsize,
    bytes: AtomicUsize,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    committed: Vec<RangeDelete>,
    fragments: Fragments,
}

/// About what a tombstone takes beside its keys, which it shares with the fragments that it makes,
const EACH_BYTES: usize = 256;
/// and in each fragment that it covers.
const COVERED_BYTES: usize = 32;

impl RangeDeletes {
    pub(super) fn add(&self, delete: RangeDelete) {
        let keys = delete.range.start.len() + delete.range.end.as_ref().map_or(0, |end| end.len());
        let mut inner = self.inner.write();
        let covered = inner.fragments.insert(&delete.range, delete.commit_ts);
        inner.committed.push(delete);
        drop(inner);
        let bytes = EACH_BYTES + keys + COVERED_BYTES * covered;
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn all(&self) -> Vec<RangeDelete> {
        match self.is_empty() {
            true => Vec::new(),
            false => self.inner.read().committed.clone(),
        }
    }

    pub(super) fn covering(&self, key: &[u8], at: CommitTs) -> CommitTs {
        match self.is_empty() {
            true => CommitTs::ABSENT,
            false => self.inner.read().fragments.covering(key, at),
        }
    }

    pub(super) fn within(&self, range: &KeyRange) -> Fragments {
        match self.is_empty() {
            true => Fragments::default(),
            false => self.inner.read().fragments.within(range),
        }
    }
}
