//! One live row out of its versions.
//!
//! The rule, for a read at T, over the mutations with `commit_ts <= T`, newest first: each column's newest
//! cell counts (an explicit NULL too); a [`ROW_DELETE`] or [`ROW_COMPLETE`] hides everything older than
//! its own mutation; the row exists if a [`ROW_MARKER`] was seen before or at that stop; its version is the
//! newest commit. Inside one mutation the delete applies first (rule 6), so its own cells count.

use super::{
    CellTimes, CellsBuilder, CellsIter, PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row,
};
use crate::ids::{ColumnId, CommitTs};
use std::ops::ControlFlow;

/// Merges the versions of one row after another. Keeps its buffers from row to row.
#[derive(Default)]
pub struct RowMerge {
    version: CommitTs,
    flags: u8,
    sources: Vec<PackedCells>,
}

impl RowMerge {
    /// Adds the next older version. `Break`: older ones do not count and need not be looked for.
    pub fn push(&mut self, commit_ts: CommitTs, flags: u8, cells: &PackedCells) -> ControlFlow<()> {
        if self.sources.is_empty() {
            self.version = commit_ts;
        }
        debug_assert!(commit_ts <= self.version, "versions come newest first");
        self.flags |= flags;
        self.sources.push(cells.clone());
        match flags & (ROW_DELETE | ROW_COMPLETE) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }

    /// The row, or `None` where none lives. Starts over for the next row.
    pub fn finish(&mut self) -> Option<Row> {
        let exists = self.flags & ROW_MARKER != 0;
        let row = exists.then(|| Row {
            version: self.version,
            cells: merge_cells(&self.sources),
            times: CellTimes::default(),
        });
        self.sources.clear();
        self.flags = 0;
        self.version = CommitTs::ABSENT;
        row
    }
}

/// Each column's cell from the first source that has it.
pub fn merge_cells(newest_first: &[PackedCells]) -> PackedCells {
    match newest_first {
        [] => return PackedCells::default(),
        [only] => return only.clone(),
        _ => {}
    }
    let mut heads: Vec<_> = newest_first.iter().map(|cells| cells.iter().peekable()).collect();
    let mut merged = CellsBuilder::default();
    while let Some(column) = smallest_column(&mut heads) {
        let mut newest = None;
        for head in &mut heads {
            if let Some((_, cell)) = head.next_if(|(id, _)| *id == column) {
                newest = newest.or(Some(cell));
            }
        }
        if let Some(cell) = newest {
            merged.push(column, cell);
        }
    }
    merged.finish()
}

fn smallest_column(heads: &mut [std::iter::Peekable<CellsIter<'_>>]) -> Option<ColumnId> {
    heads.iter_mut().filter_map(|head| head.peek().map(|(id, _)| *id)).min()
}

impl super::RowMutation {
    /// The one mutation that does what `self` and then `next` do, in the same commit: so DELETE + INSERT
    /// of a key is one mutation with all three flags.
    pub fn then(&self, next: &super::RowMutation) -> super::RowMutation {
        if next.flags & (ROW_DELETE | ROW_COMPLETE) != 0 {
            // Nothing of self's cells or marker is left; a delete before is one of the row under both.
            let flags = next.flags | self.flags & ROW_DELETE;
            return super::RowMutation { flags, cells: next.cells.clone() };
        }
        super::RowMutation {
            flags: self.flags | next.flags,
            cells: merge_cells(&[next.cells.clone(), self.cells.clone()]),
        }
    }
}

impl PackedCells {
    /// Only the cells of these columns, which ascend.
    pub fn project(&self, columns: &[ColumnId]) -> PackedCells {
        let mut wanted = columns.iter().peekable();
        let mut kept = CellsBuilder::default();
        for (column, cell) in self.iter() {
            while wanted.next_if(|id| **id < column).is_some() {}
            match wanted.peek() {
                None => break,
                Some(id) if **id == column => kept.push(column, cell),
                Some(_) => {}
            }
        }
        kept.finish()
    }
}

#[cfg(test)]
mod tests;
