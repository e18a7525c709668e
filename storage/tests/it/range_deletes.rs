//! Range deletes: one record, a tombstone everywhere it belongs, and gone for good after a major compaction.

use crate::world::*;
use futures::TryStreamExt;
use futures::future::join_all;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, RequestId, StorageId};
use terrane_client::lock::LockService;
use terrane_client::master::MasterService;
use terrane_client::metadata::FileRow;
use terrane_client::program::{
    Action, Atomicity, DeleteRangeRequest, Guard, ModifyRequest, RowOutcome,
};
use terrane_client::read::{KeyRange, Projected, ScanRequest};
use terrane_client::schema::TableSchema;
use terrane_client::service::TabletService;
use terrane_client::value::Value;
use terrane_env::Env;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};
use terrane_master::Master;
use terrane_storage::inspect;
use terrane_storage::lock_service::EmbeddedLockService;
use terrane_storage::server::{DataDirectory, ServerOptions, TabletServer};
use terrane_storage::sstable::Depth;

/// Rows from `start` up to `end`.
async fn load(world: &World, start: i64, end: i64) {
    let keys: Vec<i64> = (start..end).collect();
    for some in keys.chunks(1000) {
        let programs = some.iter().map(|k| put(*k, *k)).collect();
        world.modify(programs, Atomicity::EachRow).await.unwrap();
    }
}

/// The keys of the rows, as a scan of one column finds them.
async fn keys_with(world: &World, column: ColumnId, ranges: Vec<KeyRange>) -> Vec<i64> {
    let projection = vec![Projected::Column(K), Projected::Column(column)];
    let request = ScanRequest { ranges, ..scan_request(projection) };
    let rows = scan(&*world.server, &request).await.unwrap().1;
    let key = |mut row: Vec<Value>| match row.remove(0) {
        Value::Int8(k) => k,
        other => panic!("{other:?}"),
    };
    rows.into_iter().map(key).collect()
}

async fn keys(world: &World) -> Vec<i64> {
    keys_with(world, A, vec![KeyRange::all()]).await
}

async fn files(world: &World) -> Vec<FileRow> {
    let status = world.server.status().await.unwrap();
    let tablets = status.into_iter().filter(|tablet| tablet.row.table == TABLE);
    tablets.flat_map(|tablet| tablet.row.files().cloned().collect::<Vec<_>>()).collect()
}

async fn stored_bytes(world: &World) -> u64 {
    files(world).await.iter().map(|file| file.size_bytes).sum()
}

/// Rule 8: a hundred thousand rows are deleted by one record; after a major compaction their bytes are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_8_a_hundred_thousand_rows_are_one_record() {
    const ROWS: i64 = 100_000;
    let options = ServerOptions { memtable_bytes: 16 << 20, ..ServerOptions::small() };
    let world = World::with_table(options).await;
    load(&world, 0, ROWS).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    let (before, bytes) = (world.server.metrics().users_log, stored_bytes(&world).await);
    world.delete_range(10, Some(ROWS)).await;
    let after = world.server.metrics().users_log;
    assert_eq!((after.last_seq.0 - before.last_seq.0, after.commits - before.commits), (1, 1));
    assert!(after.bytes_written - before.bytes_written < 200, "one small record");
    assert_eq!(keys(&world).await, Vec::from_iter(0..10));
    let answer = world.server.read(scan_request(vec![Projected::Column(A)])).await.unwrap();
    let metrics = answer.metrics.clone();
    assert_eq!(answer.batches.try_collect::<Vec<_>>().await.unwrap().len(), 1);
    assert!(metrics.blocks_read.load(Ordering::Relaxed) < 5, "what is deleted is not read");
    world.server.flush(Some(TABLE)).await.unwrap();
    assert_eq!(keys(&world).await, Vec::from_iter(0..10));
    assert!(stored_bytes(&world).await > bytes, "a read in the past may still want them");
    world.server.compact(TABLE).await.unwrap();
    assert!(stored_bytes(&world).await < bytes / 50, "{} of {bytes}", stored_bytes(&world).await);
    assert_eq!(keys(&world).await, Vec::from_iter(0..10));
    // And with the last rows everything goes, tombstones and all, but the ids of the requests.
    world.delete_range(0, None).await;
    world.server.compact(TABLE).await.unwrap();
    let left = files(&world).await;
    assert_eq!(left.iter().map(|file| file.rows).collect::<Vec<_>>(), [0]);
    assert!(stored_bytes(&world).await < 1000, "{left:?}");
}

