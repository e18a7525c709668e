//! Scans of the whole table into Arrow, in batches of [`BATCH_ROWS`](super::BATCH_ROWS) rows; the table lies in
//! the caches.

use super::digest::Digest;
use super::rows::{Column, Row};
use super::{Engine, Pair, say};
use crate::measure::{Better, Measurement};
use crate::{BenchError, Result};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What is read.
pub struct Scan<'a> {
    /// Nothing measured yet.
    pub measured: Measurement,
    /// These columns of all rows,
    pub columns: &'a [Column],
    /// which are these.
    pub rows: &'a [Row],
}

/// One integer column, and four columns of four types.
pub fn of_clean_table(rows: &[Row]) -> [Scan<'_>; 2] {
    let named = |name: &str| Measurement::new(name, UNIT, Better::Higher);
    [
        Scan {
            measured: named("scan of one integer column into Arrow").wanting_at_least(80.0),
            columns: &[Column::V],
            rows,
        },
        Scan {
            measured: named("scan of four mixed columns into Arrow")
                .wanting_at_least(15.0)
                .wanting(5.0),
            columns: &Column::ALL,
            rows,
        },
    ]
}

/// The same four columns.
pub fn of_updated_table(rows: &[Row]) -> Scan<'_> {
    let name = "the same, a quarter of the rows updated in two newer runs";
    Scan {
        measured: Measurement::new(name, UNIT, Better::Higher).wanting_at_least(3.0),
        columns: &Column::ALL,
        rows,
    }
}

const UNIT: &str = "M rows/s";

/// Measures one scan.
pub fn measure(
    pair: &Pair,
    scan: Scan<'_>,
    rounds: usize,
    patience: Duration,
) -> Result<Measurement> {
    let Scan { mut measured, columns, rows } = scan;
    let expected = Digest::of_rows(rows, columns);
    for engine in pair.engines() {
        check(engine, columns, &expected)?;
    }
    for _ in 0..rounds {
        pair.round(&mut measured, |engine| rate(engine, columns, rows.len(), patience))?;
    }
    say(&measured);
    Ok(measured)
}

/// Reads once: the caches fill, and the answer is looked at.
fn check(engine: &dyn Engine, columns: &[Column], expected: &Digest) -> Result<()> {
    let mut found = Digest::default();
    let mut added = Ok(());
    engine.scan(columns, &mut |batch| {
        if added.is_ok() {
            added = found.add(batch);
        }
    })?;
    added?;
    match found == *expected {
        true => Ok(()),
        false => {
            let what = format!("{found:?}, not {expected:?}");
            Err(BenchError::Engine("a scan's answer".to_owned(), what))
        }
    }
}

/// Millions of rows a second, in one scan after the other.
fn rate(engine: &dyn Engine, columns: &[Column], rows: usize, patience: Duration) -> Result<f64> {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < patience {
        let mut seen = 0;
        engine.scan(columns, &mut |batch| seen += black_box(batch).num_rows())?;
        if seen != rows {
            return Err(BenchError::Engine("a scan".to_owned(), format!("{seen} rows")));
        }
        count += seen;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Merging, Wanted, loads, rows};

    fn agree(pair: &Pair, rows: &[Row]) {
        for scan in of_clean_table(rows) {
            let expected = Digest::of_rows(rows, scan.columns);
            for engine in pair.engines() {
                check(engine, scan.columns, &expected).unwrap();
            }
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let sum = rows.iter().map(|row| row.v).sum::<i64>();
        for engine in pair.engines() {
            assert_eq!(engine.gets(&ids, Wanted::Row).unwrap(), sum);
            assert_eq!(engine.gets(&ids, Wanted::OneColumn).unwrap(), sum);
        }
    }

    #[test]
    fn both_engines_hold_the_rows_that_were_loaded_and_updated() {
        let directory = tempfile::tempdir().unwrap();
        let pair = loads::open(directory.path(), Merging::Off).unwrap();
        let mut rows = rows::make(20_000);
        for engine in pair.engines() {
            loads::load(engine, &rows).unwrap();
            engine.compact().unwrap();
            assert!(engine.file_bytes().unwrap() > 20_000 * 4);
        }
        agree(&pair, &rows);
        let expected = Digest::of_rows(&rows, &Column::ALL);
        for row in rows.iter_mut().step_by(4) {
            (row.v, row.note) = (row.v + 1, "new".to_owned());
        }
        let updated: Vec<Row> = rows.iter().step_by(4).cloned().collect();
        for engine in pair.engines() {
            loads::load(engine, &updated).unwrap();
            assert!(
                check(engine, &Column::ALL, &expected).is_err(),
                "the old rows are still there"
            );
        }
        agree(&pair, &rows);
    }
}
