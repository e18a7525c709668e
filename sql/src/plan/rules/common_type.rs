//! The branches of CASE, the arguments of coalesce() and its kin, the values of IN and BETWEEN and the queries of
//! UNION have a type in common, or are refused (42804).
//!
//! DataFusion finds one by making text of everything. PostgreSQL reads a string literal among values of another
//! type as that type (22P02 where it cannot be), and matches types of one category only.

use super::parts;
use crate::error::{SqlError, SqlState};
use crate::functions::cast;
use crate::functions::mixture::{self, Mixture};
use crate::functions::rounding;
use crate::plan::errors::external;
use crate::plan::result_types::is_unknown;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Case, InList, ScalarFunction};
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Projection, Union, lit,
};
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
        let node = parts::change(node, |part| match part {
            Expr::Case(case) => of_case(case, &schema),
            Expr::InList(list) => of_list(list, &schema),
            Expr::Between(between) => of_between(between, &schema),
            Expr::ScalarFunction(call) => of_call(call, &schema),
            Expr::BinaryExpr(distinct) if is_distinction(distinct.op) => {
                of_distinction(distinct, &schema)
            }
            other => Ok(Transformed::no(other)),
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
    mixture::type_of(expr, schema)
}

/// The category of a type whose values are told apart from others'.
fn category(wire_type: WireType) -> Option<char> {
    if oid::element_of(wire_type.oid).is_some() {
        return Some('A');
    }
    if oid::is_map(wire_type.oid) {
        return Some('U');
    }
    let category = oid::base(wire_type.oid)?.category;
    matches!(category, 'N' | 'S' | 'B' | 'D' | 'T' | 'U').then_some(category)
}

/// True where one is a map and the other is no map of that very type: nothing makes one of the other by itself.
fn is_other_map(known: WireType, other: WireType) -> bool {
    let is_map = oid::is_map(known.oid) || oid::is_map(other.oid);
    is_map && (known.oid, known.modifier) != (other.oid, other.modifier)
}

fn name_of(wire_type: WireType) -> String {
    let modifier = oid::is_map(wire_type.oid).then_some(wire_type.modifier);
    oid::format_type(wire_type.oid, modifier)
}

/// The first type, where all are of one category.
fn common(what: &str, types: impl Iterator<Item = WireType>) -> Result<Option<WireType>> {
    let mut first: Option<WireType> = None;
    for other in types {
        let Some(known) = first else {
            first = Some(other);
            continue;
        };
        let is_unlike = match (category(known), category(other)) {
            _ if is_other_map(known, other) => true,
            (Some(a), Some(b)) => a != b,
            _ => false,
        };
        if is_unlike {
            let name = name_of;
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

/// The type without a length. A map's modifier is its value's type, and stays.
fn untruncated(target: WireType) -> WireType {
    if oid::is_map(target.oid) { target } else { oid::wire(target.oid, -1) }
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
            // Trailing blanks count for nothing, and are not stored.
            Some(text) if target.oid == oid::BPCHAR && text.ends_with(' ') => {
                Ok(Some(lit(text.trim_end_matches(' '))))
            }
            Some(text) if is_no_string(target) => {
                cast::literal(text, untruncated(target)).map(Some)
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn of_case(mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut compared = false;
    if let Some(operand) = &mut case.expr {
        let whens = case.when_then_expr.iter_mut().map(|(when, _)| &mut **when);
        let mut parts: Vec<&mut Expr> = std::iter::once(&mut **operand).chain(whens).collect();
        compared = unite(None, &mut parts, schema)?;
    }
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
    let branches = case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr);
    let mut branches: Vec<&mut Expr> = branches.map(|branch| &mut **branch).collect();
    let changed = unite(Some("CASE"), &mut branches, schema)? || compared;
    Ok(Transformed::new_transformed(Expr::Case(case), changed))
}

/// Gives expressions a type in common, as far as DataFusion would not; true where that changed one. `what` they
/// are the parts of, where unlike ones are refused.
fn unite(what: Option<&str>, parts: &mut [&mut Expr], schema: &DFSchema) -> Result<bool> {
    let types: Vec<WireType> = parts.iter().filter_map(|part| known(part, schema)).collect();
    let target = match what {
        Some(what) => common(what, types.iter().copied())?,
        None => {
            if let Some(pair) = types.windows(2).find(|pair| is_other_map(pair[0], pair[1])) {
                let [left, right] = [name_of(pair[0]), name_of(pair[1])];
                let message = format!("operator does not exist: {left} = {right}");
                return Err(external(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)));
            }
            types.first().copied()
        }
    };
    let Some(target) = target else { return Ok(false) };
    let mut changed = false;
    let mixture = Mixture::of(types.iter().copied());
    for part in parts {
        changed |= give(part, target)?;
        if let Some(mixture) = mixture {
            changed |= mixture.convert(part, schema);
        }
    }
    Ok(changed)
}

/// Makes a string literal one of the type; true where it was one.
fn give(expr: &mut Expr, target: WireType) -> Result<bool> {
    let literal = typed(expr, target)?;
    let changed = literal.is_some();
    if let Some(literal) = literal {
        *expr = literal;
    }
    Ok(changed)
}

/// `x IN (…)`: comparisons.
fn of_list(mut list: InList, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut parts: Vec<&mut Expr> =
        std::iter::once(&mut *list.expr).chain(&mut list.list).collect();
    let changed = unite(None, &mut parts, schema)?;
    Ok(Transformed::new_transformed(Expr::InList(list), changed))
}

/// `x BETWEEN a AND b`: two comparisons.
fn of_between(mut between: Between, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Between { expr, low, high, .. } = &mut between;
    let changed = unite(None, &mut [expr, low, high], schema)?;
    Ok(Transformed::new_transformed(Expr::Between(between), changed))
}

fn is_distinction(op: Operator) -> bool {
    matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

/// `x IS DISTINCT FROM y`, which the planner of operators does not see.
fn of_distinction(mut distinct: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, right, .. } = &mut distinct;
    let changed = unite(None, &mut [left, right], schema)?;
    Ok(Transformed::new_transformed(Expr::BinaryExpr(distinct), changed))
}

/// coalesce() and its kin: their arguments are as the branches of CASE.
fn of_call(mut call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let what = match call.func.name() {
        "coalesce" => "COALESCE",
        "greatest" => "GREATEST",
        "least" => "LEAST",
        "nullif" => "NULLIF",
        "round" | "trunc" => {
            let given = call.args.first().and_then(|number| number.get_type(schema).ok());
            let stated = given.and_then(|given| rounding::with_scale(&call, &given));
            let changed = stated.is_some();
            let call = Expr::ScalarFunction(stated.unwrap_or(call));
            return Ok(Transformed::new_transformed(call, changed));
        }
        _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
    };
    let mut parts: Vec<&mut Expr> = call.args.iter_mut().collect();
    let changed = unite(Some(what), &mut parts, schema)?;
    Ok(Transformed::new_transformed(Expr::ScalarFunction(call), changed))
}

/// The types of a union's inputs at a column, but for NULLs and string literals.
pub(super) fn of_inputs(
    inputs: &[Arc<LogicalPlan>],
    at: usize,
) -> impl Iterator<Item = WireType> + '_ {
    inputs.iter().filter_map(move |input| {
        if let LogicalPlan::Projection(projection) = &**input
            && projection.expr.get(at).is_some_and(|expr| is_unknown(bare(expr)))
        {
            return None;
        }
        let field = input.schema().fields().get(at)?;
        (!field.data_type().is_null()).then(|| oid::of_field(field))
    })
}

fn of_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let Union { mut inputs, schema } = union;
    let mut changed = false;
    for at in 0..schema.fields().len() {
        let types: Vec<WireType> = of_inputs(&inputs, at).collect();
        let mixture = Mixture::of(types.iter().copied());
        let Some(target) = common("UNION", types.into_iter())? else { continue };
        for input in &mut inputs {
            let (mut items, source) = match &**input {
                LogicalPlan::Projection(projection) => {
                    (projection.expr.clone(), Arc::clone(&projection.input))
                }
                other => {
                    let columns = other.schema().columns().into_iter().map(Expr::Column);
                    (columns.collect(), Arc::clone(input))
                }
            };
            let mut other = give(&mut items[at], target)?;
            if let Some(mixture) = mixture {
                other |= mixture.convert(&mut items[at], source.schema());
            }
            if other {
                *input = Arc::new(LogicalPlan::Projection(Projection::try_new(items, source)?));
                changed = true;
            }
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
