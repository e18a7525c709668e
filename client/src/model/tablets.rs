//! A tablet server of the model.

use super::state::{State, Table};
use crate::cell::MapCell;
use crate::cell::map::MapWriter;
use crate::columns::RowBatch;
use crate::error::TabletError;
use crate::expr;
use crate::ids::{CommitTs, Generation, Seq, StorageId};
use crate::map_column::MapParts;
use crate::metadata::merge;
use crate::metadata::split::{self, SplitIntent};
use crate::program::{DeleteRangeRequest, ModifyRequest, RowError, RowReader};
use crate::read::{
    GetRequest, GetResponse, KeyRange, ScanMetrics, ScanRequest, ScanResponse, Versions,
};
use crate::row::{CellsBuilder, PackedCells, Row};
use crate::schema::{Column, TableSchema, TableSchemas};
use crate::service::{Applied, TabletName, TabletService, TimestampPin};
use crate::status::{ServerStatus, TabletStatus};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Pieces [`TabletService::sample_keys`] cuts a table into.
const SAMPLE_PIECES: usize = 16;

/// Serves those of the model's tablets that are on the server of this name.
pub struct ModelTablets {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) name: String,
}

impl ModelTablets {
    /// The server's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole answer of a scan, batch by batch.
    fn scan(
        &self,
        request: &ScanRequest,
        metrics: &ScanMetrics,
    ) -> Result<(CommitTs, Vec<RecordBatch>), TabletError> {
        if request.versions != Versions::Newest {
            return Err(TabletError::Unsupported("versions of rows in the model".to_owned()));
        }
        let mut state = self.state.lock();
        let table = state.serving(&self.name, request.table, &request.ranges)?;
        let schema = table.planned(request.schema_version)?;
        let newest = table.current.clone();
        let read_ts = state.resolve_read(&newest, request.read_ts)?;
        let mut ranges: Vec<&KeyRange> = request.ranges.iter().collect();
        if request.reverse {
            ranges.reverse();
        }
        let mut scan = Scan::new(request, schema, metrics)?;
        for range in ranges {
            let rows = state.live_rows(request.table, range, read_ts);
            let mut each = |(key, row): (&Bytes, Row)| scan.row(key, &row);
            let full = match request.reverse {
                true => rows.rev().map(&mut each).find(|done| !matches!(done, Ok(false))),
                false => rows.map(&mut each).find(|done| !matches!(done, Ok(false))),
            };
            if full.transpose()?.is_some() {
                break;
            }
        }
        Ok((read_ts, scan.finish()?))
    }
}

/// One scan under way.
struct Scan<'a> {
    request: &'a ScanRequest,
    schema: Arc<TableSchema>,
    metrics: &'a ScanMetrics,
    batch: RowBatch,
    batches: Vec<RecordBatch>,
    returned: u64,
}

impl<'a> Scan<'a> {
    fn new(
        request: &'a ScanRequest,
        schema: Arc<TableSchema>,
        metrics: &'a ScanMetrics,
    ) -> Result<Self, TabletError> {
        let batch = RowBatch::new(schema.clone(), &request.projection, 0)?;
        Ok(Self { request, schema, metrics, batch, batches: Vec::new(), returned: 0 })
    }

    /// Takes the next row; true when the limit is reached.
    fn row(&mut self, key: &Bytes, row: &Row) -> Result<bool, TabletError> {
        if self.request.limit.is_some_and(|limit| self.returned >= limit) {
            return Ok(true);
        }
        self.metrics.rows_seen.fetch_add(1, Ordering::Relaxed);
        let view = RowReader { schema: &self.schema, key, cells: Some(&row.cells), excluded: None };
        for predicate in &self.request.predicates {
            if !expr::is_true(predicate, &view).map_err(RowError::from)? {
                return Ok(false);
            }
        }
        self.batch.push(key, row)?;
        self.returned += 1;
        self.metrics.rows_returned.fetch_add(1, Ordering::Relaxed);
        if self.batch.rows() >= self.request.batch_rows_max.max(1) {
            self.batches.push(self.batch.finish()?);
        }
        Ok(false)
    }

