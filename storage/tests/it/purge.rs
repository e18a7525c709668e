//! Rule 13: what is deleted, overwritten or expired is in no file of the data directory by the deadline of a table that
//! promises that: searched for as bytes, in files that are stored as they are.

use crate::maps::{row_with, set};
use crate::split::split_at;
use crate::world::*;
use futures::StreamExt;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use terrane_client::cell;
use terrane_client::error::TabletError;
use terrane_client::expr::Expr;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, RowProgram};
use terrane_client::read::Projected;
use terrane_client::row::CellsBuilder;
use terrane_client::schema::{CellGc, TableSchema};
use terrane_client::service::TabletService;
use terrane_client::status::PurgeStatus;
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::Env;
use terrane_env::clock::ManualClock;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};
use terrane_storage::server::ServerOptions;
use terrane_storage::sstable::Codec;

const SECOND: i64 = 1_000_000;
/// What the table promises.
const WITHIN: i64 = 160 * SECOND;

fn options() -> ServerOptions {
    ServerOptions {
        flush_codec: Codec::None,
        compaction_codec: Codec::None,
        // The purge has to do it alone.
        compaction: false,
        ..ServerOptions::small()
    }
}

fn table() -> TableSchema {
    let table = schema(TABLE);
    TableSchema { history_micros: 0, purge_within_micros: Some(WITHIN), ..table }
}

struct Purged {
    world: World,
    clock: Arc<ManualClock>,
}

impl Purged {
    async fn new(table: TableSchema) -> Self {
        let clock = Arc::new(ManualClock::new(1_000 * SECOND));
        let disk = CrashFileSystem::new(1);
        let world = open(&clock, disk, Arc::default(), options()).await;
        world.master.create_table(table, Vec::new()).await.unwrap();
        let purged = Self { world, clock };
        purged.pass(0);
        purged
    }

    /// The same after the process was killed, or the power cut.
    async fn crash(self, mode: Option<CrashMode>) -> Self {
        self.world.disk.halt();
        let disk = match mode {
            None => self.world.disk.kill_clone(),
            Some(mode) => self.world.disk.crash_clone(7, mode),
        };
        let Self { world, clock } = self;
        let World { locks, options, server, master, .. } = world;
        drop((server, master));
        Self { world: open(&clock, disk, locks.snapshot(), options).await, clock }
    }

    /// Lets time pass, and the purge thread look as often as it would.
    fn pass(&self, micros: i64) {
        let step = WITHIN / 16;
        let mut left = micros;
        loop {
            self.world.server.purge_round().unwrap();
            if left == 0 {
                return;
            }
            let by = left.min(step);
            self.clock.advance(Duration::from_micros(by as u64));
            left -= by;
        }
    }

    async fn put(&self, k: i64, text: &str) {
        self.world.run(put_text(k, text)).await.unwrap();
    }

    async fn statuses(&self) -> Vec<PurgeStatus> {
        self.world.server.server_status().await.unwrap().remove(0).purges
    }
}

async fn open(
    clock: &Arc<ManualClock>,
    disk: CrashFileSystem,
    locks: Arc<TestLocks>,
    options: ServerOptions,
) -> World {
    let env = Env::system().with_files(Arc::new(disk.clone())).with_clock(clock.clone());
    World::open_in(env, disk, locks, options).await.unwrap()
}

fn put_text(k: i64, text: &str) -> RowProgram {
    program(k, Guard::Any, Action::Put { cells: cells(k, Some(text), None) })
}

/// Thirty-two bytes that are nowhere else.
fn marker(n: u64) -> String {
    format!(
        "{:016x}{:016x}",
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        !n.wrapping_mul(0xd6e8_feb8_6659_fd93)
    )
}

/// The files that hold some bytes.
fn files_with(disk: &CrashFileSystem, bytes: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::from("/data")];
    while let Some(path) = left.pop() {
        match disk.list(&path) {
            Ok(names) => left.extend(names.iter().map(|name| path.join(name))),
            Err(_) => {
                let held = disk.read(&path).unwrap_or_default();
                if held.windows(bytes.len()).any(|window| window == bytes.as_bytes()) {
                    found.push(path);
                }
            }
        }
    }
    found
}

#[track_caller]
fn gone(purged: &Purged, markers: impl IntoIterator<Item = u64>) {
    for n in markers {
        let found = files_with(&purged.world.disk, &marker(n));
        assert!(found.is_empty(), "marker {n} is in {found:?}");
    }
}

