//! Versions of map entries: each entry has its own, as each cell of a column has, and they are the same whatever was
//! flushed, merged and recovered in between.

use crate::world::*;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use terrane_client::cell;
use terrane_client::cell::map::decode_key;
use terrane_client::expr::Expr;
use terrane_client::ids::CommitTs;
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, RowProgram};
use terrane_client::read::{Projected, ScanRequest, Selection, Versions};
use terrane_client::row::CellsBuilder;
use terrane_client::schema::{CellGc, TableSchema};
use terrane_client::service::TabletService;
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_storage::server::ServerOptions;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const VERSIONS_KEPT: u32 = 3;

type Map = BTreeMap<String, Option<String>>;

/// Of each entry its versions, newest first.
type Entries = BTreeMap<String, Vec<(CommitTs, Option<String>)>>;

/// What a row's map was after each commit, and the versions of its entries.
#[derive(Default)]
struct Model {
    rows: BTreeMap<i64, Entries>,
    commits: Vec<(CommitTs, BTreeMap<i64, Entries>)>,
}

fn map_value(map: &Map) -> Value {
    let value = |value: &Option<String>| value.clone().map_or(Value::Null, Value::Text);
    Value::Map(map.iter().map(|(key, of)| (Value::Text(key.clone()), value(of))).collect())
}

fn literal(value: Value) -> Box<Expr> {
    Box::new(Expr::Literal(value, DataType::Text))
}

fn assign(k: i64, value: Expr) -> RowProgram {
    program(k, Guard::Any, Action::Update { assignments: vec![(M, value)] })
}

fn put_row(k: i64, map: &Map) -> RowProgram {
    let mut row = CellsBuilder::default();
    cells(k, None, None).iter().for_each(|(id, cell)| row.push(id, cell));
    row.push(M, cell::encoded(&map_value(map), &map_type()).unwrap().as_deref());
    program(k, Guard::Any, Action::Put { cells: row.finish() })
}

fn random_map(rng: &mut StdRng) -> Map {
    let some: Vec<&str> = KEYS.into_iter().filter(|_| rng.random_bool(0.5)).collect();
    some.into_iter().map(|key| (key.to_owned(), random_value(rng))).collect()
}

fn random_value(rng: &mut StdRng) -> Option<String> {
    (!rng.random_bool(0.1)).then(|| rng.random_range(0..4).to_string())
}

impl Model {
    fn entries(&mut self, k: i64) -> Option<&mut Entries> {
        self.rows.get_mut(&k)
    }

    /// What the operation does, once it is known when.
    fn apply(&mut self, operation: &Operation, at: CommitTs) {
        let add = |entries: &mut Entries, key: &str, value: &Option<String>| {
            entries.entry(key.to_owned()).or_default().insert(0, (at, value.clone()));
        };
        match operation {
            Operation::PutRow(k, map) => {
                let mut entries = Entries::new();
                map.iter().for_each(|(key, value)| add(&mut entries, key, value));
                self.rows.insert(*k, entries);
            }
            Operation::DeleteRow(k) => drop(self.rows.remove(k)),
            Operation::Put(k, key, value) => {
                if let Some(entries) = self.entries(*k) {
                    add(entries, key, value);
                }
            }
            Operation::Remove(k, key) => {
                if let Some(entries) = self.entries(*k) {
                    entries.remove(key);
                }
            }
            Operation::Assign(k, map) => {
                if let Some(entries) = self.entries(*k) {
                    entries.retain(|key, _| map.contains_key(key));
                    for (key, value) in map {
                        let newest = entries.get(key).and_then(|all| all.first());
                        if newest.is_none_or(|(_, newest)| newest != value) {
                            add(entries, key, value);
                        }
                    }
                }
            }
        }
        self.commits.push((at, self.rows.clone()));
    }
}

#[derive(Debug)]
enum Operation {
    PutRow(i64, Map),
    DeleteRow(i64),
    Put(i64, String, Option<String>),
    Remove(i64, String),
    Assign(i64, Map),
}

