//! Blocks of a file's history part are read where what they hold is asked for, each once, and never else.

use super::world::{Mix, World, rng, row_key};
use crate::scan::{GroupGc, Piece, Run, RunFile, Scan, ScanOptions, Sources};
use crate::sstable::{Cell, RowVersion, Sstable};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq};
use terrane_client::read::{KeyRange, Projected, ScanMetrics, ScanRequest, Selection, Versions};
use terrane_client::row::{ROW_COMPLETE, ROW_MARKER};

const KEYS: i64 = 300;
/// The newest versions are of these times, one after the other; under each but every fifth is one of 600 and one of 300.
const NEWEST: i64 = 1000;
const UPDATED: usize = 240;

/// A run of one file with a history part.
fn updated_rows() -> (World, Sstable) {
    let seeds = (0..).map(|seed| {
        let rng = &mut rng(seed);
        let mut world = World::with(rng, Mix::ONE_ROW);
        let (number, mut writer) = world.disk.create(rng);
        let mut keys: Vec<Bytes> = (0..KEYS as i32).map(row_key).collect();
        keys.sort();
        for (key, newest) in keys.iter().zip(NEWEST..) {
            let all = [newest, 600, 300];
            for commit_ts in &all[..if newest % 5 == 0 { 1 } else { 3 }] {
                let (commit_ts, flags) = (CommitTs(*commit_ts), ROW_MARKER | ROW_COMPLETE);
                let row = RowVersion { key, seq: Seq(1), commit_ts, flags };
                let cell = Cell { column: ColumnId(7), ts_delta: 0, value: Some(&[1]) };
                writer.add(row, [cell]).unwrap();
            }
        }
        writer.finish().unwrap();
        let table = world.disk.open(number);
        let file = RunFile { table: table.clone(), bounds: KeyRange::all() };
        world.sources =
            Sources { memtables: Vec::new(), runs: vec![Arc::new(Run::new(vec![file]))] };
        (world, table)
    });
    // Of files with and without, and of large and small blocks.
    let mut apart = seeds.filter(|(_, table)| table.history_blocks().len() > 20);
    apart.next().expect("one of the first seeds has it")
}

/// How many rows a scan gives, and how many blocks it reads.
fn scan(world: &World, at: i64, reverse: bool, change: impl Fn(&mut ScanRequest)) -> (usize, u64) {
    let mut request = ScanRequest {
        map_parts: Default::default(),
        table: world.schema.storage,
        schema_version: world.schema.version,
        read_ts: None,
        ranges: vec![KeyRange::all()],
        projection: vec![Projected::Key, Projected::Version],
        predicates: Vec::new(),
        versions: Versions::Newest,
        limit: None,
        reverse,
        batch_rows_max: 8192,
    };
    change(&mut request);
    let groups = vec![(LocalityGroupId::default(), world.sources.clone())];
    let pieces = vec![Piece { groups, range: KeyRange::all() }];
    let (schema, metrics) = (world.schema.clone(), Arc::new(ScanMetrics::default()));
    let options = ScanOptions::default();
    let scan = Scan::new(&request, schema, CommitTs(at), pieces, options, metrics.clone()).unwrap();
    let rows = scan.map(|batch| batch.unwrap().num_rows()).sum();
    (rows, metrics.blocks_read.load(Relaxed))
}

#[test]
fn a_scan_reads_hidden_blocks_only_where_it_must() {
    let (mut world, table) = updated_rows();
    world.schema = Arc::new(super::world::schema());
    let data = u64::from(table.block_count());
    let hidden = table.history_blocks().len() as u64;
    let all = KEYS as usize;
    for reverse in [false, true] {
        let newest = NEWEST + KEYS;
        assert_eq!(scan(&world, newest, reverse, |_| ()), (all, data));
        let counts = |request: &mut ScanRequest| request.projection.clear();
        assert_eq!(scan(&world, newest, reverse, counts), (all, 0), "the index counts");
        assert_eq!(scan(&world, 700, reverse, |_| ()), (UPDATED, data + hidden));
        assert_eq!(scan(&world, 400, reverse, |_| ()), (UPDATED, data + hidden));
        // Half of the rows are older than this: nothing beneath them is of interest.
        let (rows, read) = scan(&world, NEWEST + KEYS / 2, reverse, |_| ());
        // 151 that are newest then, and of the 149 after them those that were updated.
        assert_eq!(rows, 151 + 120);
        assert!((hidden / 2 - 1..=hidden / 2 + 2).contains(&(read - data)), "{read} of {hidden}");
        let of_versions = |request: &mut ScanRequest| {
            request.versions = Versions::Rows(Selection::default());
        };
        // None of the older ones is kept by a policy: they are hidden for readers of versions, too.
        assert_eq!(scan(&world, newest, reverse, of_versions), (all, data));
        assert_eq!(scan(&world, 700, reverse, of_versions), (UPDATED, data + hidden));
    }
}

#[test]
fn a_point_read_finds_what_is_hidden_where_it_is_asked_for() {
    let (world, _) = updated_rows();
    let key = row_key(7);
    let version = |at| world.sources.version(&key, CommitTs(at).into(), &GroupGc::PLAIN).unwrap();
    assert!(version(i64::MAX).0 >= NEWEST);
    assert_eq!((version(999), version(599)), (CommitTs(600), CommitTs(300)));
    assert_eq!(version(299), CommitTs::ABSENT);
}
