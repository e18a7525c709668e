//! INSERT … ON CONFLICT.
//!
//! On the primary key of a table without other unique indexes it is one row program, evaluated under the
//! row's lock. Everything else looks for the row in the way first, as the block sees it, and then changes
//! that very version of it, or lets it be; COMMIT checks again that it is there.

use super::apply::{Changed, index_key};
use super::change::{LoweredChange, lower_assignments};
use super::computed::Computed;
use super::returning;
use super::rows::Rows;
use super::set_list::{Assigned, assigned};
use super::target::{Target, folded};
use crate::catalog::quote::quote_ident;
use crate::error::{SqlError, SqlState};
use crate::parse;
use crate::plan::errors;
use crate::plan::relations::{EXCLUDED, RETURNED};
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::select;
use arrow::array::{Array, AsArray};
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::sql::sqlparser::ast::{
    ConflictTarget, Expr, Ident, OnConflict as AstOnConflict, OnConflictAction, Query, SelectItem,
    SetExpr, Value as AstValue,
};
use futures::TryStreamExt;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use terrane_client::expr::{Expr as Lowered, RowView, is_true};
use terrane_client::ids::ColumnId;
use terrane_client::map_column::MapParts;
use terrane_client::program::{
    Action, Current, Guard, OnConflict, Returning, RowProgram, RowReader,
};
use terrane_client::row::{PackedCells, Row};
use terrane_client::schema::TableSchema;

/// ON CONFLICT, bound.
pub enum Conflict {
    /// One row program.
    Lowered {
        /// What it does.
        action: OnConflict,
        /// DO UPDATE … WHERE.
        condition: Option<Lowered>,
    },
    /// The row in the way is looked for.
    Sought(Sought),
}

/// ON CONFLICT that looks for the row in the way.
pub struct Sought {
    /// True where it may have the same primary key.
    primary: bool,
    /// Places in the target's unique indexes in which it may have the same entry.
    indexes: Vec<usize>,
    /// `None` is DO NOTHING.
    update: Option<DoUpdate>,
}

/// DO UPDATE.
enum DoUpdate {
    /// In the tablets' language.
    Lowered(LoweredChange),
    /// By a query over both rows, which looks at these parts of maps.
    Queried { assignments: Vec<Assigned>, condition: Option<Expr>, parts: MapParts },
}

impl Sought {
    /// Places in the target's unique indexes in which a row in the way is looked for.
    pub(super) fn indexes(&self) -> &[usize] {
        &self.indexes
    }

    /// What it reads of the maps of the row in the way.
    pub(super) fn map_parts(&self, schema: &TableSchema) -> MapParts {
        match &self.update {
            None => MapParts::nothing(schema),
            Some(DoUpdate::Queried { parts, .. }) => parts.clone(),
            Some(DoUpdate::Lowered((assignments, condition))) => {
                let assignments = assignments.clone();
                let action = Action::Update { assignments };
                let condition = condition.clone().map(Box::new);
                RowProgram { condition, ..program(schema, Bytes::new(), Guard::Any, action) }
                    .map_parts(schema)
            }
        }
    }
}

/// A program of a row of the target.
fn program(schema: &TableSchema, key: Bytes, guard: Guard, action: Action) -> RowProgram {
    RowProgram {
        table: schema.storage,
        schema_version: schema.version,
        key,
        guard,
        condition: None,
        action,
        returning: Returning::Nothing,
    }
}

