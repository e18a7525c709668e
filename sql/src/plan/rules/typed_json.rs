//! Arguments of to_json() and its kin that are JSON already: they are taken over, not written as strings.
//!
//! The functions are told by a field's metadata, which CASE and scalar subqueries drop. Where the expression tells, the
//! argument goes through a function that answers it and says its type.

use crate::functions::json::build;
use crate::functions::{record, type_of};
use crate::plan::result_types;
use crate::types::oid;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use std::sync::{Arc, LazyLock};

static TYPED: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Typed::default())));

/// Says the types of such arguments.
pub fn say(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let inputs = node.inputs();
        let [input] = inputs.as_slice() else { return Ok(Transformed::no(node)) };
        let input = (*input).clone();
        let names = NamePreserver::new(&node);
        let mut any = false;
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|part| of_call(part, &input))?;
            any |= changed.transformed;
            Ok(match changed.transformed {
                true => Transformed::yes(name.restore(changed.data)),
                false => changed,
            })
        })?;
        match any {
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
            *arg = TYPED.call(vec![std::mem::take(arg), lit(i64::from(found.oid))]);
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), changed))
}

/// `pg_typed(value, oid)` is the value, of that type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    signature: Signature,
}

impl Default for Typed {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        "pg_typed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let said = args.scalar_arguments.get(1).copied().flatten();
        let said = said.and_then(|said| said.to_string().parse().ok());
        let said = said.ok_or_else(|| {
            DataFusionError::Internal("pg_typed() without a constant type".to_owned())
        })?;
        let field = args.arg_fields[0].as_ref().clone();
        Ok(Arc::new(oid::with_type(field, oid::wire(said, -1))))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