/// Rules 1 and 8: a row program comes wholly before a range delete or wholly after it. What every upsert says it found
/// is what the commits before it, in the order of their timestamps, leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_8_no_row_program_spans_a_range_delete() {
    #[derive(Clone, Copy, Debug)]
    enum Done {
        Upserted { inserted: bool },
        Deleted,
    }
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    world.env.failpoints.delay("commit.before_apply", Duration::from_micros(200));
    let done: Arc<Mutex<BTreeMap<CommitTs, Done>>> = Arc::default();
    let tasks = (0..8).map(|task| {
        let (world, done) = (world.clone(), done.clone());
        tokio::spawn(async move {
            for _ in 0..40 {
                if task < 2 {
                    let commit_ts = world.delete_range(0, Some(10)).await;
                    done.lock().insert(commit_ts, Done::Deleted);
                    continue;
                }
                let answer = world.modify(vec![upsert(1, 1, 1)], Atomicity::AllOrNone).await;
                let answer = answer.unwrap();
                let Ok(RowOutcome::Applied { inserted, .. }) = answer.results[0] else {
                    panic!("{answer:?}");
                };
                done.lock().insert(answer.commit_ts, Done::Upserted { inserted });
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let mut a = 0;
    for (commit_ts, done) in done.lock().iter() {
        match done {
            Done::Deleted => a = 0,
            Done::Upserted { inserted } => {
                assert_eq!(*inserted, a == 0, "at {commit_ts:?}");
                a += 1;
            }
        }
    }
    assert_eq!(world.get(1).await.map_or(0, |row| a_of(&row)), a);
}

/// Rules 8 and 9: every tablet and every locality group gets its part, clipped to what is its own, from memory, from the
/// log, from files, and from merged files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_8_every_tablet_and_group_has_its_part() {
    for layout in LAYOUTS {
        let mut world = World::new(ServerOptions::small()).await;
        let splits = vec![row_key(10), row_key(20), row_key(30)];
        world.master.create_table(schema_in_groups(TABLE, layout), splits).await.unwrap();
        load(&world, 0, 40).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        load(&world, 14, 17).await;
        let before = world.server.read_timestamp().await.unwrap();
        world.delete_range(5, Some(35)).await;
        world.run(put(15, 15)).await.unwrap();
        let left: Vec<i64> = (0..5).chain([15]).chain(35..40).collect();
        for pass in 0..6 {
            for column in [A, B, C] {
                let found = keys_with(&world, column, vec![KeyRange::all()]).await;
                assert_eq!(found, left, "{layout:?}, pass {pass}, {column:?}");
                let range = KeyRange { start: row_key(12), end: Some(row_key(38)) };
                let found = keys_with(&world, column, vec![range]).await;
                assert_eq!(found, [15, 35, 36, 37], "{layout:?}, pass {pass}, {column:?}");
            }
            for k in 0..40 {
                assert_eq!(world.get(k).await.is_some(), left.contains(&k), "{k}, pass {pass}");
            }
            if pass < 5 {
                assert!(world.get_at(20, Some(before)).await.unwrap().is_some(), "history");
            }
            match pass {
                0 => world = world.crash(1, CrashMode::DropUnsynced).await,
                1 => world.server.flush(Some(TABLE)).await.unwrap(),
                2 => world = world.reopen().await,
                3 => world = world.crash(2, CrashMode::KeepWritten).await,
                _ => world.server.compact(TABLE).await.unwrap(),
            }
        }
    }
}

/// A memtable with nothing but a range tombstone is flushed, its file is found by its bounds, and the tools know what
/// it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_alone_makes_a_file() {
    let world = World::with_table(ServerOptions::small()).await;
    load(&world, 0, 10).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    world.delete_range(3, Some(100)).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    let newest = files(&world).await.remove(0);
    assert_eq!((newest.rows, newest.min_seq, newest.max_seq.0), (0, newest.max_seq, 11));
    assert_eq!((newest.start, newest.end), (row_key(3).to_vec(), Some(row_key(100).to_vec())));
    assert_eq!(keys(&world).await, [0, 1, 2]);
    let world = world.reopen().await;
    assert_eq!(keys(&world).await, [0, 1, 2]);
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(keys(&world).await, [0, 1, 2]);
    assert_eq!(files(&world).await.len(), 1);
}

/// The offline tools understand the log's record and files of tombstones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tools_understand_deleted_ranges() {
    let disk = CrashFileSystem::new(1);
    let env = Env::system().with_files(Arc::new(disk));
    let directory = Arc::new(DataDirectory::open(&env, Path::new("/data")).unwrap());
    let lock: Arc<dyn LockService> =
        Arc::new(EmbeddedLockService::open(&env, &directory.lock_service()).unwrap());
    let options = ServerOptions { file_bytes: 4 << 10, ..ServerOptions::small() };
    let server = TabletServer::open(env.clone(), directory.clone(), SERVER, lock.clone(), options)
        .await
        .unwrap();
    let master = Master::start(&env, lock, server.clone(), SERVER).await.unwrap();
    let splits = vec![row_key(30)];
    master.create_table(schema_in_groups(TABLE, [0, 1, 2]), splits).await.unwrap();
    let delete = async |number, start, end| {
        let request = delete_range_request(RequestId { client: 9, number }, start, end);
        server.delete_ranges(request).await.unwrap();
    };
    for pass in 0..4 {
        for k in 0..60 {
            let programs = Arc::new(vec![put(k, k)]);
            let (request, atomicity) = (RequestId::default(), Atomicity::EachRow);
            let request = ModifyRequest { request, programs, atomicity };
            server.modify_rows(request).await.unwrap();
        }
        delete(pass * 4 + 1, 10, Some(40)).await;
        server.flush(Some(TABLE)).await.unwrap();
        delete(pass * 4 + 2, 35, Some(45)).await;
        server.flush(Some(TABLE)).await.unwrap();
        if pass == 2 {
            server.compact(TABLE).await.unwrap();
        }
        delete(pass * 4 + 3, 0, None).await;
    }
    master.stop().await.unwrap();
    server.close().await;
    drop((master, server, directory));
    let directory = DataDirectory::open_existing(&env, Path::new("/data")).unwrap();
    let report = inspect::check(&env, &directory, Depth::Pages).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.files > 3, "{report:?}");
}

