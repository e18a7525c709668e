//! SELECT … FOR UPDATE and its like (rule 33): the rows found become conditions of the block's COMMIT.
//!
//! Nothing waits. Each row is to be at COMMIT what it was when it was read, or COMMIT fails with 40001; outside
//! of a block there is nothing to hold it for.

use super::client::ClientSession;
use super::modify::{folded, name_in_query};
use super::select::{self, Bound};
use crate::bind::{as_of, versions};
use crate::catalog::model::Table;
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::plan::relations::TARGET;
use crate::scan::provider::{KEY_COLUMN, TableSource, VERSION_COLUMN};
use crate::scan::statement::StatementContext;
use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, LockClause, LockType, ObjectName, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableFactor, Value, ValueWithSpan,
};
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::program::{Action, Guard, Returning, RowProgram};

/// Makes the rows a query locks conditions of the block.
pub async fn lock(
    session: &mut ClientSession,
    query: &Query,
    locks: &[LockClause],
    bound: &Bound,
    context: &Arc<StatementContext>,
) -> Result<(), SqlError> {
    let Some(first) = locks.first() else { return Ok(()) };
    let verb = match first.lock_type {
        LockType::Update => "FOR UPDATE",
        LockType::Share => "FOR SHARE",
    };
    if let Some(waiting) = locks.iter().find_map(|lock| lock.nonblock.as_ref()) {
        return Err(SqlError::unsupported(format!("{verb} {waiting} is not supported")));
    }
    if session.in_explicit_block() || session.settings.read_at().is_some() {
        session.check_writable(&format!("SELECT {verb}"))?;
    }
    let select = lockable(session, query, verb)?;
    let mut relations = Vec::new();
    for from in &select.from {
        relations.push(&from.relation);
        relations.extend(from.joins.iter().map(|join| &join.relation));
    }
    for lock in locks {
        let Some(of) = &lock.of else { continue };
        let wanted = of.0.last().and_then(|part| part.as_ident()).map(folded);
        let known = relations.iter().filter_map(|relation| name_in_query(relation));
        if !known.into_iter().any(|alias| Some(folded(&alias)) == wanted) {
            return Err(SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!(
                    "relation \"{}\" in {verb} clause not found in FROM clause",
                    wanted.unwrap_or_default()
                ),
            ));
        }
    }
    let is_locked_history =
        |relation: &TableFactor| versions::is_history(relation) && is_locked(relation, locks);
    if relations.iter().any(|relation| is_locked_history(relation)) {
        return Err(SqlError::unsupported(format!(
            "{verb} of a table's versions is not supported"
        )));
    }
    let is_past =
        |relation: &TableFactor| as_of::is_versioned(relation) && is_locked(relation, locks);
    if relations.iter().any(|relation| is_past(relation)) {
        let message = format!("{verb} of a table FOR SYSTEM_TIME AS OF is not supported");
        return Err(SqlError::unsupported(message));
    }
    if !session.in_explicit_block() {
        return Ok(());
    }
    for (at, relation) in relations.iter().enumerate() {
        let Some((table, alias)) = locked_table(session, relation, locks) else { continue };
        let rows = rows_of(session, query, at, &table, &alias, bound, context).await?;
        let keys = rows.iter().map(|(key, _)| key.clone()).collect();
        session.check_lockable(&table.tablet_schema(Vec::new()), keys).await?;
        let checks = rows.into_iter().map(|(key, version)| RowProgram {
            table: table.storage,
            schema_version: table.schema_version,
            key,
            guard: Guard::Version(version),
            condition: None,
            action: Action::Check,
            returning: Returning::Nothing,
        });
        let checks = checks.collect();
        session.block().append(checks, Vec::new())?;
    }
    Ok(())
}

/// The SELECT whose rows can be told apart: 0A000 as PostgreSQL says it for others.
fn lockable<'a>(
    session: &ClientSession,
    query: &'a Query,
    verb: &str,
) -> Result<&'a Select, SqlError> {
    let refuse =
        |what: &str| Err(SqlError::unsupported(format!("{verb} is not allowed with {what}")));
    let select = match &*query.body {
        SetExpr::Select(select) => select,
        SetExpr::Values(_) => {
            return Err(SqlError::unsupported(format!("{verb} cannot be applied to VALUES")));
        }
        _ => return refuse("UNION/INTERSECT/EXCEPT"),
    };
    if select.distinct.is_some() {
        return refuse("DISTINCT clause");
    }
    let grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(expressions, _) => !expressions.is_empty(),
    };
    if grouped {
        return refuse("GROUP BY clause");
    }
    if select.having.is_some() {
        return refuse("HAVING clause");
    }
    let aggregates = session.server.base().aggregate_functions();
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            continue;
        };
        if let Expr::Function(call) = expr {
            let name = call.name.0.last().and_then(|part| part.as_ident());
            let name = name.map(folded).unwrap_or_default();
            if call.over.is_some() {
                return refuse("window functions");
            }
            if aggregates.contains_key(&name) {
                return refuse("aggregate functions");
            }
        }
    }
    Ok(select)
}

