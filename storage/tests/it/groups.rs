//! Tables of several locality groups: what each of them reads, writes and keeps.

use crate::split::split_at;
use crate::world::*;
use futures::TryStreamExt;
use std::path::Path;
use std::sync::Arc;
use terrane_client::expr::{BinaryOp, Expr};
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, StorageId};
use terrane_client::master::MasterService;
use terrane_client::metadata::column;
use terrane_client::program::{Action, Atomicity, Guard, RowProgram};
use terrane_client::read::{GetRequest, Projected, ScanRequest};
use terrane_client::row::Row;
use terrane_client::schema::{Column, LocalityGroup, TableSchema};
use terrane_client::service::TabletService;
use terrane_client::status::TabletStatus;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_env::random::SplitMix64;
use terrane_storage::cache::CacheOptions;
use terrane_storage::server::ServerOptions;

const ROWS: i64 = 200;
const LARGE: usize = 10_000;

/// Rows whose column b is large.
async fn load(world: &World) {
    // Nothing that compresses away.
    let mut random = SplitMix64::new(1);
    for k in 0..ROWS {
        let cells = cells(k, Some(&large_text(&mut random)), Some(k as i32));
        world.run(program(k, Guard::Absent, Action::Put { cells })).await.unwrap();
    }
}

fn large_text(random: &mut SplitMix64) -> String {
    (0..LARGE).map(|_| char::from(b'0' + random.below(70) as u8)).collect()
}

fn read_bytes(world: &World) -> u64 {
    world.disk.counters(Path::new("/")).bytes_read
}

async fn tablet(world: &World) -> TabletStatus {
    let mut all = world.server.status().await.unwrap();
    all.retain(|tablet| tablet.row.table == TABLE);
    all.remove(0)
}

fn stored_bytes(tablet: &TabletStatus, group: u16) -> u64 {
    let runs = tablet.row.runs_of(LocalityGroupId(group)).iter();
    runs.flat_map(|run| &run.files).map(|file| file.size_bytes).sum()
}

/// Rule 36: a scan of one group, and a scan that looks only whether rows are there, read no value of another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_36_a_scan_of_a_group_reads_no_values_of_another() {
    let world = World::with_groups(ServerOptions::small(), [0, 1, 0]).await;
    load(&world).await;
    world.server.compact(TABLE).await.unwrap();
    let world = world.reopen().await;
    let tablet = tablet(&world).await;
    let (small, large) = (stored_bytes(&tablet, 0), stored_bytes(&tablet, 1));
    assert!(large > 20 * small, "{small} {large}");
    let before = read_bytes(&world);
    assert_eq!(world.sum().await, ((0..ROWS).sum(), ROWS as usize));
    let read = read_bytes(&world) - before;
    assert!(read <= 2 * small, "{read} bytes were read of {small} and {large}");
    // The other way round the large one is read: the measure is one.
    let request = scan_request(vec![Projected::Column(B)]);
    assert_eq!(scan(&*world.server, &request).await.unwrap().1.len(), ROWS as usize);
    assert!(read_bytes(&world) - before > large / 2);
}

/// What a predicate on a small group leaves is all that is read of a large one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_beside_a_selective_predicate_are_looked_up() {
    let world = World::with_groups(ServerOptions::small(), [0, 1, 0]).await;
    load(&world).await;
    world.server.compact(TABLE).await.unwrap();
    let world = world.reopen().await;
    let large = stored_bytes(&tablet(&world).await, 1);
    let is_77 = Expr::Binary {
        op: BinaryOp::Eq,
        left: Box::new(Expr::Column(A, DataType::Int8)),
        right: Box::new(Expr::Literal(Value::Int8(77), DataType::Int8)),
        result: DataType::Bool,
    };
    let request = ScanRequest {
        map_parts: Default::default(),
        predicates: vec![is_77],
        ..scan_request(vec![Projected::Column(K), Projected::Column(B), Projected::Column(A)])
    };
    let before = read_bytes(&world);
    let rows = scan(&*world.server, &request).await.unwrap().1;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][0], Value::Int8(77));
    assert!(matches!(&rows[0][1], Value::Text(text) if text.len() == LARGE));
    let read = read_bytes(&world) - before;
    assert!(read < large / 4, "{read} of {large}");
}

