//! Ways to write expressions that only PostgreSQL has, in words DataFusion knows.
//!
//! | written | planned as |
//! |---|---|
//! | `a OPERATOR(pg_catalog.~) b` | `a ~ b` |
//! | `a COLLATE "C"` | `a`: the only order there is (rule 39) |
//! | `ARRAY(SELECT …)` | `array_or_empty((SELECT array_agg(…) …))` |
//! | `current_schema` | `current_schema()` |
//! | `pg_partition_ancestors(t)` | `unnest` of the array that function gives |

use super::call;
use crate::error::{SqlError, SqlState};
use crate::functions::system::array::OR_EMPTY;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderBy, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, UnaryOperator, Value, ValueWithSpan,
};

/// Collations that order by bytes.
const BYTEWISE: &[&str] = &["default", "c", "posix", "c.utf-8", "c.utf8", "ucs_basic"];

/// Rewrites one expression, its parts already rewritten.
pub(super) fn rewrite(expr: &mut Expr) -> Result<(), SqlError> {
    match expr {
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(parts) = op {
                *op = operator(parts)?;
            }
        }
        Expr::Collate { expr: inner, collation } => {
            check_collation(collation)?;
            *expr = std::mem::replace(inner, Expr::value(Value::Null));
        }
        Expr::Identifier(ident)
            if ident.quote_style.is_none()
                && ident.value.eq_ignore_ascii_case("current_schema") =>
        {
            *expr = call("current_schema", Vec::new());
        }
        Expr::Function(function)
            if bare_name(&function.name).eq_ignore_ascii_case("pg_partition_ancestors") =>
        {
            super::strip_catalog(&mut function.name);
            let array = std::mem::replace(expr, Expr::value(Value::Null));
            *expr = call("unnest", vec![array]);
        }
        Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. })
            if name.to_string().eq_ignore_ascii_case("array") =>
        {
            *expr = array_of(query)?;
        }
        _ => {}
    }
    Ok(())
}

/// A function's name without its schema.
fn bare_name(name: &ObjectName) -> &str {
    name.0.last().and_then(|part| part.as_ident()).map_or("", |ident| &ident.value)
}

fn operator(parts: &[String]) -> Result<BinaryOperator, SqlError> {
    let name = match parts {
        [name] => name,
        [schema, name] if schema == "pg_catalog" => name,
        _ => return Err(no_operator(&parts.join("."))),
    };
    Ok(match name.as_str() {
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "%" => BinaryOperator::Modulo,
        "||" => BinaryOperator::StringConcat,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "@>" => BinaryOperator::AtArrow,
        "<@" => BinaryOperator::ArrowAt,
        other => return Err(no_operator(other)),
    })
}

fn no_operator(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {name}"))
}

fn check_collation(name: &ObjectName) -> Result<(), SqlError> {
    let collation = name.0.last().and_then(|part| part.as_ident());
    let known =
        collation.is_some_and(|name| BYTEWISE.contains(&name.value.to_ascii_lowercase().as_str()));
    match known {
        true => Ok(()),
        false => Err(SqlError::unsupported(format!("collation {name} is not supported"))),
    }
}

/// The values of a query as an array, empty where there are none.
fn array_of(query: &mut Query) -> Result<Expr, SqlError> {
    let simple = matches!(
        &*query.body,
        SetExpr::Select(select) if is_plain(select)
    ) && query.limit_clause.is_none()
        && query.fetch.is_none();
    if !simple {
        *query = wrapped(query);
    }
    let order = match query.order_by.take() {
        Some(OrderBy { kind: OrderByKind::Expressions(items), .. }) => items,
        Some(_) => return Err(SqlError::unsupported("ORDER BY ALL is not supported")),
        None => Vec::new(),
    };
    let SetExpr::Select(select) = &mut *query.body else {
        return Err(SqlError::internal("ARRAY of no SELECT"));
    };
    let [item] = select.projection.as_mut_slice() else {
        return Err(SqlError::syntax("subquery must return only one column"));
    };
    let (value, alias) = match item {
        SelectItem::UnnamedExpr(expr) => (expr.clone(), None),
        SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), Some(alias.value.clone())),
        _ => return Err(SqlError::unsupported("ARRAY(SELECT *) is not supported")),
    };
    let by_output = |expr: &Expr| match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits == "1",
        Expr::Identifier(ident) => alias.as_ref() == Some(&ident.value),
        _ => false,
    };
    let order = order
        .into_iter()
        .map(|mut item: OrderByExpr| {
            if by_output(&item.expr) {
                item.expr = value.clone();
            }
            item
        })
        .collect::<Vec<_>>();
    let clauses = match order.is_empty() {
        true => Vec::new(),
        false => vec![FunctionArgumentClause::OrderBy(order)],
    };
    *item = SelectItem::ExprWithAlias {
        expr: aggregate(value, clauses),
        alias: Ident::with_quote('"', "array"),
    };
    Ok(call(OR_EMPTY, vec![Expr::Subquery(Box::new(query.clone()))]))
}

/// True where `array_agg` can stand in the select list itself.
fn is_plain(select: &Select) -> bool {
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(items, modifiers) => !items.is_empty() || !modifiers.is_empty(),
        GroupByExpr::All(_) => true,
    };
    let calls = select.projection.iter().any(|item| match item {
        // A call may be of an aggregate or give several rows.
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => !matches!(
            strip_sign(expr),
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::BinaryOp { .. }
        ),
        _ => true,
    });
    !grouped && !calls && select.distinct.is_none() && select.having.is_none()
}

fn strip_sign(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => strip_sign(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => strip_sign(expr),
        other => other,
    }
}

/// `SELECT "array" FROM (query) AS of("array")`.
fn wrapped(query: &mut Query) -> Query {
    let sql = "SELECT \"array\" FROM (SELECT 1) AS \"of\"(\"array\")";
    let mut outer = match crate::parse::query(sql) {
        Ok(outer) => outer,
        Err(_) => return query.clone(),
    };
    if let SetExpr::Select(select) = &mut *outer.body
        && let Some(table) = select.from.first_mut()
        && let datafusion::sql::sqlparser::ast::TableFactor::Derived { subquery, .. } =
            &mut table.relation
    {
        **subquery = query.clone();
    }
    outer
}

fn aggregate(value: Expr, clauses: Vec<FunctionArgumentClause>) -> Expr {
    let mut aggregate = call("array_agg", Vec::new());
    if let Expr::Function(function) = &mut aggregate {
        function.args = FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))],
            clauses,
        });
    }
    aggregate
}
