//! WITH around and inside statements that change rows.
//!
//! `WITH … INSERT` gives its queries to the statement's own. A query of WITH that changes rows runs first, in the
//! order written, and what it returns is a relation for those after it. All of them, and the statement itself,
//! scan what was there before the first: nobody sees another's changes but by RETURNING, as in PostgreSQL.

use super::{Done, change, insert, respond, returning};
use crate::error::{SqlError, SqlState};
use crate::parse::{self, Overriding};
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::response::Response;
use crate::session::select::{self, Bound};
use crate::session::statement::Described;
use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement, With};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The names under which what such queries return is bound.
const RETURNED_BY: [&str; 8] = [
    "__terrane_with_0",
    "__terrane_with_1",
    "__terrane_with_2",
    "__terrane_with_3",
    "__terrane_with_4",
    "__terrane_with_5",
    "__terrane_with_6",
    "__terrane_with_7",
];

/// What the queries of a statement may refer to besides the catalog's relations.
#[derive(Clone, Default)]
pub struct Scope {
    /// WITH, with queries that change nothing.
    pub with: Option<With>,
    /// What queries that changed rows returned.
    pub bound: Bound,
}

impl Scope {
    /// True where there is nothing.
    pub fn is_empty(&self) -> bool {
        self.with.is_none()
    }

    /// Puts WITH before a query's own.
    pub fn put_before(&self, query: &mut Query) {
        let Some(with) = &self.with else { return };
        match &mut query.with {
            None => query.with = Some(with.clone()),
            Some(own) => {
                own.recursive |= with.recursive;
                own.cte_tables.splice(0..0, with.cte_tables.iter().cloned());
            }
        }
    }
}

/// True for a query that changes rows: by its body, or in its WITH.
pub fn changes_rows(query: &Query) -> bool {
    let body = matches!(
        &*query.body,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
    );
    body || query
        .with
        .as_ref()
        .is_some_and(|with| with.cte_tables.iter().any(|cte| changes_rows(&cte.query)))
}

/// Runs a query that changes rows.
pub async fn run(
    session: &mut ClientSession,
    query: Query,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let context = session.statement_context(cancel).await?;
    session.frozen = Some((context.read_ts, Arc::clone(&context.overlay)));
    let result = run_frozen(session, query, overriding, cancel).await;
    session.frozen = None;
    result
}

async fn run_frozen(
    session: &mut ClientSession,
    mut query: Query,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let scope = scope_of(session, query.with.take(), overriding, cancel).await?;
    match statement_in(query)? {
        Inner::Query(mut query) => {
            scope.put_before(&mut query);
            select::run_bound(session, *query, scope.bound, cancel).await
        }
        Inner::Change(statement) => {
            let done = change_rows(session, statement, overriding, &scope, cancel).await?;
            respond(session, done, cancel).await
        }
    }
}