/// Binds ON CONFLICT.
pub fn bind(
    session: &mut ClientSession,
    target: &Target,
    conflict: &AstOnConflict,
) -> Result<Conflict, SqlError> {
    let AstOnConflict { conflict_target, action } = conflict;
    let (primary, indexes) = arbiters(target, conflict_target.as_ref())?;
    let plain = indexes.is_empty() && target.uniques.is_empty();
    match action {
        OnConflictAction::DoNothing if plain => {
            Ok(Conflict::Lowered { action: OnConflict::DoNothing, condition: None })
        }
        OnConflictAction::DoNothing => {
            Ok(Conflict::Sought(Sought { primary, indexes, update: None }))
        }
        OnConflictAction::DoUpdate(update) => {
            if conflict_target.is_none() {
                return Err(SqlError::syntax(
                    "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                )
                .with_hint("For example, ON CONFLICT (column_name)."));
            }
            let (assignments, selection) = (&update.assignments, update.selection.as_ref());
            let pairs = assigned(target, assignments)?;
            refuse_key(target, &pairs)?;
            let update = match lower_assignments(session, target, assignments, selection) {
                Ok(Some((assignments, condition))) if plain => {
                    let action = OnConflict::DoUpdate { assignments };
                    return Ok(Conflict::Lowered { action, condition });
                }
                Ok(Some(lowered)) => DoUpdate::Lowered(lowered),
                _ => {
                    let query = values_query(target, &pairs, selection)?;
                    let parts = session.conflict_parts(target, query, &pairs);
                    let condition = selection.cloned();
                    DoUpdate::Queried { assignments: pairs, condition, parts }
                }
            };
            Ok(Conflict::Sought(Sought { primary, indexes, update: Some(update) }))
        }
    }
}

/// 0A000 where a column of the primary key is set.
fn refuse_key(target: &Target, assignments: &[Assigned]) -> Result<(), SqlError> {
    let keys: HashSet<ColumnId> = target.schema.key.iter().map(|key| key.column).collect();
    match assignments.iter().find(|(column, _)| keys.contains(&column.id)) {
        None => Ok(()),
        Some((column, _)) => Err(SqlError::unsupported(format!(
            "changing column \"{}\" of the primary key is not supported",
            column.name
        ))
        .with_hint("Delete the row and insert it under its new key.")),
    }
}

/// What a conflict may be with: the primary key, unique indexes.
fn arbiters(
    target: &Target,
    wanted: Option<&ConflictTarget>,
) -> Result<(bool, Vec<usize>), SqlError> {
    let key: HashSet<ColumnId> = target.schema.key.iter().map(|key| key.column).collect();
    match wanted {
        None => Ok((!key.is_empty(), (0..target.uniques.len()).collect())),
        Some(ConflictTarget::Columns(names)) => {
            let wanted: HashSet<ColumnId> =
                names.iter().map(|name| Ok(target.column(name)?.id)).collect::<Result<_, _>>()?;
            let primary = !key.is_empty() && wanted == key;
            let matches = |at: &usize| {
                let (index, _) = &target.uniques[*at];
                let columns = index.key_columns().unwrap_or_default();
                columns.into_iter().collect::<HashSet<_>>() == wanted
            };
            let indexes: Vec<usize> = (0..target.uniques.len()).filter(matches).collect();
            if !primary && indexes.is_empty() {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    "there is no unique or exclusion constraint matching the ON CONFLICT \
                     specification",
                ));
            }
            Ok((primary, indexes))
        }
        Some(ConflictTarget::OnConstraint(name)) => {
            let name = name.0.last().and_then(|part| part.as_ident()).map(folded);
            let name = name.unwrap_or_default();
            if target.table.primary_key.as_ref().is_some_and(|key| *key.name == *name) {
                return Ok((true, Vec::new()));
            }
            let found = target
                .uniques
                .iter()
                .position(|(index, _)| *index.name == *name && index.constraint.is_some());
            match found {
                Some(at) => Ok((false, vec![at])),
                None => Err(SqlError::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!(
                        "constraint \"{name}\" for table \"{}\" does not exist",
                        target.table.name
                    ),
                )),
            }
        }
    }
}

/// What becomes of a row to insert.
pub enum Resolved {
    /// It goes in.
    Insert(RowProgram),
    /// A row in the way is changed.
    Update(RowProgram),
    /// Nothing: COMMIT checks that the row in the way still is.
    Nothing(RowProgram),
    /// Nothing, by DO UPDATE's own WHERE.
    Unmatched(RowProgram),
}

