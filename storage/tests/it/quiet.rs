//! Loads in key order: nothing is written a second time while they go on, and their files are joined when
//! they have ended.

use crate::world::{TABLE, World, insert};
use std::ops::Range;
use std::time::Duration;
use terrane_client::service::TabletService;
use terrane_storage::server::ServerOptions;

/// How many files and runs the table has.
async fn files_and_runs(world: &World) -> (usize, usize) {
    let status = world.server.status().await.unwrap();
    let tablet = status.into_iter().find(|tablet| tablet.row.table == TABLE).unwrap();
    let runs = &tablet.row.groups[0].runs;
    (runs.iter().map(|run| run.files.len()).sum(), runs.len())
}

async fn load(world: &World, flushes: Range<i64>) {
    for flush in flushes {
        for k in flush * 10..flush * 10 + 10 {
            world.run(insert(k, 1)).await.unwrap();
        }
        world.server.flush(Some(TABLE)).await.unwrap();
    }
}

/// Waits for the compaction thread to have left as many files and runs as wanted.
async fn settled(world: &World, wanted: impl Fn(usize, usize) -> bool) {
    for _ in 0..1000 {
        let (files, runs) = files_and_runs(world).await;
        if wanted(files, runs) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?} files and runs stay", files_and_runs(world).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_in_key_order_rewrites_nothing_while_it_goes_on() {
    let world = World::with_table(ServerOptions::small()).await;
    load(&world, 0..20).await;
    // Few runs, of each flush's file as it was.
    settled(&world, |files, runs| files == 20 && runs < 10).await;
    assert_eq!(world.sum().await, (200, 200));
    // But there is an end to it.
    load(&world, 20..120).await;
    settled(&world, |files, runs| files < 90 && runs < 10).await;
    assert_eq!(world.sum().await.1, 1200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_files_are_joined_in_a_quiet_time() {
    let quiet_after = Duration::from_millis(200);
    let world = World::with_table(ServerOptions { quiet_after, ..ServerOptions::small() }).await;
    load(&world, 0..20).await;
    settled(&world, |files, _| files < 8).await;
    assert_eq!(world.sum().await, (200, 200));
}
