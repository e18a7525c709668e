//! Tablets split under readers and writers, and at any moment a crash may come (rule 19).

use crate::load::{Load, ROWS, client};
use crate::world::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{RequestId, StorageId};
use terrane_client::master::MasterService;
use terrane_client::metadata::TabletRow;
use terrane_client::program::{Action, Atomicity, Guard, ModifyRequest};
use terrane_client::service::{TabletName, TabletService};
use terrane_env::files::crash::CrashMode;
use terrane_env::random::SplitMix64;
use terrane_storage::server::{ServerOptions, TabletServer};

/// The table's tablets, ascending by start, as their server has them.
pub async fn tablets(server: &TabletServer) -> Vec<TabletRow> {
    let status = server.status().await.unwrap();
    let mut rows: Vec<TabletRow> =
        status.into_iter().map(|tablet| tablet.row).filter(|row| row.table == TABLE).collect();
    rows.sort_by(|a, b| a.start.cmp(&b.start));
    rows
}

/// The table's tablets have every key once. How many there are.
pub async fn tiles(world: &World) -> usize {
    let rows = tablets(&world.server).await;
    assert!(rows.first().unwrap().start.is_empty(), "{rows:?}");
    assert_eq!(rows.last().unwrap().end, None);
    for pair in rows.windows(2) {
        assert_eq!(pair[0].end.as_ref(), Some(&pair[1].start), "{rows:?}");
    }
    rows.len()
}

/// Splits the tablet that holds a row there.
pub async fn split_at(server: &TabletServer, k: i64) -> Result<(), TabletError> {
    server.split(TABLE, row_key(k)).await
}

pub fn files_on_disk(world: &World) -> usize {
    let directory = Path::new("/data/tables").join(TABLE.to_string());
    match world.env.files.exists(&directory).unwrap() {
        true => world.env.files.list(&directory).unwrap().len(),
        false => 0,
    }
}

pub async fn fill(world: &World, keys: std::ops::Range<i64>) {
    let programs = keys.map(|k| put(k, 1)).collect();
    world.modify(programs, Atomicity::EachRow).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_have_their_parents_rows() {
    for layout in LAYOUTS {
        let options = ServerOptions { compaction: false, ..ServerOptions::small() };
        let mut world = World::with_groups(options, layout).await;
        fill(&world, 0..300).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        // In files, and in the memtable.
        fill(&world, 200..500).await;
        for (count, k) in [(2, 250), (3, 100), (4, 400), (4, 400)] {
            split_at(&world.server, k).await.unwrap();
            assert_eq!(tiles(&world).await, count);
            assert_eq!(world.sum().await, (500, 500));
        }
        for k in (0..500).step_by(50) {
            assert_eq!(a_of(&world.get(k).await.unwrap()), 1);
            world.run(add(k, 1)).await.unwrap();
        }
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
            assert_eq!(tiles(&world).await, 4, "step {step}");
            assert_eq!(world.sum().await, (510, 500), "step {step}");
        }
    }
}

/// A shared file's bytes and rows are told once, by the tablets that have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tablet_has_its_share_of_a_file() {
    let options = ServerOptions { compaction: false, ..ServerOptions::small() };
    let world = World::with_table(options).await;
    fill(&world, 0..4000).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    let sizes = async || -> Vec<(u64, u64)> {
        let status = world.server.status().await.unwrap();
        let own = status.iter().filter(|tablet| tablet.row.table == TABLE);
        own.map(|tablet| (tablet.rows, tablet.disk_bytes)).collect()
    };
    let [(rows, bytes)] = sizes().await[..] else { panic!("one tablet") };
    assert_eq!(rows, 4000);
    for k in [1000, 2000, 3000] {
        split_at(&world.server, k).await.unwrap();
    }
    let shares = sizes().await;
    assert_eq!(shares.len(), 4);
    // A block that a cut goes through is both sides'.
    for (share_rows, share_bytes) in &shares {
        assert!((1000..1200).contains(share_rows), "{shares:?}");
        assert!((bytes / 6..bytes / 3).contains(share_bytes), "{shares:?} of {bytes}");
    }
}