/// Rule 5: a retry is answered and not repeated, and after a restart refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_a_range_delete_sent_twice_is_done_once() {
    let world = World::with_table(ServerOptions::small()).await;
    load(&world, 0, 10).await;
    let request = delete_range_request(RequestId { client: 9, number: 1 }, 2, Some(8));
    let first = world.server.delete_ranges(request.clone()).await.unwrap();
    world.run(insert(5, 5)).await.unwrap();
    assert_eq!(world.server.delete_ranges(request.clone()).await.unwrap(), first);
    assert_eq!(keys(&world).await, [0, 1, 5, 8, 9]);
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    let again = world.server.delete_ranges(request).await;
    assert!(matches!(again, Err(TabletError::OutcomeUnknown(_))), "{again:?}");
    assert_eq!(keys(&world).await, [0, 1, 5, 8, 9]);
    // Nothing is nothing, and METADATA is no one's to delete.
    let request = delete_range_request(RequestId { client: 9, number: 2 }, 8, Some(2));
    assert_eq!(world.server.delete_ranges(request.clone()).await.unwrap(), CommitTs::ABSENT);
    let metadata = DeleteRangeRequest { table: StorageId::METADATA, ..request };
    let refused = world.server.delete_ranges(metadata).await;
    assert!(matches!(refused, Err(TabletError::Unsupported(_))), "{refused:?}");
}

/// A deleted range is collected without anyone asking, once nobody may read it any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_range_is_collected_without_being_asked() {
    let world = World::new(ServerOptions::small()).await;
    let table = TableSchema { history_micros: 0, ..schema(TABLE) };
    world.master.create_table(table, Vec::new()).await.unwrap();
    load(&world, 0, 400).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    world.delete_range(100, Some(400)).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    let rows = async || files(&world).await.iter().map(|file| file.rows).sum::<u64>();
    for _ in 0..500 {
        if rows().await == 100 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((rows().await, files(&world).await.len()), (100, 1));
    assert_eq!(keys(&world).await, Vec::from_iter(0..100));
}

/// Rows loaded anew where a range was deleted come straight from their blocks again: what is older than all of them
/// deletes none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_loaded_after_a_range_delete_are_found() {
    let world = World::with_table(ServerOptions::small()).await;
    for round in 0..3 {
        load(&world, 0, 2000).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        world.delete_range(0, None).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        let cells = cells(round, None, None);
        let one = program(7, Guard::Absent, Action::Put { cells });
        world.run(one).await.unwrap();
        assert_eq!(keys(&world).await, [7]);
        world.delete_range(7, Some(8)).await;
        assert_eq!(world.sum().await, (0, 0));
    }
    load(&world, 0, 2000).await;
    assert_eq!(world.sum().await, ((0..2000).sum(), 2000));
    world.server.flush(Some(TABLE)).await.unwrap();
    assert_eq!(world.sum().await, ((0..2000).sum(), 2000));
}
