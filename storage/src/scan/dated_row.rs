//! One row of a group whose cells have timestamps of the client's, while it is read.
//!
//! Its versions come newest commit first, down to one that hides what was committed before; only then is it known which
//! cell of a column is the newest: the one with the greatest timestamp, and of equal ones that of the newest commit.

use super::error::Result;
use super::gc::cells::CellList;
use super::group_gc::GroupGc;
use crate::sstable::Block;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::row::{CellTimes, CellsBuilder, PackedCells};

/// See the module's documentation.
#[derive(Default)]
pub(super) struct DatedRow {
    key: Vec<u8>,
    /// The newest version's commit, and the flags of all.
    newest: Option<(CommitTs, u8)>,
    cells: CellList,
}

impl DatedRow {
    /// Notes the next older version, which may come in several parts.
    pub(super) fn note(&mut self, key: &[u8], commit_ts: CommitTs, flags: u8) {
        match &mut self.newest {
            Some((_, all)) => *all |= flags,
            None => {
                self.key.extend_from_slice(key);
                self.newest = Some((commit_ts, flags));
            }
        }
    }

    /// Adds cells of it, of these columns, which ascend.
    pub(super) fn add_packed(&mut self, cells: &[u8], written: CommitTs, columns: &[ColumnId]) {
        self.cells.append_packed(cells, written, &|id| columns.binary_search(&id).is_err());
    }

    /// The same from a row of a block.
    pub(super) fn add_stored(
        &mut self,
        block: &Arc<Block>,
        row: u32,
        commit_ts: CommitTs,
        columns: &[ColumnId],
    ) -> Result<()> {
        for id in columns {
            self.cells.append_cell(*id, &block.column(*id)?, row, commit_ts);
        }
        Ok(())
    }

    /// The newest version's commit and the flags of all; `None` where there is no version.
    pub(super) fn newest_version(&self) -> Option<(CommitTs, u8)> {
        self.newest
    }

    /// The row's key.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Of each column the newest cell, unless it has expired, and when it was written.
    pub(super) fn seen(&self, gc: &GroupGc, now: CommitTs) -> (PackedCells, CellTimes) {
        let (mut cells, mut times) = (CellsBuilder::default(), CellTimes::default());
        self.cells.each_version(&mut |cell, newer| {
            let written = CommitTs(cell.commit_ts);
            if newer == 0 && !gc.has_expired(cell.column, written, now) {
                cells.push(cell.column, self.cells.value(cell));
                times.set(cell.column, written);
            }
        });
        (cells.finish(), times)
    }
}
