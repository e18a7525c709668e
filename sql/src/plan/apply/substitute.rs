//! Values in place of outer columns.

use super::held::held;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::FieldMetadata;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery};
use std::collections::HashMap;
use std::sync::Arc;

/// The plan with these outer columns' values in it.
///
/// A column of the same name that a query in between has hides the outer one from the queries inside.
pub(super) fn outer_columns(
    plan: LogicalPlan,
    values: &HashMap<Column, ScalarValue>,
) -> Result<LogicalPlan> {
    plan.transform_up(|node| {
        let names = NamePreserver::new(&node);
        let scope: Vec<_> = node.inputs().iter().map(|input| Arc::clone(input.schema())).collect();
        let hidden =
            |column: &Column| scope.iter().any(|schema: &Arc<DFSchema>| schema.has_column(column));
        let inner = || -> HashMap<Column, ScalarValue> {
            let seen = values.iter().filter(|(column, _)| !hidden(column));
            seen.map(|(column, value)| (column.clone(), value.clone())).collect()
        };
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_up(|part| replace(part, values, &inner))?;
            Ok(match replaced.transformed {
                true => Transformed::yes(name.restore(replaced.data)),
                false => replaced,
            })
        })?
        .map_data(|node| match node {
            // A relation in FROM that mentioned outer columns, and does so no more.
            LogicalPlan::Subquery(subquery) if is_closed(&subquery, values) => {
                Ok(Arc::unwrap_or_clone(subquery.subquery))
            }
            node => node.recompute_schema(),
        })
    })
    .map(|done| done.data)
}

fn replace(
    part: Expr,
    values: &HashMap<Column, ScalarValue>,
    inner: &dyn Fn() -> HashMap<Column, ScalarValue>,
) -> Result<Transformed<Expr>> {
    Ok(match part {
        Expr::OuterReferenceColumn(field, column) => match values.get(&column) {
            Some(value) => Transformed::yes(held(value, &field).unwrap_or_else(|| {
                let metadata = FieldMetadata::new_from_field(&field);
                Expr::Literal(value.clone(), Some(metadata))
            })),
            None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
        },
        Expr::ScalarSubquery(subquery) => {
            Transformed::yes(Expr::ScalarSubquery(nested(subquery, &inner())?))
        }
        Expr::Exists(mut exists) => {
            exists.subquery = nested(exists.subquery, &inner())?;
            Transformed::yes(Expr::Exists(exists))
        }
        Expr::InSubquery(mut within) => {
            within.subquery = nested(within.subquery, &inner())?;
            Transformed::yes(Expr::InSubquery(within))
        }
        Expr::SetComparison(mut comparison) => {
            comparison.subquery = nested(comparison.subquery, &inner())?;
            Transformed::yes(Expr::SetComparison(comparison))
        }
        other => Transformed::no(other),
    })
}

fn is_closed(subquery: &Subquery, values: &HashMap<Column, ScalarValue>) -> bool {
    subquery.outer_ref_columns.iter().all(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => values.contains_key(column),
        _ => false,
    })
}

fn nested(mut subquery: Subquery, values: &HashMap<Column, ScalarValue>) -> Result<Subquery> {
    subquery.subquery = Arc::new(outer_columns((*subquery.subquery).clone(), values)?);
    subquery.outer_ref_columns.retain(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => !values.contains_key(column),
        _ => true,
    });
    Ok(subquery)
}
