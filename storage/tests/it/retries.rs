//! Answers that are lost, and requests that are sent again: each request counts once (rule 5).

use crate::merge::merge_at;
use crate::split::split_at;
use crate::world::*;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::cell;
use terrane_client::error::TabletError;
use terrane_client::expr::{BinaryOp, Expr};
use terrane_client::ids::RequestId;
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, ModifyRequest};
use terrane_client::schema::TableSchema;
use terrane_client::service::TabletService;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::Env;
use terrane_env::clock::ManualClock;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};
use terrane_env::random::SplitMix64;
use terrane_storage::server::ServerOptions;

const REQUESTS: u64 = 400;

fn literal(text: &str) -> Box<Expr> {
    Box::new(Expr::Literal(Value::Text(text.to_owned()), DataType::Text))
}

/// SET a = a + 1, m['log'] = coalesce(m['log'], '') || 'x'
fn count(number: u64) -> ModifyRequest {
    let own = || Box::new(Expr::Column(M, map_type()));
    let known = Expr::MapGet { map: own(), key: literal("log"), result: DataType::Text };
    let value = Expr::Binary {
        op: BinaryOp::Concat,
        left: Box::new(Expr::Coalesce(vec![known, *literal("")], DataType::Text)),
        right: literal("x"),
        result: DataType::Text,
    };
    let put = Expr::MapPut { map: own(), key: literal("log"), value: Box::new(value) };
    let assignments = vec![(A, add_expr(1)), (M, put)];
    let programs = Arc::new(vec![program(1, Guard::Any, Action::Update { assignments })]);
    let request = RequestId { client: 99, number };
    ModifyRequest { request, programs, atomicity: Atomicity::AllOrNone }
}

/// The two sums as they are stored.
async fn sums(world: &World) -> (i64, usize) {
    let row = world.get(1).await.unwrap();
    let map = cell::decode(row.cells.get(M).unwrap().unwrap(), &map_type()).unwrap();
    let Value::Map(entries) = map else { panic!("{map:?}") };
    let log = entries.first().map_or(0, |(_, log)| match log {
        Value::Text(log) => log.len(),
        other => panic!("{other:?}"),
    });
    (a_of(&row), log)
}

/// Every seventh answer is lost, some by a crash, before or after the request was durable; whoever asked asks again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_a_request_whose_answer_is_lost_counts_once() {
    for seed in 1..=3 {
        let mut random = SplitMix64::new(seed);
        let mut world = World::new(ServerOptions::small()).await;
        world.master.create_table(with_map(schema(TABLE)), Vec::new()).await.unwrap();
        world.run(insert(1, 0)).await.unwrap();
        for number in 1..=REQUESTS {
            if number % 7 == 0 {
                // It is carried out; nobody hears of it.
                let applied = world.server.apply_rows(count(number)).await.unwrap();
                if random.chance(0.5) {
                    applied.durable.await.unwrap();
                }
                if random.chance(0.3) {
                    world = world.crash(seed * REQUESTS + number, CrashMode::Random).await;
                }
            }
            match world.server.modify_rows(count(number)).await {
                // A start knows that it was carried out, and no longer what was answered.
                Ok(_) | Err(TabletError::OutcomeUnknown(_)) => {}
                Err(error) => panic!("{error}"),
            }
            if random.chance(0.02) {
                world.server.flush(None).await.unwrap();
            }
        }
        assert_eq!(sums(&world).await, (REQUESTS as i64, REQUESTS as usize), "seed {seed}");
        let world = world.crash(seed, CrashMode::DropUnsynced).await;
        assert_eq!(sums(&world).await, (REQUESTS as i64, REQUESTS as usize), "seed {seed}");
    }
}

