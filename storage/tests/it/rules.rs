//! correctness.md's rules, one test each, by number.

use crate::world::*;
use futures::TryStreamExt;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::expr::Expr;
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, RowError, RowOutcome, RowProgram};
use terrane_client::read::{GetRequest, Projected};
use terrane_client::schema::{Column, TableSchema};
use terrane_client::service::TabletService;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_storage::request_ids::REMEMBERED_FOR_MICROS;
use terrane_storage::server::ServerOptions;

/// Rule 1: a program holds its row from its read until its mutation is applied. With a delay between the
/// log and the memtable, a lock let go early loses increments.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_1_one_counter_with_a_delay_between_sequence_and_apply() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    world.run(insert(1, 0)).await.unwrap();
    world.env.failpoints.delay("commit.before_apply", Duration::from_micros(300));
    let writers = (0..16).map(|_| {
        let world = world.clone();
        tokio::spawn(async move {
            for _ in 0..20 {
                world.run(add(1, 1)).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    assert_eq!(a_of(&world.get(1).await.unwrap()), 320);
}

/// Rule 2: whoever is told 23505 may rely on the row that caused it: it is durable by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_2_power_cut_right_after_a_23505() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    let gate = world.env.failpoints.gate("log.before_sync");
    let first = tokio::spawn({
        let world = world.clone();
        async move { world.run(insert(1, 1)).await }
    });
    gate.wait_reached(1);
    let is_answered = Arc::new(AtomicBool::new(false));
    let second = tokio::spawn({
        let (world, is_answered) = (world.clone(), is_answered.clone());
        async move {
            let answer = world.run(insert(1, 2)).await;
            is_answered.store(true, Ordering::SeqCst);
            answer
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!is_answered.load(Ordering::SeqCst), "the row that is in the way is not durable");
    assert!(world.get(1).await.is_none(), "clients see nothing unsynced");
    world.env.failpoints.disarm("log.before_sync");
    gate.open();
    assert_eq!(second.await.unwrap(), Err(RowError::AlreadyExists));
    let disk = world.disk.crash_clone(1, CrashMode::DropUnsynced);
    first.await.unwrap().unwrap();
    let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
    let world = world.start_on(disk).await;
    assert_eq!(a_of(&world.get(1).await.unwrap()), 1);
}

/// Rule 2, the other way round: "no such row" rests on a delete that must be durable.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_2_an_unmatched_update_waits_for_the_delete_it_saw() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    world.run(insert(1, 1)).await.unwrap();
    let gate = world.env.failpoints.gate("log.before_sync");
    let first = tokio::spawn({
        let world = world.clone();
        async move { world.run(delete(1)).await }
    });
    gate.wait_reached(1);
    let second = tokio::spawn({
        let world = world.clone();
        async move { world.run(add(1, 1)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    assert_eq!(a_of(&world.get(1).await.unwrap()), 1);
    world.env.failpoints.disarm("log.before_sync");
    gate.open();
    assert_eq!(second.await.unwrap(), Ok(RowOutcome::Unmatched));
    first.await.unwrap().unwrap();
    assert!(world.get(1).await.is_none());
}

/// Rule 2, for a load: the next batch may be sent while the log of the one before is not synced, is behind it,
/// and neither is called durable or seen before it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_2_what_was_applied_is_told_twice() {
    let world = World::with_table(ServerOptions::small()).await;
    let gate = world.env.failpoints.gate("log.before_sync");
    let first = world.apply(vec![insert(1, 1)]).await.unwrap();
    let second = world.apply(vec![add(1, 5)]).await.unwrap();
    assert!(second.response.results[0].is_ok(), "it finds the first one's row");
    let refused = world.apply(vec![insert(1, 9)]).await.unwrap();
    assert_eq!(refused.response.results, [Err(RowError::AlreadyExists)]);
    gate.wait_reached(1);
    assert!(world.get(1).await.is_none(), "clients see nothing unsynced");
    let mut all = futures::future::join_all([first.durable, second.durable, refused.durable]);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut all).await;
    assert!(early.is_err());
    let disk = world.disk.crash_clone(1, CrashMode::DropUnsynced);
    world.env.failpoints.disarm("log.before_sync");
    gate.open();
    assert!(all.await.iter().all(Result::is_ok));
    assert_eq!(a_of(&world.get(1).await.unwrap()), 6);
    let after = world.disk.crash_clone(1, CrashMode::DropUnsynced);
    let world = world.start_on(disk).await;
    assert!(world.get(1).await.is_none(), "nothing was told, nothing has to be there");
    let world = world.start_on(after).await;
    assert_eq!(a_of(&world.get(1).await.unwrap()), 6);
}

/// Rule 10, for whoever closes a schema version and reads next: all that was committed under it is there to be read,
/// and nothing comes after.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_10_a_closed_version_has_no_stragglers() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    let gate = world.env.failpoints.gate("log.before_sync");
    let applied = world.apply(vec![insert(1, 1)]).await.unwrap();
    let closing = tokio::spawn({
        let world = world.clone();
        async move {
            for version in [2, 3] {
                let schema = TableSchema { version, ..schema(TABLE) };
                world.server.set_schema(Arc::new(schema)).await.unwrap();
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!closing.is_finished(), "a row of the version that closes is not durable");
    world.env.failpoints.disarm("log.before_sync");
    gate.open();
    closing.await.unwrap();
    assert!(world.get_planned(1, 3).await.is_some());
    applied.durable.await.unwrap();
    let late = world.apply(vec![insert(2, 1)]).await.err();
    assert!(matches!(late, Some(TabletError::SchemaChanged { .. })), "{late:?}");
}

/// Rule 10, for a commit that was evaluated before the version closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_10_what_was_evaluated_before_is_refused_after() {
    const ROWS: i64 = 5_000;
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (world, stop) = (world.clone(), stop.clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                for k in (writer..ROWS).step_by(3) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    match world.apply(vec![insert(k, 1)]).await {
                        Ok(applied) => {
                            applied.durable.await.unwrap();
                            done.push(k);
                        }
                        Err(TabletError::SchemaChanged { .. }) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                done
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    for version in [2, 3] {
        let schema = TableSchema { version, ..schema(TABLE) };
        world.server.set_schema(Arc::new(schema)).await.unwrap();
    }
    let mut seen = Vec::new();
    for k in 0..ROWS {
        if world.get_planned(k, 3).await.is_some() {
            seen.push(k);
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut done = Vec::new();
    for writer in writers {
        done.extend(writer.await.unwrap());
    }
    done.sort_unstable();
    let missed: Vec<_> = done.iter().filter(|k| !seen.contains(k)).collect();
    assert!(missed.is_empty(), "committed behind the reader's back: {missed:?}");
}

/// Rule 6: inside one commit deletes apply first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_6_delete_and_insert_of_a_key_in_one_commit() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    let before = world.get(1).await.unwrap();
    let batch = vec![delete(1), insert(1, 2), add(1, 5), delete(2), insert(2, 9), delete(2)];
    let response = world.modify(batch, Atomicity::AllOrNone).await.unwrap();
    assert!(response.results.iter().all(Result::is_ok), "{response:?}");
    for world in [world.reopen().await] {
        let row = world.get(1).await.unwrap();
        assert_eq!((a_of(&row), row.version), (7, response.commit_ts));
        assert!(world.get(2).await.is_none());
        let old = world.get_at(1, Some(before.version)).await.unwrap();
        assert_eq!(old, Some(before.clone()));
    }
}

/// Rule 6: commit timestamps ascend although the clock of the second start is behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_6_a_slow_clock_after_a_restart() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    let version = world.get(1).await.unwrap().version;
    world.master.stop().await.unwrap();
    world.server.close().await;
    let clock = Arc::new(terrane_env::clock::ManualClock::new(1_000_000));
    let env = world.env.clone().with_clock(clock);
    let World { disk, locks, options, .. } = world;
    let world = World::open_in(env, disk, locks, options).await.unwrap();
    assert_eq!(a_of(&world.get(1).await.unwrap()), 1, "visible at the newest timestamp");
    world.run(add(1, 1)).await.unwrap();
    let row = world.get(1).await.unwrap();
    assert!(row.version > version);
    assert_eq!(a_of(&row), 2);
}

/// Rule 15: what a server that was killed and started again has shown, a power cut does not take away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_kill_read_power_cut() {
    for seed in 0..20 {
        let world = Arc::new(World::with_table(ServerOptions::small()).await);
        let gate = world.env.failpoints.gate("log.before_sync");
        let writer = tokio::spawn({
            let world = world.clone();
            async move { world.modify(vec![insert(1, 1)], Atomicity::EachRow).await }
        });
        gate.wait_reached(1);
        // Written, not synced, killed.
        let disk = world.disk.kill_clone();
        world.disk.halt();
        gate.open();
        assert!(writer.await.unwrap().is_err());
        let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
        let world = world.start_on(disk).await;
        let shown = world.get(1).await;
        assert!(shown.is_some(), "what was written is read after a kill");
        let world = world.crash(seed, CrashMode::DropUnsynced).await;
        assert_eq!(world.get(1).await, shown);
    }
}

/// Rule 26's half in storage: a program conditional on a version fails once the row has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_26_a_program_on_an_older_version_fails() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    let seen = world.get(1).await.unwrap().version;
    world.run(add(1, 1)).await.unwrap();
    let current = world.get(1).await.unwrap().version;
    let mut late = add(1, 1);
    late.guard = Guard::Version(seen);
    assert_eq!(world.run(late).await, Err(RowError::VersionChanged { current }));
}

/// Rule 18: a flush publishes while a merge is under way; neither loses what the other did.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_18_a_flush_racing_a_compaction() {
    let options = ServerOptions { compaction: false, ..ServerOptions::small() };
    let world = Arc::new(World::with_table(options).await);
    for round in 0..3 {
        for k in 0..20 {
            world.run(put(k, round)).await.unwrap();
        }
        world.server.flush(Some(TABLE)).await.unwrap();
    }
    let gate = world.env.failpoints.gate("compact.before_publish");
    let merging = tokio::spawn({
        let world = world.clone();
        async move { world.server.compact(TABLE).await }
    });
    let waiting = gate.clone();
    tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
    for k in 10..30 {
        world.run(put(k, 7)).await.unwrap();
    }
    world.server.flush(Some(TABLE)).await.unwrap();
    assert_eq!(runs_of(&world).await, 4);
    world.env.failpoints.disarm("compact.before_publish");
    gate.open();
    merging.await.unwrap().unwrap();
    assert_eq!(runs_of(&world).await, 2, "the merged run, and the flushed one before it");
    let expected = (10 * 2 + 20 * 7, 30);
    assert_eq!(world.sum().await, expected);
    let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!(world.sum().await, expected);
    assert_eq!(runs_of(&world).await, 2);
}

async fn runs_of(world: &World) -> usize {
    let status = world.server.status().await.unwrap();
    let tablet = status.into_iter().find(|tablet| tablet.row.table == TABLE).unwrap();
    tablet.row.groups[0].runs.len()
}

/// Rule 7: what was deleted or overwritten is dropped once nobody can read it, and reads that would need
/// it are refused, not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_7_history_goes_no_earlier_and_no_later_than_it_may() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(put(1, 1)).await.unwrap();
    world.run(put(2, 1)).await.unwrap();
    let first = world.get(2).await.unwrap().version;
    let pin = world.server.pin_timestamp(first).await.unwrap();
    for a in 2..50 {
        world.run(put(1, a)).await.unwrap();
    }
    world.run(delete(2)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(a_of(&world.get_at(1, Some(first)).await.unwrap().unwrap()), 1);
    assert_eq!(a_of(&world.get_at(2, Some(first)).await.unwrap().unwrap()), 1);
    assert_eq!(a_of(&world.get(1).await.unwrap()), 49);
    drop(pin);
    assert!(rows_stored(&world).await > 40);
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(rows_stored(&world).await, 1, "one version of one row is left");
    let gone = world.get_at(1, Some(first)).await;
    assert!(matches!(gone, Err(TabletError::HistoryGone { .. })), "{gone:?}");
    let world = world.reopen().await;
    let gone = world.get_at(1, Some(first)).await;
    assert!(matches!(gone, Err(TabletError::HistoryGone { .. })), "{gone:?}");
    assert_eq!(world.sum().await, (49, 1));
    // When the last row goes, a file stays that knows the requests (rule 5), and goes when they are old.
    world.run(delete(1)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    assert_eq!((rows_stored(&world).await, runs_of(&world).await), (0, 1));
    world.master.stop().await.unwrap();
    world.server.close().await;
    let now = world.env.clock.now_micros() + REMEMBERED_FOR_MICROS + 60_000_000;
    let env = world.env.clone().with_clock(Arc::new(terrane_env::clock::ManualClock::new(now)));
    let World { disk, locks, options, .. } = world;
    let world = World::open_in(env, disk, locks, options).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    assert_eq!((rows_stored(&world).await, runs_of(&world).await), (0, 0));
}

async fn rows_stored(world: &World) -> u64 {
    let status = world.server.status().await.unwrap();
    let tablet = status.into_iter().find(|tablet| tablet.row.table == TABLE).unwrap();
    let runs = tablet.row.groups.into_iter().flat_map(|group| group.runs);
    runs.flat_map(|run| run.files).map(|file| file.rows).sum()
}

/// When a fifth of the rows is deleted or overwritten and nobody may read it any more, it is dropped without
/// anyone asking, even where the runs' sizes are no reason to merge them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_are_collected_without_being_asked() {
    let world = World::new(ServerOptions::small()).await;
    let table = TableSchema { history_micros: 0, ..schema(TABLE) };
    world.master.create_table(table, Vec::new()).await.unwrap();
    for k in 0..400 {
        world.run(insert(k, 1)).await.unwrap();
    }
    world.server.flush(Some(TABLE)).await.unwrap();
    for k in 0..120 {
        world.run(delete(k)).await.unwrap();
    }
    world.server.flush(Some(TABLE)).await.unwrap();
    for _ in 0..500 {
        if rows_stored(&world).await == 280 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((rows_stored(&world).await, runs_of(&world).await), (280, 1));
    assert_eq!(world.sum().await, (280, 280));
}

/// Rule 14: a reader keeps what it pinned, whatever is flushed, merged and removed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_14_a_scan_outlives_the_files_it_reads() {
    let options = ServerOptions { compaction: false, ..ServerOptions::small() };
    let world = World::with_table(options).await;
    for start in (0..10_000).step_by(1000) {
        let programs = (start..start + 1000).map(|k| put(k, 1)).collect();
        world.modify(programs, Atomicity::EachRow).await.unwrap();
        world.server.flush(Some(TABLE)).await.unwrap();
    }
    let mut request = scan_request(vec![Projected::Column(A)]);
    request.batch_rows_max = 100;
    let answer = world.server.read(request).await.unwrap();
    for start in (0..10_000).step_by(1000) {
        let programs = (start..start + 1000).map(delete).collect();
        world.modify(programs, Atomicity::EachRow).await.unwrap();
    }
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(world.sum().await, (0, 0));
    let batches: Vec<_> = answer.batches.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10_000);
}

/// Rule 10: an update planned with the schema before keeps what only the newer one knows; it is written as a
/// whole row, so what it left out would be gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_10_an_update_with_the_previous_schema_keeps_newer_columns() {
    const D: ColumnId = ColumnId(5);
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    let mut wider = schema(TABLE);
    wider.version = 2;
    wider.columns.push(Column {
        id: D,
        name: "d".to_owned(),
        data_type: DataType::Int8,
        not_null: false,
        group: LocalityGroupId::default(),
        missing: Value::Int8(40),
        gc: Default::default(),
    });
    world.master.alter_table(wider).await.unwrap();
    let d = |version, k, guard| {
        let assignments = vec![(D, Expr::Literal(Value::Int8(7), DataType::Int8))];
        let program = program(k, guard, Action::Update { assignments });
        RowProgram { schema_version: version, ..program }
    };
    world.run(d(2, 1, Guard::Any)).await.unwrap();
    for flushed in [false, true] {
        if flushed {
            world.server.flush(None).await.unwrap();
        }
        // Planned with version 1, which has no column d.
        world.run(add(1, 1)).await.unwrap();
        let row = world.get(1).await.unwrap();
        assert_eq!(row.cells.get(D), Some(Some(&7i64.to_le_bytes()[..])));
    }
    // A DDL that drops column c and never commits: the catalog goes on with version 2.
    world.run(put(2, 1)).await.unwrap();
    let before = world.get(2).await.unwrap();
    let mut narrower = schema(TABLE);
    narrower.version = 3;
    narrower.is_settled = false;
    narrower.columns.retain(|column| column.id != C && column.id != B);
    world.master.alter_table(narrower).await.unwrap();
    world.run(d(2, 2, Guard::Any)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    let request = GetRequest {
        table: TABLE,
        schema_version: 2,
        read_ts: None,
        keys: vec![row_key(2)],
        columns: None,
        map_parts: Default::default(),
    };
    let row = world.server.get(request).await.unwrap().rows.remove(0).unwrap();
    for column in [A, B, C] {
        assert_eq!(row.cells.get(column), before.cells.get(column), "{column:?}");
    }
}