#[track_caller]
fn there(purged: &Purged, n: u64) {
    assert!(!files_with(&purged.world.disk, &marker(n)).is_empty(), "marker {n} is in no file");
}

/// Rows 0 to 9 hold markers 0 to 9; of these 1 is overwritten, 2 deleted, 3 set to NULL, and 4 to 5 are deleted as a range.
async fn kill_some(purged: &Purged) {
    for n in 0..10 {
        purged.put(n as i64, &marker(n)).await;
    }
    purged.world.server.flush(Some(TABLE)).await.unwrap();
    purged.put(1, "other").await;
    purged.world.run(delete(2)).await.unwrap();
    let null = Expr::Literal(Value::Null, DataType::Text);
    let unset = Action::Update { assignments: vec![(B, null)] };
    purged.world.run(program(3, Guard::Any, unset)).await.unwrap();
    purged.world.delete_range(4, Some(6)).await;
}

const DEAD: std::ops::Range<u64> = 1..6;

async fn living(purged: &Purged) {
    for n in [0, 6, 7, 8, 9] {
        let row = purged.world.get(n).await.unwrap();
        let text = row.cells.get(B).unwrap().unwrap();
        assert_eq!(text, marker(n as u64).as_bytes());
    }
    assert_eq!(purged.world.sum().await.1, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_or_overwritten_is_in_no_file_by_the_deadline() {
    let purged = Purged::new(table()).await;
    kill_some(&purged).await;
    for n in DEAD {
        there(&purged, n);
    }
    purged.pass(SECOND);
    let status = purged.statuses().await.remove(0);
    assert!(status.is_pending && status.error.is_none(), "{status:?}");
    let deadline = status.deadline_micros.unwrap();
    assert!(deadline <= 1_001 * SECOND + WITHIN, "{status:?}");
    purged.pass(WITHIN);
    gone(&purged, DEAD);
    living(&purged).await;
    let status = purged.statuses().await.remove(0);
    assert_eq!((status.is_pending, status.deadline_micros), (false, None), "{status:?}");
    assert!(status.done_at_micros.unwrap() <= deadline);
    // What was live then and dies later goes, too; and nothing is written where nothing died.
    purged.world.run(delete(0)).await.unwrap();
    purged.pass(WITHIN);
    gone(&purged, DEAD);
    gone(&purged, [0]);
    let before = purged.world.disk.counters(Path::new("/data"));
    purged.pass(4 * WITHIN);
    let after = purged.world.disk.counters(Path::new("/data"));
    assert_eq!(before.bytes_written, after.bytes_written, "an idle table is left alone");
}

/// A restart knows what is still to be purged, wherever the purge was cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_is_cut_off_is_done_by_the_next_server() {
    let places = ["purge.before_erase", "purge.before_metadata", "compact.before_publish", "none"];
    for (n, place) in places.into_iter().enumerate() {
        let purged = Purged::new(table()).await;
        kill_some(&purged).await;
        purged.world.env.failpoints.fail(place, "no");
        for _ in 0..16 {
            // It fails, and is tried again in vain.
            drop(purged.world.server.purge_round());
            purged.clock.advance(Duration::from_micros((WITHIN / 16) as u64));
        }
        if place != "none" {
            let status = purged.statuses().await.remove(0);
            assert!(status.is_pending && status.error.is_some(), "{place}: {status:?}");
        }
        let mode = [None, Some(CrashMode::DropUnsynced)][n % 2];
        let purged = purged.crash(mode).await;
        purged.pass(WITHIN / 8);
        gone(&purged, DEAD);
        living(&purged).await;
    }
}

/// What the disk and the lock service hold at one time.
type Moment = (CrashFileSystem, Arc<TestLocks>);

/// Wherever in the purge the process is killed, the next one finishes it, and has every row that lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_while_it_purges_leaves_nothing_undone() {
    let purged = Purged::new(table()).await;
    kill_some(&purged).await;
    purged.clock.advance(Duration::from_micros((WITHIN / 2 + SECOND) as u64));
    let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let (taken, disk, locks) =
        (moments.clone(), purged.world.disk.clone(), purged.world.locks.clone());
    let operations = AtomicUsize::new(0);
    purged.world.disk.set_hook(move |_| {
        if operations.fetch_add(1, Ordering::Relaxed).is_multiple_of(5) {
            taken.lock().push((disk.kill_clone(), locks.snapshot()));
        }
    });
    purged.world.server.purge_round().unwrap();
    purged.world.disk.clear_hook();
    gone(&purged, DEAD);
    let moments = std::mem::take(&mut *moments.lock());
    assert!(moments.len() > 5, "{} moments", moments.len());
    for (disk, locks) in moments {
        let world = open(&purged.clock, disk, locks, options()).await;
        let next = Purged { world, clock: purged.clock.clone() };
        next.pass(0);
        gone(&next, DEAD);
        living(&next).await;
    }
}

