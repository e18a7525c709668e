//! Neighbouring tablets are merged under readers and writers, and at any moment a crash may come (rule 19).

use crate::load::{Load, ROWS, client};
use crate::split::{files_on_disk, fill, split_at, tablets, tiles};
use crate::world::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{RequestId, StorageId};
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, ModifyRequest};
use terrane_client::service::TabletService;
use terrane_env::files::crash::CrashMode;
use terrane_env::random::SplitMix64;
use terrane_storage::server::{ServerOptions, TabletServer};

/// Merges the tablets that meet at a row.
pub async fn merge_at(server: &TabletServer, k: i64) -> Result<(), TabletError> {
    server.merge(TABLE, row_key(k)).await
}

fn quiet_options() -> ServerOptions {
    ServerOptions { compaction: false, ..ServerOptions::small() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_union_has_the_rows_of_both() {
    for layout in LAYOUTS {
        let mut world = World::with_groups(quiet_options(), layout).await;
        fill(&world, 0..300).await;
        split_at(&world.server, 100).await.unwrap();
        split_at(&world.server, 200).await.unwrap();
        world.server.flush(Some(TABLE)).await.unwrap();
        // Each is at another point of its life: files alone, with newer rows, with a deleted range.
        fill(&world, 150..250).await;
        world.delete_range(120, Some(130)).await;
        world.run(add(50, 5)).await.unwrap();
        let before = (295, 290);
        assert_eq!(world.sum().await, before);
        merge_at(&world.server, 200).await.unwrap();
        assert_eq!((tiles(&world).await, world.sum().await), (2, before), "{layout:?}");
        world.run(add(250, 1)).await.unwrap();
        world.run(add(110, 1)).await.unwrap();
        merge_at(&world.server, 100).await.unwrap();
        merge_at(&world.server, 100).await.unwrap();
        let after = (297, 290);
        assert_eq!((tiles(&world).await, world.sum().await), (1, after), "{layout:?}");
        assert_eq!(world.get(125).await, None);
        for step in 0..5 {
            world = match step {
                0 => world.crash(1, CrashMode::DropUnsynced).await,
                1 | 3 => {
                    world.server.flush(None).await.unwrap();
                    world
                }
                2 => {
                    world.server.compact(TABLE).await.unwrap();
                    world
                }
                _ => world.reopen().await,
            };
            assert_eq!((tiles(&world).await, world.sum().await), (1, after), "step {step}");
        }
    }
}

/// What one side has flushed is behind its redo point, what the other has not is before it: a crash of the union must
/// neither lose the one nor bring the other back twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neighbours_with_different_redo_points_lose_nothing_in_a_crash() {
    for seed in 1..6 {
        let mut world = World::with_table(quiet_options()).await;
        fill(&world, 0..100).await;
        split_at(&world.server, 50).await.unwrap();
        for k in [10, 60] {
            world.run(add(k, 1)).await.unwrap();
        }
        world.server.flush(Some(TABLE)).await.unwrap();
        for k in [10, 60, 70] {
            world.run(add(k, 1)).await.unwrap();
        }
        merge_at(&world.server, 50).await.unwrap();
        for k in [10, 60, 80] {
            world.run(add(k, 1)).await.unwrap();
        }
        world = world.crash(seed, CrashMode::Random).await;
        assert_eq!(world.sum().await, (108, 100));
        for (k, a) in [(10, 4), (60, 4), (70, 2), (80, 2), (5, 1)] {
            assert_eq!(a_of(&world.get(k).await.unwrap()), a, "row {k}");
        }
    }
}

const STAGES: [&str; 5] = [
    "merge.before_flush",
    "merge.before_intent",
    "merge.before_union",
    "merge.before_retire",
    "merge.before_switch",
];

/// Rule 19: a merge that stands still, or ends, after any of its steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_19_a_paused_merge() {
    for (stage, place) in STAGES.into_iter().enumerate() {
        for flushed in [false, true] {
            let world = Arc::new(World::with_table(ServerOptions::small()).await);
            fill(&world, 0..200).await;
            split_at(&world.server, 100).await.unwrap();
            if flushed {
                world.server.flush(Some(TABLE)).await.unwrap();
            }
            let gate = world.env.failpoints.gate(place);
            let merging = tokio::spawn({
                let world = world.clone();
                async move { merge_at(&world.server, 100).await }
            });
            let waiting = gate.clone();
            tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
            // Reads and writes go on.
            fill(&world, 200..300).await;
            world.run(add(50, 1)).await.unwrap();
            world.run(add(150, 1)).await.unwrap();
            world.delete_range(90, Some(110)).await;
            assert_eq!(world.sum().await, (282, 280));
            assert_eq!(tiles(&world).await, 2);
            let disk = world.disk.crash_clone(7, CrashMode::DropUnsynced);
            let locks = world.locks.snapshot();
            let stopped = World::open(disk, locks, ServerOptions::small()).await.unwrap();
            assert_eq!(tiles(&stopped).await, if stage < 3 { 2 } else { 1 }, "{place}");
            assert_eq!(stopped.sum().await, (282, 280), "{place}");
            stopped.run(add(89, 1)).await.unwrap();
            stopped.run(add(110, 1)).await.unwrap();
            // What was taken back can be done again.
            merge_at(&stopped.server, 100).await.unwrap();
            assert_eq!((tiles(&stopped).await, stopped.sum().await), (1, (284, 280)), "{place}");
            let stopped = stopped.crash(8, CrashMode::DropUnsynced).await;
            assert_eq!((tiles(&stopped).await, stopped.sum().await), (1, (284, 280)), "{place}");
            stopped.server.compact(TABLE).await.unwrap();
            assert_eq!(stopped.sum().await, (284, 280), "{place}");
            world.env.failpoints.disarm(place);
            gate.open();
            merging.await.unwrap().unwrap();
            assert_eq!((tiles(&world).await, world.sum().await), (1, (282, 280)), "{place}");
            world.server.compact(TABLE).await.unwrap();
            assert_eq!(world.sum().await, (282, 280), "{place}");
        }
    }
}

