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

/// The versions of a row that a read takes together.
#[derive(Default)]
struct FoundVersions<'a> {
    /// Of the newest.
    version: CommitTs,
    /// Of all.
    flags: u8,
    /// Most rows are one version: the first needs no list.
    newest: Option<Found<'a>>,
    older: Vec<Found<'a>>,
}

impl FoundVersions<'_> {
    fn cells(self, columns: &[ColumnId]) -> Result<PackedCells> {
        match (self.newest, self.older.is_empty()) {
            (None, _) => Ok(PackedCells::default()),
            (Some(Found::Packed(cells)), true) => {
                Ok(PackedCells::parse(Bytes::copy_from_slice(cells))?)
            }
            (Some(Found::Stored(block, row)), true) => Ok(block.row_cells(row, Some(columns))?),
            (Some(newest), false) => merge(newest, &self.older, columns),
        }
    }
}

impl Sources {
    /// The row with this key as a read at `at` sees it, with the cells of `columns`, which ascend; a row
    /// of one version in a memtable may come with more.
    pub fn get(&self, key: &[u8], at: CommitTs, columns: &[ColumnId]) -> Result<Option<Row>> {
        let found = self.find(key, at)?;
        if found.flags & ROW_MARKER == 0 {
            return Ok(None);
        }
        let version = found.version;
        Ok(Some(Row { version, cells: found.cells(columns)? }))
    }

    /// The cells that `columns`, which ascend, have in this row, whether or not a marker says that it lives:
    /// another locality group's does.
    pub fn cells(&self, key: &[u8], at: CommitTs, columns: &[ColumnId]) -> Result<PackedCells> {
        self.find(key, at)?.cells(columns)
    }

    fn find(&self, key: &[u8], at: CommitTs) -> Result<FoundVersions<'_>> {
        let mut all = FoundVersions::default();
        self.visit(key, at, &mut |commit_ts, flags, found| {
            all.flags |= flags;
            match all.newest {
                None => {
                    all.version = commit_ts;
                    all.newest = Some(found);
                }
                Some(_) => all.older.push(found),
            }
        })?;
        Ok(all)
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
