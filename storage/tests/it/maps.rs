//! Map columns: one row's map of many entries, each read, written and removed by itself.

use crate::world::*;
use bytes::Bytes;
use std::path::Path;
use terrane_client::cell;
use terrane_client::cell::map::encode_key;
use terrane_client::expr::Expr;
use terrane_client::ids::LocalityGroupId;
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Guard, RowProgram};
use terrane_client::read::{GetRequest, KeyRange, Projected, ScanRequest};
use terrane_client::row::CellsBuilder;
use terrane_client::service::TabletService;
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_storage::server::ServerOptions;

/// Far more than are removed one by one.
const ENTRIES: usize = 20_000;

async fn world(options: ServerOptions) -> World {
    let world = World::new(options).await;
    world.master.create_table(with_map(schema(TABLE)), Vec::new()).await.unwrap();
    world
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}

fn key_of(at: usize) -> Value {
    text(format!("key {at:06}"))
}

/// Values that do not compress away.
fn large_map() -> Value {
    let value = |at: usize| {
        text(format!(
            "{:032x}",
            (at as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
        ))
    };
    Value::Map((0..ENTRIES).map(|at| (key_of(at), value(at))).collect())
}

pub fn row_with(k: i64, map: &Value) -> RowProgram {
    let mut with_map = CellsBuilder::default();
    cells(k, None, None).iter().for_each(|(id, cell)| with_map.push(id, cell));
    with_map.push(M, cell::encoded(map, &map_type()).unwrap().as_deref());
    program(k, Guard::Any, Action::Put { cells: with_map.finish() })
}

fn own() -> Box<Expr> {
    Box::new(Expr::Column(M, map_type()))
}

fn literal(value: Value) -> Box<Expr> {
    Box::new(Expr::Literal(value, DataType::Text))
}

pub fn set(k: i64, key: Value, value: Value) -> RowProgram {
    let put = Expr::MapPut { map: own(), key: literal(key), value: literal(value) };
    program(k, Guard::Any, Action::Update { assignments: vec![(M, put)] })
}

fn remove(k: i64, key: Value) -> RowProgram {
    let removed = Expr::MapRemove(own(), literal(key));
    program(k, Guard::Any, Action::Update { assignments: vec![(M, removed)] })
}

fn keys(of: &[Value]) -> MapPart {
    let encoded = of.iter().map(|key| Bytes::from(encode_key(key, &MapType::hstore()).unwrap()));
    MapPart::Keys(encoded.collect())
}

/// The map of a row, or a part of it; `None` where there is no row.
async fn map_of(world: &World, k: i64, part: MapPart) -> Option<Vec<(Value, Value)>> {
    let request = GetRequest {
        table: TABLE,
        schema_version: 1,
        read_ts: None,
        keys: vec![row_key(k)],
        columns: Some([M].into()),
        map_parts: MapParts([(M, part)].into()).into(),
    };
    let row = world.server.get(request).await.unwrap().rows.remove(0)?;
    match cell::decode(row.cells.get(M).unwrap().unwrap(), &map_type()).unwrap() {
        Value::Map(entries) => Some(entries),
        other => panic!("{other:?}"),
    }
}

fn read_bytes(world: &World) -> u64 {
    world.disk.counters(Path::new("/")).bytes_read
}

async fn stored_bytes(world: &World) -> u64 {
    let mut all = world.server.status().await.unwrap();
    all.retain(|tablet| tablet.row.table == TABLE);
    let runs = all.iter().flat_map(|tablet| tablet.row.runs_of(LocalityGroupId(MAP_GROUP)));
    runs.flat_map(|run| &run.files).map(|file| file.size_bytes).sum()
}

/// One key of a large map is read, written and removed without the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_of_a_large_map_is_read_and_written_alone() {
    let world = world(ServerOptions::small()).await;
    world.run(row_with(1, &large_map())).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    let world = world.reopen().await;
    let all = stored_bytes(&world).await;
    let before = read_bytes(&world);
    let found = map_of(&world, 1, keys(&[key_of(777), text("none")])).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, key_of(777));
    world.run(set(1, key_of(5), text("five"))).await.unwrap();
    world.run(set(1, text("new"), Value::Null)).await.unwrap();
    world.run(remove(1, key_of(6))).await.unwrap();
    let read = read_bytes(&world) - before;
    assert!(read * 10 < all, "{read} bytes were read of {all}");
    let some = [key_of(5), key_of(6), key_of(7), text("new")];
    let found = map_of(&world, 1, keys(&some)).await.unwrap();
    let found: Vec<Value> = found.into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, [key_of(5), key_of(7), text("new")]);
    assert_eq!(map_of(&world, 1, MapPart::Whole).await.unwrap().len(), ENTRIES);
    // A range of keys reads its part.
    let bound = |at| Bytes::from(encode_key(&key_of(at), &MapType::hstore()).unwrap());
    let range = MapPart::Range(KeyRange { start: bound(100), end: Some(bound(110)) });
    assert_eq!(map_of(&world, 1, range).await.unwrap().len(), 10);
}

