//! Groups whose cells have timestamps of the client's: reads, scans and versions are the model's, before and after any
//! merge of neighbouring sources (rules 6 and 7).

use super::world::{self, Disk, FLOAT, TEXT, WIDENED, rng, row_key, value};
use crate::fragments::Fragments;
use crate::memtable::{Memtable, RangeDelete};
use crate::scan::{GcMerge, GcPolicy, GroupGc, Piece, Run, RunFile, Scan, ScanOptions, Sources};
use crate::sstable::WriterSchema;
use crate::tablet::layout::GroupLayout;
use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::columns::RowBatch;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq};
use terrane_client::read::{KeyRange, Projected, ScanMetrics, ScanRequest, Selection, Versions};
use terrane_client::row::{
    CellsBuilder, DatedCells, PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row, RowChange,
    RowMutation, Stamp,
};
use terrane_client::schema::{CellGc, GcMode, LocalityGroup, TableSchema, Timestamps};
use terrane_client::types::DataType;
use terrane_client::value::Value;

const GROUP: LocalityGroupId = LocalityGroupId(1);
const COLUMNS: [ColumnId; 3] = [WIDENED, TEXT, FLOAT];
const INSERT: u8 = ROW_MARKER | ROW_COMPLETE;

/// One commit of one row, or of a range that it deletes.
#[derive(Clone, Debug)]
enum Commit {
    Row(Bytes, RowChange),
    Range(KeyRange),
}

struct World {
    commits: Vec<(CommitTs, Commit)>,
    schema: Arc<TableSchema>,
    /// All of what the default group has.
    lead: Sources,
    sources: Sources,
    disk: Disk,
}

fn schema(rng: &mut StdRng) -> TableSchema {
    let mut schema = world::schema();
    let group = LocalityGroup {
        id: GROUP,
        name: "dated".to_owned(),
        has_markers: false,
        timestamps: Timestamps::Client,
        ..LocalityGroup::default_group()
    };
    schema.groups.push(group);
    for column in schema.columns.iter_mut().filter(|column| COLUMNS.contains(&column.id)) {
        column.group = GROUP;
        column.gc = CellGc {
            max_versions: *[1, 1, 2, 4].choose(rng).unwrap(),
            ttl_micros: *[None, None, Some(20), Some(200)].choose(rng).unwrap(),
            mode: *[GcMode::Any, GcMode::All].choose(rng).unwrap(),
        };
    }
    schema
}

fn cells(rng: &mut StdRng, schema: &TableSchema, share: f64) -> PackedCells {
    let mut cells = CellsBuilder::default();
    for id in COLUMNS {
        if !rng.random_bool(share) {
            continue;
        }
        let data_type = &schema.column(id).unwrap().data_type;
        let value = value(rng, data_type);
        cells.push(id, cell::encoded(&value, data_type).unwrap().as_deref());
    }
    cells.finish()
}

fn dated(rng: &mut StdRng, schema: &TableSchema, now: i64) -> DatedCells {
    let mut dated = DatedCells::default();
    for _ in 0..*[1, 1, 1, 2, 3].choose(rng).unwrap() {
        let stamp = match rng.random_range(0..4) {
            0 => Stamp::AtLeast(CommitTs(rng.random_range(0..now + 20))),
            _ => Stamp::At(CommitTs(rng.random_range(now - 100..now + 30))),
        };
        dated.add(stamp, &cells(rng, schema, 0.6));
    }
    dated
}

fn commit(rng: &mut StdRng, schema: &TableSchema, keys: i32, now: i64) -> Commit {
    let key = row_key(rng.random_range(0..keys));
    let change = |flags, dated| {
        let row = RowMutation { flags, cells: PackedCells::default() };
        RowChange { row, dated, maps: Default::default() }
    };
    match rng.random_range(0..20) {
        0..2 => Commit::Row(key, change(ROW_DELETE, DatedCells::default())),
        2..5 => Commit::Row(key, change(INSERT, dated(rng, schema, now))),
        5 => Commit::Row(key, change(INSERT | ROW_DELETE, dated(rng, schema, now))),
        6 if rng.random_bool(0.3) => {
            let end = rng.random_bool(0.8).then(|| row_key(rng.random_range(0..keys + 1)));
            let range = KeyRange { start: key, end };
            match range.is_empty() {
                true => Commit::Row(row_key(0), change(ROW_DELETE, DatedCells::default())),
                false => Commit::Range(range),
            }
        }
        _ => Commit::Row(key, change(0, dated(rng, schema, now))),
    }
}

