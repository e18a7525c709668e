//! Scans of versions: what lives of each row's cells at one timestamp, with the times they were written at.
//!
//! All locality groups are read side by side, whatever is projected: which versions a row has does not depend on which
//! of its columns somebody looks at. The default group leads, which has every row. In each group a row's versions are
//! visited down to the first that hides all older ones, and its cells are collected; then the group's policies
//! say which of them live ([`terrane_client::schema::CellGc::is_live`]). The entries of a map column are cells, too, each
//! with versions of its own: they are rows of the column's group.
//!
//! Nothing is pruned and no predicate is evaluated: these are few rows looked at closely. One row's cells are held in
//! memory; what is given out of them ([`open_row`]) is made a batch at a time.

mod cursor;
mod open_row;

use cursor::{GroupCursor, MapCursor};
use open_row::OpenRow;

use super::error::Result;
use super::map_entries::MapColumn;
use super::merge::MergeRead;
use super::scanner::{Piece, ScanOptions};
use crate::sstable::ReadOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::columns::{RowBatch, arrow_schema};
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::map_column::entry_key::entry_prefix;
use terrane_client::read::{Projected, ScanMetrics, ScanRequest, Selection, Versions};
use terrane_client::schema::TableSchema;

/// Bytes of cells of a batch, about.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes of the cells of one row, at most: all of them are looked at together.
const ROW_BYTES_MAX: usize = 1 << 30;

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
    /// Of the same, and of the columns of `maps`.
    map_groups: Vec<MapCursor>,
    /// The map columns.
    maps: Vec<MapColumn>,
    /// Those that are shown as maps.
    shown_maps: Vec<MapColumn>,
    /// A row of which not everything was given out.
    row: Option<OpenRow>,
    batch: RowBatch,
    batch_rows_max: usize,
    bytes: usize,
    left: usize,
    ended: bool,
    metrics: Arc<ScanMetrics>,
}

/// A cell that lives.
#[derive(Clone, Debug)]
struct Cell {
    column: ColumnId,
    /// Of an entry of a map the encoded key.
    map_key: Option<Vec<u8>>,
    written: CommitTs,
    value: Option<Vec<u8>>,
    /// How many newer ones of its column live.
    newer: usize,
}

impl Cell {
    fn bytes(&self) -> usize {
        let [key, value] = [&self.map_key, &self.value].map(|of| of.as_ref().map_or(0, Vec::len));
        size_of::<Self>() + key + value
    }
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
        let maps = MapColumn::all_of(&schema);
        let is_shown = |map: &&MapColumn| {
            request.projection.contains(&Projected::Column(map.column))
                && matches!(request.versions, Versions::Rows(_))
        };
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
            map_groups: Vec::new(),
            shown_maps: maps.iter().filter(is_shown).cloned().collect(),
            maps,
            row: None,
            batch_rows_max: request.batch_rows_max.max(1),
            bytes: 0,
            left: limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            ended: limit == Some(0),
            metrics,
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.arrow
    }

    pub(super) fn is_done(&self) -> bool {
        self.ended && self.batch.rows() == 0
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.row = None;
        let _of_no_use = self.batch.finish();
    }

    pub(super) fn next_batch(
        &mut self,
        rows_max: usize,
    ) -> Result<Option<RecordBatch>, TabletError> {
        let mut budget = rows_max.max(1);
        let rows_wanted = self.batch_rows_max.min(self.left);
        while !self.ended && self.batch.rows() < rows_wanted && self.bytes < BATCH_BYTES {
            match &mut self.row {
                Some(row) => match row.give(&mut self.batch, &self.shown_maps)? {
                    Some(bytes) => self.bytes += bytes,
                    None => self.row = None,
                },
                None if budget == 0 => break,
                None => {
                    budget -= 1;
                    self.ended = !self.next_row()?;
                }
            }
        }
        let rows = self.batch.rows();
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows;
        self.ended |= self.left == 0;
        self.bytes = 0;
        self.metrics.rows_returned.fetch_add(rows as u64, Relaxed);
        Ok(Some(self.batch.finish()?))
    }

    /// Opens the next row, if it lives; false at the end.
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
        let mut cells = Vec::new();
        own.living(&lead.gc, self.at, None, &mut cells);
        for follower in followers {
            if follower.reach(&key, self.reverse)? {
                let of_group = follower.collect(&self.schema, self.at)?;
                of_group.living(&follower.gc, self.at, None, &mut cells);
            }
        }
        let mut bytes: usize = cells.iter().map(Cell::bytes).sum();
        for (map, cursor) in self.maps.iter().zip(&mut self.map_groups) {
            let prefix = entry_prefix(&key, map.column);
            while cursor.reach(&prefix, self.reverse)? {
                let before = cells.len();
                cursor.collect(&self.schema, self.at, prefix.len(), &mut cells)?;
                bytes += cells[before..].iter().map(Cell::bytes).sum::<usize>();
                if bytes > ROW_BYTES_MAX {
                    let (what, limit) = ("row with all its versions", ROW_BYTES_MAX);
                    return Err(TabletError::TooLarge { what, size: bytes, limit });
                }
            }
        }
        cells.sort_by(|a, b| {
            let place = |cell: &Cell| (cell.column, cell.newer);
            let (a_key, b_key) = ((a.column, &a.map_key), (b.column, &b.map_key));
            a_key.cmp(&b_key).then(place(a).cmp(&place(b)))
        });
        self.row = Some(OpenRow::new(key, own.version, cells, self.versions, self.selection));
        Ok(true)
    }

    fn enter(&mut self, piece: &Piece) -> Result<()> {
        let is_of_rows = |id: &LocalityGroupId| self.schema.map_in(*id).is_none();
        let ids = self.schema.groups.iter().map(|group| group.id).filter(is_of_rows);
        let mut ids: Vec<LocalityGroupId> = ids.collect();
        ids.sort_unstable();
        let (max_ts, reverse, options) = (self.at, self.reverse, self.options);
        let (read, metrics) = (MergeRead { max_ts, reverse, options }, &self.metrics);
        let open = |id| GroupCursor::new(piece.group(id), &self.schema, id, read, metrics);
        self.groups = ids.into_iter().map(open).collect::<Result<_>>()?;
        let shape = self.schema.key_shape();
        let open = |map| MapCursor::new(piece, map, &shape, read, metrics);
        self.map_groups = self.maps.iter().map(open).collect::<Result<_>>()?;
        Ok(())
    }
}
