//! INSERT … VALUES of constants and parameters.

use super::apply::PointError;
use super::operand::Operand;
use super::{Execution, shape};
use crate::catalog::model::Column;
use crate::session::client::ClientSession;
use crate::session::modify::{self, Target, Values};
use crate::session::response::{CommandTag, Response};
use datafusion::sql::sqlparser::ast::{Expr, Insert, Parens, Query, SetExpr, TableObject};
use std::collections::BTreeMap;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// A column and what is stored in it.
type Slot = (ColumnId, DataType, Operand);

/// `INSERT INTO table [(columns)] VALUES (…), …`.
pub struct PointInsert {
    target: Target,
    /// Per row; the columns in it are given, the others get their DEFAULT.
    rows: Vec<Vec<Slot>>,
    /// Defaults that are constants.
    defaults: BTreeMap<ColumnId, Value>,
}

/// The rows of a plain VALUES.
fn plain_values(query: &Query) -> Option<&[Parens<Vec<Expr>>]> {
    match shape::plain_body(query)? {
        SetExpr::Values(values) if !values.explicit_row => Some(&values.rows),
        _ => None,
    }
}

impl PointInsert {
    /// See [`super::recognise`].
    pub fn recognise(session: &mut ClientSession, insert: &Insert, types: &[u32]) -> Option<Self> {
        let TableObject::TableName(name) = &insert.table else { return None };
        if insert.on.is_some() || insert.returning.is_some() {
            return None;
        }
        if !shape::is_user_table(name) {
            return None;
        }
        let values = plain_values(insert.source.as_deref()?)?;
        // Everything else an INSERT may say is looked at there.
        let (target, columns) = modify::insert_target(session, insert.clone()).ok()?;
        if shape::ends_with_statement(&target)
            || target.table.checks.len() != target.schema.checks.len()
        {
            return None;
        }
        let width = values.first()?.content.len();
        let mut rows = Vec::with_capacity(values.len());
        for row in values {
            if row.content.len() != width || width > columns.len() {
                return None;
            }
            let mut slots = Vec::with_capacity(width);
            for (cell, column) in row.content.iter().zip(&columns) {
                if modify::is_default(cell) {
                    continue;
                }
                if column.identity.is_some() {
                    return None;
                }
                let operand = Operand::assigned(cell, column, types)?;
                slots.push((column.id, column.data_type.clone(), operand));
            }
            rows.push(slots);
        }
        let defaults = target.table.live_columns().filter_map(constant_default).collect();
        Some(Self { target, rows, defaults })
    }

    /// Runs it.
    pub async fn run(
        &self,
        session: &mut ClientSession,
        execution: Execution<'_>,
    ) -> Result<Response, PointError> {
        session.check_writable("INSERT")?;
        let mut rows: Vec<Values> = Vec::with_capacity(self.rows.len());
        for slots in &self.rows {
            let mut row = self.defaults.clone();
            for (id, data_type, operand) in slots {
                row.insert(*id, operand.to_store(execution.values, data_type)?);
            }
            rows.push(row);
        }
        let table = &self.target.table;
        let is_full = |row: &Values| table.live_columns().all(|c| row.contains_key(&c.id));
        if !rows.iter().all(is_full) {
            let fill = modify::fill_defaults(session, table, &mut rows, execution.cancel);
            Box::pin(fill).await?;
        }
        let mut programs = Vec::with_capacity(rows.len());
        for row in &rows {
            let hidden = session.next_hidden_key();
            programs.push(modify::insert_program(&self.target, row, None, hidden)?);
        }
        let count = session.apply_point(&self.target, programs, &execution).await?;
        Ok(Response::Complete(CommandTag::Insert(count)))
    }
}

/// The value of a DEFAULT that is NULL or a plain literal.
fn constant_default(column: &Column) -> Option<(ColumnId, Value)> {
    if column.identity.is_some() {
        return None;
    }
    let value = match &column.default {
        None => Value::Null,
        Some(default) => {
            let expr = modify::stored_expression(default.sql.as_str()).ok()?;
            match Operand::assigned(&expr, column, &[])? {
                Operand::Constant(value) => value,
                Operand::Parameter(..) => return None,
            }
        }
    };
    Some((column.id, value))
}
