//! Timestamps of clients: versions go by them, deletes and reads of the past by commits, whatever was flushed, merged and
//! recovered in between (rules 6 and 40).

use crate::world::*;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use terrane_client::cell;
use terrane_client::expr::Expr;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, RowError, RowProgram};
use terrane_client::read::{Projected, ScanRequest, Selection, Versions};
use terrane_client::row::CellsBuilder;
use terrane_client::schema::{CellGc, TableSchema, Timestamps};
use terrane_client::service::TabletService;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_storage::server::ServerOptions;

const DATED_GROUP: u16 = 9;
const VERSIONS_KEPT: usize = 3;

fn dated_schema(history_micros: i64) -> TableSchema {
    let mut schema = schema(TABLE);
    let mut dated = group(DATED_GROUP);
    (dated.timestamps, dated.has_markers) = (Timestamps::Client, false);
    schema.groups.push(dated);
    for column in schema.columns.iter_mut().filter(|column| [B, C].contains(&column.id)) {
        column.group = LocalityGroupId(DATED_GROUP);
        column.gc = CellGc { max_versions: VERSIONS_KEPT as u32, ..CellGc::default() };
    }
    TableSchema { history_micros, ..schema }
}

/// Of one cell, by its timestamp, the value and the commit.
type Cell = BTreeMap<CommitTs, (CommitTs, Option<String>)>;

/// The cells of rows with such timestamps.
type Rows = BTreeMap<i64, BTreeMap<ColumnId, Cell>>;

#[derive(Clone, Debug)]
enum Operation {
    Put(i64, Option<i64>, Vec<(ColumnId, Option<String>)>),
    Update(i64, Option<i64>, Vec<(ColumnId, Option<String>)>),
    Delete(i64),
}

fn value_of(column: ColumnId, text: &Option<String>) -> (Value, DataType) {
    match (column, text) {
        (C, None) => (Value::Null, DataType::Int4),
        (C, Some(text)) => (Value::Int4(text.parse().unwrap()), DataType::Int4),
        (_, None) => (Value::Null, DataType::Text),
        (_, Some(text)) => (Value::Text(text.clone()), DataType::Text),
    }
}

impl Operation {
    fn random(rng: &mut StdRng, now: i64, is_first: bool) -> Self {
        let k = rng.random_range(0..3);
        let mut cells = Vec::new();
        for column in [B, C] {
            if rng.random_bool(0.6) {
                let value = (!rng.random_bool(0.15)).then(|| rng.random_range(0..50).to_string());
                cells.push((column, value));
            }
        }
        // Few, so that some are met again; some ahead of the clock.
        let stamp = match rng.random_range(0..4) {
            // What one commit writes without timestamps is one version.
            0 if is_first => None,
            1 => Some(now + rng.random_range(0..40) * 1_000_000),
            _ => Some(1_000_000 + rng.random_range(0..12)),
        };
        match rng.random_range(0..12) {
            0 => Self::Delete(k),
            1..3 => Self::Put(k, stamp, cells),
            _ => Self::Update(k, stamp, cells),
        }
    }

    fn program(&self) -> RowProgram {
        match self {
            Self::Delete(k) => delete(*k),
            Self::Put(k, stamp, written) => {
                let mut row = CellsBuilder::default();
                if let Some(stamp) = stamp {
                    row.push(ColumnId::STAMP, Some(&stamp.to_le_bytes()));
                }
                row.push(A, Some(&1i64.to_le_bytes()));
                for (column, text) in written {
                    let (value, data_type) = value_of(*column, text);
                    row.push(*column, cell::encoded(&value, &data_type).unwrap().as_deref());
                }
                program(*k, Guard::Any, Action::Put { cells: row.finish() })
            }
            Self::Update(k, stamp, written) => {
                let mut assignments = Vec::new();
                if let Some(stamp) = stamp {
                    let value = Value::TimestampTz(*stamp);
                    assignments
                        .push((ColumnId::STAMP, Expr::Literal(value, DataType::TimestampTz)));
                }
                for (column, text) in written {
                    let (value, data_type) = value_of(*column, text);
                    assignments.push((*column, Expr::Literal(value, data_type)));
                }
                program(*k, Guard::Any, Action::Update { assignments })
            }
        }
    }

    /// What it does to rows, once it is known when.
    fn apply(&self, rows: &mut Rows, commit_ts: CommitTs) {
        let (k, stamp, cells) = match self {
            Self::Delete(k) => {
                rows.remove(k);
                return;
            }
            Self::Put(k, stamp, cells) => {
                rows.insert(*k, BTreeMap::new());
                (k, stamp, cells)
            }
            Self::Update(k, stamp, cells) => (k, stamp, cells),
        };
        let Some(row) = rows.get_mut(k) else { return };
        let newest = |column: &ColumnId| row.get(column).and_then(|cell| cell.keys().last());
        let newest = cells.iter().filter_map(|(column, _)| newest(column)).max().copied();
        let undated = commit_ts.max(CommitTs(newest.map_or(i64::MIN, |newest| newest.0 + 1)));
        let written = stamp.map_or(undated, CommitTs);
        for (column, text) in cells {
            row.entry(*column).or_default().insert(written, (commit_ts, text.clone()));
        }
    }
}

type Shown = Vec<(i64, i64, CommitTs, Option<String>)>;