/// True for a relation that a lock is on.
fn is_locked(relation: &TableFactor, locks: &[LockClause]) -> bool {
    let Some(alias) = name_in_query(relation) else { return false };
    let wanted = folded(&alias);
    locks.iter().any(|lock| match &lock.of {
        None => true,
        Some(of) => {
            let of = of.0.last().and_then(|part| part.as_ident()).map(folded);
            of.as_deref() == Some(&wanted)
        }
    })
}

/// A relation that is a table, if one of the locks is on it.
fn locked_table(
    session: &mut ClientSession,
    relation: &TableFactor,
    locks: &[LockClause],
) -> Option<(Arc<Table>, Ident)> {
    let TableFactor::Table { name, args: None, .. } = relation else { return None };
    let alias = name_in_query(relation)?;
    if !is_locked(relation, locks) {
        return None;
    }
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    let catalog = session.catalog();
    let path = session.search_path();
    let found = match parts.as_slice() {
        [name] => catalog.resolve(&path, name),
        [schema, name] => {
            catalog.schema_by_name(schema).and_then(|schema| catalog.relation_in(schema.oid, name))
        }
        _ => None,
    };
    match found {
        Some(Relation::Table(table)) => Some((table, alias)),
        _ => None,
    }
}

/// Keys and versions of one relation's rows in the query's answer.
async fn rows_of(
    session: &mut ClientSession,
    query: &Query,
    at: usize,
    table: &Arc<Table>,
    alias: &Ident,
    bound: &Bound,
    context: &Arc<StatementContext>,
) -> Result<Vec<(Bytes, CommitTs)>, SqlError> {
    let mut query = query.clone();
    let limited = query.limit_clause.is_some() || query.fetch.is_some();
    if !limited {
        query.order_by = None;
    }
    let SetExpr::Select(select) = &mut *query.body else { return Ok(Vec::new()) };
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::Expressions(expressions) = &mut order_by.kind
    {
        for ordered in expressions {
            if let Some(meant) = select_item(&select.projection, &ordered.expr) {
                ordered.expr = meant;
            }
        }
    }
    let column = |name: &str| {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![
            alias.clone(),
            Ident::with_quote('"', name),
        ]))
    };
    select.projection = vec![column(KEY_COLUMN), column(VERSION_COLUMN)];
    let mut seen = 0;
    for from in &mut select.from {
        let joins = from.joins.iter_mut().map(|join| &mut join.relation);
        for relation in std::iter::once(&mut from.relation).chain(joins) {
            if seen == at {
                bind_target(relation, alias);
            }
            seen += 1;
        }
    }
    let schema = Arc::new(table.tablet_schema(Vec::new()));
    let mut bound = bound.clone();
    bound.push((TARGET, Arc::new(TableSource::with_system_columns(schema))));
    let state = session.state(Arc::clone(context));
    let plan = session.plan(&state, query, bound, &BTreeMap::new())?;
    let mut batches = select::start(&plan, &state).await?;
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await.map_err(errors::of_datafusion)? {
        context.cancel.check()?;
        let keys = batch.column(0).as_binary_view();
        let versions = batch.column(1).as_primitive::<Int64Type>();
        let found = (0..batch.num_rows()).filter(|at| !keys.is_null(*at));
        rows.extend(
            found.map(|at| (Bytes::copy_from_slice(keys.value(at)), CommitTs(versions.value(at)))),
        );
    }
    rows.sort();
    rows.dedup();
    Ok(rows)
}

/// What ORDER BY means where it names an item of the select list, or its number.
fn select_item(items: &[SelectItem], expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            let at = digits.parse::<usize>().ok()?.checked_sub(1)?;
            match items.get(at)? {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr.clone())
                }
                _ => None,
            }
        }
        Expr::Identifier(name) => items.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if folded(alias) == folded(name) => {
                Some(expr.clone())
            }
            _ => None,
        }),
        _ => None,
    }
}

fn bind_target(relation: &mut TableFactor, wanted: &Ident) {
    if let TableFactor::Table { name, alias, .. } = relation {
        *name = ObjectName::from(vec![Ident::with_quote('"', TARGET)]);
        if alias.is_none() {
            let columns = Vec::new();
            *alias = Some(datafusion::sql::sqlparser::ast::TableAlias {
                explicit: true,
                name: wanted.clone(),
                columns,
                at: None,
            });
        }
    }
}