/// A file goes when the last tablet that names it has written it again, or was dropped; whether that tablet is
/// served or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_file_stays_while_anyone_names_it() {
    for restart in [false, true] {
        let options = ServerOptions { compaction: false, ..ServerOptions::small() };
        let mut world = World::with_table(options).await;
        fill(&world, 0..300).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        split_at(&world.server, 100).await.unwrap();
        split_at(&world.server, 200).await.unwrap();
        assert_eq!(files_on_disk(&world), 1);
        if restart {
            world = world.reopen().await;
        }
        // The last tablet is away while the others are merged.
        let last = TabletName { table: TABLE, end: None };
        world.server.unload(last).await.unwrap();
        world.server.compact(TABLE).await.unwrap();
        assert_eq!(files_on_disk(&world), 3, "two written again, and the one they shared");
        let mut world = world.crash(1, CrashMode::DropUnsynced).await;
        assert_eq!(tiles(&world).await, 3);
        assert_eq!(world.sum().await, (300, 300));
        assert_eq!(files_on_disk(&world), 3);
        world.server.compact(TABLE).await.unwrap();
        assert_eq!(files_on_disk(&world), 3, "each has its own");
        assert_eq!(world.sum().await, (300, 300));
        world = world.reopen().await;
        assert_eq!(world.sum().await, (300, 300));
        split_at(&world.server, 250).await.unwrap();
        world.master.drop_table(TABLE).await.unwrap();
        assert_eq!(files_on_disk(&world), 0);
    }
}

/// Rule 19: a split that stands still, or ends, after any of its steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_19_a_paused_roll_forward() {
    let stages =
        ["split.before_intent", "split.before_left", "split.before_right", "split.before_switch"];
    for (stage, place) in stages.into_iter().enumerate() {
        for flushed in [false, true] {
            let world = Arc::new(World::with_table(ServerOptions::small()).await);
            fill(&world, 0..200).await;
            if flushed {
                world.server.flush(Some(TABLE)).await.unwrap();
            }
            let gate = world.env.failpoints.gate(place);
            let splitting = tokio::spawn({
                let world = world.clone();
                async move { split_at(&world.server, 100).await }
            });
            let waiting = gate.clone();
            tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
            // Reads and writes go on.
            fill(&world, 200..300).await;
            world.run(add(50, 1)).await.unwrap();
            world.run(add(150, 1)).await.unwrap();
            assert_eq!(world.sum().await, (302, 300));
            assert_eq!(tiles(&world).await, 1);
            let disk = world.disk.crash_clone(7, CrashMode::DropUnsynced);
            let locks = world.locks.snapshot();
            let stopped = World::open(disk, locks, ServerOptions::small()).await.unwrap();
            assert_eq!(tiles(&stopped).await, if stage == 0 { 1 } else { 2 }, "{place}");
            assert_eq!(stopped.sum().await, (302, 300), "{place}");
            stopped.run(add(99, 1)).await.unwrap();
            stopped.run(add(100, 1)).await.unwrap();
            let stopped = stopped.crash(8, CrashMode::DropUnsynced).await;
            assert_eq!(stopped.sum().await, (304, 300), "{place}");
            stopped.server.compact(TABLE).await.unwrap();
            assert_eq!(stopped.sum().await, (304, 300), "{place}");
            world.env.failpoints.disarm(place);
            gate.open();
            splitting.await.unwrap().unwrap();
            assert_eq!(tiles(&world).await, 2);
            assert_eq!(world.sum().await, (302, 300));
            world.server.compact(TABLE).await.unwrap();
            assert_eq!(world.sum().await, (302, 300));
        }
    }
}

