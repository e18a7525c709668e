//! One statement: which module runs it, what it answers, and where its parameters get their types.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::response::{CommandTag, Response, ResultColumn};
use super::{control, copy, ddl, modify, select, setting};
use crate::error::SqlError;
use crate::parse::{Ast, ParsedStatement};
use datafusion::sql::sqlparser::ast::Statement;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of a statement before it runs.
#[derive(Default)]
pub struct Described {
    /// Types of parameters, by number, as far as the statement tells them.
    pub parameters: BTreeMap<usize, u32>,
    /// The result's columns; `None` for no rows.
    pub columns: Option<Arc<[ResultColumn]>>,
}

/// True for what a failed block still answers.
pub fn ends_failed_block(statement: &Ast) -> bool {
    match statement {
        Ast::Sql(statement) => {
            matches!(**statement, Statement::Commit { .. } | Statement::Rollback { .. })
        }
        Ast::Ddl(_) | Ast::Copy(_) => false,
    }
}

/// Runs a statement.
pub async fn run(
    session: &mut ClientSession,
    statement: ParsedStatement,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let statement = match statement.ast {
        Ast::Sql(statement) => *statement,
        Ast::Ddl(statement) => return ddl::run(session, *statement, cancel).await,
        Ast::Copy(statement) => return copy::run(session, *statement, cancel).await,
    };
    match statement {
        Statement::Query(query) => select::run(session, *query, cancel).await,
        Statement::Insert(insert) => modify::insert(session, insert, cancel).await,
        Statement::Update(update) => modify::update(session, update, cancel).await,
        Statement::Delete(delete) => modify::delete(session, delete, cancel).await,
        Statement::Explain { .. } => select::explain(session, statement, cancel).await,
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. } => control::run(session, statement).await,
        Statement::Set(set) => setting::set(session, set).await,
        Statement::ShowVariable { variable } => setting::show(session, &variable),
        Statement::Reset(reset) => setting::reset(session, reset),
        Statement::Discard { object_type } => setting::discard(session, object_type).await,
        other => Err(unsupported(&other)),
    }
}

/// What a statement will answer.
pub fn describe(
    session: &mut ClientSession,
    statement: &Ast,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    let Ast::Sql(statement) = statement else { return Ok(Described::default()) };
    match &**statement {
        Statement::Query(query) => select::describe(session, query, types),
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            modify::describe(session, statement, types)
        }
        Statement::ShowVariable { variable } => setting::describe_show(variable),
        Statement::Explain { .. } => {
            Ok(Described { parameters: BTreeMap::new(), columns: Some(select::explain_columns()) })
        }
        _ => Ok(Described::default()),
    }
}

fn unsupported(statement: &Statement) -> SqlError {
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    SqlError::unsupported(format!("{} is not supported", verb.join(" ")))
}

/// A tag without a count.
pub fn complete(tag: &'static str) -> Result<Response, SqlError> {
    Ok(Response::Complete(CommandTag::Plain(tag)))
}
