//! Scans give the rows of the map, whatever the sources, the direction and the shape of the request.

use super::world::{self, Mix, World, rng, row_key};
use crate::scan::{Piece, Scan, ScanOptions};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::columns::RowBatch;
use terrane_client::expr::{BinaryOp, Expr, is_true};
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::key;
use terrane_client::program::RowReader;
use terrane_client::read::{KeyRange, Projected, ScanMetrics, ScanRequest};
use terrane_client::row::Row;
use terrane_client::types::DataType;

fn ranges(rng: &mut StdRng, keys: i32) -> Vec<KeyRange> {
    if rng.random_bool(0.4) {
        return vec![KeyRange::all()];
    }
    let mut bounds: Vec<Bytes> =
        (0..rng.random_range(1..6)).map(|_| row_key(rng.random_range(0..keys + 3))).collect();
    bounds.sort();
    bounds.dedup();
    bounds
        .chunks(2)
        .map(|pair| match rng.random_range(0..6) {
            0 => key::prefix_range(pair[0].clone()),
            1 => key::single_range(pair[0].clone()),
            _ => KeyRange { start: pair[0].clone(), end: pair.get(1).cloned() },
        })
        .collect()
}

fn projection(rng: &mut StdRng) -> Vec<Projected> {
    let all: Vec<Projected> = world::schema()
        .columns
        .iter()
        .map(|column| Projected::Column(column.id))
        .chain([Projected::Key, Projected::Version])
        .collect();
    let count = *[0, 1, 3, 12].choose(rng).unwrap();
    (0..count).map(|_| *all.choose(rng).unwrap()).collect()
}

fn predicate(rng: &mut StdRng) -> Expr {
    let schema = world::schema();
    let column = schema.columns.choose(rng).unwrap();
    let of = column.data_type.clone();
    let left = Box::new(Expr::Column(column.id, of.clone()));
    let mut literal = || Expr::Literal(world::value(rng, &of), of.clone());
    let (a, b) = (literal(), literal());
    let ops = [
        BinaryOp::Eq,
        BinaryOp::NotEq,
        BinaryOp::Lt,
        BinaryOp::LtEq,
        BinaryOp::Gt,
        BinaryOp::GtEq,
        BinaryOp::DistinctFrom,
        BinaryOp::NotDistinctFrom,
    ];
    match rng.random_range(0..8) {
        0 => Expr::IsNull(left),
        1 => Expr::Not(Box::new(Expr::IsNull(left))),
        2 => Expr::InList(left, vec![a, b]),
        3 => Expr::Or(vec![predicate(rng), predicate(rng)]),
        4 if column.id == world::BOOL => Expr::Not(left),
        5 if column.id == world::BOOL => *left,
        _ => {
            let op = *ops.choose(rng).unwrap();
            Expr::Binary { op, left, right: Box::new(a), result: DataType::Bool }
        }
    }
}

fn request(rng: &mut StdRng, world: &World) -> ScanRequest {
    let predicates: Vec<Expr> = match rng.random_range(0..3) {
        0 => (0..rng.random_range(1..3)).map(|_| predicate(rng)).collect(),
        _ => Vec::new(),
    };
    let may_limit = predicates.is_empty() && rng.random_ratio(1, 3);
    ScanRequest {
        map_parts: Default::default(),
        versions: Default::default(),
        table: world.schema.storage,
        schema_version: world.schema.version,
        read_ts: None,
        ranges: ranges(rng, world.mix.keys),
        projection: projection(rng),
        predicates,
        limit: may_limit.then(|| rng.random_range(0..60)),
        reverse: rng.random_bool(0.4),
        batch_rows_max: *[1, 7, 100, 8192].choose(rng).unwrap(),
    }
}

/// The rows the map has, as one batch.
fn expected(world: &World, request: &ScanRequest, at: CommitTs) -> RecordBatch {
    let model = world.model();
    let mut rows: Vec<(Bytes, Row)> =
        request.ranges.iter().flat_map(|range| model.rows(range, at)).collect();
    if request.reverse {
        rows.reverse();
    }
    rows.retain(|(key, row)| {
        let cells = Some(&row.cells);
        let view = RowReader { schema: &world.schema, key, cells, excluded: None };
        request.predicates.iter().all(|predicate| is_true(predicate, &view).unwrap())
    });
    rows.truncate(request.limit.unwrap_or(u64::MAX) as usize);
    let mut batch = RowBatch::new(world.schema.clone(), &request.projection, 0).unwrap();
    rows.iter().for_each(|(key, row)| batch.push(key, row).unwrap());
    batch.finish().unwrap()
}

