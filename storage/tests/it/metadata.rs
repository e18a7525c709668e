//! METADATA in several tablets: the root, which has their rows and is never split, and those that have everyone else's.

use crate::load::client;
use crate::split::{fill, split_at, tablets};
use crate::world::*;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{RequestId, Seq, StorageId};
use terrane_client::lock::{Change, LockService, Outcome, Transaction};
use terrane_client::master::MasterService;
use terrane_client::metadata::events::EventKind;
use terrane_client::metadata::{ROOT_KEY, TabletRow, codec, edit, merge, root};
use terrane_client::program::{Atomicity, ModifyRequest, RowOutcome};
use terrane_client::read::KeyRange;
use terrane_client::service::{TabletName, TabletService};
use terrane_env::Env;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};
use terrane_storage::server::{ServerOptions, TabletServer};

/// METADATA's tablets, the root first.
async fn metadata_tablets(server: &TabletServer) -> Vec<TabletRow> {
    let status = server.status().await.unwrap();
    let rows = status.into_iter().map(|tablet| tablet.row);
    let mut rows: Vec<TabletRow> = rows.filter(|row| row.table == StorageId::METADATA).collect();
    rows.sort_by(|a, b| a.start.cmp(&b.start));
    rows
}

/// METADATA's tablets have every key once, and the root has its own. How many there are.
pub async fn tiles(world: &World) -> usize {
    let rows = metadata_tablets(&world.server).await;
    assert!(rows[0].start.is_empty());
    assert_eq!(rows[0].end.as_deref(), Some(&root::end()[..]), "the root's range stays");
    assert_eq!(rows.last().unwrap().end, None);
    for pair in rows.windows(2) {
        assert_eq!(pair[0].end.as_ref(), Some(&pair[1].start), "{rows:?}");
    }
    rows.len()
}

/// The METADATA key behind the row of the table's tablet that ends with this row.
fn behind(k: i64) -> Bytes {
    let row = codec::row_key(TABLE, Some(&row_key(k))).unwrap();
    [&row[..], &[0]].concat().into()
}

pub async fn split_behind(server: &TabletServer, k: i64) -> Result<(), TabletError> {
    server.split(StorageId::METADATA, behind(k)).await
}

/// Merges the tablets of METADATA that meet there, if any do.
pub async fn merge_behind(server: &TabletServer, k: i64) -> Result<(), TabletError> {
    server.merge(StorageId::METADATA, behind(k)).await
}

const TABLETS: i64 = 50;

fn quiet_options() -> ServerOptions {
    ServerOptions { compaction: false, ..ServerOptions::small() }
}

/// A table of [`TABLETS`] tablets with ten rows each.
async fn many_tablets(options: ServerOptions) -> World {
    let world = World::new(options).await;
    let splits = (1..TABLETS).map(|tablet| row_key(tablet * 10)).collect();
    world.master.create_table(schema(TABLE), splits).await.unwrap();
    fill(&world, 0..TABLETS * 10).await;
    world
}

/// Every row is found through METADATA by a client that knows nothing yet, and the table has every key once.
async fn assert_all_found(world: &World, count: usize) {
    let client = client(world);
    for k in (0..TABLETS * 10).step_by(7) {
        let location = client.locate(TABLE, &row_key(k)).await.unwrap();
        assert!(location.range.contains(&row_key(k)), "{k}: {location:?}");
    }
    let whole = client.tablets(TABLE, &KeyRange::all()).await.unwrap();
    assert_eq!(whole.len(), count);
    assert!(whole.windows(2).all(|pair| pair[0].range.end.as_ref() == Some(&pair[1].range.start)));
    assert_eq!(tablets(&world.server).await.len(), count);
    assert_eq!(world.sum().await.1, TABLETS as usize * 10);
}

