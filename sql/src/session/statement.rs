//! One statement: which module runs it, what it answers, and where its parameters get their types.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::response::{CommandTag, Response, ResultColumn};
use super::{command, control, copy, ddl, maintenance, modify, select, setting};
use crate::bind::ddl::create_table::{CreateTableAs, TableAttributes};
use crate::bind::ddl::{DdlStatement, QualifiedName};
use crate::error::SqlError;
use crate::parse::command::Command;
use crate::parse::{Ast, Overriding, ParsedStatement};
use datafusion::sql::sqlparser::ast::{Query, SelectInto, SetExpr, Statement};
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
        Ast::Ddl(_) | Ast::Copy(_) | Ast::Command(_) | Ast::Maintenance(_) => false,
    }
}

/// True for INSERT, UPDATE and DELETE, also behind WITH.
pub fn changes_rows(statement: &Ast) -> bool {
    let Ast::Sql(statement) = statement else { return false };
    match &**statement {
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => true,
        Statement::Query(query) => modify::with::changes_rows(query),
        _ => false,
    }
}

/// True for what has something to commit: changed rows, or DDL.
pub fn writes(statement: &Ast) -> bool {
    matches!(statement, Ast::Ddl(_)) || changes_rows(statement)
}

/// True for what can be run again after it failed and was forgotten.
pub fn may_run_again(statement: &Ast) -> bool {
    match statement {
        Ast::Sql(sql) => matches!(**sql, Statement::Query(_)) || changes_rows(statement),
        Ast::Ddl(_) => true,
        Ast::Copy(_) | Ast::Maintenance(_) => false,
        Ast::Command(command) => matches!(**command, Command::Explain { .. }),
    }
}

/// Runs a statement.
pub async fn run(
    session: &mut ClientSession,
    statement: ParsedStatement,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let ParsedStatement { ast, text, overriding, .. } = statement;
    match ast {
        Ast::Sql(statement) => run_sql(session, *statement, overriding, cancel).await,
        Ast::Ddl(statement) => ddl::run(session, *statement, cancel).await,
        Ast::Copy(statement) => copy::run(session, *statement, cancel).await,
        Ast::Maintenance(statement) => maintenance::run(session, statement, cancel).await,
        Ast::Command(command) => command::run(session, *command, text, cancel).await,
    }
}

/// Runs a statement that sqlparser read.
pub async fn run_sql(
    session: &mut ClientSession,
    statement: Statement,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    match statement {
        Statement::Query(query) if modify::with::changes_rows(&query) => {
            modify::with::run(session, *query, overriding, cancel).await
        }
        Statement::Query(mut query) => match select_into(&mut query) {
            None => select::run(session, *query, cancel).await,
            Some(into) => ddl::run(session, create_from(into, query)?, cancel).await,
        },
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            modify::run(session, statement, overriding, cancel).await
        }
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

/// Takes INTO out of a SELECT.
fn select_into(query: &mut Query) -> Option<SelectInto> {
    let mut body = &mut *query.body;
    loop {
        match body {
            SetExpr::Select(select) => return select.into.take(),
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return None,
        }
    }
}

/// SELECT … INTO is CREATE TABLE … AS.
fn create_from(into: SelectInto, query: Box<Query>) -> Result<DdlStatement, SqlError> {
    let SelectInto { temporary, unlogged: _, table: _, name } = into;
    let mut parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(modify::folded).collect();
    let name = parts.pop().ok_or_else(|| SqlError::syntax("a table name is expected"))?;
    let name = QualifiedName { schema: parts.pop(), database: parts.pop(), name };
    let attributes = TableAttributes { temporary, ..TableAttributes::default() };
    Ok(DdlStatement::CreateTableAs(CreateTableAs {
        name,
        if_not_exists: false,
        columns: Vec::new(),
        attributes,
        query,
        with_data: true,
    }))
}

/// What a statement will answer.
pub fn describe(
    session: &mut ClientSession,
    statement: &Ast,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    let statement = match statement {
        Ast::Sql(statement) => statement,
        Ast::Ddl(_) | Ast::Copy(_) | Ast::Maintenance(_) => return Ok(Described::default()),
        Ast::Command(command) => return command::describe(session, command),
    };
    match &**statement {
        Statement::Query(query) if modify::with::changes_rows(query) => {
            modify::with::describe(session, query, types)
        }
        Statement::Query(query) if select_into(&mut query.clone()).is_some() => {
            Ok(Described::default())
        }
        Statement::Query(query) => select::describe(session, query, types),
        Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
            modify::describe(session, statement, types)
        }
        Statement::ShowVariable { variable } => setting::describe_show(variable),
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
