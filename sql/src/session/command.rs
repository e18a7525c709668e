//! PREPARE, EXECUTE, DEALLOCATE, LOCK and what does nothing.
//!
//! SQL's prepared statements share their names with Parse's.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::messages::no_statement;
use super::prepared::Prepared;
use super::response::Response;
use super::statement::{Described, complete};
use super::{cursors, explain, select};
use crate::bind::ddl::QualifiedName;
use crate::bind::{rewrite, type_name};
use crate::catalog::model::Table;
use crate::catalog::snapshot::Relation;
use crate::catalog::store::Fence;
use crate::error::{SqlError, SqlState};
use crate::parse::command::Command;
use crate::parse::{self, Ast, ParsedStatement};
use crate::plan::errors;
use crate::types::oid;
use arrow::array::Array;
use datafusion::sql::sqlparser::ast::{DataType, Expr, SelectItem, SetExpr};
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::columns::value_at;
use terrane_client::value::Value;

/// Runs a command.
pub async fn run(
    session: &mut ClientSession,
    command: Command,
    text: String,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    match command {
        Command::Prepare { name, types, statement } => {
            prepare(session, name, &types, *statement, text)
        }
        Command::Execute { name, arguments } => {
            let statement = bound(session, &name, arguments, cancel).await?;
            match statement {
                None => Ok(Response::Empty),
                // A future within itself needs a box.
                Some(statement) => {
                    let prepared = session.statements.get(&name).cloned();
                    let response = Box::pin(session.answer(statement, cancel)).await?;
                    check_result(prepared.as_deref(), &response)?;
                    Ok(response)
                }
            }
        }
        Command::Deallocate(Some(name)) => match session.statements.remove(&name) {
            Some(_) => complete("DEALLOCATE"),
            None => Err(no_statement(&name)),
        },
        Command::Deallocate(None) => {
            session.statements.clear();
            complete("DEALLOCATE ALL")
        }
        Command::Declare(declare) => cursors::declare(session, *declare, cancel).await,
        Command::Fetch { cursor, direction, moves } => {
            cursors::fetch(session, &cursor, direction, moves, cancel).await
        }
        Command::Close(name) => cursors::close(session, name.as_deref()),
        Command::Lock { names, excludes_writers } => lock(session, &names, excludes_writers).await,
        Command::Explain { options, statement } => {
            explain::run(session, options, *statement, cancel).await
        }
        Command::Unlisten => complete("UNLISTEN"),
        Command::SetConstraints => {
            if !session.in_explicit_block() {
                let message = "SET CONSTRAINTS can only be used in transaction blocks";
                session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
            }
            complete("SET CONSTRAINTS")
        }
        Command::Nothing(tag) => complete(tag),
        Command::Unsupported(clause) => {
            Err(SqlError::unsupported(format!("{clause} is not supported")))
        }
    }
}

/// What a command will answer.
pub fn describe(session: &ClientSession, command: &Command) -> Result<Described, SqlError> {
    let columns = match command {
        Command::Execute { name, .. } => {
            let prepared = session.statements.get(name).ok_or_else(|| no_statement(name))?;
            prepared.columns.clone()
        }
        Command::Fetch { cursor, moves: false, .. } => Some(cursors::columns(session, cursor)?),
        Command::Explain { options, .. } => Some(explain::columns(options.json)),
        _ => None,
    };
    Ok(Described { parameters: BTreeMap::new(), columns })
}

fn prepare(
    session: &mut ClientSession,
    name: String,
    types: &[DataType],
    statement: Ast,
    text: String,
) -> Result<Response, SqlError> {
    if session.statements.contains_key(&name) {
        return Err(SqlError::new(
            SqlState::DUPLICATE_PREPARED_STATEMENT,
            format!("prepared statement \"{name}\" already exists"),
        ));
    }
    let types = types
        .iter()
        .map(|data_type| Ok(type_name::resolve(data_type)?.oid))
        .collect::<Result<Vec<u32>, SqlError>>()?;
    let statement = ParsedStatement { ast: statement, text, start: 0, overriding: None };
    let prepared = Prepared::new(session, Some(statement), &types)?;
    session.statements.insert(name, Arc::new(prepared));
    complete("PREPARE")
}

