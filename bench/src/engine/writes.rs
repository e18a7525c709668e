//! Durable single-row writes over random rows: an answer comes after the log's fdatasync.
//!
//! Terrane's writers are tasks, RocksDB's are threads: each engine's own way to have many at a time.

use super::rocks::Rocks;
use super::rows::Row;
use super::terrane::Terrane;
use super::{Pair, say};
use crate::measure::{Better, Measurement};
use crate::{BenchError, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use terrane_env::Env;
use terrane_env::threads::Priority;

/// Measures each number of writers on a table of so many rows.
pub fn measure(
    pair: &Pair,
    rows: u64,
    writers: &[usize],
    rounds: usize,
    patience: Duration,
) -> Result<Vec<Measurement>> {
    let mut all = Vec::new();
    for &writers in writers {
        let plural = if writers == 1 { "" } else { "s" };
        let name = format!("durable single-row write, {writers} writer{plural}");
        let mut measured = Measurement::new(name, "1/s", Better::Higher).wanting(1.2);
        for _ in 0..rounds {
            measured.terrane.push(tasks(&pair.terrane, rows, writers, patience)?);
            measured.peer.push(threads(&pair.rocks, rows, writers, patience)?);
        }
        say(&measured);
        all.push(measured);
    }
    Ok(all)
}

/// Rows to write, without an end.
struct RandomRows {
    random: StdRng,
    rows: u64,
}

impl RandomRows {
    fn new(writer: usize, rows: u64) -> Self {
        Self { random: StdRng::seed_from_u64(writer as u64), rows }
    }

    fn next(&mut self) -> Row {
        let id = self.random.random_range(0..self.rows);
        Row::random(id.cast_signed(), &mut self.random)
    }
}

/// Writes a second by Terrane.
fn tasks(terrane: &Terrane, rows: u64, writers: usize, patience: Duration) -> Result<f64> {
    let start = Instant::now();
    let one = |writer| {
        let (mut terrane, mut rows) = (terrane.writer(), RandomRows::new(writer, rows));
        async move {
            let mut count = 0_u64;
            while start.elapsed() < patience {
                terrane.write(&rows.next()).await?;
                count += 1;
            }
            Ok::<u64, BenchError>(count)
        }
    };
    let runtime = terrane.runtime();
    let tasks: Vec<_> = (0..writers).map(|writer| runtime.spawn(one(writer))).collect();
    let mut count = 0;
    for task in tasks {
        count += runtime.block_on(task).map_err(BenchError::engine("a writer"))??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Writes a second by RocksDB.
fn threads(rocks: &Rocks, rows: u64, writers: usize, patience: Duration) -> Result<f64> {
    let threads = Env::system().threads;
    let (sender, counts) = mpsc::channel();
    let start = Instant::now();
    for writer in 0..writers {
        let (mut rocks, mut rows) = (rocks.writer(), RandomRows::new(writer, rows));
        let sender = sender.clone();
        let body = move || {
            let mut count = 0_u64;
            let mut written = Ok(());
            while start.elapsed() < patience && written.is_ok() {
                written = rocks.write(&rows.next());
                count += 1;
            }
            // The measuring thread hears them all, or has failed.
            let _ = sender.send(written.map(|()| count));
        };
        threads
            .spawn("writer", Priority::Normal, Box::new(body))
            .map_err(BenchError::io("a writer's thread"))?;
    }
    drop(sender);
    let mut count = 0;
    for _ in 0..writers {
        count += counts.recv().map_err(BenchError::engine("a writer"))??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}