/// A step that fails is made again by the next flush; until then the parent serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_roll_forward_that_fails_is_finished_later() {
    for place in ["split.before_left", "split.before_right", "split.before_switch"] {
        let options = ServerOptions { compaction: false, ..ServerOptions::small() };
        let world = World::with_table(options).await;
        fill(&world, 0..200).await;
        world.env.failpoints.fail(place, "no");
        split_at(&world.server, 100).await.unwrap_err();
        fill(&world, 200..300).await;
        assert_eq!(world.sum().await, (300, 300));
        world.env.failpoints.disarm(place);
        world.server.flush(Some(TABLE)).await.unwrap();
        assert_eq!((tiles(&world).await, world.sum().await), (2, (300, 300)), "{place}");
        let world = world.crash(3, CrashMode::DropUnsynced).await;
        assert_eq!((tiles(&world).await, world.sum().await), (2, (300, 300)), "{place}");
    }
}

/// A table that is dropped while a tablet is split leaves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_dropped_during_a_split_is_gone() {
    let stages =
        ["split.before_intent", "split.before_left", "split.before_right", "split.before_switch"];
    for place in stages {
        let world = Arc::new(World::with_table(ServerOptions::small()).await);
        fill(&world, 0..200).await;
        world.server.flush(Some(TABLE)).await.unwrap();
        let gate = world.env.failpoints.gate(place);
        let splitting = tokio::spawn({
            let world = world.clone();
            async move { split_at(&world.server, 100).await }
        });
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
        world.master.drop_table(TABLE).await.unwrap();
        world.env.failpoints.disarm(place);
        gate.open();
        let _ = splitting.await.unwrap();
        assert!(tablets(&world.server).await.is_empty(), "{place}");
        assert_eq!(files_on_disk(&world), 0, "{place}");
        let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
        let world = world.reopen().await;
        assert!(tablets(&world.server).await.is_empty(), "{place}");
        let client = client(&world);
        let gone = client.locate(TABLE, &row_key(1)).await;
        assert!(matches!(gone, Err(TabletError::UnknownTable { .. })), "{place}: {gone:?}");
    }
}

/// Rule 5: a retry after a split gets the answer of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_a_retry_after_a_split_is_not_repeated() {
    let world = World::with_table(ServerOptions::small()).await;
    fill(&world, 0..10).await;
    let request = ModifyRequest {
        request: RequestId { client: 9, number: 1 },
        programs: Arc::new(vec![add(3, 1), add(7, 1)]),
        atomicity: Atomicity::AllOrNone,
    };
    let first = world.server.modify_rows(request.clone()).await.unwrap();
    split_at(&world.server, 5).await.unwrap();
    assert_eq!(world.server.modify_rows(request.clone()).await.unwrap(), first);
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    let again = world.server.modify_rows(request).await;
    assert!(matches!(again, Err(TabletError::OutcomeUnknown(_))), "{again:?}");
    assert_eq!(world.sum().await, (12, 10));
}

/// Fifty splits under readers and writers: no error, no lost update, no row twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_and_writers_do_not_notice() {
    let load = Load::start().await;
    let world = load.world();
    let mut random = SplitMix64::new(5);
    let mut splits = 0;
    while splits < 50 {
        let count = tiles(world).await;
        split_at(&world.server, random.below(ROWS as u64) as i64).await.unwrap();
        splits += tiles(world).await - count;
        if random.chance(0.1) {
            world.server.flush(Some(TABLE)).await.unwrap();
        }
    }
    let metrics = world.server.metrics();
    eprintln!("{splits} splits; commits stopped for {:?}", metrics.split_pause_longest);
    assert_eq!(metrics.splits, 50);
    assert!(metrics.split_pause_longest < Duration::from_millis(50), "{metrics:?}");
    load.end().await;
}

