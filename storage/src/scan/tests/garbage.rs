//! What a merge drops is what no read at or above the floor sees.

use super::world::{self, Commit, Model, World, rng, seen, value_columns};
use crate::scan::{GcMerge, GcPolicy, GroupGc, Run, RunFile, Sources};
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::ids::{CommitTs, Seq};
use terrane_client::read::KeyRange;
use terrane_client::row::{CellsBuilder, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, RowMutation};
use terrane_client::schema::CellGc;

/// Merges sources into a file, and opens it.
fn merged(rng: &mut StdRng, world: &World, sources: &Sources, policy: GcPolicy) -> (Run, u64) {
    let (number, mut writer) = world.disk.create(rng);
    let mut merge = GcMerge::new(sources, &KeyRange::all(), policy).unwrap();
    while merge.next_rows(&mut |row, cells| Ok(writer.add(row, cells)?)).unwrap() {}
    merge.tombstones().tombstones().for_each(|tombstone| writer.add_range_tombstone(tombstone));
    writer.include_seq(Seq(1));
    writer.finish().unwrap();
    let table = world.disk.open(number);
    assert_eq!(table.properties().rows, merge.counts().written);
    (Run::new(vec![RunFile { table, bounds: KeyRange::all() }]), merge.counts().written)
}

type Seen = Option<(CommitTs, Vec<String>)>;

fn live(world: &World, model: &Model, at: CommitTs) -> BTreeMap<Bytes, Seen> {
    let (columns, gc) = (value_columns(), world.gc());
    let get = |key: &Bytes| world.sources.get(key, at.into(), &gc, &columns).unwrap();
    let row = |key: &Bytes| seen(get(key), &columns);
    model.0.keys().map(|key| (key.clone(), row(key))).collect()
}

/// Flushes and compactions of any neighbouring sources, again and again: reads at or above the floor stay
/// the same.
#[test]
fn no_read_above_the_floor_changes() {
    for seed in 0..400 {
        let rng = &mut rng(seed);
        let mut world = World::new(rng);
        let model = world.model();
        let mut floor = CommitTs(0);
        for _ in 0..3 {
            floor = floor.max(world.timestamp(rng));
            let reads: Vec<CommitTs> = std::iter::once(floor)
                .chain((0..4).map(|_| CommitTs(floor.0.saturating_add(rng.random_range(0..300)))))
                .collect();
            let before: Vec<_> = reads.iter().map(|at| live(&world, &model, *at)).collect();
            replace_some(rng, &mut world, floor);
            for (at, before) in reads.iter().zip(before) {
                let after = live(&world, &model, *at);
                assert_eq!(after, before, "seed {seed}, floor {floor:?}, read at {at:?}");
                let what = format!("seed {seed}, floor {floor:?}");
                super::history::check(rng, &world, &model, *at, &what);
                let row = |key: &Bytes| seen(model.row(key, *at), &value_columns());
                let model = model.0.keys().map(|key| (key.clone(), row(key))).collect();
                assert_eq!(after, model, "seed {seed}, floor {floor:?}, read at {at:?}");
            }
        }
    }
}

/// Merges some neighbouring sources into a run that takes their place.
fn replace_some(rng: &mut StdRng, world: &mut World, floor: CommitTs) {
    let memtables = world.sources.memtables.len();
    let count = memtables + world.sources.runs.len();
    if count == 0 {
        return;
    }
    let first = rng.random_range(0..count);
    // A flush takes the oldest memtables; what is newer stays above the new run.
    let first = first.min(memtables);
    let end = rng.random_range(first..count) + 1;
    let taken = Sources {
        memtables: world.sources.memtables[first.min(memtables)..end.min(memtables)].to_vec(),
        runs: world.sources.runs[first.max(memtables) - memtables..end.max(memtables) - memtables]
            .to_vec(),
    };
    if taken.memtables.len() < memtables - first {
        // A memtable would be beneath the new run.
        return;
    }
    let includes_oldest = end == count;
    let policy = GcPolicy {
        floor,
        includes_oldest,
        schema: world.schema.clone(),
        has_markers: true,
        gc: vec![world.gc()],
    };
    let (run, _) = merged(rng, world, &taken, policy);
    world.sources.memtables.truncate(first);
    let runs = &mut world.sources.runs;
    runs.splice(first.max(memtables) - memtables..end.max(memtables) - memtables, [Arc::new(run)]);
}

fn commit(ts: i64, flags: u8) -> Commit {
    let mutation = RowMutation { flags, cells: Default::default() };
    Commit { key: world::row_key(1), ts: CommitTs(ts), mutation }
}

/// Versions left of a row's, after a merge with this floor.
fn left(commits: &[Commit], floor: i64, includes_oldest: bool) -> u64 {
    let rng = &mut rng(1);
    let mut world = World::with(rng, world::Mix::ONE_ROW);
    world.sources = world::spread(rng, &world.disk, commits, &[], 2);
    let policy = GcPolicy {
        floor: CommitTs(floor),
        includes_oldest,
        schema: world.schema.clone(),
        has_markers: true,
        gc: vec![GroupGc::PLAIN],
    };
    let sources = world.sources.clone();
    merged(rng, &world, &sources, policy).1
}

