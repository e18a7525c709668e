//! Prepared statements and portals.
//!
//! Parameters are put into the syntax tree as typed literals when a portal runs, so that every kind of
//! statement takes them the same way. Their types come from the client, else from where they stand: a cast,
//! the column they are stored in or compared with; else text, PostgreSQL's last resort too.

use super::cached_query::CachedQuery;
use super::client::ClientSession;
use super::format::Formats;
use super::info::SessionInfo;
use super::parameter::{self, data_type_of};
use super::point::{self, Basis, Execution, Outcome, PointPlan};
use super::response::{Response, ResultColumn, RowsResponse};
use super::service::Parameters;
use super::statement;
use crate::bind::rewrite;
use crate::error::{SqlError, SqlState};
use crate::parse::{Ast, ParsedStatement};
use crate::types::{oid, text};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, Query, Statement, TableFactor, TableVersion, Value as AstValue,
    ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::value::Value;

/// A tablet may know a new schema a moment before its catalog is published.
const STALE_PATIENCE: Duration = Duration::from_millis(100);
const STALE_TRIES_MAX: usize = 10;

/// A prepared statement.
pub struct Prepared {
    /// The statement; `None` for an empty one.
    pub statement: Option<ParsedStatement>,
    /// Type OIDs of its parameters.
    pub parameters: Arc<[u32]>,
    /// What it answers; `None` for no rows.
    pub columns: Option<Arc<[ResultColumn]>>,
    /// How it is run, and what that was made from.
    plan: Mutex<Option<(Basis, Plan)>>,
}

/// How a prepared statement is run.
#[derive(Clone)]
enum Plan {
    /// By the fast road.
    Point(Arc<PointPlan>),
    /// By a plan that is kept.
    Query(Arc<CachedQuery>),
    /// Planned anew each time.
    General,
}

impl Plan {
    fn of(session: &mut ClientSession, ast: &Ast, types: &[u32]) -> Self {
        if let Some(plan) = point::recognise(session, ast, types) {
            return Self::Point(Arc::new(plan));
        }
        if let Ast::Sql(statement) = ast
            && let Statement::Query(query) = &**statement
            && let Some(query) = CachedQuery::make(session, query, types)
        {
            return Self::Query(Arc::new(query));
        }
        Self::General
    }

    fn columns(&self) -> Option<&Arc<[ResultColumn]>> {
        match self {
            Self::Point(plan) => plan.columns(),
            Self::Query(query) => Some(query.columns()),
            Self::General => None,
        }
    }
}

/// A statement with its parameters.
pub struct Portal {
    /// The statement.
    pub prepared: Arc<Prepared>,
    /// How its columns are sent.
    pub formats: Formats,
    /// How far it is.
    pub state: PortalState,
    /// True where it outlives its transaction.
    pub with_hold: bool,
}

/// How far a portal is.
pub enum PortalState {
    /// Not run yet: its parameters.
    Ready(Vec<Value>),
    /// Stopped at a row limit.
    Suspended(RowsResponse),
    /// Done.
    Finished,
}

impl Prepared {
    /// Prepares a statement: finds its parameters' types and its result's columns.
    pub fn new(
        session: &mut ClientSession,
        statement: Option<ParsedStatement>,
        given: &[u32],
    ) -> Result<Self, SqlError> {
        let Some(statement) = statement else {
            return Ok(Self::made(None, Arc::new([]), None));
        };
        let mut types: BTreeMap<usize, u32> = BTreeMap::new();
        for (at, type_oid) in given.iter().enumerate().filter(|(_, type_oid)| **type_oid != 0) {
            types.insert(at + 1, *type_oid);
        }
        let mut found = Placeholders::default();
        if let Ast::Sql(ast) = &statement.ast
            && let ControlFlow::Break(error) = Visit::visit(&**ast, &mut found)
        {
            return Err(error);
        }
        for (at, type_oid) in found.cast {
            types.entry(at).or_insert(type_oid);
        }
        let described = statement::describe(session, &statement.ast, &types)?;
        for (at, type_oid) in described.parameters {
            types.entry(at).or_insert(type_oid);
        }
        let count = found.highest.max(given.len());
        let parameters: Arc<[u32]> =
            (1..=count).map(|at| types.get(&at).copied().unwrap_or(oid::TEXT)).collect();
        Ok(Self::made(Some(statement), parameters, described.columns))
    }

