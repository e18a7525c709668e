//! Scans of versions give what lives of the map's versions, before and after any merge.

use super::world::{LiveCell, Model, World, rng};
use crate::scan::{Piece, Scan, ScanOptions};
use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::columns::RowBatch;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::read::{KeyRange, Projected, ScanMetrics, ScanRequest, Selection, Versions};
use terrane_client::row::{CellsBuilder, Row};

fn selection(rng: &mut StdRng, world: &World) -> Selection {
    let mut time = || rng.random_bool(0.3).then(|| world.timestamp(rng));
    let (after, before) = (time(), time());
    Selection { latest_n: *[None, None, Some(1), Some(2)].choose(rng).unwrap(), after, before }
}

fn request(rng: &mut StdRng, world: &World, versions: Versions) -> ScanRequest {
    let keys = world.schema.key.iter().map(|key| Projected::Column(key.column));
    let projection = match versions {
        Versions::Cells(_) => keys
            .chain([Projected::CellColumn, Projected::Version, Projected::CellValue])
            .chain([Projected::Key])
            .collect(),
        _ => {
            let all = world.schema.columns.iter().map(|column| Projected::Column(column.id));
            all.chain([Projected::Version, Projected::Key]).collect()
        }
    };
    ScanRequest {
        map_parts: Default::default(),
        table: world.schema.storage,
        schema_version: world.schema.version,
        read_ts: None,
        ranges: vec![KeyRange::all()],
        projection,
        predicates: Vec::new(),
        versions,
        limit: rng.random_bool(0.2).then(|| rng.random_range(0..20)),
        reverse: rng.random_bool(0.3),
        batch_rows_max: *[1, 7, 8192].choose(rng).unwrap(),
    }
}

fn scan(world: &World, request: &ScanRequest, at: CommitTs) -> RecordBatch {
    let groups = vec![(LocalityGroupId::default(), world.sources.clone())];
    let pieces = vec![Piece { groups, range: KeyRange::all() }];
    let (schema, metrics) = (world.schema.clone(), Arc::new(ScanMetrics::default()));
    let scan = Scan::new(request, schema, at, pieces, ScanOptions::default(), metrics).unwrap();
    let arrow = scan.schema().clone();
    let batches: Vec<RecordBatch> = scan.map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| batch.num_rows() <= request.batch_rows_max));
    concat_batches(&arrow, &batches).unwrap()
}

/// The rows that live, with the cells of columns that there are.
fn living(world: &World, model: &Model, at: CommitTs) -> Vec<(Bytes, CommitTs, Vec<LiveCell>)> {
    let row = |key: &Bytes| {
        let cells = model.live(key, at)?.into_iter().map(|(cell, _)| cell);
        let cells = cells.filter(|cell| world.schema.column(cell.column).is_some());
        Some((key.clone(), model.row(key, at)?.version, cells.collect()))
    };
    model.0.keys().filter_map(row).collect()
}

fn selected(cells: &[LiveCell], selection: Selection) -> Vec<&LiveCell> {
    let mut taken: Vec<&LiveCell> = Vec::new();
    for cell in cells.iter().filter(|cell| selection.contains(cell.written)) {
        let newer = taken.iter().filter(|other| other.column == cell.column).count();
        if selection.latest_n.is_none_or(|most| newer < most as usize) {
            taken.push(cell);
        }
    }
    taken
}

/// Rows as of each time that a selected cell was written at.
fn expected_rows(world: &World, model: &Model, request: &ScanRequest, at: CommitTs) -> RecordBatch {
    let selection = request.versions.selection().unwrap();
    let mut batch = RowBatch::new(world.schema.clone(), &request.projection, 0).unwrap();
    let mut rows = living(world, model, at);
    if request.reverse {
        rows.reverse();
    }
    let most = request.limit.unwrap_or(u64::MAX) as usize;
    for (key, version, cells) in rows {
        let mut times: Vec<CommitTs> =
            selected(&cells, selection).iter().map(|cell| cell.written).collect();
        if cells.is_empty() && selection.contains(version) {
            times.push(version);
        }
        times.sort_by(|a, b| b.cmp(a));
        times.dedup();
        for then in times {
            let mut row = CellsBuilder::default();
            let mut last = ColumnId(0);
            for cell in cells.iter().filter(|cell| cell.written <= then) {
                if cell.column != last {
                    row.push(cell.column, cell.value.as_deref());
                    last = cell.column;
                }
            }
            if batch.rows() < most {
                batch
                    .push(&key, &Row { version: then, cells: row.finish(), ..Row::default() })
                    .unwrap();
            }
        }
    }
    batch.finish().unwrap()
}

type Shown = (Vec<u8>, ColumnId, CommitTs, String);

/// A cell by its value, as text, since NaN equals nothing: a file may store a widened column's cell narrower than it was written.
fn shown(world: &World, key: &[u8], column: ColumnId, ts: CommitTs, value: Option<&[u8]>) -> Shown {
    let data_type = &world.schema.column(column).unwrap().data_type;
    let value = value.map(|bytes| cell::decode(bytes, data_type).unwrap());
    (key.to_vec(), column, ts, format!("{value:?}"))
}

fn found_cells(world: &World, batch: &RecordBatch) -> Vec<Shown> {
    let width = batch.num_columns();
    let columns = batch.column(width - 4).as_primitive::<Int64Type>();
    let times = batch.column(width - 3).as_primitive::<Int64Type>();
    let values = batch.column(width - 2).as_binary_view();
    let keys = batch.column(width - 1).as_binary_view();
    let cell = |row: usize| {
        let column = ColumnId(u32::try_from(columns.value(row)).unwrap());
        let value = arrow::array::Array::is_valid(values, row).then(|| values.value(row));
        shown(world, keys.value(row), column, CommitTs(times.value(row)), value)
    };
    (0..batch.num_rows()).map(cell).collect()
}

fn expected_cells(world: &World, model: &Model, request: &ScanRequest, at: CommitTs) -> Vec<Shown> {
    let selection = request.versions.selection().unwrap();
    let mut rows = living(world, model, at);
    if request.reverse {
        rows.reverse();
    }
    let mut all = Vec::new();
    for (key, _, cells) in rows {
        let cells = selected(&cells, selection).into_iter();
        all.extend(
            cells.map(|cell| shown(world, &key, cell.column, cell.written, cell.value.as_deref())),
        );
    }
    all.truncate(request.limit.unwrap_or(u64::MAX) as usize);
    all
}

/// Compares both kinds of scans with the model. `what` is for messages.
pub fn check(rng: &mut StdRng, world: &World, model: &Model, at: CommitTs, what: &str) {
    let selection = selection(rng, world);
    let rows = request(rng, world, Versions::Rows(selection));
    let found = scan(world, &rows, at);
    assert_eq!(found, expected_rows(world, model, &rows, at), "{what}, at {at:?}: {rows:?}");
    let cells = request(rng, world, Versions::Cells(selection));
    let found = found_cells(world, &scan(world, &cells, at));
    assert_eq!(found, expected_cells(world, model, &cells, at), "{what}, at {at:?}: {cells:?}");
}

#[test]
fn scans_of_versions_are_the_models() {
    for seed in 0..300 {
        let rng = &mut rng(seed);
        let world = World::new(rng);
        let model = world.model();
        for _ in 0..4 {
            let at = world.timestamp(rng);
            check(rng, &world, &model, at, &format!("seed {seed}"));
        }
    }
}
