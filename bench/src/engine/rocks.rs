//! RocksDB, set up as its tuning guide says (github.com/facebook/rocksdb/wiki/Setup-Options-and-Basic-Tuning):
//! blocks of 16 KiB, ten bloom bits a key, indexes and filters in the cache, lz4 above and zstd at the bottom,
//! dynamic level sizes. Its logs are recycled, as Terrane's are: syncing a file that grows takes longer.

use super::rows::{Column, RocksRow, Row, key, rocks_value};
use super::{BATCH_ROWS, CACHE_BYTES, Engine, MEMTABLE_BYTES, Merging, Wanted};
use crate::{BenchError, Result, limits};
use arrow::array::{ArrayRef, Float64Builder, Int32Builder, Int64Builder, StringViewBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, CompactOptions, DB, DBCompressionType,
    FlushOptions, ReadOptions, WriteBatch, WriteOptions,
};
use std::path::Path;
use std::sync::Arc;

/// Memtables that [`MEMTABLE_BYTES`] is divided into: one is flushed while the next is filled.
const MEMTABLES: usize = 4;
const BLOCK_BYTES: usize = 16 << 10;
/// Of a scan: what Terrane reads ahead, about.
const READAHEAD_BYTES: usize = 1 << 20;
const RECYCLED_LOGS: usize = 4;

/// See the module's documentation.
pub struct Rocks {
    db: Arc<DB>,
}

fn options(merging: Merging) -> rocksdb::Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(BLOCK_BYTES);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES as usize));
    let mut options = rocksdb::Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(MEMTABLE_BYTES / MEMTABLES);
    options.set_max_write_buffer_number(MEMTABLES as i32);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options.set_level_compaction_dynamic_level_bytes(true);
    let processors = i32::try_from(limits::processors()).unwrap_or(i32::MAX);
    options.set_max_background_jobs(processors.max(2));
    options.set_bytes_per_sync(1 << 20);
    options.set_recycle_log_file_num(RECYCLED_LOGS);
    if merging == Merging::Off {
        options.set_disable_auto_compactions(true);
        // Files that are not merged must not slow writers down either.
        options.set_level_zero_slowdown_writes_trigger(1_000);
        options.set_level_zero_stop_writes_trigger(1_000);
    }
    options
}

/// Writes that are synced before they return.
fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

impl Rocks {
    /// An empty database.
    pub fn open(directory: &Path, merging: Merging) -> Result<Self> {
        let db = DB::open(&options(merging), directory).map_err(failed("open"))?;
        Ok(Self { db: Arc::new(db) })
    }

    /// One writer of durable single-row writes.
    pub fn writer(&self) -> Writer {
        Writer { db: Arc::clone(&self.db), options: synced(), value: Vec::new() }
    }
}

/// See [`Rocks::writer`].
pub struct Writer {
    db: Arc<DB>,
    options: WriteOptions,
    value: Vec<u8>,
}

impl Writer {
    /// Writes a row, over the one that is there.
    pub fn write(&mut self, row: &Row) -> Result<()> {
        rocks_value(row, &mut self.value);
        self.db.put_opt(key(row.id), &self.value, &self.options).map_err(failed("put"))
    }
}

fn failed(what: &str) -> impl FnOnce(rocksdb::Error) -> BenchError {
    BenchError::engine(format!("RocksDB: {what}"))
}

fn malformed() -> BenchError {
    BenchError::Engine("RocksDB".to_owned(), "a value is not a row".to_owned())
}

impl Engine for Rocks {
    fn load(&self, rows: &[Row]) -> Result<()> {
        let mut batch = WriteBatch::default();
        let mut value = Vec::new();
        for row in rows {
            rocks_value(row, &mut value);
            batch.put(key(row.id), &value);
        }
        self.db.write_opt(batch, &synced()).map_err(failed("write"))
    }