/// Runs what changes rows in WITH; the rest is for the statement's queries.
async fn scope_of(
    session: &mut ClientSession,
    with: Option<With>,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<Scope, SqlError> {
    let Some(with) = with else { return Ok(Scope::default()) };
    let With { with_token, recursive, cte_tables } = with;
    let mut scope = Scope {
        with: Some(With { with_token, recursive, cte_tables: Vec::new() }),
        bound: Vec::new(),
    };
    for mut cte in cte_tables {
        if changes_rows(&cte.query) {
            let mut inner = *cte.query;
            if inner
                .with
                .as_ref()
                .is_some_and(|with| with.cte_tables.iter().any(|cte| changes_rows(&cte.query)))
            {
                return Err(SqlError::unsupported(
                    "WITH clause containing a data-modifying statement must be at the top level",
                ));
            }
            scope.put_before(&mut inner);
            let own = Scope { with: inner.with.take(), bound: scope.bound.clone() };
            let Inner::Change(statement) = statement_in(inner)? else {
                return Err(SqlError::internal("a query that changes rows is none"));
            };
            let done = change_rows(session, statement, overriding, &own, cancel).await?;
            if done.returning.is_none() {
                // Nothing can refer to it: there is no such relation.
                continue;
            }
            let Some(name) = RETURNED_BY.get(scope.bound.len()) else {
                return Err(SqlError::unsupported(format!(
                    "more than {} data-modifying statements in WITH are not supported",
                    RETURNED_BY.len()
                )));
            };
            scope.bound.push((name, returning::table(session, done, cancel).await?));
            cte.query = Box::new(parse::query(&format!("SELECT * FROM \"{name}\""))?);
        }
        if let Some(with) = &mut scope.with {
            with.cte_tables.push(cte);
        }
    }
    if scope.with.as_ref().is_some_and(|with| with.cte_tables.is_empty()) {
        scope.with = None;
    }
    Ok(scope)
}

enum Inner {
    Query(Box<Query>),
    Change(Statement),
}

/// The statement a query's body is, its WITH taken off.
fn statement_in(query: Query) -> Result<Inner, SqlError> {
    let is_bare = query.order_by.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    match *query.body {
        SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement)
            if is_bare =>
        {
            Ok(Inner::Change(statement))
        }
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) => {
            Err(SqlError::syntax("ORDER BY or LIMIT of a statement that changes rows"))
        }
        SetExpr::Merge(_) => Err(SqlError::unsupported("MERGE is not supported")),
        body => Ok(Inner::Query(Box::new(Query { body: Box::new(body), ..query }))),
    }
}

/// Runs one INSERT, UPDATE or DELETE.
pub async fn change_rows(
    session: &mut ClientSession,
    statement: Statement,
    overriding: Option<Overriding>,
    scope: &Scope,
    cancel: &Cancel,
) -> Result<Done, SqlError> {
    match statement {
        Statement::Insert(insert) => {
            insert::insert(session, insert, overriding, scope, cancel).await
        }
        Statement::Update(update) => change::update(session, update, scope, cancel).await,
        Statement::Delete(delete) => change::delete(session, delete, scope, cancel).await,
        _ => Err(SqlError::internal("no statement that changes rows")),
    }
}

/// What a query that changes rows will answer.
pub fn describe(
    session: &mut ClientSession,
    query: &Query,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    let mut described = Described::default();
    let mut plain = Scope::default();
    if let Some(with) = &query.with {
        let mut own = With { cte_tables: Vec::new(), ..with.clone() };
        for cte in &with.cte_tables {
            let mut cte = cte.clone();
            if changes_rows(&cte.query) {
                let inner = (*cte.query).clone();
                let mut scope = plain.clone();
                scope.with = inner.with.clone().or(scope.with);
                let Inner::Change(statement) = statement_in(Query { with: None, ..inner })? else {
                    continue;
                };
                let found = super::describe_in(session, &statement, types, &scope)?;
                described.parameters.extend(found.parameters);
                let Some(returned) = returning::empty_table(session, &statement, types)? else {
                    continue;
                };
                let Some(name) = RETURNED_BY.get(plain.bound.len()) else {
                    return Err(SqlError::new(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        "too many data-modifying statements in WITH",
                    ));
                };
                plain.bound.push((name, returned));
                cte.query = Box::new(parse::query(&format!("SELECT * FROM \"{name}\""))?);
            }
            own.cte_tables.push(cte);
        }
        plain.with = (!own.cte_tables.is_empty()).then_some(own);
    }
    let found = match statement_in(Query { with: None, ..query.clone() })? {
        Inner::Query(mut query) => {
            plain.put_before(&mut query);
            select::describe_bound(session, &query, plain.bound, types)?
        }
        Inner::Change(statement) => super::describe_in(session, &statement, types, &plain)?,
    };
    described.parameters.extend(found.parameters);
    described.columns = found.columns;
    Ok(described)
}