/// Rule 9: markers and deletes are in every group, so that each alone knows which rows there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_9_every_group_knows_which_rows_there_are() {
    let world = World::with_groups(ServerOptions::small(), [0, 1, 2]).await;
    for k in 0..10 {
        world.run(insert(k, k)).await.unwrap();
    }
    world.server.flush(None).await.unwrap();
    for k in [1, 3, 5] {
        world.run(delete(k)).await.unwrap();
    }
    world.run(insert(3, 33)).await.unwrap();
    for pass in 0..3 {
        for column in [A, B, C] {
            let request = scan_request(vec![Projected::Column(K), Projected::Column(column)]);
            let rows = scan(&*world.server, &request).await.unwrap().1;
            let keys: Vec<Value> = rows.into_iter().map(|mut row| row.remove(0)).collect();
            let expected = [0, 2, 3, 4, 6, 7, 8, 9].map(Value::Int8).to_vec();
            assert_eq!(keys, expected, "{column:?}, pass {pass}");
        }
        match pass {
            0 => world.server.flush(None).await.unwrap(),
            _ => world.server.compact(TABLE).await.unwrap(),
        }
    }
}

/// A group is flushed by itself: what another one keeps in memory comes from the log, from its own redo point on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_each_group_has_its_own_redo_point() {
    // The log may grow: nothing but its size has a group flushed.
    let small = ServerOptions::small();
    let options = ServerOptions { memtable_bytes: 1 << 20, log_segments_max: 64, ..small };
    let mut world = World::with_groups(options, [0, 1, 0]).await;
    load(&world).await;
    for k in 0..ROWS {
        world.run(add(k, 1000)).await.unwrap();
    }
    let mut row = tablet(&world).await.row;
    let mut random = SplitMix64::new(2);
    for k in (0..ROWS).cycle().take(500) {
        if row.groups[1].redo_point > row.groups[0].redo_point {
            break;
        }
        // Beside a large one that is being flushed, the small group may be the next: then the large one goes on.
        let text = Expr::Literal(Value::Text(large_text(&mut random)), DataType::Text);
        let action = Action::Update { assignments: vec![(B, text)] };
        world.run(program(k, Guard::Any, action)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        row = tablet(&world).await.row;
    }
    let redo = |group: usize| row.groups[group].redo_point;
    assert!(redo(1) > redo(0), "the large group was flushed, the small one was not: {row:?}");
    for mode in [CrashMode::DropUnsynced, CrashMode::KeepWritten] {
        world = world.crash(7, mode).await;
        let expected: i64 = (0..ROWS).map(|k| k + 1000).sum();
        assert_eq!(world.sum().await, (expected, ROWS as usize));
        let request = scan_request(vec![Projected::Column(B)]);
        let rows = scan(&*world.server, &request).await.unwrap().1;
        assert!(rows.iter().all(|row| matches!(&row[0], Value::Text(b) if b.len() == LARGE)));
    }
}

const D: ColumnId = ColumnId(5);

/// Adds column d in a group of its own, which has markers of no row that is there already.
async fn add_group(world: &World) {
    let mut wider = schema(TABLE);
    wider.version = 2;
    wider.groups.push(LocalityGroup { has_markers: false, ..group(9) });
    wider.columns.push(Column {
        id: D,
        name: "d".to_owned(),
        data_type: DataType::Int8,
        not_null: false,
        group: LocalityGroupId(9),
        missing: Value::Int8(40),
        gc: Default::default(),
    });
    world.master.alter_table(wider).await.unwrap();
}

fn set_d(k: i64, d: i64) -> RowProgram {
    let assignments = vec![(D, Expr::Literal(Value::Int8(d), DataType::Int8))];
    RowProgram { schema_version: 2, ..program(k, Guard::Any, Action::Update { assignments }) }
}

async fn d_of(world: &World) -> Vec<(i64, i64)> {
    let projection = vec![Projected::Column(K), Projected::Column(D)];
    let request = ScanRequest { schema_version: 2, ..scan_request(projection) };
    let answer = world.server.read(request).await.unwrap();
    let batches: Vec<_> = futures::TryStreamExt::try_collect(answer.batches).await.unwrap();
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let value = |column: usize| {
                let value =
                    terrane_client::columns::value_at(batch.column(column), row, &DataType::Int8);
                match value.unwrap() {
                    Value::Int8(value) => value,
                    other => panic!("{other:?}"),
                }
            };
            rows.push((value(0), value(1)));
        }
    }
    rows
}

