//! What flush and compaction keep: the versions of sources, merged, without what no reader can see.
//!
//! The rule (rule 7): a version may go only where no read at any T >= F changes by its absence, F being the
//! floor. Versions newer than F stay as they are. Of those at or below F every read that is left sees
//! all at once, so they become one: each column's newest cell, at the newest one's timestamp; each cell
//! keeps its own. That one is a whole row where nothing older can be beneath it: where a version among
//! them hid what is older, or the merge includes every older run of its keys. A delete goes with everything it
//! hides, in a merge that includes every older run; anywhere else it stays and goes on masking.
//!
//! A range tombstone is treated likewise: what is at or below the floor and older than a tombstone that is, too, goes;
//! the tombstone itself stays in all but a merge that includes every older run ([`Fragments::kept`]).
//!
//! [`Fold::decide`] decides where columns keep their newest version only and for ever, [`KeptVersions::decide`] where some keep
//! more, or expire: there the older versions that live stay beneath the one. Where cells have timestamps of the client's
//! ([`DatedVersions::decide`]) versions are not made one.

pub(super) mod cells;
mod dated;
mod fold;
mod versions;

pub use cells::OutCells;

use super::error::Result;
use super::get::hides_versions;
use super::group_gc::GroupGc;
use super::merge::{Merge, MergeRead, Place, Visited};
use super::sources::Sources;
use crate::fragments::Fragments;
use crate::sstable::{Block, Column, ReadOptions, RowVersion, SstableError, hides_older};
use cells::{BlockColumns, CellList, ListedCell};
use dated::DatedVersions;
use fold::Fold;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, Seq};
use terrane_client::read::{KeyRange, ScanMetrics};
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE};
use terrane_client::schema::TableSchema;
use versions::KeptVersions;

/// What a merge may drop.
#[derive(Clone, Debug)]
pub struct GcPolicy {
    /// F: no read is below it, now or later.
    pub floor: CommitTs,
    /// The merge includes every older run of its keys: nothing is beneath what it writes.
    pub includes_oldest: bool,
    /// The table; cells of columns that it has dropped are left out, if that is settled.
    pub schema: Arc<TableSchema>,
    /// Every row that lives has its marker in the group: one without is not seen.
    pub has_markers: bool,
    /// The policies of the group's columns and markers. Several while it is not settled which one counts: what lives by one
    /// of them is kept.
    pub gc: Vec<GroupGc>,
}

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcCounts {
    /// Versions read.
    pub read: u64,
    /// Versions written.
    pub written: u64,
}

/// Takes what is to be written: `|row, cells| writer.add(row, cells)`.
pub type Emit<'e> = dyn FnMut(RowVersion<'_>, OutCells<'_>) -> Result<()> + 'e;

/// Row versions to write, keys ascending, of each key newest first: what [`crate::sstable::SstableWriter`]
/// wants.
///
/// Rows may vanish, so the writer must be told the sources' range of sequence numbers
/// ([`crate::sstable::SstableWriter::include_seq`]).
pub struct GcMerge {
    merge: Merge,
    policy: GcPolicy,
    fold: Fold,
    /// In the place of `fold`, where a policy says more than "the newest".
    kept: KeptVersions,
    /// In the place of both, where cells have timestamps of the client's.
    dated: DatedVersions,
    /// The shortest time after which anything expires.
    shortest_ttl: Option<i64>,
    /// The cells of one version of a block.
    cells: CellList,
    /// The columns with cells in the blocks read last.
    columns: BlockColumns,
    counts: GcCounts,
    tombstones: Fragments,
}

impl GcMerge {
    /// Merges the rows of a range.
    pub fn new(sources: &Sources, range: &KeyRange, policy: GcPolicy) -> Result<Self> {
        let tombstones = sources.tombstones_in(range).joined(range);
        let tombstones = tombstones.kept(policy.floor, policy.includes_oldest);
        // What is merged is about to be replaced: keeping it would drive out what is read.
        let options = ReadOptions { fill_cache: false };
        let read = MergeRead { max_ts: CommitTs::MAX, reverse: false, options };
        let metrics = Arc::new(ScanMetrics::default());
        Ok(Self {
            merge: Merge::new(sources, &sources.runs, range, read, &metrics)?,
            shortest_ttl: policy.gc.iter().filter_map(GroupGc::shortest_ttl_of_all).min(),
            policy,
            fold: Fold::default(),
            kept: KeptVersions::default(),
            dated: DatedVersions::default(),
            cells: CellList::default(),
            columns: BlockColumns::default(),
            counts: GcCounts::default(),
            tombstones,
        })
    }

