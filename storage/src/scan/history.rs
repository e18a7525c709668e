//! Scans of versions: what lives of each row's cells at one timestamp, with the times they were written at.
//!
//! All locality groups are read side by side, whatever is projected: which versions a row has does not depend on which
//! of its columns somebody looks at. The default group leads, which has every row. In each group a row's versions are
//! visited down to the first that hides all older ones, and its cells are collected; then the group's policies
//! say which of them live ([`terrane_client::schema::CellGc::is_live`]).
//!
//! Nothing is pruned and no predicate is evaluated: these are few rows looked at closely.

use super::error::Result;
use super::gc::cells::{BlockColumns, CellList};
use super::get::hides_versions;
use super::group_gc::GroupGc;
use super::merge::{Merge, Place, Visited};
use super::scanner::{Piece, ScanOptions};
use crate::sstable::ReadOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::columns::{RowBatch, arrow_schema};
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::read::{Projected, ScanMetrics, ScanRequest, Selection, Versions};
use terrane_client::row::{CellsBuilder, ROW_MARKER, Row};
use terrane_client::schema::TableSchema;

/// Bytes of cells of a batch, about.
const BATCH_BYTES: usize = 4 << 20;

/// See the module's documentation.
pub(super) struct HistoryScan {
    schema: Arc<TableSchema>,
    arrow: SchemaRef,
    at: CommitTs,
    versions: Versions,
    selection: Selection,
    reverse: bool,
    options: ReadOptions,
    pieces: std::vec::IntoIter<Piece>,
    /// Of the piece that is being read; the default group's is the first.
    groups: Vec<GroupCursor>,
    batch: RowBatch,
    batch_rows_max: usize,
    /// Rows of the batch that are not given out, of one row's versions perhaps more than a batch may have.
    bytes: usize,
    ready: Option<RecordBatch>,
    left: usize,
    ended: bool,
    metrics: Arc<ScanMetrics>,
}

/// One group of a piece.
struct GroupCursor {
    merge: Merge,
    gc: GroupGc,
    columns: BlockColumns,
}

/// What a group has of a row.
#[derive(Default)]
struct Collected {
    version: CommitTs,
    lives: bool,
    cells: CellList,
}

/// A cell that lives.
#[derive(Clone, Debug)]
struct Cell {
    column: ColumnId,
    written: CommitTs,
    value: Option<Vec<u8>>,
    /// How many newer ones of its column live.
    newer: usize,
}