/// A step that fails is made again by the next flush; until then the two serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_fails_is_finished_later() {
    for place in &STAGES[2..] {
        let world = World::with_table(quiet_options()).await;
        fill(&world, 0..200).await;
        split_at(&world.server, 100).await.unwrap();
        world.env.failpoints.fail(place, "no");
        merge_at(&world.server, 100).await.unwrap_err();
        fill(&world, 200..300).await;
        world.run(add(20, 1)).await.unwrap();
        assert_eq!((tiles(&world).await, world.sum().await), (2, (301, 300)), "{place}");
        // Nor can one of the two be flushed meanwhile, whose redo point is the union's already.
        world.server.flush(Some(TABLE)).await.unwrap_err();
        world.env.failpoints.disarm(place);
        world.server.flush(Some(TABLE)).await.unwrap();
        assert_eq!((tiles(&world).await, world.sum().await), (1, (301, 300)), "{place}");
        let world = world.crash(3, CrashMode::DropUnsynced).await;
        assert_eq!((tiles(&world).await, world.sum().await), (1, (301, 300)), "{place}");
    }
}

/// A table that is dropped while two of its tablets are merged leaves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_dropped_during_a_merge_is_gone() {
    for place in STAGES {
        let world = Arc::new(World::with_table(ServerOptions::small()).await);
        fill(&world, 0..200).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        split_at(&world.server, 100).await.unwrap();
        let gate = world.env.failpoints.gate(place);
        let merging = tokio::spawn({
            let world = world.clone();
            async move { merge_at(&world.server, 100).await }
        });
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
        world.master.drop_table(TABLE).await.unwrap();
        world.env.failpoints.disarm(place);
        gate.open();
        let _ = merging.await.unwrap();
        assert!(tablets(&world.server).await.is_empty(), "{place}");
        assert_eq!(files_on_disk(&world), 0, "{place}");
        let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
        let world = world.reopen().await;
        assert!(tablets(&world.server).await.is_empty(), "{place}");
    }
}

