//! The order of a derived table's rows, where what is around it shows it.
//!
//! SQL promises nothing there. PostgreSQL's users count on it: BI tools put `SELECT * FROM (…) s LIMIT 100` around a
//! query that has its own ORDER BY, and `SELECT json_agg(s) FROM (SELECT … ORDER BY x) s` is how a sorted list is
//! written. DataFusion keeps the sort that the outermost rows come from, through projections, filters, limits and
//! windows, once it is told to plan sorts of derived tables at all. Here it is told so of aggregates that show the order of their input.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::output_requirements::OutputRequirements;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use std::sync::Arc;

/// Aggregates whose value tells the order of their input. json_agg() and its kin are built on the first.
const ORDERED: [&str; 2] = ["array_agg", "string_agg"];

/// The rule.
#[derive(Debug)]
pub struct KeptOrder;

impl PhysicalOptimizerRule for KeptOrder {
    fn name(&self) -> &str {
        "kept_order"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let kept = plan.transform_up(|node| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(node));
            };
            if !shows_order(aggregate) {
                return Ok(Transformed::no(node));
            }
            let input = OutputRequirements::new_add_mode()
                .optimize(Arc::clone(aggregate.input()), config)?;
            let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            node.replace_children(vec![input], anew).map(Transformed::yes)
        })?;
        Ok(kept.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn shows_order(aggregate: &AggregateExec) -> bool {
    let mut calls = aggregate.aggr_expr().iter();
    calls.any(|call| ORDERED.contains(&call.fun().name()) && call.order_bys().is_empty())
}
