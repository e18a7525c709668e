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
//! | [`defaults`] | what rows get in columns they were not given |
//! | [`set_list`] | SET |
//! | [`typed_cells`] | VALUES as the types of its columns |
//! | [`moved`] | rows that get another primary key |
//! | [`with`] | WITH around and inside them |
//! | [`conflict`] | ON CONFLICT |
//! | [`open_checks`] | CHECK constraints that tablets cannot evaluate |
//! | [`apply`] | programs evaluated into the block, unique indexes kept |
//! | [`rows`] | the rows that are changed, as the block sees them |
//! | [`computed`] | what is computed here for the rows that change |
//! | [`looked_at`] | what RETURNING and CHECKs look at of maps |
//! | [`returning`] | RETURNING |
//! | [`violations`] | refused programs as PostgreSQL's errors |

mod apply;
pub(crate) mod assign;
mod change;
mod computed;
mod conflict;
mod defaults;
mod delete_range;
mod insert;
mod looked_at;
mod moved;
mod open_checks;
mod returning;
mod rows;
mod set_list;
mod target;
mod typed_cells;
mod violations;
pub mod with;

pub(super) use apply::changes_indexes;
pub use apply::{encode_key, index_cells, key_error};
pub use assign::assigned_value;
pub use change::name_in_query;
pub(super) use change::{lower_changes, lower_condition};
pub(super) use defaults::fill_defaults;
pub use defaults::{integer, missing_values};
pub use insert::row_cells;
pub(super) use insert::{Values, insert_program, insert_target, is_default};
pub(super) use set_list::stored_expression;
pub use target::{Target, folded};
pub use violations::{failing_row, lost, violation};

use super::cancel::Cancel;
use super::client::ClientSession;
use super::response::{CommandTag, Response};
use super::select::Bound;
use super::statement::Described;
use crate::error::SqlError;
use crate::parse::Overriding;
pub(super) use apply::Changed;
use datafusion::sql::sqlparser::ast::{Query, SelectItem, Statement};
use std::collections::BTreeMap;
use with::Scope;

/// What a statement has done.
pub struct Done {
    target: Target,
    returning: Option<Vec<SelectItem>>,
    /// The rows it changed.
    rows: Vec<Changed>,
    /// Rows of FROM or USING that belong to them.
    joined: Vec<returning::Joined>,
    tag: CommandTag,
}

/// Runs an INSERT, UPDATE or DELETE.
pub async fn run(
    session: &mut ClientSession,
    statement: Statement,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let scope = Scope::default();
    let done = with::change_rows(session, statement, overriding, &scope, cancel).await?;
    respond(session, done, cancel).await
}

async fn respond(
    session: &mut ClientSession,
    done: Done,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    match done.returning {
        None => Ok(Response::Complete(done.tag)),
        Some(_) => returning::respond(session, done, cancel).await,
    }
}

/// What a statement will answer, and the types of its parameters.
pub fn describe(
    session: &mut ClientSession,
    statement: &Statement,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    describe_in(session, statement, types, &Scope::default())
}

fn describe_in(
    session: &mut ClientSession,
    statement: &Statement,
    types: &BTreeMap<usize, u32>,
    scope: &Scope,
) -> Result<Described, SqlError> {
    match statement {
        Statement::Insert(insert) => insert::describe(session, insert, types, scope),
        Statement::Update(update) => change::describe_update(session, update, types, scope),
        Statement::Delete(delete) => change::describe_delete(session, delete, types, scope),
        _ => Err(SqlError::internal("no statement that changes rows")),
    }
}

/// The table a statement changes and its RETURNING, if it has one.
fn returning_of(
    session: &mut ClientSession,
    statement: &Statement,
) -> Result<Option<(Target, Vec<SelectItem>)>, SqlError> {
    let (target, items) = match statement {
        Statement::Insert(insert) => insert::returning_of(session, insert)?,
        Statement::Update(update) => change::returning_of_update(session, update)?,
        Statement::Delete(delete) => change::returning_of_delete(session, delete)?,
        _ => return Ok(None),
    };
    Ok(items.map(|items| (target, items)))
}

/// EXPLAIN's line for a statement, and the query that finds its rows, if one does.
pub fn explained(
    session: &mut ClientSession,
    statement: &Statement,
) -> Result<(String, Option<(Query, Bound)>), SqlError> {
    match statement {
        Statement::Insert(insert) => insert::explained(session, insert),
        Statement::Update(update) => change::explained_update(session, update),
        Statement::Delete(delete) => change::explained_delete(session, delete),
        Statement::Query(_) => Err(SqlError::unsupported(
            "EXPLAIN of WITH around a statement that changes rows is not supported",
        )),
        _ => Err(SqlError::unsupported("EXPLAIN of this statement is not supported")),
    }
}