    /// The range tombstones that are to be written.
    pub fn tombstones(&self) -> &Fragments {
        &self.tombstones
    }

    /// Versions read and written so far.
    pub fn counts(&self) -> GcCounts {
        self.counts
    }

    /// Gives out what is kept of the next row, which may be nothing, or of a few thousand rows of one block that
    /// stay as they are. False at the end.
    pub fn next_rows(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let Self { merge, policy, cells, counts, shortest_ttl, .. } = self;
        if merge.skip_deleted_block(policy.floor)? {
            return Ok(true);
        }
        // One whole row, with nothing newer and nothing that counts beneath: any floor leaves it alone.
        let (floor, ttl) = (policy.floor, *shortest_ttl);
        let was_clean = merge.visit_clean_rows(floor, ttl, &mut |block, rows, seq| {
            counts.read += rows.len() as u64;
            counts.written += rows.len() as u64;
            emit_clean(block, rows, seq, policy, cells, emit)
        })?;
        if was_clean {
            return Ok(true);
        }
        if self.policy.gc.iter().any(GroupGc::is_dated) {
            return self.next_dated_row(emit);
        }
        match self.policy.gc.iter().all(GroupGc::is_plain) {
            true => self.next_row(emit),
            false => self.next_row_of_versions(emit),
        }
    }

    fn next_row(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let Self { merge, policy, fold, cells, columns, counts, .. } = self;
        fold.clear(merge.deleted_before(policy.floor));
        let is_row =
            each_version(merge, policy, (cells, columns), counts, emit, &mut |version, work| {
                let (Visited { key, commit_ts, flags, place }, (cells, columns)) = (version, work);
                if fold.is_empty() {
                    fold.begin(key, place.seq(), commit_ts);
                }
                cells.clear();
                match place {
                    Place::Memtable { cells: packed, .. } => {
                        cells.append_packed(packed, commit_ts, &|id| policy.is_dropped(id));
                    }
                    Place::Block { block, row, .. } => {
                        cells.append_row(block, row, commit_ts, columns, &|id| {
                            policy.is_dropped(id)
                        })?;
                    }
                }
                fold.add(flags, cells);
                Ok(hides_older(flags))
            })?;
        if let Some(flags) = fold.decide(policy) {
            let (key, seq, commit_ts) = (&fold.key[..], fold.seq, fold.commit_ts);
            counts.written += 1;
            emit(RowVersion { key, seq, commit_ts, flags }, fold.cells.iter(commit_ts))?;
        }
        Ok(is_row)
    }

    /// The next row of a group that keeps more than the newest version of each column for ever.
    fn next_row_of_versions(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let Self { merge, policy, kept, cells, columns, counts, .. } = self;
        kept.clear(merge.deleted_before(policy.floor));
        let is_row =
            each_version(merge, policy, (cells, columns), counts, emit, &mut |version, work| {
                let (Visited { key, commit_ts, flags, place }, (_, columns)) = (version, work);
                if kept.is_empty() {
                    kept.begin(key, place.seq(), commit_ts);
                }
                match place {
                    Place::Memtable { cells, .. } => {
                        kept.add_packed(flags, commit_ts, cells, policy)
                    }
                    Place::Block { block, row, .. } => {
                        kept.add_row(flags, commit_ts, block, row, columns, policy)?;
                    }
                }
                Ok(hides_versions(flags))
            })?;
        counts.written += kept.decide(policy, emit)?;
        Ok(is_row)
    }
}

impl GcMerge {
    /// The next row of a group whose cells have timestamps of the client's.
    fn next_dated_row(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let Self { merge, policy, dated, cells, columns, counts, .. } = self;
        dated.clear(merge.deleted_before(policy.floor));
        let is_row =
            each_version(merge, policy, (cells, columns), counts, emit, &mut |version, work| {
                let (Visited { key, commit_ts, flags, place }, (_, columns)) = (version, work);
                let is_dropped = |id| policy.is_dropped(id);
                let cells = dated.add(key, place.seq(), commit_ts, flags);
                match place {
                    Place::Memtable { written, cells: packed, .. } => {
                        cells.append_packed(packed, written, &is_dropped);
                    }
                    Place::Block { block, row, .. } => {
                        cells.append_row(block, row, commit_ts, columns, &is_dropped)?;
                    }
                }
                dated.end_version();
                Ok(hides_older(flags))
            })?;
        counts.written += dated.decide(policy, emit)?;
        Ok(is_row)
    }
}

/// What versions are read with, kept from row to row.
type Buffers<'b> = (&'b mut CellList, &'b mut BlockColumns);

