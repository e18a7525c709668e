//! Aggregates and window functions where PostgreSQL says more, or other, than DataFusion.
//!
//! | written | planned as |
//! |---|---|
//! | `array_agg(DISTINCT x ORDER BY x DESC)` | `array_sorted(array_agg(DISTINCT x), 'desc', 'first')` |
//! | `string_agg(DISTINCT x, ',')` | `array_to_string(array_sorted(array_agg(DISTINCT x) FILTER …), ',')` |
//! | `count(1)` | `count(*)` |
//! | `ntile(n) OVER …` | `pg_cast(ntile(n) OVER …, int4)` |
//! | `count()`, `max(*)`, `count(DISTINCT *)` | refused |
//!
//! PostgreSQL finds distinct values by sorting them, and shows them so.

use super::source::plain;
use super::{call, cast_call};
use crate::catalog::system::procs;
use crate::error::{SqlError, SqlState};
use crate::functions::array_sets::SORTED;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, ObjectName, OrderByExpr, UnaryOperator,
    Value, ValueWithSpan,
};

/// Rewrites one call; `None` where it is planned as it is.
pub(super) fn respelled(function: &Function) -> Result<Option<Expr>, SqlError> {
    let [part] = function.name.0.as_slice() else { return Ok(None) };
    let Some(name) = part.as_ident().map(|name| name.value.to_ascii_lowercase()) else {
        return Ok(None);
    };
    let FunctionArguments::List(list) = &function.args else { return Ok(None) };
    if is_aggregate(&name) {
        check_arguments(&name, &list.args)?;
    }
    let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
    if distinct && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)])
    {
        return Err(SqlError::syntax("syntax error at or near \"*\""));
    }
    match (name.as_str(), list.args.as_slice()) {
        // DataFusion gives both one name.
        ("count", [value]) if !distinct && plain(value).is_some_and(is_literal) => {
            let mut function = function.clone();
            if let FunctionArguments::List(list) = &mut function.args {
                list.duplicate_treatment = None;
                list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Wildcard)];
            }
            Ok(Some(Expr::Function(function)))
        }
        ("ntile", _) if function.over.is_some() => {
            let int4 = oid::wire(oid::INT4, -1);
            // Not seen again: the call is behind a cast by then.
            Ok(Some(cast_call(Expr::Function(function.clone()), int4)))
        }
        ("array_agg", [value]) if distinct && function.over.is_none() => {
            let Some(value) = plain(value) else { return Ok(None) };
            sorted(function, value, None)
        }
        ("string_agg", [value, separator]) if distinct && function.over.is_none() => {
            let (Some(value), Some(separator)) = (plain(value), plain(separator)) else {
                return Ok(None);
            };
            let constant = matches!(
                separator,
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), .. })
            );
            match constant {
                true => sorted(function, value, Some(separator)),
                false => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// True for an aggregate, but for those that are window functions without WITHIN GROUP.
fn is_aggregate(name: &str) -> bool {
    let mut kinds = procs::named(name).map(|function| function.kind).peekable();
    kinds.peek().is_some() && kinds.all(|kind| kind == 'a')
}

/// True for a literal that is not NULL.
fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner)
        | Expr::Cast { expr: inner, .. }
        | Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr: inner } => {
            is_literal(inner)
        }
        Expr::Value(ValueWithSpan { value, .. }) => {
            matches!(value, Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_))
        }
        _ => false,
    }
}

/// `count(*)` alone has no arguments, and is written with its star.
fn check_arguments(name: &str, args: &[FunctionArg]) -> Result<(), SqlError> {
    let starred = matches!(args, [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
    if name == "count" && args.is_empty() {
        let message = "count(*) must be used to call a parameterless aggregate function";
        return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
    }
    if (starred || args.is_empty()) && name != "count" {
        return Err(crate::functions::undefined::function(name, &[]));
    }
    Ok(())
}

/// The distinct values sorted; joined where there is a separator.
fn sorted(
    function: &Function,
    value: &Expr,
    separator: Option<&Expr>,
) -> Result<Option<Expr>, SqlError> {
    let mut aggregate = function.clone();
    aggregate.name = ObjectName::from(vec![Ident::new("array_agg")]);
    let FunctionArguments::List(list) = &mut aggregate.args else { return Ok(None) };
    let mut order: Vec<OrderByExpr> = Vec::new();
    let mut others = false;
    for clause in std::mem::take(&mut list.clauses) {
        match clause {
            FunctionArgumentClause::OrderBy(items) => order = items,
            _ => others = true,
        }
    }
    if others || order.iter().skip(1).any(|item| item.expr == *value) {
        return Ok(None);
    }
    if order.iter().any(|item| item.expr != *value) {
        let message =
            "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
        return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message));
    }
    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
    if separator.is_some() {
        let there = Expr::IsNotNull(Box::new(value.clone()));
        aggregate.filter = Some(Box::new(match aggregate.filter.take() {
            None => there,
            Some(filter) => {
                Expr::BinaryOp { left: filter, op: BinaryOperator::And, right: Box::new(there) }
            }
        }));
    }
    let options = order.first().map(|item| item.options);
    let descending = options.is_some_and(|options| options.asc == Some(false));
    let nulls_first = options.and_then(|options| options.nulls_first).unwrap_or(descending);
    let text = |text: &str| Expr::value(Value::SingleQuotedString(text.to_owned()));
    let direction = text(if descending { "desc" } else { "asc" });
    let nulls = text(if nulls_first { "first" } else { "last" });
    let array = call(SORTED, vec![Expr::Function(aggregate), direction, nulls]);
    Ok(Some(match separator {
        Some(separator) => call("array_to_string", vec![array, separator.clone()]),
        None => array,
    }))
}
