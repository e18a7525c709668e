//! A tablet server and a master on a disk that can lose power, and short ways to talk to them.

use bytes::Bytes;
use futures::TryStreamExt;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::cell;
use terrane_client::columns::value_at;
use terrane_client::error::TabletError;
use terrane_client::expr::{BinaryOp, Expr};
use terrane_client::ids::{ColumnId, CommitTs, Generation, LocalityGroupId, RequestId, StorageId};
use terrane_client::key;
use terrane_client::lock::{
    Change, Lease, LockError, LockService, Outcome, Transaction, Versioned,
};
use terrane_client::master::MasterService;
use terrane_client::program::{
    Action, Atomicity, DeleteRangeRequest, Guard, ModifyRequest, ModifyResponse, OnConflict,
    Returning, RowError, RowOutcome, RowProgram,
};
use terrane_client::read::{GetRequest, KeyRange, Projected, ScanRequest};
use terrane_client::row::{CellsBuilder, PackedCells, Row};
use terrane_client::schema::{
    Column, HISTORY_DEFAULT_MICROS, KeyColumn, LocalityGroup, TableSchema,
};
use terrane_client::service::{Applied, TabletService};
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;
use terrane_env::Env;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};
use terrane_master::Master;
use terrane_storage::server::DataDirectory;
use terrane_storage::server::ServerOptions;
use terrane_storage::server::TabletServer;

pub const SERVER: &str = "tablet-1";
pub const TABLE: StorageId = StorageId(1000);
pub const K: ColumnId = ColumnId(1);
pub const A: ColumnId = ColumnId(2);
pub const B: ColumnId = ColumnId(3);
pub const C: ColumnId = ColumnId(4);
/// Of tables [`with_map`].
pub const M: ColumnId = ColumnId(5);
/// Where its entries are.
pub const MAP_GROUP: u16 = 40;