impl ClientSession {
    /// Looks for a row in the way of an insert. `touched` are the rows this statement has written.
    #[expect(clippy::too_many_arguments, reason = "the loop's own state, passed through")]
    pub(super) async fn resolve_conflict(
        &mut self,
        target: &Target,
        sought: &Sought,
        insert: RowProgram,
        rows: &mut Rows,
        parts: &MapParts,
        touched: &HashSet<Bytes>,
        cancel: &Cancel,
    ) -> Result<Resolved, SqlError> {
        let Some(key) = self.row_in_the_way(target, sought, &insert, rows).await? else {
            // Where another commit makes such a row first, the statement is to look again.
            let guard = match sought.primary {
                true => Guard::Version(rows.committed(insert.table, &insert.key)),
                false => insert.guard,
            };
            return Ok(Resolved::Insert(RowProgram { guard, ..insert }));
        };
        // The proposed row must meet the constraints, though it does not go in.
        self.evaluated(target, &mut insert.clone(), Current::committed(None))?;
        let check = |guard, action| program(&target.schema, key.clone(), guard, action);
        let Some(update) = &sought.update else {
            return Ok(Resolved::Nothing(check(Guard::Matched, Action::Check)));
        };
        if touched.contains(&key) {
            return Err(second_time());
        }
        self.read_into(rows, &target.schema, vec![key.clone()], parts).await?;
        let Some(row) = rows.get(target.schema.storage, &key) else {
            return Err(SqlError::internal("a unique index has an entry without a row"));
        };
        let version = row.version;
        let unmatched = check(Guard::Version(version), Action::Check);
        let Action::Put { cells } = &insert.action else {
            return Err(SqlError::internal("an INSERT that puts nothing"));
        };
        let (assignments, condition) = match update {
            DoUpdate::Lowered(lowered) => {
                let (assignments, condition) =
                    with_excluded(lowered, &target.schema, &insert.key, cells)?;
                let cells = Some(&row.cells);
                let found = RowReader { schema: &target.schema, key: &key, cells, excluded: None };
                // What it fails with is told where it is applied.
                if condition.as_ref().is_some_and(|it| matches!(is_true(it, &found), Ok(false))) {
                    return Ok(Resolved::Unmatched(unmatched));
                }
                (assignments, condition)
            }
            DoUpdate::Queried { assignments, condition, .. } => {
                let found =
                    Changed { key: key.clone(), before: None, after: Some(row), applied: true };
                let proposed = Some(Row { cells: cells.clone(), ..Row::default() });
                let excluded =
                    Changed { key: insert.key, before: None, after: proposed, applied: true };
                let query = values_query(target, assignments, condition.as_ref())?;
                let rows = [found, excluded];
                match self.conflict_values(target, assignments, query, rows, cancel).await? {
                    None => return Ok(Resolved::Unmatched(unmatched)),
                    Some(assigned) => (assigned, None),
                }
            }
        };
        let update = check(Guard::Version(version), Action::Update { assignments });
        Ok(Resolved::Update(RowProgram { condition: condition.map(Box::new), ..update }))
    }

    async fn row_in_the_way(
        &mut self,
        target: &Target,
        sought: &Sought,
        insert: &RowProgram,
        rows: &mut Rows,
    ) -> Result<Option<Bytes>, SqlError> {
        if sought.primary && rows.get(target.schema.storage, &insert.key).is_some() {
            rows.check_snapshot(insert.table, &insert.key)?;
            return Ok(Some(insert.key.clone()));
        }
        let Action::Put { cells } = &insert.action else { return Ok(None) };
        let row = Row { cells: cells.clone(), ..Row::default() };
        for at in &sought.indexes {
            let (index, hidden) = &target.uniques[*at];
            let Some(entry) = index_key(target, index, hidden, &insert.key, &row)? else {
                continue;
            };
            self.read_into(rows, hidden, vec![entry.clone()], &MapParts::default()).await?;
            if let Some(found) = rows.get(hidden.storage, &entry) {
                rows.check_snapshot(hidden.storage, &entry)?;
                let key = found.cells.get(index.row_key_column()).flatten();
                let key = key.ok_or_else(|| SqlError::internal("an index entry without a key"))?;
                return Ok(Some(Bytes::copy_from_slice(key)));
            }
        }
        Ok(None)
    }

