//! Types of parameters that have none yet, by what stands around them.
//!
//! DataFusion finds types for parameters beside operators only. PostgreSQL takes an unknown parameter
//!
//! - as the function needs it that is called, where its other arguments or their preferred types tell which;
//! - as the other branches of CASE, the other arguments of coalesce(), the other elements of an array, the other rows
//!   of VALUES and UNION have it in common;
//! - as a boolean where a condition stands;
//! - as an array of `x` in `x = ANY ($1)`, and as an element in `$1 = ANY (array)`.
//!
//! What is still unknown then is text.

mod overloads;

use super::common_type::of_inputs;
use crate::functions::conditional;
use crate::functions::mixture::type_of;
use crate::plan::result_types::is_unknown;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::datatypes::{Field, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Placeholder, WindowFunctionDefinition};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use std::collections::HashMap;
use std::sync::Arc;

/// The longest chain of parameters that wait for each other's types.
const ROUNDS_MAX: usize = 4;

/// Gives such parameters their types, wherever else they stand.
pub fn type_them(mut plan: LogicalPlan) -> Result<LogicalPlan> {
    for _ in 0..ROUNDS_MAX {
        if !plan.get_parameter_fields()?.values().any(Option::is_none) {
            break;
        }
        let mut found = Found::default();
        plan.apply_with_subqueries(|node| {
            found.in_node(node)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if found.types.is_empty() {
            break;
        }
        plan = put_in(plan, &found.types)?;
    }
    Ok(plan)
}

fn put_in(plan: LogicalPlan, types: &HashMap<String, FieldRef>) -> Result<LogicalPlan> {
    // Once a type has changed, what stands above may have another, too.
    let mut any = false;
    plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_down(|part| match part {
                Expr::Placeholder(Placeholder { id, field: None }) => {
                    let field = types.get(&id).cloned();
                    let changed = field.is_some();
                    let part = Expr::Placeholder(Placeholder { id, field });
                    Ok(Transformed::new_transformed(part, changed))
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        any |= node.transformed;
        match any {
            // A union's columns keep their types until its inputs are brought together.
            true if !matches!(node.data, LogicalPlan::Union(_)) => {
                Ok(Transformed::yes(node.data.recompute_schema()?))
            }
            _ => Ok(node),
        }
    })
    .map(|done| done.data)
}

/// What has been found out, by the parameters' names.
#[derive(Default)]
struct Found {
    types: HashMap<String, FieldRef>,
}

impl Found {
    fn in_node(&mut self, node: &LogicalPlan) -> Result<()> {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        match node {
            LogicalPlan::Filter(filter) => self.condition(&filter.predicate),
            LogicalPlan::Values(values) => {
                let width = values.values.first().map_or(0, Vec::len);
                for at in 0..width {
                    // The planner has given them a type in common already.
                    for item in values.values.iter().filter_map(|row| row.get(at)) {
                        if let Expr::Cast(cast) = item {
                            self.note(&cast.expr, Some(oid::of_field(&cast.field)));
                        }
                    }
                }
            }
            LogicalPlan::Union(union) => {
                for at in 0..union.schema.fields().len() {
                    let common = numeric_most(of_inputs(&union.inputs, at));
                    let items = union.inputs.iter().filter_map(|input| match &**input {
                        LogicalPlan::Projection(projection) => projection.expr.get(at),
                        _ => None,
                    });
                    items.for_each(|item| self.note(bare(item), common));
                }
            }
            _ => {}
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                self.in_expr(part, &schema);
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(())
    }

    fn in_expr(&mut self, expr: &Expr, schema: &DFSchema) {
        match expr {
            Expr::Not(inner) => self.condition(inner),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
                self.condition(left);
                self.condition(right);
            }
            Expr::Case(case) => {
                let whens = case.when_then_expr.iter().map(|(when, _)| &**when);
                match &case.expr {
                    Some(operand) => {
                        self.alike(whens.chain(std::iter::once(&**operand)), schema);
                    }
                    None => whens.for_each(|when| self.condition(when)),
                }
                let branches = case.when_then_expr.iter().map(|(_, then)| &**then);
                self.alike(branches.chain(case.else_expr.as_deref()), schema);
            }
            Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
                ("array_has", [array, value]) => self.in_array(array, value, schema),
                ("make_array", args) => self.alike(args.iter(), schema),
                (name, args) if conditional::NAMES.contains(&name) => {
                    self.alike(args.iter(), schema);
                }
                (name, args) => self.arguments(name, args, schema),
            },
            Expr::WindowFunction(call) => {
                if let WindowFunctionDefinition::WindowUDF(function) = &call.fun {
                    self.arguments(function.name(), &call.params.args, schema);
                }
            }
            _ => {}
        }
    }

    fn condition(&mut self, expr: &Expr) {
        self.note(expr, Some(oid::wire(oid::BOOL, -1)));
    }

    /// Expressions that have a type in common.
    fn alike<'e>(&mut self, exprs: impl Iterator<Item = &'e Expr> + Clone, schema: &DFSchema) {
        if !exprs.clone().any(|expr| untyped(expr).is_some()) {
            return;
        }
        let known = exprs.clone().filter(|expr| !is_unknown(expr) && untyped(expr).is_none());
        let common = numeric_most(known.filter_map(|expr| type_of(expr, schema)));
        exprs.for_each(|expr| self.note(expr, common));
    }

    /// `value = ANY (array)`.
    fn in_array(&mut self, array: &Expr, value: &Expr, schema: &DFSchema) {
        if untyped(array).is_some() {
            // PostgreSQL compares these as text.
            let element = type_of(value, schema).map(|value| match value.oid {
                oid::VARCHAR => oid::TEXT,
                other => other,
            });
            let array_of = element.filter(|_| untyped(value).is_none()).and_then(oid::array_of);
            self.note(array, array_of.map(|array| oid::wire(array, -1)));
        } else if untyped(value).is_some() {
            let element = type_of(array, schema).and_then(|array| oid::element_of(array.oid));
            self.note(value, element.map(|element| oid::wire(element, -1)));
        }
    }

    fn arguments(&mut self, name: &str, args: &[Expr], schema: &DFSchema) {
        if !args.iter().any(|arg| untyped(arg).is_some()) {
            return;
        }
        let given = |arg: &Expr| match is_unknown(arg) || untyped(arg).is_some() {
            true => None,
            false => type_of(arg, schema).map(|given| given.oid),
        };
        let given: Vec<Option<u32>> = args.iter().map(given).collect();
        for (arg, found) in args.iter().zip(overloads::unknown_arguments(name, &given)) {
            self.note(arg, found.map(|found| oid::wire(found, -1)));
        }
    }

    /// A parameter of no type yet has this one.
    fn note(&mut self, expr: &Expr, wire_type: Option<WireType>) {
        let (Some(id), Some(wire_type)) = (untyped(expr), wire_type) else { return };
        let field = Field::new("", oid::arrow(wire_type.oid, -1), true);
        let field = Arc::new(oid::with_type(field, oid::wire(wire_type.oid, -1)));
        self.types.entry(id.to_owned()).or_insert(field);
    }
}

/// The name of a parameter of no type yet.
fn untyped(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => Some(id),
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

/// What types have in common: of numbers the one that takes the others, else the first.
fn numeric_most(types: impl Iterator<Item = WireType>) -> Option<WireType> {
    const NUMBERS: [u32; 6] =
        [oid::INT2, oid::INT4, oid::INT8, oid::NUMERIC, oid::FLOAT4, oid::FLOAT8];
    let rank = |given: WireType| NUMBERS.iter().position(|number| *number == given.oid);
    types.reduce(|first, next| match (rank(first), rank(next)) {
        (Some(a), Some(b)) if b > a => next,
        _ => first,
    })
}
