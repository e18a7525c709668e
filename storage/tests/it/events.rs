//! What has happened to tablets is told afterwards, also by the next server; what is happening, at once.

use crate::split::{fill, split_at, tablets};
use crate::world::*;
use std::sync::Arc;
use terrane_client::metadata::events::{EVENTS_MAX, EventKind, TabletEvent};
use terrane_client::service::TabletService;
use terrane_client::status::{CompactionState, JobStatus, ServerStatus};
use terrane_env::files::crash::CrashMode;
use terrane_storage::server::ServerOptions;

fn options() -> ServerOptions {
    ServerOptions { compaction: false, ..ServerOptions::small() }
}

/// Kind and reason of each event of the table's first tablet.
async fn told(world: &World) -> Vec<(EventKind, String)> {
    let rows = tablets(&world.server).await;
    let of_event = |event: &TabletEvent| (event.kind, event.reason.clone());
    rows[0].events.iter().map(of_event).collect()
}

async fn status(world: &World) -> ServerStatus {
    world.server.server_status().await.unwrap().remove(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tablets_events_are_kept_in_metadata() {
    use EventKind::{Compaction, Flush, Load, Merge, Recovery, Split};
    let world = World::with_table(options()).await;
    fill(&world, 0..100).await;
    world.server.flush(Some(TABLE)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    split_at(&world.server, 50).await.unwrap();
    world.run(add(1, 1)).await.unwrap();
    world.server.merge(TABLE, row_key(50)).await.unwrap();
    world.run(add(1, 1)).await.unwrap();
    let mut known: Vec<(EventKind, String)> = [
        (Load, "created"),
        (Flush, "request"),
        (Compaction, "request"),
        (Split, "request"),
        (Split, "request"),
        (Flush, "merge"),
        (Merge, "request"),
    ]
    .map(|(kind, reason)| (kind, reason.to_owned()))
    .into();
    let distinct = |events: Vec<(EventKind, String)>| {
        let mut events = events;
        events.dedup();
        events
    };
    // Both halves have what their parent had.
    let told_now = told(&world).await;
    let of_one: Vec<_> = told_now.iter().filter(|event| event.0 != Load).cloned().collect();
    assert_eq!(told_now.first().map(|event| event.0), Some(Load), "{told_now:?}");
    assert_eq!(of_one.last(), known.last(), "{told_now:?}");
    for wanted in &known {
        assert!(told_now.contains(wanted), "{wanted:?} is not in {told_now:?}");
    }
    // A crash takes none of them, and adds what it is to the tablet.
    let world = world.crash(1, CrashMode::DropUnsynced).await;
    let after = told(&world).await;
    known = told_now;
    known.push((Recovery, "1 rows in the log".to_owned()));
    known.push((Load, "assigned".to_owned()));
    let newest = known.len().saturating_sub(EVENTS_MAX);
    assert_eq!(distinct(after), distinct(known.split_off(newest)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_newest_events_are_kept() {
    let world = World::with_table(options()).await;
    for k in 0..3 * EVENTS_MAX as i64 {
        world.run(put(k, 1)).await.unwrap();
        world.server.flush(Some(TABLE)).await.unwrap();
    }
    let events = &tablets(&world.server).await[0].events;
    assert_eq!(events.len(), EVENTS_MAX);
    assert!(events.iter().all(|event| event.kind == EventKind::Flush && event.bytes > 0));
    assert!(events.is_sorted_by_key(|event| event.at_micros));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_under_way_is_listed_and_what_waits() {
    let world = Arc::new(World::with_table(options()).await);
    fill(&world, 0..100).await;
    let jobs = async || -> Vec<JobStatus> { status(&world).await.jobs };
    assert_eq!(jobs().await, []);
    let steps = [
        ("flush.before_publish", EventKind::Flush),
        ("compact.before_publish", EventKind::Compaction),
        ("split.before_right", EventKind::Split),
        ("merge.before_union", EventKind::Merge),
    ];
    for (place, kind) in steps {
        let gate = world.env.failpoints.gate(place);
        let working = tokio::spawn({
            let world = world.clone();
            async move {
                match kind {
                    EventKind::Flush => world.server.flush(Some(TABLE)).await,
                    EventKind::Compaction => world.server.compact(TABLE).await,
                    EventKind::Split => split_at(&world.server, 50).await,
                    _ => world.server.merge(TABLE, row_key(50)).await,
                }
            }
        });
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_reached(1)).await.unwrap();
        let listed = jobs().await;
        let running: Vec<_> = listed.iter().filter(|job| job.is_running).collect();
        assert_eq!(running.len(), 1, "{place}: {listed:?}");
        assert_eq!((running[0].kind, running[0].tablet.table), (kind, TABLE), "{place}");
        assert!(running[0].started_micros.is_some());
        world.env.failpoints.disarm(place);
        gate.open();
        working.await.unwrap().unwrap();
        assert!(jobs().await.iter().all(|job| !job.is_running), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compactions_are_remembered_with_how_they_ended() {
    let world = World::with_table(options()).await;
    for a in 1..4 {
        world
            .modify(
                (0..50).map(|k| put(k, a)).collect(),
                terrane_client::program::Atomicity::EachRow,
            )
            .await
            .unwrap();
        world.server.flush(Some(TABLE)).await.unwrap();
    }
    world.env.failpoints.fail("compact.before_publish", "no");
    world.server.compact(TABLE).await.unwrap_err();
    world.env.failpoints.disarm("compact.before_publish");
    world.server.compact(TABLE).await.unwrap();
    let compactions = status(&world).await.compactions;
    let [done, failed] = &compactions[..] else { panic!("{compactions:?}") };
    assert_eq!((done.runs, done.input_rows, done.output_rows), (3, 150, 50));
    assert_eq!((done.state.clone(), done.is_major), (CompactionState::Done, true));
    assert_eq!((done.output_files, &*done.reason), (1, "request"));
    assert!(done.output_bytes > 0 && done.input_bytes > done.output_bytes);
    assert!(
        matches!(&failed.state, CompactionState::Failed(why) if why.contains("no")),
        "{failed:?}"
    );
}