fn insert(
    memtable: &Memtable,
    at: CommitTs,
    commit: &Commit,
    layout: &GroupLayout,
    id: LocalityGroupId,
) {
    let seq = Seq(at.0 as u64);
    match commit {
        Commit::Range(range) => {
            memtable.delete_range(RangeDelete { range: range.clone(), seq, commit_ts: at });
        }
        Commit::Row(key, change) => {
            for (_, part) in layout.parts(change).iter().filter(|(group, _)| *group == id) {
                memtable.insert(key, seq, at, &part.encoded());
            }
        }
    }
}

impl World {
    fn new(rng: &mut StdRng) -> Self {
        let schema = schema(rng);
        let keys = *[1, 3, 20].choose(rng).unwrap();
        let mut now = 200;
        let count = rng.random_range(1..60);
        let commits: Vec<(CommitTs, Commit)> = (0..count)
            .map(|_| {
                now += rng.random_range(1..5);
                (CommitTs(now), commit(rng, &schema, keys, now))
            })
            .collect();
        let layout = GroupLayout::new(&schema);
        let lead = Arc::new(Memtable::new());
        let default = LocalityGroupId::default();
        commits.iter().for_each(|(at, one)| insert(&lead, *at, one, &layout, default));
        let mut memtables = vec![Arc::new(Memtable::new())];
        for (at, one) in &commits {
            if rng.random_ratio(1, 8) {
                memtables.insert(0, Arc::new(Memtable::new()));
            }
            insert(&memtables[0], *at, one, &layout, GROUP);
        }
        Self {
            commits,
            schema: Arc::new(schema),
            lead: Sources { memtables: vec![lead], runs: Vec::new() },
            sources: Sources { memtables, runs: Vec::new() },
            disk: Disk::new(),
        }
    }

    fn gc(&self) -> GroupGc {
        GroupGc::new(&self.schema, GROUP)
    }

    fn a_time(&self, rng: &mut StdRng) -> CommitTs {
        let newest = self.commits.last().unwrap().0;
        CommitTs(rng.random_range(190..newest.0 + 30))
    }

    /// Merges some neighbouring sources into a run that takes their place.
    fn merge_some(&mut self, rng: &mut StdRng, floor: CommitTs) {
        let memtables = self.sources.memtables.len();
        let count = memtables + self.sources.runs.len();
        // A flush takes the oldest memtables.
        let first = rng.random_range(0..count);
        let end = if first < memtables {
            rng.random_range(memtables..count + 1)
        } else {
            rng.random_range(first..count) + 1
        };
        let runs = first.max(memtables) - memtables..end - memtables;
        let taken = Sources {
            memtables: self.sources.memtables[first.min(memtables)..].to_vec(),
            runs: self.sources.runs[runs.clone()].to_vec(),
        };
        let policy = GcPolicy {
            floor,
            includes_oldest: end == count,
            schema: self.schema.clone(),
            has_markers: false,
            gc: vec![self.gc()],
        };
        let run = self.merged(rng, &taken, policy);
        self.sources.memtables.truncate(first);
        self.sources.runs.splice(runs, [Arc::new(run)]);
    }

    fn merged(&self, rng: &mut StdRng, taken: &Sources, policy: GcPolicy) -> Run {
        let schema = WriterSchema::new(&self.schema, GROUP);
        let (number, mut writer) = self.disk.create_dated(rng, &schema);
        let mut merge = GcMerge::new(taken, &KeyRange::all(), policy).unwrap();
        while merge.next_rows(&mut |row, cells| Ok(writer.add(row, cells)?)).unwrap() {}
        let tombstones: Fragments = merge.tombstones().clone();
        tombstones.tombstones().for_each(|tombstone| writer.add_range_tombstone(tombstone));
        writer.include_seq(Seq(1));
        writer.finish().unwrap();
        let table = self.disk.open(number);
        table.verify().unwrap();
        assert_eq!(table.properties().rows, merge.counts().written);
        Run::new(vec![RunFile { table, bounds: KeyRange::all() }])
    }