/// A prepared statement with EXECUTE's arguments in place.
pub async fn bound(
    session: &mut ClientSession,
    name: &str,
    arguments: Vec<Expr>,
    cancel: &Cancel,
) -> Result<Option<ParsedStatement>, SqlError> {
    let prepared = session.statements.get(name).cloned().ok_or_else(|| no_statement(name))?;
    let (given, wanted) = (arguments.len(), prepared.parameters.len());
    if given != wanted {
        let message = format!("wrong number of parameters for prepared statement \"{name}\"");
        return Err(SqlError::syntax(message)
            .with_detail(format!("Expected {wanted} parameters but got {given}.")));
    }
    let values = argument_values(session, &prepared, arguments, cancel).await?;
    prepared.bound(&values)
}

/// 0A000 where a table has changed since, and with it the columns the client was told.
fn check_result(prepared: Option<&Prepared>, response: &Response) -> Result<(), SqlError> {
    let told = prepared.and_then(|prepared| prepared.columns.as_ref());
    let (Some(told), Response::Rows(rows)) = (told, response) else { return Ok(()) };
    match told.len() == rows.columns.len() {
        true => Ok(()),
        false => Err(SqlError::unsupported("cached plan must not change result type")),
    }
}

/// EXECUTE's arguments, each of its parameter's type.
async fn argument_values(
    session: &mut ClientSession,
    prepared: &Prepared,
    arguments: Vec<Expr>,
    cancel: &Cancel,
) -> Result<Vec<Value>, SqlError> {
    if arguments.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = parse::query("SELECT 1")?;
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = arguments
            .into_iter()
            .zip(prepared.parameters.iter())
            .map(|(argument, type_oid)| {
                SelectItem::UnnamedExpr(rewrite::cast_call(argument, oid::wire(*type_oid, -1)))
            })
            .collect();
    }
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, Vec::new(), &BTreeMap::new())?;
    let batches: Vec<_> =
        select::start(&plan, &state).await?.try_collect().await.map_err(errors::of_datafusion)?;
    let Some(row) = batches.iter().find(|batch| batch.num_rows() > 0) else {
        return Err(SqlError::internal("arguments without a row"));
    };
    let value = |(array, type_oid): (&Arc<dyn Array>, &u32)| -> Result<Value, SqlError> {
        if array.is_null(0) {
            return Ok(Value::Null);
        }
        let data_type = super::parameter::data_type_of(*type_oid)?;
        // Identifiers are held as what they are in plans.
        let array = match oid::data_type(*type_oid, -1) {
            None => arrow::compute::cast(array, &data_type.arrow())
                .map_err(|error| SqlError::internal(error.to_string()))?,
            Some(_) => Arc::clone(array),
        };
        value_at(array.as_ref(), 0, &data_type)
            .map_err(|error| SqlError::internal(error.to_string()))
    };
    row.columns().iter().zip(prepared.parameters.iter()).map(value).collect()
}

/// LOCK TABLE. Modes that conflict with writers keep everybody else out until the block ends, as DDL does;
/// the others exclude nothing but DDL, which a block's own commit finds out about.
async fn lock(
    session: &mut ClientSession,
    names: &[QualifiedName],
    excludes_writers: bool,
) -> Result<Response, SqlError> {
    if !session.in_explicit_block() {
        return Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            "LOCK TABLE can only be used in transaction blocks",
        ));
    }
    for name in names {
        let table = lockable(session, name)?;
        let Some(table) = table.filter(|_| excludes_writers) else { continue };
        let server = Arc::clone(&session.server);
        let tx = &mut session.block().catalog;
        if !tx.is_fenced(table.storage) {
            server.catalog.put_table(tx, (*table).clone(), Fence::Closed).await?;
        }
    }
    complete("LOCK TABLE")
}

/// The table to lock; `None` for a view, whose tables stay as they are.
fn lockable(
    session: &mut ClientSession,
    name: &QualifiedName,
) -> Result<Option<Arc<Table>>, SqlError> {
    let catalog = session.catalog();
    let path = session.search_path();
    let found = match &name.schema {
        None => catalog.resolve(&path, &name.name),
        Some(schema) => catalog
            .schema_by_name(schema)
            .and_then(|schema| catalog.relation_in(schema.oid, &name.name)),
    };
    match found {
        Some(Relation::Table(table)) => Ok(Some(table)),
        Some(Relation::View(_)) => Ok(None),
        Some(_) => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a table or view", name.name),
        )),
        None => Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("relation \"{name}\" does not exist"),
        )),
    }
}
