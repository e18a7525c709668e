//! Queries over the big table: each run once to warm, then timed, peers in turn.

use crate::load::GROUPS;
use crate::measure::{Better, Measurement};
use crate::options::Options;
use crate::peer::{Kind, Peer};
use crate::{BenchError, Result};
use std::time::Instant;

/// Range reads are too short to be timed one by one.
const RANGE_REPEATS: u64 = 50;
const RANGE_ROWS: u64 = 1_000;

struct Query {
    name: String,
    sql: Vec<String>,
    target: Option<f64>,
    rows: usize,
}

fn queries(rows: u64) -> Vec<Query> {
    let ranges = (0..RANGE_REPEATS).map(|i| {
        let from = rows.saturating_sub(RANGE_ROWS) / RANGE_REPEATS * i;
        let to = from + RANGE_ROWS;
        format!("select id, k, v from big where id >= {from} and id < {to}")
    });
    let range_rows = RANGE_ROWS.min(rows) as usize;
    vec![
        Query {
            name: "count(*)".to_owned(),
            sql: vec!["select count(*) from big".to_owned()],
            target: None,
            rows: 1,
        },
        Query {
            name: format!("GROUP BY of {GROUPS} keys"),
            sql: vec!["select k, count(*), sum(v) from big group by k".to_owned()],
            target: Some(5.0),
            rows: GROUPS as usize,
        },
        Query {
            name: format!("{RANGE_ROWS}-row key range, {RANGE_REPEATS} of them"),
            sql: ranges.collect(),
            target: None,
            rows: range_rows,
        },
    ]
}

/// Seconds that the statements take, one after the other.
async fn time(peer: &Peer, query: &Query) -> Result<f64> {
    let client = peer.connect().await?;
    let start = Instant::now();
    for sql in &query.sql {
        let rows = client.query(sql.as_str(), &[]).await.map_err(BenchError::sql(sql.as_str()))?;
        if rows.len() != query.rows {
            let (found, wanted) = (rows.len(), query.rows);
            return Err(BenchError::Program(format!("{sql}: {found} rows, not {wanted}")));
        }
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Measures every query.
pub async fn measure(peers: &[Peer], options: &Options) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for query in queries(options.row_count()) {
        let mut figures = Measurement::new(query.name.clone(), "s", Better::Lower);
        figures.target = query.target;
        for peer in peers {
            time(peer, &query).await?;
        }
        for _ in 0..options.round_count() {
            for peer in peers {
                let seconds = time(peer, &query).await?;
                match peer.kind {
                    Kind::Terrane => figures.terrane.push(seconds),
                    Kind::Postgresql => figures.peer.push(seconds),
                }
            }
        }
        eprintln!("{}: {:.4?} {:.4?}", figures.name, figures.terrane, figures.peer);
        measured.push(figures);
    }
    Ok(measured)
}
