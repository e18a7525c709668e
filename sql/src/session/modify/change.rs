//! UPDATE and DELETE: a SELECT of the rows to change, then a program for each.

use super::Done;
use super::apply::{Changed, Proposed};
use super::assign;
use super::computed::Computed;
use super::delete_range;
use super::moved;
use super::returning::{self, Joined};
use super::set_list::{Assigned, assigned, last};
use super::target::Target;
use super::with::Scope;
use crate::bind::as_of;
use crate::catalog::quote::quote_ident;
use crate::error::SqlError;
use crate::parse;
use crate::plan::context::PlanContext;
use crate::plan::lower;
use crate::plan::planner;
use crate::plan::relations::{CatalogRelations, EXCLUDED, TARGET};
use crate::scan::provider::{KEY_COLUMN, TableSource, VERSION_COLUMN};
use crate::scan::versions::TIMESTAMP_COLUMN;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::response::CommandTag;
use crate::session::select::{self, Bound};
use crate::session::statement::Described;
use crate::types::oid;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, ObjectName, Query, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins, Update,
    UpdateTableFromKind, Value as AstValue, WildcardAdditionalOptions,
};
use futures::TryStreamExt;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use terrane_client::expr::Expr as Lowered;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::program::{Action, Guard, Returning, RowProgram};
use terrane_client::read::Versions;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// One UPDATE or DELETE, whatever its spelling.
pub(super) struct Change {
    pub(super) target: Target,
    pub(super) assignments: Vec<Assigned>,
    from: Vec<TableWithJoins>,
    selection: Option<Expr>,
    returning: Option<Vec<SelectItem>>,
    scope: Scope,
}

fn update_parts(session: &mut ClientSession, update: Update) -> Result<Change, SqlError> {
    let Update {
        update_token: _,
        optimizer_hints: _,
        table,
        assignments,
        from,
        selection,
        returning,
        output: None,
        or: None,
        order_by,
        limit: None,
    } = update
    else {
        return Err(SqlError::unsupported("this form of UPDATE is not supported"));
    };
    if !order_by.is_empty() || !table.joins.is_empty() {
        return Err(SqlError::syntax("syntax error in UPDATE"));
    }
    let target = target_of(session, &table.relation)?;
    let assignments = assigned(&target, &assignments)?;
    let from = match from {
        None => Vec::new(),
        Some(UpdateTableFromKind::AfterSet(from)) => from,
        Some(UpdateTableFromKind::BeforeSet(_)) => {
            return Err(SqlError::syntax("FROM stands after SET"));
        }
    };
    Ok(Change { target, assignments, from, selection, returning, scope: Scope::default() })
}

fn delete_parts(session: &mut ClientSession, delete: Delete) -> Result<Change, SqlError> {
    let Delete {
        delete_token: _,
        optimizer_hints: _,
        tables,
        from: FromTable::WithFromKeyword(from),
        using,
        selection,
        returning,
        output: None,
        order_by,
        limit,
    } = delete
    else {
        return Err(SqlError::unsupported("this form of DELETE is not supported"));
    };
    if limit.is_some() {
        return Err(SqlError::syntax("syntax error at or near \"LIMIT\""));
    }
    let [table] = from.as_slice() else {
        return Err(SqlError::syntax("DELETE is from one table"));
    };
    if !tables.is_empty() || !order_by.is_empty() || !table.joins.is_empty() {
        return Err(SqlError::syntax("syntax error in DELETE"));
    }
    let target = target_of(session, &table.relation)?;
    let from = using.unwrap_or_default();
    let (assignments, scope) = (Vec::new(), Scope::default());
    Ok(Change { target, assignments, from, selection, returning, scope })
}

fn target_of(session: &mut ClientSession, relation: &TableFactor) -> Result<Target, SqlError> {
    match relation {
        TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints: _,
            version: None,
            with_ordinality: false,
            partitions: _,
            json_path: None,
            sample: None,
            index_hints: _,
        } => Target::find(session, name, alias.as_ref().map(|alias| &alias.name)),
        factor if as_of::is_versioned(factor) => {
            Err(SqlError::unsupported("a table FOR SYSTEM_TIME AS OF cannot be changed"))
        }
        other => Err(SqlError::syntax(format!("{other} is no table that can be changed"))),
    }
}