impl Operation {
    fn random(rng: &mut StdRng) -> Self {
        let k = rng.random_range(0..3);
        let key = (*KEYS.choose(rng).unwrap()).to_owned();
        match rng.random_range(0..20) {
            0..2 => Self::PutRow(k, random_map(rng)),
            2 => Self::DeleteRow(k),
            3..6 => Self::Remove(k, key),
            6..9 => Self::Assign(k, random_map(rng)),
            _ => Self::Put(k, key, random_value(rng)),
        }
    }

    fn program(&self) -> RowProgram {
        let own = || Box::new(Expr::Column(M, map_type()));
        match self {
            Self::PutRow(k, map) => put_row(*k, map),
            Self::DeleteRow(k) => delete(*k),
            Self::Put(k, key, value) => {
                let value = literal(value.clone().map_or(Value::Null, Value::Text));
                assign(
                    *k,
                    Expr::MapPut { map: own(), key: literal(Value::Text(key.clone())), value },
                )
            }
            Self::Remove(k, key) => {
                assign(*k, Expr::MapRemove(own(), literal(Value::Text(key.clone()))))
            }
            Self::Assign(k, map) => assign(*k, Expr::Literal(map_value(map), map_type())),
        }
    }
}

/// A map's entries by row, key and time, as a scan of cells shows them.
type Shown = Vec<(i64, String, CommitTs, Option<String>)>;

async fn shown(world: &World, version: u32, at: Option<CommitTs>, reverse: bool) -> Shown {
    let projection = vec![
        Projected::Column(K),
        Projected::CellColumn,
        Projected::CellKey,
        Projected::Version,
        Projected::CellValue,
    ];
    let request = ScanRequest {
        read_ts: at,
        versions: Versions::Cells(Selection::default()),
        schema_version: version,
        reverse,
        ..scan_request(projection)
    };
    let answer = world.server.read(request).await.unwrap();
    let batches: Vec<_> = answer.batches.try_collect().await.unwrap();
    let mut shown = Vec::new();
    for batch in batches {
        let numbers = |at: usize| batch.column(at).as_primitive::<Int64Type>().clone();
        let bytes = |at: usize| batch.column(at).as_binary_view().clone();
        let (rows, columns, keys) = (numbers(0), numbers(1), bytes(2));
        let (times, values) = (numbers(3), bytes(4));
        for at in 0..batch.num_rows() {
            assert_eq!(keys.is_valid(at), columns.value(at) == i64::from(M.0));
            if !keys.is_valid(at) {
                continue;
            }
            let Value::Text(key) = decode_key(keys.value(at), &MapType::hstore()).unwrap() else {
                panic!("a key that is no text");
            };
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let value = values.is_valid(at).then(|| text(values.value(at)));
            shown.push((rows.value(at), key, CommitTs(times.value(at)), value));
        }
    }
    shown
}

fn expected(rows: &BTreeMap<i64, Entries>, reverse: bool) -> Shown {
    let mut all = Vec::new();
    let mut by_row: Vec<_> = rows.iter().collect();
    if reverse {
        by_row.reverse();
    }
    for (k, entries) in by_row {
        for (key, versions) in entries {
            let kept = versions.iter().take(VERSIONS_KEPT as usize);
            all.extend(kept.map(|(at, value)| (*k, key.clone(), *at, value.clone())));
        }
    }
    all
}

