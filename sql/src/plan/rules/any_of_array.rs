//! `x = ANY (array)` is NULL, not false, where x is not in the array but a NULL is.
//!
//! DataFusion plans it as `array_has(array, x)`, which knows true and false, and finds keys by it. So where false
//! and NULL are the same, as a condition of WHERE by itself, it stays; and where an array of constants has no
//! NULL.

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::{Arc, LazyLock};

static THREE_VALUED: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(ThreeValued::default())));

const HAS: &str = "array_has";

/// Gives these comparisons their third value.
pub fn with_nulls(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(mut filter) => {
            let mut changed = false;
            let mut parts = Vec::new();
            for part in split_conjunction_owned(filter.predicate) {
                let part = match is_plain(&part) {
                    true => part,
                    false => {
                        let part = with_third(part)?;
                        changed |= part.transformed;
                        part.data
                    }
                };
                parts.push(part);
            }
            filter.predicate = conjunction(parts).unwrap_or_default();
            Ok(Transformed::new_transformed(LogicalPlan::Filter(filter), changed))
        }
        node => {
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(with_third(expr)?.update_data(|expr| name.restore(expr)))
            })
        }
    })
    .map(|done| done.data)
}

fn is_plain(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == HAS)
}

fn with_third(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| match part {
        Expr::ScalarFunction(call) if call.func.name() == HAS && call.args.len() == 2 => {
            if never_null(&call.args[0]) {
                return Ok(Transformed::no(Expr::ScalarFunction(call)));
            }
            let array = call.args[0].clone();
            Ok(Transformed::yes(THREE_VALUED.call(vec![Expr::ScalarFunction(call), array])))
        }
        other => Ok(Transformed::no(other)),
    })
}

/// True for an array that is known to have no NULL.
fn never_null(array: &Expr) -> bool {
    let constant = |expr: &Expr| match expr {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::Cast(cast) => matches!(&*cast.expr, Expr::Literal(value, _) if !value.is_null()),
        _ => false,
    };
    match array {
        Expr::Literal(..) => false,
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            call.args.iter().all(constant)
        }
        Expr::ScalarFunction(call) => match call.args.first() {
            // An array in quotes.
            Some(Expr::Literal(text, _)) => text
                .try_as_str()
                .flatten()
                .is_some_and(|text| !text.to_ascii_lowercase().contains("null")),
            _ => false,
        },
        _ => false,
    }
}

/// `pg_any(found, array)`: what was found, and NULL where it was not but might be.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ThreeValued {
    signature: Signature,
}

impl Default for ThreeValued {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ThreeValued {
    fn name(&self) -> &str {
        "pg_any"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (found, arrays) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let (found, Some(arrays)) = (found.as_boolean(), arrays.as_list_opt::<i32>()) else {
            return Ok(ColumnarValue::Array(found));
        };
        let answer = |row: usize| match found.is_valid(row).then(|| found.value(row)) {
            Some(false) if arrays.is_null(row) || arrays.value(row).null_count() > 0 => None,
            answer => answer,
        };
        let answers: BooleanArray = (0..rows).map(answer).collect();
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }
}
