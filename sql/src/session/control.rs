//! BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE.

use super::block::Isolation;
use super::client::ClientSession;
use super::response::Response;
use super::statement::complete;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    Ident, Statement, TransactionAccessMode, TransactionIsolationLevel, TransactionMode,
};

/// Runs a transaction statement.
pub async fn run(session: &mut ClientSession, statement: Statement) -> Result<Response, SqlError> {
    match statement {
        Statement::StartTransaction {
            modes,
            begin,
            transaction: _,
            modifier: None,
            statements,
            exception: None,
            has_end_keyword: false,
        } if statements.is_empty() => {
            let (isolation, read_only) = block_modes(&modes)?;
            session.begin(isolation, read_only)?;
            complete(if begin { "BEGIN" } else { "START TRANSACTION" })
        }
        Statement::Commit { chain, end: _, modifier: None } => {
            let next = next_block(session, chain, "COMMIT AND CHAIN")?;
            let committed = session.end_block().await?;
            session.chain(next)?;
            match committed {
                true => complete("COMMIT"),
                false => complete("ROLLBACK"),
            }
        }
        Statement::Rollback { chain, savepoint: None } => {
            let next = next_block(session, chain, "ROLLBACK AND CHAIN")?;
            session.rollback().await?;
            session.chain(next)?;
            complete("ROLLBACK")
        }
        Statement::Rollback { chain: false, savepoint: Some(name) } => {
            let name = folded(&name);
            session.settings = in_block(session, "ROLLBACK TO SAVEPOINT")?.rollback_to(&name)?;
            let server = std::sync::Arc::clone(&session.server);
            server.catalog.align(&mut session.block().catalog).await?;
            complete("ROLLBACK")
        }
        Statement::Savepoint { name } => {
            let name = folded(&name);
            let settings = session.settings.clone();
            in_block(session, "SAVEPOINT")?.savepoint(name, &settings);
            complete("SAVEPOINT")
        }
        Statement::ReleaseSavepoint { name } => {
            in_block(session, "RELEASE SAVEPOINT")?.release(&folded(&name))?;
            complete("RELEASE")
        }
        other => Err(SqlError::unsupported(format!("{other} is not supported"))),
    }
}

fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// What AND CHAIN begins the next block with: 25P01 where there is no block to chain to. Without AND CHAIN a
/// WARNING says so.
fn next_block(
    session: &mut ClientSession,
    chain: bool,
    what: &str,
) -> Result<Option<(Isolation, bool)>, SqlError> {
    match &session.block {
        Some(block) if block.explicit => Ok(chain.then_some((block.isolation, block.read_only))),
        _ if chain => Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{what} can only be used in transaction blocks"),
        )),
        _ => {
            let message = "there is no transaction in progress";
            session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
            Ok(None)
        }
    }
}

fn in_block<'a>(
    session: &'a mut ClientSession,
    what: &str,
) -> Result<&'a mut super::block::Block, SqlError> {
    match &mut session.block {
        Some(block) if block.explicit => Ok(block),
        _ => Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{what} can only be used in transaction blocks"),
        )),
    }
}

/// Isolation and access of BEGIN or SET TRANSACTION.
pub fn block_modes(
    modes: &[TransactionMode],
) -> Result<(Option<Isolation>, Option<bool>), SqlError> {
    let (mut isolation, mut read_only) = (None, None);
    for mode in modes {
        match mode {
            TransactionMode::AccessMode(TransactionAccessMode::ReadOnly) => read_only = Some(true),
            TransactionMode::AccessMode(TransactionAccessMode::ReadWrite) => {
                read_only = Some(false);
            }
            TransactionMode::IsolationLevel(level) => {
                isolation = Some(match level {
                    TransactionIsolationLevel::ReadUncommitted
                    | TransactionIsolationLevel::ReadCommitted => Isolation::ReadCommitted,
                    TransactionIsolationLevel::RepeatableRead
                    | TransactionIsolationLevel::Snapshot => Isolation::RepeatableRead,
                    TransactionIsolationLevel::Serializable => {
                        return Err(SqlError::unsupported(
                            "isolation level SERIALIZABLE is not supported",
                        )
                        .with_hint("Use REPEATABLE READ, or READ COMMITTED."));
                    }
                });
            }
        }
    }
    Ok((isolation, read_only))
}
