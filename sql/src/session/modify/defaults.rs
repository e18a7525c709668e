//! What rows get in columns they were not given.

use super::assign;
use super::insert::Values;
use super::typed_cells::type_unknown;
use crate::catalog::model::{Column, Table};
use crate::error::SqlError;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::select;
use crate::types::oid;
use arrow::array::Array;
use datafusion::sql::sqlparser::ast::{SelectItem, SetExpr};
use futures::TryStreamExt;
use std::collections::BTreeMap;
use terrane_client::columns::value_at;
use terrane_client::value::Value;

/// Gives columns that were not given their DEFAULT, sequence value or NULL.
pub async fn fill_defaults(
    session: &mut ClientSession,
    table: &Table,
    rows: &mut [Values],
    cancel: &Cancel,
) -> Result<(), SqlError> {
    for column in table.live_columns() {
        let missing: Vec<usize> =
            (0..rows.len()).filter(|at| !rows[*at].contains_key(&column.id)).collect();
        if missing.is_empty() {
            continue;
        }
        let values = missing_values(session, table, column, missing.len(), cancel).await?;
        for (at, value) in missing.into_iter().zip(values) {
            rows[at].insert(column.id, value);
        }
    }
    Ok(())
}

/// What rows get in a column they were not given: the next values of its sequence, its DEFAULT, or NULL.
pub async fn missing_values(
    session: &mut ClientSession,
    table: &Table,
    column: &Column,
    count: usize,
    cancel: &Cancel,
) -> Result<Vec<Value>, SqlError> {
    let catalog = session.catalog();
    let generated = column.identity.is_some() || is_serial(column);
    if let Some(sequence) = catalog.sequence_of_column(table.oid, column.id)
        && generated
    {
        let next = session.server.catalog.sequences().next_values(sequence, count).await?;
        if let Some(last) = next.last() {
            session.memory.took(sequence.oid, *last);
        }
        return next.into_iter().map(|value| integer(value, column)).collect();
    }
    let Some(default) = &column.default else { return Ok(vec![Value::Null; count]) };
    let text = default
        .sql
        .render(&catalog.qualified_names())
        .map_err(|error| SqlError::internal(error.to_string()))?;
    default_values(session, column, &text, count, cancel).await
}

/// True where the DEFAULT is nextval of the column's own sequence.
fn is_serial(column: &Column) -> bool {
    column
        .default
        .as_ref()
        .is_some_and(|default| default.sql.as_str().trim_start().starts_with("nextval("))
}

/// A sequence's value as a column's.
pub fn integer(value: i64, column: &Column) -> Result<Value, SqlError> {
    use terrane_client::types::DataType;
    let narrowed = match column.data_type {
        DataType::Int2 => i16::try_from(value).map(Value::Int2).ok(),
        DataType::Int4 => i32::try_from(value).map(Value::Int4).ok(),
        _ => Some(Value::Int8(value)),
    };
    narrowed.ok_or_else(|| assign::out_of_range(column))
}

/// Evaluates a DEFAULT once for each row: it may be volatile.
async fn default_values(
    session: &mut ClientSession,
    column: &Column,
    text: &str,
    count: usize,
    cancel: &Cancel,
) -> Result<Vec<Value>, SqlError> {
    let sql = format!("SELECT {text} FROM generate_series(1, {count})");
    let mut query = crate::parse::query(&sql)?;
    if let SetExpr::Select(select) = &mut *query.body
        && let Some(SelectItem::UnnamedExpr(expr)) = select.projection.first_mut()
    {
        type_unknown(expr, column);
    }
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, Vec::new(), &BTreeMap::new())?;
    let source = oid::of_field(plan.schema().field(0));
    let info = session.info();
    let mut batches = select::start(&plan, &state).await?;
    let mut values = Vec::with_capacity(count);
    while let Some(batch) = batches.try_next().await.map_err(crate::plan::errors::of_datafusion)? {
        let array = assign::convert(batch.column(0), source, column, &info)?;
        for at in 0..array.len() {
            values.push(match array.is_null(at) {
                true => Value::Null,
                false => value_at(array.as_ref(), at, &column.data_type)
                    .map_err(|error| SqlError::internal(error.to_string()))?,
            });
        }
    }
    match values.len() == count {
        true => Ok(values),
        false => Err(SqlError::internal("a DEFAULT gave no value")),
    }
}
