//! What reading has cost on this thread: bytes from files, blocks found in the cache, files that filters spared.
//!
//! A scan is on one thread while it makes a batch, so the difference between two looks is what that batch took,
//! wherever below the reads were made. Counters only grow and wrap around.

use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<ReadCounts> =
        const { Cell::new(ReadCounts { file_bytes: 0, cache_hits: 0, files_skipped: 0 }) };
}

/// Sums of this thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Bytes read from files.
    pub file_bytes: u64,
    /// Blocks found in the cache.
    pub cache_hits: u64,
    /// Files whose filter said that a row, or its columns, are not there.
    pub files_skipped: u64,
}

impl ReadCounts {
    /// The sums so far.
    pub fn now() -> Self {
        COUNTS.get()
    }

    /// What came since an earlier look.
    pub fn since(self, before: Self) -> Self {
        Self {
            file_bytes: self.file_bytes.wrapping_sub(before.file_bytes),
            cache_hits: self.cache_hits.wrapping_sub(before.cache_hits),
            files_skipped: self.files_skipped.wrapping_sub(before.files_skipped),
        }
    }
}

pub(super) fn note_file_bytes(bytes: u64) {
    note(|counts| counts.file_bytes = counts.file_bytes.wrapping_add(bytes));
}

pub(super) fn note_cache_hit() {
    note(|counts| counts.cache_hits = counts.cache_hits.wrapping_add(1));
}

pub(super) fn note_file_skipped() {
    note(|counts| counts.files_skipped = counts.files_skipped.wrapping_add(1));
}

fn note(change: impl FnOnce(&mut ReadCounts)) {
    let mut counts = COUNTS.get();
    change(&mut counts);
    COUNTS.set(counts);
}
