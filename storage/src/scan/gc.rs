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
//! [`Fold`] is the one place that decides.

use super::error::Result;
use super::get::hides_older;
use super::merge::{Merge, Place, Visited};
use super::sources::Sources;
use crate::fragments::Fragments;
use crate::sstable::{Block, Cell, CellRef, Column, ReadOptions, RowVersion, SstableError};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, Seq};
use terrane_client::read::{KeyRange, ScanMetrics};
use terrane_client::row::{CellsIter, ROW_COMPLETE, ROW_DELETE, ROW_MARKER};
use terrane_client::schema::TableSchema;

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
pub type Emit<'e> = dyn FnMut(RowVersion<'_>, OutCells<'_>) -> Result<(), SstableError> + 'e;

/// Row versions to write, keys ascending, of each key newest first: what [`crate::sstable::SstableWriter`]
/// wants.
///
/// Rows may vanish, so the writer must be told the sources' range of sequence numbers
/// ([`crate::sstable::SstableWriter::include_seq`]).
pub struct GcMerge {
    merge: Merge,
    policy: GcPolicy,
    fold: Fold,
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
        let metrics = Arc::new(ScanMetrics::default());
        Ok(Self {
            merge: Merge::new(sources, range, false, options, &metrics)?,
            policy,
            fold: Fold::default(),
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
        let Self { merge, policy, cells, counts, .. } = self;
        if merge.skip_deleted_block(policy.floor)? {
            return Ok(true);
        }
        // One whole row, with nothing newer and nothing that counts beneath: any floor leaves it alone.
        let was_clean = merge.visit_clean_rows(policy.floor, &mut |block, rows, seq| {
            counts.read += rows.len() as u64;
            counts.written += rows.len() as u64;
            emit_clean(block, rows, seq, policy, cells, emit)
        })?;
        Ok(was_clean || self.next_row(emit)?)
    }

    fn next_row(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let Self { merge, policy, fold, cells, columns, counts, .. } = self;
        let deleted_before = merge.deleted_before(policy.floor);
        fold.clear(deleted_before);
        let is_row = merge.visit_row(&mut |version| {
            if matches!(version.place, Place::Memtable { is_image: true, .. }) {
                return Ok(ControlFlow::Continue(()));
            }
            counts.read += 1;
            if version.commit_ts > policy.floor {
                counts.written += 1;
                emit_version(version, policy, columns, cells, emit)?;
                return Ok(ControlFlow::Continue(()));
            }
            let Visited { key, commit_ts, flags, place } = version;
            if commit_ts < deleted_before {
                return Ok(ControlFlow::Break(()));
            }
            if fold.is_empty() {
                fold.begin(key, place.seq(), commit_ts);
            }
            cells.clear();
            match place {
                Place::Memtable { cells: packed, .. } => {
                    cells.append_packed(packed, commit_ts, policy);
                }
                Place::Block { block, row, .. } => {
                    cells.append_row(block, row, commit_ts, columns, policy)?;
                }
            }
            fold.add(flags, cells);
            Ok(match hides_older(flags) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        if let Some(flags) = fold.decide(policy) {
            let (key, seq, commit_ts) = (&fold.key[..], fold.seq, fold.commit_ts);
            counts.written += 1;
            emit(RowVersion { key, seq, commit_ts, flags }, fold.cells.iter(commit_ts))?;
        }
        Ok(is_row)
    }
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
        Place::Memtable { cells, .. } => emit(row, OutCells(Out::Packed(CellsIter::new(cells))))?,
        Place::Block { block, row: ordinal, .. } => {
            cells.clear();
            cells.append_row(block, ordinal, commit_ts, columns, policy)?;
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

/// The versions of one row at or below the floor, becoming one.
#[derive(Default)]
struct Fold {
    key: Vec<u8>,
    /// Of the newest.
    seq: Seq,
    commit_ts: CommitTs,
    /// Of all.
    flags: u8,
    versions: usize,
    /// What is older than the versions was deleted by a range tombstone at or below the floor.
    is_cut: bool,
    /// Each column's newest cell.
    cells: CellList,
    /// Swapped with `cells` when an older version adds some.
    spare: CellList,
}

impl Fold {
    fn clear(&mut self, deleted_before: CommitTs) {
        self.versions = 0;
        self.is_cut = deleted_before > CommitTs::ABSENT;
    }

    fn is_empty(&self) -> bool {
        self.versions == 0
    }

    fn begin(&mut self, key: &[u8], seq: Seq, commit_ts: CommitTs) {
        self.key.clear();
        self.key.extend_from_slice(key);
        (self.seq, self.commit_ts, self.flags) = (seq, commit_ts, 0);
        self.cells.clear();
    }

    /// Adds the next older version.
    fn add(&mut self, flags: u8, older: &mut CellList) {
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
    fn decide(&self, policy: &GcPolicy) -> Option<u8> {
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

/// A cell of a [`CellList`].
#[derive(Clone)]
struct ListedCell {
    column: ColumnId,
    /// The cell's own timestamp.
    commit_ts: i64,
    /// Where its bytes lie; `None` is an explicit NULL.
    bytes: Option<Range<usize>>,
}

/// Cells, ascending by column, with their bytes.
#[derive(Default)]
struct CellList {
    cells: Vec<ListedCell>,
    bytes: Vec<u8>,
}

impl CellList {
    fn clear(&mut self) {
        self.cells.clear();
        self.bytes.clear();
    }

    fn is_empty(&self) -> bool {
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

    fn append_packed(&mut self, packed: &[u8], commit_ts: CommitTs, policy: &GcPolicy) {
        for (column, value) in CellsIter::new(packed) {
            if !policy.is_dropped(column) {
                self.push(column, commit_ts.0, value);
            }
        }
    }

    fn append_row(
        &mut self,
        block: &Arc<Block>,
        row: u32,
        commit_ts: CommitTs,
        columns: &mut BlockColumns,
        policy: &GcPolicy,
    ) -> Result<()> {
        for id in columns.of(block)? {
            if policy.is_dropped(*id) {
                continue;
            }
            self.append_cell(*id, &block.column(*id)?, row, commit_ts);
        }
        Ok(())
    }

    fn append_cell(&mut self, id: ColumnId, column: &Column<'_>, row: u32, commit_ts: CommitTs) {
        let own_ts = || commit_ts.0.saturating_sub(column.ts_delta(row));
        match column.cell(row) {
            CellRef::Absent => {}
            CellRef::Null => self.push(id, own_ts(), None),
            CellRef::Value(bytes) => self.push(id, own_ts(), Some(&bytes)),
        }
    }

    /// Each column's cell from `newer`, or else from `older`.
    fn append_newest(&mut self, newer: &CellList, older: &CellList) {
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

    fn copy(&mut self, cell: &ListedCell, from: &CellList) {
        let value = cell.bytes.clone().map(|bytes| &from.bytes[bytes]);
        self.push(cell.column, cell.commit_ts, value);
    }

    /// The cells of a row version with this timestamp.
    fn iter(&self, commit_ts: CommitTs) -> OutCells<'_> {
        OutCells(Out::Listed { cells: self.cells.iter(), bytes: &self.bytes, commit_ts })
    }
}

impl GcPolicy {
    /// Ids are given in ascending order and never twice: one that is missing among older ones was dropped.
    /// (One above all is a column that this schema has not heard of yet.) A drop that is not settled may still be
    /// taken back.
    fn is_dropped(&self, id: ColumnId) -> bool {
        self.schema.is_settled
            && self.schema.column(id).is_none()
            && self.schema.columns.last().is_some_and(|last| id < last.id)
    }
}

/// The columns with cells in a few blocks, so that they are listed once a block and not once a row.
#[derive(Default)]
struct BlockColumns(Vec<(Arc<Block>, Vec<ColumnId>)>);

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
