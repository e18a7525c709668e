//! A row whose columns keep their newest version only: its versions at or below the floor become one.

use super::GcPolicy;
use super::cells::CellList;
use crate::sstable::hides_older;
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_MARKER};

/// The versions of one row at or below the floor, becoming one.
#[derive(Default)]
pub(super) struct Fold {
    pub(super) key: Vec<u8>,
    /// Of the newest.
    pub(super) seq: Seq,
    pub(super) commit_ts: CommitTs,
    /// Of all.
    flags: u8,
    versions: usize,
    /// What is older than the versions was deleted by a range tombstone at or below the floor.
    is_cut: bool,
    /// Each column's newest cell.
    pub(super) cells: CellList,
    /// Swapped with `cells` when an older version adds some.
    spare: CellList,
}

impl Fold {
    pub(super) fn clear(&mut self, deleted_before: CommitTs) {
        self.versions = 0;
        self.is_cut = deleted_before > CommitTs::ABSENT;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.versions == 0
    }

    pub(super) fn begin(&mut self, key: &[u8], seq: Seq, commit_ts: CommitTs) {
        self.key.clear();
        self.key.extend_from_slice(key);
        (self.seq, self.commit_ts, self.flags) = (seq, commit_ts, 0);
        self.cells.clear();
    }

    /// Adds the next older version.
    pub(super) fn add(&mut self, flags: u8, older: &mut CellList) {
        self.flags |= flags;
        self.versions += 1;
        if self.versions == 1 {
            std::mem::swap(&mut self.cells, older);
            return;
        }
        self.spare.clear();
        self.spare.append_newest(&self.cells, older);
        std::mem::swap(&mut self.cells, &mut self.spare);
    }

    /// The one function that says what is left of a row's versions at or below the floor: the flags of the one
    /// version that stands for all of them, or `None` where nothing needs to be left.
    pub(super) fn decide(&self, policy: &GcPolicy) -> Option<u8> {
        if self.is_empty() {
            return None;
        }
        let includes_oldest = policy.includes_oldest;
        let exists = self.flags & ROW_MARKER != 0;
        let nothing_older_counts = includes_oldest || self.is_cut || hides_older(self.flags);
        if !policy.has_markers && nothing_older_counts {
            // Whether it lives another group says; without cells there is nothing to say here.
            let is_needed = !includes_oldest || !self.cells.is_empty();
            return is_needed.then_some(ROW_MARKER | ROW_COMPLETE);
        }
        match (exists, nothing_older_counts) {
            (true, true) => Some(ROW_MARKER | ROW_COMPLETE),
            (true, false) => Some(ROW_MARKER),
            // Cells without a marker are invisible until a newer version brings one.
            (false, _) if includes_oldest => match self.cells.is_empty() {
                true => None,
                // There is nothing older that a delete could hide.
                false => Some(self.flags & !ROW_DELETE),
            },
            (false, _) => Some(self.flags),
        }
    }
}