    fn finish(mut self) -> Result<Vec<RecordBatch>, TabletError> {
        if self.batch.rows() > 0 {
            self.batches.push(self.batch.finish()?);
        }
        Ok(self.batches)
    }
}

#[async_trait]
impl TabletService for ModelTablets {
    async fn get(&self, request: GetRequest) -> Result<GetResponse, TabletError> {
        let mut state = self.state.lock();
        let here: Vec<KeyRange> =
            request.keys.iter().map(|key| crate::key::single_range(key.clone())).collect();
        let table = state.serving(&self.name, request.table, &here)?;
        table.planned(request.schema_version)?;
        let newest = table.current.clone();
        let read_ts = state.resolve_read(&newest, request.read_ts)?;
        let rows = request.keys.iter().map(|key| {
            let mut row = state.live(request.table, key, read_ts)?;
            if let Some(columns) = &request.columns {
                row.cells = row.cells.project(columns);
            }
            row.cells = in_part(&row.cells, &newest, &request.map_parts);
            Some(row)
        });
        Ok(GetResponse { read_ts, rows: rows.collect() })
    }

    async fn read(&self, request: ScanRequest) -> Result<ScanResponse, TabletError> {
        let metrics = Arc::new(ScanMetrics::default());
        let (read_ts, batches) = self.scan(&request, &metrics)?;
        metrics.tablets.fetch_add(1, Ordering::Relaxed);
        let batches = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
        Ok(ScanResponse { read_ts, batches, metrics })
    }

    async fn apply_rows(&self, request: ModifyRequest) -> Result<Applied, TabletError> {
        self.state.lock().modify(&self.name, request).map(Applied::durable)
    }

    async fn delete_ranges(&self, request: DeleteRangeRequest) -> Result<CommitTs, TabletError> {
        self.state.lock().delete_ranges(&self.name, &request)
    }

    async fn read_timestamp(&self) -> Result<CommitTs, TabletError> {
        Ok(self.state.lock().read_timestamp())
    }

    async fn pin_timestamp(&self, at: CommitTs) -> Result<TimestampPin, TabletError> {
        self.state.lock().pin(at);
        let state = self.state.clone();
        Ok(TimestampPin::new(move || state.lock().unpin(at)))
    }

    async fn sample_keys(&self, table: StorageId) -> Result<Vec<Bytes>, TabletError> {
        let state = self.state.lock();
        state.serving(&self.name, table, &[])?;
        let all = KeyRange::all();
        let keys: Vec<&Bytes> =
            state.live_rows(table, &all, CommitTs::MAX).map(|(key, _)| key).collect();
        let step = keys.len().div_ceil(SAMPLE_PIECES).max(1);
        Ok(keys.into_iter().step_by(step).skip(1).cloned().collect())
    }

    async fn load(
        &self,
        tablet: TabletName,
        generation: Generation,
        schemas: TableSchemas,
    ) -> Result<(), TabletError> {
        let schema = schemas.current;
        let mut state = self.state.lock();
        let not_serving = TabletError::NotServing { table: tablet.table };
        let table = state.tables.get_mut(&tablet.table).ok_or(not_serving.clone())?;
        if schema.version > table.current.version {
            table.hold(schema);
        }
        let row = find(table, &tablet).ok_or(not_serving)?;
        row.server.clone_from(&self.name);
        row.generation = generation;
        Ok(())
    }

