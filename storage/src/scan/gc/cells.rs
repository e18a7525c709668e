//! Cells on their way through a merge: taken out of memtables and blocks, given to the writer.

use crate::scan::error::Result;
use crate::sstable::{Block, Cell, CellRef, Column};
use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::row::CellsIter;

/// A cell of a [`CellList`].
#[derive(Clone)]
pub(in crate::scan) struct ListedCell {
    pub(in crate::scan) column: ColumnId,
    /// The cell's own timestamp: that of its commit, or the client's.
    pub(in crate::scan) commit_ts: i64,
    /// Where its bytes lie; `None` is an explicit NULL.
    bytes: Option<Range<usize>>,
}

/// Cells, ascending by column, with their bytes.
#[derive(Default)]
pub(in crate::scan) struct CellList {
    pub(in crate::scan) cells: Vec<ListedCell>,
    bytes: Vec<u8>,
}

impl CellList {
    pub(in crate::scan) fn clear(&mut self) {
        self.cells.clear();
        self.bytes.clear();
    }

    pub(in crate::scan) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn push(&mut self, column: ColumnId, commit_ts: i64, value: Option<&[u8]>) {
        let bytes = value.map(|value| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(value);
            start..self.bytes.len()
        });
        self.cells.push(ListedCell { column, commit_ts, bytes });
    }

    pub(in crate::scan) fn append_packed(
        &mut self,
        packed: &[u8],
        commit_ts: CommitTs,
        is_dropped: &dyn Fn(ColumnId) -> bool,
    ) {
        for (column, value) in CellsIter::new(packed) {
            if !is_dropped(column) {
                self.push(column, commit_ts.0, value);
            }
        }
    }

    pub(in crate::scan) fn append_row(
        &mut self,
        block: &Arc<Block>,
        row: u32,
        commit_ts: CommitTs,
        columns: &mut BlockColumns,
        is_dropped: &dyn Fn(ColumnId) -> bool,
    ) -> Result<()> {
        for id in columns.of(block)? {
            if is_dropped(*id) {
                continue;
            }
            self.append_cell(*id, &block.column(*id)?, row, commit_ts);
        }
        Ok(())
    }

    pub(in crate::scan) fn append_cell(
        &mut self,
        id: ColumnId,
        column: &Column<'_>,
        row: u32,
        commit_ts: CommitTs,
    ) {
        let own_ts = || commit_ts.0.saturating_sub(column.ts_delta(row));
        match column.cell(row) {
            CellRef::Absent => {}
            CellRef::Null => self.push(id, own_ts(), None),
            CellRef::Value(bytes) => self.push(id, own_ts(), Some(&bytes)),
        }
    }

    /// Each column's cell from `newer`, or else from `older`.
    pub(in crate::scan) fn append_newest(&mut self, newer: &CellList, older: &CellList) {
        let mut newer_cells = newer.cells.iter().peekable();
        for cell in &older.cells {
            while let Some(first) = newer_cells.next_if(|first| first.column < cell.column) {
                self.copy(first, newer);
            }
            match newer_cells.next_if(|first| first.column == cell.column) {
                Some(same) => self.copy(same, newer),
                None => self.copy(cell, older),
            }
        }
        newer_cells.for_each(|cell| self.copy(cell, newer));
    }

    pub(in crate::scan) fn copy(&mut self, cell: &ListedCell, from: &CellList) {
        let value = cell.bytes.clone().map(|bytes| &from.bytes[bytes]);
        self.push(cell.column, cell.commit_ts, value);
    }

    /// Visits the versions of each column, columns ascending and their versions newest first, each with how many newer ones
    /// there are. Of versions with one timestamp the one that was added first counts: cells are added newest commit first.
    pub(in crate::scan) fn each_version<'l>(
        &'l self,
        visit: &mut dyn FnMut(&'l ListedCell, usize),
    ) {
        let mut order: Vec<&ListedCell> = self.cells.iter().collect();
        // Stable.
        order.sort_by_key(|cell| (cell.column, Reverse(cell.commit_ts)));
        for of_column in order.chunk_by(|a, b| a.column == b.column) {
            let mut last = None;
            let is_new = |cell: &&&ListedCell| last.replace(cell.commit_ts) != Some(cell.commit_ts);
            of_column
                .iter()
                .filter(is_new)
                .enumerate()
                .for_each(|(newer, cell)| visit(cell, newer));
        }
    }

    /// A cell's bytes; `None` is an explicit NULL.
    pub(in crate::scan) fn value(&self, cell: &ListedCell) -> Option<&[u8]> {
        cell.bytes.clone().map(|bytes| &self.bytes[bytes])
    }

    /// The cells of a row version with this timestamp.
    pub(in crate::scan) fn iter(&self, commit_ts: CommitTs) -> OutCells<'_> {
        OutCells(Out::Listed { cells: self.cells.iter(), bytes: &self.bytes, commit_ts })
    }
}

/// The columns with cells in a few blocks, so that they are listed once a block and not once a row.
#[derive(Default)]
pub(in crate::scan) struct BlockColumns(Vec<(Arc<Block>, Vec<ColumnId>)>);

impl BlockColumns {
    /// Blocks remembered: at least one a source in all but odd cases.
    const BLOCKS_MAX: usize = 16;

    fn of(&mut self, block: &Arc<Block>) -> Result<&[ColumnId]> {
        let known = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, block));
        let place = match known {
            Some(place) => place,
            None => {
                block.prefetch(&block.columns()?, true)?;
                if self.0.len() == Self::BLOCKS_MAX {
                    self.0.remove(0);
                }
                self.0.push((block.clone(), block.columns()?));
                self.0.len() - 1
            }
        };
        Ok(&self.0[place].1)
    }
}

/// The cells of a row version to write.
pub struct OutCells<'a>(Out<'a>);

impl<'a> OutCells<'a> {
    /// Those of a memtable's version.
    pub(in crate::scan) fn packed(cells: &'a [u8]) -> Self {
        Self(Out::Packed(CellsIter::new(cells)))
    }
}

enum Out<'a> {
    Packed(CellsIter<'a>),
    Listed { cells: std::slice::Iter<'a, ListedCell>, bytes: &'a [u8], commit_ts: CommitTs },
}

impl<'a> Iterator for OutCells<'a> {
    type Item = Cell<'a>;

    fn next(&mut self) -> Option<Cell<'a>> {
        match &mut self.0 {
            Out::Packed(cells) => cells.next().map(Cell::new),
            Out::Listed { cells, bytes, commit_ts } => cells.next().map(|cell| Cell {
                column: cell.column,
                ts_delta: commit_ts.0.saturating_sub(cell.commit_ts),
                value: cell.bytes.clone().map(|range| &bytes[range]),
            }),
        }
    }
}
