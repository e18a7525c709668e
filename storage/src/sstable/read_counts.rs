//! What reading has cost on this thread: bytes from files, and blocks found in the cache.
//!
//! A scan is on one thread while it makes a batch, so the difference between two looks is what that batch took,
//! wherever below the reads were made. Counters only grow and wrap around.

use std::cell::Cell;

thread_local! {
    static COUNTS: Cell<ReadCounts> = const { Cell::new(ReadCounts { file_bytes: 0, cache_hits: 0 }) };
}

/// Sums of this thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Bytes read from files.
    pub file_bytes: u64,
    /// Blocks found in the cache.
    pub cache_hits: u64,
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
        }
    }
}

pub(super) fn note_file_bytes(bytes: u64) {
    COUNTS.set(ReadCounts {
        file_bytes: COUNTS.get().file_bytes.wrapping_add(bytes),
        ..COUNTS.get()
    });
}

pub(super) fn note_cache_hit() {
    COUNTS.set(ReadCounts { cache_hits: COUNTS.get().cache_hits.wrapping_add(1), ..COUNTS.get() });
}
