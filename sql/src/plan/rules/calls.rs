//! Calls that DataFusion takes and PostgreSQL does not.

use super::range_frames;
use crate::error::{SqlError, SqlState};
use crate::functions::mixture::type_of;
use crate::functions::undefined;
use crate::plan::errors::external;
use crate::types::oid;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Types without an order that an aggregate knows.
const UNORDERED: &[u32] = &[oid::BOOL, oid::BYTEA, oid::JSON, oid::JSONB, oid::UUID];

/// Functions that DataFusion lets have a map's bytes.
const OF_BYTES: &[&str] = &["md5", "sha224", "sha256", "sha384", "sha512", "greatest", "least"];

const DIMENSIONS: &str = "multidimensional arrays are not supported";

/// Refuses them.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                check_expr(part, &schema)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

fn check_expr(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr {
        Expr::AggregateFunction(call) => {
            check_aggregate(call.func.name(), &call.params.args, schema)
        }
        Expr::WindowFunction(call) => {
            if call.params.distinct {
                let message = "DISTINCT is not implemented for window functions";
                return Err(external(SqlError::unsupported(message)));
            }
            range_frames::check(call, schema)?;
            check_aggregate(call.fun.name(), &call.params.args, schema)
        }
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            for element in &call.args {
                let given =
                    type_of(element, schema).is_some_and(|t| oid::element_of(t.oid).is_some());
                if given {
                    return Err(external(SqlError::unsupported(DIMENSIONS)));
                }
            }
            Ok(())
        }
        Expr::ScalarFunction(call) if OF_BYTES.contains(&call.func.name()) => {
            let is_map = |arg| type_of(arg, schema).is_some_and(|given| oid::is_map(given.oid));
            match call.args.iter().any(is_map) {
                true => Err(undefined(call.func.name(), &call.args, schema)),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn undefined(name: &str, args: &[Expr], schema: &DFSchema) -> DataFusionError {
    let name_of = |arg: &Expr| match type_of(arg, schema) {
        Some(given) => oid::format_type(given.oid, None),
        None => "unknown".to_owned(),
    };
    external(undefined::named(name, &args.iter().map(name_of).collect::<Vec<_>>()))
}

fn check_aggregate(name: &str, args: &[Expr], schema: &DFSchema) -> Result<()> {
    let oids = || -> Vec<u32> {
        let oid_of = |arg: &Expr| type_of(arg, schema).map_or(oid::UNKNOWN, |given| given.oid);
        args.iter().map(oid_of).collect()
    };
    if name == "array_agg" && oids().first().is_some_and(|oid| oid::element_of(*oid).is_some()) {
        return Err(external(SqlError::unsupported(DIMENSIONS)));
    }
    if name == "string_agg" && oids().first() == Some(&oid::BYTEA) {
        return Err(external(SqlError::unsupported("string_agg() of bytea is not supported")));
    }
    let refused = match (name, args) {
        ("count", [_, _, ..]) => true,
        ("max" | "min", [_]) => UNORDERED.contains(&oids()[0]) || oid::is_map(oids()[0]),
        _ => false,
    };
    if !refused {
        return Ok(());
    }
    let names: Vec<String> = oids().iter().map(|oid| oid::format_type(*oid, None)).collect();
    let message = format!("function {name}({}) does not exist", names.join(", "));
    Err(external(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )))
}
