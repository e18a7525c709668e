//! The outer columns that a subquery's plan is left to find outside of itself.

use super::{merged, subquery_of};
use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The columns, each once.
pub(super) fn columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    match plan {
        // A LATERAL relation looks left.
        LogicalPlan::Join(join) => {
            found.extend(columns(&join.left)?);
            let right = columns(&join.right)?.into_iter();
            found.extend(right.filter(|column| !join.left.schema().has_column(column)));
        }
        node => {
            for input in node.inputs() {
                found.extend(columns(input)?);
            }
        }
    }
    let schema = merged(plan);
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if let Expr::OuterReferenceColumn(_, column) = part {
                found.push(column.clone());
            } else if let Some(subquery) = subquery_of(part) {
                let within = columns(&subquery.subquery)?.into_iter();
                found.extend(within.filter(|column| !schema.has_column(column)));
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    found.sort();
    found.dedup();
    Ok(found)
}
