//! A row of a group whose cells have timestamps of the client's (rule 6).
//!
//! Its versions at or below the floor stay apart, each with its commit: a delete hides what was committed before it,
//! whatever the timestamps, and which cell is the newest does not follow from the commits. Only cells go.
//!
//! - One that has too many newer ones by their timestamps, or one with the same timestamp and a newer commit: those stay,
//!   or were too many themselves.
//! - One that has expired, only where nothing older counts, as in [`super::versions`].
//!
//! A version goes with its last cell, unless it hides what is older and that may be there. A version does not say that the
//! row lives: the default group does.

use super::cells::CellList;
use super::{Emit, GcPolicy};
use crate::scan::error::Result;
use crate::sstable::{RowVersion, hides_older};
use std::cmp::Reverse;
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct DatedVersions {
    key: Vec<u8>,
    versions: Vec<DatedVersion>,
    /// The cells of all versions, newest commit first.
    cells: CellList,
    /// What is older than the versions was deleted by a range tombstone at or below the floor.
    is_cut: bool,
}

struct DatedVersion {
    seq: Seq,
    commit_ts: CommitTs,
    flags: u8,
    /// Where its cells end among all.
    end: usize,
}

impl DatedVersions {
    pub(super) fn clear(&mut self, deleted_before: CommitTs) {
        self.versions.clear();
        self.cells.clear();
        self.is_cut = deleted_before > CommitTs::ABSENT;
    }

    /// Adds the next older version, whose cells are to be added to the list.
    pub(super) fn add(
        &mut self,
        key: &[u8],
        seq: Seq,
        commit_ts: CommitTs,
        flags: u8,
    ) -> &mut CellList {
        if self.versions.is_empty() {
            self.key.clear();
            self.key.extend_from_slice(key);
        }
        self.versions.push(DatedVersion { seq, commit_ts, flags, end: 0 });
        &mut self.cells
    }

    /// All cells of the version were added.
    pub(super) fn end_version(&mut self) {
        let end = self.cells.cells.len();
        if let Some(last) = self.versions.last_mut() {
            last.end = end;
        }
    }

    /// The one function that says what is left of such a row's versions at or below the floor, and gives it out. Returns how
    /// many versions that is.
    pub(super) fn decide(&mut self, policy: &GcPolicy, emit: &mut Emit<'_>) -> Result<u64> {
        let Some(oldest) = self.versions.last() else { return Ok(0) };
        let nothing_older_counts =
            policy.includes_oldest || self.is_cut || hides_older(oldest.flags);
        let keeps = self.kept_cells(policy, nothing_older_counts);
        // What hides what is older goes on doing so, unless there is nothing older.
        let kept_flags = if policy.includes_oldest { 0 } else { ROW_DELETE | ROW_COMPLETE };
        let (mut start, mut written) = (0, 0);
        let mut left = CellList::default();
        for DatedVersion { seq, commit_ts, flags, end } in &self.versions {
            left.clear();
            let own = self.cells.cells[start..*end].iter().zip(&keeps[start..*end]);
            own.filter(|(_, keeps)| **keeps).for_each(|(cell, _)| left.copy(cell, &self.cells));
            start = *end;
            let flags = flags & kept_flags;
            if flags != 0 || !left.is_empty() {
                let row = RowVersion { key: &self.key, seq: *seq, commit_ts: *commit_ts, flags };
                emit(row, left.iter(*commit_ts))?;
                written += 1;
            }
        }
        Ok(written)
    }

    /// Which cells stay, by their places.
    fn kept_cells(&self, policy: &GcPolicy, nothing_older_counts: bool) -> Vec<bool> {
        let cells = &self.cells.cells;
        let mut keeps = vec![false; cells.len()];
        let mut order: Vec<usize> = (0..cells.len()).collect();
        // Stable: of one timestamp the newest commit comes first.
        order.sort_by_key(|at| (cells[*at].column, Reverse(cells[*at].commit_ts)));
        for of_column in order.chunk_by(|a, b| cells[*a].column == cells[*b].column) {
            let same = |a: &usize, b: &usize| cells[*a].commit_ts == cells[*b].commit_ts;
            for (newer, of_time) in of_column.chunk_by(same).enumerate() {
                let newest = of_time[0];
                keeps[newest] = policy.keeps_cell(&cells[newest], newer, nothing_older_counts);
            }
        }
        keeps
    }
}