    fn made(
        statement: Option<ParsedStatement>,
        parameters: Arc<[u32]>,
        columns: Option<Arc<[ResultColumn]>>,
    ) -> Self {
        Self { statement, parameters, columns, plan: Mutex::default() }
    }

    /// How it is run, made anew where the catalog or the settings have changed.
    fn plan(&self, session: &mut ClientSession) -> Result<Plan, SqlError> {
        let basis = Basis::of(session);
        if let Some((known, plan)) = &*self.plan.lock()
            && known.is_same(&basis)
        {
            return Ok(plan.clone());
        }
        let Some(statement) = &self.statement else { return Ok(Plan::General) };
        let mut plan = Plan::of(session, &statement.ast, &self.parameters);
        if !matches!(plan, Plan::General) && plan.columns() != self.columns.as_ref() {
            if self.plan.lock().is_some() {
                return Err(SqlError::unsupported("cached plan must not change result type"));
            }
            // It was described before all its parameters' types were known.
            plan = Plan::General;
        }
        *self.plan.lock() = Some((basis, plan.clone()));
        Ok(plan)
    }

    /// Reads Bind's parameters.
    pub fn decode(
        &self,
        name: &str,
        parameters: &Parameters,
        info: &SessionInfo,
    ) -> Result<Vec<Value>, SqlError> {
        let (given, wanted) = (parameters.values.len(), self.parameters.len());
        if given != wanted {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {given} parameters, but prepared statement \"{name}\" \
                     requires {wanted}"
                ),
            ));
        }
        let decode = |at: usize| -> Result<Value, SqlError> {
            let Some(bytes) = &parameters.values[at] else { return Ok(Value::Null) };
            parameter::read(bytes, parameters.formats.of(at), self.parameters[at], info)
        };
        (0..wanted).map(decode).collect()
    }

    /// The statement with its parameters in place.
    pub fn bound(&self, values: &[Value]) -> Result<Option<ParsedStatement>, SqlError> {
        let Some(statement) = &self.statement else { return Ok(None) };
        let mut statement = statement.clone();
        if values.is_empty() {
            return Ok(Some(statement));
        }
        let mut substitute = Substitute { values, types: &self.parameters };
        let Ast::Sql(ast) = &mut statement.ast else { return Ok(Some(statement)) };
        match VisitMut::visit(&mut **ast, &mut substitute) {
            ControlFlow::Continue(()) => Ok(Some(statement)),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

impl ClientSession {
    /// Runs a prepared statement.
    pub(super) async fn run_prepared(
        &mut self,
        prepared: &Prepared,
        execution: Execution<'_>,
        max_rows: u32,
    ) -> Result<Response, SqlError> {
        let Some(statement) = &prepared.statement else { return Ok(Response::Empty) };
        self.check_block(statement)?;
        // set_config() of the statement before counts for this one, whichever road it takes.
        self.take_over()?;
        for _ in 0..STALE_TRIES_MAX {
            let plan = match prepared.plan(self)? {
                Plan::Point(plan) => plan,
                Plan::Query(query) => {
                    let again = Execution { formats: execution.formats.clone(), ..execution };
                    match Box::pin(query.run(self, again)).await {
                        Err(error) if error.stale_catalog => break,
                        answer => return answer,
                    }
                }
                Plan::General => break,
            };
            // A portal that has sent all the rows it may is suspended, even behind its last row.
            if max_rows == 1 && plan.columns().is_some() {
                break;
            }
            let version = self.current_catalog().version();
            let again = Execution { formats: execution.formats.clone(), ..execution };
            match plan.run(self, again).await.answer()? {
                Some(response) => return Ok(response),
                None if self.block.is_some() => break,
                None => {
                    let newer = self.server.catalog.changed_since(version);
                    let _ = tokio::time::timeout(STALE_PATIENCE, newer).await;
                }
            }
        }
        match prepared.bound(execution.values)? {
            None => Ok(Response::Empty),
            Some(statement) => {
                let run = self.run_repeatable(statement, execution.formats, execution.cancel);
                // Boxed, so that the fast road does not carry the general one's state about.
                Box::pin(run).await
            }
        }
    }
}

/// The number of `$n`.
pub fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: AstValue::Placeholder(name), .. }) => Some(name),
        _ => None,
    }
}

