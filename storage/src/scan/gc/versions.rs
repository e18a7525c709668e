//! A row of a group in which columns keep several versions, or in which something expires.
//!
//! Its versions at or below the floor become one with each column's newest cell, as where the newest is all that is
//! kept ([`super::fold`]), and beneath it the older cells that live, each in a version of its own time. Where all that is
//! older than these is hidden, the first is a whole row that says that there are older versions
//! ([`ROW_HAS_OLDER`]): who wants the newest stops at it. The last then hides what is beneath.
//!
//! What goes, goes because no read at or above the floor sees it, and because nothing comes to light by its going:
//!
//! - A cell that has too many newer ones: those stay, and go on being too many for whatever is older.
//! - A cell that has expired, only where nothing older counts. Until then it hides what it hid.
//! - A row whose newest marker has expired, likewise.
//!
//! The newest version keeps its timestamp even if nothing is left of it: it is the row's.

use super::GcPolicy;
use super::cells::{BlockColumns, CellList, ListedCell};
use super::{Emit, GroupGc, hides_versions};
use crate::scan::error::Result;
use crate::sstable::{Block, RowVersion};
use std::cmp::Reverse;
use std::sync::Arc;
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_HAS_OLDER, ROW_MARKER};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct KeptVersions {
    key: Vec<u8>,
    /// Of the newest.
    seq: Seq,
    commit_ts: CommitTs,
    /// Of all, and of the oldest.
    flags: u8,
    last_flags: u8,
    is_begun: bool,
    /// What is older than the versions was deleted by a range tombstone at or below the floor.
    is_cut: bool,
    /// When the newest marker was written.
    marker: Option<CommitTs>,
    /// All cells, of each column newest first.
    cells: CellList,
}

/// What is left of a version.
struct Left {
    commit_ts: CommitTs,
    flags: u8,
    cells: CellList,
}

impl Left {
    fn new(commit_ts: CommitTs) -> Self {
        Self { commit_ts, flags: 0, cells: CellList::default() }
    }
}

impl KeptVersions {
    pub(super) fn clear(&mut self, deleted_before: CommitTs) {
        self.is_begun = false;
        self.is_cut = deleted_before > CommitTs::ABSENT;
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.is_begun
    }

    pub(super) fn begin(&mut self, key: &[u8], seq: Seq, commit_ts: CommitTs) {
        self.key.clear();
        self.key.extend_from_slice(key);
        (self.seq, self.commit_ts) = (seq, commit_ts);
        (self.flags, self.last_flags, self.marker) = (0, 0, None);
        self.cells.clear();
        self.is_begun = true;
    }

    fn note(&mut self, flags: u8, commit_ts: CommitTs) {
        self.flags |= flags;
        self.last_flags = flags;
        if flags & ROW_MARKER != 0 && self.marker.is_none() {
            self.marker = Some(commit_ts);
        }
    }

    /// Adds the next older version, of a memtable.
    pub(super) fn add_packed(
        &mut self,
        flags: u8,
        commit_ts: CommitTs,
        cells: &[u8],
        policy: &GcPolicy,
    ) {
        self.note(flags, commit_ts);
        self.cells.append_packed(cells, commit_ts, &|id| policy.is_dropped(id));
    }

    /// Adds the next older version, of a block.
    pub(super) fn add_row(
        &mut self,
        flags: u8,
        commit_ts: CommitTs,
        block: &Arc<Block>,
        row: u32,
        columns: &mut BlockColumns,
        policy: &GcPolicy,
    ) -> Result<()> {
        self.note(flags, commit_ts);
        self.cells.append_row(block, row, commit_ts, columns, &|id| policy.is_dropped(id))
    }