/// A group that was added to a table with rows: those rows are there, with the column's missing value, before and
/// after flushes, merges, restarts and crashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_added_later_has_the_older_rows_too() {
    let mut world = World::with_table(ServerOptions::small()).await;
    for k in 0..6 {
        world.run(insert(k, k)).await.unwrap();
    }
    world.server.flush(None).await.unwrap();
    add_group(&world).await;
    world.run(set_d(2, 7)).await.unwrap();
    world.run(set_d(4, 8)).await.unwrap();
    world.run(delete(4)).await.unwrap();
    world.run(RowProgram { schema_version: 2, ..insert(9, 9) }).await.unwrap();
    // The default group is flushed beyond what the new one has only in the log.
    let expected = [(0, 40), (1, 40), (2, 7), (3, 40), (5, 40), (9, 40)];
    for pass in 0..6 {
        assert_eq!(d_of(&world).await, expected, "pass {pass}");
        let request = GetRequest {
            table: TABLE,
            schema_version: 2,
            read_ts: None,
            keys: vec![row_key(2), row_key(4), row_key(1)],
            columns: Some(Arc::from([D])),
            map_parts: Default::default(),
        };
        let rows = world.server.get(request).await.unwrap().rows;
        let cell = |row: &Option<Row>| row.as_ref().map(|row| row.cells.get(D).is_some());
        assert_eq!(rows.iter().map(cell).collect::<Vec<_>>(), [Some(true), None, Some(false)]);
        match pass {
            0 => world = world.crash(3, CrashMode::DropUnsynced).await,
            1 => world.server.flush(None).await.unwrap(),
            2 => world.server.compact(TABLE).await.unwrap(),
            3 => world = world.reopen().await,
            _ => {
                // Written again whole, as a major compaction leaves it.
                world.run(RowProgram { schema_version: 2, ..put(9, 9) }).await.unwrap();
                world.server.compact(TABLE).await.unwrap();
            }
        }
    }
}

/// Programs on one row, of one batch, that look at different groups see one another and what was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_a_batch_see_each_others_groups() {
    let world = World::with_groups(ServerOptions::small(), [0, 1, 2]).await;
    world.run(insert(1, 1)).await.unwrap();
    let set_c = |k: i64, c: i32| {
        let assignments = vec![(C, Expr::Literal(Value::Int4(c), DataType::Int4))];
        program(k, Guard::Any, Action::Update { assignments })
    };
    let batch = vec![set_c(1, 5), add(1, 10), set_c(1, 6), insert(2, 2), add(2, 1)];
    let answer = world.modify(batch, Atomicity::AllOrNone).await.unwrap();
    assert!(answer.results.iter().all(Result::is_ok), "{answer:?}");
    let batch = vec![delete(1), insert(1, 100), set_c(1, 7)];
    world.modify(batch, Atomicity::AllOrNone).await.unwrap();
    let c_of = |row: &Row| row.cells.get(C).flatten().map(|bytes| bytes.to_vec());
    let (first, second) = (world.get(1).await.unwrap(), world.get(2).await.unwrap());
    assert_eq!((a_of(&first), c_of(&first)), (100, Some(7i32.to_le_bytes().to_vec())));
    assert_eq!((a_of(&second), c_of(&second)), (3, None));
    assert_eq!(first.cells.get(B), Some(Some(&b"text"[..])));
    assert!(first.version > CommitTs::ABSENT);
}

/// The schema's groups may be as many as rule 37 says, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_37_sixty_four_groups_at_most() {
    let world = World::new(ServerOptions::small()).await;
    let with = |count: u16| {
        let mut table: TableSchema = schema(TABLE);
        table.groups.extend((1..count).map(group));
        table.columns[2].group = LocalityGroupId(count - 1);
        table
    };
    assert!(world.master.create_table(with(65), Vec::new()).await.is_err());
    world.master.create_table(with(64), Vec::new()).await.unwrap();
    world.run(insert(1, 1)).await.unwrap();
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!(world.get(1).await.unwrap().cells.get(B), Some(Some(&b"text"[..])));
}

