//! Analyser and optimiser rules of our own, among DataFusion's.
//!
//! | module | what it holds |
//! |---|---|
//! | [`any_of_array`] | `x = ANY (array)` where the array has a NULL |
//! | [`calls`] | calls that DataFusion takes and PostgreSQL does not |
//! | [`common_type`] | what CASE and UNION have in common |
//! | `carried_maps` | how joins and unnest repeat maps |
//! | `cross_joins` | which side of a cross join is held in memory |
//! | [`correlated_aggregate`] | scalar subqueries that compare with the outer row by more than equality |
//! | `determined_groups` | columns of GROUP BY that others determine |
//! | `kept_order` | the order of a derived table's rows |
//! | [`map_keys`] | which keys of map columns are looked at |
//! | [`multiplied_rows`] | keys where rows are multiplied |
//! | [`parameter_types`] | the types of parameters, by what stands around them |
//! | `parts` | changes within a node's expressions |
//! | `range_frames` | the offsets of RANGE |
//! | [`recursive_types`] | the types of WITH RECURSIVE's two terms |
//! | [`scalar_subquery`] | scalar subqueries that find no row |
//! | [`typed_json`] | arguments of to_json() that are JSON already |
//! | `value_groups` | GROUP BY, DISTINCT and DISTINCT ON of intervals and jsonb |
//! | [`value_order`] | how intervals, jsonb and floats compare |

pub mod any_of_array;
pub mod calls;
mod carried_maps;
pub mod common_type;
pub mod correlated_aggregate;
mod cross_joins;
mod determined_groups;
mod kept_order;
pub mod map_keys;
pub mod multiplied_rows;
pub mod parameter_types;
mod parts;
mod range_frames;
pub mod recursive_types;
pub mod scalar_subquery;
pub mod typed_json;
mod value_groups;
pub mod value_order;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use std::sync::Arc;

/// DataFusion's rules for logical plans with ours where they belong.
pub fn logical() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    // It sums what groups have summed, and a sum of sums has another type in PostgreSQL than a sum.
    rules.retain(|rule| rule.name() != "single_distinct_aggregation_to_group_by");
    let before = rules
        .iter()
        .position(|rule| rule.name() == "scalar_subquery_to_join")
        .unwrap_or(rules.len());
    rules.insert(before, Arc::new(correlated_aggregate::CorrelatedAggregate));
    rules.push(Arc::new(map_keys::MapKeys));
    rules
}

/// DataFusion's rules for physical plans with ours behind the first. That notes what order the outermost rows have, as
/// [`kept_order`] does of others; a later one takes out what both have noted.
pub fn physical() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.insert(1, Arc::new(kept_order::KeptOrder));
    rules.insert(2, Arc::new(cross_joins::CrossJoins));
    rules.push(Arc::new(carried_maps::CarriedMaps));
    rules
}
