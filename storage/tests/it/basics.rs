//! What every caller relies on, call by call.

use crate::split::{files_on_disk, fill, tablets};
use crate::world::*;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Generation, RequestId, StorageId};
use terrane_client::master::MasterService;
use terrane_client::program::{
    Action, Atomicity, Guard, ModifyRequest, Returning, RowError, RowOutcome,
};
use terrane_client::read::{KeyRange, Projected};
use terrane_client::service::{TabletName, TabletService};
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_storage::server::ServerOptions;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_survive_a_restart() {
    let mut world = World::with_table(ServerOptions::small()).await;
    for k in 0..100 {
        assert_eq!(world.run(insert(k, k * 10)).await.unwrap(), applied(true));
    }
    for k in 0..50 {
        assert_eq!(world.run(add(k, 1)).await.unwrap(), applied(false));
    }
    assert_eq!(world.run(delete(99)).await.unwrap(), applied(false));
    assert_eq!(world.run(delete(99)).await.unwrap(), RowOutcome::Unmatched);
    for _ in 0..3 {
        assert_eq!(world.sum().await, ((0..99).sum::<i64>() * 10 + 50, 99));
        assert_eq!(a_of(&world.get(7).await.unwrap()), 71);
        assert!(world.get(99).await.is_none());
        world = world.reopen().await;
    }
    assert_eq!(world.run(insert(7, 0)).await, Err(RowError::AlreadyExists));
    world.run(insert(99, 5)).await.unwrap();
    assert_eq!(world.sum().await.1, 100);
}