/// A file that a split has cut is whole again, and goes once it is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_both_sides_share_are_named_once_and_removed_once() {
    for restart in [false, true] {
        let mut world = World::with_table(quiet_options()).await;
        fill(&world, 0..300).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        split_at(&world.server, 100).await.unwrap();
        split_at(&world.server, 200).await.unwrap();
        merge_at(&world.server, 200).await.unwrap();
        if restart {
            world = world.reopen().await;
        }
        merge_at(&world.server, 100).await.unwrap();
        let row = &tablets(&world.server).await[0];
        assert_eq!((row.files().count(), files_on_disk(&world)), (1, 1));
        // Cut again, and each half is written anew.
        split_at(&world.server, 150).await.unwrap();
        fill(&world, 0..10).await;
        world.server.compact(TABLE).await.unwrap();
        assert_eq!(files_on_disk(&world), 2);
        merge_at(&world.server, 150).await.unwrap();
        assert_eq!(world.sum().await, (300, 300));
        world.server.compact(TABLE).await.unwrap();
        assert_eq!((files_on_disk(&world), world.sum().await), (2, (300, 300)));
        world = world.reopen().await;
        assert_eq!(world.sum().await, (300, 300));
        world.master.drop_table(TABLE).await.unwrap();
        assert_eq!(files_on_disk(&world), 0);
    }
}

/// Rule 5: a retry after a merge gets the answer of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_a_retry_after_a_merge_is_not_repeated() {
    let world = World::with_table(ServerOptions::small()).await;
    fill(&world, 0..10).await;
    split_at(&world.server, 5).await.unwrap();
    let request = ModifyRequest {
        request: RequestId { client: 9, number: 1 },
        programs: Arc::new(vec![add(3, 1), add(7, 1)]),
        atomicity: Atomicity::AllOrNone,
    };
    let first = world.server.modify_rows(request.clone()).await.unwrap();
    merge_at(&world.server, 5).await.unwrap();
    assert_eq!(world.server.modify_rows(request.clone()).await.unwrap(), first);
    assert_eq!(world.sum().await, (12, 10));
}

/// Splits and merges under readers and writers: no error, no lost update, no row twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_and_writers_do_not_notice() {
    let load = Load::start().await;
    let world = load.world();
    let mut random = SplitMix64::new(5);
    let mut merges = 0;
    while merges < 40 {
        for _ in 0..3 {
            split_at(&world.server, random.below(ROWS as u64) as i64).await.unwrap();
        }
        for _ in 0..3 {
            let rows = tablets(&world.server).await;
            let at = random.below(rows.len() as u64) as usize;
            world.server.merge(TABLE, rows[at].start.clone().into()).await.unwrap();
            merges += rows.len() - tiles(world).await;
        }
        if random.chance(0.1) {
            world.server.flush(Some(TABLE)).await.unwrap();
        }
    }
    let metrics = world.server.metrics();
    eprintln!("{merges} merges; commits stopped for {:?}", metrics.merge_pause_longest);
    assert_eq!(metrics.merges, merges as u64);
    assert!(metrics.merge_pause_longest < Duration::from_millis(50), "{metrics:?}");
    load.end().await;
}

