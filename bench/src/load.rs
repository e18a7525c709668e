//! The tables, and how their rows get in.

use crate::measure::{Better, Measurement};
use crate::options::Options;
use crate::peer::{Kind, Peer};
use crate::{BenchError, Result};
use futures::SinkExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt::Write;
use std::time::Instant;

/// Rows of the table of the point statements.
pub const POINT_ROWS: u64 = 100_000;
/// Values of the column that GROUP BY goes by.
pub const GROUPS: u32 = 1_000;
/// Rows of a piece of text handed to COPY, or of one INSERT.
const PIECE_ROWS: u64 = 2_000;

const POINT: &str = "create table point (id bigint primary key, v int not null, note text)";
const BIG: &str =
    "create table big (id bigint primary key, k int not null, v bigint not null, note text)";

/// How a table was filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// COPY … FROM STDIN.
    Copy,
    /// INSERT of many rows, where COPY is refused.
    Insert,
}

/// A row's values in text.
type RowText = fn(u64, &mut StdRng) -> [String; 4];

fn big_row(id: u64, random: &mut StdRng) -> [String; 4] {
    let group = random.random_range(0..GROUPS);
    let value: u32 = random.random();
    [id.to_string(), group.to_string(), value.to_string(), format!("row {id:010} of big")]
}

/// Rows `from..to` in COPY's text form.
fn copy_text(from: u64, to: u64, row: RowText) -> String {
    let mut random = StdRng::seed_from_u64(from);
    let mut text = String::new();
    for id in from..to {
        text.push_str(&row(id, &mut random).join("\t"));
        text.push('\n');
    }
    text
}

/// The same rows as one INSERT.
fn insert_text(table: &str, from: u64, to: u64, row: RowText) -> String {
    let mut random = StdRng::seed_from_u64(from);
    let mut text = format!("insert into {table} values ");
    for id in from..to {
        let [a, b, c, d] = row(id, &mut random);
        let separator = if id == from { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}({a},{b},{c},'{d}')");
    }
    text
}

/// The pieces of `0..rows`.
fn pieces(rows: u64) -> impl Iterator<Item = (u64, u64)> {
    let starts = (0..rows).step_by(PIECE_ROWS as usize);
    starts.map(move |from| (from, (from + PIECE_ROWS).min(rows)))
}

/// Copies `rows` rows, whose text is made before the clock starts: both peers share the processors with this
/// program, and what it does beside sending is neither's. Answers the seconds it took.
async fn copy(peer: &Peer, table: &str, rows: u64, row: RowText) -> Result<f64> {
    let texts: Vec<String> = pieces(rows).map(|(from, to)| copy_text(from, to, row)).collect();
    let client = peer.connect().await?;
    let failed = || BenchError::sql(format!("copy {table}"));
    let start = Instant::now();
    let sink = client.copy_in(&format!("copy {table} from stdin")).await.map_err(failed())?;
    let mut sink = std::pin::pin!(sink);
    for text in texts {
        sink.send(std::io::Cursor::new(text.into_bytes())).await.map_err(failed())?;
    }
    let copied = sink.finish().await.map_err(failed())?;
    match copied == rows {
        true => Ok(start.elapsed().as_secs_f64()),
        false => Err(BenchError::Program(format!("COPY said {copied} rows, not {rows}"))),
    }
}

async fn insert(peer: &Peer, table: &str, rows: u64, row: RowText) -> Result<f64> {
    let client = peer.connect().await?;
    let start = Instant::now();
    for (from, to) in pieces(rows) {
        let text = insert_text(table, from, to, row);
        client.batch_execute(&text).await.map_err(BenchError::sql("insert"))?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Makes the table of the point statements.
pub async fn point_table(peer: &Peer) -> Result<()> {
    let client = peer.connect().await?;
    client.batch_execute(POINT).await.map_err(BenchError::sql(POINT))?;
    for (from, to) in pieces(POINT_ROWS) {
        let rows: Vec<String> = (from..to).map(|id| format!("({id}, 0, 'note {id}')")).collect();
        let text = format!("insert into point values {}", rows.join(","));
        client.batch_execute(&text).await.map_err(BenchError::sql("insert"))?;
    }
    settle(peer, "point").await
}

/// Fills a new big table: how it was filled, and in how many seconds.
async fn fill(peer: &Peer, rows: u64) -> Result<(Way, f64)> {
    let client = peer.connect().await?;
    client.batch_execute("drop table if exists big").await.map_err(BenchError::sql("drop"))?;
    client.batch_execute(BIG).await.map_err(BenchError::sql(BIG))?;
    match copy(peer, "big", rows, big_row).await {
        Ok(seconds) => Ok((Way::Copy, seconds)),
        Err(BenchError::Sql(_, error)) if is_unsupported(&error) => {
            Ok((Way::Insert, insert(peer, "big", rows, big_row).await?))
        }
        Err(error) => Err(error),
    }
}

fn is_unsupported(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&tokio_postgres::error::SqlState::FEATURE_NOT_SUPPORTED)
}

/// Fills the big tables, peers in turn, timed.
pub async fn big_table(peers: &[Peer], options: &Options) -> Result<Measurement> {
    let rows = options.row_count();
    let name = format!("COPY of {rows} rows with a primary key");
    let mut measured = Measurement::new(name, "s", Better::Lower).wanting(1.5);
    for peer in peers {
        let (way, seconds) = fill(peer, rows).await?;
        match (peer.kind, way) {
            (Kind::Postgresql, _) => measured.peer.push(seconds),
            (Kind::Terrane, Way::Copy) => measured.terrane.push(seconds),
            (Kind::Terrane, Way::Insert) => {
                measured.note = Some(format!(
                    "COPY is not supported yet; INSERT of {PIECE_ROWS} rows each took {seconds:.1} s"
                ));
            }
        }
    }
    Ok(measured)
}

/// What each database does to a table before it is read a lot: VACUUM ANALYZE there, a flush and a major
/// compaction here.
pub async fn settle(peer: &Peer, table: &str) -> Result<()> {
    let client = peer.connect().await?;
    let statements: &[String] = match peer.kind {
        Kind::Postgresql => &[format!("vacuum analyze {table}"), "checkpoint".to_owned()],
        Kind::Terrane => &["checkpoint".to_owned(), format!("vacuum {table}")],
    };
    for statement in statements {
        match client.batch_execute(statement).await {
            Ok(()) => {}
            Err(error) if is_unsupported(&error) => {
                eprintln!("{statement}: not supported, left out");
            }
            Err(error) => return Err(BenchError::Sql(statement.clone(), error)),
        }
    }
    Ok(())
}
