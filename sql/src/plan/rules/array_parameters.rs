//! `x = ANY ($1)`: a parameter of no type yet is an array of what it is compared with.
//!
//! DataFusion plans the comparison as `array_has($1, x)`, and finds types for parameters beside operators only.

use crate::types::oid;
use arrow::datatypes::{Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use std::collections::HashMap;
use std::sync::Arc;

/// Gives such parameters their types, wherever else they stand.
pub fn type_them(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut found: HashMap<String, FieldRef> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Some((id, field)) = array_beside(part, &schema) {
                    found.entry(id).or_insert(field);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    if found.is_empty() {
        return Ok(plan);
    }
    plan.transform_down_with_subqueries(|node| {
        node.map_expressions(|expr| {
            expr.transform_down(|part| match part {
                Expr::Placeholder(Placeholder { id, field: None }) => {
                    let field = found.get(&id).cloned();
                    let changed = field.is_some();
                    let part = Expr::Placeholder(Placeholder { id, field });
                    Ok(Transformed::new_transformed(part, changed))
                }
                other => Ok(Transformed::no(other)),
            })
        })
    })
    .map(|done| done.data)
}

/// The parameter that a value is looked for in, and the type it has.
fn array_beside(expr: &Expr, schema: &DFSchema) -> Option<(String, FieldRef)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let [Expr::Placeholder(Placeholder { id, field: None }), value] = call.args.as_slice() else {
        return None;
    };
    if call.func.name() != "array_has" {
        return None;
    }
    let (_, value) = value.to_field(schema).ok()?;
    if value.data_type().is_null() {
        return None;
    }
    let element = match oid::of_field(&value).oid {
        // PostgreSQL compares these as text.
        oid::VARCHAR => oid::TEXT,
        other => other,
    };
    let array = oid::wire(oid::array_of(element)?, -1);
    let field = Field::new("", oid::arrow(array.oid, array.modifier), true);
    Some((id.clone(), Arc::new(oid::with_type(field, array))))
}