async fn shown(world: &World, at: Option<CommitTs>) -> Shown {
    let projection =
        vec![Projected::Column(K), Projected::CellColumn, Projected::Version, Projected::CellValue];
    let versions = Versions::Cells(Selection::default());
    let request = ScanRequest { read_ts: at, versions, ..scan_request(projection) };
    let answer = world.server.read(request).await.unwrap();
    let batches: Vec<_> = answer.batches.try_collect().await.unwrap();
    let mut shown = Vec::new();
    for batch in batches {
        let numbers = |at: usize| batch.column(at).as_primitive::<Int64Type>().clone();
        let (rows, columns, times) = (numbers(0), numbers(1), numbers(2));
        let values = batch.column(3).as_binary_view();
        for at in 0..batch.num_rows() {
            let column = columns.value(at);
            let text = |bytes: &[u8]| match column == i64::from(C.0) {
                true => i32::from_le_bytes(bytes.try_into().unwrap()).to_string(),
                false => String::from_utf8(bytes.to_vec()).unwrap(),
            };
            if column != i64::from(A.0) {
                let value = values.is_valid(at).then(|| text(values.value(at)));
                shown.push((rows.value(at), column, CommitTs(times.value(at)), value));
            }
        }
    }
    shown
}

fn expected(rows: &Rows) -> Shown {
    let mut all = Vec::new();
    for (k, row) in rows {
        for (column, cell) in row {
            let kept = cell.iter().rev().take(VERSIONS_KEPT);
            all.extend(kept.map(|(at, (_, text))| (*k, i64::from(column.0), *at, text.clone())));
        }
    }
    all
}

/// What is seen of rows: `b` and `c`.
fn seen(rows: &Rows) -> Vec<(i64, Value, Value)> {
    let newest = |row: &BTreeMap<ColumnId, Cell>, column| {
        let cell = row.get(&column).and_then(|cell| cell.values().last());
        value_of(column, &cell.and_then(|(_, text)| text.clone())).0
    };
    rows.iter().map(|(k, row)| (*k, newest(row, B), newest(row, C))).collect()
}

async fn check(world: &World, rows: &Rows, at: Option<CommitTs>, what: &str) {
    assert_eq!(shown(world, at).await, expected(rows), "{what}, at {at:?}");
    let projection = [K, B, C].map(Projected::Column).to_vec();
    let request = ScanRequest { read_ts: at, ..scan_request(projection) };
    let found = scan(&*world.server, &request).await.unwrap().1;
    let found: Vec<_> = found
        .into_iter()
        .map(|row| match &row[0] {
            Value::Int8(k) => (*k, row[1].clone(), row[2].clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, seen(rows), "{what}, at {at:?}");
    for (k, b, _) in seen(rows) {
        let row = world.get_at(k, at).await.unwrap().unwrap();
        let cell = cell::decode_cell(row.cells.get(B), &DataType::Text, &Value::Null).unwrap();
        assert_eq!(cell, b, "{what}, row {k} at {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_is_the_models() {
    for seed in 0..12 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let has_history = rng.random_bool(0.6);
        let history = if has_history { 3_600_000_000 } else { 0 };
        let mut world = World::new(ServerOptions::small()).await;
        world.master.create_table(dated_schema(history), Vec::new()).await.unwrap();
        let mut rows = Rows::new();
        let mut past: Vec<(CommitTs, Rows)> = Vec::new();
        for step in 0..120 {
            let now = world.server.read_timestamp().await.unwrap().0;
            // Several of one commit, perhaps of one row.
            let count = *[1, 1, 1, 2, 3].choose(rng).unwrap();
            let operations: Vec<Operation> =
                (0..count).map(|at| Operation::random(rng, now, at == 0)).collect();
            let programs = operations.iter().map(Operation::program).collect();
            let answer = world.modify(programs, Atomicity::AllOrNone).await.unwrap();
            assert!(answer.results.iter().all(Result::is_ok), "{answer:?}");
            let what = format!("seed {seed}, step {step}, {operations:?}");
            if answer.commit_ts != CommitTs::ABSENT {
                operations.iter().for_each(|one| one.apply(&mut rows, answer.commit_ts));
                past.push((answer.commit_ts, rows.clone()));
            }
            check(&world, &rows, None, &what).await;
            match rng.random_range(0..24) {
                0 | 1 => world.server.flush(Some(TABLE)).await.unwrap(),
                2 => {
                    world.server.compact(TABLE).await.unwrap();
                    // What was before can no longer be read.
                    past.clear();
                }
                3 => world = world.crash(seed, CrashMode::DropUnsynced).await,
                4 => world = world.reopen().await,
                _ => continue,
            }
            check(&world, &rows, None, &format!("{what}, and after it")).await;
            if let Some((at, rows)) = past.choose(rng).filter(|_| has_history) {
                check(&world, rows, Some(*at), &what).await;
            }
        }
    }
}

/// Rule 40: more than a minute ahead of the clock is refused.
#[tokio::test]
async fn a_timestamp_far_ahead_of_the_clock_is_refused() {
    let world = World::new(ServerOptions::small()).await;
    world.master.create_table(dated_schema(0), Vec::new()).await.unwrap();
    let now = world.server.read_timestamp().await.unwrap().0;
    let put = |stamp| Operation::Put(1, Some(stamp), vec![(B, Some("b".to_owned()))]).program();
    for stamp in [now + 120_000_000, i64::MAX, i64::MIN] {
        let refused = world.run(put(stamp)).await;
        assert_eq!(refused, Err(RowError::TimestampOutOfRange), "{stamp}");
    }
    world.run(put(now + 30_000_000)).await.unwrap();
    world.run(put(i64::MIN + 1)).await.unwrap();
}
