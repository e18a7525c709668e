//! Terrane's storage engine as `terrane` starts it, without SQL and wire: the embedded lock service, the tablet
//! server, the master, one table of one tablet, spoken to through [`TabletService`].

use super::rows::{self, Column, Row, TABLE, terrane_cells, terrane_key, terrane_v};
use super::{BATCH_ROWS, CACHE_BYTES, Engine, MEMTABLE_BYTES, Merging, Wanted};
use crate::{BenchError, Result};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, RequestId};
use terrane_client::lock::LockService;
use terrane_client::master::MasterService;
use terrane_client::program::{Action, Atomicity, Guard, ModifyRequest, Returning, RowProgram};
use terrane_client::read::{GetRequest, KeyRange, Projected, ScanRequest};
use terrane_client::row::{CellsBuilder, PackedCells};
use terrane_client::service::TabletService;
use terrane_env::Env;
use terrane_master::Master;
use terrane_storage::cache::CacheOptions;
use terrane_storage::lock_service::EmbeddedLockService;
use terrane_storage::server::{DataDirectory, ServerOptions, TabletServer};
use tokio::runtime::Runtime;

const SERVER_NAME: &str = "bench";
/// Of the cache; the rest is for blocks.
const CACHE_META_BYTES: u64 = 64 << 20;

/// See the module's documentation.
pub struct Terrane {
    /// Calls are made on it, and its threads run scans.
    runtime: Runtime,
    server: Arc<TabletServer>,
    master: Arc<Master>,
    /// The table's SSTables.
    files: PathBuf,
    requests: Arc<AtomicU64>,
}

fn failed(what: &str) -> impl FnOnce(TabletError) -> BenchError {
    BenchError::engine(format!("Terrane: {what}"))
}

fn absent() -> BenchError {
    BenchError::Engine("Terrane".to_owned(), "a row is not there".to_owned())
}

fn options(merging: Merging) -> ServerOptions {
    let data_bytes = CACHE_BYTES - CACHE_META_BYTES;
    ServerOptions {
        memtable_bytes: MEMTABLE_BYTES,
        cache: CacheOptions { data_bytes, meta_bytes: CACHE_META_BYTES, ..CacheOptions::default() },
        compaction: merging == Merging::On,
        ..ServerOptions::default()
    }
}

impl Terrane {
    /// An empty table.
    pub fn open(root: &Path, merging: Merging) -> Result<Self> {
        let runtime = Runtime::new().map_err(BenchError::io("a runtime"))?;
        let env = Env::system();
        let directory =
            DataDirectory::open(&env, root).map_err(BenchError::engine("Terrane: directory"))?;
        let directory = Arc::new(directory);
        let files = directory.table(TABLE);
        let lock = EmbeddedLockService::open(&env, &directory.lock_service())
            .map_err(BenchError::engine("Terrane: lock service"))?;
        let lock: Arc<dyn LockService> = Arc::new(lock);
        let (server, master) = runtime
            .block_on(async {
                let options = options(merging);
                let server =
                    TabletServer::open(env.clone(), directory, SERVER_NAME, lock.clone(), options)
                        .await?;
                let master = Master::start(&env, lock, server.clone(), SERVER_NAME).await?;
                master.create_table(rows::schema(), Vec::new()).await?;
                Ok((server, master))
            })
            .map_err(failed("start"))?;
        Ok(Self { runtime, server, master, files, requests: Arc::default() })
    }

    /// Where tasks of the same process run.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// One writer of durable single-row writes.
    pub fn writer(&self) -> Writer {
        Writer {
            server: Arc::clone(&self.server),
            requests: Arc::clone(&self.requests),
            cells: CellsBuilder::default(),
        }
    }
}

impl Drop for Terrane {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            if let Err(error) = self.master.stop().await {
                eprintln!("Terrane: stopping: {error}");
            }
            self.server.close().await;
        });
    }
}

/// See [`Terrane::writer`].
pub struct Writer {
    server: Arc<TabletServer>,
    requests: Arc<AtomicU64>,
    cells: CellsBuilder,
}

impl Writer {
    /// Writes a row, over the one that is there.
    pub async fn write(&mut self, row: &Row) -> Result<()> {
        let program = put(row, terrane_cells(row, &mut self.cells));
        self.modify(vec![program]).await
    }

    async fn modify(&self, programs: Vec<RowProgram>) -> Result<()> {
        // Named, as a client names its requests so that a retry is answered.
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let request = RequestId { client: 1, number };
        let request =
            ModifyRequest { request, programs: Arc::new(programs), atomicity: Atomicity::EachRow };
        let response = self.server.modify_rows(request).await.map_err(failed("write"))?;
        match response.results.into_iter().find_map(std::result::Result::err) {
            None => Ok(()),
            Some(error) => Err(BenchError::engine("Terrane: write")(error)),
        }
    }
}

fn put(row: &Row, cells: PackedCells) -> RowProgram {
    RowProgram {
        table: TABLE,
        schema_version: 1,
        key: terrane_key(row.id),
        guard: Guard::Any,
        condition: None,
        action: Action::Put { cells },
        returning: Returning::Nothing,
    }
}

impl Engine for Terrane {
    fn load(&self, rows: &[Row]) -> Result<()> {
        let mut cells = CellsBuilder::default();
        let programs = rows.iter().map(|row| put(row, terrane_cells(row, &mut cells))).collect();
        self.runtime.block_on(self.writer().modify(programs))
    }

    fn flush(&self) -> Result<()> {
        self.runtime.block_on(self.server.flush(Some(TABLE))).map_err(failed("flush"))
    }

    fn compact(&self) -> Result<()> {
        self.flush()?;
        self.runtime.block_on(self.server.compact(TABLE)).map_err(failed("compact"))
    }

    fn gets(&self, ids: &[i64], wanted: Wanted) -> Result<i64> {
        let columns: Option<Arc<[ColumnId]>> = match wanted {
            Wanted::Row => None,
            Wanted::OneColumn => Some([Column::V.id()].into()),
        };
        self.runtime.block_on(async {
            let mut sum = 0;
            for id in ids {
                let request = GetRequest {
                    table: TABLE,
                    schema_version: 1,
                    read_ts: None,
                    keys: vec![terrane_key(*id)],
                    columns: columns.clone(),
                };
                let mut response = self.server.get(request).await.map_err(failed("get"))?;
                let row = response.rows.pop().flatten().ok_or_else(absent)?;
                sum += terrane_v(&row.cells).ok_or_else(absent)?;
            }
            Ok(sum)
        })
    }

    fn scan(&self, columns: &[Column], each: &mut dyn FnMut(&RecordBatch)) -> Result<()> {
        let request = ScanRequest {
            versions: Default::default(),
            table: TABLE,
            schema_version: 1,
            read_ts: None,
            ranges: vec![KeyRange::all()],
            projection: columns.iter().map(|column| Projected::Column(column.id())).collect(),
            map_parts: Default::default(),
            predicates: Vec::new(),
            limit: None,
            reverse: false,
            batch_rows_max: BATCH_ROWS,
        };
        self.runtime.block_on(async {
            let mut response = self.server.read(request).await.map_err(failed("scan"))?;
            while let Some(batch) = response.batches.next().await {
                each(&batch.map_err(failed("scan"))?);
            }
            Ok(())
        })
    }

    fn file_bytes(&self) -> Result<u64> {
        let failed = || BenchError::io("the table's directory");
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.files).map_err(failed())? {
            bytes += entry.and_then(|entry| entry.metadata()).map_err(failed())?.len();
        }
        Ok(bytes)
    }
}