/// What a query of rows shows of their maps.
async fn maps(world: &World, version: u32, at: Option<CommitTs>) -> BTreeMap<i64, Value> {
    let projection = vec![Projected::Column(K), Projected::Column(M)];
    let request = ScanRequest { read_ts: at, schema_version: version, ..scan_request(projection) };
    let rows = scan(&*world.server, &request).await.unwrap().1;
    let row = |row: Vec<Value>| match &row[0] {
        Value::Int8(k) => (*k, row[1].clone()),
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(row).collect()
}

fn expected_maps(rows: &BTreeMap<i64, Entries>) -> BTreeMap<i64, Value> {
    let newest = |entries: &Entries| -> Map {
        entries.iter().map(|(key, all)| (key.clone(), all[0].1.clone())).collect()
    };
    rows.iter().map(|(k, entries)| (*k, map_value(&newest(entries)))).collect()
}

fn versioned(history_micros: i64) -> TableSchema {
    let mut schema = with_map(schema(TABLE));
    let map = schema.columns.iter_mut().find(|column| column.id == M).unwrap();
    map.gc = CellGc { max_versions: VERSIONS_KEPT, ..CellGc::default() };
    TableSchema { history_micros, ..schema }
}

async fn check(world: &World, model: &Model, has_history: bool, rng: &mut StdRng, what: &str) {
    let reverse = rng.random_bool(0.3);
    assert_eq!(shown(world, 1, None, reverse).await, expected(&model.rows, reverse), "{what}");
    assert_eq!(maps(world, 1, None).await, expected_maps(&model.rows), "{what}");
    if !has_history {
        return;
    }
    if let Some((at, rows)) = model.commits.choose(rng) {
        let found = shown(world, 1, Some(*at), reverse).await;
        assert_eq!(found, expected(rows, reverse), "{what}, at {at:?}");
        assert_eq!(maps(world, 1, Some(*at)).await, expected_maps(rows), "{what}, at {at:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_of_entries_are_the_models() {
    for seed in 0..12 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let has_history = rng.random_bool(0.6);
        let history = if has_history { 3_600_000_000 } else { 0 };
        let mut world = World::new(ServerOptions::small()).await;
        world.master.create_table(versioned(history), Vec::new()).await.unwrap();
        let mut model = Model::default();
        for step in 0..120 {
            let operation = Operation::random(rng);
            let programs = vec![operation.program()];
            let answer = world.modify(programs, Atomicity::AllOrNone).await.unwrap();
            answer.results[0].as_ref().unwrap();
            if answer.commit_ts != CommitTs::ABSENT {
                model.apply(&operation, answer.commit_ts);
            }
            let what = format!("seed {seed}, step {step}, {operation:?}");
            check(&world, &model, has_history, rng, &what).await;
            match rng.random_range(0..24) {
                0 | 1 => world.server.flush(Some(TABLE)).await.unwrap(),
                2 => {
                    world.server.compact(TABLE).await.unwrap();
                    // What was before can no longer be read.
                    model.commits.clear();
                }
                3 => world = world.crash(seed, CrashMode::DropUnsynced).await,
                4 => world = world.reopen().await,
                _ => continue,
            }
            check(&world, &model, has_history, rng, &format!("{what}, and after it")).await;
        }
    }
}

/// The policy at the time of the commit says whether an entry that is put leaves older versions, also after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_version_let_go_does_not_come_back_with_a_later_policy() {
    let mut world = World::new(ServerOptions::small()).await;
    world.master.create_table(with_map(schema(TABLE)), Vec::new()).await.unwrap();
    world.run(put_row(1, &Map::new())).await.unwrap();
    for value in ["1", "2"] {
        let put = Operation::Put(1, "a".to_owned(), Some(value.to_owned()));
        world.run(put.program()).await.unwrap();
    }
    let altered = TableSchema { version: 2, ..versioned(3_600_000_000) };
    world.master.alter_table(altered).await.unwrap();
    for pass in 0..3 {
        let found = shown(&world, 2, None, false).await;
        let values: Vec<_> = found.iter().map(|(_, _, _, value)| value.as_deref()).collect();
        assert_eq!(values, [Some("2")], "pass {pass}");
        match pass {
            0 => world = world.crash(3, CrashMode::DropUnsynced).await,
            _ => world.server.compact(TABLE).await.unwrap(),
        }
    }
}
