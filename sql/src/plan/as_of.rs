//! Tables as they were: the value of FOR SYSTEM_TIME AS OF, and the scan it makes.

use super::context::PlanContext;
use super::planner;
use super::{errors, values, versions};
use crate::bind::as_of::{self, BoundTime};
use crate::bind::versions as bound_versions;
use crate::error::{SqlError, SqlState};
use crate::parse;
use crate::scan::as_of::AsOf;
use crate::scan::provider::TableSource;
use crate::session::prepared::placeholder;
use arrow::array::RecordBatchOptions;
use arrow::datatypes::{FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use core::ops::ControlFlow;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr as PlannedExpr, LogicalPlan, LogicalPlanBuilder, Volatility,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr, TableFactor, Visit, Visitor};
use std::sync::{Arc, LazyLock};
use terrane_client::ids::CommitTs;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// What the planner asks about every relation of a query.
pub static PLANNERS: LazyLock<[Arc<dyn RelationPlanner>; 1]> =
    LazyLock::new(|| [Arc::new(AsOfPlanner)]);

/// The value of an expression of type timestamptz; `None` while it has parameters without values.
pub fn value(
    expr: &Expr,
    context: &PlanContext<'_>,
    parameters: &[Option<FieldRef>],
) -> std::result::Result<Option<CommitTs>, SqlError> {
    if has_parameters(expr) {
        return Ok(None);
    }
    let mut query = parse::query("SELECT 1")?;
    if let SetExpr::Select(select) = &mut *query.body {
        select.projection = vec![SelectItem::UnnamedExpr(expr.clone())];
    }
    let plan = planner::plan_query(query, context, parameters.to_vec())?;
    let value = evaluate(&constant(plan)?, context).map_err(errors::of_datafusion)?;
    match value {
        Some(Value::TimestampTz(micros)) => Ok(Some(CommitTs(micros))),
        Some(Value::Null) => Err(SqlError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "the time of FOR SYSTEM_TIME AS OF must not be null",
        )),
        _ => Err(SqlError::internal("the time of FOR SYSTEM_TIME AS OF is of another type")),
    }
}

fn has_parameters(expr: &Expr) -> bool {
    struct Parameters;
    impl Visitor for Parameters {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match placeholder(expr) {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Parameters).is_break()
}

/// The one expression of `SELECT expression`, where it is one value that asks for nothing to happen.
fn constant(plan: LogicalPlan) -> std::result::Result<PlannedExpr, SqlError> {
    let one = match plan {
        LogicalPlan::Projection(mut projection)
            if matches!(*projection.input, LogicalPlan::EmptyRelation(_)) =>
        {
            projection.expr.pop().filter(|_| projection.expr.is_empty())
        }
        _ => None,
    };
    let one = one.ok_or_else(|| {
        let message = "aggregates, windows and functions of several rows are not allowed in FOR \
                       SYSTEM_TIME AS OF";
        SqlError::new(SqlState::GROUPING_ERROR, message)
    })?;
    let is_volatile = one.exists(|part| {
        Ok(matches!(part, PlannedExpr::ScalarFunction(call)
            if call.func.signature().volatility == Volatility::Volatile))
    });
    match is_volatile.map_err(errors::of_datafusion)? {
        true => Err(SqlError::unsupported(
            "volatile functions in FOR SYSTEM_TIME AS OF are not supported",
        )),
        false => Ok(one.unalias()),
    }
}

fn evaluate(expr: &PlannedExpr, context: &PlanContext<'_>) -> Result<Option<Value>> {
    let (state, schema) = (context.state(), DFSchema::empty());
    // Some functions are nothing but other words for what the simplifier makes of them.
    let simplifier = ExprSimplifier::new(
        SimplifyContext::builder()
            .with_config_options(Arc::clone(state.config_options()))
            .with_query_execution_start_time(state.execution_props().query_execution_start_time)
            .build(),
    );
    let simple = simplifier.simplify(simplifier.coerce(expr.clone(), &schema)?)?;
    let physical = state.create_physical_expr(simple, &schema)?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let scalar = match physical.evaluate(&row)? {
        ColumnarValue::Scalar(scalar) => scalar,
        ColumnarValue::Array(array) => datafusion::common::ScalarValue::try_from_array(&array, 0)?,
    };
    Ok(values::from_scalar(&scalar, &DataType::TimestampTz))
}

/// Plans tables that have a version. All others are left to DataFusion.
#[derive(Debug)]
struct AsOfPlanner;

impl RelationPlanner for AsOfPlanner {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table { name, alias, version: version @ Some(_), .. } = &mut relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let (name, alias, version) = (name.clone(), alias.take(), version.take());
        let shown = name.to_string();
        let history = version.as_ref().map(bound_versions::bound).transpose();
        let history = history.map_err(errors::external)?.flatten();
        let refused = || match &history {
            None => not_a_table(&shown),
            Some(bound) => versions::not_a_table(&shown, bound.kind),
        };
        let name = context.object_name_to_table_reference(name)?;
        // A query of WITH and a view come as what they stand for.
        let LogicalPlan::TableScan(scan) = context.plan(relation)? else {
            return Err(refused());
        };
        let provider = source_as_provider(&scan.source)?;
        let Some(table) = provider.downcast_ref::<TableSource>() else {
            return Err(refused());
        };
        if let Some(bound) = history {
            let plan = versions::scan(table, &shown, bound, context)?;
            let plan = LogicalPlanBuilder::from(plan).alias(name)?.build()?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))));
        }
        let version = version.map(as_of::bound).transpose().map_err(errors::external)?;
        let (at, parameters) = match version {
            Some(BoundTime::Time(at)) => (AsOf::Time(at), None),
            Some(BoundTime::Parameters(expr)) => {
                (AsOf::Parameters, Some(context.sql_to_expr(expr, &DFSchema::empty())?))
            }
            None => return Err(not_a_table(&shown)),
        };
        // Plans are compared by the names of what they scan: then and now must not be taken for one.
        let scanned = TableReference::bare(format!("{shown} as of {at}"));
        let source = provider_as_source(Arc::new(table.as_of(at)));
        let mut plan = LogicalPlanBuilder::scan(scanned, source, None)?;
        if let Some(expr) = parameters {
            // Only for what it says of the parameters' types: such a plan never runs.
            plan = plan.filter(expr.is_not_null())?;
        }
        let plan = plan.alias(name)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

fn not_a_table(name: &str) -> datafusion::error::DataFusionError {
    errors::external(
        SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a table"))
            .with_detail("FOR SYSTEM_TIME AS OF reads tables as they were, and nothing else."),
    )
}