async fn root_in_lock_service(world: &World) -> TabletRow {
    let stored = world.locks.get(ROOT_KEY).await.unwrap().unwrap();
    codec::parse_state(&stored.value).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_root_is_cut_at_the_first_start_and_never_split() {
    let mut world = World::with_table(quiet_options()).await;
    for _ in 0..3 {
        assert_eq!(tiles(&world).await, 2);
        let root = root_in_lock_service(&world).await;
        assert_eq!(root.end.as_deref(), Some(&root::end()[..]));
        let row_in_root = codec::row_key(StorageId::METADATA, Some(b"x")).unwrap();
        for key in [Bytes::from_static(b"a"), row_in_root] {
            let refused = world.server.split(StorageId::METADATA, key).await;
            assert!(matches!(refused, Err(TabletError::Unsupported(_))), "{refused:?}");
        }
        // It begins where the root ends: nothing to do.
        world.server.split(StorageId::METADATA, root::end()).await.unwrap();
        let refused = world.server.merge(StorageId::METADATA, root::end()).await;
        assert!(matches!(refused, Err(TabletError::Unsupported(_))), "{refused:?}");
        let name = TabletName { table: StorageId::METADATA, end: None };
        let refused = world.server.unload(name).await;
        assert!(matches!(refused, Err(TabletError::Unsupported(_))), "{refused:?}");
        world.server.flush(None).await.unwrap();
        world = world.reopen().await;
    }
    let other = metadata_tablets(&world.server).await.remove(1);
    let kinds: BTreeSet<EventKind> = other.events.iter().map(|event| event.kind).collect();
    assert!(kinds.is_superset(&[EventKind::Split, EventKind::Flush, EventKind::Load].into()));
}

/// METADATA cut again and again, and joined again, while tablets of the table are split, flushed and merged; over restarts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tablet_is_found_in_several_tablets_of_metadata() {
    let mut world = many_tablets(quiet_options()).await;
    assert_all_found(&world, 50).await;
    for (count, k) in [(3, 100), (4, 300), (5, 350), (5, 350)] {
        split_behind(&world.server, k).await.unwrap();
        assert_eq!(tiles(&world).await, count);
        assert_all_found(&world, 50).await;
    }
    // Their edits go to the tablets of METADATA that have their rows now; one split has its rows on both sides of an edge.
    split_at(&world.server, 95).await.unwrap();
    world.server.merge(TABLE, row_key(300)).await.unwrap();
    world.server.merge(TABLE, row_key(310)).await.unwrap();
    world.server.flush(Some(TABLE)).await.unwrap();
    for step in 0..7 {
        world = match step {
            0 | 4 => world.crash(step, CrashMode::DropUnsynced).await,
            1 | 5 => {
                world.server.flush(None).await.unwrap();
                world
            }
            2 => {
                world.server.compact(StorageId::METADATA).await.unwrap();
                world
            }
            3 => {
                merge_behind(&world.server, 300).await.unwrap();
                assert_eq!(tiles(&world).await, 4);
                split_behind(&world.server, 300).await.unwrap();
                world
            }
            _ => world.reopen().await,
        };
        assert_eq!(tiles(&world).await, 5, "step {step}");
        assert_all_found(&world, 49).await;
    }
    for k in [100, 300, 350] {
        merge_behind(&world.server, k).await.unwrap();
    }
    assert_eq!(tiles(&world).await, 2);
    let world = world.crash(9, CrashMode::DropUnsynced).await;
    assert_eq!(tiles(&world).await, 2);
    assert_all_found(&world, 49).await;
    split_behind(&world.server, 200).await.unwrap();
    world.master.drop_table(TABLE).await.unwrap();
    let world = world.reopen().await;
    assert!(tablets(&world.server).await.is_empty(), "rows in both are gone");
    let gone = client(&world).locate(TABLE, &row_key(1)).await;
    assert!(matches!(gone, Err(TabletError::UnknownTable { .. })), "{gone:?}");
}