    /// A row as the rules have it: its version and the cells that live, by column, newest first, each with its timestamp;
    /// `None` where no row does.
    fn row(&self, key: &Bytes, at: CommitTs) -> Option<(CommitTs, Vec<LiveCell>)> {
        let mut cells: Vec<LiveCell> = Vec::new();
        let (mut version, mut lives) = (None, false);
        for (commit_ts, commit) in self.commits.iter().rev().filter(|(ts, _)| *ts <= at) {
            let change = match commit {
                Commit::Range(range) if range.contains(key) => break,
                Commit::Row(of, change) if of == key => change,
                _ => continue,
            };
            version = version.or(Some(*commit_ts));
            lives |= change.row.flags & ROW_MARKER != 0;
            for (stamp, of_stamp) in &change.dated.0 {
                let written = stamp.in_commit(*commit_ts);
                for (column, value) in of_stamp.iter() {
                    let is_new = |cell: &LiveCell| cell.column != column || cell.written != written;
                    if cells.iter().all(is_new) {
                        let value = value.map(<[u8]>::to_vec);
                        cells.push(LiveCell { column, written, value, newer: 0 });
                    }
                }
            }
            if change.row.flags & (ROW_COMPLETE | ROW_DELETE) != 0 {
                break;
            }
        }
        cells.sort_by_key(|cell| (cell.column, std::cmp::Reverse(cell.written)));
        let mut living = Vec::new();
        for of_column in cells.chunk_by(|a, b| a.column == b.column) {
            let gc = self.schema.column(of_column[0].column).unwrap().gc;
            for (newer, cell) in of_column.iter().enumerate() {
                if gc.is_live(newer, cell.written, at) {
                    living.push(LiveCell { newer, ..cell.clone() });
                }
            }
        }
        version.filter(|_| lives).map(|version| (version, living))
    }

    fn keys(&self) -> Vec<Bytes> {
        let keys = self.commits.iter().filter_map(|(_, commit)| match commit {
            Commit::Row(key, _) => Some((key.clone(), ())),
            Commit::Range(_) => None,
        });
        keys.collect::<BTreeMap<_, _>>().into_keys().collect()
    }

    fn scan(&self, request: &ScanRequest, at: CommitTs) -> RecordBatch {
        let groups =
            vec![(LocalityGroupId::default(), self.lead.clone()), (GROUP, self.sources.clone())];
        let pieces = vec![Piece { groups, range: KeyRange::all() }];
        let (schema, metrics) = (self.schema.clone(), Arc::new(ScanMetrics::default()));
        let scan = Scan::new(request, schema, at, pieces, ScanOptions::default(), metrics).unwrap();
        let arrow = scan.schema().clone();
        let batches: Vec<RecordBatch> = scan.map(Result::unwrap).collect();
        concat_batches(&arrow, &batches).unwrap()
    }

    /// Compares everything that can be read at a time with the model.
    fn check(&self, rng: &mut StdRng, at: CommitTs, what: &str) {
        let gc = self.gc();
        let reverse = rng.random_bool(0.3);
        let mut projection: Vec<Projected> =
            self.schema.columns.iter().map(|column| Projected::Column(column.id)).collect();
        projection.extend([Projected::Version, Projected::Key]);
        let mut batch = RowBatch::new(self.schema.clone(), &projection, 0).unwrap();
        let mut cells = Vec::new();
        let mut keys = self.keys();
        if reverse {
            keys.reverse();
        }
        for key in keys {
            let Some((version, living)) = self.row(&key, at) else { continue };
            let mut row = CellsBuilder::default();
            for cell in living.iter().filter(|cell| cell.newer == 0) {
                row.push(cell.column, cell.value.as_deref());
            }
            let row = Row { version, cells: row.finish(), ..Row::default() };
            batch.push(&key, &row).unwrap();
            let (found, times) = self.sources.cells(&key, at.into(), &gc, &COLUMNS).unwrap();
            let normal = |cells: &PackedCells| -> Vec<String> {
                cells.iter().map(|(id, value)| self.shown(id, value)).collect()
            };
            assert_eq!(normal(&found), normal(&row.cells), "{what}, at {at:?}, row {key:?}");
            for cell in living.iter().filter(|cell| cell.newer == 0) {
                assert_eq!(times.of(cell.column), Some(cell.written), "{what}, at {at:?}");
            }
            let shown = |cell: &LiveCell| {
                let value = self.shown(cell.column, cell.value.as_deref());
                (key.clone(), i64::from(cell.column.0), cell.written.0, value)
            };
            cells.extend(living.iter().map(shown));
        }
        let mut request = ScanRequest {
            map_parts: Default::default(),
            table: self.schema.storage,
            schema_version: self.schema.version,
            read_ts: None,
            ranges: vec![KeyRange::all()],
            projection,
            predicates: Vec::new(),
            versions: Versions::Newest,
            limit: None,
            reverse,
            batch_rows_max: *[1, 7, 8192].choose(rng).unwrap(),
        };
        assert_eq!(self.scan(&request, at), batch.finish().unwrap(), "{what}, at {at:?}");
        request.versions = Versions::Cells(Selection::default());
        request.projection =
            vec![Projected::Key, Projected::CellColumn, Projected::Version, Projected::CellValue];
        let found = self.scan(&request, at);
        let numbers = |at: usize| found.column(at).as_primitive::<Int64Type>();
        let bytes = |at: usize| found.column(at).as_binary_view();
        let found: Vec<_> = (0..found.num_rows())
            .map(|row| {
                let column = numbers(1).value(row);
                let is_valid = arrow::array::Array::is_valid(bytes(3), row);
                let value = is_valid.then(|| bytes(3).value(row));
                let value = self.shown(ColumnId(u32::try_from(column).unwrap()), value);
                let key = Bytes::copy_from_slice(bytes(0).value(row));
                (key, column, numbers(2).value(row), value)
            })
            .collect();
        assert_eq!(found, cells, "{what}, at {at:?}");
    }

