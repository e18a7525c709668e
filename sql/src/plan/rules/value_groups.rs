//! GROUP BY and DISTINCT of types whose equal values may look different: `1` and `1.0` as jsonb, `1 month` and
//! `30 days`.
//!
//! Rows are grouped by the key that [`value_order`](super::value_order) compares by, and a group shows the value
//! of its first row. Of grouping sets the values themselves are grouped: which column is NULL in which set is
//! known to the aggregate alone.

use super::value_order::Types;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::{
    Aggregate, Distinct, DistinctOn, Expr, LogicalPlan, LogicalPlanBuilder, Projection,
};
use std::sync::Arc;

/// Groups by keys where a group's values have one.
pub(super) fn group(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let columns: Vec<Expr> =
                input.schema().columns().into_iter().map(Expr::Column).collect();
            let distinct = LogicalPlan::Distinct(Distinct::All(Arc::clone(&input)));
            let types = Types::of(&distinct);
            if !columns.iter().any(|column| types.key(column).is_some()) {
                return Ok(Transformed::no(distinct));
            }
            let none: [Expr; 0] = [];
            let grouped = LogicalPlanBuilder::from((*input).clone()).aggregate(columns, none)?;
            match grouped.build()? {
                LogicalPlan::Aggregate(aggregate) => of_aggregate(aggregate),
                other => Ok(Transformed::no(other)),
            }
        }
        LogicalPlan::Distinct(Distinct::On(distinct)) => on_keys(distinct),
        other => Ok(Transformed::no(other)),
    }
}

/// DISTINCT ON: what tells rows apart, and what orders them.
fn on_keys(mut distinct: DistinctOn) -> Result<Transformed<LogicalPlan>> {
    let copy = LogicalPlan::Distinct(Distinct::On(distinct.clone()));
    let types = Types::of(&copy);
    let mut changed = false;
    for on in &mut distinct.on_expr {
        changed |= types.change(on);
    }
    for sort in distinct.sort_expr.iter_mut().flatten() {
        changed |= types.change_sort(sort);
    }
    let plan = LogicalPlan::Distinct(Distinct::On(distinct));
    Ok(Transformed::new_transformed(plan, changed))
}

fn of_aggregate(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let plan = LogicalPlan::Aggregate(aggregate.clone());
    let types = Types::of(&plan);
    let keyed = |expr: &Expr| types.key(expr).is_some();
    let sets = aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_)));
    if sets || !aggregate.group_expr.iter().any(keyed) {
        return Ok(Transformed::no(plan));
    }
    let (mut groups, mut values) = (Vec::new(), aggregate.aggr_expr.clone());
    // Where in the new aggregate each column of the old one is.
    let mut places: Vec<usize> = Vec::new();
    let count = aggregate.group_expr.len();
    for (at, expr) in aggregate.group_expr.iter().enumerate() {
        let inner = expr.clone().unalias();
        match types.key(&inner) {
            Some(key) => {
                groups.push(key.call(vec![inner.clone()]).alias(format!("__key{at}")));
                places.push(count + values.len());
                let first = first_value_udaf().call(vec![inner]);
                values.push(first.alias(format!("__first{at}")));
            }
            None => {
                groups.push(expr.clone());
                places.push(at);
            }
        }
    }
    places.extend(count..count + aggregate.aggr_expr.len());
    let grouped = Aggregate::try_new(aggregate.input, groups, values)?;
    let columns = grouped.schema.columns();
    let shown = places.iter().zip(aggregate.schema.iter()).map(|(place, (relation, field))| {
        let column = Expr::Column(columns[*place].clone());
        column.alias_qualified(relation.cloned(), field.name())
    });
    let shown: Vec<Expr> = shown.collect();
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, grouped)?)))
}