fn applied(inserted: bool) -> RowOutcome {
    RowOutcome::Applied { inserted, row: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_many_tablets_is_one_table() {
    let world = World::new(ServerOptions::small()).await;
    let splits = (1..10).map(|i| row_key(i * 100)).collect();
    world.master.create_table(schema(TABLE), splits).await.unwrap();
    assert_eq!(world.server.status().await.unwrap().len(), 12, "ten and METADATA's two");
    let programs = (0..1000).map(|k| insert(k, k)).collect();
    let response = world.modify(programs, Atomicity::AllOrNone).await.unwrap();
    assert!(response.results.iter().all(Result::is_ok));
    let world = world.reopen().await;
    assert_eq!(world.sum().await, ((0..1000).sum(), 1000));
    let mut request = scan_request(vec![Projected::Column(K)]);
    request.ranges = vec![
        KeyRange { start: row_key(95), end: Some(row_key(105)) },
        KeyRange { start: row_key(950), end: None },
    ];
    request.reverse = true;
    let rows = scan(&*world.server, &request).await.unwrap().1;
    let expected: Vec<i64> = (950..1000).rev().chain((95..105).rev()).collect();
    let found: Vec<i64> = rows
        .iter()
        .map(|row| match row[0] {
            Value::Int8(k) => k,
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_or_none_applies_all_or_none() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(2, 0)).await.unwrap();
    let batch = |atomicity| world.modify(vec![insert(1, 1), insert(2, 2), insert(3, 3)], atomicity);
    let response = batch(Atomicity::AllOrNone).await.unwrap();
    assert_eq!(response.commit_ts, CommitTs::ABSENT);
    let expected = [Ok(applied(true)), Err(RowError::AlreadyExists), Ok(applied(true))];
    assert_eq!(response.results, expected);
    assert_eq!(world.sum().await, (0, 1));
    let response = batch(Atomicity::EachRow).await.unwrap();
    assert_eq!(response.results, expected);
    assert_eq!(world.sum().await, (4, 3));
    // INSERT … VALUES (4), (4) leaves none.
    let response = world.modify(vec![insert(4, 4), insert(4, 4)], Atomicity::AllOrNone).await;
    assert_eq!(response.unwrap().results[1], Err(RowError::AlreadyExists));
    assert!(world.get(4).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn returning_shows_the_row_with_its_commit() {
    let world = World::with_table(ServerOptions::small()).await;
    let mut program = upsert(1, 10, 5);
    program.returning = Returning::Row;
    for expected in [10, 15, 20] {
        let response = world.modify(vec![program.clone()], Atomicity::EachRow).await.unwrap();
        let Ok(RowOutcome::Applied { inserted, row: Some(row) }) = &response.results[0] else {
            panic!("{response:?}")
        };
        assert_eq!((*inserted, a_of(row)), (expected == 10, expected));
        assert_eq!(row.version, response.commit_ts);
        assert_eq!(world.get(1).await.as_ref(), Some(row));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_is_answered_and_not_repeated() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 0)).await.unwrap();
    let request = ModifyRequest {
        request: RequestId { client: 99, number: 1 },
        programs: vec![add(1, 1)].into(),
        atomicity: Atomicity::AllOrNone,
    };
    let first = world.server.modify_rows(request.clone()).await.unwrap();
    assert_eq!(world.server.modify_rows(request.clone()).await.unwrap(), first);
    assert_eq!(a_of(&world.get(1).await.unwrap()), 1);
    let world = world.reopen().await;
    let again = world.server.modify_rows(request).await;
    assert!(matches!(again, Err(TabletError::OutcomeUnknown(_))), "{again:?}");
    assert_eq!(a_of(&world.get(1).await.unwrap()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_a_schema_that_is_not_held_are_refused() {
    let world = World::with_table(ServerOptions::small()).await;
    let at = |version| {
        let mut program = put(1, 1);
        program.schema_version = version;
        world.modify(vec![program], Atomicity::EachRow)
    };
    assert!(matches!(at(2).await, Err(TabletError::SchemaChanged { asked: 2, current: 1, .. })));
    let mut newer = schema(TABLE);
    for version in [2, 3] {
        newer.version = version;
        world.master.alter_table(newer.clone()).await.unwrap();
    }
    assert!(matches!(at(1).await, Err(TabletError::SchemaChanged { asked: 1, current: 3, .. })));
    at(2).await.unwrap();
    at(3).await.unwrap();
    let world = world.reopen().await;
    let mut program = put(1, 1);
    program.schema_version = 2;
    world.modify(vec![program], Atomicity::EachRow).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_is_gone() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    world.master.drop_table(TABLE).await.unwrap();
    world.master.drop_table(TABLE).await.unwrap();
    let gone = world.modify(vec![put(1, 1)], Atomicity::EachRow).await;
    assert!(matches!(gone, Err(TabletError::NotServing { table: TABLE })), "{gone:?}");
    let world = world.reopen().await;
    assert!(matches!(world.get_at(1, None).await, Err(TabletError::NotServing { table: TABLE })));
    world.master.create_table(schema(StorageId(1001)), Vec::new()).await.unwrap();
}

/// A flush or compaction of a table that is dropped meanwhile, with its directory, has nothing left to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_dropped_while_its_files_are_written_is_gone() {
    let stages = [
        ("flush.before_write", false),
        ("flush.before_publish", false),
        ("edit.written", false),
        ("compact.before_write", true),
        ("compact.before_publish", true),
        ("edit.written", true),
    ];
    for (place, is_compaction) in stages {
        let options = ServerOptions { compaction: false, ..ServerOptions::small() };
        let world = Arc::new(World::with_table(options).await);
        fill(&world, 0..200).await;
        if is_compaction {
            world.server.flush(Some(TABLE)).await.unwrap();
        }
        let gate = world.env.failpoints.gate(place);
        let writing = tokio::spawn({
            let world = world.clone();
            async move {
                match is_compaction {
                    true => world.server.compact(TABLE).await,
                    false => world.server.flush(None).await,
                }
            }
        });
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
        let dropping = tokio::spawn({
            let world = world.clone();
            async move { world.master.drop_table(TABLE).await }
        });
        // An edit under way is waited for.
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            if dropping.is_finished() {
                break;
            }
        }
        world.env.failpoints.disarm(place);
        gate.open();
        writing.await.unwrap().unwrap_or_else(|error| panic!("{place}: {error}"));
        dropping.await.unwrap().unwrap();
        assert_eq!((files_on_disk(&world), tablets(&world.server).await.len()), (0, 0), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_at_a_timestamp_sees_what_was_there() {
    let world = World::with_table(ServerOptions::small()).await;
    let mut seen = Vec::new();
    for a in 0..20 {
        let response = world.modify(vec![put(1, a)], Atomicity::EachRow).await.unwrap();
        seen.push((response.commit_ts, a));
    }
    let world = world.reopen().await;
    for (at, a) in seen {
        let row = world.get_at(1, Some(at)).await.unwrap().unwrap();
        assert_eq!((a_of(&row), row.version), (a, at));
        let before = world.get_at(1, Some(CommitTs(at.0 - 1))).await.unwrap();
        assert_eq!(before.map(|row| a_of(&row)), a.checked_sub(1).filter(|a| *a >= 0));
    }
    let future = world.get_at(1, Some(CommitTs::MAX)).await;
    assert!(matches!(future, Err(TabletError::Unavailable(_))), "{future:?}");
    // A timestamp just ahead is waited for, and nothing is committed at or below it afterwards.
    let ahead = CommitTs(world.server.read_timestamp().await.unwrap().0 + 100_000);
    assert!(world.get_at(2, Some(ahead)).await.unwrap().is_none());
    let later = world.modify(vec![put(2, 2)], Atomicity::EachRow).await.unwrap();
    assert!(later.commit_ts > ahead);
    assert!(world.get_at(2, Some(ahead)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_over_long_key_is_refused() {
    let world = World::with_table(ServerOptions::small()).await;
    let mut program = put(1, 1);
    program.key = Bytes::from(vec![1; 70_000]);
    let refused = world.modify(vec![program], Atomicity::EachRow).await;
    assert!(matches!(refused, Err(TabletError::TooLarge { what: "row key", .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_dropped_early_stops_and_a_long_one_streams() {
    let world = World::with_table(ServerOptions::small()).await;
    for start in (0..5000).step_by(1000) {
        let programs = (start..start + 1000).map(|k| put(k, k)).collect();
        world.modify(programs, Atomicity::EachRow).await.unwrap();
    }
    let mut request = scan_request(vec![Projected::Column(K), Projected::Version]);
    request.batch_rows_max = 100;
    let answer = world.server.read(request.clone()).await.unwrap();
    drop(answer);
    assert_eq!(scan(&*world.server, &request).await.unwrap().1.len(), 5000);
    request.limit = Some(1234);
    assert_eq!(scan(&*world.server, &request).await.unwrap().1.len(), 1234);
    request.projection = Vec::new();
    assert_eq!(scan(&*world.server, &request).await.unwrap().1.len(), 1234);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_server_refuses_and_a_second_one_is_refused() {
    let world = World::with_table(ServerOptions::small()).await;
    let second =
        terrane_storage::server::DataDirectory::open(&world.env, std::path::Path::new("/data"));
    assert!(second.is_err());
    world.server.close().await;
    let refused = world.modify(vec![put(1, 1)], Atomicity::EachRow).await;
    assert!(matches!(refused, Err(TabletError::Unavailable(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_row_keeps_a_short_chain() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    let wide = "x".repeat(3000);
    let cells = cells(0, Some(&wide), None);
    world.run(program(1, Guard::Any, Action::Put { cells })).await.unwrap();
    for _ in 0..100 {
        world.run(add(1, 1)).await.unwrap();
    }
    let row = world.get(1).await.unwrap();
    assert_eq!(a_of(&row), 100);
    assert_eq!(row.cells.get(B).unwrap().unwrap().len(), 3000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tablet_is_unloaded_and_loaded_again() {
    let world = World::new(ServerOptions::small()).await;
    world.master.create_table(schema(TABLE), vec![row_key(50)]).await.unwrap();
    for k in 0..100 {
        world.run(insert(k, 1)).await.unwrap();
    }
    let left = TabletName { table: TABLE, end: Some(row_key(50)) };
    world.server.unload(left.clone()).await.unwrap();
    // The other tablet serves on; a scan over both is refused, not answered in part.
    world.run(add(70, 1)).await.unwrap();
    let not_serving = |result: Result<_, TabletError>| {
        assert!(matches!(result, Err(TabletError::NotServing { table: TABLE })), "{result:?}");
    };
    not_serving(world.get_at(10, None).await.map(drop));
    not_serving(world.modify(vec![add(10, 1)], Atomicity::EachRow).await.map(drop));
    let all = scan_request(vec![Projected::Column(A)]);
    not_serving(scan(&*world.server, &all).await.map(drop));
    let newer = Generation(1_000_000);
    let table = Arc::new(schema(TABLE));
    not_serving(world.server.load(left.clone(), Generation(0), table.clone().into()).await);
    world.server.load(left.clone(), newer, table.clone().into()).await.unwrap();
    world.server.load(left.clone(), newer, table.clone().into()).await.unwrap();
    not_serving(world.server.load(left, Generation(999_999), table.into()).await);
    world.run(add(10, 1)).await.unwrap();
    world.server.flush(Some(TABLE)).await.unwrap();
    assert_eq!(world.sum().await, (102, 100));
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert!(world.get_at(10, None).await.is_err(), "the generation is ahead of the master's");
    assert_eq!(a_of(&world.get(70).await.unwrap()), 2);
}