/// After a split both children refer to files with rows that only one of them can delete.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_tablets_share_are_written_again_by_both() {
    let purged = Purged::new(table()).await;
    for n in 0..10 {
        purged.put(n as i64, &marker(n)).await;
    }
    purged.world.server.flush(Some(TABLE)).await.unwrap();
    split_at(&purged.world.server, 5).await.unwrap();
    purged.world.run(delete(7)).await.unwrap();
    purged.pass(WITHIN);
    gone(&purged, [7]);
    for n in [0, 5, 9] {
        there(&purged, n);
    }
    assert_eq!(purged.world.sum().await.1, 9);
    // And a merge of the two is as good as they are.
    purged.world.run(delete(8)).await.unwrap();
    purged.world.server.merge(TABLE, row_key(5)).await.unwrap();
    purged.pass(WITHIN);
    gone(&purged, [8]);
    assert_eq!(purged.world.sum().await.1, 8);
}

/// Cells that expire, older versions that are too many, and columns that were dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_without_a_delete_goes_too() {
    let mut with_ttl = table();
    let ttl_micros = Some(2 * WITHIN);
    with_ttl.columns[2].gc = CellGc { max_versions: 2, ttl_micros, ..CellGc::default() };
    let purged = Purged::new(with_ttl.clone()).await;
    purged.put(1, &marker(0)).await;
    for n in 1..3 {
        let text = Expr::Literal(Value::Text(marker(n)), DataType::Text);
        let update = Action::Update { assignments: vec![(B, text)] };
        purged.world.run(program(1, Guard::Any, update)).await.unwrap();
    }
    purged.pass(WITHIN);
    gone(&purged, [0]);
    there(&purged, 1);
    there(&purged, 2);
    purged.pass(2 * WITHIN);
    gone(&purged, [1, 2]);
    let before = purged.world.disk.counters(Path::new("/data"));
    purged.pass(4 * WITHIN);
    let after = purged.world.disk.counters(Path::new("/data"));
    assert_eq!(before.bytes_written, after.bytes_written, "nothing more expires");

    // The last column, whose id is above those of all others.
    let d = ColumnId(9);
    let mut wider = with_ttl.clone();
    let mut column = wider.columns[2].clone();
    (column.id, column.name, column.gc) = (d, "d".to_owned(), CellGc::default());
    wider.columns.push(column);
    wider.version = 2;
    purged.world.master.alter_table(wider.clone()).await.unwrap();
    let mut cells = CellsBuilder::default();
    let mut push = |id, value: Value, data_type: DataType| {
        cells.push(id, cell::encoded(&value, &data_type).unwrap().as_deref());
    };
    push(A, Value::Int8(1), DataType::Int8);
    push(d, Value::Text(marker(20)), DataType::Text);
    let put = Action::Put { cells: cells.finish() };
    let put = RowProgram { schema_version: 2, ..program(5, Guard::Any, put) };
    purged.world.run(put).await.unwrap();
    purged.world.server.flush(Some(TABLE)).await.unwrap();
    purged.pass(WITHIN);
    there(&purged, 20);
    wider.columns.pop();
    let dropped = TableSchema { version: 3, dropped: vec![d], ..wider };
    purged.world.master.alter_table(dropped).await.unwrap();
    purged.pass(WITHIN);
    gone(&purged, [20]);
}