    /// A cell by its value.
    fn shown(&self, id: ColumnId, value: Option<&[u8]>) -> String {
        let data_type = &self.schema.column(id).unwrap().data_type;
        format!("{}: {:?}", id.0, value.map(|bytes| cell::decode(bytes, data_type).unwrap()))
    }
}

#[derive(Clone, Debug)]
struct LiveCell {
    column: ColumnId,
    written: CommitTs,
    value: Option<Vec<u8>>,
    newer: usize,
}

#[test]
fn nothing_that_is_read_depends_on_merges() {
    for seed in 0..400 {
        let rng = &mut rng(seed);
        let mut world = World::new(rng);
        for _ in 0..4 {
            let at = world.a_time(rng);
            world.check(rng, at, &format!("seed {seed}"));
        }
        let mut floor = CommitTs(0);
        for round in 0..4 {
            floor = floor.max(world.a_time(rng));
            world.merge_some(rng, floor);
            for _ in 0..4 {
                let at = CommitTs(floor.0 + rng.random_range(0..250));
                world.check(rng, at, &format!("seed {seed}, merge {round}, floor {floor:?}"));
            }
        }
    }
}

/// Rule 6's example: what is put with an older timestamp than a delete's is there, for the delete was before it.
#[test]
fn a_put_at_5_after_a_delete_at_10_is_there() {
    let rng = &mut rng(1);
    let text = |text: &str| {
        let mut cells = CellsBuilder::default();
        let value = Value::Text(text.to_owned());
        cells.push(TEXT, cell::encoded(&value, &DataType::Text).unwrap().as_deref());
        cells.finish()
    };
    let change = |flags, at: i64, value: &str| {
        let mut dated = DatedCells::default();
        if !value.is_empty() {
            dated.add(Stamp::At(CommitTs(at)), &text(value));
        }
        let row = RowMutation { flags, cells: PackedCells::default() };
        Commit::Row(row_key(1), RowChange { row, dated, maps: Default::default() })
    };
    for is_merged in [false, true] {
        let mut world = World::new(rng);
        let mut schema = (*world.schema).clone();
        schema.columns.iter_mut().for_each(|column| column.gc = CellGc::default());
        world.schema = Arc::new(schema);
        let layout = GroupLayout::new(&world.schema);
        let memtable = Arc::new(Memtable::new());
        let commits = [
            (CommitTs(20), change(INSERT, 9, "nine")),
            (CommitTs(30), change(ROW_DELETE, 0, "")),
            (CommitTs(40), change(INSERT, 5, "five")),
            (CommitTs(50), change(0, 4, "four")),
        ];
        for (at, commit) in &commits[..2] {
            insert(&memtable, *at, commit, &layout, GROUP);
        }
        world.sources = Sources { memtables: vec![memtable], runs: Vec::new() };
        if is_merged {
            let policy = GcPolicy {
                floor: CommitTs(35),
                includes_oldest: true,
                schema: world.schema.clone(),
                has_markers: false,
                gc: vec![world.gc()],
            };
            let run = world.merged(rng, &world.sources, policy);
            assert_eq!(run.files()[0].table.properties().rows, 0, "the delete goes with the row");
            world.sources = Sources { memtables: Vec::new(), runs: vec![Arc::new(run)] };
        }
        let newest = Arc::new(Memtable::new());
        for (at, commit) in &commits[2..] {
            insert(&newest, *at, commit, &layout, GROUP);
        }
        world.sources.memtables.insert(0, newest);
        let read = |at: i64| {
            let time = CommitTs(at).into();
            world.sources.cells(&row_key(1), time, &world.gc(), &[TEXT]).unwrap()
        };
        for at in [40, 50] {
            let (cells, times) = read(at);
            assert_eq!(cells, text("five"), "merged: {is_merged}, at {at}");
            assert_eq!(times.of(TEXT), Some(CommitTs(5)));
        }
        assert!(read(35).0.iter().next().is_none());
    }
}