    /// The one function that says what is left of such a row's versions at or below the floor, and gives it out. Returns how
    /// many versions that is.
    pub(super) fn decide(&mut self, policy: &GcPolicy, emit: &mut Emit<'_>) -> Result<u64> {
        if self.is_empty() {
            return Ok(0);
        }
        let includes_oldest = policy.includes_oldest;
        let hides = self.is_cut || hides_versions(self.last_flags);
        let nothing_older_counts = includes_oldest || hides;
        if nothing_older_counts && policy.has_markers && self.has_ended(policy) {
            // Whoever can read here finds no row. What is beneath must not come to light.
            let flags = if includes_oldest { 0 } else { ROW_DELETE };
            return match flags {
                0 => Ok(0),
                flags => self.emit_all(&[Left { flags, ..Left::new(self.commit_ts) }], emit),
            };
        }
        let mut left = self.split(policy, nothing_older_counts);
        let exists = self.flags & ROW_MARKER != 0;
        let last = left.len() - 1;
        if exists && policy.has_markers {
            let at = self.marker_place(policy, &mut left);
            left[at].flags |= ROW_MARKER;
            let last = left.len() - 1;
            if nothing_older_counts {
                left[last].flags |= ROW_COMPLETE;
                if at == 0 && last > 0 {
                    left[0].flags |= ROW_COMPLETE | ROW_HAS_OLDER;
                }
            }
        } else if !policy.has_markers && nothing_older_counts {
            // Whether it lives another group says; without cells there is nothing to say here.
            if includes_oldest && left.iter().all(|version| version.cells.is_empty()) {
                return Ok(0);
            }
            left[last].flags |= ROW_COMPLETE;
            left[0].flags |= ROW_MARKER | ROW_COMPLETE;
            if last > 0 {
                left[0].flags |= ROW_HAS_OLDER;
            }
        } else {
            // Cells without a marker are invisible until a newer version brings one, or an older one has.
            if includes_oldest && left.iter().all(|version| version.cells.is_empty()) {
                return Ok(0);
            }
            let hidden = if includes_oldest { ROW_COMPLETE } else { ROW_COMPLETE | ROW_DELETE };
            if hides {
                left[last].flags |= self.flags & hidden;
            }
            left[0].flags |= self.flags & ROW_MARKER;
        }
        self.emit_all(&left, emit)
    }

    /// True where the newest marker has expired for every read at or above the floor, or there is none and never was one.
    fn has_ended(&self, policy: &GcPolicy) -> bool {
        let Some(written) = self.marker else { return false };
        let is_seen =
            |gc: &GroupGc| gc.seen_flags(ROW_MARKER, written, policy.floor) & ROW_MARKER != 0;
        !policy.gc.iter().any(is_seen)
    }

    /// The version that the marker is in: the newest, or where markers expire the one of its own time, added if need be.
    fn marker_place(&self, policy: &GcPolicy, left: &mut Vec<Left>) -> usize {
        let expires = policy.gc.iter().any(|gc| gc.marker_ttl().is_some());
        let written = match self.marker {
            Some(written) if expires => written,
            _ => return 0,
        };
        let place = left.partition_point(|version| version.commit_ts > written);
        if left.get(place).is_none_or(|version| version.commit_ts != written) {
            left.insert(place, Left::new(written));
        }
        place
    }

    /// The versions with what is left of the cells: the first has each column's newest.
    fn split(&self, policy: &GcPolicy, nothing_older_counts: bool) -> Vec<Left> {
        let mut head = Left::new(self.commit_ts);
        let mut older: Vec<&ListedCell> = Vec::new();
        self.cells.each_version(&mut |cell, newer| {
            if !policy.keeps_cell(cell, newer, nothing_older_counts) {
                return;
            }
            match newer {
                0 => head.cells.copy(cell, &self.cells),
                _ => older.push(cell),
            }
        });
        older.sort_by_key(|cell| (Reverse(cell.commit_ts), cell.column));
        let mut left = vec![head];
        for of_time in older.chunk_by(|a, b| a.commit_ts == b.commit_ts) {
            let mut version = Left::new(CommitTs(of_time[0].commit_ts));
            of_time.iter().for_each(|cell| version.cells.copy(cell, &self.cells));
            left.push(version);
        }
        left
    }

    fn emit_all(&self, left: &[Left], emit: &mut Emit<'_>) -> Result<u64> {
        for Left { commit_ts, flags, cells } in left {
            let row =
                RowVersion { key: &self.key, seq: self.seq, commit_ts: *commit_ts, flags: *flags };
            emit(row, cells.iter(*commit_ts))?;
        }
        Ok(left.len() as u64)
    }
}
