//! Arguments of to_json() and its kin that are JSON already: they are taken over, not written as strings.
//!
//! The functions are told by a field's metadata, which CASE and scalar subqueries drop. Where the expression tells, the
//! argument goes through a function that answers it and says its type.

use super::parts;
use crate::functions::json::build;
use crate::functions::{pass_through, record, type_of};
use crate::plan::result_types;
use crate::types::oid;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Says the types of such arguments.
pub fn say(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let inputs = node.inputs();
        let [input] = inputs.as_slice() else { return Ok(Transformed::no(node)) };
        let input = (*input).clone();
        let node = parts::change(node, |part| of_call(part, &input))?;
        match node.transformed {
            true => node.map_data(LogicalPlan::recompute_schema),
            false => Ok(node),
        }
    })
    .map(|done| done.data)
}

fn of_call(expr: Expr, input: &LogicalPlan) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
    let name = call.func.name();
    if ![record::NAME, type_of::NAME].contains(&name) && !build::NAMES.contains(&name) {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    let mut changed = false;
    for arg in &mut call.args {
        let Some(found) = result_types::of_expr(arg, input) else { continue };
        let element = oid::element_of(found.oid).unwrap_or(found.oid);
        // Also where the field says so by now: coalesce() and nullif() become CASE later.
        if matches!(element, oid::JSON | oid::JSONB) {
            *arg = pass_through::typed(std::mem::take(arg), found.oid);
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), changed))
}
