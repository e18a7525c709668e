//! A scalar subquery that finds no row is NULL.
//!
//! DataFusion takes it for as nullable as the column it selects: `(SELECT 1 WHERE false) IS NULL` is false then, before
//! anything is run. Here the column of a subquery that may be empty goes through a function that says it may be
//! NULL.

use super::parts;
use crate::functions::pass_through;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};
use std::sync::Arc;

/// Makes the columns of a plan's scalar subqueries nullable.
pub fn make_nullable(plan: LogicalPlan) -> Result<LogicalPlan> {
    // Once a column has changed, what stands above has, too.
    let mut any = false;
    plan.transform_up_with_subqueries(|node| {
        let node = parts::change(node, |part| match part {
            Expr::ScalarSubquery(subquery) => nullable(subquery),
            other => Ok(Transformed::no(other)),
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
    let value = pass_through::nullable(Expr::Column(column));
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
