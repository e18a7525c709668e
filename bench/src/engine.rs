//! The storage engine beside RocksDB, both in this process on one file system: docs/benchmarks/rocksdb.md.
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | how much is measured |
//! | [`rows`] | the table, and its rows in either engine's form |
//! | [`terrane`], [`rocks`] | the two engines behind [`Engine`] |
//! | [`digest`] | what a read must have found |
//! | [`loads`], [`gets`], [`writes`], [`scans`] | what is measured |
//! | [`run`] | the order of it |
//!
//! Fairness: both sync their log before a durable write is acknowledged, both have a bloom filter, lz4 for new
//! files, zstd for the base, the same memory for memtables and cache. RocksDB is set up as its own tuning
//! guide says, and recycles its logs as Terrane does. Every read's answer is checked once before it is timed.

pub mod digest;
pub mod gets;
pub mod loads;
pub mod options;
pub mod rocks;
pub mod rows;
pub mod run;
pub mod scans;
pub mod terrane;
pub mod writes;

use crate::Result;
use crate::measure::Measurement;
use arrow::record_batch::RecordBatch;
use rows::{Column, Row};

/// For memtables, in each engine.
pub const MEMTABLE_BYTES: usize = 256 << 20;
/// For blocks, filters and indexes, in each engine.
pub const CACHE_BYTES: u64 = 320 << 20;
/// Rows of a batch of a scan.
pub const BATCH_ROWS: usize = 8192;

/// Whether background work merges files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merging {
    /// As always.
    On,
    /// New files stay beside the base.
    Off,
}

/// What both can do. Calls return when their work is done.
pub trait Engine {
    /// Writes rows as one batch, over those that are there; durable on return.
    fn load(&self, rows: &[Row]) -> Result<()>;

    /// Memtables become files.
    fn flush(&self) -> Result<()>;

    /// Everything becomes one sorted run.
    fn compact(&self) -> Result<()>;

    /// Looks rows up one after the other; the sum of their column v.
    fn gets(&self, ids: &[i64], wanted: Wanted) -> Result<i64>;

    /// Reads columns of all rows into batches of [`BATCH_ROWS`], in key order.
    fn scan(&self, columns: &[Column], each: &mut dyn FnMut(&RecordBatch)) -> Result<()>;

    /// Size of the table's sorted files.
    fn file_bytes(&self) -> Result<u64>;
}

/// What a lookup gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every column.
    Row,
    /// Column v.
    OneColumn,
}

/// The two.
pub struct Pair {
    /// Ours.
    pub terrane: terrane::Terrane,
    /// The peer.
    pub rocks: rocks::Rocks,
}

impl Pair {
    /// Both, as what is the same for them needs them: Terrane first.
    pub fn engines(&self) -> [&dyn Engine; 2] {
        [&self.terrane, &self.rocks]
    }

    /// One round of a measurement: each in turn.
    fn round(
        &self,
        measured: &mut Measurement,
        mut work: impl FnMut(&dyn Engine) -> Result<f64>,
    ) -> Result<()> {
        measured.terrane.push(work(&self.terrane)?);
        measured.peer.push(work(&self.rocks)?);
        Ok(())
    }
}

/// Tells the terminal.
fn say(measured: &Measurement) {
    eprintln!("{}: {:.3?} {:.3?}", measured.name, measured.terrane, measured.peer);
}