/// What a retry of a request is after each way in which the log loses its record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_a_request_is_known_when_its_record_has_left_the_log() {
    for layout in [LAYOUTS[0], LAYOUTS[3]] {
        let mut world = World::with_groups(ServerOptions::small(), layout).await;
        for k in 0..10 {
            world.run(insert(k, 0)).await.unwrap();
        }
        let request = ModifyRequest {
            request: RequestId { client: 98, number: 5 },
            programs: Arc::new(vec![add(3, 1), add(7, 1)]),
            atomicity: Atomicity::AllOrNone,
        };
        world.server.modify_rows(request.clone()).await.unwrap();
        for step in ["stop", "merge", "crash", "split", "crash", "merge of tablets", "crash"] {
            match step {
                "merge" => {
                    world.run(add(5, 0)).await.unwrap();
                    world.server.flush(Some(TABLE)).await.unwrap();
                    world.server.compact(TABLE).await.unwrap();
                }
                "split" => {
                    split_at(&world.server, 5).await.unwrap();
                    world.server.compact(TABLE).await.unwrap();
                }
                "merge of tablets" => {
                    merge_at(&world.server, 5).await.unwrap();
                    world.server.compact(TABLE).await.unwrap();
                }
                "crash" => world = world.crash(1, CrashMode::DropUnsynced).await,
                _ => world = world.reopen().await,
            }
            let again = world.server.modify_rows(request.clone()).await;
            assert!(matches!(again, Err(TabletError::OutcomeUnknown(_))), "{step}: {again:?}");
        }
        assert_eq!(world.sum().await, (2, 10));
    }
}

/// A row that came and went leaves nothing behind, but that its requests are known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_5_a_request_is_known_when_what_it_wrote_is_gone() {
    let world = World::new(ServerOptions::small()).await;
    let table = TableSchema { history_micros: 0, ..schema(TABLE) };
    world.master.create_table(table, Vec::new()).await.unwrap();
    let request = ModifyRequest {
        request: RequestId { client: 98, number: 5 },
        programs: Arc::new(vec![insert(3, 1)]),
        atomicity: Atomicity::AllOrNone,
    };
    world.server.modify_rows(request.clone()).await.unwrap();
    world.run(delete(3)).await.unwrap();
    world.server.flush(Some(TABLE)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    let world = world.reopen().await;
    let again = world.server.modify_rows(request).await;
    assert!(matches!(again, Err(TabletError::OutcomeUnknown(_))), "{again:?}");
    assert_eq!(world.sum().await, (0, 0));
    world.run(insert(4, 1)).await.unwrap();
    world.server.flush(Some(TABLE)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(world.sum().await, (1, 1));
}

/// What is fifteen minutes old nobody has to know: files do not collect ids for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_forgotten_after_a_quarter_of_an_hour() {
    let clock = Arc::new(ManualClock::new(1_800_000_000_000_000));
    let disk = CrashFileSystem::new(1);
    let env = Env::system().with_files(Arc::new(disk.clone())).with_clock(clock.clone());
    let (locks, options) = (Arc::new(TestLocks::default()), ServerOptions::small());
    let world = World::open_in(env.clone(), disk, locks, options).await.unwrap();
    world.master.create_table(schema(TABLE), Vec::new()).await.unwrap();
    let request = |number| ModifyRequest {
        request: RequestId { client: 98, number },
        programs: Arc::new(vec![put(number as i64, 1)]),
        atomicity: Atomicity::AllOrNone,
    };
    world.server.modify_rows(request(1)).await.unwrap();
    world.server.flush(Some(TABLE)).await.unwrap();
    clock.advance(Duration::from_secs(10 * 60));
    world.server.modify_rows(request(2)).await.unwrap();
    clock.advance(Duration::from_secs(7 * 60));
    world.server.flush(Some(TABLE)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    let World { disk, locks, options, server, master, .. } = world;
    master.stop().await.unwrap();
    server.close().await;
    let world = World::open_in(env, disk, locks, options).await.unwrap();
    let again = world.server.modify_rows(request(2)).await;
    assert!(matches!(again, Err(TabletError::OutcomeUnknown(_))), "{again:?}");
    let forgotten = world.server.modify_rows(request(1)).await;
    assert!(forgotten.is_ok(), "{forgotten:?}");
}
