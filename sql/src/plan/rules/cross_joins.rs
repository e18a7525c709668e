//! Which side of a cross join is held in memory.
//!
//! DataFusion holds the left one, and FROM a, b, c, d is ((a × b) × c) × d: all of a × b × c is held where d would do.
//! It would change sides by the sizes that statistics tell; there are none. A side that is a join itself is read
//! row by row here, so that what is held are the tables.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use std::sync::Arc;

/// The rule.
#[derive(Debug)]
pub struct CrossJoins;

impl PhysicalOptimizerRule for CrossJoins {
    fn name(&self) -> &str {
        "cross_joins"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let turned = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<CrossJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            match multiplies(join.left())? && !multiplies(join.right())? {
                true => join.swap_inputs().map(Transformed::yes),
                false => Ok(Transformed::no(node)),
            }
        })?;
        Ok(turned.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn multiplies(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| {
        Ok(node.is::<CrossJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<NestedLoopJoinExec>())
    })
}