/// Rule 19, for METADATA: a split or merge of it that stands still, or ends, after any of its steps, while the tablets whose rows
/// it moves are flushed and split.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_19_a_paused_split_or_merge_of_metadata() {
    let splits =
        ["split.before_intent", "split.before_left", "split.before_right", "split.before_switch"];
    let merges = [
        "merge.before_flush",
        "merge.before_intent",
        "merge.before_union",
        "merge.before_retire",
        "merge.before_switch",
    ];
    let stages = splits.into_iter().enumerate().map(|(stage, place)| (place, 2, stage > 0));
    let stages =
        stages.chain(merges.into_iter().enumerate().map(|(stage, place)| (place, 3, stage > 2)));
    for (place, before, is_made) in stages {
        for flushed in [false, true] {
            let world = Arc::new(many_tablets(quiet_options()).await);
            if before == 3 {
                split_behind(&world.server, 250).await.unwrap();
            }
            if flushed {
                world.server.flush(None).await.unwrap();
            }
            let after = 5 - before;
            let gate = world.env.failpoints.gate(place);
            let working = tokio::spawn({
                let world = world.clone();
                async move {
                    match before {
                        2 => split_behind(&world.server, 250).await,
                        _ => merge_behind(&world.server, 250).await,
                    }
                }
            });
            let waiting = gate.clone();
            tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
            // Only the one that stands there waits: METADATA's rows are read and written.
            world.env.failpoints.disarm(place);
            for k in [5, 255, 495] {
                world.run(add(k, 1)).await.unwrap();
            }
            world.server.flush(Some(TABLE)).await.unwrap();
            split_at(&world.server, 255).await.unwrap();
            assert_all_found(&world, 51).await;
            assert_eq!(tiles(&world).await, before);
            let disk = world.disk.crash_clone(7, CrashMode::DropUnsynced);
            let stopped = World::open(disk, world.locks.snapshot(), quiet_options()).await.unwrap();
            let found = tiles(&stopped).await;
            assert_eq!(found, if is_made { after } else { before }, "{place}");
            assert_all_found(&stopped, 51).await;
            assert_eq!(stopped.sum().await.0, 503, "{place}");
            // What was taken back can be done again.
            match before {
                2 => split_behind(&stopped.server, 250).await.unwrap(),
                _ => merge_behind(&stopped.server, 250).await.unwrap(),
            }
            assert_eq!(tiles(&stopped).await, after, "{place}");
            stopped.server.flush(None).await.unwrap();
            let stopped = stopped.crash(8, CrashMode::DropUnsynced).await;
            assert_eq!(tiles(&stopped).await, after, "{place}");
            assert_all_found(&stopped, 51).await;
            gate.open();
            working.await.unwrap().unwrap();
            assert_eq!(tiles(&world).await, after);
            assert_all_found(&world, 51).await;
        }
    }
}

/// What is found wherever the power goes: the clones of the disk at every file operation, with the lock service as it was then.
fn take_clones(world_disk: &CrashFileSystem, locks: &Arc<TestLocks>) -> Clones {
    let clones = Clones::default();
    let (disk, locks, taken) = (world_disk.clone(), locks.clone(), clones.clone());
    world_disk.set_hook(move |_| {
        for mode in [CrashMode::DropUnsynced, CrashMode::KeepWritten] {
            let locks = locks.snapshot();
            taken.lock().push((disk.crash_clone(3, mode), locks));
        }
    });
    clones
}

type Clones = Arc<Mutex<Vec<(CrashFileSystem, Arc<TestLocks>)>>>;