/// Visits the next row's versions: those above the floor are given out as they are, those at or below it go to `take`,
/// down to one that hides all older ones, which `take` says, or to what a range tombstone deletes. False at the end.
fn each_version(
    merge: &mut Merge,
    policy: &GcPolicy,
    (cells, columns): Buffers<'_>,
    counts: &mut GcCounts,
    emit: &mut Emit<'_>,
    take: &mut dyn FnMut(Visited<'_>, Buffers<'_>) -> Result<bool>,
) -> Result<bool> {
    let deleted_before = merge.deleted_before(policy.floor);
    merge.visit_row(&mut |version| {
        if matches!(version.place, Place::Memtable { is_image: true, .. }) {
            return Ok(ControlFlow::Continue(()));
        }
        counts.read += 1;
        if version.commit_ts > policy.floor {
            counts.written += 1;
            emit_version(version, policy, columns, cells, emit)?;
            return Ok(ControlFlow::Continue(()));
        }
        if version.commit_ts < deleted_before {
            return Ok(ControlFlow::Break(()));
        }
        Ok(match take(version, (&mut *cells, &mut *columns))? {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    })
}

/// Gives out a version as it is.
fn emit_version(
    version: Visited<'_>,
    policy: &GcPolicy,
    columns: &mut BlockColumns,
    cells: &mut CellList,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let Visited { key, commit_ts, flags, place } = version;
    // A whole row hides what is older by itself.
    let flags = if flags & ROW_COMPLETE != 0 { flags & !ROW_DELETE } else { flags };
    let row = RowVersion { key, seq: place.seq(), commit_ts, flags };
    match place {
        Place::Memtable { written, cells, .. } if written == commit_ts && !policy.has_dropped() => {
            emit(row, OutCells::packed(cells))?;
        }
        Place::Memtable { written, cells: packed, .. } => {
            cells.clear();
            cells.append_packed(packed, written, &|id| policy.is_dropped(id));
            emit(row, cells.iter(commit_ts))?;
        }
        Place::Block { block, row: ordinal, .. } => {
            cells.clear();
            cells.append_row(block, ordinal, commit_ts, columns, &|id| policy.is_dropped(id))?;
            emit(row, cells.iter(commit_ts))?;
        }
    }
    Ok(())
}

/// Gives out rows of a clean block.
fn emit_clean(
    block: &Block,
    rows: Range<u32>,
    seq: Seq,
    policy: &GcPolicy,
    cells: &mut CellList,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let mut ids = block.columns()?;
    ids.retain(|id| !policy.is_dropped(*id));
    block.prefetch(&ids, true)?;
    let columns: Result<Vec<Column<'_>>, SstableError> =
        ids.iter().map(|id| block.column(*id)).collect();
    let columns: Vec<(ColumnId, Column<'_>)> = ids.iter().copied().zip(columns?).collect();
    let lead = block.rows()?;
    let mut key = Vec::new();
    for row in rows {
        key.clear();
        lead.append_key(row, &mut key);
        let (commit_ts, flags) = (lead.commit_ts(row), lead.flags(row));
        cells.clear();
        for (id, column) in &columns {
            cells.append_cell(*id, column, row, commit_ts);
        }
        emit(RowVersion { key: &key, seq, commit_ts, flags }, cells.iter(commit_ts))?;
    }
    Ok(())
}

impl GcPolicy {
    /// Ids are given in ascending order and never twice: one that is missing among older ones was dropped.
    /// (One above all is a column that this schema has not heard of yet.) A drop that is not settled may still be
    /// taken back.
    fn is_dropped(&self, id: ColumnId) -> bool {
        self.schema.is_settled
            && self.schema.column(id).is_none()
            && (self.schema.dropped.binary_search(&id).is_ok()
                || self.schema.columns.last().is_some_and(|last| id < last.id))
    }

    /// Whether a cell stays that has so many newer ones in its column.
    fn keeps_cell(&self, cell: &ListedCell, newer: usize, nothing_older_counts: bool) -> bool {
        let written = CommitTs(cell.commit_ts);
        let of = |gc: &GroupGc| gc.of(cell.column);
        let lives = |gc: &GroupGc| of(gc).is_live(newer, written, self.floor);
        let is_counted = |gc: &GroupGc| newer < of(gc).max_versions.max(1) as usize;
        self.gc.iter().any(lives) || (!nothing_older_counts && self.gc.iter().any(is_counted))
    }

    /// Whether rows may have cells of columns that were dropped.
    fn has_dropped(&self) -> bool {
        self.schema.is_settled && !self.schema.dropped.is_empty()
    }
}
