//! Disks that fill up, fail and lie.

use crate::split::{split_at, tablets};
use crate::world::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::program::{Action, Atomicity, Guard, RowProgram};
use terrane_client::service::TabletService;
use terrane_env::Operation;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::{CrashMode, Fault, FaultKind};
use terrane_env::random::SplitMix64;
use terrane_storage::server::ServerOptions;

/// A row of 8 kB that do not compress.
fn big(k: i64) -> RowProgram {
    let mut random = SplitMix64::new(k as u64);
    let mut text = String::with_capacity(8000);
    while text.len() < 8000 {
        text.push(char::from(b' ' + random.below(94) as u8));
    }
    program(k, Guard::Absent, Action::Put { cells: cells(k, Some(&text), None) })
}

/// Issue 2, point 4: a full disk refuses writes with 53100 and loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let mut world = World::with_table(ServerOptions::small()).await;
    world.disk.set_capacity(Some(world.disk.used_bytes() + (6 << 20)));
    let mut written = 0;
    let refused = loop {
        match world.modify(vec![big(written)], Atomicity::EachRow).await {
            Ok(response) => assert!(response.results[0].is_ok()),
            Err(error) => break error,
        }
        written += 1;
        assert!(written < 5000, "the disk never filled up");
    };
    assert!(matches!(refused, TabletError::DiskFull(_)), "{refused}");
    assert_eq!(world.sum().await, ((0..written).sum(), written as usize), "reads go on");
    for mode in [CrashMode::DropUnsynced, CrashMode::KeepWritten] {
        world = world.crash(1, mode).await;
        assert_eq!(world.sum().await, ((0..written).sum(), written as usize));
    }
    // The clone has room again; what was refused goes in now.
    world.run(big(written)).await.unwrap();
    world.server.flush(None).await.unwrap();
    assert_eq!(world.sum().await.1, written as usize + 1);
}

/// With the disk full and then not, the same server goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_has_room_again_is_written_again() {
    let world = World::with_table(ServerOptions::small()).await;
    world.disk.set_capacity(Some(world.disk.used_bytes() + (4 << 20)));
    let mut written = 0;
    while world.modify(vec![big(written)], Atomicity::EachRow).await.is_ok() {
        written += 1;
    }
    let flushed = world.server.flush(None).await;
    world.disk.set_capacity(None);
    if let Err(error) = flushed {
        assert!(matches!(error, TabletError::DiskFull(_)), "{error}");
    }
    for k in written..written + 200 {
        world.run(big(k)).await.unwrap();
    }
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(world.sum().await.1, written as usize + 200);
    let world = world.reopen().await;
    assert_eq!(world.sum().await.1, written as usize + 200);
}

/// A flush that cannot write keeps its rows readable, is tried again, and leaves no file behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_flush_leaves_no_trace_and_is_repeated() {
    let world = World::with_table(ServerOptions::small()).await;
    for k in 0..20 {
        world.run(big(k)).await.unwrap();
    }
    let tables = "/data/tables";
    for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::SyncDir] {
        world.disk.add_fault(Fault::on(tables, FaultKind::Io).operation(operation));
        let failed = world.server.flush(Some(TABLE)).await;
        assert!(matches!(failed, Err(TabletError::Io(_))), "{operation}: {failed:?}");
        world.disk.clear_faults();
        assert_eq!(world.sum().await.1, 20);
        assert_eq!(files_of(&world), 0, "{operation}");
    }
    world.server.flush(Some(TABLE)).await.unwrap();
    assert_eq!(files_of(&world), 1);
    assert_eq!(world.sum().await.1, 20);
}

fn files_of(world: &World) -> usize {
    let directory = PathBuf::from(format!("/data/tables/{TABLE}"));
    world.disk.list(&directory).map_or(0, |files| files.len())
}

/// A log that cannot be written, nor repaired elsewhere, stops writes with a clear error; reads go on, and
/// what was acknowledged is there after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_log_stops_writes_and_not_reads() {
    let world = World::with_table(ServerOptions::small()).await;
    for k in 0..20 {
        world.run(insert(k, k)).await.unwrap();
    }
    let log = "log-users";
    for operation in [Operation::Write, Operation::Sync, Operation::Create, Operation::Rename] {
        world.disk.add_fault(Fault::on(log, FaultKind::Io).operation(operation));
    }
    let first = world.modify(vec![insert(20, 20)], Atomicity::EachRow).await;
    assert!(matches!(first, Err(TabletError::OutcomeUnknown(_))), "{first:?}");
    let later = world.modify(vec![insert(21, 21)], Atomicity::EachRow).await;
    assert!(matches!(later, Err(TabletError::Unavailable(_))), "{later:?}");
    assert_eq!(world.sum().await, ((0..20).sum(), 20), "nothing unsynced is shown");
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    assert_eq!(world.sum().await, ((0..20).sum(), 20));
    world.run(insert(20, 20)).await.unwrap();
}