    async fn unload(&self, tablet: TabletName) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        let not_serving = TabletError::NotServing { table: tablet.table };
        let table = state.tables.get_mut(&tablet.table).ok_or(not_serving.clone())?;
        let row = find(table, &tablet).filter(|row| row.server == self.name);
        row.ok_or(not_serving)?.server.clear();
        Ok(())
    }

    async fn set_schema(&self, schema: Arc<TableSchema>) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        let not_serving = TabletError::NotServing { table: schema.storage };
        let table = state.tables.get_mut(&schema.storage).ok_or(not_serving)?;
        table.hold(schema);
        Ok(())
    }

    async fn split(&self, table: StorageId, key: Bytes) -> Result<(), TabletError> {
        if table == StorageId::METADATA {
            return Err(TabletError::Unsupported("a split of METADATA by a server".to_owned()));
        }
        let mut state = self.state.lock();
        let (found, place) = state.tablet_on(&self.name, table, &key)?;
        let row = &mut found.tablets[place];
        if row.start[..] == key[..] {
            return Ok(());
        }
        row.split = Some(SplitIntent { at: key.to_vec(), is_chosen: true });
        let Some((left, right)) = split::children(row) else { return Ok(()) };
        row.clone_from(&right);
        found.tablets.insert(place, left.clone());
        state.write_metadata(&left)?;
        state.write_metadata(&right)
    }

    async fn merge(&self, table: StorageId, key: Bytes) -> Result<(), TabletError> {
        if table == StorageId::METADATA {
            return Err(TabletError::Unsupported("a merge of METADATA by a server".to_owned()));
        }
        let mut state = self.state.lock();
        let (found, place) = state.tablet_on(&self.name, table, &key)?;
        if place == 0 || found.tablets[place].start[..] != key[..] {
            return Ok(());
        }
        let left = found.tablets.remove(place - 1);
        let right = &mut found.tablets[place - 1];
        let Some(union) = merge::union(&left, right, Seq::default()) else {
            let text = format!("tablets of table {table} that two servers or generations own");
            return Err(TabletError::Unsupported(text));
        };
        right.clone_from(&union);
        state.remove_metadata(&left)?;
        state.write_metadata(&union)
    }

    async fn flush(&self, _table: Option<StorageId>) -> Result<(), TabletError> {
        // There are no files.
        Ok(())
    }

    async fn compact(&self, table: StorageId) -> Result<(), TabletError> {
        self.state.lock().serving(&self.name, table, &[]).map(drop)
    }

    async fn status(&self) -> Result<Vec<TabletStatus>, TabletError> {
        let state = self.state.lock();
        let tablets = state.tables.values().flat_map(|table| &table.tablets);
        Ok(tablets
            .filter(|tablet| tablet.server == self.name)
            .map(|tablet| TabletStatus {
                row: tablet.clone(),
                disk_bytes: 0,
                rows: 0,
                memtable_bytes: 0,
                groups: Vec::new(),
                frozen: 0,
            })
            .collect())
    }

    async fn server_status(&self) -> Result<Vec<ServerStatus>, TabletError> {
        let tablets = self.status().await?.len() as u64;
        // It has rows, and neither memtables, files nor logs.
        Ok(vec![ServerStatus {
            name: self.name.clone(),
            tablets,
            memtable_bytes: 0,
            memtable_budget_bytes: 0,
            runs_most: 0,
            pressure: 0.0,
            delayed_micros: 0,
            visible_ts: self.state.lock().read_timestamp(),
            caches: Vec::new(),
            logs: Vec::new(),
            jobs: Vec::new(),
            compactions: Vec::new(),
            purges: Vec::new(),
        }])
    }
}

fn find<'a>(table: &'a mut Table, name: &TabletName) -> Option<&'a mut crate::metadata::TabletRow> {
    table.tablets.iter_mut().find(|tablet| tablet.end.as_deref() == name.end.as_deref())
}

/// Cells with no more of the maps among them than is wanted.
fn in_part(cells: &PackedCells, schema: &TableSchema, parts: &MapParts) -> PackedCells {
    let mut out = CellsBuilder::default();
    for (id, cell) in cells.iter() {
        let of = schema.column(id).and_then(Column::map_type);
        match cell.zip(of).and_then(|(cell, of)| Some((MapCell::new(cell, of)?, of))) {
            None => out.push(id, cell),
            Some((map, of)) => {
                let wanted = map.entries().filter(|(key, _)| parts.of(id).contains(key));
                let part = MapWriter::cell_of(of, wanted);
                out.push(id, Some(&part.expect("a part of a map is smaller than the map")));
            }
        }
    }
    out.finish()
}
