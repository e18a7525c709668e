//! Random operations on the engine and on the model, same answers.
//!
//! The two have clocks of their own, so every commit's timestamp is translated: engine to model, as the
//! commits happen.

use crate::world::*;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::cell;
use terrane_client::cell::map::{encode_key, in_order};
use terrane_client::expr::{BinaryOp, Expr};
use terrane_client::ids::{ColumnId, CommitTs, RequestId};
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::master::MasterService;
use terrane_client::model::{Model, ModelTablets};
use terrane_client::program::{
    Action, Atomicity, DeleteRangeRequest, Guard, ModifyRequest, ModifyResponse, OnConflict,
    Returning, RowError, RowOutcome, RowProgram,
};
use terrane_client::read::{GetRequest, KeyRange, Projected, ScanRequest};
use terrane_client::row::{CellsBuilder, PackedCells, Row};
use terrane_client::service::TabletService;
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;
use terrane_env::files::crash::CrashMode;
use terrane_env::random::SplitMix64;
use terrane_storage::cache::CacheOptions;
use terrane_storage::server::ServerOptions;
use terrane_storage::sstable::Codec;

const KEYS: u64 = 60;

pub struct Pair {
    pub world: World,
    model: Arc<ModelTablets>,
    random: SplitMix64,
    /// Engine timestamp -> model timestamp.
    times: BTreeMap<CommitTs, CommitTs>,
    next_request: u64,
    /// Nothing older can be read: a major compaction has dropped it.
    oldest: CommitTs,
    /// The engine keeps history. Without, flushes and merges drop what no newest read sees.
    has_history: bool,
    /// The table has a map column.
    has_map: bool,
}