/// A merge writes what memtables hold, whatever the files do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_writes_little_whatever_the_tablets_hold() {
    let mut spent = Vec::new();
    for rows in [4_000, 80_000] {
        let options =
            ServerOptions { compaction: false, file_bytes: 16 << 20, ..ServerOptions::default() };
        let world = World::with_table(options).await;
        for start in (0..rows).step_by(1000) {
            fill(&world, start..start + 1000).await;
        }
        split_at(&world.server, rows / 3).await.unwrap();
        world.server.flush(Some(TABLE)).await.unwrap();
        let written = || world.disk.counters(Path::new("/data")).bytes_written;
        let before = written();
        merge_at(&world.server, rows / 3).await.unwrap();
        spent.push(written() - before);
        assert_eq!(tiles(&world).await, 1);
    }
    eprintln!("bytes written: {spent:?}");
    assert!(spent.iter().all(|bytes| *bytes < 64 << 10), "{spent:?}");
}

fn quick(bytes_max: u64) -> ServerOptions {
    ServerOptions {
        tablet_bytes_max: bytes_max,
        quiet_after: Duration::from_millis(20),
        file_bytes: 16 << 10,
        ..ServerOptions::small()
    }
}

async fn wait_for_tablets(world: &World, wanted: impl Fn(usize) -> bool) -> usize {
    for _ in 0..1000 {
        if wanted(tiles(world).await) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tiles(world).await
}

fn text(k: i64) -> String {
    let mut random = SplitMix64::new(k as u64);
    (0..30).map(|_| format!("{:x}", random.next_u64())).collect()
}

async fn fill_with_text(world: &World, keys: std::ops::Range<i64>) {
    let program =
        |k: i64| program(k, Guard::Any, Action::Put { cells: cells(1, Some(&text(k)), None) });
    world.modify(keys.map(program).collect(), Atomicity::EachRow).await.unwrap();
}

/// Tablets that splits by size have made are one again when their rows are gone; what they have then does not come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tablets_that_have_shrunk_are_merged_by_themselves() {
    let world = World::with_table(quick(64 << 10)).await;
    for start in (0..1000).step_by(100) {
        fill_with_text(&world, start..start + 100).await;
        world.server.flush(Some(TABLE)).await.unwrap();
    }
    assert!(wait_for_tablets(&world, |count| count >= 6).await >= 6);
    // Once none is too large any more they stay as they are.
    let mut splits = 0;
    for _ in 0..100 {
        let before = std::mem::replace(&mut splits, world.server.metrics().splits);
        if before == splits {
            break;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let metrics = world.server.metrics();
    assert_eq!((metrics.merges, metrics.splits), (0, splits), "no thrash");
    world.delete_range(10, None).await;
    world.server.compact(TABLE).await.unwrap();
    let count = wait_for_tablets(&world, |count| count == 1).await;
    assert_eq!(count, 1, "{:?}", world.server.status().await);
    assert_eq!(world.sum().await, (10, 10));
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!((tiles(&world).await, world.sum().await), (1, (10, 10)));
}

/// An edge that someone chose stays, however little is on either side, until someone takes it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chosen_edge_is_not_merged_away() {
    let world = World::with_table(quick(1 << 30)).await;
    fill(&world, 0..10).await;
    split_at(&world.server, 5).await.unwrap();
    let world = world.reopen().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((tiles(&world).await, world.server.metrics().merges), (2, 0));
    merge_at(&world.server, 5).await.unwrap();
    assert_eq!(tiles(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_merged_is_refused_or_left() {
    let world = World::with_table(ServerOptions::small()).await;
    split_at(&world.server, 100).await.unwrap();
    for k in [0, 50, 101] {
        merge_at(&world.server, k).await.unwrap();
    }
    world.server.merge(TABLE, Vec::new().into()).await.unwrap();
    assert_eq!(tiles(&world).await, 2, "no tablets meet there");
    let refused = world.server.merge(StorageId::METADATA, row_key(1)).await;
    assert!(matches!(refused, Err(TabletError::Unsupported(_))), "{refused:?}");
    client(&world).merge(TABLE, row_key(100)).await.unwrap();
    assert_eq!(tiles(&world).await, 1);
    let gone = world.server.merge(StorageId(4711), row_key(1)).await;
    assert!(matches!(gone, Err(TabletError::NotServing { .. })), "{gone:?}");
}
