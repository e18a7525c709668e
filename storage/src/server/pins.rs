//! Read timestamps that must stay readable: open cursors, REPEATABLE READ (rule 7's "oldest open read").
//!
//! A read in flight needs no entry: it holds the version object it started with, whose files and
//! memtables stay whatever a compaction drops elsewhere.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use terrane_client::ids::CommitTs;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Pins {
    held: Mutex<BTreeMap<CommitTs, usize>>,
}

impl Pins {
    /// Adds one holder of a timestamp.
    pub fn pin(&self, at: CommitTs) {
        *self.held.lock().entry(at).or_default() += 1;
    }

    /// Removes one holder.
    pub fn release(&self, at: CommitTs) {
        let mut held = self.held.lock();
        if let Some(count) = held.get_mut(&at) {
            *count -= 1;
            if *count == 0 {
                held.remove(&at);
            }
        }
    }

    /// The oldest pinned timestamp.
    pub fn oldest(&self) -> Option<CommitTs> {
        self.held.lock().keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_held_until_its_last_holder_lets_go() {
        let pins = Pins::default();
        assert_eq!(pins.oldest(), None);
        for at in [7, 5, 5, 9] {
            pins.pin(CommitTs(at));
        }
        assert_eq!(pins.oldest(), Some(CommitTs(5)));
        pins.release(CommitTs(5));
        assert_eq!(pins.oldest(), Some(CommitTs(5)));
        pins.release(CommitTs(5));
        assert_eq!(pins.oldest(), Some(CommitTs(7)));
    }
}