/// Bytes written by a split of a tablet of this many rows, half of them flushed, and the tablet's size.
async fn bytes_of_a_split(rows: i64) -> (u64, u64) {
    let options =
        ServerOptions { compaction: false, file_bytes: 16 << 20, ..ServerOptions::default() };
    let world = World::with_table(options).await;
    for start in (0..rows).step_by(1000) {
        fill(&world, start..start + 1000).await;
        if start == rows / 2 {
            world.server.flush(Some(TABLE)).await.unwrap();
        }
    }
    let written = || world.disk.counters(Path::new("/data")).bytes_written;
    let before = written();
    split_at(&world.server, rows / 3).await.unwrap();
    let after = written();
    let used = world.disk.used_bytes();
    assert_eq!(tiles(&world).await, 2);
    (after - before, used)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_writes_little_whatever_the_tablet_holds() {
    let (of_small, small) = bytes_of_a_split(4_000).await;
    let (of_large, large) = bytes_of_a_split(80_000).await;
    eprintln!("{of_small} bytes for {small}, {of_large} bytes for {large}");
    assert!(of_small < 64 << 10 && of_large < 64 << 10, "{of_small}, {of_large}");
}

/// The same for tablets of 0.1 and 1 GB, in files that do not compress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes more than a gigabyte into memory"]
async fn a_split_of_a_gigabyte_writes_little() {
    for megabytes in [100, 1000] {
        let world = World::with_table(ServerOptions::default()).await;
        let mut random = SplitMix64::new(1);
        for start in (0..megabytes * 100).step_by(100) {
            let mut text =
                || -> String { (0..625).map(|_| format!("{:016x}", random.next_u64())).collect() };
            let program = |k: i64| {
                let cells = cells(1, Some(&text()), None);
                program(k, Guard::Any, Action::Put { cells })
            };
            let programs = (start..start + 100).map(program).collect();
            world.modify(programs, Atomicity::EachRow).await.unwrap();
        }
        world.server.flush(Some(TABLE)).await.unwrap();
        let rows = tablets(&world.server).await;
        let stored: u64 = rows.iter().flat_map(TabletRow::files).map(|file| file.size_bytes).sum();
        let files = rows.iter().flat_map(TabletRow::files).count();
        let written = || world.disk.counters(Path::new("/data")).bytes_written;
        let (before, began) = (written(), world.env.clock.monotonic());
        split_at(&world.server, megabytes * 33).await.unwrap();
        let took = world.env.clock.monotonic() - began;
        let wrote = written() - before;
        eprintln!("{stored} bytes in {files} files: split in {took:?}, {wrote} bytes written");
        assert!(wrote < 1 << 20, "{wrote}");
    }
}

/// A tablet that grows too large is split by itself, and its children again, down to tablets that are not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_tablets_split_by_themselves() {
    let options = ServerOptions {
        tablet_bytes_max: 64 << 10,
        file_bytes: 32 << 10,
        ..ServerOptions::small()
    };
    let world = World::with_table(options).await;
    let text = |k: i64| -> String {
        let mut random = SplitMix64::new(k as u64);
        (0..30).map(|_| format!("{:x}", random.next_u64())).collect()
    };
    for start in (0..1000).step_by(100) {
        let program = |k: i64| {
            let cells = cells(1, Some(&text(k)), None);
            program(k, Guard::Any, Action::Put { cells })
        };
        world
            .modify((start..start + 100).map(program).collect(), Atomicity::EachRow)
            .await
            .unwrap();
        world.server.flush(Some(TABLE)).await.unwrap();
        assert!(tiles(&world).await >= 1);
    }
    for _ in 0..500 {
        if tiles(&world).await >= 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let count = tiles(&world).await;
    assert!((6..40).contains(&count), "{count} tablets");
    assert_eq!(world.sum().await, (1000, 1000));
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!(world.sum().await, (1000, 1000));
    assert!(tiles(&world).await >= count);
}

/// Nothing cuts one row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_large_row_is_not_split() {
    let world =
        World::with_table(ServerOptions { tablet_bytes_max: 1, ..ServerOptions::small() }).await;
    for a in 0..50 {
        world.run(put(1, a)).await.unwrap();
    }
    world.server.flush(Some(TABLE)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(tiles(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_where_a_tablet_begins_changes_nothing() {
    let world = World::with_table(ServerOptions::small()).await;
    for _ in 0..2 {
        split_at(&world.server, 100).await.unwrap();
        assert_eq!(tiles(&world).await, 2);
    }
    client(&world).split(TABLE, row_key(300)).await.unwrap();
    assert_eq!(tiles(&world).await, 3);
    let refused = world.server.split(StorageId::METADATA, row_key(1)).await;
    assert!(matches!(refused, Err(TabletError::Unsupported(_))), "{refused:?}");
}
