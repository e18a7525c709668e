//! Point reads: one row by key, with none of the scan's machinery.
//!
//! Sources are visited newest first and the visit stops at the first version that hides all older ones, so a
//! row that was written whole costs one lookup in its newest source. What is allocated is the answer, and a
//! list of versions only where several are merged.

use super::dated_row::DatedRow;
use super::error::Result;
use super::group_gc::{GroupGc, ReadTime};
use super::sources::Sources;
use crate::sstable::{Block, CellRef, ReadOptions, VersionRef, hides_older};
use bytes::Bytes;
use std::ops::ControlFlow;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::row::{
    CellTimes, CellsBuilder, CellsIter, PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_HAS_OLDER,
    ROW_MARKER, Row,
};

/// One version of a row, where it lies.
struct Found<'a> {
    commit_ts: CommitTs,
    /// When its cells were written, of a version in a memtable.
    written: CommitTs,
    place: Place<'a>,
}

enum Place<'a> {
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
    fn cells(
        self,
        columns: &[ColumnId],
        gc: &GroupGc,
        now: CommitTs,
    ) -> Result<(PackedCells, CellTimes)> {
        if gc.is_dated() {
            return self.dated_cells(columns, gc, now);
        }
        Ok((self.newest_cells(columns, gc, now)?, CellTimes::default()))
    }

    /// Of each column the cell with the newest timestamp of the client's.
    fn dated_cells(
        self,
        columns: &[ColumnId],
        gc: &GroupGc,
        now: CommitTs,
    ) -> Result<(PackedCells, CellTimes)> {
        let mut row = DatedRow::default();
        for Found { commit_ts, written, place } in self.newest.into_iter().chain(self.older) {
            match place {
                Place::Packed(cells) => row.add_packed(cells, written, columns),
                Place::Stored(block, ordinal) => {
                    row.add_stored(&block, ordinal, commit_ts, columns)?;
                }
            }
        }
        Ok(row.seen(gc, now))
    }

    fn newest_cells(
        self,
        columns: &[ColumnId],
        gc: &GroupGc,
        now: CommitTs,
    ) -> Result<PackedCells> {
        let Some(newest) = self.newest else { return Ok(PackedCells::default()) };
        if gc.expires_cells() {
            return merge(newest, &self.older, columns, &|column, written| {
                gc.has_expired(column, written, now)
            });
        }
        match (newest.place, self.older.is_empty()) {
            (Place::Packed(cells), true) => Ok(PackedCells::parse(Bytes::copy_from_slice(cells))?),
            (Place::Stored(block, row), true) => Ok(block.row_cells(row, Some(columns))?),
            (place, false) => {
                let newest = Found { place, ..newest };
                merge(newest, &self.older, columns, &|_, _| false)
            }
        }
    }
}

impl Sources {
    /// The row with this key as a read sees it, with the cells of `columns`, which ascend; a row
    /// of one version in a memtable may come with more.
    pub fn get(
        &self,
        key: &[u8],
        time: ReadTime,
        gc: &GroupGc,
        columns: &[ColumnId],
    ) -> Result<Option<Row>> {
        // No file is left out for its columns: whether the row lives, and its version, are asked, too.
        let found = self.find(key, None, time, gc)?;
        if found.flags & ROW_MARKER == 0 {
            return Ok(None);
        }
        let version = found.version;
        let (cells, times) = found.cells(columns, gc, time.now)?;
        Ok(Some(Row { version, cells, times }))
    }

    /// The cells that `columns`, which ascend, have in this row, whether or not a marker says that it lives:
    /// another locality group's does. Beside them when they were written, where the client says so.
    pub fn cells(
        &self,
        key: &[u8],
        time: ReadTime,
        gc: &GroupGc,
        columns: &[ColumnId],
    ) -> Result<(PackedCells, CellTimes)> {
        self.find(key, Some(columns), time, gc)?.cells(columns, gc, time.now)
    }

