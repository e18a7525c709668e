//! Answers that are lost, and requests that are sent again: each request counts once (rule 5).

use crate::world::*;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::error::TabletError;
use terrane_client::expr::{BinaryOp, Expr};
use terrane_client::ids::RequestId;
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, ModifyRequest};
use terrane_client::service::TabletService;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
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
