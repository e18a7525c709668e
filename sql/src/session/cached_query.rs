//! A prepared query's plan, kept between executions: parsed, bound and optimised once, its parameters still
//! in it. An execution puts values in, pushes the filters they make down to the scans, and goes on to the
//! physical plan.
//!
//! Contract: the answer is that of planning anew. So a plan is kept only if nothing in it was worked out for
//! one moment: its relations are tables, not functions or system views; its functions are immutable, or
//! casts that no clock takes part in; its LIMIT is not a parameter. It is good for one catalog and one
//! state of the settings, as [`super::point::Basis`] says.

use super::client::ClientSession;
use super::names;
use super::parameter::data_type_of;
use super::point::Execution;
use super::response::{Response, ResultColumn};
use super::select;
use crate::error::SqlError;
use crate::functions::cast;
use crate::plan::rules::map_keys::MapKeys;
use crate::plan::{apply, errors, planner};
use crate::scan::provider::TableSource;
use crate::types::{oid, scalar};
use arrow::datatypes::FieldRef;
use datafusion::common::ParamValues;
use datafusion::common::metadata::{FieldMetadata, ScalarAndMetadata};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::optimizer::Optimizer;
use datafusion::optimizer::eliminate_filter::EliminateFilter;
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::sql::sqlparser::ast::Query;
use std::sync::{Arc, LazyLock};
use terrane_client::value::Value;

/// What is left to do once the parameters have values.
static REFINER: LazyLock<Optimizer> = LazyLock::new(|| {
    Optimizer::with_rules(vec![
        Arc::new(SimplifyExpressions::new()),
        // `a = NULL` is a filter that nothing passes: what is above it must see no row.
        Arc::new(EliminateFilter::new()),
        Arc::new(PushDownFilter::new()),
        // Keys of maps that are looked up may be among them.
        Arc::new(MapKeys),
    ])
});

/// See the module's documentation.
pub struct CachedQuery {
    plan: LogicalPlan,
    columns: Arc<[ResultColumn]>,
    /// The parameters as the planner knows them, and their types' OIDs.
    parameters: Vec<(FieldRef, u32)>,
}

impl CachedQuery {
    /// Plans a query whose parameters have these types; `None` where its plan cannot be kept.
    pub fn make(session: &mut ClientSession, query: &Query, types: &[u32]) -> Option<Self> {
        if !session.settings.plan().plan_cache
            || types.iter().any(|t| oid::data_type(*t, -1).is_none())
        {
            return None;
        }
        let numbered = types.iter().enumerate().map(|(at, oid)| (at + 1, *oid)).collect();
        let fields = select::parameter_fields(&numbered);
        let info = session.early_info();
        let state = session.server.describing(info);
        let plan = session.plan(&state, query.clone(), Vec::new(), &numbered).ok()?;
        if apply::has_correlated(&plan) || !is_lasting(&plan).ok()? {
            return None;
        }
        let columns = planner::result_columns(&plan);
        let plan = state.optimize(&plan).ok()?;
        let parameters: Option<Vec<(FieldRef, u32)>> =
            fields.into_iter().zip(types).map(|(field, oid)| Some((field?, *oid))).collect();
        Some(Self { plan, columns, parameters: parameters? })
    }

    /// The result's columns.
    pub fn columns(&self) -> &Arc<[ResultColumn]> {
        &self.columns
    }

    /// Runs it.
    pub async fn run(
        &self,
        session: &mut ClientSession,
        execution: Execution<'_>,
    ) -> Result<Response, SqlError> {
        let context = session.statement_context(execution.cancel).await?;
        let state = session.state(context);
        let plan = self.bound(execution.values, &state).map_err(errors::of_datafusion)?;
        let physical = planner::physical_of_optimized(&plan, &state).await?;
        let rows = planner::execute(physical, state.task_ctx())?;
        let columns = Arc::clone(&self.columns);
        match select::from_first_rows(columns, rows, execution.cancel).await? {
            Response::Rows(mut rows) => {
                rows.formats = execution.formats;
                Ok(Response::Rows(names::shown(rows, || session.facts())))
            }
            other => Ok(other),
        }
    }

    /// The plan with values in place.
    fn bound(
        &self,
        values: &[Value],
        state: &SessionState,
    ) -> datafusion::error::Result<LogicalPlan> {
        if self.parameters.is_empty() {
            return Ok(self.plan.clone());
        }
        let literal = |(value, (field, type_oid)): (&Value, &(FieldRef, u32))| {
            let data_type = data_type_of(*type_oid).map_err(errors::external)?;
            let scalar = scalar::from_value(value, &data_type).map_err(errors::external)?;
            let metadata = FieldMetadata::new_from_field(field);
            Ok(ScalarAndMetadata::new(scalar, Some(metadata)))
        };
        let literals: datafusion::error::Result<Vec<ScalarAndMetadata>> =
            values.iter().zip(&self.parameters).map(literal).collect();
        let plan = self.plan.clone().replace_params_with_values(&ParamValues::List(literals?))?;
        REFINER.optimize(plan, state, |_, _| {})
    }
}

/// True where planning again would give the same plan.
fn is_lasting(plan: &LogicalPlan) -> datafusion::error::Result<bool> {
    let mut lasting = true;
    plan.apply_with_subqueries(|node| {
        lasting &= match node {
            LogicalPlan::TableScan(scan) => {
                source_as_provider(&scan.source).is_ok_and(|provider| {
                    let table = provider.downcast_ref::<TableSource>();
                    // A time is of one execution.
                    table.is_some_and(|table| !table.is_as_of())
                })
            }
            LogicalPlan::Limit(limit) => {
                let parts = limit.skip.iter().chain(&limit.fetch);
                parts.into_iter().all(|part| matches!(**part, Expr::Literal(..)))
            }
            LogicalPlan::Extension(_) | LogicalPlan::RecursiveQuery(_) => false,
            _ => true,
        };
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                lasting &= is_timeless(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(lasting)
}

/// False for what may mean another thing at another time.
fn is_timeless(expr: &Expr) -> bool {
    match expr {
        Expr::Placeholder(parameter) => parameter.field.is_some(),
        Expr::ScalarFunction(call) if call.func.name() == cast::NAME => match call.args.get(1) {
            Some(Expr::Literal(target, _)) => {
                let target = target.try_as_str().flatten().and_then(oid::parse_metadata);
                target.is_some_and(|target| !is_temporal(target.oid))
            }
            _ => false,
        },
        Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
        Expr::ScalarVariable(..) => false,
        _ => true,
    }
}

/// Types whose input knows words like `now`, and their arrays.
fn is_temporal(type_oid: u32) -> bool {
    let element = oid::element_of(type_oid).unwrap_or(type_oid);
    matches!(element, oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL)
}