    fn flush(&self) -> Result<()> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db.flush_opt(&options).map_err(failed("flush"))
    }

    fn compact(&self) -> Result<()> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.flush()?;
        self.db.compact_range_opt(None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    fn gets(&self, ids: &[i64], _wanted: Wanted) -> Result<i64> {
        let mut sum = 0;
        for id in ids {
            // Pinned: nothing is copied. One column costs what the row costs.
            let value = self.db.get_pinned(key(*id)).map_err(failed("get"))?;
            let value = value.ok_or_else(malformed)?;
            sum += RocksRow::decode(&value).ok_or_else(malformed)?.v;
        }
        Ok(sum)
    }

    fn scan(&self, columns: &[Column], each: &mut dyn FnMut(&RecordBatch)) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_readahead_size(READAHEAD_BYTES);
        let mut rows = self.db.raw_iterator_opt(options);
        rows.seek_to_first();
        let mut builder = Builder::new(columns);
        while let Some(value) = rows.value() {
            builder.push(value)?;
            if builder.rows == BATCH_ROWS {
                each(&builder.finish()?);
            }
            rows.next();
        }
        rows.status().map_err(failed("scan"))?;
        if builder.rows > 0 {
            each(&builder.finish()?);
        }
        Ok(())
    }

    fn file_bytes(&self) -> Result<u64> {
        let files = self.db.live_files().map_err(failed("live files"))?;
        Ok(files.iter().map(|file| file.size as u64).sum())
    }
}

/// Rows to Arrow. What is not asked for is neither decoded nor built.
struct Builder {
    columns: Vec<Column>,
    schema: SchemaRef,
    rows: usize,
    k: Option<Int32Builder>,
    v: Option<Int64Builder>,
    x: Option<Float64Builder>,
    note: Option<StringViewBuilder>,
}

impl Builder {
    fn new(columns: &[Column]) -> Self {
        let field = |column: &Column| match column {
            Column::K => Field::new("k", DataType::Int32, false),
            Column::V => Field::new("v", DataType::Int64, false),
            Column::X => Field::new("x", DataType::Float64, false),
            Column::Note => Field::new("note", DataType::Utf8View, false),
        };
        let has = |column| columns.contains(&column);
        Self {
            columns: columns.to_vec(),
            schema: Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>())),
            rows: 0,
            k: has(Column::K).then(|| Int32Builder::with_capacity(BATCH_ROWS)),
            v: has(Column::V).then(|| Int64Builder::with_capacity(BATCH_ROWS)),
            x: has(Column::X).then(|| Float64Builder::with_capacity(BATCH_ROWS)),
            note: has(Column::Note).then(|| StringViewBuilder::with_capacity(BATCH_ROWS)),
        }
    }

    fn push(&mut self, value: &[u8]) -> Result<()> {
        let row = RocksRow::decode(value).ok_or_else(malformed)?;
        if let Some(k) = &mut self.k {
            k.append_value(row.k);
        }
        if let Some(v) = &mut self.v {
            v.append_value(row.v);
        }
        if let Some(x) = &mut self.x {
            x.append_value(row.x);
        }
        if let Some(note) = &mut self.note {
            note.append_value(row.note().ok_or_else(malformed)?);
        }
        self.rows += 1;
        Ok(())
    }

    /// What was pushed; empty again, with room for as much.
    fn finish(&mut self) -> Result<RecordBatch> {
        let empty = Self::new(&self.columns);
        let Self { columns, schema, mut k, mut v, mut x, mut note, .. } =
            std::mem::replace(self, empty);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for column in columns {
            let array: Option<ArrayRef> = match column {
                Column::K => k.take().map(|mut k| Arc::new(k.finish()) as ArrayRef),
                Column::V => v.take().map(|mut v| Arc::new(v.finish()) as ArrayRef),
                Column::X => x.take().map(|mut x| Arc::new(x.finish()) as ArrayRef),
                Column::Note => note.take().map(|mut note| Arc::new(note.finish()) as ArrayRef),
            };
            arrays.extend(array);
        }
        RecordBatch::try_new(schema, arrays)
            .map_err(BenchError::engine("a batch of RocksDB's rows"))
    }
}
