//! INSERT, UPDATE and DELETE.
//!
//! DML is lowered here, never by DataFusion's hooks: the rows to change come from a SELECT of the target's key,
//! version and new values, so no predicate can be lost; each becomes a row program. The programs are
//! evaluated at once on the rows as the block sees them, which answers the client; COMMIT sends them to be
//! evaluated again under the row locks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`target`] | the table a statement changes |
//! | [`assign`] | a value on its way into a column |
//! | [`insert`](mod@insert), [`change`] | the statements |
//! | [`apply`] | programs evaluated into the block, unique indexes kept |
//! | [`returning`] | RETURNING |
//! | [`violations`] | refused programs as PostgreSQL's errors |

mod apply;
pub(crate) mod assign;
mod change;
mod insert;
mod returning;
mod target;
mod violations;

pub use apply::{encode_key, index_cells, key_error};
pub use assign::assigned_value;
pub use change::{delete, update};
pub use insert::{insert, missing_values, row_cells};
pub use target::{Target, folded};
pub use violations::violation;

use super::client::ClientSession;
use super::statement::Described;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::Statement;
use std::collections::BTreeMap;

/// What a statement will answer, and the types of its parameters.
pub fn describe(
    session: &mut ClientSession,
    statement: &Statement,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    match statement {
        Statement::Insert(insert) => insert::describe(session, insert, types),
        Statement::Update(update) => change::describe_update(session, update, types),
        Statement::Delete(delete) => change::describe_delete(session, delete, types),
        _ => Err(SqlError::internal("no statement that changes rows")),
    }
}

/// 25006 in a read-only block.
pub(super) fn check_writable(session: &mut ClientSession, verb: &str) -> Result<(), SqlError> {
    match session.block().read_only {
        false => Ok(()),
        true => Err(SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {verb} in a read-only transaction"),
        )),
    }
}
