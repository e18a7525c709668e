//! The no-hole oracle: whenever the machine stops, what is found afterwards is what some prefix of the
//! commits leaves, and every acknowledged commit is in that prefix.
//!
//! Writers run against a disk that is cloned at random file operations, in flushes, merges, splits and METADATA edits too.
//! The run goes on to its end, so that in the end the timestamp of every commit is known, also of those that were
//! not acknowledged when a clone was taken.

use crate::metadata;
use crate::split::{split_at, tiles};
use crate::world::*;
use futures::future::join_all;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::program::{Action, Atomicity, Guard, RowProgram};
use terrane_client::read::Projected;
use terrane_client::service::TabletService;
use terrane_client::value::Value;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};
use terrane_env::random::SplitMix64;
use terrane_storage::server::ServerOptions;

const WRITERS: u64 = 8;
const COMMITS: usize = 120;
const KEYS: u64 = 40;
const CLONES: usize = 24;

#[derive(Clone, Copy, Debug)]
enum Change {
    Put(i64, i64),
    Add(i64),
    Delete(i64),
    /// The keys from one up to another: a commit of its own.
    DeleteRange(i64, i64),
}

impl Change {
    fn program(self, random: &mut SplitMix64) -> RowProgram {
        match self {
            Change::Put(k, a) => {
                let text = "x".repeat(random.below(3000) as usize);
                let cells = cells(a, Some(&text), None);
                program(k, Guard::Any, Action::Put { cells })
            }
            Change::Add(k) => add(k, 1),
            Change::Delete(k) => delete(k),
            Change::DeleteRange(..) => unreachable!("is no row's program"),
        }
    }

    fn apply(self, state: &mut State, commit_ts: CommitTs) {
        match self {
            Change::Put(k, a) => {
                state.insert(k, (a, commit_ts));
            }
            Change::Add(k) => {
                if let Some(row) = state.get_mut(&k) {
                    *row = (row.0 + 1, commit_ts);
                }
            }
            Change::Delete(k) => {
                state.remove(&k);
            }
            Change::DeleteRange(start, end) => state.retain(|k, _| !(start..end).contains(k)),
        }
    }
}

/// Key -> column a and version.
type State = BTreeMap<i64, (i64, CommitTs)>;
type Commits = Mutex<BTreeMap<CommitTs, Vec<Change>>>;

/// A moment at which the machine might have stopped.
struct Moment {
    disks: Vec<(CrashMode, CrashFileSystem)>,
    locks: Arc<TestLocks>,
    /// The newest acknowledged commit.
    acknowledged: CommitTs,
}

async fn write(world: Arc<World>, commits: Arc<Commits>, writer: u64, seed: u64) {
    let mut random = SplitMix64::new(seed * 1000 + writer);
    for n in 0..COMMITS as i64 {
        let mut key = || random.below(KEYS) as i64;
        if n % 8 == 7 {
            let start = key();
            let end = start + 1 + key() / 8;
            let commit_ts = world.delete_range(start, Some(end)).await;
            commits.lock().insert(commit_ts, vec![Change::DeleteRange(start, end)]);
            continue;
        }
        let value = (writer as i64 * 1_000_000 + n) * 1000;
        let changes = match n % 4 {
            0 => vec![Change::Put(key(), value)],
            1 => vec![Change::Add(key()), Change::Put(key(), value)],
            2 => vec![Change::Add(key())],
            _ => vec![Change::Delete(key()), Change::Put(key(), value), Change::Add(key())],
        };
        let programs = changes.iter().map(|change| change.program(&mut random)).collect();
        let response = world.modify(programs, Atomicity::AllOrNone).await.unwrap();
        if response.commit_ts != CommitTs::ABSENT {
            commits.lock().insert(response.commit_ts, changes);
        }
    }
}

/// Splits the table here and there meanwhile, and merges it: files that are shared are removed.
async fn split(world: Arc<World>, done: Arc<AtomicBool>, seed: u64) {
    let mut random = SplitMix64::new(seed * 31);
    for _ in 0..8 {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let k = random.below(KEYS) as i64;
        split_at(&world.server, k).await.unwrap();
        // METADATA, too, which the flushes and compactions of both write to.
        metadata::split_behind(&world.server, k).await.unwrap();
        if random.chance(0.3) {
            world.server.flush(Some(StorageId::METADATA)).await.unwrap();
        }
        if random.chance(0.3) {
            metadata::merge_behind(&world.server, k).await.unwrap();
        }
        if random.chance(0.3) {
            // Nothing is dropped: the oracle reads newest versions only.
            world.server.compact(TABLE).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(random.below(8))).await;
    }
}