#[test]
fn a_delete_goes_with_what_it_hides() {
    let whole = ROW_MARKER | ROW_COMPLETE;
    let history = [commit(10, whole), commit(20, ROW_DELETE)];
    assert_eq!(left(&history, 20, true), 0);
    assert_eq!(left(&history, 20, false), 1, "it may hide a row in an older run");
    assert_eq!(left(&history, 19, true), 2, "a read at 19 sees the row");
    let again = [history[0].clone(), history[1].clone(), commit(30, whole | ROW_DELETE)];
    assert_eq!(left(&again, 30, true), 1);
    assert_eq!(left(&again, 20, true), 1);
    assert_eq!(left(&again, 29, false), 2);
}

#[test]
fn versions_below_the_floor_become_one() {
    let whole = ROW_MARKER | ROW_COMPLETE;
    let history: Vec<Commit> =
        (1..=100).map(|ts| commit(ts, if ts % 7 == 0 { whole } else { 0 })).collect();
    assert_eq!(left(&history, 100, true), 1);
    assert_eq!(left(&history, 100, false), 1);
    assert_eq!(left(&history, 60, true), 41);
    assert_eq!(left(&history, 0, true), 100);
}

/// What has expired goes on hiding what is older, in a run that is not part of the merge: a policy that is made longer
/// must not bring that back.
#[test]
fn what_has_expired_hides_what_is_beneath_until_that_goes_with_it() {
    let rng = &mut rng(1);
    let mut world = World::with(rng, world::Mix::ONE_ROW);
    let mut schema = world::schema();
    let text = schema.columns.iter_mut().find(|column| column.id == world::TEXT).unwrap();
    text.gc = CellGc { ttl_micros: Some(5), ..CellGc::default() };
    world.schema = Arc::new(schema);
    let write = |ts: i64, flags: u8, value: &str| {
        let mut cells = CellsBuilder::default();
        cells.push(world::TEXT, Some(value.as_bytes()));
        let mutation = RowMutation { flags, cells: cells.finish() };
        Commit { key: world::row_key(1), ts: CommitTs(ts), mutation }
    };
    let older = [write(10, ROW_MARKER | ROW_COMPLETE, "older")];
    let newer = [write(20, 0, "newer")];
    let older = world::spread(rng, &world.disk, &older, &[], 1);
    let newer = world::spread(rng, &world.disk, &newer, &[], 1);
    let policy = |floor, includes_oldest| GcPolicy {
        floor: CommitTs(floor),
        includes_oldest,
        schema: world.schema.clone(),
        has_markers: true,
        gc: vec![world.gc()],
    };
    let text_of = |runs: &[Arc<Run>], gc: &GroupGc| {
        let sources = Sources { memtables: Vec::new(), runs: runs.to_vec() };
        let row = sources.get(&world::row_key(1), CommitTs(100).into(), gc, &[world::TEXT]);
        let cells = row.unwrap().unwrap().cells;
        cells.get(world::TEXT).map(|cell| cell.unwrap().to_vec())
    };
    // As it is, but in a file.
    let older = Arc::new(merged(rng, &world, &older, policy(0, true)).0);
    let newer = Arc::new(merged(rng, &world, &newer, policy(100, false)).0);
    let runs = [newer, older];
    assert_eq!(text_of(&runs, &world.gc()), None);
    assert_eq!(text_of(&runs, &GroupGc::PLAIN).as_deref(), Some(&b"newer"[..]));
    let all = Sources { memtables: Vec::new(), runs: runs.to_vec() };
    let (run, written) = merged(rng, &world, &all, policy(100, true));
    assert_eq!(written, 1, "the row is left");
    assert_eq!(text_of(&[Arc::new(run)], &GroupGc::PLAIN), None, "nothing is left to hide");
}

/// Older versions that live stay, each once, and the newest cell of every column is in front of them.
#[test]
fn versions_that_live_stay_beneath_the_newest() {
    let rng = &mut rng(1);
    let mut world = World::with(rng, world::Mix::ONE_ROW);
    let mut schema = world::schema();
    let text = schema.columns.iter_mut().find(|column| column.id == world::TEXT).unwrap();
    text.gc.max_versions = 3;
    world.schema = Arc::new(schema);
    let write = |ts: i64| {
        let flags = if ts == 1 { ROW_MARKER | ROW_COMPLETE } else { 0 };
        let mut cells = CellsBuilder::default();
        cells.push(world::TEXT, Some(format!("{ts}").as_bytes()));
        cells.push(world::BOOL, Some(&[1]));
        let mutation = RowMutation { flags, cells: cells.finish() };
        Commit { key: world::row_key(1), ts: CommitTs(ts), mutation }
    };
    let commits: Vec<Commit> = (1..=50).map(write).collect();
    let sources = world::spread(rng, &world.disk, &commits, &[], 3);
    let policy = GcPolicy {
        floor: CommitTs(100),
        includes_oldest: true,
        schema: world.schema.clone(),
        has_markers: true,
        gc: vec![world.gc()],
    };
    let (run, written) = merged(rng, &world, &sources, policy.clone());
    assert_eq!(written, 3);
    // Once more changes nothing.
    let sources = Sources { memtables: Vec::new(), runs: vec![Arc::new(run)] };
    assert_eq!(merged(rng, &world, &sources, policy).1, 3);
}
