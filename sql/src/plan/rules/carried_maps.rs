//! Maps are carried through joins and unnest as views of their bytes.
//!
//! A map is one cell, which may be many megabytes, and a join repeats it for each row that it joins to, as unnest does
//! for each element: thousands of times in one batch. Of text and bytea that copies a pointer, of a map all of its
//! bytes. So the inputs hand their maps over to be carried, and what comes out is made maps
//! again in pieces that stay within a bound.
//!
//! | module | what it holds |
//! |---|---|
//! | `carried` | what a map is while it is carried |
//! | `expressions` | conditions and keys over carried maps |
//! | `pieces` | where carried maps become maps again |
//! | `joins` | joins and unnest over carried maps |
//! | `passed` | what else carried maps pass through, so that nothing collects them into large batches |
//!
//! Invariant: no plan node but those of `joins` and `passed` has an input with carried maps, and none has them in its
//! answer: names, types and order of a plan's columns stay as they are. A plan that repeats no maps stays what
//! it is.

mod carried;
mod expressions;
mod joins;
mod passed;
mod pieces;
#[cfg(test)]
mod tests;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// The rule.
#[derive(Debug)]
pub struct CarriedMaps;

impl PhysicalOptimizerRule for CarriedMaps {
    fn name(&self) -> &str {
        "carried_maps"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let carrying = plan.transform_up(|node| {
            let changed = match joins::carrying(&node)? {
                Some(join) => Some(join),
                None => passed::through(&node)?,
            };
            match changed {
                Some(over) => pieces::MapPiecesExec::over(over).map(Transformed::yes),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(carrying.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}
