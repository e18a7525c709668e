//! The branches of CASE and the queries of UNION have a type in common, or are refused (42804).
//!
//! DataFusion finds one by making text of everything. PostgreSQL reads a string literal among values of another
//! type as that type (22P02 where it cannot be), and matches types of one category only.

use crate::error::{SqlError, SqlState};
use crate::functions::cast;
use crate::plan::errors::external;
use crate::plan::result_types::is_unknown;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Case, Expr, ExprSchemable, LogicalPlan, Projection, Union};
use std::sync::Arc;

/// Gives string literals their types and refuses what has none in common.
pub fn check(plan: LogicalPlan) -> Result<LogicalPlan> {
    // Once a type has changed, what stands above may have another, too.
    let mut any = false;
    plan.transform_up_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        let names = NamePreserver::new(&node);
        let node = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|part| match part {
                Expr::Case(case) => of_case(case, &schema),
                other => Ok(Transformed::no(other)),
            })?;
            Ok(match changed.transformed {
                true => Transformed::yes(name.restore(changed.data)),
                false => changed,
            })
        })?;
        any |= node.transformed;
        let node = match node.data {
            LogicalPlan::Union(union) => of_union(union)?,
            other => Transformed::no(other),
        };
        any |= node.transformed;
        match any {
            true => Ok(Transformed::yes(node.data.recompute_schema()?)),
            false => Ok(node),
        }
    })
    .map(|done| done.data)
}

fn known(expr: &Expr, schema: &DFSchema) -> Option<WireType> {
    if is_unknown(expr) {
        return None;
    }
    let (_, field) = expr.to_field(schema).ok()?;
    (!field.data_type().is_null()).then(|| oid::of_field(&field))
}

/// The category of a type whose values are told apart from others'.
fn category(wire_type: WireType) -> Option<char> {
    let category = oid::base(wire_type.oid)?.category;
    matches!(category, 'N' | 'S' | 'B' | 'D').then_some(category)
}

/// The first type, where all are of one category.
fn common(what: &str, types: impl Iterator<Item = WireType>) -> Result<Option<WireType>> {
    let mut first: Option<WireType> = None;
    for other in types {
        let Some(known) = first else {
            first = Some(other);
            continue;
        };
        if let (Some(a), Some(b)) = (category(known), category(other))
            && a != b
        {
            let name = |wire_type: WireType| oid::format_type(wire_type.oid, None);
            let (known, other) = (name(known), name(other));
            return Err(external(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("{what} types {known} and {other} cannot be matched"),
            )));
        }
    }
    Ok(first)
}

/// True for the types that have an input function of their own.
fn is_no_string(wire_type: WireType) -> bool {
    let is_array = oid::element_of(wire_type.oid).is_some();
    is_array || category(wire_type).is_some_and(|category| category != 'S')
}

/// A string literal as a type that is no string's; `None` for anything else.
fn typed(expr: &Expr, target: WireType) -> Result<Option<Expr>> {
    match expr {
        Expr::Alias(alias) => {
            let inner = typed(&alias.expr, target)?;
            let relation = alias.relation.clone();
            Ok(inner.map(|inner| inner.alias_qualified(relation, alias.name.clone())))
        }
        Expr::Literal(scalar, _) if is_unknown(expr) => match scalar.try_as_str().flatten() {
            Some(text) if is_no_string(target) => {
                cast::literal(text, oid::wire(target.oid, -1)).map(Some)
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn of_case(mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if case.expr.is_none() {
        for (condition, _) in &case.when_then_expr {
            if let Some(found) = known(condition, schema).filter(|found| found.oid != oid::BOOL) {
                let name = oid::format_type(found.oid, None);
                return Err(external(SqlError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("argument of CASE/WHEN must be type boolean, not type {name}"),
                )));
            }
        }
    }
    let branches = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let types = branches.filter_map(|branch| known(branch, schema));
    let Some(target) = common("CASE", types)? else {
        return Ok(Transformed::no(Expr::Case(case)));
    };
    let mut changed = false;
    let branches = case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr);
    for branch in branches {
        if let Some(literal) = typed(branch, target)? {
            **branch = literal;
            changed = true;
        }
    }
    Ok(Transformed::new_transformed(Expr::Case(case), changed))
}

fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let Union { mut inputs, schema } = union;
    let mut changed = false;
    for at in 0..schema.fields().len() {
        let item = |input: &LogicalPlan| match input {
            LogicalPlan::Projection(projection) => projection.expr.get(at).cloned(),
            _ => None,
        };
        let type_of = |input: &Arc<LogicalPlan>| match item(input) {
            Some(expr) if is_unknown(bare(&expr)) => None,
            _ => {
                let field = input.schema().fields().get(at)?;
                (!field.data_type().is_null()).then(|| oid::of_field(field))
            }
        };
        let types: Vec<WireType> = inputs.iter().filter_map(type_of).collect();
        let Some(target) = common("UNION", types.into_iter())? else { continue };
        for input in &mut inputs {
            let LogicalPlan::Projection(projection) = &**input else { continue };
            let Some(literal) = projection.expr.get(at).map(|expr| typed(expr, target)) else {
                continue;
            };
            let Some(literal) = literal? else { continue };
            let mut items = projection.expr.clone();
            items[at] = literal;
            let source = Arc::clone(&projection.input);
            *input = Arc::new(LogicalPlan::Projection(Projection::try_new(items, source)?));
            changed = true;
        }
    }
    Ok(match changed {
        true => Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)),
        false => Transformed::no(LogicalPlan::Union(Union { inputs, schema })),
    })
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}
