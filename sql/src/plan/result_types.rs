//! The types of a query's columns, where DataFusion's fields do not tell.
//!
//! A field says its PostgreSQL type in metadata, and CASE, array_agg() and UNION drop it. Here the type is
//! found in the expression behind the column. What is found counts only if it is held in the field's Arrow type.

use crate::functions::array_sets::{MODE, SORTED};
use crate::functions::conditional;
use crate::functions::system::array::OR_EMPTY;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::datatypes::FieldRef;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};

/// The type of a plan's column.
pub fn of_column(plan: &LogicalPlan, at: usize) -> WireType {
    let stated = oid::of_field(plan.schema().field(at));
    let found = behind(plan, at).filter(|found| {
        oid::arrow(found.oid, found.modifier) == *plan.schema().field(at).data_type()
    });
    found.unwrap_or(stated)
}

/// The type of the expression behind a column.
fn behind(plan: &LogicalPlan, at: usize) -> Option<WireType> {
    match plan {
        LogicalPlan::Projection(projection) => of_expr(projection.expr.get(at)?, &projection.input),
        LogicalPlan::Sort(sort) => Some(of_column(&sort.input, at)),
        LogicalPlan::Limit(limit) => Some(of_column(&limit.input, at)),
        LogicalPlan::Filter(filter) => Some(of_column(&filter.input, at)),
        LogicalPlan::SubqueryAlias(alias) => Some(of_column(&alias.input, at)),
        LogicalPlan::Distinct(Distinct::All(input)) => Some(of_column(input, at)),
        LogicalPlan::Aggregate(aggregate) => {
            // Grouping sets have columns of their own.
            let groups = aggregate.group_expr.len();
            let plain = plan.schema().fields().len() == groups + aggregate.aggr_expr.len();
            let expr = match at.checked_sub(groups) {
                _ if !plain => return None,
                None => aggregate.group_expr.get(at)?,
                Some(at) => aggregate.aggr_expr.get(at)?,
            };
            of_expr(expr, &aggregate.input)
        }
        LogicalPlan::RecursiveQuery(query) => Some(of_column(&query.static_term, at)),
        LogicalPlan::Union(union) => {
            let mut types = union.inputs.iter().map(|input| of_column(input, at));
            let first = types.next()?;
            // Strings are all cast to the first one's type; other types have one already.
            let is_string = |wire_type: WireType| {
                oid::base(wire_type.oid).is_some_and(|base| base.category == 'S')
            };
            let strings = is_string(first) && types.all(is_string);
            strings.then(|| oid::wire(first.oid, -1))
        }
        _ => None,
    }
}

/// The type of an expression over a plan's columns.
pub fn of_expr(expr: &Expr, input: &LogicalPlan) -> Option<WireType> {
    match expr {
        Expr::Alias(alias) => of_expr(&alias.expr, input),
        Expr::Column(column) => {
            let at = input.schema().maybe_index_of_column(column)?;
            Some(of_column(input, at))
        }
        Expr::ScalarSubquery(subquery) => Some(of_column(&subquery.subquery, 0)),
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| &**then);
            in_common(branches.chain(case.else_expr.as_deref()), input)
        }
        Expr::ScalarFunction(call) if conditional::NAMES.contains(&call.func.name()) => {
            in_common(call.args.iter(), input)
        }
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            let element = in_common(call.args.iter(), input)?;
            Some(oid::wire(oid::array_of(element.oid)?, -1))
        }
        Expr::ScalarFunction(call) if [MODE, "array_element"].contains(&call.func.name()) => {
            let array = of_expr(call.args.first()?, input)?;
            Some(oid::wire(oid::element_of(array.oid)?, -1))
        }
        Expr::ScalarFunction(call) if [OR_EMPTY, SORTED].contains(&call.func.name()) => {
            of_expr(call.args.first()?, input)
        }
        Expr::AggregateFunction(call) if call.func.name() == "array_agg" => {
            let element = of_expr(call.params.args.first()?, input)?;
            Some(oid::wire(oid::array_of(element.oid)?, -1))
        }
        other => {
            let (_, field): (_, FieldRef) = other.to_field(input.schema()).ok()?;
            Some(oid::of_field(&field))
        }
    }
}

/// The type that all of these have but for those that are unknown.
fn in_common<'a>(exprs: impl Iterator<Item = &'a Expr>, input: &LogicalPlan) -> Option<WireType> {
    let mut known =
        exprs.filter(|expr| !is_unknown(uncoerced(expr))).map(|expr| of_expr(expr, input));
    let first = known.next()??;
    known.all(|other| other.is_some_and(|other| other.oid == first.oid)).then_some(first)
}

/// What the planner gave another type: casts that were written are calls of `pg_cast`.
fn uncoerced(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => uncoerced(&cast.expr),
        other => other,
    }
}

/// True for NULL and for a string in quotes, which take the type of what is beside them.
pub fn is_unknown(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(scalar, metadata) => {
            let untyped = metadata
                .as_ref()
                .is_none_or(|metadata| !metadata.inner().contains_key(oid::METADATA_KEY));
            untyped && (scalar.is_null() || scalar.try_as_str().is_some())
        }
        _ => false,
    }
}
