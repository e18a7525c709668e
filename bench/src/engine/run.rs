//! The order of a run. Every measurement finds the table as the name of its row in the report says.

use super::options::Options;
use super::rows::{self, Row};
use super::{Merging, Pair, gets, loads, scans, writes};
use crate::limits;
use crate::measure::Measurement;
use crate::report::{Findings, Subject};
use crate::{BenchError, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::path::Path;

/// Of the rows that are updated, this step apart from one another each time. Two times make a quarter.
const UPDATED_STEP: usize = 8;
const UPDATED_FIRST: [usize; 2] = [1, 5];

/// Measures everything. Files go into `directory`.
pub fn run(options: &Options, directory: &Path) -> Result<Findings> {
    let mut findings = Findings { limits: limits::measure(directory)?, ..Findings::default() };
    let rows = rows::make(options.row_count());
    let (rounds, patience) = (options.round_count(), options.patience());
    let (loaded, pair) = loads::measure(directory, &rows, rounds)?;
    let space = loads::space(&pair)?;
    findings.measurements.extend(gets::measure(&pair, &rows, rounds, patience)?);
    let mut scanned = Vec::new();
    for scan in scans::of_clean_table(&rows) {
        scanned.push(scans::measure(&pair, scan, rounds, patience)?);
    }
    let count = rows.len() as u64;
    let written = writes::measure(&pair, count, &options.writers, rounds, patience)?;
    drop(pair);
    scanned.push(updated(options, directory, rows)?);
    findings.measurements.extend(written);
    findings.measurements.push(loaded);
    findings.measurements.extend(scanned);
    findings.measurements.push(space);
    findings.limits_after = limits::measure(directory)?;
    Ok(findings)
}

/// The scan of a table that has newer runs beside its base.
fn updated(options: &Options, directory: &Path, mut rows: Vec<Row>) -> Result<Measurement> {
    let pair = loads::open(&directory.join("updated"), Merging::Off)?;
    for engine in pair.engines() {
        loads::load(engine, &rows)?;
        engine.compact()?;
    }
    for first in UPDATED_FIRST {
        update(&pair, &mut rows, first)?;
    }
    let scan = scans::of_updated_table(&rows);
    scans::measure(&pair, scan, options.round_count(), options.patience())
}

/// Gives an eighth of the rows new values: one newer run in each engine.
fn update(pair: &Pair, rows: &mut [Row], first: usize) -> Result<()> {
    let mut random = StdRng::seed_from_u64(first as u64);
    let mut updated = Vec::new();
    for row in rows.iter_mut().skip(first).step_by(UPDATED_STEP) {
        *row = Row::random(row.id, &mut random);
        updated.push(row.clone());
    }
    for engine in pair.engines() {
        loads::load(engine, &updated)?;
    }
    Ok(())
}

/// What the report is about.
pub fn subject(options: &Options) -> Subject {
    let (rounds, seconds) = (options.round_count(), options.patience().as_secs());
    let (processors, build) = (limits::processors(), limits::build());
    let (memtable, cache) = (super::MEMTABLE_BYTES >> 20, super::CACHE_BYTES >> 20);
    let rows = options.row_count();
    Subject {
        peer: "RocksDB 11",
        method: format!(
            "The storage engine without SQL and wire, called in the same process, beside RocksDB: {rows} rows \
             `(id int8 primary key, k int4, v int8, x float8, note text)` of about 50 bytes, in RocksDB as a \
             key of eight bytes and a packed value without names or lengths. One machine of {processors} \
             processors, one file system. Both sync their log before they acknowledge a durable write, and \
             have {memtable} MB of memtables, {cache} MB of cache, a bloom filter, lz4 for new files and zstd \
             for the base. RocksDB otherwise as its tuning guide has it, its logs recycled. Both read from \
             their caches; every answer is checked once. A scan is one thread in RocksDB; in Terrane one \
             thread decodes and another receives. Medians of {rounds} rounds in which the two take turns; \
             {seconds} s each, where a measurement has no end of its own. Build: {build}.\n\n\
             The program is behind the feature `peers`, since it compiles RocksDB: that takes a C++ compiler, \
             libclang (`LIBCLANG_PATH` says where, if it is not found; `BINDGEN_EXTRA_CLANG_ARGS=\"-isystem \
             $(gcc -print-file-name=include)\"` if `stddef.h` is not) and twenty minutes. Without \
             `target-cpu` RocksDB is compiled without the processor's checksum instructions, which Terrane \
             looks for when it runs."
        ),
        command: "RUSTFLAGS='-C target-cpu=native' cargo run --release -p terrane-bench --features peers \
                  --bin terrane-bench-engine",
        name: options.name.clone(),
    }
}

/// As [`run`], in a directory of its own, which is removed.
pub fn run_in_new_directory(options: &Options) -> Result<Findings> {
    let base = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = base.join(format!("terrane-bench-engine-{}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(BenchError::io("the run's directory"))?;
    let findings = run(options, &directory);
    let removed = std::fs::remove_dir_all(&directory);
    let findings = findings?;
    removed.map_err(BenchError::io("removing the run's directory"))?;
    Ok(findings)
}