impl HistoryScan {
    pub(super) fn new(
        request: &ScanRequest,
        schema: Arc<TableSchema>,
        at: CommitTs,
        pieces: Vec<Piece>,
        options: ScanOptions,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self, TabletError> {
        let is_map = |projected: &Projected| match projected {
            Projected::Column(id) => schema.column(*id).is_some_and(|column| column.is_map()),
            _ => false,
        };
        if request.projection.iter().any(is_map) {
            let text = format!("versions of a map column of table \"{}\"", schema.name);
            return Err(TabletError::Unsupported(text));
        }
        let limit = request.limit.filter(|_| request.predicates.is_empty());
        let selection = request.versions.selection().unwrap_or_default();
        Ok(Self {
            arrow: arrow_schema(&schema, &request.projection)?,
            batch: RowBatch::new(schema.clone(), &request.projection, 0)?,
            schema,
            at,
            versions: request.versions,
            selection,
            reverse: request.reverse,
            options: ReadOptions { fill_cache: options.fill_cache },
            pieces: pieces.into_iter(),
            groups: Vec::new(),
            batch_rows_max: request.batch_rows_max.max(1),
            bytes: 0,
            ready: None,
            left: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            ended: limit == Some(0),
            metrics,
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.arrow
    }

    pub(super) fn is_done(&self) -> bool {
        self.ended && self.ready.is_none()
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.ready = None;
    }

    pub(super) fn next_batch(
        &mut self,
        rows_max: usize,
    ) -> Result<Option<RecordBatch>, TabletError> {
        let mut budget = rows_max.max(1);
        while self.ready.is_none() && !self.ended && budget > 0 {
            budget -= 1;
            if !self.next_row()? {
                self.ended = true;
            }
            let is_full = self.batch.rows() >= self.batch_rows_max || self.bytes >= BATCH_BYTES;
            if self.batch.rows() > 0 && (is_full || self.ended || budget == 0) {
                self.ready = Some(self.batch.finish()?);
                self.bytes = 0;
            }
        }
        Ok(self.take_ready())
    }

    fn take_ready(&mut self) -> Option<RecordBatch> {
        let batch = self.ready.take()?;
        let rows = batch.num_rows().min(self.batch_rows_max).min(self.left);
        let part = batch.slice(0, rows);
        self.left -= rows;
        self.metrics.rows_returned.fetch_add(rows as u64, Relaxed);
        if rows < batch.num_rows() && self.left > 0 {
            self.ready = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        if self.left == 0 {
            self.ended = true;
        }
        (rows > 0).then_some(part)
    }

    /// Adds the next row's versions to the batch; false at the end.
    fn next_row(&mut self) -> Result<bool, TabletError> {
        while self.groups.first().is_none_or(|lead| lead.merge.is_done()) {
            match self.pieces.next() {
                Some(piece) => self.enter(&piece)?,
                None => return Ok(false),
            }
        }
        let Some((lead, followers)) = self.groups.split_first_mut() else { return Ok(false) };
        let Some(key) = lead.merge.key().map(<[u8]>::to_vec) else { return Ok(true) };
        self.metrics.rows_seen.fetch_add(1, Relaxed);
        let own = lead.collect(&self.schema, self.at)?;
        if !own.lives {
            return Ok(true);
        }
        let mut cells = own.living(&lead.gc, self.at);
        for follower in followers {
            if follower.reach(&key, self.reverse)? {
                let of_group = follower.collect(&self.schema, self.at)?;
                cells.extend(of_group.living(&follower.gc, self.at));
            }
        }
        cells.sort_by_key(|cell| (cell.column, cell.newer));
        self.bytes +=
            cells.iter().map(|cell| cell.value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        self.push(&key, own.version, &cells)?;
        Ok(true)
    }

    fn enter(&mut self, piece: &Piece) -> Result<()> {
        // A map's entries are no cells of the row.
        let is_of_rows = |id: &LocalityGroupId| self.schema.map_in(*id).is_none();
        let ids = self.schema.groups.iter().map(|group| group.id).filter(is_of_rows);
        let mut ids: Vec<LocalityGroupId> = ids.collect();
        ids.sort_unstable();
        self.groups.clear();
        for id in ids {
            let group = piece.group(id);
            let (options, metrics) = (self.options, &self.metrics);
            self.groups.push(GroupCursor {
                merge: Merge::new(&group.sources, &group.range, self.reverse, options, metrics)?,
                gc: GroupGc::new(&self.schema, id),
                columns: BlockColumns::default(),
            });
        }
        Ok(())
    }

    /// Adds what is asked for of a row. `cells` come by column, newest first.
    fn push(&mut self, key: &[u8], version: CommitTs, cells: &[Cell]) -> Result<(), TabletError> {
        let selection = self.selection;
        let mut taken: Option<(ColumnId, u32)> = None;
        let is_selected = |cell: &&Cell| {
            if !selection.contains(cell.written) {
                return false;
            }
            let before = taken.filter(|(column, _)| *column == cell.column).map_or(0, |(_, n)| n);
            taken = Some((cell.column, before + 1));
            selection.latest_n.is_none_or(|most| before < most)
        };
        let selected: Vec<&Cell> = cells.iter().filter(is_selected).collect();
        if let Versions::Cells(_) = self.versions {
            for Cell { column, written, value, .. } in selected {
                self.batch.push_cell(key, *column, *written, value.as_deref())?;
            }
            return Ok(());
        }
        let mut times: Vec<CommitTs> = selected.iter().map(|cell| cell.written).collect();
        if cells.is_empty() && selection.contains(version) && selection.latest_n != Some(0) {
            times.push(version);
        }
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.dedup();
        for then in times {
            let mut row = CellsBuilder::default();
            let mut last = None;
            for cell in cells.iter().filter(|cell| cell.written <= then) {
                if last != Some(cell.column) {
                    row.push(cell.column, cell.value.as_deref());
                    last = Some(cell.column);
                }
            }
            self.batch.push(key, &Row { version: then, cells: row.finish() })?;
        }
        Ok(())
    }
}

impl GroupCursor {
    /// Moves to a key that comes next or later in the scan's direction; false where the group has nothing of it.
    fn reach(&mut self, key: &[u8], reverse: bool) -> Result<bool> {
        loop {
            let Some(own) = self.merge.key() else { return Ok(false) };
            let order = if reverse { key.cmp(own) } else { own.cmp(key) };
            match order {
                Ordering::Less => {
                    self.merge.visit_row(&mut |_| Ok(ControlFlow::Break(())))?;
                }
                Ordering::Equal => return Ok(true),
                Ordering::Greater => return Ok(false),
            }
        }
    }

    /// Collects what a read at `at` sees of the row it is on, dead or alive, and moves behind it.
    fn collect(&mut self, schema: &TableSchema, at: CommitTs) -> Result<Collected> {
        let Self { merge, gc, columns } = self;
        let deleted_before = merge.deleted_before(at);
        let mut row = Collected::default();
        // What was dropped may still be stored.
        let is_dropped = |id: ColumnId| schema.column(id).is_none();
        merge.visit_row(&mut |version| {
            let Visited { commit_ts, flags, place, .. } = version;
            if commit_ts > at || matches!(place, Place::Memtable { is_image: true, .. }) {
                return Ok(ControlFlow::Continue(()));
            }
            if commit_ts < deleted_before {
                return Ok(ControlFlow::Break(()));
            }
            if row.version == CommitTs::ABSENT {
                row.version = commit_ts;
            }
            row.lives |= gc.seen_flags(flags, commit_ts, at) & ROW_MARKER != 0;
            match place {
                Place::Memtable { cells, .. } => {
                    row.cells.append_packed(cells, commit_ts, &is_dropped);
                }
                Place::Block { block, row: ordinal, .. } => {
                    row.cells.append_row(block, ordinal, commit_ts, columns, &is_dropped)?;
                }
            }
            Ok(match hides_versions(flags) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        Ok(row)
    }
}

impl Collected {
    /// The cells that live, by column, newest first.
    fn living(&self, gc: &GroupGc, at: CommitTs) -> Vec<Cell> {
        let mut living = Vec::new();
        self.cells.each_version(&mut |cell, newer| {
            let written = CommitTs(cell.commit_ts);
            if gc.of(cell.column).is_live(newer, written, at) {
                let value = self.cells.value(cell).map(<[u8]>::to_vec);
                living.push(Cell { column: cell.column, written, value, newer });
            }
        });
        living
    }
}
