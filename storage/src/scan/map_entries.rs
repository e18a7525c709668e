//! Reads of map columns: a row's map out of the entries that its locality group stores, whole or in part.
//!
//! An entry is a row of the group ([`terrane_client::map_column`]). Single keys are looked up, each by itself; ranges
//! are scanned. Either way nothing is read of keys that are not asked for but what shares a block with those.

use super::error::{Result, ScanError};
use super::group_gc::{GroupGc, ReadTime};
use super::group_scan::{GroupPiece, GroupScan, RowSet, ScannedGroup};
use super::scanner::ScanOptions;
use super::sources::Sources;
use arrow::array::{Array, AsArray, BinaryViewArray};
use std::ops::ControlFlow;
use std::sync::Arc;
use terrane_client::cell::MapWriter;
use terrane_client::columns::encode::{self, ColumnView};
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::map_column::MapPart;
use terrane_client::map_column::entry_key::{entries_in, entries_of, entry_key, entry_prefix};
use terrane_client::read::{KeyRange, Projected, ScanMetrics, ScanRequest};
use terrane_client::row::PackedCells;
use terrane_client::schema::{Column, TableSchema};
use terrane_client::types::MapType;

/// Entries of a batch at most.
const BATCH_ROWS_MAX: usize = 8192;

/// Takes entries, whole keys and values, until it says that it has enough.
pub type VisitEntry<'v> =
    dyn FnMut(&[u8], Option<&[u8]>) -> Result<ControlFlow<()>, TabletError> + 'v;

/// A map column, and how its entries are read.
#[derive(Clone, Debug)]
pub struct MapColumn {
    /// The column.
    pub column: ColumnId,
    /// Where its entries are.
    pub group: LocalityGroupId,
    /// Its type.
    pub of: MapType,
    /// Which of them have expired.
    gc: GroupGc,
    /// Its entries as a table.
    entries: Arc<TableSchema>,
}

/// Some entries, ascending.
pub(super) struct EntryBatch {
    keys: BinaryViewArray,
    cells: Vec<PackedCells>,
    column: ColumnId,
}

impl EntryBatch {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// An entry's whole key.
    pub(super) fn key(&self, at: usize) -> &[u8] {
        self.keys.value(at)
    }

    /// An entry's value.
    pub(super) fn value(&self, at: usize) -> Option<&[u8]> {
        self.cells[at].get(self.column).flatten()
    }
}

impl MapColumn {
    /// A map column of a table; `None` of other columns.
    pub fn new(schema: &TableSchema, column: &Column) -> Option<Self> {
        let entries = Arc::new(schema.of_entries(column)?);
        let of = column.map_type()?.clone();
        let gc = GroupGc::new(schema, column.group);
        Some(Self { column: column.id, group: column.group, of, gc, entries })
    }

    /// True where an entry may have older versions that live beside its newest.
    pub fn keeps_older(&self) -> bool {
        self.gc.keeps_older(self.column)
    }

    /// Its entries' policies.
    pub(super) fn gc(&self) -> &GroupGc {
        &self.gc
    }

    /// The map columns of a table.
    pub fn all_of(schema: &TableSchema) -> Vec<Self> {
        schema.columns.iter().filter_map(|column| Self::new(schema, column)).collect()
    }

    /// A row's map, or the part that is wanted, as one cell.
    pub fn read(
        &self,
        sources: &Sources,
        row_key: &[u8],
        part: &MapPart,
        time: ReadTime,
    ) -> Result<Vec<u8>, TabletError> {
        let mut map = MapWriter::new(&self.of);
        let range = match part {
            MapPart::Keys(keys) => {
                for key in keys {
                    let entry = entry_key(row_key, self.column, key);
                    if let Some(row) = sources.get(&entry, time, &self.gc, &[self.column])? {
                        let value = row.cells.get(self.column).flatten();
                        map.push(key, value).map_err(|error| self.of_cell(error))?;
                    }
                }
                return Ok(map.into_cell());
            }
            MapPart::Whole => entries_of(row_key, self.column),
            MapPart::Range(keys) => entries_in(row_key, self.column, keys),
        };
        let prefix = entry_prefix(row_key, self.column).len();
        self.each_entry(sources, range, time, &mut |key, value| {
            map.push(&key[prefix..], value).map_err(|error| self.of_cell(error))?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(map.into_cell())
    }

    /// Visits the entries of a range, ascending, until told to stop.
    pub fn each_entry(
        &self,
        sources: &Sources,
        range: KeyRange,
        time: ReadTime,
        visit: &mut VisitEntry<'_>,
    ) -> Result<(), TabletError> {
        let pieces = vec![GroupPiece { sources: sources.clone(), range }];
        let metrics = Arc::new(ScanMetrics::default());
        let mut scan = self.scan(pieces, time, ScanOptions::default(), metrics)?;
        let mut rows = FIRST_ROWS;
        while !scan.is_done() {
            let Some(batch) = self.next_batch(&mut scan, rows)? else { continue };
            for place in 0..batch.len() {
                if visit(batch.key(place), batch.value(place))?.is_break() {
                    return Ok(());
                }
            }
            rows = BATCH_ROWS_MAX;
        }
        Ok(())
    }

    /// A scan of entries.
    pub(super) fn scan(
        &self,
        pieces: Vec<GroupPiece>,
        time: ReadTime,
        options: ScanOptions,
        metrics: Arc<ScanMetrics>,
    ) -> Result<GroupScan, TabletError> {
        let request = ScanRequest {
            table: self.entries.storage,
            schema_version: self.entries.version,
            read_ts: Some(time.at),
            ranges: Vec::new(),
            versions: Default::default(),
            projection: vec![Projected::Key, Projected::Column(self.column)],
            map_parts: Arc::default(),
            predicates: Vec::new(),
            limit: None,
            reverse: false,
            batch_rows_max: BATCH_ROWS_MAX,
        };
        let group = ScannedGroup { id: self.group, rows: RowSet::Living, pieces };
        // Under a row's lock everything that was applied counts, and nothing of it is newer than now.
        let (schema, at) = (self.entries.clone(), time.at.min(time.now));
        GroupScan::new(&request, schema, at, group, options, metrics)
    }

    /// The next entries of a scan, looking at about `rows` of them.
    pub(super) fn next_batch(
        &self,
        scan: &mut GroupScan,
        rows: usize,
    ) -> Result<Option<EntryBatch>, TabletError> {
        let Some(batch) = scan.next_batch(rows)? else { return Ok(None) };
        let column = self.entries.column(self.column).ok_or(ScanError::NoColumn(self.column))?;
        let view = [ColumnView::new(column, batch.column(1))];
        let cells = encode::cells(&view, batch.num_rows())
            .map_err(|error| TabletError::Internal(error.to_string()))?;
        let keys = batch.column(0).as_binary_view().clone();
        Ok(Some(EntryBatch { keys, cells, column: self.column }))
    }

    pub(super) fn of_cell(&self, error: terrane_client::cell::CellError) -> TabletError {
        ScanError::Cell { column: self.column, error }.into()
    }
}

/// Entries that are looked at first: most maps are small.
pub(super) const FIRST_ROWS: usize = 64;
