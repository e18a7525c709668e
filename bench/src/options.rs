//! How much is measured.

use std::path::PathBuf;

/// Rows of `--quick`.
const QUICK_ROWS: u64 = 1_000_000;
/// Rows without it.
const FULL_ROWS: u64 = 5_000_000;

/// Measures Terrane beside PostgreSQL 15 and writes a report and a picture.
///
/// Example: cargo run --release -p terrane-bench -- --quick
#[derive(Clone, Debug, clap::Parser)]
#[command(version)]
pub struct Options {
    /// One million rows, three seconds a measurement, two rounds.
    #[arg(long)]
    pub quick: bool,
    /// Rows of the big table [default: 5000000, with --quick 1000000].
    #[arg(long)]
    pub rows: Option<u64>,
    /// Rounds of each measurement; their median counts [default: 5, with --quick 2].
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds of each pgbench run [default: 10, with --quick 3].
    #[arg(long)]
    pub seconds: Option<u64>,
    /// Clients of the pgbench runs.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pub clients: Vec<u32>,
    /// Leave the big table out: point statements only.
    #[arg(long)]
    pub points_only: bool,
    /// Leave the point statements out.
    #[arg(long)]
    pub scans_only: bool,
    /// The server [default: beside this program].
    #[arg(long)]
    pub terrane: Option<PathBuf>,
    /// PostgreSQL's programs [default: /usr/lib/postgresql/15/bin].
    #[arg(long, default_value = "/usr/lib/postgresql/15/bin")]
    pub postgresql: PathBuf,
    /// Where both keep their data; removed afterwards [default: the temporary directory].
    #[arg(long)]
    pub directory: Option<PathBuf>,
    /// Where report and picture go.
    #[arg(long, default_value = "docs/benchmarks")]
    pub out: PathBuf,
    /// The report's and the picture's name, without an ending.
    #[arg(long, default_value = "postgresql")]
    pub name: String,
    /// Keep the report even if the machine was not the same at start and end.
    #[arg(long)]
    pub accept_drift: bool,
}

impl Options {
    /// Rows of the big table.
    pub fn row_count(&self) -> u64 {
        self.rows.unwrap_or(if self.quick { QUICK_ROWS } else { FULL_ROWS })
    }

    /// Rounds of each measurement.
    pub fn round_count(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    /// Seconds of each pgbench run.
    pub fn run_seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 3 } else { 10 }).max(1)
    }
}
