//! The storage engine beside RocksDB; see the library's documentation.

use clap::Parser;
use std::process::ExitCode;
use terrane_bench::Result;
use terrane_bench::engine::options::Options;
use terrane_bench::engine::run::{run_in_new_directory, subject};
use terrane_bench::report::publish;

fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("terrane-bench-engine: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let findings = run_in_new_directory(options)?;
    publish(&findings, &subject(options), &options.out, options.accept_drift)
}