/// A group that is dropped stays as long as the drop may be taken back, and then goes with its files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_group_goes_once_that_is_settled() {
    let world = World::with_groups(ServerOptions::small(), [0, 1, 0]).await;
    load(&world).await;
    world.server.flush(None).await.unwrap();
    let files = |world: &World| {
        let directory = Path::new("/data/tables").join(TABLE.to_string());
        world.env.files.list(&directory).unwrap().len()
    };
    let before = files(&world);
    let mut without = schema_in_groups(TABLE, [0, 1, 0]);
    without.version = 2;
    without.is_settled = false;
    without.columns.retain(|column| column.id != B);
    without.groups.truncate(1);
    world.master.alter_table(without.clone()).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    // Taken back: everything is there.
    let back = TableSchema { version: 3, ..schema_in_groups(TABLE, [0, 1, 0]) };
    world.master.alter_table(back).await.unwrap();
    let request = ScanRequest { schema_version: 3, ..scan_request(vec![Projected::Column(B)]) };
    let rows = scan(&*world.server, &request).await.unwrap().1;
    assert!(rows.iter().all(|row| matches!(&row[0], Value::Text(b) if b.len() == LARGE)));
    // And now for good.
    world.master.alter_table(TableSchema { version: 4, ..without.clone() }).await.unwrap();
    let settled = TableSchema { version: 4, is_settled: true, ..without };
    world.master.alter_table(settled).await.unwrap();
    for _ in 0..200 {
        if tablet(&world).await.row.groups.len() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(tablet(&world).await.row.groups.len(), 1);
    assert!(files(&world) < before);
    let world = world.crash(5, CrashMode::KeepWritten).await;
    let request = ScanRequest { schema_version: 4, ..scan_request(vec![Projected::Column(A)]) };
    assert_eq!(scan(&*world.server, &request).await.unwrap().1.len(), ROWS as usize);
}

/// What `terrane.families`, `terrane.cache` and `terrane.commit_log` show.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_tells_what_memory_holds_of_each_group_and_how_its_log_and_cache_are() {
    let options = ServerOptions { memtable_bytes: 64 << 20, ..ServerOptions::small() };
    let world = World::with_groups(options, [0, 1, 0]).await;
    load(&world).await;
    let loaded = tablet(&world).await;
    let [default, large] = loaded.groups[..] else { panic!("{:?}", loaded.groups) };
    assert_eq!((default.group, large.group), (LocalityGroupId(0), LocalityGroupId(1)));
    assert!(large.memtable_bytes >= ROWS as u64 * LARGE as u64, "{large:?}");
    assert!(default.memtable_bytes > 0 && default.memtable_bytes < large.memtable_bytes / 20);
    assert_eq!(loaded.memtable_bytes, default.memtable_bytes + large.memtable_bytes);
    let before = world.server.server_status().await.unwrap().remove(0);
    // METADATA's two, and the table's.
    assert_eq!((before.tablets, before.memtable_budget_bytes), (3, 64 << 20));
    assert!(before.memtable_bytes >= loaded.memtable_bytes, "{before:?}");
    let users = before.logs.iter().find(|log| log.name == "users").unwrap();
    assert!(users.commits >= ROWS as u64 && users.durable_seq == users.last_seq, "{users:?}");
    assert!(users.segments >= 1 && users.bytes_written >= ROWS as u64 * LARGE as u64);
    world.server.flush(Some(TABLE)).await.unwrap();
    let flushed = tablet(&world).await;
    assert!(flushed.memtable_bytes < default.memtable_bytes, "{:?}", flushed.groups);
    assert!(stored_bytes(&flushed, 1) > 0);
    let lookups = |status: &terrane_client::status::ServerStatus| {
        let data = status.caches.iter().find(|cache| cache.region == "data").unwrap();
        (data.hits, data.misses, data.entries)
    };
    let cold = lookups(&world.server.server_status().await.unwrap()[0]);
    world.sum().await;
    let once = lookups(&world.server.server_status().await.unwrap()[0]);
    assert!(once.1 > cold.1 && once.2 > cold.2, "{cold:?} {once:?}");
    world.sum().await;
    let twice = lookups(&world.server.server_status().await.unwrap()[0]);
    assert!(twice.0 > once.0 && twice.1 == once.1, "{once:?} {twice:?}");
}

