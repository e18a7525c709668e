//! A table whose commits are spread over memtables and files of tiny blocks, and the same commits in a map.

use crate::cache::{BlockCache, CacheOptions};
use crate::memtable::{Memtable, RangeDelete};
use crate::scan::{GroupGc, Run, RunFile, Sources};
use crate::sstable::{
    Cell, Codec, RangeTombstone, RowVersion, Sstable, SstableWriter, WriterOptions, WriterSchema,
};
use arrow::datatypes::i256;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::key;
use terrane_client::numeric::Numeric;
use terrane_client::read::KeyRange;
use terrane_client::row::{CellsBuilder, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row, RowMutation};
use terrane_client::schema::{
    BlockFilter, CellGc, Column, GcMode, KeyColumn, LocalityGroup, TableSchema,
};
use terrane_client::types::DataType;
use terrane_client::value::Value;
use terrane_env::Env;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::CrashFileSystem;

/// One committed mutation.
#[derive(Clone, Debug)]
pub struct Commit {
    pub key: Bytes,
    pub ts: CommitTs,
    pub mutation: RowMutation,
}

/// A range that was deleted after so many commits.
#[derive(Clone, Debug)]
pub struct Deletion {
    pub range: KeyRange,
    pub ts: CommitTs,
    pub after: usize,
}

/// All versions of all rows, newest first, the deleted ranges, and what of the rest a read sees.
#[derive(Clone)]
pub struct Model(
    pub BTreeMap<Bytes, Vec<(CommitTs, RowMutation)>>,
    pub Vec<Deletion>,
    pub Arc<TableSchema>,
);

impl Default for Model {
    fn default() -> Self {
        Self(BTreeMap::new(), Vec::new(), Arc::new(schema()))
    }
}

/// A version of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCell {
    pub column: ColumnId,
    pub written: CommitTs,
    pub value: Option<Vec<u8>>,
}

impl Model {
    pub fn of(commits: &[Commit]) -> Self {
        let mut model = Self::default();
        for commit in commits {
            let row = model.0.entry(commit.key.clone()).or_default();
            row.insert(0, (commit.ts, commit.mutation.clone()));
        }
        model
    }

    /// The versions of a row that nothing has deleted at `at`, newest first.
    fn undeleted(&self, key: &[u8], at: CommitTs) -> Vec<(CommitTs, RowMutation)> {
        let covering = self.1.iter().filter(|one| one.ts <= at && one.range.contains(key));
        let deleted_before = covering.map(|one| one.ts).max().unwrap_or(CommitTs::ABSENT);
        let seen = |(ts, _): &&(CommitTs, RowMutation)| (deleted_before..=at).contains(ts);
        let mut undeleted = Vec::new();
        for version in self.0.get(key).into_iter().flatten().filter(seen) {
            undeleted.push(version.clone());
            if version.1.flags & (ROW_COMPLETE | ROW_DELETE) != 0 {
                break;
            }
        }
        undeleted
    }

    /// The row as a read at `at` sees it: nothing is ever dropped here, and what does not live is not shown.
    pub fn row(&self, key: &[u8], at: CommitTs) -> Option<Row> {
        let cells = self.live(key, at)?;
        let mut newest = CellsBuilder::default();
        let mut last = None;
        // Those that have newer ones may live where the newest does not: then the column has none.
        for (cell, newer) in cells.iter().filter(|(_, newer)| *newer == 0) {
            assert!(last < Some(cell.column) && *newer == 0);
            last = Some(cell.column);
            newest.push(cell.column, cell.value.as_deref());
        }
        let version = self.undeleted(key, at)[0].0;
        Some(Row { version, cells: newest.finish(), ..Row::default() })
    }

    /// The cells that live at `at` and how many newer ones each has, by column, newest first; `None` where no row does.
    pub fn live(&self, key: &[u8], at: CommitTs) -> Option<Vec<(LiveCell, usize)>> {
        let versions = self.undeleted(key, at);
        let marker_gc = self.2.groups[0].marker_gc;
        let lives = |(ts, mutation): &(CommitTs, RowMutation)| {
            let ttl = marker_gc.newest_ttl();
            mutation.flags & ROW_MARKER != 0 && ttl.is_none_or(|ttl| at.0 - ts.0 < ttl)
        };
        if !versions.iter().any(lives) {
            return None;
        }
        let mut cells: Vec<LiveCell> = Vec::new();
        for (written, mutation) in &versions {
            cells.extend(mutation.cells.iter().map(|(column, value)| LiveCell {
                column,
                written: *written,
                value: value.map(<[u8]>::to_vec),
            }));
        }
        cells.sort_by_key(|cell| cell.column);
        let mut live = Vec::new();
        for of_column in cells.chunk_by(|a, b| a.column == b.column) {
            let gc = self.2.column(of_column[0].column).map(|column| column.gc).unwrap_or_default();
            let lives = |(newer, cell): &(usize, &LiveCell)| gc.is_live(*newer, cell.written, at);
            let counted = of_column.iter().enumerate().filter(lives);
            live.extend(counted.map(|(newer, cell)| (cell.clone(), newer)));
        }
        Some(live)
    }

