//! Many clients at once, while memtables are flushed and runs merged under them.

use crate::world::*;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use terrane_client::program::{Action, Atomicity, Guard, RowOutcome};
use terrane_client::read::Projected;
use terrane_client::service::TabletService;
use terrane_client::value::Value;
use terrane_env::random::SplitMix64;
use terrane_storage::server::ServerOptions;

/// Issue 2, point 5: 64 clients on one row sum exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_clients_on_one_row_sum_exactly() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    world.run(insert(1, 0)).await.unwrap();
    let clients = (0..64).map(|_| {
        let world = world.clone();
        tokio::spawn(async move {
            for _ in 0..30 {
                assert_eq!(
                    world.run(add(1, 1)).await.unwrap(),
                    RowOutcome::Applied { inserted: false, row: None }
                );
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
    assert_eq!(a_of(&world.get(1).await.unwrap()), 64 * 30);
}

/// Whoever was answered reads what it was told: its own write, and the row that stood in its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_answer_is_visible_to_whom_it_was_given() {
    let world = Arc::new(World::with_table(ServerOptions::small()).await);
    let clients = (0..16i64).map(|client| {
        let world = world.clone();
        tokio::spawn(async move {
            for n in 0..100 {
                world.run(put(client, n)).await.unwrap();
                assert_eq!(a_of(&world.get(client).await.unwrap()), n);
                // Two clients want each of these keys; the loser sees the winner's row.
                let contested = 1000 + n * 8 + client / 2;
                if world.run(insert(contested, client)).await.is_err() {
                    assert_eq!(a_of(&world.get(contested).await.unwrap()), client ^ 1);
                }
            }
        })
    });
    for client in join_all(clients).await {
        client.unwrap();
    }
}

const ACCOUNTS: i64 = 50;
const EACH: i64 = 1000;

/// Money moves between accounts in commits of two rows; whoever scans, at the newest timestamp or an older
/// one, sees all of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scan_sees_one_moment_while_money_moves() {
    let options = ServerOptions { memtable_bytes: 256 << 10, ..ServerOptions::small() };
    let world = Arc::new(World::with_table(options).await);
    let text = "x".repeat(500);
    let open = |k| {
        let cells = cells(EACH, Some(&text), None);
        program(k, Guard::Absent, Action::Put { cells })
    };
    world.modify((0..ACCOUNTS).map(open).collect(), Atomicity::AllOrNone).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let movers = (0..4u64).map(|seed| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut random = SplitMix64::new(seed);
            for _ in 0..400 {
                let from = random.below(ACCOUNTS as u64) as i64;
                let to = random.below(ACCOUNTS as u64) as i64;
                let amount = random.below(100) as i64;
                let programs = vec![add(from, -amount), add(to, amount)];
                world.modify(programs, Atomicity::AllOrNone).await.unwrap();
            }
        })
    });
    let watching = AtomicU64::new(0);
    let watchers = (0..3u64).map(|seed| {
        let (world, is_over, watching) = (world.clone(), is_over.clone(), &watching);
        async move {
            let mut random = SplitMix64::new(seed);
            let mut seen = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let mut request = scan_request(vec![Projected::Column(A)]);
                if random.chance(0.3) && !seen.is_empty() {
                    request.read_ts = Some(seen[random.below(seen.len() as u64) as usize]);
                }
                let (at, rows) = scan(&*world.server, &request).await.unwrap();
                let amount = |row: &Vec<Value>| match row[0] {
                    Value::Int8(a) => a,
                    ref other => panic!("{other:?}"),
                };
                let sum: i64 = rows.iter().map(amount).sum();
                assert_eq!((rows.len() as i64, sum), (ACCOUNTS, ACCOUNTS * EACH), "at {at:?}");
                seen.push(at);
                watching.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let moving = async {
        for mover in join_all(movers).await {
            mover.unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(moving, join_all(watchers));
    assert!(watching.load(Ordering::Relaxed) > 20, "{watching:?}");
    assert!(world.server.metrics().runs_most > 0, "nothing was flushed meanwhile");
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(world.sum().await, (ACCOUNTS * EACH, ACCOUNTS as usize));
}

/// A load far larger than the memory budget: memory stays near it, writers are slowed and not refused, the
/// log is given up behind the flushes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_load_larger_than_memory_goes_through() {
    let options = ServerOptions { memtable_bytes: 512 << 10, ..ServerOptions::small() };
    let world = Arc::new(World::with_table(options).await);
    let writers = (0..4i64).map(|writer| {
        let world = world.clone();
        tokio::spawn(async move {
            let text = "x".repeat(200);
            for start in (0..10_000).step_by(250) {
                let row = |k: i64| {
                    let cells = cells(1, Some(&text), None);
                    // Keys of all writers mixed, so that runs overlap.
                    program(k * 4 + writer, Guard::Absent, Action::Put { cells })
                };
                let programs = (start..start + 250).map(row).collect();
                let response = world.modify(programs, Atomicity::EachRow).await.unwrap();
                assert!(response.results.iter().all(Result::is_ok));
            }
        })
    });
    let mut memory = 0;
    let all = join_all(writers);
    tokio::pin!(all);
    loop {
        tokio::select! {
            done = &mut all => {
                done.into_iter().for_each(|writer| writer.unwrap());
                break;
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {
                memory = memory.max(world.server.metrics().memtable_bytes);
            }
        }
    }
    assert_eq!(world.sum().await, (40_000, 40_000));
    assert!(memory < 8 * (512 << 10), "memtables had {memory} bytes");
    world.server.flush(None).await.unwrap();
    let metrics = world.server.metrics();
    assert!(metrics.users_log.segments < 10, "{metrics:?}");
    assert!(metrics.memtable_bytes < 64 << 10, "only METADATA's last edits: {metrics:?}");
    let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
    let world = world.reopen().await;
    assert_eq!(world.sum().await, (40_000, 40_000));
}
