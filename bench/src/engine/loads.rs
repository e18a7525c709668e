//! Bulk load of rows in key order, and what they take on the disk afterwards.

use super::rocks::Rocks;
use super::rows::Row;
use super::terrane::Terrane;
use super::{Engine, Merging, Pair, say};
use crate::measure::{Better, Measurement};
use crate::{BenchError, Result};
use std::path::Path;
use std::time::Instant;

/// Rows of a batch, which is one call and one sync: those of Terrane's COPY.
const LOAD_ROWS: usize = 8192;

/// Both, empty, in a new directory.
pub fn open(directory: &Path, merging: Merging) -> Result<Pair> {
    std::fs::create_dir_all(directory).map_err(BenchError::io("a pair's directory"))?;
    let terrane = Terrane::open(&directory.join("terrane"), merging)?;
    let rocks = Rocks::open(&directory.join("rocksdb"), merging)?;
    Ok(Pair { terrane, rocks })
}

/// Loads the rows and waits until they are in files.
pub fn load(engine: &dyn Engine, rows: &[Row]) -> Result<()> {
    for batch in rows.chunks(LOAD_ROWS) {
        engine.load(batch)?;
    }
    engine.flush()
}

/// Loads into new, empty engines in every round. The last round's are handed back.
pub fn measure(directory: &Path, rows: &[Row], rounds: usize) -> Result<(Measurement, Pair)> {
    let name = format!("bulk load of {} rows in key order", rows.len());
    let mut measured = Measurement::new(name, "s", Better::Lower).wanting(1.5);
    measured.note = Some(format!(
        "one writer; batches of {LOAD_ROWS} rows, each in the log and synced before the next is sent \
         (Terrane: one request of as many puts; RocksDB: a WriteBatch), then a flush, so that at the end all \
         rows are in sorted files; the time to make up the batches from rows in memory is in it. RocksDB's \
         ingestion of files that were sorted elsewhere is not compared"
    ));
    let mut round = 0;
    loop {
        let place = directory.join(format!("load-{round}"));
        let pair = open(&place, Merging::On)?;
        pair.round(&mut measured, |engine| {
            let start = Instant::now();
            load(engine, rows)?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        round += 1;
        if round == rounds {
            say(&measured);
            return Ok((measured, pair));
        }
        drop(pair);
        std::fs::remove_dir_all(&place).map_err(BenchError::io("removing a round's files"))?;
    }
}

/// Compacts both and compares the sizes of their sorted files.
pub fn space(pair: &Pair) -> Result<Measurement> {
    // At most 0.7 of the peer's bytes.
    let mut measured =
        Measurement::new("space after major compaction", "MB", Better::Lower).wanting(1.0 / 0.7);
    measured.note = Some(
        "the table's sorted files, without log; 1.43x is 0.7 of RocksDB's bytes. Codecs: zstd at level 1 \
         in Terrane, RocksDB's own default level with zstd"
            .to_owned(),
    );
    pair.round(&mut measured, |engine| {
        engine.compact()?;
        Ok(engine.file_bytes()? as f64 / 1e6)
    })?;
    say(&measured);
    Ok(measured)
}
