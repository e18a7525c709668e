//! WITH around and inside statements that change rows.
//!
//! `WITH … INSERT` gives its queries to the statement's own. A query of WITH that changes rows runs first, in the
//! order written, and what it returns is a relation for those after it; one that nothing refers to runs last. All of them, and the statement itself,
//! scan what was there before the first: nobody sees another's changes but by RETURNING, as in PostgreSQL.

use super::{Done, change, folded, insert, respond, returning, returning_of};
use crate::error::{SqlError, SqlState};
use crate::parse::{self, Overriding};
use crate::scan::overlay::Overlay;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::response::Response;
use crate::session::select::{self, Bound};
use crate::session::statement::Described;
use bytes::Bytes;
use core::ops::ControlFlow;
use datafusion::catalog::TableProvider;
use datafusion::sql::sqlparser::ast::{Cte, Query, SetExpr, Statement, With, visit_relations};
use futures::StreamExt;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use terrane_client::ids::{CommitTs, StorageId};

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

/// What the answer of a query in whose WITH rows are changed may take.
const GATHERED_BYTES_MAX: usize = 256 << 20;

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

    /// What the first queries of a WITH see: nothing yet.
    fn of(with: &With) -> Self {
        Self { with: Some(With { cte_tables: Vec::new(), ..with.clone() }), bound: Vec::new() }
    }

    /// Adds a query to what the later ones may refer to.
    fn push(&mut self, cte: Cte) {
        if let Some(with) = &mut self.with {
            with.cte_tables.push(cte);
        }
    }

    /// Adds what a query that changed rows returned, under that query's name.
    fn push_returned(
        &mut self,
        mut cte: Cte,
        returned: Arc<dyn TableProvider>,
    ) -> Result<(), SqlError> {
        let Some(name) = RETURNED_BY.get(self.bound.len()) else {
            return Err(SqlError::unsupported(format!(
                "more than {} data-modifying statements in WITH are not supported",
                RETURNED_BY.len()
            )));
        };
        self.bound.push((name, returned));
        cte.query = Box::new(parse::query(&format!("SELECT * FROM \"{name}\""))?);
        self.push(cte);
        Ok(())
    }

    /// Without WITH where none of its queries is left.
    fn finish(mut self) -> Self {
        self.with = self.with.filter(|with| !with.cte_tables.is_empty());
        self
    }
}

/// What all of a statement reads that changes rows in its WITH.
pub struct Frozen {
    /// When.
    pub read_ts: CommitTs,
    /// What the block had written before.
    pub overlay: Arc<Overlay>,
    /// The rows the statement has changed so far: as in PostgreSQL, none is changed twice.
    pub changed: HashSet<(StorageId, Bytes)>,
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
    let (read_ts, overlay) = (context.read_ts, Arc::clone(&context.overlay));
    session.frozen = Some(Frozen { read_ts, overlay, changed: HashSet::new() });
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
    let with = query.with.take();
    let (scope, later) = scope_of(session, with, &query, overriding, cancel).await?;
    match statement_in(query)? {
        Inner::Query(mut query) => {
            scope.put_before(&mut query);
            let response = select::run_bound(session, *query, scope.bound, cancel).await?;
            run_later(session, later, overriding, cancel).await?;
            gathered(response, cancel).await
        }
        Inner::Change(statement) => {
            let done = change_rows(session, statement, overriding, &scope, cancel).await?;
            run_later(session, later, overriding, cancel).await?;
            respond(session, done, cancel).await
        }
    }
}

/// All rows of a query beside changes, up to [`GATHERED_BYTES_MAX`]: what may fail in them fails before the changes
/// are committed.
async fn gathered(response: Response, cancel: &Cancel) -> Result<Response, SqlError> {
    let Response::Rows(mut rows) = response else { return Ok(response) };
    let (mut batches, mut bytes) = (Vec::new(), 0);
    while let Some(batch) = rows.next().await {
        cancel.check()?;
        let batch = batch?;
        bytes += batch.get_array_memory_size();
        if bytes > GATHERED_BYTES_MAX {
            let message = "a query beside statements that change rows is held in memory, and this one is too large";
            return Err(SqlError::new(SqlState::OUT_OF_MEMORY, message));
        }
        batches.push(Ok(batch));
    }
    rows.batches = futures::stream::iter(batches).boxed();
    Ok(Response::Rows(rows))
}

