//! Point reads by one thread, of rows that lie in the caches.

use super::rows::Row;
use super::{Engine, Pair, Wanted, say};
use crate::measure::{Better, Measurement};
use crate::{BenchError, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};

/// Rows that are looked up before the clock is looked at.
const GETS: usize = 1_000;
/// Different ones.
const PIECES: usize = 200;

struct Piece {
    ids: Vec<i64>,
    sum: i64,
}

fn pieces(rows: &[Row]) -> Vec<Piece> {
    let mut random = StdRng::seed_from_u64(1);
    let piece = |_| {
        let rows: Vec<&Row> = (0..GETS).filter_map(|_| rows.choose(&mut random)).collect();
        Piece {
            ids: rows.iter().map(|row| row.id).collect(),
            sum: rows.iter().map(|row| row.v).sum(),
        }
    };
    (0..PIECES).map(piece).collect()
}

fn get(engine: &dyn Engine, piece: &Piece, wanted: Wanted) -> Result<()> {
    match engine.gets(&piece.ids, wanted)? == piece.sum {
        true => Ok(()),
        false => Err(BenchError::Engine("a point read".to_owned(), "a wrong value".to_owned())),
    }
}

/// Rows a second.
fn rate(engine: &dyn Engine, pieces: &[Piece], wanted: Wanted, patience: Duration) -> Result<f64> {
    let start = Instant::now();
    let mut count = 0;
    for piece in pieces.iter().cycle() {
        get(engine, piece, wanted)?;
        count += piece.ids.len();
        if start.elapsed() >= patience {
            break;
        }
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Measures whole rows and one column of four.
pub fn measure(
    pair: &Pair,
    rows: &[Row],
    rounds: usize,
    patience: Duration,
) -> Result<Vec<Measurement>> {
    let pieces = pieces(rows);
    let mut all = Vec::new();
    for (name, wanted) in [
        ("point get, cached, whole row", Wanted::Row),
        ("point get, cached, one column", Wanted::OneColumn),
    ] {
        let mut measured = Measurement::new(name, "1/s", Better::Higher).wanting(1.5);
        for engine in pair.engines() {
            for piece in &pieces {
                get(engine, piece, wanted)?;
            }
        }
        for _ in 0..rounds {
            pair.round(&mut measured, |engine| rate(engine, &pieces, wanted, patience))?;
        }
        say(&measured);
        all.push(measured);
    }
    Ok(all)
}
