//! One row that is updated again and again.

use crate::world::*;
use std::path::Path;
use std::sync::Arc;
use terrane_client::ids::RequestId;
use terrane_client::master::MasterService;
use terrane_client::program::{Atomicity, ModifyRequest};
use terrane_client::schema::TableSchema;
use terrane_client::service::TabletService;
use terrane_storage::server::ServerOptions;

/// Updates a row of a table without history this many times, each a commit. What was logged, and what was written to
/// files of the table, by flushes and merges together, in bytes.
async fn updated(times: u64, options: ServerOptions) -> (u64, u64) {
    let world = World::new(options).await;
    let table = TableSchema { history_micros: 0, ..schema(TABLE) };
    world.master.create_table(table, Vec::new()).await.unwrap();
    world.run(insert(1, 0)).await.unwrap();
    let programs = Arc::new(vec![add(1, 1)]);
    let mut last = None;
    for number in 1..=times {
        let request = ModifyRequest {
            request: RequestId { client: 97, number },
            programs: programs.clone(),
            atomicity: Atomicity::AllOrNone,
        };
        let applied = world.server.apply_rows(request).await.unwrap();
        if number % 256 == 0 {
            applied.durable.await.unwrap();
        } else {
            last = Some(applied);
        }
    }
    drop(last);
    world.server.flush(Some(TABLE)).await.unwrap();
    world.server.compact(TABLE).await.unwrap();
    assert_eq!(world.sum().await, (times as i64, 1));
    let logged = world.server.metrics().users_log.bytes_written;
    (logged, world.disk.counters(Path::new("/data/tables")).bytes_written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_row_is_flushed_as_one_version() {
    let (logged, stored) = updated(100_000, ServerOptions::small()).await;
    eprintln!("{logged} bytes logged, {stored} stored");
    assert!(logged > 5_000_000 && stored * 100 < logged, "{logged} logged, {stored} stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten million commits"]
async fn a_row_updated_ten_million_times_is_flushed_as_one_version() {
    let (logged, stored) = updated(10_000_000, ServerOptions::default()).await;
    eprintln!("{logged} bytes logged, {stored} stored");
    assert!(stored * 100 < logged, "{logged} logged, {stored} stored");
}