/// Opens every clone, or of many about two hundred.
async fn assert_clones(clones: &Clones, least: usize, count: usize) -> BTreeSet<usize> {
    let clones = std::mem::take(&mut *clones.lock());
    assert!(clones.len() >= least, "{}", clones.len());
    let step = clones.len().div_ceil(200);
    let mut found = BTreeSet::new();
    for (disk, locks) in clones.into_iter().step_by(step) {
        let world = World::open(disk, locks, quiet_options()).await.unwrap();
        found.insert(tiles(&world).await);
        assert_all_found(&world, count).await;
        // And what a start writes is what the next one needs.
        let world = world.crash(1, CrashMode::DropUnsynced).await;
        assert_all_found(&world, count).await;
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_power_cut_at_any_write_of_a_split_of_metadata_loses_no_tablet() {
    let world = many_tablets(quiet_options()).await;
    let clones = take_clones(&world.disk, &world.locks);
    split_behind(&world.server, 250).await.unwrap();
    world.server.flush(None).await.unwrap();
    split_behind(&world.server, 120).await.unwrap();
    world.server.compact(StorageId::METADATA).await.unwrap();
    merge_behind(&world.server, 250).await.unwrap();
    world.disk.clear_hook();
    let found = assert_clones(&clones, 40, 50).await;
    assert_eq!(found, [2, 3, 4].into());
}

/// A directory as builds before METADATA could have several tablets have left it: METADATA is the root alone. Made from one of today by
/// joining the two again, by hand.
async fn format_1(flushed: bool) -> (CrashFileSystem, Arc<TestLocks>) {
    let world = many_tablets(quiet_options()).await;
    if flushed {
        world.server.flush(None).await.unwrap();
    }
    let rows = metadata_tablets(&world.server).await;
    let [root, other] = &rows[..] else { panic!("{rows:?}") };
    // Without a flush all of it is in the log alone.
    let flushed_to = rows.iter().map(|row| row.max_seq).max().unwrap_or(Seq(0));
    assert_eq!(flushed_to > Seq(0), flushed);
    let mut whole = merge::union(root, other, flushed_to).unwrap();
    whole.version = root.version + 1;
    // Such a root has no row of the other.
    let request = ModifyRequest {
        request: RequestId::default(),
        programs: Arc::new(vec![edit::remove(other).unwrap()]),
        atomicity: Atomicity::AllOrNone,
    };
    let results = world.server.modify_rows(request).await.unwrap().results;
    assert!(matches!(results[..], [Ok(RowOutcome::Applied { .. })]), "{results:?}");
    world.master.stop().await.unwrap();
    world.server.close().await;
    let put = Change::Put { key: ROOT_KEY.to_owned(), value: codec::state(&whole).unwrap().into() };
    let put = Transaction { compares: Vec::new(), changes: vec![put] };
    assert!(matches!(world.locks.commit(put).await.unwrap(), Outcome::Committed(_)));
    let format = Path::new("/data/FORMAT");
    world.disk.remove(format).unwrap();
    world.disk.write_new_durable(format, b"terrane data directory, format 1\n").unwrap();
    let World { disk, locks, .. } = world;
    (disk, locks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_directory_of_format_1_is_opened_and_cut_wherever_the_power_goes() {
    for flushed in [true, false] {
        let (disk, locks) = format_1(flushed).await;
        let clones = take_clones(&disk, &locks);
        let world = World::open(disk.clone(), locks.clone(), quiet_options()).await.unwrap();
        disk.clear_hook();
        assert_eq!(tiles(&world).await, 2);
        assert_all_found(&world, 50).await;
        let format = disk.read(Path::new("/data/FORMAT")).unwrap();
        assert_eq!(format, b"terrane data directory, format 2\n");
        let found = assert_clones(&clones, 20, 50).await;
        assert_eq!(found, [2].into());
        // The files that both parts of the old root name are written again, and go.
        world.server.compact(StorageId::METADATA).await.unwrap();
        let world = world.reopen().await;
        assert_all_found(&world, 50).await;
    }
}

/// A first start cuts the root, too: wherever it ends, the next one begins with two tablets.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_first_start_may_end_anywhere() {
    let (disk, locks) = (CrashFileSystem::new(1), Arc::new(TestLocks::default()));
    let clones = take_clones(&disk, &locks);
    World::open(disk.clone(), locks, quiet_options()).await.unwrap();
    disk.clear_hook();
    let clones = std::mem::take(&mut *clones.lock());
    assert!(clones.len() > 20, "{}", clones.len());
    for (disk, locks) in clones {
        let world = World::open(disk, locks, quiet_options()).await.unwrap();
        assert_eq!(tiles(&world).await, 2);
        world.master.create_table(schema(TABLE), vec![row_key(5)]).await.unwrap();
        fill(&world, 0..10).await;
        assert_eq!((tiles(&world).await, world.sum().await), (2, (10, 10)));
    }
}

/// A cut that fails is made by the next start; what the first has left is in nobody's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_that_fails_is_made_by_the_next_start() {
    for place in ["root.before_rest", "root.before_cut"] {
        let disk = CrashFileSystem::new(1);
        let locks = Arc::new(TestLocks::default());
        for _ in 0..2 {
            let env = Env::system().with_files(Arc::new(disk.clone()));
            env.failpoints.fail(place, "no");
            let refused =
                World::open_in(env, disk.clone(), locks.clone(), quiet_options()).await.map(|_| ());
            assert!(matches!(refused, Err(TabletError::Io(_))), "{refused:?}");
        }
        let world = World::open(disk, locks, quiet_options()).await.unwrap();
        world.master.create_table(schema(TABLE), vec![row_key(5)]).await.unwrap();
        fill(&world, 0..10).await;
        assert_eq!(tiles(&world).await, 2);
        let world = world.crash(1, CrashMode::DropUnsynced).await;
        assert_eq!((tiles(&world).await, world.sum().await), (2, (10, 10)), "{place}");
    }
}

/// METADATA's tablets are split by their size, and merged again, as others are.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn metadata_splits_and_merges_by_its_size() {
    let options = ServerOptions { metadata_tablet_bytes_max: 4 << 10, ..ServerOptions::small() };
    let world = many_tablets(options).await;
    for round in 0..100 {
        for k in (0..TABLETS * 10).step_by(10) {
            world.run(put(k, 1)).await.unwrap();
        }
        world.server.flush(None).await.unwrap();
        if tiles(&world).await >= 4 {
            break;
        }
        assert!(round < 99, "it is not split");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_all_found(&world, 50).await;
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert!(tiles(&world).await >= 4);
    assert_all_found(&world, 50).await;
    assert!(root_in_lock_service(&world).await.split.is_none());
    let caches = world.server.server_status().await.unwrap().remove(0).caches;
    let in_memory = caches.iter().find(|cache| cache.region == "in_memory").unwrap();
    assert!(in_memory.entries > 0, "METADATA's blocks stay in memory: {caches:?}");
    // With room for more in each they are merged, down to one beside the root.
    let mut world = world;
    world.options =
        ServerOptions { quiet_after: Duration::from_millis(20), ..ServerOptions::small() };
    let world = world.reopen().await;
    for round in 0..500 {
        if tiles(&world).await == 2 {
            break;
        }
        assert!(round < 499, "they are not merged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_all_found(&world, 50).await;
    let world = world.crash(2, CrashMode::DropUnsynced).await;
    assert_eq!(tiles(&world).await, 2);
    assert_all_found(&world, 50).await;
}

/// A key at which METADATA could not name the left one is refused before anything is begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_whose_row_would_have_too_long_a_key_is_refused() {
    let world = World::with_table(quiet_options()).await;
    fill(&world, 0..10).await;
    for table in [TABLE, StorageId::METADATA] {
        let refused = world.server.split(table, vec![0x81; 65_530].into()).await;
        assert!(matches!(refused, Err(TabletError::TooLarge { .. })), "{refused:?}");
    }
    world.server.flush(None).await.unwrap();
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!((tiles(&world).await, tablets(&world.server).await.len()), (2, 1));
    assert_eq!(world.sum().await, (10, 10));
}

/// One call writes rows of two of METADATA's tablets, all or none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_created_over_an_edge_of_metadata() {
    let world = World::with_table(quiet_options()).await;
    split_behind(&world.server, 50).await.unwrap();
    world.master.drop_table(TABLE).await.unwrap();
    let splits = (1..10).map(|tablet| row_key(tablet * 10)).collect();
    world.master.create_table(schema(TABLE), splits).await.unwrap();
    let rows = (0..100).map(|k| put(k, 1)).collect();
    world.modify(rows, Atomicity::EachRow).await.unwrap();
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!((tiles(&world).await, tablets(&world.server).await.len()), (3, 10));
    assert_eq!(world.sum().await, (100, 100));
}