/// What changes rows in WITH and nothing refers to: it runs behind the rest, the last first, as in PostgreSQL.
type Later = Vec<(Statement, Scope)>;

async fn run_later(
    session: &mut ClientSession,
    later: Later,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<(), SqlError> {
    for (statement, own) in later.into_iter().rev() {
        change_rows(session, statement, overriding, &own, cancel).await?;
    }
    Ok(())
}

/// Runs what changes rows in WITH and is referred to by `body` or by a later query of it; the rest is for the
/// statement's queries.
async fn scope_of(
    session: &mut ClientSession,
    with: Option<With>,
    body: &Query,
    overriding: Option<Overriding>,
    cancel: &Cancel,
) -> Result<(Scope, Later), SqlError> {
    let Some(with) = with else { return Ok((Scope::default(), Vec::new())) };
    let mut scope = Scope::of(&with);
    let mut later = Vec::new();
    let mut queries = with.cte_tables.into_iter();
    while let Some(cte) = queries.next() {
        let Some((statement, own)) = change_in(&cte, &scope)? else {
            scope.push(cte);
            continue;
        };
        let name = folded(&cte.alias.name);
        if !is_used(&name, body, queries.as_slice()) {
            later.push((statement, own));
            continue;
        }
        if returning_of(session, &statement)?.is_none() {
            return Err(returns_nothing(&name));
        }
        let done = change_rows(session, statement, overriding, &own, cancel).await?;
        scope.push_returned(cte, returning::table(session, done, cancel).await?)?;
    }
    Ok((scope.finish(), later))
}

/// True where a statement or the rest of its WITH may read from a query of this name.
fn is_used(name: &str, body: &Query, rest: &[Cte]) -> bool {
    mentions(body, name) || rest.iter().any(|next| mentions(&next.query, name))
}

/// 0A000 for what is read from and has no RETURNING.
fn returns_nothing(name: &str) -> SqlError {
    SqlError::unsupported(format!("WITH query \"{name}\" does not have a RETURNING clause"))
}

/// True where a query may read from a relation of this name.
fn mentions(query: &Query, name: &str) -> bool {
    visit_relations(query, |relation| match relation.0.as_slice() {
        [part] if part.as_ident().is_some_and(|part| folded(part) == name) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// The statement of a WITH's query that changes rows, and what it may refer to; `None` for other queries.
fn change_in(cte: &Cte, before: &Scope) -> Result<Option<(Statement, Scope)>, SqlError> {
    if !changes_rows(&cte.query) {
        return Ok(None);
    }
    let mut inner = (*cte.query).clone();
    let mut within = inner.with.iter().flat_map(|with| &with.cte_tables);
    if within.any(|cte| changes_rows(&cte.query)) {
        return Err(SqlError::unsupported(
            "WITH clause containing a data-modifying statement must be at the top level",
        ));
    }
    before.put_before(&mut inner);
    let own = Scope { with: inner.with.take(), bound: before.bound.clone() }.finish();
    match statement_in(inner)? {
        Inner::Change(statement) => Ok(Some((statement, own))),
        Inner::Query(_) => Err(SqlError::internal("a query that changes rows is none")),
    }
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
    let mut scope = Scope::default();
    let body = Query { with: None, ..query.clone() };
    if let Some(with) = &query.with {
        scope = Scope::of(with);
        for (at, cte) in with.cte_tables.iter().enumerate() {
            let Some((statement, own)) = change_in(cte, &scope)? else {
                scope.push(cte.clone());
                continue;
            };
            let found = super::describe_in(session, &statement, types, &own)?;
            described.parameters.extend(found.parameters);
            let name = folded(&cte.alias.name);
            match returning::empty_table(session, &statement, types)? {
                Some(returned) => scope.push_returned(cte.clone(), returned)?,
                None if is_used(&name, &body, &with.cte_tables[at + 1..]) => {
                    return Err(returns_nothing(&name));
                }
                None => {}
            }
        }
        scope = scope.finish();
    }
    let found = match statement_in(body)? {
        Inner::Query(mut query) => {
            scope.put_before(&mut query);
            select::describe_bound(session, &query, scope.bound, types)?
        }
        Inner::Change(statement) => super::describe_in(session, &statement, types, &scope)?,
    };
    described.parameters.extend(found.parameters);
    described.columns = found.columns;
    Ok(described)
}
