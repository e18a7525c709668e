//! UPDATE and DELETE of one row.

use super::Execution;
use super::apply::PointError;
use super::operand::{KeyOperands, Operand};
use super::shape::{self, Pinned};
use crate::session::client::ClientSession;
use crate::session::modify::{self, Target, lower_changes, lower_condition};
use crate::session::response::{CommandTag, Response};
use datafusion::sql::sqlparser::ast::{Assignment, AssignmentTarget, Delete, FromTable, Update};
use terrane_client::expr::Expr as Lowered;
use terrane_client::ids::ColumnId;
use terrane_client::program::{Action, Guard, Returning, RowProgram};

/// `UPDATE table SET … WHERE key = … [AND …]`, or DELETE.
pub struct PointChange {
    target: Target,
    verb: &'static str,
    key: KeyOperands,
    condition: Option<Lowered>,
    /// What UPDATE sets, ascending by column; `None` for DELETE.
    assignments: Option<Vec<(ColumnId, Lowered)>>,
}

impl PointChange {
    /// See [`super::recognise`].
    pub fn update(session: &mut ClientSession, update: &Update, types: &[u32]) -> Option<Self> {
        let Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from: None,
            selection: Some(selection),
            returning: None,
            output: None,
            or: None,
            order_by,
            limit: None,
        } = update
        else {
            return None;
        };
        if !order_by.is_empty() || assignments.is_empty() {
            return None;
        }
        let target = shape::target(session, shape::plain_table(table)?)?;
        let Pinned { key, rest } = shape::pinned(selection, &target, types)?;
        let mut lowered: Vec<(ColumnId, Lowered)> = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let (id, value) = assigned(session, assignment, &target, types)?;
            if target.schema.key_position(id).is_some()
                || lowered.iter().any(|(known, _)| *known == id)
            {
                return None;
            }
            lowered.push((id, value));
        }
        lowered.sort_by_key(|(id, _)| *id);
        let condition = condition(session, &target, rest.as_ref(), types)?;
        Some(Self { target, verb: "UPDATE", key, condition, assignments: Some(lowered) })
    }

    /// See [`super::recognise`].
    pub fn delete(session: &mut ClientSession, delete: &Delete, types: &[u32]) -> Option<Self> {
        let Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from: FromTable::WithFromKeyword(from),
            using: None,
            selection: Some(selection),
            returning: None,
            output: None,
            order_by,
            limit: None,
        } = delete
        else {
            return None;
        };
        let [table] = from.as_slice() else { return None };
        if !tables.is_empty() || !order_by.is_empty() {
            return None;
        }
        let target = shape::target(session, shape::plain_table(table)?)?;
        let Pinned { key, rest } = shape::pinned(selection, &target, types)?;
        let condition = condition(session, &target, rest.as_ref(), types)?;
        Some(Self { target, verb: "DELETE", key, condition, assignments: None })
    }

    /// Runs it.
    pub async fn run(
        &self,
        session: &mut ClientSession,
        execution: Execution<'_>,
    ) -> Result<Response, PointError> {
        session.check_writable(self.verb)?;
        let schema = &self.target.schema;
        let mut programs = Vec::new();
        if let Some(key) = self.key.encode(execution.values, schema)? {
            let bind = |expr: &Lowered| expr.bind(execution.values);
            let action = match &self.assignments {
                None => Action::Delete,
                Some(assignments) => Action::Update {
                    assignments: assignments.iter().map(|(id, e)| (*id, bind(e))).collect(),
                },
            };
            programs.push(RowProgram {
                table: schema.storage,
                schema_version: schema.version,
                key,
                guard: Guard::Any,
                condition: self.condition.as_ref().map(bind).map(Box::new),
                action,
                returning: Returning::Nothing,
            });
        }
        let changed = session.apply_point(&self.target, programs, &execution).await?;
        Ok(Response::Complete(CommandTag::Count(self.verb, changed)))
    }
}

fn condition(
    session: &mut ClientSession,
    target: &Target,
    rest: Option<&datafusion::sql::sqlparser::ast::Expr>,
    types: &[u32],
) -> Option<Option<Lowered>> {
    match rest {
        None => Some(None),
        Some(rest) => Some(Some(lower_condition(session, target, rest, types).ok()??)),
    }
}

fn assigned(
    session: &mut ClientSession,
    assignment: &Assignment,
    target: &Target,
    types: &[u32],
) -> Option<(ColumnId, Lowered)> {
    let AssignmentTarget::ColumnName(name) = &assignment.target else { return None };
    let [name] = name.0.as_slice() else { return None };
    let column = target.column(name.as_ident()?).ok()?;
    if column.identity.is_some() || modify::is_default(&assignment.value) {
        return None;
    }
    if let Some(operand) = Operand::assigned(&assignment.value, column, types) {
        return Some((column.id, operand.lowered(&column.data_type)));
    }
    let changes =
        lower_changes(session, target, std::slice::from_ref(assignment), types).ok()??;
    changes.into_iter().next()
}
