//! Point reads: one row by key, with none of the scan's machinery.
//!
//! Sources are visited newest first and the visit stops at the first version that hides all older ones, so a
//! row that was written whole costs one lookup in its newest source. What is allocated is the answer, and a
//! list of versions only where several are merged.

use super::error::Result;
use super::sources::Sources;
use crate::sstable::{Block, CellRef, ReadOptions, VersionRef};
use bytes::Bytes;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::row::{
    CellsBuilder, CellsIter, PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row,
};

/// One version of a row, where it lies.
enum Found<'a> {
    /// In a memtable: packed cells.
    Packed(&'a [u8]),
    /// In a block.
    Stored(Arc<Block>, u32),
}

impl Sources {
    /// The row with this key as a read at `at` sees it, with the cells of `columns`, which ascend; a row
    /// of one version in a memtable may come with more.
    pub fn get(&self, key: &[u8], at: CommitTs, columns: &[ColumnId]) -> Result<Option<Row>> {
        let mut version = CommitTs::ABSENT;
        let mut all_flags = 0;
        // Most rows are one version: the first needs no list.
        let mut newest: Option<Found<'_>> = None;
        let mut older: Vec<Found<'_>> = Vec::new();
        self.visit(key, at, &mut |commit_ts, flags, found| {
            all_flags |= flags;
            match newest {
                None => {
                    version = commit_ts;
                    newest = Some(found);
                }
                Some(_) => older.push(found),
            }
        })?;
        match newest {
            Some(newest) if all_flags & ROW_MARKER != 0 => {
                let cells = match (newest, older.is_empty()) {
                    (Found::Packed(cells), true) => {
                        PackedCells::parse(Bytes::copy_from_slice(cells))?
                    }
                    (Found::Stored(block, row), true) => block.row_cells(row, Some(columns))?,
                    (newest, false) => merge(newest, &older, columns)?,
                };
                Ok(Some(Row { version, cells }))
            }
            _ => Ok(None),
        }
    }

    /// The version of the row with this key as a read at `at` sees it, [`CommitTs::ABSENT`] where none lives.
    /// Looks at no cell: what INSERT asks under the row's lock.
    pub fn version(&self, key: &[u8], at: CommitTs) -> Result<CommitTs> {
        let mut version = CommitTs::ABSENT;
        let mut all_flags = 0;
        self.visit(key, at, &mut |commit_ts, flags, _| {
            if version == CommitTs::ABSENT {
                version = commit_ts;
            }
            all_flags |= flags;
        })?;
        Ok(if all_flags & ROW_MARKER != 0 { version } else { CommitTs::ABSENT })
    }

    /// Visits the versions of a row that a read at `at` takes together, newest first.
    fn visit<'a>(
        &'a self,
        key: &[u8],
        at: CommitTs,
        visit: &mut dyn FnMut(CommitTs, u8, Found<'a>),
    ) -> Result<()> {
        let deleted_before = self.deleted_before(key, at);
        for memtable in &self.memtables {
            for version in memtable.get(key).filter(|version| version.commit_ts <= at) {
                if version.commit_ts < deleted_before {
                    return Ok(());
                }
                let flags = version.flags();
                visit(version.commit_ts, flags, Found::Packed(version.cells()));
                if hides_older(flags) {
                    return Ok(());
                }
            }
        }
        for run in &self.runs {
            let Some(file) = run.file_of(key) else { continue };
            let mut versions = file.table.versions(key, at, ReadOptions::default())?;
            while let Some(VersionRef { commit_ts, flags, block, row }) = versions.next()? {
                if commit_ts < deleted_before {
                    return Ok(());
                }
                visit(commit_ts, flags, Found::Stored(block, row));
                if hides_older(flags) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// True where nothing older than a version with these flags counts.
pub(super) fn hides_older(flags: u8) -> bool {
    flags & (ROW_DELETE | ROW_COMPLETE) != 0
}

/// A version's cells while they are asked for column by column, ascending.
enum Head<'a> {
    Packed(std::iter::Peekable<CellsIter<'a>>),
    Stored(&'a Block, u32),
}

impl<'a> Head<'a> {
    fn new(found: &'a Found<'_>) -> Self {
        match found {
            Found::Packed(cells) => Head::Packed(CellsIter::new(cells).peekable()),
            Found::Stored(block, row) => Head::Stored(block, *row),
        }
    }

    /// Adds the version's cell of a column; false where it has none.
    fn push(&mut self, column: ColumnId, out: &mut CellsBuilder) -> Result<bool> {
        match self {
            Head::Packed(cells) => {
                while cells.next_if(|(id, _)| *id < column).is_some() {}
                let Some((_, cell)) = cells.next_if(|(id, _)| *id == column) else {
                    return Ok(false);
                };
                out.push(column, cell);
            }
            Head::Stored(block, row) => match block.column(column)?.cell(*row) {
                CellRef::Absent => return Ok(false),
                CellRef::Null => out.push(column, None),
                CellRef::Value(bytes) => out.push(column, Some(&bytes)),
            },
        }
        Ok(true)
    }
}

/// Of each column the newest cell.
fn merge(newest: Found<'_>, older: &[Found<'_>], columns: &[ColumnId]) -> Result<PackedCells> {
    let mut heads: Vec<Head<'_>> = std::iter::once(&newest).chain(older).map(Head::new).collect();
    let mut cells = CellsBuilder::default();
    for column in columns {
        for head in &mut heads {
            if head.push(*column, &mut cells)? {
                break;
            }
        }
    }
    Ok(cells.finish())
}
