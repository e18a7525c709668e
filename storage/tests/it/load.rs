//! Readers and writers at work on a table while something is done to its tablets.

use crate::split::{fill, tiles};
use crate::world::*;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use terrane_client::locate::TabletClient;
use terrane_client::program::{Atomicity, ModifyRequest, RowProgram};
use terrane_client::read::{GetRequest, Projected};
use terrane_client::service::TabletService;
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_env::random::SplitMix64;
use terrane_storage::server::ServerOptions;
use tokio::task::JoinHandle;

static NEXT_CLIENT: AtomicU64 = AtomicU64::new(100);

pub fn client(world: &World) -> TabletClient {
    let number = NEXT_CLIENT.fetch_add(1, Ordering::Relaxed);
    let server: Arc<dyn TabletService> = world.server.clone();
    let directory = move |name: &str| (name == SERVER).then(|| server.clone());
    TabletClient::new(number, world.locks.clone(), Arc::new(directory))
}

async fn modify(client: &TabletClient, programs: Vec<RowProgram>) {
    let request = ModifyRequest {
        request: client.request_id(),
        programs: Arc::new(programs),
        atomicity: Atomicity::EachRow,
    };
    let response = client.modify_rows(request).await.unwrap();
    assert!(response.results.iter().all(Result::is_ok), "{response:?}");
}

pub const ROWS: i64 = 2_000;

/// Adds one to rows, alone and in batches over the whole table, and reads what it wrote.
async fn write(
    client: TabletClient,
    writer: u64,
    stop: Arc<AtomicBool>,
    longest: Arc<AtomicU64>,
) -> i64 {
    let clock = terrane_env::Env::system().clock;
    let mut random = SplitMix64::new(writer);
    let mut added = 0;
    while !stop.load(Ordering::Relaxed) {
        let rows = [1, 1, 1, 20, 600][random.below(5) as usize];
        let programs: Vec<RowProgram> =
            (0..rows).map(|_| add(random.below(ROWS as u64) as i64, 1)).collect();
        let began = clock.monotonic();
        modify(&client, programs).await;
        if rows == 1 {
            let took = clock.monotonic() - began;
            longest.fetch_max(took.as_micros() as u64, Ordering::Relaxed);
        }
        added += rows;
    }
    added
}

async fn read(client: TabletClient, stop: Arc<AtomicBool>) -> usize {
    let mut scans = 0;
    let mut sum_before = 0;
    while !stop.load(Ordering::Relaxed) {
        let rows = scan(&client, &scan_request(vec![Projected::Column(A)])).await.unwrap().1;
        let sum: i64 = rows.iter().map(|row| if let Value::Int8(a) = row[0] { a } else { 0 }).sum();
        assert_eq!(rows.len(), ROWS as usize);
        assert!(sum >= sum_before, "{sum} after {sum_before}");
        sum_before = sum;
        let keys = (0..20).map(|k| row_key(k * 97)).collect();
        let (table, columns) = (TABLE, None);
        let map_parts = Default::default();
        let get = GetRequest { table, schema_version: 1, read_ts: None, keys, columns, map_parts };
        assert!(client.get(get).await.unwrap().rows.iter().all(Option::is_some));
        scans += 1;
    }
    scans
}

/// Four writers and two readers on a table of [`ROWS`] rows.
pub struct Load {
    world: Arc<World>,
    stop: Arc<AtomicBool>,
    /// Microseconds that a commit of one row took.
    longest: Arc<AtomicU64>,
    longest_alone: u64,
    writers: Vec<JoinHandle<i64>>,
    readers: Vec<JoinHandle<usize>>,
}

impl Load {
    /// Starts them, and lets them be alone for a while.
    pub async fn start() -> Self {
        // Writers are not slowed for their backlog: what a commit takes is then its own time.
        let options = ServerOptions { delay_max: Duration::ZERO, ..ServerOptions::small() };
        let world = Arc::new(World::with_table(options).await);
        fill(&world, 0..ROWS).await;
        let stop = Arc::new(AtomicBool::new(false));
        let longest = Arc::new(AtomicU64::new(0));
        let writer =
            |number| tokio::spawn(write(client(&world), number, stop.clone(), longest.clone()));
        let reader = |_| tokio::spawn(read(client(&world), stop.clone()));
        let (writers, readers) = ((0..4).map(writer).collect(), (0..2).map(reader).collect());
        tokio::time::sleep(Duration::from_millis(200)).await;
        let longest_alone = longest.swap(0, Ordering::Relaxed);
        Self { world, stop, longest, longest_alone, writers, readers }
    }

    /// Where they are at work.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Stops them. What they added is there, and is after a crash.
    pub async fn end(self) {
        let Self { world, stop, longest, longest_alone, writers, readers } = self;
        stop.store(true, Ordering::Relaxed);
        let added: i64 = join_all(writers).await.into_iter().map(Result::unwrap).sum();
        let scans: usize = join_all(readers).await.into_iter().map(Result::unwrap).sum();
        let longest = longest.load(Ordering::Relaxed);
        eprintln!(
            "{added} rows added, {scans} scans; longest commit {longest} us, alone {longest_alone} us"
        );
        let expected = (ROWS + added, ROWS as usize);
        assert_eq!(world.sum().await, expected);
        let count = tiles(&world).await;
        let world = Arc::try_unwrap(world).unwrap_or_else(|_| panic!("still shared"));
        let world = world.crash(1, CrashMode::DropUnsynced).await;
        assert_eq!((tiles(&world).await, world.sum().await), (count, expected));
        world.server.compact(TABLE).await.unwrap();
        assert_eq!(world.sum().await, expected);
    }
}