/// (k int8 primary key, a int8 not null, b text, c int4)
pub fn schema(table: StorageId) -> TableSchema {
    let column = |id, name: &str, data_type, not_null| Column {
        id,
        name: name.to_owned(),
        data_type,
        not_null,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    };
    TableSchema {
        storage: table,
        version: 1,
        name: format!("t{table}"),
        columns: vec![
            column(K, "k", DataType::Int8, true),
            column(A, "a", DataType::Int8, true),
            column(B, "b", DataType::Text, false),
            column(C, "c", DataType::Int4, false),
        ],
        key: vec![KeyColumn { column: K, descending: false }],
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: HISTORY_DEFAULT_MICROS,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

/// The same, its columns a, b and c in these locality groups.
pub fn schema_in_groups(table: StorageId, [a, b, c]: [u16; 3]) -> TableSchema {
    let mut schema = schema(table);
    for (column, group) in schema.columns.iter_mut().skip(1).zip([a, b, c]) {
        column.group = LocalityGroupId(group);
    }
    for id in 1..=[a, b, c].into_iter().max().unwrap_or_default() {
        schema.groups.push(group(id));
    }
    schema
}

/// The same with a map column, m hstore.
pub fn with_map(mut schema: TableSchema) -> TableSchema {
    let group_id = LocalityGroupId(MAP_GROUP);
    schema.columns.push(Column {
        id: M,
        name: "m".to_owned(),
        data_type: map_type(),
        not_null: false,
        group: group_id,
        missing: Value::Map(Vec::new()),
        gc: Default::default(),
    });
    schema.groups.push(group(MAP_GROUP));
    schema
}

pub fn map_type() -> DataType {
    DataType::Map(Box::new(MapType::hstore()))
}

/// A locality group beside the default one.
pub fn group(id: u16) -> LocalityGroup {
    let name = format!("g{id}");
    LocalityGroup { id: LocalityGroupId(id), name, ..LocalityGroup::default_group() }
}

/// How columns a, b and c can be spread over locality groups.
pub const LAYOUTS: [[u16; 3]; 5] = [[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 2], [1, 2, 1]];

pub fn row_key(k: i64) -> Bytes {
    key::encode(&[Value::Int8(k)], &schema(TABLE).key_shape()).unwrap()
}

pub fn cells(a: i64, b: Option<&str>, c: Option<i32>) -> PackedCells {
    let mut cells = CellsBuilder::default();
    let mut push = |id, value: Value, data_type| {
        cells.push(id, cell::encoded(&value, &data_type).unwrap().as_deref());
    };
    push(A, Value::Int8(a), DataType::Int8);
    push(B, b.map_or(Value::Null, |b| Value::Text(b.to_owned())), DataType::Text);
    push(C, c.map_or(Value::Null, Value::Int4), DataType::Int4);
    cells.finish()
}

/// The value of column a.
pub fn a_of(row: &Row) -> i64 {
    let bytes = row.cells.get(A).unwrap().unwrap();
    i64::from_le_bytes(bytes.try_into().unwrap())
}

pub fn program(k: i64, guard: Guard, action: Action) -> RowProgram {
    RowProgram {
        table: TABLE,
        schema_version: 1,
        key: row_key(k),
        guard,
        condition: None,
        action,
        returning: Returning::Nothing,
    }
}

pub fn insert(k: i64, a: i64) -> RowProgram {
    program(k, Guard::Absent, Action::Put { cells: cells(a, Some("text"), None) })
}

pub fn put(k: i64, a: i64) -> RowProgram {
    program(k, Guard::Any, Action::Put { cells: cells(a, Some("text"), None) })
}

pub fn delete(k: i64) -> RowProgram {
    program(k, Guard::Any, Action::Delete)
}

pub fn add_expr(by: i64) -> Expr {
    Expr::Binary {
        op: BinaryOp::Add,
        left: Box::new(Expr::Column(A, DataType::Int8)),
        right: Box::new(Expr::Literal(Value::Int8(by), DataType::Int8)),
        result: DataType::Int8,
    }
}

/// UPDATE … SET a = a + by
pub fn add(k: i64, by: i64) -> RowProgram {
    program(k, Guard::Any, Action::Update { assignments: vec![(A, add_expr(by))] })
}

pub fn upsert(k: i64, a: i64, by: i64) -> RowProgram {
    let conflict = OnConflict::DoUpdate { assignments: vec![(A, add_expr(by))] };
    program(k, Guard::Any, Action::Upsert { insert: cells(a, None, None), conflict })
}

/// A lock service that stays when the server crashes, and knows then that its leases have ended. Its state
/// can be cloned together with the disk's.
#[derive(Default)]
pub struct TestLocks {
    state: Mutex<LockState>,
}

#[derive(Clone, Default)]
struct LockState {
    values: BTreeMap<String, Versioned>,
    revision: u64,
    generation: u64,
}

#[async_trait::async_trait]
impl LockService for TestLocks {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, LockError> {
        Ok(self.state.lock().values.get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, LockError> {
        let state = self.state.lock();
        let all = state.values.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(all.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    async fn commit(&self, transaction: Transaction) -> Result<Outcome, LockError> {
        let mut state = self.state.lock();
        let revision = |key: &str| state.values.get(key).map_or(0, |value| value.revision);
        if transaction.compares.iter().any(|compare| revision(&compare.key) != compare.revision) {
            return Ok(Outcome::Conflict);
        }
        state.revision += 1;
        let revision = state.revision;
        for change in transaction.changes {
            match change {
                Change::Put { key, value } => {
                    state.values.insert(key, Versioned { value, revision });
                }
                Change::Delete { key } => drop(state.values.remove(&key)),
            }
        }
        Ok(Outcome::Committed(revision))
    }

    async fn acquire_lease(&self, holder: &str) -> Result<Lease, LockError> {
        let mut state = self.state.lock();
        state.generation += 1;
        Ok(Lease { holder: holder.to_owned(), generation: Generation(state.generation) })
    }

    async fn release_lease(&self, _lease: &Lease) -> Result<(), LockError> {
        Ok(())
    }
}

impl TestLocks {
    /// The same values and generations, from now on apart.
    pub fn snapshot(&self) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(self.state.lock().clone()) })
    }
}

pub struct World {
    pub disk: CrashFileSystem,
    pub env: Env,
    pub locks: Arc<TestLocks>,
    pub options: ServerOptions,
    pub server: Arc<TabletServer>,
    pub master: Arc<Master>,
}

static NEXT_REQUEST: AtomicU64 = AtomicU64::new(1);

fn request(programs: Vec<RowProgram>, atomicity: Atomicity) -> ModifyRequest {
    let number = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed);
    let request = RequestId { client: 7, number };
    ModifyRequest { request, programs: Arc::new(programs), atomicity }
}

pub fn delete_range_request(
    request: RequestId,
    start: i64,
    end: Option<i64>,
) -> DeleteRangeRequest {
    let ranges = vec![KeyRange { start: row_key(start), end: end.map(row_key) }];
    DeleteRangeRequest { request, table: TABLE, schema_version: 1, ranges }
}

impl World {
    /// An empty cluster.
    pub async fn new(options: ServerOptions) -> Self {
        Self::open(CrashFileSystem::new(1), Arc::new(TestLocks::default()), options).await.unwrap()
    }

    /// An empty cluster with the table of [`schema`].
    pub async fn with_table(options: ServerOptions) -> Self {
        Self::with_groups(options, LAYOUTS[0]).await
    }

    /// The same, its columns in these locality groups.
    pub async fn with_groups(options: ServerOptions, layout: [u16; 3]) -> Self {
        let world = Self::new(options).await;
        let table = schema_in_groups(TABLE, layout);
        world.master.create_table(table, Vec::new()).await.unwrap();
        world
    }

    pub async fn open(
        disk: CrashFileSystem,
        locks: Arc<TestLocks>,
        options: ServerOptions,
    ) -> Result<Self, TabletError> {
        let env = Env::system().with_files(Arc::new(disk.clone()));
        Self::open_in(env, disk, locks, options).await
    }

    pub async fn open_in(
        env: Env,
        disk: CrashFileSystem,
        locks: Arc<TestLocks>,
        options: ServerOptions,
    ) -> Result<Self, TabletError> {
        let directory = Arc::new(DataDirectory::open(&env, Path::new("/data")).unwrap());
        let lock: Arc<dyn LockService> = locks.clone();
        let server =
            TabletServer::open(env.clone(), directory, SERVER, lock.clone(), options.clone())
                .await?;
        let master = Master::start(&env, lock, server.clone(), SERVER).await?;
        Ok(Self { disk, env, locks, options, server, master })
    }

    /// Stops cleanly and starts again.
    pub async fn reopen(self) -> Self {
        self.master.stop().await.unwrap();
        self.server.close().await;
        let Self { disk, locks, options, .. } = self;
        Self::open(disk, locks, options).await.unwrap()
    }

    /// The power goes, or the process is killed, and the server starts again.
    pub async fn crash(self, seed: u64, mode: CrashMode) -> Self {
        // Nothing moves on between the two: what is published from now on was written before.
        self.disk.halt();
        let disk = self.disk.crash_clone(seed, mode);
        self.start_on(disk).await
    }

    /// Starts on a disk that was cloned earlier; this world is at its end.
    pub async fn start_on(self, disk: CrashFileSystem) -> Self {
        self.disk.halt();
        let Self { locks, options, server, master, .. } = self;
        drop((server, master));
        // An edit of the old server's that is under way does not reach the new one.
        Self::open(disk, locks.snapshot(), options).await.unwrap()
    }

    pub async fn modify(
        &self,
        programs: Vec<RowProgram>,
        atomicity: Atomicity,
    ) -> Result<ModifyResponse, TabletError> {
        self.server.modify_rows(request(programs, atomicity)).await
    }

    /// Runs programs, all or none, and does not wait for the log.
    pub async fn apply(&self, programs: Vec<RowProgram>) -> Result<Applied, TabletError> {
        self.server.apply_rows(request(programs, Atomicity::AllOrNone)).await
    }

    /// Deletes the rows from `start` up to, without, `end`.
    pub async fn delete_range(&self, start: i64, end: Option<i64>) -> CommitTs {
        let number = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed);
        let request = delete_range_request(RequestId { client: 7, number }, start, end);
        self.server.delete_ranges(request).await.unwrap()
    }

    /// Runs one program.
    pub async fn run(&self, program: RowProgram) -> Result<RowOutcome, RowError> {
        self.modify(vec![program], Atomicity::AllOrNone).await.unwrap().results.remove(0)
    }

    pub async fn get(&self, k: i64) -> Option<Row> {
        self.get_at(k, None).await.unwrap()
    }

    /// As a statement planned with this version of the schema sees it.
    pub async fn get_planned(&self, k: i64, schema_version: u32) -> Option<Row> {
        self.get_of(k, schema_version, None).await.unwrap()
    }

    pub async fn get_at(&self, k: i64, at: Option<CommitTs>) -> Result<Option<Row>, TabletError> {
        self.get_of(k, 1, at).await
    }

    async fn get_of(
        &self,
        k: i64,
        schema_version: u32,
        read_ts: Option<CommitTs>,
    ) -> Result<Option<Row>, TabletError> {
        let request = GetRequest {
            table: TABLE,
            schema_version,
            read_ts,
            keys: vec![row_key(k)],
            columns: None,
            map_parts: Default::default(),
        };
        Ok(self.server.get(request).await?.rows.remove(0))
    }

    /// The sum of column a over all rows, and their number.
    pub async fn sum(&self) -> (i64, usize) {
        let rows = scan(&*self.server, &scan_request(vec![Projected::Column(A)])).await.unwrap().1;
        let values = rows.iter().map(|row| match row[0] {
            Value::Int8(a) => a,
            ref other => panic!("{other:?}"),
        });
        (values.sum(), rows.len())
    }
}

pub fn scan_request(projection: Vec<Projected>) -> ScanRequest {
    ScanRequest {
        versions: Default::default(),
        table: TABLE,
        schema_version: 1,
        read_ts: None,
        ranges: vec![KeyRange::all()],
        projection,
        map_parts: Default::default(),
        predicates: Vec::new(),
        limit: None,
        reverse: false,
        batch_rows_max: 1000,
    }
}

/// A scan's answer, value by value.
pub async fn scan(
    tablets: &dyn TabletService,
    request: &ScanRequest,
) -> Result<(CommitTs, Vec<Vec<Value>>), TabletError> {
    let schema = with_map(schema(request.table));
    let types: Vec<DataType> = request
        .projection
        .iter()
        .map(|projected| match projected {
            Projected::Column(id) => schema.column(*id).unwrap().data_type.clone(),
            Projected::Key => DataType::Bytea,
            Projected::CellColumn | Projected::CellKey | Projected::CellValue => {
                panic!("a cell of a row")
            }
            Projected::Version => DataType::Int8,
        })
        .collect();
    let answer = tablets.read(request.clone()).await?;
    let batches: Vec<_> = answer.batches.try_collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        assert!(batch.num_rows() <= request.batch_rows_max, "a batch is too large");
        for i in 0..batch.num_rows() {
            let value = |(column, t): (usize, &DataType)| value_at(batch.column(column), i, t);
            rows.push(types.iter().enumerate().map(value).collect::<Result<Vec<_>, _>>().unwrap());
        }
    }
    Ok((answer.read_ts, rows))
}