/// The place of `$n`, from 0.
pub fn parameter_number(expr: &Expr) -> Option<usize> {
    number(placeholder(expr)?).ok().map(|n| n - 1)
}

fn number(name: &str) -> Result<usize, SqlError> {
    // Bind counts its parameters in 16 bits.
    let known = |n: &usize| (1..=usize::from(u16::MAX)).contains(n);
    name.strip_prefix('$').and_then(|digits| digits.parse().ok()).filter(known).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}"))
    })
}

/// Finds parameters, and the types that casts give them.
#[derive(Default)]
struct Placeholders {
    highest: usize,
    cast: BTreeMap<usize, u32>,
}

impl Placeholders {
    /// A parameter in a place that takes one type only.
    fn of_type(&mut self, expr: Option<&Expr>, type_oid: u32) {
        if let Some(at) = expr.and_then(parameter_number) {
            self.cast.entry(at + 1).or_insert(type_oid);
        }
    }
}

impl Visitor for Placeholders {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlError> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            self.of_type(limit.as_ref(), oid::INT8);
            self.of_type(offset.as_ref().map(|offset| &offset.value), oid::INT8);
        }
        self.of_type(query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()), oid::INT8);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<SqlError> {
        if let TableFactor::Table { version, .. } = factor
            && let Some(TableVersion::ForSystemTimeAsOf(expr)) = version
        {
            self.of_type(Some(expr), oid::TIMESTAMPTZ);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
        if let Expr::Case { operand: None, conditions, .. } = expr {
            for when in conditions {
                self.of_type(Some(&when.condition), oid::BOOL);
            }
        }
        let found = match expr {
            Expr::Cast { expr: inner, data_type, .. } => placeholder(inner)
                .map(|name| (name, crate::bind::type_name::resolve(data_type).ok())),
            _ => placeholder(expr).map(|name| (name, None)),
        };
        if let Some((name, wire_type)) = found {
            let at = match number(name) {
                Ok(at) => at,
                Err(error) => return ControlFlow::Break(error),
            };
            self.highest = self.highest.max(at);
            if let Some(wire_type) = wire_type {
                self.cast.entry(at).or_insert(wire_type.oid);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts literals where parameters stand.
struct Substitute<'a> {
    values: &'a [Value],
    types: &'a [u32],
}

impl VisitorMut for Substitute<'_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Some(name) = placeholder(expr) else { return ControlFlow::Continue(()) };
        let at = match number(name) {
            Ok(at) => at,
            Err(error) => return ControlFlow::Break(error),
        };
        let (Some(value), Some(type_oid)) = (self.values.get(at - 1), self.types.get(at - 1))
        else {
            return ControlFlow::Break(SqlError::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter {name}"),
            ));
        };
        match literal(value, *type_oid) {
            Ok(literal) => *expr = literal,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// A value as an expression that evaluates to it, with its type.
fn literal(value: &Value, type_oid: u32) -> Result<Expr, SqlError> {
    let null = || Expr::value(AstValue::Null);
    let data_type = data_type_of(type_oid)?;
    let text = match value {
        Value::Null => return Ok(rewrite::cast_call(null(), oid::wire(type_oid, -1))),
        Value::Bool(v) => return Ok(Expr::value(AstValue::Boolean(*v))),
        // In a LIMIT only a bare number will do, and it is of this type anyway.
        Value::Int8(v) if *v >= 0 && i32::try_from(*v).is_err() => {
            return Ok(Expr::value(AstValue::Number(v.to_string(), false)));
        }
        Value::Text(text) if type_oid == oid::TEXT => text.clone(),
        value => text::to_string(value, &data_type, &Default::default()),
    };
    let text = Expr::value(AstValue::SingleQuotedString(text));
    Ok(rewrite::cast_call(text, oid::wire(type_oid, -1)))
}
