//! Queries.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::format::Formats;
use super::response::{CommandTag, Response, ResultColumn, RowsResponse};
use super::statement::Described;
use crate::error::SqlError;
use crate::plan::context::PlanContext;
use crate::plan::errors;
use crate::plan::planner;
use crate::plan::relations::CatalogRelations;
use crate::scan::statement::StatementContext;
use crate::types::oid;
use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::displayable;
use datafusion::sql::sqlparser::ast::{Query, Statement};
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;
use std::sync::Arc;

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
        let catalog = self.catalog();
        let path = self.search_path();
        let relations = CatalogRelations { catalog: &catalog, path: &path, state, bound, depth: 0 };
        let context = PlanContext::new(state, &relations);
        planner::plan_query(query, &context, parameter_fields(parameters))
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

fn parameter_fields(types: &BTreeMap<usize, u32>) -> Vec<Option<FieldRef>> {
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
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, query, Vec::new(), &BTreeMap::new())?;
    let columns = planner::result_columns(&plan);
    let rows = start(&plan, &state).await?;
    Ok(rows_response(columns, rows, "SELECT"))
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
    let state = session.describing();
    let plan = session.plan(&state, query.clone(), Vec::new(), types)?;
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

/// EXPLAIN's one column.
pub fn explain_columns() -> Arc<[ResultColumn]> {
    Arc::new([ResultColumn {
        name: "QUERY PLAN".to_owned(),
        wire_type: oid::wire(oid::TEXT, -1),
        table_oid: 0,
        attnum: 0,
    }])
}

/// EXPLAIN [ANALYZE] of a query.
pub async fn explain(
    session: &mut ClientSession,
    statement: Statement,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let Statement::Explain { analyze, verbose, statement, .. } = statement else {
        return Err(SqlError::internal("EXPLAIN of something else"));
    };
    let Statement::Query(query) = *statement else {
        return Err(SqlError::unsupported("EXPLAIN of anything but a query is not supported"));
    };
    let context = session.statement_context(cancel).await?;
    let state = session.state(context);
    let plan = session.plan(&state, *query, Vec::new(), &BTreeMap::new())?;
    let physical = planner::physical(&plan, &state).await?;
    let mut lines: Vec<String> = Vec::new();
    if analyze {
        let mut rows = planner::execute(Arc::clone(&physical), state.task_ctx())?;
        let mut count = 0;
        while let Some(batch) = rows.try_next().await.map_err(errors::of_datafusion)? {
            cancel.check()?;
            count += batch.num_rows();
        }
        let shown =
            datafusion::physical_plan::display::DisplayableExecutionPlan::with_metrics(&*physical);
        lines.extend(shown.indent(verbose).to_string().lines().map(str::to_owned));
        lines.push(format!("Rows: {count}"));
    } else {
        let shown = displayable(&*physical);
        lines.extend(shown.indent(verbose).to_string().lines().map(str::to_owned));
    }
    let column: ArrayRef = Arc::new(StringArray::from(lines));
    let schema = Schema::new(vec![Field::new("QUERY PLAN", ArrowType::Utf8, false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![column])
        .map_err(|error| SqlError::internal(error.to_string()))?;
    Ok(Response::Rows(RowsResponse {
        columns: explain_columns(),
        formats: Formats::TEXT,
        pending: Some(batch),
        batches: futures::stream::empty().boxed(),
        tag: CommandTag::Plain("EXPLAIN"),
    }))
}