/// Once it was read, an `in_memory` group is read from memory alone, whatever else is read meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_in_memory_group_is_read_from_its_files_once() {
    let cache =
        CacheOptions { data_bytes: 64 << 10, meta_bytes: 16 << 10, in_memory_bytes: 8 << 20 };
    let options = ServerOptions { cache, compaction: false, ..ServerOptions::small() };
    let world = World::new(options).await;
    let mut table = schema_in_groups(TABLE, [1, 0, 0]);
    table.groups[1].options.in_memory = true;
    world.master.create_table(table, Vec::new()).await.unwrap();
    load(&world).await;
    world.server.compact(TABLE).await.unwrap();
    let world = world.reopen().await;
    let all = ((0..ROWS).sum(), ROWS as usize);
    assert_eq!(world.sum().await, all);
    let large = scan_request(vec![Projected::Column(B)]);
    assert_eq!(scan(&*world.server, &large).await.unwrap().1.len(), ROWS as usize);
    let before = read_bytes(&world);
    assert_eq!(world.sum().await, all);
    assert_eq!(read_bytes(&world), before, "everything is in memory");
    assert_eq!(scan(&*world.server, &large).await.unwrap().1.len(), ROWS as usize);
    assert!(
        read_bytes(&world) > before,
        "the large group does not fit its cache: the measure is one"
    );
}

/// METADATA's rows are read by the same means.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_read_from_its_files_once() {
    let cache =
        CacheOptions { data_bytes: 64 << 10, meta_bytes: 16 << 10, in_memory_bytes: 8 << 20 };
    let options = ServerOptions { cache, compaction: false, ..ServerOptions::small() };
    let world = World::with_table(options).await;
    load(&world).await;
    for k in (ROWS / 20..ROWS).step_by(ROWS as usize / 20) {
        split_at(&world.server, k).await.unwrap();
    }
    world.server.flush(None).await.unwrap();
    let world = world.reopen().await;
    world.server.flush(None).await.unwrap();
    let projection = vec![Projected::Column(column::STATE)];
    let rows = ScanRequest { table: StorageId::METADATA, ..scan_request(projection) };
    let read = async || {
        let batches = world.server.read(rows.clone()).await.unwrap().batches;
        batches.try_collect::<Vec<_>>().await.unwrap()
    };
    let tablets = read().await;
    assert!(tablets.iter().map(|batch| batch.num_rows()).sum::<usize>() >= 20);
    let large = scan_request(vec![Projected::Column(B)]);
    assert_eq!(scan(&*world.server, &large).await.unwrap().1.len(), ROWS as usize);
    let before = read_bytes(&world);
    assert_eq!(read().await, tablets);
    assert_eq!(read_bytes(&world), before, "everything is in memory");
    let caches = world.server.server_status().await.unwrap().remove(0).caches;
    let in_memory = caches.iter().find(|cache| cache.region == "in_memory").unwrap();
    assert!(in_memory.bytes > 0, "not in the cache of all tables");
}

/// A group is added while the thread that gives dropped ones up is at work: it is none of those, and what is written
/// to it stays. (It was once taken for one, and updates of its columns went nowhere.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_being_added_is_not_taken_for_a_dropped_one() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    for turn in 0..150u16 {
        let version = 2 + 2 * u32::from(turn);
        let mut wider = TableSchema { version, ..schema(TABLE) };
        let (id, own) = (ColumnId(5 + u32::from(turn)), 1 + turn);
        wider.groups.push(LocalityGroup { has_markers: false, ..group(own) });
        let column = Column { id, group: LocalityGroupId(own), ..wider.columns[3].clone() };
        wider.columns.push(column);
        world.master.alter_table(wider).await.unwrap();
        let assignments = vec![(id, Expr::Literal(Value::Int4(7), DataType::Int4))];
        let update = program(1, Guard::Any, Action::Update { assignments });
        world.run(RowProgram { schema_version: version, ..update }).await.unwrap();
        let row = world.get_planned(1, version).await.unwrap();
        assert_eq!(row.cells.get(id), Some(Some(&7i32.to_le_bytes()[..])), "turn {turn}");
        let narrower = TableSchema { version: version + 1, ..schema(TABLE) };
        world.master.alter_table(narrower).await.unwrap();
    }
}