/// `SELECT key, version, values… FROM target AS alias, from… WHERE selection`, with the values that are `computed` here.
fn source_query(change: &Change, computed: &[Assigned]) -> Result<Query, SqlError> {
    let alias = quote_ident(&change.target.alias);
    let sql = format!(
        "SELECT {alias}.\"{KEY_COLUMN}\", {alias}.\"{VERSION_COLUMN}\" FROM \"{TARGET}\" AS {alias}"
    );
    let mut query = parse::query(&sql)?;
    if let SetExpr::Select(select) = &mut *query.body {
        for (at, (_, value)) in computed.iter().enumerate() {
            select.projection.push(SelectItem::ExprWithAlias {
                expr: value.clone(),
                alias: Ident::with_quote('"', format!("__terrane_value_{at}")),
            });
        }
        for name in change.joined() {
            // RETURNING may show what the row was joined with.
            select.projection.push(SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![name])),
                WildcardAdditionalOptions::default(),
            ));
        }
        select.from.extend(change.from.iter().cloned());
        select.selection = change.selection.clone();
    }
    change.scope.put_before(&mut query);
    Ok(query)
}

impl Change {
    /// The assignments whose values are computed here: all, where not the tablets do it.
    fn computed(&self, lowered: Option<&LoweredChange>) -> &[Assigned] {
        match lowered {
            Some(_) => &[],
            None => &self.assignments,
        }
    }

    /// The relations of FROM or USING whose rows RETURNING may show.
    fn joined(&self) -> Vec<Ident> {
        if self.returning.is_none() {
            return Vec::new();
        }
        let relations = self.from.iter().flat_map(|from| {
            std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
        });
        relations.filter_map(name_in_query).collect()
    }
}

/// What a query calls a relation of its FROM.
pub fn name_in_query(relation: &TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, alias: None, .. } => name.0.last()?.as_ident().cloned(),
        _ => None,
    }
}

fn bound(change: &Change) -> Bound {
    let source: Arc<dyn TableProvider> = change.target.source();
    let mut bound = vec![(TARGET, source)];
    bound.extend(change.scope.bound.iter().cloned());
    bound
}

/// UPDATE.
pub async fn update(
    session: &mut ClientSession,
    update: Update,
    scope: &Scope,
    cancel: &Cancel,
) -> Result<Done, SqlError> {
    session.check_writable("UPDATE")?;
    let mut change = update_parts(session, update)?;
    change.scope = scope.clone();
    run(session, change, cancel, "UPDATE").await
}

/// DELETE.
pub async fn delete(
    session: &mut ClientSession,
    delete: Delete,
    scope: &Scope,
    cancel: &Cancel,
) -> Result<Done, SqlError> {
    session.check_writable("DELETE")?;
    let mut change = delete_parts(session, delete)?;
    change.scope = scope.clone();
    run(session, change, cancel, "DELETE").await
}

/// The table and RETURNING.
pub fn returning_of_update(
    session: &mut ClientSession,
    update: &Update,
) -> Result<(Target, Option<Vec<SelectItem>>), SqlError> {
    let change = update_parts(session, update.clone())?;
    Ok((change.target, change.returning))
}

/// The table and RETURNING.
pub fn returning_of_delete(
    session: &mut ClientSession,
    delete: &Delete,
) -> Result<(Target, Option<Vec<SelectItem>>), SqlError> {
    let change = delete_parts(session, delete.clone())?;
    Ok((change.target, change.returning))
}

/// EXPLAIN's line, and the query that finds the rows.
pub fn explained_update(
    session: &mut ClientSession,
    update: &Update,
) -> Result<(String, Option<(Query, Bound)>), SqlError> {
    let change = update_parts(session, update.clone())?;
    let line = format!("Update on {}", change.target.table.name);
    let lowered = lower_change(session, &change)?;
    let query = source_query(&change, change.computed(lowered.as_ref()))?;
    Ok((line, Some((query, bound(&change)))))
}

/// EXPLAIN's line, and the query that finds the rows.
pub fn explained_delete(
    session: &mut ClientSession,
    delete: &Delete,
) -> Result<(String, Option<(Query, Bound)>), SqlError> {
    let change = delete_parts(session, delete.clone())?;
    let line = format!("Delete on {}", change.target.table.name);
    Ok((line, Some((source_query(&change, &[])?, bound(&change)))))
}