    fn find(
        &self,
        key: &[u8],
        columns: Option<&[ColumnId]>,
        time: ReadTime,
        gc: &GroupGc,
    ) -> Result<FoundVersions<'_>> {
        let mut all = FoundVersions::default();
        self.visit(key, columns, time.at, gc, &mut |flags, found| {
            all.flags |= gc.seen_flags(flags, found.commit_ts, time.now);
            match all.newest {
                None => {
                    all.version = found.commit_ts;
                    all.newest = Some(found);
                }
                Some(_) => all.older.push(found),
            }
        })?;
        Ok(all)
    }

    /// The version of the row with this key as a read sees it, [`CommitTs::ABSENT`] where none lives.
    /// Looks at no cell: what INSERT asks under the row's lock.
    pub fn version(&self, key: &[u8], time: ReadTime, gc: &GroupGc) -> Result<CommitTs> {
        let mut version = CommitTs::ABSENT;
        let mut all_flags = 0;
        self.visit(key, None, time.at, gc, &mut |flags, Found { commit_ts, .. }| {
            if version == CommitTs::ABSENT {
                version = commit_ts;
            }
            all_flags |= gc.seen_flags(flags, commit_ts, time.now);
        })?;
        Ok(if all_flags & ROW_MARKER != 0 { version } else { CommitTs::ABSENT })
    }

    /// When the row with this key ends by its age, as a read at `at` that looks at no clock sees it: [`CommitTs::MAX`] for
    /// one that does not, [`CommitTs::ABSENT`] where there is none.
    pub fn row_end(&self, key: &[u8], at: CommitTs, gc: &GroupGc) -> Result<CommitTs> {
        let mut end = CommitTs::ABSENT;
        self.visit(key, None, at, gc, &mut |flags, found| {
            if flags & ROW_MARKER != 0 {
                end = end.max(gc.marker_end(found.commit_ts).unwrap_or(CommitTs::MAX));
            }
        })?;
        Ok(end)
    }

    /// Visits the versions of a row that a read at `at` takes together, newest first. Where only cells of `columns`
    /// and flags count, those of a file that has neither may be left out.
    fn visit<'a>(
        &'a self,
        key: &[u8],
        columns: Option<&[ColumnId]>,
        at: CommitTs,
        gc: &GroupGc,
        visit: &mut dyn FnMut(u8, Found<'a>),
    ) -> Result<()> {
        let deleted_before = self.deleted_before(key, at);
        for memtable in &self.memtables {
            for version in memtable.get(key).filter(|version| version.commit_ts <= at) {
                if version.commit_ts < deleted_before {
                    return Ok(());
                }
                if version.is_image && !gc.is_plain() {
                    // It does not know how old its cells are.
                    continue;
                }
                let commit_ts = version.commit_ts;
                let visited = version.try_each_part(&mut |flags, written, cells| {
                    visit(flags, Found { commit_ts, written, place: Place::Packed(cells) });
                    match hides_older(flags) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                });
                if visited.is_break() {
                    return Ok(());
                }
            }
        }
        for run in &self.runs {
            let Some(file) = run.file_of(key) else { continue };
            let mut versions = file.table.versions(key, columns, at, ReadOptions::default())?;
            while let Some(VersionRef { commit_ts, flags, block, row }) = versions.next()? {
                if commit_ts < deleted_before {
                    return Ok(());
                }
                let place = Place::Stored(block, row);
                visit(flags, Found { commit_ts, written: commit_ts, place });
                if hides_older(flags) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// True where no older version of any column counts, not even among those that are kept beside the newest.
pub(super) fn hides_versions(flags: u8) -> bool {
    flags & ROW_DELETE != 0 || flags & (ROW_COMPLETE | ROW_HAS_OLDER) == ROW_COMPLETE
}

/// A version's cells while they are asked for column by column, ascending.
enum Head<'a> {
    Packed(std::iter::Peekable<CellsIter<'a>>),
    Stored(&'a Block, u32),
}

impl<'a> Head<'a> {
    fn new(found: &'a Found<'_>) -> (CommitTs, Self) {
        let head = match &found.place {
            Place::Packed(cells) => Head::Packed(CellsIter::new(cells).peekable()),
            Place::Stored(block, row) => Head::Stored(block, *row),
        };
        (found.commit_ts, head)
    }

    /// Adds the version's cell of a column, unless it has expired; false where it has none. `commit_ts` is the version's.
    fn push(
        &mut self,
        column: ColumnId,
        commit_ts: CommitTs,
        has_expired: &HasExpired<'_>,
        out: &mut CellsBuilder,
    ) -> Result<bool> {
        match self {
            Head::Packed(cells) => {
                while cells.next_if(|(id, _)| *id < column).is_some() {}
                let Some((_, cell)) = cells.next_if(|(id, _)| *id == column) else {
                    return Ok(false);
                };
                if !has_expired(column, commit_ts) {
                    out.push(column, cell);
                }
            }
            Head::Stored(block, row) => {
                let of_block = block.column(column)?;
                let cell = of_block.cell(*row);
                if matches!(cell, CellRef::Absent) {
                    return Ok(false);
                }
                let written = CommitTs(commit_ts.0.saturating_sub(of_block.ts_delta(*row)));
                match cell {
                    _ if has_expired(column, written) => {}
                    CellRef::Absent | CellRef::Null => out.push(column, None),
                    CellRef::Value(bytes) => out.push(column, Some(&bytes)),
                }
            }
        }
        Ok(true)
    }
}

/// Whether a column's newest cell is no longer seen, by when it was written.
type HasExpired<'e> = dyn Fn(ColumnId, CommitTs) -> bool + 'e;

/// Of each column the newest cell.
fn merge(
    newest: Found<'_>,
    older: &[Found<'_>],
    columns: &[ColumnId],
    has_expired: &HasExpired<'_>,
) -> Result<PackedCells> {
    let found = std::iter::once(&newest).chain(older);
    let mut heads: Vec<(CommitTs, Head<'_>)> = found.map(Head::new).collect();
    let mut cells = CellsBuilder::default();
    for column in columns {
        for (commit_ts, head) in &mut heads {
            if head.push(*column, *commit_ts, has_expired, &mut cells)? {
                break;
            }
        }
    }
    Ok(cells.finish())
}