/// The entries of a map are in a group that has none of their row's markers: they go with the row all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maps_go_with_rows_that_end() {
    let mut with_ttl = with_map(table());
    let ttl_micros = Some(2 * WITHIN);
    with_ttl.groups[0].marker_gc = CellGc { ttl_micros, ..CellGc::default() };
    let purged = Purged::new(with_ttl).await;
    let text = |text: &str| Value::Text(text.to_owned());
    let map = |n| Value::Map(vec![(text("k"), text(&marker(n)))]);
    for k in 0..3 {
        purged.world.run(row_with(k, &map(k as u64))).await.unwrap();
    }
    purged.pass(WITHIN);
    // One is put again; another has an entry put, and lives longer as with any update.
    purged.world.run(row_with(1, &map(10))).await.unwrap();
    purged.world.run(set(2, text("later"), text(&marker(11)))).await.unwrap();
    purged.world.server.flush(Some(TABLE)).await.unwrap();
    purged.pass(WITHIN - WITHIN / 8);
    there(&purged, 0);
    there(&purged, 10);
    there(&purged, 11);
    purged.pass(WITHIN + WITHIN / 8);
    gone(&purged, [0, 1]);
    for living in [2, 10, 11] {
        there(&purged, living);
    }
    purged.pass(WITHIN);
    gone(&purged, [2, 10, 11]);
    let before = purged.world.disk.counters(Path::new("/data"));
    purged.pass(4 * WITHIN);
    let after = purged.world.disk.counters(Path::new("/data"));
    assert_eq!(before.bytes_written, after.bytes_written, "nothing more ends");
}

/// Its files go at once; what the log has of it goes by the deadline, across a restart, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_leaves_the_log() {
    for crashes in [false, true] {
        let mut purged = Purged::new(table()).await;
        purged.put(1, &marker(1)).await;
        purged.world.master.drop_table(TABLE).await.unwrap();
        there(&purged, 1);
        if crashes {
            purged = purged.crash(None).await;
        }
        purged.pass(WITHIN);
        gone(&purged, [1]);
        assert_eq!(purged.statuses().await, []);
        let noted = purged.world.locks.snapshot();
        let noted = terrane_client::lock::LockService::list(&*noted, "/terrane/purges/").await;
        assert_eq!(noted.unwrap(), [], "nothing is left to be remembered");
    }
}

/// Segments that the log keeps for reuse hold what was in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_kept_for_reuse_are_erased() {
    let purged = Purged::new(TableSchema { purge_within_micros: None, ..table() }).await;
    purged.put(1, &marker(1)).await;
    purged.world.run(delete(1)).await.unwrap();
    // Enough for the log to free segments and to take some of them again.
    for n in 0..60 {
        let programs = (0..20).map(|k| put_text(100 + k, &"x".repeat(4000))).collect();
        purged.world.modify(programs, Atomicity::EachRow).await.unwrap();
        if n % 10 == 9 {
            purged.world.server.flush(None).await.unwrap();
        }
    }
    let recycled = purged.world.server.metrics().users_log.segments_recycled;
    assert!(recycled > 0, "no segment was used again");
    let promising = TableSchema { version: 2, ..table() };
    purged.world.master.alter_table(promising).await.unwrap();
    purged.pass(WITHIN);
    gone(&purged, [1]);
}

/// An open read holds files, and the floor; but not beyond the deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_reads_are_ended_in_time() {
    let purged = Purged::new(table()).await;
    let text = "y".repeat(300);
    for start in (0..4000).step_by(1000) {
        let programs = (start..start + 1000).map(|k| put_text(k, &text)).collect();
        purged.world.modify(programs, Atomicity::EachRow).await.unwrap();
    }
    purged.put(3999, &marker(1)).await;
    purged.world.server.flush(Some(TABLE)).await.unwrap();
    let at = purged.world.server.read_timestamp().await.unwrap();
    let pin = purged.world.server.pin_timestamp(at).await.unwrap();
    let mut request = scan_request(vec![Projected::Column(B)]);
    (request.batch_rows_max, request.read_ts) = (100, Some(at));
    let mut scan = purged.world.server.read(request).await.unwrap().batches;
    scan.next().await.unwrap().unwrap();
    purged.world.run(delete(3999)).await.unwrap();
    purged.pass(WITHIN / 2);
    there(&purged, 1);
    let status = purged.statuses().await.remove(0);
    assert_eq!(status.open_read_micros, Some(at.0));
    assert!(purged.world.get_at(3999, Some(at)).await.unwrap().is_some());
    purged.pass(WITHIN / 2);
    gone(&purged, [1]);
    let older = purged.world.get_at(3999, Some(at)).await;
    assert!(matches!(older, Err(TabletError::HistoryGone { .. })), "{older:?}");
    let mut ended = None;
    while let Some(batch) = scan.next().await {
        ended = batch.err();
    }
    assert!(matches!(ended, Some(TabletError::HistoryGone { .. })), "{ended:?}");
    drop(pin);
    let newest: Option<CommitTs> = None;
    assert!(purged.world.get_at(3999, newest).await.unwrap().is_none());
}