impl Pair {
    pub async fn new(seed: u64, options: ServerOptions) -> Self {
        let mut random = SplitMix64::new(seed);
        let world = World::new(options).await;
        let splits: Vec<Bytes> = match random.below(2) {
            0 => Vec::new(),
            _ => vec![row_key(KEYS as i64 / 3), row_key(KEYS as i64 / 2)],
        };
        let model = Model::default();
        let mut table =
            schema_in_groups(TABLE, LAYOUTS[random.below(LAYOUTS.len() as u64) as usize]);
        // A group without markers of all rows takes other ways to the same answers.
        let has_markers = random.chance(0.7);
        table.groups.iter_mut().skip(1).for_each(|group| group.has_markers = has_markers);
        let has_history = random.chance(0.7);
        if !has_history {
            table.history_micros = 0;
        }
        let has_map = random.chance(0.5);
        let mut of_model = schema(TABLE);
        if has_map {
            (table, of_model) = (with_map(table), with_map(of_model));
        }
        world.master.create_table(table, splits.clone()).await.unwrap();
        model.master().create_table(of_model, splits).await.unwrap();
        let times = BTreeMap::from([(CommitTs::ABSENT, CommitTs::ABSENT)]);
        Self {
            world,
            model: model.tablets(),
            random,
            times,
            next_request: 1,
            oldest: CommitTs::ABSENT,
            has_history,
            has_map,
        }
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.below(choices.len() as u64) as usize].clone()
    }

    fn key(&mut self) -> i64 {
        self.random.below(KEYS) as i64
    }

    fn text(&mut self) -> Option<String> {
        let long = "long ".repeat(300);
        self.pick(&[None, Some(String::new()), Some("short".to_owned()), Some(long)])
    }

    fn a_time(&mut self) -> CommitTs {
        let place = self.random.below(self.times.len() as u64) as usize;
        *self.times.keys().nth(place).unwrap()
    }

    /// Major compaction, while somebody reads at some time.
    async fn compact(&mut self) {
        self.oldest = self.oldest.max(self.a_time());
        let _pin = self.world.server.pin_timestamp(self.oldest).await.unwrap();
        self.world.server.compact(TABLE).await.unwrap();
    }

    /// The model's tablets stay as they are: a split changes no answer.
    async fn split(&mut self) {
        let k = self.key();
        crate::split::split_at(&self.world.server, k).await.unwrap();
    }

    /// Two of the tablets, if there are two, become one.
    async fn merge(&mut self) {
        let rows = crate::split::tablets(&self.world.server).await;
        let at = self.random.below(rows.len() as u64) as usize;
        self.world.server.merge(TABLE, rows[at].start.clone().into()).await.unwrap();
    }

    fn assignments(&mut self) -> Vec<(ColumnId, Expr)> {
        let mut assignments = Vec::new();
        if self.random.chance(0.6) {
            assignments.push((A, add_expr(self.random.below(100) as i64)));
        }
        if self.random.chance(0.4) {
            let value = self.text().map_or(Value::Null, Value::Text);
            assignments.push((B, Expr::Literal(value, DataType::Text)));
        }
        if self.random.chance(0.4) || assignments.is_empty() {
            let value = self.pick(&[Value::Null, Value::Int4(1), Value::Int4(2)]);
            assignments.push((C, Expr::Literal(value, DataType::Int4)));
        }
        if self.has_map && self.random.chance(0.6) {
            assignments.push((M, self.map_value()));
        }
        assignments
    }

    fn map_key(&mut self) -> Value {
        let keys = if self.random.chance(0.9) { 6 } else { 200 };
        Value::Text(format!("key {}", self.random.below(keys)))
    }

    /// A map, mostly small, sometimes of more entries than are removed one by one.
    fn map(&mut self) -> Value {
        let entries = self.pick(&[0, 1, 3, 3, 150]);
        let entry = |_| {
            let value = self.pick(&[Value::Null, Value::Text("v".to_owned())]);
            (self.map_key(), value)
        };
        Value::Map(in_order((0..entries).map(entry).collect()))
    }

    /// What is assigned to the map: another one, or its own with entries put and removed.
    fn map_value(&mut self) -> Expr {
        let literal = |value| Box::new(Expr::Literal(value, DataType::Text));
        let own = || Box::new(Expr::Column(M, map_type()));
        let with = |map: Value| Box::new(Expr::Literal(map, map_type()));
        match self.random.below(6) {
            0 => *with(self.map()),
            1 => Expr::MapConcat(own(), with(self.map())),
            2 => Expr::MapRemove(own(), literal(self.map_key())),
            3 => {
                let key = literal(self.map_key());
                let value = literal(Value::Text("put".to_owned()));
                let map = Box::new(Expr::MapRemove(own(), literal(self.map_key())));
                Expr::MapPut { map, key, value }
            }
            _ => {
                // m[key] = coalesce(m[other], 'x') || 'y'
                let key = literal(self.map_key());
                let other = literal(self.map_key());
                let other = Expr::MapGet { map: own(), key: other, result: DataType::Text };
                let known = vec![other, *literal(Value::Text("x".to_owned()))];
                let value = Box::new(Expr::Binary {
                    op: BinaryOp::Concat,
                    left: Box::new(Expr::Coalesce(known, DataType::Text)),
                    right: literal(Value::Text("y".to_owned())),
                    result: DataType::Text,
                });
                Expr::MapPut { map: own(), key, value }
            }
        }
    }

    fn condition(&mut self) -> Expr {
        if self.has_map && self.random.chance(0.2) {
            let key = Expr::Literal(self.map_key(), DataType::Text);
            let map = Box::new(Expr::Column(M, map_type()));
            return Expr::MapHas(map, Box::new(key));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Expr {
        let value = self.random.below(200) as i64;
        Expr::Binary {
            op: self.pick(&[BinaryOp::Lt, BinaryOp::GtEq, BinaryOp::NotEq]),
            left: Box::new(Expr::Column(A, DataType::Int8)),
            right: Box::new(Expr::Literal(Value::Int8(value), DataType::Int8)),
            result: DataType::Bool,
        }
    }

    async fn program(&mut self) -> RowProgram {
        let k = self.key();
        let text = self.text();
        let c = self.pick(&[None, Some(3), Some(4)]);
        let mut cells = cells(self.random.below(200) as i64, text.as_deref(), c);
        if self.has_map && self.random.chance(0.6) {
            let map = cell::encoded(&self.map(), &map_type()).unwrap();
            let mut with_map = CellsBuilder::default();
            cells.iter().for_each(|(id, cell)| with_map.push(id, cell));
            with_map.push(M, map.as_deref());
            cells = with_map.finish();
        }
        let conflict = match self.random.below(3) {
            0 => OnConflict::DoNothing,
            _ => OnConflict::DoUpdate { assignments: self.assignments() },
        };
        let action = match self.random.below(10) {
            0..=2 => Action::Put { cells },
            3..=5 => Action::Update { assignments: self.assignments() },
            6 | 7 => Action::Upsert { insert: cells, conflict },
            8 => Action::Delete,
            _ => Action::Check,
        };
        let guard = match self.random.below(8) {
            0 | 1 => Guard::Absent,
            2 => Guard::Version(self.a_time()),
            3 => {
                let row = self.world.get(k).await;
                Guard::Version(row.map_or(CommitTs::ABSENT, |row| row.version))
            }
            _ => Guard::Any,
        };
        let mut program = program(k, guard, action);
        if self.random.chance(0.25) {
            program.condition = Some(Box::new(self.condition()));
        }
        program.returning = self.pick(&[Returning::Nothing, Returning::Row]);
        program
    }

    /// One batch on both sides.
    pub async fn modify(&mut self) {
        let mut programs = Vec::new();
        for _ in 0..self.pick(&[1, 1, 1, 2, 5, 20]) {
            programs.push(self.program().await);
        }
        let request = RequestId { client: 1, number: self.next_request };
        self.next_request += 1;
        let atomicity = self.pick(&[Atomicity::AllOrNone, Atomicity::EachRow]);
        let real = ModifyRequest { request, programs: Arc::new(programs), atomicity };
        let mut model = real.clone();
        for program in Arc::make_mut(&mut model.programs) {
            if let Guard::Version(version) = &mut program.guard {
                *version = self.times[version];
            }
        }
        let found = self.world.server.modify_rows(real.clone()).await.unwrap();
        let expected = self.model.modify_rows(model).await.unwrap();
        self.times.insert(found.commit_ts, expected.commit_ts);
        assert_eq!(self.translated(found), without_empty_maps(expected), "{real:?}");
    }

    /// The same ranges deleted on both sides.
    async fn delete_ranges(&mut self) {
        let request = RequestId { client: 1, number: self.next_request };
        self.next_request += 1;
        let mut ranges = self.ranges();
        if self.random.chance(0.8) {
            // Mostly few rows, so that there are some left.
            let start = self.key();
            let end = start + self.random.below(6) as i64;
            ranges = vec![KeyRange { start: row_key(start), end: Some(row_key(end)) }];
        }
        let request = DeleteRangeRequest { request, table: TABLE, schema_version: 1, ranges };
        let found = self.world.server.delete_ranges(request.clone()).await.unwrap();
        let expected = self.model.delete_ranges(request).await.unwrap();
        assert_eq!(found == CommitTs::ABSENT, expected == CommitTs::ABSENT);
        self.times.insert(found, expected);
    }

    fn translated(&self, mut response: ModifyResponse) -> ModifyResponse {
        response.commit_ts = self.times[&response.commit_ts];
        for result in &mut response.results {
            match result {
                Ok(RowOutcome::Applied { row: Some(row), .. }) => {
                    row.version = self.times[&row.version];
                }
                Err(RowError::VersionChanged { current }) => *current = self.times[current],
                _ => {}
            }
        }
        without_empty_maps(response)
    }

    /// A time to read at, for engine and model. The model reads "now" for a time before all commits.
    fn read_time(&mut self) -> (Option<CommitTs>, Option<CommitTs>) {
        match self.random.below(3) {
            0 => {
                let at = self.a_time();
                match at == CommitTs::ABSENT || at < self.oldest || !self.has_history {
                    true => (None, None),
                    false => (Some(at), Some(self.times[&at])),
                }
            }
            _ => (None, None),
        }
    }

    pub async fn get(&mut self) {
        let keys = (0..self.pick(&[1, 3, 10])).map(|_| row_key(self.key())).collect();
        let (at, model_at) = self.read_time();
        let mut columns = self.pick(&[None, Some(vec![A]), Some(vec![A, C]), Some(vec![])]);
        if self.has_map && self.random.chance(0.5) {
            columns.as_mut().into_iter().for_each(|columns| columns.push(M));
        }
        let mut request = GetRequest {
            table: TABLE,
            schema_version: 1,
            read_ts: at,
            keys,
            columns: columns.map(Into::into),
            map_parts: self.map_parts().into(),
        };
        let found = self.world.server.get(request.clone()).await.unwrap().rows;
        request.read_ts = model_at;
        let expected = self.model.get(request.clone()).await.unwrap().rows;
        let part = request.map_parts.of(M);
        let normal = |row: Row| Row { cells: part_of_map(&row.cells, part), ..row };
        let found: Vec<Option<Row>> = found
            .into_iter()
            .map(|row| row.map(|row| normal(Row { version: self.times[&row.version], ..row })))
            .collect();
        let expected: Vec<Option<Row>> = expected.into_iter().map(|row| row.map(normal)).collect();
        assert_eq!(found, expected, "{request:?}");
    }

    /// All of the map, some keys, or a range of them.
    fn map_parts(&mut self) -> MapParts {
        let of = MapType::hstore();
        let choice = self.random.below(3);
        let mut key = || Bytes::from(encode_key(&self.map_key(), &of).unwrap());
        let part = match choice {
            0 => return MapParts::default(),
            1 => MapPart::Keys([key(), key()].into()),
            _ => {
                let (a, b) = (key(), key());
                MapPart::Range(KeyRange { start: a.clone().min(b.clone()), end: Some(a.max(b)) })
            }
        };
        MapParts([(M, part)].into())
    }

    fn ranges(&mut self) -> Vec<KeyRange> {
        let mut cuts: Vec<i64> = (0..4).map(|_| self.key()).collect();
        cuts.sort_unstable();
        let range = |start, end| KeyRange { start: row_key(start), end: Some(row_key(end)) };
        match self.random.below(4) {
            0 => vec![KeyRange::all()],
            1 => vec![range(cuts[0], cuts[1])],
            2 => vec![range(cuts[0], cuts[1]), range(cuts[2], cuts[3])],
            _ => vec![KeyRange { start: row_key(cuts[0]), end: None }],
        }
    }

    pub async fn scan(&mut self) {
        let (at, model_at) = self.read_time();
        let all: Vec<Projected> = [K, A, B, C].map(Projected::Column).to_vec();
        let mut with_version = all.clone();
        with_version.insert(1, Projected::Version);
        with_version.push(Projected::Key);
        let mut projection = self.pick(&[
            all,
            with_version,
            vec![Projected::Column(C)],
            vec![Projected::Column(B), Projected::Column(A)],
            vec![Projected::Key],
        ]);
        if self.has_map && self.random.chance(0.5) {
            projection.insert(0, Projected::Column(M));
        }
        let predicates = match self.random.below(3) {
            0 => vec![self.comparison()],
            _ => Vec::new(),
        };
        let limit = match predicates.is_empty() {
            true => self.pick(&[None, Some(1), Some(7)]),
            false => None,
        };
        let mut request = ScanRequest {
            versions: Default::default(),
            table: TABLE,
            schema_version: 1,
            read_ts: at,
            ranges: self.ranges(),
            projection,
            map_parts: self.map_parts().into(),
            predicates,
            limit,
            reverse: self.random.chance(0.3),
            batch_rows_max: self.pick(&[1, 7, 1000]),
        };
        let found = self.scanned(&*self.world.server, &request).await;
        let found = self.with_model_versions(&request, found);
        request.read_ts = model_at;
        let mut expected = self.scanned(&*self.model, &request).await;
        if request.projection[0] == Projected::Column(M) {
            let part = request.map_parts.of(M);
            expected.iter_mut().for_each(|row| row[0] = part_of_value(&row[0], part));
        }
        assert_eq!(found, expected, "{request:?}");
    }

    /// A scan's rows. A tablet need not evaluate predicates, so rows that fail them are left out here.
    async fn scanned(&self, tablets: &dyn TabletService, request: &ScanRequest) -> Vec<Vec<Value>> {
        let mut request = request.clone();
        let filter = !request.predicates.is_empty();
        if filter {
            request.projection.push(Projected::Column(A));
        }
        let (_, mut rows) = scan(tablets, &request).await.unwrap();
        if filter {
            let Expr::Binary { op, right, .. } = &request.predicates[0] else { unreachable!() };
            let Expr::Literal(Value::Int8(bound), _) = **right else { unreachable!() };
            rows.retain(|row| match (row.last(), op) {
                (Some(Value::Int8(a)), BinaryOp::Lt) => *a < bound,
                (Some(Value::Int8(a)), BinaryOp::GtEq) => *a >= bound,
                (Some(Value::Int8(a)), _) => *a != bound,
                _ => false,
            });
        }
        rows
    }

    fn with_model_versions(
        &self,
        request: &ScanRequest,
        mut rows: Vec<Vec<Value>>,
    ) -> Vec<Vec<Value>> {
        let place = request.projection.iter().position(|p| *p == Projected::Version);
        if let Some(place) = place {
            for row in &mut rows {
                if let Value::Int8(version) = &mut row[place] {
                    *version = self.times[&CommitTs(*version)].0;
                }
            }
        }
        rows
    }

    /// Everything is durable between two operations, so a crash changes no answer.
    pub async fn restart(self) -> Self {
        let Self { world, mut random, .. } = self;
        let world = match random.below(4) {
            0 => world.reopen().await,
            1 => world.crash(random.next_u64(), CrashMode::DropUnsynced).await,
            2 => world.crash(random.next_u64(), CrashMode::Random).await,
            _ => world.crash(random.next_u64(), CrashMode::KeepWritten).await,
        };
        Self { world, random, ..self }
    }

    /// One random operation.
    pub async fn step(mut self) -> Self {
        match self.random.below(100) {
            0..=48 => self.modify().await,
            49 => self.split().await,
            50 => self.merge().await,
            51..=54 => self.delete_ranges().await,
            55..=74 => self.get().await,
            75..=93 => self.scan().await,
            94..=95 => self = self.restart().await,
            96..=97 => self.world.server.flush(Some(TABLE)).await.unwrap(),
            98 => self.world.server.flush(None).await.unwrap(),
            _ => self.compact().await,
        }
        crate::split::tiles(&self.world).await;
        self
    }
}

/// The part of a map that was asked for.
fn part_of_value(map: &Value, part: &MapPart) -> Value {
    let Value::Map(entries) = map else { panic!("{map:?}") };
    let is_in = |(key, _): &&(Value, Value)| {
        let key = encode_key(key, &MapType::hstore()).unwrap();
        match part {
            MapPart::Whole => true,
            MapPart::Keys(keys) => keys.contains(&key[..]),
            MapPart::Range(range) => range.contains(&key),
        }
    };
    Value::Map(entries.iter().filter(is_in).cloned().collect())
}

/// A row's cells with that part of its map; without it where it is empty, which is the same as none.
fn part_of_map(cells: &PackedCells, part: &MapPart) -> PackedCells {
    let mut kept = CellsBuilder::default();
    for (id, cell) in cells.iter() {
        if id != M {
            kept.push(id, cell);
            continue;
        }
        let map = cell::decode(cell.unwrap(), &map_type()).unwrap();
        let map = part_of_value(&map, part);
        if map != Value::Map(Vec::new()) {
            kept.push(M, cell::encoded(&map, &map_type()).unwrap().as_deref());
        }
    }
    kept.finish()
}

fn without_empty_maps(mut response: ModifyResponse) -> ModifyResponse {
    for result in response.results.iter_mut().flatten() {
        if let RowOutcome::Applied { row: Some(row), .. } = result {
            row.cells = part_of_map(&row.cells, &MapPart::Whole);
        }
    }
    response
}

/// Fixed seeds; more of them where `TERRANE_SEEDS` says how many.
pub fn seeds(few: u64) -> std::ops::RangeInclusive<u64> {
    let more = std::env::var("TERRANE_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    1..=more.unwrap_or(few)
}

async fn run(seed: u64, options: ServerOptions, steps: usize) {
    eprintln!("seed {seed}");
    let mut pair = Pair::new(seed, options).await;
    for _ in 0..steps {
        pair = pair.step().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_and_model_agree() {
    for seed in seeds(6) {
        run(seed, ServerOptions::small(), 500).await;
    }
}

/// The metamorphic test: options change how rows are stored and found, never what is answered.
fn random_options(random: &mut SplitMix64) -> ServerOptions {
    let mut pick = |choices: &[u64]| choices[random.below(choices.len() as u64) as usize];
    let codec = |choice| match choice {
        0 => Codec::None,
        1 => Codec::Lz4,
        level => Codec::Zstd(level as i32),
    };
    let small = ServerOptions::small();
    ServerOptions {
        memtable_bytes: pick(&[64 << 10, 256 << 10, 1 << 20]) as usize,
        log_segments_max: pick(&[1, 4]) as usize,
        cache: CacheOptions { data_bytes: pick(&[0, 64 << 10, 4 << 20]), ..small.cache },
        file_bytes: pick(&[8 << 10, 64 << 10, 1 << 20]),
        block_bytes: pick(&[64, 1 << 10, 16 << 10]) as usize,
        block_rows: pick(&[1, 16, 1024]) as usize,
        compaction: pick(&[0, 1, 1]) == 1,
        tablet_bytes_max: pick(&[8 << 10, 64 << 10, 1 << 30]),
        quiet_after: Duration::from_millis(pick(&[1, 20, 60_000])),
        pruning: pick(&[0, 1]) == 1,
        flush_codec: codec(pick(&[0, 1, 3])),
        compaction_codec: codec(pick(&[0, 1, 3])),
        ..small
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_and_model_agree_under_random_options() {
    for seed in seeds(10) {
        let options = random_options(&mut SplitMix64::new(seed * 77));
        eprintln!("{options:?}");
        run(1000 + seed, options, 400).await;
    }
}