    /// What DO UPDATE assigns to one row; `None` where its WHERE does not hold.
    async fn conflict_values(
        &mut self,
        target: &Target,
        assignments: &[Assigned],
        query: Query,
        [found, excluded]: [Changed; 2],
        cancel: &Cancel,
    ) -> Result<Option<Vec<(ColumnId, Lowered)>>, SqlError> {
        let found: Arc<dyn TableProvider> =
            Arc::new(returning::images(target, [&found].into_iter())?);
        let excluded: Arc<dyn TableProvider> =
            Arc::new(returning::images(target, [&excluded].into_iter())?);
        let context = self.statement_context(cancel).await?;
        let state = self.state(context);
        let bound = vec![(RETURNED, found), (EXCLUDED, excluded)];
        let plan = self.plan(&state, query, bound, &BTreeMap::new())?;
        let (plan, computed) = Computed::new(plan, 1, assignments, Some(&target.alias))?;
        let batches: Vec<_> = select::start(&plan, &state)
            .await?
            .try_collect()
            .await
            .map_err(errors::of_datafusion)?;
        let Some(row) = batches.iter().find(|batch| batch.num_rows() > 0) else {
            return Err(SqlError::internal("ON CONFLICT without a row"));
        };
        let holds = row.column(0);
        let holds = holds.as_boolean_opt().ok_or_else(|| {
            SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "argument of ON CONFLICT WHERE must be type boolean",
            )
        })?;
        if holds.is_null(0) || !holds.value(0) {
            return Ok(None);
        }
        let info = self.info();
        computed.assigned(&computed.arrays(row, 1, &info)?, 0).map(Some)
    }
}

/// DO UPDATE's condition and values, of [`RETURNED`] and [`EXCLUDED`].
fn values_query(
    target: &Target,
    assignments: &[Assigned],
    condition: Option<&Expr>,
) -> Result<Query, SqlError> {
    let alias = quote_ident(&target.alias);
    let sql = format!("SELECT 1 FROM \"{RETURNED}\" AS {alias}, \"{EXCLUDED}\" AS excluded");
    let mut query = parse::query(&sql)?;
    let condition = condition.cloned().unwrap_or_else(|| Expr::value(AstValue::Boolean(true)));
    if let SetExpr::Select(select) = &mut *query.body {
        let values =
            std::iter::once(condition).chain(assignments.iter().map(|(_, value)| value.clone()));
        select.projection = values
            .enumerate()
            .map(|(at, expr)| SelectItem::ExprWithAlias {
                expr,
                alias: Ident::with_quote('"', format!("__terrane_value_{at}")),
            })
            .collect();
    }
    Ok(query)
}

/// Assignments and condition with the proposed row's values in the place of EXCLUDED's columns.
fn with_excluded(
    (assignments, condition): &LoweredChange,
    schema: &TableSchema,
    key: &Bytes,
    cells: &PackedCells,
) -> Result<LoweredChange, SqlError> {
    let proposed = RowReader { schema, key, cells: Some(cells), excluded: None };
    let mut failed = None;
    let mut bound = |expr: &Lowered| {
        expr.replaced(&mut |expr| match expr {
            Lowered::Excluded(id, data_type) => match proposed.column(*id) {
                Ok(value) => Some(Lowered::Literal(value, data_type.clone())),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            },
            _ => None,
        })
    };
    let assignments = assignments.iter().map(|(id, value)| (*id, bound(value))).collect();
    let condition = condition.as_ref().map(&mut bound);
    match failed {
        None => Ok((assignments, condition)),
        Some(error) => Err(SqlError::internal(error.to_string())),
    }
}

/// 21000.
pub fn second_time() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate \
         constrained values.",
    )
}