    /// The rows of a range.
    pub fn rows(&self, range: &KeyRange, at: CommitTs) -> Vec<(Bytes, Row)> {
        let end = match &range.end {
            Some(end) if *end <= range.start => return Vec::new(),
            Some(end) => Bound::Excluded(end.clone()),
            None => Bound::Unbounded,
        };
        self.0
            .range::<Bytes, _>((Bound::Included(&range.start), end.as_ref()))
            .filter_map(|(key, _)| Some((key.clone(), self.row(key, at)?)))
            .collect()
    }
}

pub const KEY_NUMBER: ColumnId = ColumnId(1);
pub const KEY_TEXT: ColumnId = ColumnId(2);
/// Was int4 before, and its cells are still written so.
pub const WIDENED: ColumnId = ColumnId(3);
pub const TEXT: ColumnId = ColumnId(4);
/// Absent cells read as 1.5.
pub const FLOAT: ColumnId = ColumnId(6);
pub const BOOL: ColumnId = ColumnId(7);
pub const NUMERIC: ColumnId = ColumnId(8);
/// Not in the files' schema: its cells are exceptions.
pub const LATE: ColumnId = ColumnId(9);
/// A column that was dropped: cells of it are still about.
pub const DROPPED: ColumnId = ColumnId(5);

/// (number, text DESC) -> six columns of kinds that take different paths.
pub fn schema() -> TableSchema {
    let column = |id, data_type, missing| Column {
        id,
        name: format!("c{}", id.0),
        data_type,
        not_null: false,
        group: LocalityGroupId::default(),
        missing,
        gc: Default::default(),
    };
    TableSchema {
        storage: StorageId(1000),
        version: 3,
        name: "t".to_owned(),
        columns: vec![
            column(KEY_NUMBER, DataType::Int4, Value::Null),
            column(KEY_TEXT, DataType::Text, Value::Null),
            column(WIDENED, DataType::Int8, Value::Null),
            column(TEXT, DataType::Text, Value::Null),
            column(FLOAT, DataType::Float8, Value::Float8(1.5)),
            column(BOOL, DataType::Bool, Value::Null),
            column(NUMERIC, DataType::Numeric(Some((10, 2))), Value::Null),
            column(LATE, DataType::Int4, Value::Int4(7)),
        ],
        key: vec![
            KeyColumn { column: KEY_NUMBER, descending: false },
            KeyColumn { column: KEY_TEXT, descending: true },
        ],
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: 0,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

/// What the files are written with: before a column was widened, and before another was added.
fn file_schema() -> WriterSchema {
    let mut schema = schema();
    schema.columns.retain(|column| column.id != LATE);
    for column in &mut schema.columns {
        if column.id == WIDENED {
            column.data_type = DataType::Int4;
        }
    }
    WriterSchema::new(&schema, LocalityGroupId::default())
}

pub fn value(rng: &mut StdRng, data_type: &DataType) -> Value {
    let n: i32 = rng.random_range(-20..20);
    if rng.random_ratio(1, 8) {
        return Value::Null;
    }
    match data_type {
        DataType::Int4 => Value::Int4(n),
        DataType::Int8 => Value::Int8(i64::from(n)),
        DataType::Float8 => match n {
            -20 => Value::Float8(f64::NAN),
            -19 => Value::Float8(-0.0),
            _ => Value::Float8(f64::from(n) / 2.0),
        },
        DataType::Bool => Value::Bool(n > 0),
        DataType::Numeric(_) => {
            Value::Numeric(Numeric::new(i256::from_i128(i128::from(n) * 50), 2).unwrap())
        }
        _ => match n {
            -20 => Value::Text("a text that is longer than a view holds inline".repeat(3)),
            _ => Value::Text(format!("text {n}")),
        },
    }
}

fn cells(rng: &mut StdRng, share: u32) -> terrane_client::row::PackedCells {
    let mut builder = CellsBuilder::default();
    let schema = schema();
    let mut columns: Vec<(ColumnId, DataType)> =
        schema.value_columns().map(|column| (column.id, column.data_type.clone())).collect();
    columns.push((DROPPED, DataType::Int4));
    columns.sort_by_key(|(id, _)| *id);
    for (id, data_type) in columns {
        if !rng.random_ratio(share, 100) {
            continue;
        }
        // The widened column was int4 when most cells were written.
        let data_type = match id == WIDENED && rng.random_ratio(9, 10) {
            true => DataType::Int4,
            false => data_type,
        };
        let value = value(rng, &data_type);
        builder.push(id, cell::encoded(&value, &data_type).unwrap().as_deref());
    }
    builder.finish()
}

/// A row by its values: a file may store a widened column's cell narrower than it was written.
pub fn seen(row: Option<Row>, columns: &[ColumnId]) -> Option<(CommitTs, Vec<String>)> {
    let schema = schema();
    let row = row?;
    let cell = |id: &ColumnId| {
        let cell = row.cells.get(*id)?;
        let value =
            cell.map(|bytes| cell::decode(bytes, &schema.column(*id).unwrap().data_type).unwrap());
        Some(format!("{}: {value:?}", id.0))
    };
    Some((row.version, columns.iter().filter_map(cell).collect()))
}

/// The columns that are not in the key.
pub fn value_columns() -> Vec<ColumnId> {
    schema().value_columns().map(|column| column.id).collect()
}

/// How random commits are.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub keys: i32,
    pub commits: usize,
    /// In a hundred: updates of some columns, and deletes. The rest writes whole rows.
    pub updates: u32,
    pub deletes: u32,
    pub sources: usize,
    /// Write some mutations that no tablet writes: markers without cells, cells without a row.
    pub is_odd: bool,
    /// Ranges are deleted now and then.
    pub deletes_ranges: bool,
}

impl Mix {
    /// One row, written once: for tests that say themselves what is written.
    pub const ONE_ROW: Self = Self {
        keys: 1,
        commits: 1,
        updates: 0,
        deletes: 0,
        sources: 1,
        is_odd: false,
        deletes_ranges: false,
    };
}

pub fn mix(rng: &mut StdRng) -> Mix {
    let keys = *[1, 6, 40, 400].choose(rng).unwrap();
    let each: usize = *[1, 3].choose(rng).unwrap();
    Mix {
        keys,
        // With few a key, there are blocks of whole rows, each once.
        commits: rng.random_range(1..keys as usize * each + 30),
        updates: *[0, 0, 30, 80].choose(rng).unwrap(),
        deletes: *[0, 0, 10, 40].choose(rng).unwrap(),
        sources: rng.random_range(1..6),
        is_odd: rng.random_ratio(1, 4),
        deletes_ranges: rng.random_ratio(1, 2),
    }
}

pub fn row_key(number: i32) -> Bytes {
    let text = Value::Text("k".repeat((number % 3) as usize));
    key::encode(&[Value::Int4(number - 3), text], &schema().key_shape()).unwrap()
}

/// The schema with policies, in half of all cases. Timestamps are a few hundred apart at most.
fn schema_with_policies(rng: &mut StdRng, mix: Mix) -> TableSchema {
    let mut schema = schema();
    if rng.random_bool(0.5) {
        return schema;
    }
    let mut gc = || CellGc {
        max_versions: *[1, 1, 2, 5].choose(rng).unwrap(),
        ttl_micros: *[None, None, Some(3), Some(40), Some(400)].choose(rng).unwrap(),
        mode: *[GcMode::Any, GcMode::All].choose(rng).unwrap(),
    };
    let keys: Vec<ColumnId> = schema.key.iter().map(|key| key.column).collect();
    for column in schema.columns.iter_mut().filter(|column| !keys.contains(&column.id)) {
        column.gc = gc();
    }
    // Of a row that has ended nobody writes a marker alone.
    if !mix.is_odd {
        schema.groups[0].marker_gc = gc();
    }
    schema
}

fn mutation(rng: &mut StdRng, mix: Mix) -> RowMutation {
    let whole = ROW_MARKER | ROW_COMPLETE;
    if mix.is_odd && rng.random_ratio(1, 6) {
        let flags = *[0, ROW_MARKER, ROW_DELETE | ROW_MARKER, ROW_COMPLETE, whole | ROW_DELETE]
            .choose(rng)
            .unwrap();
        let share = *[0, 50].choose(rng).unwrap();
        return RowMutation { flags, cells: cells(rng, share) };
    }
    match rng.random_range(0..100) {
        draw if draw < mix.deletes => RowMutation { flags: ROW_DELETE, cells: Default::default() },
        draw if draw < mix.deletes + mix.updates => RowMutation { flags: 0, cells: cells(rng, 30) },
        _ => RowMutation { flags: whole, cells: cells(rng, 90) },
    }
}

/// Random commits in order, and the sources they end up in.
pub struct World {
    pub commits: Vec<Commit>,
    pub deletions: Vec<Deletion>,
    pub sources: Sources,
    pub schema: Arc<TableSchema>,
    pub disk: Disk,
    pub mix: Mix,
}

impl World {
    pub fn new(rng: &mut StdRng) -> Self {
        let mix = mix(rng);
        Self::with(rng, mix)
    }

    pub fn with(rng: &mut StdRng, mix: Mix) -> Self {
        let mut ts = 100;
        let mut commits: Vec<Commit> = Vec::new();
        let mut deletions: Vec<Deletion> = Vec::new();
        for after in 0..mix.commits {
            let key = row_key(rng.random_range(0..mix.keys));
            // Rows of one COMMIT share a timestamp; one row has each only once.
            let may_share = commits.last().is_some_and(|last| last.key < key);
            if mix.deletes_ranges && rng.random_range(0..mix.commits) < 4 {
                ts += rng.random_range(1..5);
                let range = deleted_range(rng, mix);
                deletions.push(Deletion { range, ts: CommitTs(ts), after });
                ts += 1;
            } else if !may_share || rng.random_bool(0.5) {
                ts += rng.random_range(1..5);
            }
            commits.push(Commit { key, ts: CommitTs(ts), mutation: mutation(rng, mix) });
        }
        let disk = Disk::new();
        let sources = spread(rng, &disk, &commits, &deletions, mix.sources);
        let schema = Arc::new(schema_with_policies(rng, mix));
        Self { commits, deletions, sources, schema, disk, mix }
    }

    pub fn model(&self) -> Model {
        Model(Model::of(&self.commits).0, self.deletions.clone(), self.schema.clone())
    }

    /// The policies of the one group there is.
    pub fn gc(&self) -> GroupGc {
        GroupGc::new(&self.schema, LocalityGroupId::default())
    }

    pub fn newest(&self) -> CommitTs {
        self.commits.last().map_or(CommitTs(1), |commit| commit.ts)
    }

    /// A timestamp to read at: mostly now, sometimes long ago.
    pub fn timestamp(&self, rng: &mut StdRng) -> CommitTs {
        match rng.random_range(0..4) {
            0 => CommitTs::MAX,
            1 => self.newest(),
            _ => CommitTs(rng.random_range(90..self.newest().0 + 10)),
        }
    }
}

pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Cuts the commits into pieces, oldest first, and puts each into a source of its own.
pub fn spread(
    rng: &mut StdRng,
    disk: &Disk,
    commits: &[Commit],
    deletions: &[Deletion],
    count: usize,
) -> Sources {
    let mut cuts: Vec<usize> = (1..count).map(|_| rng.random_range(0..commits.len() + 1)).collect();
    cuts.extend([0, commits.len()]);
    cuts.sort_unstable();
    let memtables = rng.random_range(0..count + 1);
    let mut sources = Sources::default();
    for (i, cut) in cuts.windows(2).enumerate() {
        let piece = &commits[cut[0]..cut[1]];
        let is_own = |one: &&Deletion| one.after > cut[0] && one.after <= cut[1];
        let first = deletions.iter().filter(|one| i == 0 && one.after == 0);
        let deleted: Vec<Deletion> =
            first.chain(deletions.iter().filter(is_own)).cloned().collect();
        match i >= count - memtables {
            true => {
                sources.memtables.insert(0, Arc::new(memtable(rng, piece, &deleted, cut[0] as u64)))
            }
            false => sources.runs.insert(0, Arc::new(run(rng, disk, piece, &deleted))),
        }
    }
    sources
}

/// Most of the keys, some, or none.
fn deleted_range(rng: &mut StdRng, mix: Mix) -> KeyRange {
    let mut key = || row_key(rng.random_range(0..mix.keys + 2));
    let (start, end) = (key(), key());
    let end = rng.random_ratio(9, 10).then_some(end);
    KeyRange { start, end }
}

fn memtable(rng: &mut StdRng, commits: &[Commit], deleted: &[Deletion], seq: u64) -> Memtable {
    let memtable = Memtable::new();
    for Deletion { range, ts, .. } in deleted {
        let (range, seq) = (range.clone(), Seq(seq + ts.0 as u64));
        memtable.delete_range(RangeDelete { range, seq, commit_ts: *ts });
    }
    let mut order: Vec<usize> = (0..commits.len()).collect();
    // Different rows may come in any order.
    order.shuffle(rng);
    order.sort_by_key(|i| commits[*i].ts);
    for i in order {
        let mut bytes = Vec::new();
        commits[i].mutation.encode(&mut bytes);
        let ts = commits[i].ts;
        memtable.insert(&commits[i].key, Seq(seq + ts.0 as u64), ts, &bytes);
    }
    memtable
}

/// A run of one to three files; some have rows outside their bounds, as after a split.
fn run(rng: &mut StdRng, disk: &Disk, commits: &[Commit], deleted: &[Deletion]) -> Run {
    let model = Model::of(commits);
    let mut bounds: Vec<Bytes> =
        (0..rng.random_range(0..3)).map(|_| row_key(rng.random_range(0..50))).collect();
    bounds.sort();
    bounds.dedup();
    let mut files = Vec::new();
    let mut start = Bytes::new();
    for end in bounds.into_iter().map(Some).chain([None]) {
        let bounds = KeyRange { start: start.clone(), end: end.clone() };
        let surplus = rng.random_bool(0.3);
        let inside = |key: &Bytes| surplus || bounds.contains(key);
        let table = disk.write(rng, model.0.iter().filter(|(key, _)| inside(key)), deleted);
        files.push(RunFile { table, bounds });
        start = end.unwrap_or_default();
    }
    Run::new(files)
}

/// A disk in memory.
pub struct Disk {
    env: Env,
    cache: Arc<BlockCache>,
    files: std::cell::Cell<u64>,
}

impl Disk {
    pub fn new() -> Self {
        let disk = CrashFileSystem::new(1);
        disk.create_dir_all(std::path::Path::new("/t")).unwrap();
        let env = Env::system().with_files(Arc::new(disk));
        let cache = BlockCache::new(CacheOptions::default());
        Self { env, cache, files: std::cell::Cell::new(0) }
    }

    fn options(rng: &mut StdRng) -> WriterOptions {
        let block_rows_max = *[1, 3, 10, 200].choose(rng).unwrap();
        WriterOptions {
            codec: *[Codec::None, Codec::Lz4, Codec::Zstd(1)].choose(rng).unwrap(),
            block_bytes: 100,
            block_rows: block_rows_max.min(4),
            block_bytes_max: 4000,
            block_rows_max,
            filter: *[BlockFilter::None, BlockFilter::Row, BlockFilter::RowColumn]
                .choose(rng)
                .unwrap(),
            client_times: false,
            history_part: rng.random_ratio(3, 4),
        }
    }

    /// Starts a file; returns its number.
    pub fn create(&self, rng: &mut StdRng) -> (u64, SstableWriter) {
        self.create_with(&file_schema(), Self::options(rng))
    }

    /// The same of a group with timestamps of the client's.
    pub fn create_dated(&self, rng: &mut StdRng, schema: &WriterSchema) -> (u64, SstableWriter) {
        self.create_with(schema, WriterOptions { client_times: true, ..Self::options(rng) })
    }

    fn create_with(&self, schema: &WriterSchema, options: WriterOptions) -> (u64, SstableWriter) {
        let number = self.files.get() + 1;
        self.files.set(number);
        let file = self.env.files.create_new(&Self::path(number)).unwrap();
        (number, SstableWriter::new(file, schema, options).unwrap())
    }

    pub fn open(&self, number: u64) -> Sstable {
        Sstable::open(&self.env, &Self::path(number), number, &self.cache).unwrap()
    }

    fn path(number: u64) -> PathBuf {
        PathBuf::from(format!("/t/1-{number}.sst"))
    }

    fn write<'a>(
        &self,
        rng: &mut StdRng,
        rows: impl Iterator<Item = (&'a Bytes, &'a Vec<(CommitTs, RowMutation)>)>,
        deleted: &[Deletion],
    ) -> Sstable {
        let (number, mut writer) = self.create(rng);
        for Deletion { range, ts, .. } in deleted.iter().filter(|one| !one.range.is_empty()) {
            let KeyRange { start, end } = range.clone();
            writer.add_range_tombstone(RangeTombstone { start, end, commit_ts: *ts });
        }
        for (key, versions) in rows {
            for (ts, mutation) in versions {
                let seq = Seq(ts.0 as u64);
                let row = RowVersion { key, seq, commit_ts: *ts, flags: mutation.flags };
                writer.add(row, mutation.cells.iter().map(Cell::new)).unwrap();
            }
        }
        writer.finish().unwrap();
        self.open(number)
    }
}