/// A large map goes by one range tombstone, whether its row is deleted or replaced; what comes with the new row is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_map_goes_with_its_row() {
    for (seed, is_flushed) in [(1, false), (2, true)] {
        let mut world = world(ServerOptions::small()).await;
        for k in 1..=3 {
            world.run(row_with(k, &large_map())).await.unwrap();
        }
        if is_flushed {
            world.server.flush(Some(TABLE)).await.unwrap();
        }
        let small = Value::Map(vec![(key_of(3), text("small"))]);
        // What the log is given: beside it a flush may be under way.
        let logged = async |world: &World| {
            let logs = world.server.server_status().await.unwrap().remove(0).logs;
            logs.iter().map(|log| log.bytes_written).sum::<u64>()
        };
        let before = logged(&world).await;
        world.run(delete(1)).await.unwrap();
        world.run(row_with(2, &small)).await.unwrap();
        let written = logged(&world).await - before;
        assert!(written < 64 << 10, "{written} bytes");
        assert_eq!(map_of(&world, 1, MapPart::Whole).await, None);
        world.run(insert(1, 1)).await.unwrap();
        for pass in 0..4 {
            assert_eq!(map_of(&world, 1, MapPart::Whole).await, Some(Vec::new()), "pass {pass}");
            let second = map_of(&world, 2, MapPart::Whole).await;
            assert_eq!(second, Some(vec![(key_of(3), text("small"))]), "pass {pass}");
            assert_eq!(map_of(&world, 3, MapPart::Whole).await.unwrap().len(), ENTRIES);
            match pass {
                0 => world = world.crash(seed, CrashMode::DropUnsynced).await,
                1 => world.server.flush(None).await.unwrap(),
                _ => world.server.compact(TABLE).await.unwrap(),
            }
        }
    }
}

/// Rows deleted by a range lose their maps, and their neighbours do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_delete_takes_maps_with_it() {
    let mut world = world(ServerOptions::small()).await;
    let map = Value::Map(vec![(text("a"), text("1")), (text("b"), Value::Null)]);
    for k in 0..10 {
        world.run(row_with(k, &map)).await.unwrap();
    }
    world.delete_range(3, Some(6)).await;
    for k in [3, 5] {
        world.run(insert(k, 0)).await.unwrap();
    }
    for pass in 0..3 {
        for k in 0..10 {
            let expected = match k {
                3 | 5 => Some(0),
                4 => None,
                _ => Some(2),
            };
            let found = map_of(&world, k, MapPart::Whole).await.map(|map| map.len());
            assert_eq!(found, expected, "row {k}, pass {pass}");
        }
        match pass {
            0 => world = world.crash(7, CrashMode::DropUnsynced).await,
            _ => world.server.compact(TABLE).await.unwrap(),
        }
    }
}

/// A tablet is cut between rows, however large a row's map: none is parted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_parts_no_map() {
    let options = ServerOptions { tablet_bytes_max: 64 << 10, ..ServerOptions::small() };
    let world = world(options).await;
    let Value::Map(entries) = large_map() else { unreachable!() };
    let map = Value::Map(entries[..2000].to_vec());
    for k in 0..8 {
        world.run(row_with(k, &map)).await.unwrap();
    }
    world.server.compact(TABLE).await.unwrap();
    let mut tablets = 0;
    for _ in 0..500 {
        let mut all = world.server.status().await.unwrap();
        all.retain(|tablet| tablet.row.table == TABLE);
        tablets = all.len();
        if tablets >= 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(tablets >= 4, "{tablets} tablets");
    for k in 0..8 {
        assert_eq!(map_of(&world, k, MapPart::Whole).await.unwrap().len(), 2000, "row {k}");
    }
    for reverse in [false, true] {
        let projection = vec![Projected::Column(K), Projected::Column(M)];
        let request = ScanRequest { reverse, ..scan_request(projection) };
        let rows = scan(&*world.server, &request).await.unwrap().1;
        assert_eq!(rows.len(), 8);
        for row in rows {
            assert!(matches!(&row[1], Value::Map(entries) if entries.len() == 2000));
        }
    }
}