async fn run(
    session: &mut ClientSession,
    change: Change,
    cancel: &Cancel,
    verb: &'static str,
) -> Result<Done, SqlError> {
    let moves = moved::is_needed(&change);
    if moves && change.assignments.iter().any(|(column, _)| column.id == ColumnId::STAMP) {
        let message = "an UPDATE of the primary key cannot set _timestamp";
        return Err(SqlError::unsupported(message).with_hint(
            "Of a row that moves, each cell is written anew. Use DELETE and INSERT instead.",
        ));
    }
    let lowered = lower_change(session, &change)?;
    if verb == "DELETE"
        && change.returning.is_none()
        && let Some(lowered) = &lowered
        && let Some(deleted) =
            delete_range::delete_ranges(session, &change, lowered, cancel).await?
    {
        let (rows, joined) = (Vec::new(), Vec::new());
        let Change { target, returning, .. } = change;
        return Ok(Done { target, returning, rows, joined, tag: CommandTag::Count(verb, deleted) });
    }
    let (rows, joined) = rows_to_change(session, &change, lowered.as_ref(), cancel).await?;
    let changed = match moves {
        true => moved::apply(session, &change, rows, cancel).await?,
        false => {
            let programs = rows
                .into_iter()
                .map(|row| program(&change, lowered.as_ref(), row))
                .collect::<Result<Vec<_>, _>>()?;
            let is_joined = !joined.is_empty();
            let shown = change
                .returning
                .as_ref()
                .map(|items| session.returned_parts(&change.target, items, is_joined));
            session
                .apply(&change.target, Proposed { programs, sought: None, shown }, cancel)
                .await?
        }
    };
    let applied: Vec<usize> = (0..changed.len()).filter(|at| changed[*at].applied).collect();
    let joined = joined.into_iter().map(|joined| joined.of(&applied)).collect::<Result<_, _>>()?;
    let rows: Vec<Changed> = changed.into_iter().filter(|row| row.applied).collect();
    let tag = CommandTag::Count(verb, rows.len() as u64);
    let Change { target, returning, .. } = change;
    Ok(Done { target, returning, rows, joined, tag })
}

/// A row the SELECT found: its key, and the version read.
pub(super) struct Found {
    pub(super) key: Bytes,
    pub(super) version: CommitTs,
    /// What is assigned where it is computed here.
    pub(super) assigned: Vec<(ColumnId, Lowered)>,
}

impl Found {
    /// The new values, where none is made of what is there.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.assigned.iter().filter_map(|(_, value)| match value {
            Lowered::Literal(value, _) => Some(value),
            _ => None,
        })
    }
}

async fn rows_to_change(
    session: &mut ClientSession,
    change: &Change,
    lowered: Option<&LoweredChange>,
    cancel: &Cancel,
) -> Result<(Vec<Found>, Vec<Joined>), SqlError> {
    // What lowered is evaluated again at COMMIT, its WHERE too.
    let context = session.context_of(lowered.is_none(), cancel).await?;
    let state = session.state(context);
    let computed = change.computed(lowered);
    let query = source_query(change, computed)?;
    let plan = session.plan(&state, query, bound(change), &BTreeMap::new())?;
    // A row that moves is written whole.
    let map_steps = !moved::is_needed(change);
    let alias = map_steps.then_some(&*change.target.alias);
    let (plan, computed) = Computed::new(plan, 2, computed, alias)?;
    let mut joined = Joined::of_plan(&change.joined(), &plan, 2 + computed.len());
    let info = session.info();
    let mut batches = select::start(&plan, &state).await?;
    let mut found = Vec::new();
    let mut seen: HashSet<Bytes> = HashSet::new();
    while let Some(batch) = batches.try_next().await.map_err(crate::plan::errors::of_datafusion)? {
        cancel.check()?;
        let keys = batch.column(0).as_binary_view();
        let versions = batch.column(1).as_primitive::<Int64Type>();
        let values = computed.arrays(&batch, 2, &info)?;
        let mut first: Vec<u32> = Vec::new();
        for at in 0..batch.num_rows() {
            let key = Bytes::copy_from_slice(keys.value(at));
            // A join may find a row more than once; the first match counts, as in PostgreSQL. What WITH has
            // changed before stays as it left it.
            if !seen.insert(key.clone()) || session.has_changed(&change.target, &key) {
                continue;
            }
            first.push(at as u32);
            let assigned = computed.assigned(&values, at)?;
            found.push(Found { key, version: CommitTs(versions.value(at)), assigned });
        }
        joined.iter_mut().try_for_each(|joined| joined.take(&batch, &first))?;
    }
    Ok((found, joined))
}

