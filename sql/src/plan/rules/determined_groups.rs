//! Columns of GROUP BY that others among them determine.
//!
//! To `GROUP BY p.id` the planner adds all columns that a key `id` determines, so that they may be named in the select
//! list, and takes those that are not named out again while it knows of the key. Where rows are multiplied it is told of
//! none ([`multiplied_rows`](super::multiplied_rows)), and the columns would stay: read, and compared for each row, maps
//! among them. So they become the first value of their group, which goes where nobody names it.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, FieldMetadata};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection};
use std::sync::Arc;

/// An aggregate that groups by no column that others determine.
pub(super) fn by_first_values(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Aggregate(aggregate) = &node else { return Ok(Transformed::no(node)) };
    let determined = determined(aggregate);
    if determined.is_empty() {
        return Ok(Transformed::no(node));
    }
    let mut groups = Vec::new();
    let mut values = aggregate.aggr_expr.clone();
    let mut shown = Vec::new();
    for (at, (relation, field)) in aggregate.schema.iter().enumerate() {
        let column = match determined.contains(&at) {
            false => {
                groups.extend(aggregate.group_expr.get(at).cloned());
                Expr::Column(Column::new(relation.cloned(), field.name()))
            }
            true => {
                let name = format!("__terrane_determined_{at}");
                values.push(first_value(aggregate.group_expr[at].clone()).alias(&name));
                let column = Expr::Column(Column::new_unqualified(name));
                column.alias_qualified_with_metadata(
                    relation.cloned(),
                    field.name(),
                    Some(FieldMetadata::new_from_field(field)),
                )
            }
        };
        shown.push(column);
    }
    let input = Arc::clone(&aggregate.input);
    let grouped = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(input, groups, values)?));
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, grouped)?)))
}

fn first_value(value: Expr) -> Expr {
    let function =
        AggregateFunction::new_udf(first_value_udaf(), vec![value], false, None, Vec::new(), None);
    Expr::AggregateFunction(function)
}

/// Which of what is grouped by is determined by the rest of it.
fn determined(aggregate: &Aggregate) -> Vec<usize> {
    let schema = aggregate.input.schema();
    let place = |expr: &Expr| match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    };
    let places: Vec<Option<usize>> = aggregate.group_expr.iter().map(place).collect();
    let mut determined = Vec::new();
    for dependence in schema.functional_dependencies().iter() {
        let is_grouped = |source: &usize| places.contains(&Some(*source));
        if dependence.nullable || !dependence.source_indices.iter().all(is_grouped) {
            continue;
        }
        for (at, place) in places.iter().enumerate() {
            let Some(place) = place else { continue };
            let is_target = dependence.target_indices.contains(place);
            if is_target && !dependence.source_indices.contains(place) && !determined.contains(&at)
            {
                determined.push(at);
            }
        }
        // Of two keys that determine each other one has to stay.
        if !determined.is_empty() {
            break;
        }
    }
    determined
}
