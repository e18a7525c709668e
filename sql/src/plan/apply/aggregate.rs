//! Correlated subqueries in GROUP BY and in the arguments of aggregates.
//!
//! An aggregate's operator evaluates no asynchronous calls: they become columns below it, and its own columns get
//! back the names they had.

use super::Lowering;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::async_udf::AsyncScalarUDF;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection};
use std::sync::Arc;

impl Lowering {
    pub(super) fn aggregate(&mut self, aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
        let before = self.made;
        let input = Arc::clone(aggregate.input.schema());
        let mut computed: Vec<Expr> = input.columns().into_iter().map(Expr::Column).collect();
        let own = computed.len();
        let mut lower = |exprs: &[Expr]| -> Result<Vec<Expr>> {
            exprs.iter().map(|expr| self.below(expr.clone(), &input, &mut computed)).collect()
        };
        let groups = lower(&aggregate.group_expr)?;
        let values = lower(&aggregate.aggr_expr)?;
        if self.made == before || computed.len() == own {
            return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
        }
        let below = LogicalPlanBuilder::from(aggregate.input).project(computed)?.build()?;
        let grouped = Aggregate::try_new(Arc::new(below), groups, values)?;
        let columns = grouped.schema.columns();
        let shown = columns.into_iter().zip(aggregate.schema.iter());
        let shown = shown.map(|(column, (relation, field))| {
            Expr::Column(column).alias_qualified(relation.cloned(), field.name())
        });
        let shown: Vec<Expr> = shown.collect();
        let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, grouped)?)))
    }

    /// The expression over columns below, where its calls are added.
    pub(super) fn below(
        &mut self,
        expr: Expr,
        input: &DFSchema,
        computed: &mut Vec<Expr>,
    ) -> Result<Expr> {
        let lowered = self.expr(expr, input)?;
        let called = lowered.transform_up(|part| match part {
            Expr::ScalarFunction(call) if call.func.inner().is::<AsyncScalarUDF>() => {
                let name = format!("__terrane_below_{}", computed.len());
                computed.push(Expr::ScalarFunction(call).alias(&name));
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(name))))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(called.data)
    }
}