fn scan(
    rng: &mut StdRng,
    world: &World,
    request: &ScanRequest,
    at: CommitTs,
    pruning: bool,
) -> (RecordBatch, Arc<ScanMetrics>) {
    let mut pieces: Vec<Piece> = request
        .ranges
        .iter()
        .map(|range| Piece {
            groups: vec![(LocalityGroupId::default(), world.sources.clone())],
            range: range.clone(),
        })
        .collect();
    if request.reverse {
        pieces.reverse();
    }
    let metrics = Arc::new(ScanMetrics::default());
    let options = ScanOptions { pruning, fill_cache: rng.random_bool(0.5) };
    let schema = world.schema.clone();
    let mut scan = Scan::new(request, schema, at, pieces, options, metrics.clone()).unwrap();
    let arrow = scan.schema().clone();
    let mut batches = Vec::new();
    while !scan.is_done() {
        let looked = *[1, 5, 1000, usize::MAX].choose(rng).unwrap();
        if let Some(batch) = scan.next_batch(looked).unwrap() {
            assert!((1..=request.batch_rows_max).contains(&batch.num_rows()));
            batches.push(batch);
        }
    }
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(metrics.rows_returned.load(Relaxed), rows as u64);
    if request.projection.is_empty() {
        // Arrow forgets how many rows there are when it puts batches without columns together.
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
        let all = RecordBatch::try_new_with_options(arrow, Vec::new(), &options).unwrap();
        return (all, metrics);
    }
    (concat_batches(&arrow, &batches).unwrap(), metrics)
}

fn check(seed: u64, rng: &mut StdRng, world: &World, request: &ScanRequest, at: CommitTs) -> u64 {
    let expected = expected(world, request, at);
    let mut skipped = 0;
    for pruning in [true, false] {
        let (found, metrics) = scan(rng, world, request, at, pruning);
        assert_eq!(
            found, expected,
            "seed {seed}, pruning {pruning}, at {at:?}, {:?}, {request:?}",
            world.mix
        );
        skipped += metrics.blocks_skipped.load(Relaxed);
    }
    skipped
}

#[test]
fn scans_are_the_models() {
    let mut skipped = 0;
    for seed in 0..300 {
        let rng = &mut rng(seed);
        let world = World::new(rng);
        for _ in 0..6 {
            let request = request(rng, &world);
            let at = world.timestamp(rng);
            skipped += check(seed, rng, &world, &request, at);
        }
    }
    assert!(skipped > 100, "pruning was tested: {skipped} blocks skipped");
}

/// Whole rows, long stretches without overlap: what takes the direct path, in large and small batches.
#[test]
fn long_runs_of_whole_rows() {
    let mix = Mix {
        keys: 6000,
        commits: 9000,
        updates: 0,
        deletes: 0,
        sources: 2,
        is_odd: false,
        deletes_ranges: true,
    };
    for seed in 1000..1006 {
        let rng = &mut rng(seed);
        let world = World::with(rng, mix);
        for _ in 0..8 {
            let request = request(rng, &world);
            let at = world.timestamp(rng);
            check(seed, rng, &world, &request, at);
        }
    }
}

/// Rule 11: a newer row whose values fail the predicate must not be passed over, or its older version,
/// whose values pass, would come back.
#[test]
fn pruning_brings_no_old_version_back() {
    let mix = Mix {
        keys: 300,
        commits: 450,
        updates: 0,
        deletes: 0,
        sources: 6,
        is_odd: false,
        deletes_ranges: true,
    };
    for seed in 2000..2100 {
        let rng = &mut rng(seed);
        let world = World::with(rng, mix);
        let request = ScanRequest {
            predicates: vec![Expr::Binary {
                op: BinaryOp::Eq,
                left: Box::new(Expr::Column(ColumnId(3), DataType::Int8)),
                right: Box::new(Expr::Literal(world::value(rng, &DataType::Int8), DataType::Int8)),
                result: DataType::Bool,
            }],
            ranges: vec![KeyRange::all()],
            limit: None,
            ..request(rng, &world)
        };
        check(seed, rng, &world, &request, CommitTs::MAX);
    }
}
