//! COPY between a table or query and the client.
//!
//! Rows that come in go through the same row programs as INSERT's, so NOT NULL, CHECK, unique indexes and
//! the primary key are enforced in one place. What COPY adds is the way there: batches of columns, encoded
//! without a value or an allocation per cell.
//!
//! | module | what it holds |
//! |---|---|
//! | [`relation`] | the table and the columns a COPY names |
//! | [`from`] | COPY FROM: data in, batch by batch |
//! | [`rows`] | a batch of columns to row programs |
//! | [`condition`] | WHERE, and CHECK constraints that tablets cannot evaluate |
//! | [`destination`] | where programs go, and what stays of them when the COPY fails |
//! | [`to`] | COPY TO |

mod condition;
mod destination;
mod from;
mod relation;
mod rows;
mod to;

pub use from::CopyFrom;

use super::cancel::Cancel;
use super::client::ClientSession;
use super::response::{CommandTag, Response};
use crate::copy::statement::{CopyStatement, CopyTarget};
use crate::error::SqlError;

/// Runs a COPY statement, up to where the data starts.
pub async fn run(
    session: &mut ClientSession,
    statement: CopyStatement,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    match statement.target {
        CopyTarget::Client => {}
        CopyTarget::File(_) | CopyTarget::Program(_) => {
            let hint = match statement.from {
                true => "Use COPY FROM STDIN, or psql's \\copy, which reads the client's files.",
                false => "Use COPY TO STDOUT, or psql's \\copy, which writes the client's files.",
            };
            return Err(SqlError::unsupported(
                "COPY with a file or program of the server is not supported",
            )
            .with_hint(hint));
        }
    }
    match statement.from {
        true => from::start(session, statement, cancel).await,
        false => to::run(session, statement, cancel).await,
    }
}

/// The next bytes of the COPY under way.
pub async fn data(
    session: &mut ClientSession,
    data: &[u8],
    cancel: &Cancel,
) -> Result<(), SqlError> {
    let mut copy = under_way(session)?;
    let taken = copy.data(session, data, cancel).await;
    session.copying = Some(copy);
    taken
}

/// The end of its data.
pub async fn done(session: &mut ClientSession, cancel: &Cancel) -> Result<CommandTag, SqlError> {
    let mut copy = under_way(session)?;
    let rows = copy.finish(session, cancel).await;
    if rows.is_err() {
        // The abort that follows has still to tell what was applied.
        session.copying = Some(copy);
    }
    Ok(CommandTag::Count("COPY", rows?))
}

/// The COPY under way failed, here or at the client.
pub async fn abort(session: &mut ClientSession, error: &mut SqlError) {
    if let Some(mut copy) = session.copying.take() {
        copy.abort(error).await;
    }
}

fn under_way(session: &mut ClientSession) -> Result<Box<CopyFrom>, SqlError> {
    session.copying.take().ok_or_else(|| SqlError::internal("no COPY is under way"))
}