/// Takes clones at random file operations.
fn take_moments(world: &World, commits: &Arc<Commits>, seed: u64) -> Arc<Mutex<Vec<Moment>>> {
    let moments = Arc::new(Mutex::new(Vec::new()));
    let random = Mutex::new(SplitMix64::new(seed));
    let (disk, locks, commits) = (world.disk.clone(), world.locks.clone(), commits.clone());
    let taken = moments.clone();
    world.disk.set_hook(move |_| {
        let mut random = random.lock();
        if !random.chance(0.03) || taken.lock().len() >= CLONES {
            return;
        }
        // Acknowledged before the clone is taken, so the clone must have it.
        let acknowledged = commits.lock().keys().last().copied().unwrap_or_default();
        let mut clone = |mode| (mode, disk.crash_clone(random.next_u64(), mode));
        let modes = [CrashMode::DropUnsynced, CrashMode::Random, CrashMode::KeepWritten];
        // The lock service first: it must not name a file that the disk does not have yet.
        let locks = locks.snapshot();
        let disks = modes.map(&mut clone).into();
        taken.lock().push(Moment { disks, locks, acknowledged });
    });
    moments
}

async fn state_of(world: &World) -> State {
    let projection = vec![Projected::Column(K), Projected::Column(A), Projected::Version];
    let rows = scan(&*world.server, &scan_request(projection)).await.unwrap().1;
    rows.into_iter()
        .map(|row| match row[..] {
            [Value::Int8(k), Value::Int8(a), Value::Int8(version)] => (k, (a, CommitTs(version))),
            ref other => panic!("{other:?}"),
        })
        .collect()
}

/// The timestamps of the prefixes that leave this state.
fn prefixes_of(commits: &BTreeMap<CommitTs, Vec<Change>>, found: &State) -> Vec<CommitTs> {
    let mut state = State::new();
    let mut prefixes = Vec::new();
    if state == *found {
        prefixes.push(CommitTs::ABSENT);
    }
    for (commit_ts, changes) in commits {
        for change in changes {
            change.apply(&mut state, *commit_ts);
        }
        if state == *found {
            prefixes.push(*commit_ts);
        }
    }
    prefixes
}

async fn run(seed: u64, options: ServerOptions) {
    let world =
        Arc::new(World::with_groups(options.clone(), LAYOUTS[seed as usize % LAYOUTS.len()]).await);
    let commits = Arc::new(Commits::default());
    let moments = take_moments(&world, &commits, seed);
    let writers = (0..WRITERS)
        .map(|writer| tokio::spawn(write(world.clone(), commits.clone(), writer, seed)));
    let done = Arc::new(AtomicBool::new(false));
    let splitter = tokio::spawn(split(world.clone(), done.clone(), seed));
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    splitter.await.unwrap();
    world.disk.clear_hook();
    let commits = commits.lock().clone();
    let moments = std::mem::take(&mut *moments.lock());
    assert!(moments.len() > CLONES / 2, "{} moments", moments.len());
    for (place, moment) in moments.into_iter().enumerate() {
        for (mode, disk) in moment.disks {
            let locks = moment.locks.snapshot();
            let found = World::open(disk, locks, options.clone()).await.unwrap();
            tiles(&found).await;
            metadata::tiles(&found).await;
            let state = state_of(&found).await;
            let prefixes = prefixes_of(&commits, &state);
            assert!(
                prefixes.iter().any(|prefix| *prefix >= moment.acknowledged),
                "seed {seed}, moment {place}, {mode:?}: found a state of prefixes {prefixes:?}, \
                 acknowledged up to {:?}: {state:?}",
                moment.acknowledged
            );
            // Rule 15: what was shown once stays.
            let again = found.crash(seed, CrashMode::DropUnsynced).await;
            assert_eq!(state_of(&again).await, state, "seed {seed}, moment {place}, {mode:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stop_at_any_moment_leaves_a_prefix_with_everything_acknowledged() {
    for seed in crate::model::seeds(2) {
        run(seed, ServerOptions::small()).await;
    }
}
