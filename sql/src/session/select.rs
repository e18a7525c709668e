//! Queries.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::format::Formats;
use super::response::{CommandTag, Response, ResultColumn, RowsResponse};
use super::row_locks;
use super::statement::Described;
use crate::error::SqlError;
use crate::plan::context::PlanContext;
use crate::plan::errors;
use crate::plan::planner;
use crate::plan::relations::CatalogRelations;
use crate::scan::statement::StatementContext;
use crate::types::oid;
use arrow::datatypes::{Field, FieldRef};
use datafusion::catalog::TableProvider;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::Query;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::blocking;

/// What the binder adds to the catalog's relations for one statement.
pub type Bound = Vec<(&'static str, Arc<dyn TableProvider>)>;

impl ClientSession {
    /// Plans a query over the catalog as the block sees it.
    pub(super) fn plan(
        &mut self,
        state: &SessionState,
        query: Query,
        bound: Bound,
        parameters: &BTreeMap<usize, u32>,
    ) -> Result<LogicalPlan, SqlError> {
        let catalog = self.current_catalog();
        let path = self.search_path();
        let relations = CatalogRelations { catalog: &catalog, path: &path, state, bound, depth: 0 };
        let context = PlanContext::new(state, &relations);
        let fields = parameter_fields(parameters);
        blocking::in_place(|| planner::plan_query(query, &context, fields))
    }

    /// DataFusion's state for a statement of this session.
    pub(super) fn state(&mut self, context: Arc<StatementContext>) -> SessionState {
        let info = self.info();
        self.server.state(info, context)
    }

    /// DataFusion's state to plan with, where nothing is read.
    pub(super) fn describing(&mut self) -> SessionState {
        let info = self.info();
        self.server.describing(info)
    }
}

/// The planner's fields of parameters, by number, as far as their types are known.
pub fn parameter_fields(types: &BTreeMap<usize, u32>) -> Vec<Option<FieldRef>> {
    let Some(last) = types.keys().next_back() else { return Vec::new() };
    let field = |at: usize| -> Option<FieldRef> {
        let wire_type = oid::wire(*types.get(&at)?, -1);
        let field = Field::new("", oid::arrow(wire_type.oid, -1), true);
        Some(Arc::new(oid::with_type(field, wire_type)))
    };
    (1..=*last).map(field).collect()
}

/// Starts a plan: its rows, as they come.
pub async fn start(
    plan: &LogicalPlan,
    state: &SessionState,
) -> Result<SendableRecordBatchStream, SqlError> {
    let physical = planner::physical(plan, state).await?;
    planner::execute(physical, state.task_ctx())
}

/// Runs a query.
pub async fn run(
    session: &mut ClientSession,
    query: Query,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    run_bound(session, query, Vec::new(), cancel).await
}

/// Runs a query that may refer to what is bound for it.
pub async fn run_bound(
    session: &mut ClientSession,
    mut query: Query,
    bound: Bound,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let locks = std::mem::take(&mut query.locks);
    let context = session.statement_context(cancel).await?;
    row_locks::lock(session, &query, &locks, &bound, &context).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, bound, &BTreeMap::new())?;
    let columns = planner::result_columns(&plan);
    let rows = start(&plan, &state).await?;
    from_first_rows(columns, rows, cancel).await
}

/// Rows for the client. Up to its first rows a statement can be run again, so they are waited for here.
pub async fn from_first_rows(
    columns: Arc<[ResultColumn]>,
    mut rows: SendableRecordBatchStream,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let first = tokio::select! {
        biased;
        () = cancel.tripped() => return Err(cancel.error()),
        first = rows.try_next() => first.map_err(errors::of_datafusion)?,
    };
    Ok(match rows_response(columns, rows, "SELECT") {
        Response::Rows(mut rows) => {
            rows.pending = first;
            Response::Rows(rows)
        }
        other => other,
    })
}

/// Rows for the client.
pub fn rows_response(
    columns: Arc<[ResultColumn]>,
    rows: SendableRecordBatchStream,
    verb: &'static str,
) -> Response {
    Response::Rows(RowsResponse {
        columns,
        formats: Formats::TEXT,
        pending: None,
        batches: rows.map_err(errors::of_datafusion).boxed(),
        tag: CommandTag::RowsSent(verb),
    })
}

/// What a query will answer.
pub fn describe(
    session: &mut ClientSession,
    query: &Query,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    describe_bound(session, query, Vec::new(), types)
}

/// What a query will answer that may refer to what is bound for it.
pub fn describe_bound(
    session: &mut ClientSession,
    query: &Query,
    bound: Bound,
    types: &BTreeMap<usize, u32>,
) -> Result<Described, SqlError> {
    let state = session.describing();
    let mut query = query.clone();
    query.locks.clear();
    let plan = session.plan(&state, query, bound, types)?;
    Ok(Described {
        parameters: parameters_of(&plan)?,
        columns: Some(planner::result_columns(&plan)),
    })
}

/// The types a plan finds for its parameters.
pub fn parameters_of(plan: &LogicalPlan) -> Result<BTreeMap<usize, u32>, SqlError> {
    let fields = plan.get_parameter_fields().map_err(errors::of_datafusion)?;
    let typed = fields.into_iter().filter_map(|(name, field)| {
        let at = name.strip_prefix('$')?.parse().ok()?;
        let field = field?;
        Some((at, oid::of_field(&field).oid))
    });
    Ok(typed.collect())
}