/// A METADATA edit whose outcome is not known may have been made: its files stay, no other edit is tried,
/// and a restart finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_edit_of_unknown_outcome_there_is_no_other() {
    let world = World::with_table(ServerOptions::small()).await;
    for k in 0..20 {
        world.run(insert(k, k)).await.unwrap();
    }
    for operation in [Operation::Write, Operation::Sync, Operation::Create, Operation::Rename] {
        world.disk.add_fault(Fault::on("log-metadata", FaultKind::Io).operation(operation));
    }
    let first = world.server.flush(Some(TABLE)).await;
    assert!(matches!(first, Err(TabletError::OutcomeUnknown(_))), "{first:?}");
    assert_eq!(files_of(&world), 1, "METADATA may name it");
    world.run(insert(20, 20)).await.unwrap();
    let later = world.server.flush(Some(TABLE)).await;
    assert!(matches!(later, Err(TabletError::Unavailable(_))), "{later:?}");
    assert_eq!(world.sum().await, ((0..21).sum(), 21));
    for mode in [CrashMode::DropUnsynced, CrashMode::KeepWritten] {
        let disk = world.disk.crash_clone(3, mode);
        let again = World::open(disk, world.locks.snapshot(), world.options.clone()).await.unwrap();
        assert_eq!(again.sum().await, ((0..21).sum(), 21));
        again.server.flush(Some(TABLE)).await.unwrap();
        assert_eq!(again.sum().await, ((0..21).sum(), 21));
    }
}

/// Every bit of an SSTable is covered: a flipped one is reported with file and offset, by reads or at
/// the start, never a panic, never a wrong answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_file_is_reported_with_its_place() {
    let world = World::with_table(ServerOptions::small()).await;
    for k in 0..300 {
        world.run(insert(k, k)).await.unwrap();
    }
    world.server.flush(Some(TABLE)).await.unwrap();
    let row = world.server.status().await.unwrap().into_iter().find(|t| t.row.table == TABLE);
    let file = row.unwrap().row.groups[0].runs[0].files[0].clone();
    let path = PathBuf::from(format!("/data/tables/{TABLE}/{}", file.name));
    let mut reported = 0;
    for offset in (0..file.size_bytes).step_by(97) {
        let disk = world.disk.kill_clone();
        disk.flip_bit(&path, offset, (offset % 8) as u8).unwrap();
        let options = world.options.clone();
        let damaged = World::open(disk, world.locks.snapshot(), options).await.unwrap();
        let mut all = Vec::new();
        for k in 0..300 {
            all.push(damaged.get_at(k, None).await);
        }
        for (k, found) in all.into_iter().enumerate() {
            match found {
                Ok(row) => assert_eq!(a_of(&row.unwrap()), k as i64),
                Err(TabletError::Corruption { file, .. }) => {
                    assert_eq!(Path::new(&file), path);
                    reported += 1;
                }
                Err(error) => panic!("offset {offset}: {error}"),
            }
        }
    }
    assert!(reported > 1000, "{reported}");
}

/// The same for the log's middle: the start is refused, with file and offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_logs_middle_refuses_the_start() {
    let world = World::with_table(ServerOptions::small()).await;
    for k in 0..100 {
        world.run(insert(k, k)).await.unwrap();
    }
    let log = PathBuf::from("/data/servers").join(SERVER).join("log-users");
    let segment = log.join(world.disk.list(&log).unwrap().into_iter().next().unwrap());
    let disk = world.disk.kill_clone();
    disk.flip_bit(&segment, 1500, 3).unwrap();
    let refused = World::open(disk, world.locks.snapshot(), world.options.clone()).await;
    match refused.map(|_| ()) {
        Err(TabletError::Corruption { file, .. }) => assert_eq!(Path::new(&file), segment),
        other => panic!("{other:?}"),
    }
}

/// A server that is dropped in the middle of background work takes its threads with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_server_ends_its_threads() {
    let world = World::with_table(ServerOptions::small()).await;
    world.run(insert(1, 1)).await.unwrap();
    let weak = Arc::downgrade(&world.server);
    drop(world);
    for _ in 0..200 {
        if weak.upgrade().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("somebody still holds the server");
}

/// One tablet's file is gone: reads of its rows say so, the other tablet's rows are read and written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tablet_that_cannot_be_loaded_says_why_and_holds_up_no_other() {
    let world = World::with_table(ServerOptions::small()).await;
    for k in 0..20 {
        world.run(insert(k, k)).await.unwrap();
    }
    split_at(&world.server, 10).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    let right = tablets(&world.server).await.remove(1);
    let file = right.groups[0].runs[0].files[0].name.clone();
    let disk = world.disk.kill_clone();
    disk.remove(&PathBuf::from(format!("/data/tables/{TABLE}/{file}"))).unwrap();
    let options = world.options.clone();
    let world = World::open(disk, world.locks.snapshot(), options).await.unwrap();
    assert_eq!(a_of(&world.get_at(3, None).await.unwrap().unwrap()), 3);
    world.run(add(3, 1)).await.unwrap();
    let why = world.get_at(13, None).await.unwrap_err();
    assert!(matches!(&why, TabletError::Io(text) if text.contains(&file)), "{why:?}");
    let written = world.modify(vec![add(13, 1)], Atomicity::EachRow).await;
    assert!(matches!(&written, Err(TabletError::Io(text)) if text.contains(&file)), "{written:?}");
}
