//! Whole files: what is written is what is read, by every way of reading.

mod arrays;
mod client_times;
mod damage;
mod examine;
mod files;
mod golden;
mod history;
mod points;

use super::*;
use crate::cache::{BlockCache, CacheOptions};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_MARKER};
use terrane_client::types::PhysicalType;
use terrane_env::Env;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::CrashFileSystem;

/// A cell as a test writes it: column, age, bytes.
type TestCell = (u32, i64, Option<Vec<u8>>);

/// A row version as a test writes it.
#[derive(Clone, Debug, PartialEq)]
struct TestRow {
    key: Vec<u8>,
    commit_ts: i64,
    flags: u8,
    cells: Vec<TestCell>,
}

const WHOLE: u8 = ROW_MARKER | ROW_COMPLETE;

fn schema(columns: &[(u32, PhysicalType)]) -> WriterSchema {
    WriterSchema {
        storage: StorageId(1234),
        version: 7,
        group: LocalityGroupId(3),
        columns: columns.iter().map(|(id, physical)| (ColumnId(*id), *physical)).collect(),
        key: Vec::new(),
    }
}

/// A disk in memory with one file being tested.
struct Bench {
    env: Env,
    disk: CrashFileSystem,
    cache: Arc<BlockCache>,
}

impl Bench {
    fn new() -> Self {
        let disk = CrashFileSystem::new(1);
        disk.create_dir_all(Path::new("/t")).unwrap();
        let env = Env::system().with_files(Arc::new(disk.clone()));
        Self { env, disk, cache: BlockCache::new(CacheOptions::default()) }
    }

    fn path() -> PathBuf {
        PathBuf::from("/t/1-1.sst")
    }

    fn writer(&self, schema: &WriterSchema, options: WriterOptions) -> SstableWriter {
        let file = self.env.files.create_new(&Self::path()).unwrap();
        SstableWriter::new(file, schema, options).unwrap()
    }

    fn write(
        &self,
        schema: &WriterSchema,
        options: WriterOptions,
        rows: &[TestRow],
    ) -> SstableSummary {
        let mut writer = self.writer(schema, options);
        rows.iter().for_each(|row| add(&mut writer, row).unwrap());
        writer.finish().unwrap()
    }

    fn open(&self) -> Result<Sstable> {
        Sstable::open(&self.env, &Self::path(), 1, &self.cache)
    }

    fn bytes(&self) -> Vec<u8> {
        self.disk.read(&Self::path()).unwrap()
    }
}

fn add(writer: &mut SstableWriter, row: &TestRow) -> Result<()> {
    let version = RowVersion {
        key: &row.key,
        seq: Seq(row.commit_ts as u64 * 10),
        commit_ts: CommitTs(row.commit_ts),
        flags: row.flags,
    };
    let cells = row.cells.iter().map(|(column, ts_delta, value)| Cell {
        column: ColumnId(*column),
        ts_delta: *ts_delta,
        value: value.as_deref(),
    });
    writer.add(version, cells)
}

/// Blocks of a few rows, so that small tests have many.
fn small_blocks(codec: Codec) -> WriterOptions {
    WriterOptions {
        codec,
        block_bytes: 100,
        block_rows: 4,
        block_bytes_max: 2000,
        block_rows_max: 10,
        ..WriterOptions::default()
    }
}

/// Every row version of a table, read through the row interface.
fn read_all(table: &Sstable) -> Result<Vec<TestRow>> {
    let mut rows = read_blocks(table, 0..table.block_count())?;
    rows.extend(read_blocks(table, table.history_blocks())?);
    // Stable: what is hidden is older.
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(rows)
}

/// The row versions of some blocks.
fn read_blocks(table: &Sstable, numbers: std::ops::Range<u32>) -> Result<Vec<TestRow>> {
    let mut rows = Vec::new();
    for number in numbers {
        let block = table.block(number, true, ReadOptions::default())?;
        let view = block.rows()?;
        let columns: Vec<Column<'_>> =
            block.columns()?.into_iter().map(|id| block.column(id)).collect::<Result<_>>()?;
        for row in 0..view.len() {
            let cells = columns.iter().filter_map(|column| {
                let value = column.cell(row).as_option()?.map(<[u8]>::to_vec);
                Some((column.id.0, column.ts_delta(row), value))
            });
            rows.push(TestRow {
                key: view.key(row),
                commit_ts: view.commit_ts(row).0,
                flags: view.flags(row),
                cells: cells.collect(),
            });
        }
    }
    Ok(rows)
}

fn int(value: i64) -> Option<Vec<u8>> {
    Some(value.to_le_bytes().to_vec())
}

fn text(value: &str) -> Option<Vec<u8>> {
    Some(value.as_bytes().to_vec())
}