/// Assignments and condition in the tablets' language.
pub(super) type LoweredChange = (Vec<(ColumnId, Lowered)>, Option<Lowered>);

fn lower_change(
    session: &mut ClientSession,
    change: &Change,
) -> Result<Option<LoweredChange>, SqlError> {
    if !change.from.is_empty() || !change.scope.is_empty() || moved::is_needed(change) {
        return Ok(None);
    }
    lower_pairs(session, &change.target, &change.assignments, change.selection.as_ref(), false, &[])
}

/// A condition over the target's columns and parameters of these types; `None` where it does not lower.
pub fn lower_condition(
    session: &mut ClientSession,
    target: &Target,
    selection: &Expr,
    parameters: &[u32],
) -> Result<Option<Lowered>, SqlError> {
    let lowered = lower_pairs(session, target, &[], Some(selection), false, parameters)?;
    let condition = lowered.and_then(|(_, condition)| condition);
    Ok(condition.filter(|condition| *condition.data_type() == DataType::Bool))
}

/// What an UPDATE's SET stores, by column; `None` where it does not lower or has no assignment cast.
pub fn lower_changes(
    session: &mut ClientSession,
    target: &Target,
    assignments: &[Assignment],
    parameters: &[u32],
) -> Result<Option<Vec<(ColumnId, Lowered)>>, SqlError> {
    let pairs = assigned(target, assignments)?;
    let lowered = lower_pairs(session, target, &pairs, None, false, parameters)?;
    Ok(lowered.map(|(assignments, _)| assignments))
}

/// ON CONFLICT's assignments and condition, which may say EXCLUDED.
pub fn lower_assignments(
    session: &mut ClientSession,
    target: &Target,
    assignments: &[Assignment],
    selection: Option<&Expr>,
) -> Result<Option<LoweredChange>, SqlError> {
    let pairs = assigned(target, assignments)?;
    lower_pairs(session, target, &pairs, selection, true, &[])
}

fn lower_pairs(
    session: &mut ClientSession,
    target: &Target,
    assignments: &[Assigned],
    selection: Option<&Expr>,
    excluded: bool,
    parameters: &[u32],
) -> Result<Option<LoweredChange>, SqlError> {
    let query = values_query(target, assignments, selection, excluded)?;
    let info = session.early_info();
    let state = session.server.describing(info);
    let catalog = session.current_catalog();
    let path = session.search_path();
    let source = TableSource::new(Arc::clone(&target.schema));
    // The proposed row may say its timestamp.
    let proposed = match target.schema.has_dated() {
        true => source.showing(Versions::Newest),
        false => source.clone(),
    };
    let [source, proposed] = [source, proposed].map(|of| Arc::new(of) as Arc<dyn TableProvider>);
    let relations = CatalogRelations {
        catalog: &catalog,
        path: &path,
        state: &state,
        bound: vec![(TARGET, source), (EXCLUDED, proposed)],
        depth: 0,
    };
    let context = PlanContext::new(&state, &relations);
    let types = parameters.iter().enumerate().map(|(at, type_oid)| (at + 1, *type_oid)).collect();
    let parameters = select::parameter_fields(&types);
    let LogicalPlan::Projection(projection) = planner::plan_query(query, &context, parameters)?
    else {
        return Ok(None);
    };
    let column_of = |column: &datafusion::common::Column| {
        let is_excluded = excluded
            && column.relation.as_ref().is_some_and(|relation| relation.table() == "excluded");
        if is_excluded && column.name == TIMESTAMP_COLUMN {
            return Some(Lowered::Excluded(ColumnId::STAMP, DataType::TimestampTz));
        }
        let known = target.schema.columns.iter().find(|known| known.name == column.name)?;
        let data_type = known.data_type.clone();
        Some(match is_excluded {
            true => Lowered::Excluded(known.id, data_type),
            false => Lowered::Column(known.id, data_type),
        })
    };
    let mut lowered = Vec::new();
    for ((column, _), expr) in assignments.iter().zip(&projection.expr) {
        let value = lower::lower(expr, &column_of)
            // The tablets' language does not round to a column's precision.
            .filter(|_| column.precision.is_none())
            .filter(|value| assign::check(column, oid::of(value.data_type())).is_ok())
            .and_then(|value| lower::to_type(value, &column.data_type));
        let Some(value) = value else { return Ok(None) };
        lowered.push((column.id, value));
    }
    let condition = match selection {
        None => None,
        Some(_) => match lower::lower(&projection.expr[assignments.len()], &column_of) {
            Some(condition) => Some(condition),
            None => return Ok(None),
        },
    };
    Ok(Some((lowered, condition)))
}

