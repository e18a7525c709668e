//! How much is measured.

use std::path::PathBuf;
use std::time::Duration;

/// Rows of `--quick`.
const QUICK_ROWS: u64 = 400_000;
/// Rows without it: both engines then have the table in their caches.
const FULL_ROWS: u64 = 2_000_000;

/// Measures Terrane's storage engine beside RocksDB and writes a report and a picture.
///
/// Example: cargo run --release -p terrane-bench --features peers --bin terrane-bench-engine -- --quick
#[derive(Clone, Debug, clap::Parser)]
#[command(version)]
pub struct Options {
    /// 400,000 rows, one second a measurement, two rounds.
    #[arg(long)]
    pub quick: bool,
    /// Rows of the table [default: 2000000, with --quick 400000].
    #[arg(long)]
    pub rows: Option<u64>,
    /// Rounds of each measurement; their median counts [default: 5, with --quick 2].
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds of each measurement that has no end of its own [default: 3, with --quick 1].
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Writers of the durable writes.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pub writers: Vec<usize>,
    /// Where both keep their data; removed afterwards [default: the temporary directory].
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Where report and picture go.
    #[arg(long, default_value = "docs/benchmarks")]
    pub out: PathBuf,
    /// The report's and the picture's name, without an ending.
    #[arg(long, default_value = "rocksdb")]
    pub name: String,
    /// Keep the report even if the machine was not the same at start and end.
    #[arg(long)]
    pub accept_drift: bool,
}

impl Options {
    /// Rows of the table.
    pub fn row_count(&self) -> u64 {
        self.rows.unwrap_or(if self.quick { QUICK_ROWS } else { FULL_ROWS }).max(1)
    }

    /// Rounds of each measurement.
    pub fn round_count(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    /// How long a measurement takes that has no end of its own.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(if self.quick { 1 } else { 3 }).max(1))
    }
}
