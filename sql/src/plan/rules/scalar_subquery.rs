//! A scalar subquery that finds no row is NULL.
//!
//! DataFusion takes it for as nullable as the column it selects: `(SELECT 1 WHERE false) IS NULL` is false then, before
//! anything is run. Here the column of a subquery that may be empty goes through a function that says it may be
//! NULL.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Subquery, Volatility,
};
use std::sync::Arc;

/// Makes the columns of a plan's scalar subqueries nullable.
pub fn make_nullable(plan: LogicalPlan) -> Result<LogicalPlan> {
    // Once a column has changed, what stands above has, too.
    let mut any = false;
    plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|part| match part {
                Expr::ScalarSubquery(subquery) => nullable(subquery),
                other => Ok(Transformed::no(other)),
            })?;
            Ok(match changed.transformed {
                true => Transformed::yes(name.restore(changed.data)),
                false => changed,
            })
        })?;
        any |= node.transformed;
        match any {
            true => Ok(Transformed::yes(node.data.recompute_schema()?)),
            false => Ok(node),
        }
    })
    .map(|done| done.data)
}

fn nullable(subquery: Subquery) -> Result<Transformed<Expr>> {
    let schema = subquery.subquery.schema();
    let known = schema.fields().len() == 1 && !schema.field(0).is_nullable();
    if !known || has_one_row(&subquery.subquery) {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    let Some(column) = schema.columns().into_iter().next() else {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    };
    let name = column.name.clone();
    let value = ScalarUDF::new_from_impl(MaybeNull::default()).call(vec![Expr::Column(column)]);
    let plan = LogicalPlanBuilder::new_from_arc(Arc::clone(&subquery.subquery))
        .project([value.alias(name)])?
        .build()?;
    Ok(Transformed::yes(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..subquery })))
}

/// True for aggregates over all rows: there is one result, of no row, too.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// Its argument, which may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MaybeNull {
    signature: Signature,
}

impl Default for MaybeNull {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for MaybeNull {
    fn name(&self) -> &str {
        "maybe_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.remove(0))
    }
}