/// `SELECT value …, condition FROM the target`: what says the types and columns of assignments.
fn values_query(
    target: &Target,
    assignments: &[Assigned],
    selection: Option<&Expr>,
    excluded: bool,
) -> Result<Query, SqlError> {
    let alias = quote_ident(&target.alias);
    let mut sql = format!("SELECT 1 FROM \"{TARGET}\" AS {alias}");
    if excluded {
        sql.push_str(&format!(", \"{EXCLUDED}\" AS excluded"));
    }
    let mut query = parse::query(&sql)?;
    let condition = selection.cloned().unwrap_or_else(|| Expr::value(AstValue::Boolean(true)));
    if let SetExpr::Select(select) = &mut *query.body {
        let values = assignments.iter().map(|(_, value)| value.clone()).chain([condition]);
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

/// A row's program: evaluated under its lock where everything lowered, else the values found, for the very
/// version they were computed from.
fn program(
    change: &Change,
    lowered: Option<&LoweredChange>,
    row: Found,
) -> Result<RowProgram, SqlError> {
    let schema = &change.target.schema;
    let (guard, condition) = match lowered {
        Some((_, condition)) => (Guard::Matched, condition.clone()),
        None => (Guard::Version(row.version), None),
    };
    let action = match (change.assignments.is_empty(), lowered) {
        (true, _) => Action::Delete,
        (false, Some((assignments, _))) => Action::Update { assignments: assignments.clone() },
        (false, None) => Action::Update { assignments: row.assigned },
    };
    Ok(RowProgram {
        table: schema.storage,
        schema_version: schema.version,
        key: row.key,
        guard,
        condition: condition.map(Box::new),
        action,
        returning: Returning::Nothing,
    })
}

/// What an UPDATE will answer.
pub fn describe_update(
    session: &mut ClientSession,
    update: &Update,
    types: &BTreeMap<usize, u32>,
    scope: &Scope,
) -> Result<Described, SqlError> {
    let mut parameters = BTreeMap::new();
    let table = update.table.relation.clone();
    let target = target_of(session, &table)?;
    for assignment in &update.assignments {
        if let AssignmentTarget::ColumnName(name) = &assignment.target {
            let column = target.column(last(&target, name)?)?;
            returning::note_parameter(&assignment.value, column, &mut parameters);
        }
    }
    let mut known = types.clone();
    known.extend(parameters.iter().map(|(at, oid)| (*at, *oid)));
    let mut change = update_parts(session, update.clone())?;
    change.scope = scope.clone();
    describe(session, change, known, parameters)
}

/// What a DELETE will answer.
pub fn describe_delete(
    session: &mut ClientSession,
    delete: &Delete,
    types: &BTreeMap<usize, u32>,
    scope: &Scope,
) -> Result<Described, SqlError> {
    let mut change = delete_parts(session, delete.clone())?;
    change.scope = scope.clone();
    describe(session, change, types.clone(), BTreeMap::new())
}

fn describe(
    session: &mut ClientSession,
    change: Change,
    types: BTreeMap<usize, u32>,
    mut parameters: BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    let state = session.describing();
    let query = source_query(&change, &change.assignments)?;
    let plan = session.plan(&state, query, bound(&change), &types)?;
    for (at, type_oid) in select::parameters_of(&plan)? {
        parameters.entry(at).or_insert(type_oid);
    }
    let joined = Joined::of_plan(&change.joined(), &plan, 2 + change.assignments.len());
    let columns = match change.returning {
        None => None,
        Some(items) => {
            let plan = returning::plan(session, &change.target, items, &joined, &types)?;
            Some(planner::result_columns(&plan))
        }
    };
    Ok(Described { parameters, columns })
}
