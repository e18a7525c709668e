//! Correlated subqueries in what windows are partitioned and ordered by, and in the arguments of their functions.
//!
//! They become columns below, as those of [aggregates](super::aggregate) do; above, the rows lose them again.

use super::Lowering;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, Window};
use std::sync::Arc;

impl Lowering {
    pub(super) fn window(&mut self, window: Window) -> Result<Transformed<LogicalPlan>> {
        let before = self.made;
        let input = Arc::clone(window.input.schema());
        let mut computed: Vec<Expr> = input.columns().into_iter().map(Expr::Column).collect();
        let own = computed.len();
        let exprs = window.window_expr.iter();
        let exprs = exprs.map(|expr| self.below(expr.clone(), &input, &mut computed));
        let exprs: Vec<Expr> = exprs.collect::<Result<_>>()?;
        if self.made == before || computed.len() == own {
            return Ok(Transformed::no(LogicalPlan::Window(window)));
        }
        let added = computed.len() - own;
        let below = LogicalPlanBuilder::from(window.input).project(computed)?.build()?;
        let windowed = Window::try_new(exprs, Arc::new(below))?;
        let columns = windowed.schema.columns().into_iter().enumerate();
        let kept = columns.filter(|(at, _)| *at < own || *at >= own + added);
        let shown = kept.zip(window.schema.iter()).map(|((_, column), (relation, field))| {
            Expr::Column(column).alias_qualified(relation.cloned(), field.name())
        });
        let shown: Vec<Expr> = shown.collect();
        let windowed = Arc::new(LogicalPlan::Window(windowed));
        Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(shown, windowed)?)))
    }
}
