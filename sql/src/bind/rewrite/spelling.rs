//! Ways to write expressions that only PostgreSQL has, in words DataFusion knows.
//!
//! | written | planned as |
//! |---|---|
//! | `a OPERATOR(pg_catalog.~) b` | `a ~ b` |
//! | `(a).f` | `a['f']` |
//! | `a = ANY ('{b}')` | `a = ANY (array_literal('{b}', a))` |
//! | `a ~~ ANY (b)` | `like_each(a, b, '~~', false)` |
//! | `a COLLATE "C"` | `a`: the only order there is (rule 39) |
//! | `ARRAY(SELECT …)` | `array_or_empty((SELECT array_agg(…) …))` |
//! | `current_schema`, `current_role` | `current_schema()`, `current_role()` |
//! | `t AT TIME ZONE z` | `timezone(z, t)` |
//! | `mod(a, b)` | `a % b` |
//! | `date(t)` | `t::date` |
//! | `num_nulls(a, b)` | `CASE WHEN a IS NULL THEN 1 ELSE 0 END + …` |
//! | `json_agg(x)` | `json_join_array(array_agg(to_json(x)))` |
//! | `pg_typeof('a')` | `'unknown'::regtype` |
//! | `ceiling`, `every`, `variance` | `ceil`, `bool_and`, `var_samp` |
//! | `pg_partition_ancestors(t)` | `unnest` of the array that function gives |

use super::call;
use crate::bind::names;
use crate::bind::template::{self, Part};
use crate::error::{SqlError, SqlState};
use crate::functions::system::array::OR_EMPTY;
use crate::functions::{array_literal, patterns};
use crate::parse::chains;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CaseWhen, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    ObjectName, ObjectNamePart, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, Subscript, UnaryOperator, Value, ValueWithSpan,
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
        Expr::CompoundFieldAccess { root, access_chain } => {
            let is_slice = |access: &AccessExpr| {
                matches!(access, AccessExpr::Subscript(Subscript::Slice { .. }))
            };
            if access_chain.len() > 1 && access_chain.iter().any(is_slice) {
                let message = "a slice with another subscript is not supported";
                return Err(SqlError::unsupported(message));
            }
            access_chain.iter_mut().try_for_each(close_slice)?;
            if !is_name(root) {
                access_chain.iter_mut().for_each(quote_field);
            }
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } if is_list(right) => {
            *expr = in_list(left, right, false);
        }
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } if is_list(right) => {
            *expr = in_list(left, right, true);
        }
        Expr::AnyOp { left, compare_op, right, .. } if is_list(right) => {
            *expr = each_compared(left, compare_op, right, BinaryOperator::Or);
        }
        Expr::AllOp { left, compare_op, right } if is_list(right) => {
            *expr = each_compared(left, compare_op, right, BinaryOperator::And);
        }
        Expr::AnyOp { left, compare_op, right, .. } if is_pattern(compare_op, right) => {
            *expr = like_each(left, compare_op, right, false);
        }
        Expr::AllOp { left, compare_op, right } if is_pattern(compare_op, right) => {
            *expr = like_each(left, compare_op, right, true);
        }
        Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
            if matches!(
                **right,
                Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), .. })
            ) {
                let text = std::mem::replace(&mut **right, Expr::value(Value::Null));
                **right = call(array_literal::NAME, vec![text, (**left).clone()]);
            }
        }
        Expr::Identifier(ident) if names::is_call(ident) => {
            *expr = call(&ident.value.to_lowercase(), Vec::new());
        }
        Expr::Function(function)
            if bare_name(&function.name).eq_ignore_ascii_case("pg_partition_ancestors") =>
        {
            super::strip_catalog(&mut function.name);
            let array = std::mem::replace(expr, Expr::value(Value::Null));
            *expr = call("unnest", vec![array]);
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            let null = || Expr::value(Value::Null);
            let zone = std::mem::replace(&mut **time_zone, null());
            let timestamp = std::mem::replace(&mut **timestamp, null());
            *expr = call("timezone", vec![zone, timestamp]);
        }
        Expr::Function(function) if matches!(function.args, FunctionArguments::List(_)) => {
            if let Some(respelled) = respelled(function) {
                *expr = respelled;
            }
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

/// True for `ARRAY[…]` with elements.
fn is_list(array: &Expr) -> bool {
    match array {
        Expr::Nested(inner) => is_list(inner),
        Expr::Array(array) => !array.elem.is_empty(),
        _ => false,
    }
}

/// The elements of `ARRAY[…]`.
fn elements(array: &mut Expr) -> Vec<Expr> {
    let mut array = std::mem::replace(array, Expr::value(Value::Null));
    while let Expr::Nested(inner) = array {
        array = *inner;
    }
    match array {
        Expr::Array(array) => array.elem,
        other => vec![other],
    }
}

/// `x = ANY (ARRAY[a, b])` is `x IN (a, b)`, whose values find a type in common with x.
fn in_list(value: &mut Expr, array: &mut Expr, negated: bool) -> Expr {
    let expr = Box::new(std::mem::replace(value, Expr::value(Value::Null)));
    Expr::InList { expr, list: elements(array), negated }
}

/// `x < ANY (ARRAY[a, b])` is `x < a OR x < b`, NULLs and all.
fn each_compared(
    value: &Expr,
    op: &BinaryOperator,
    array: &mut Expr,
    joint: BinaryOperator,
) -> Expr {
    let compared = elements(array).into_iter().rev();
    let compared = compared.map(|element| binary(value.clone(), op.clone(), element));
    let join = |left, right| binary(left, joint.clone(), right);
    chains::tree(compared.collect(), &join).unwrap_or_else(|| Expr::value(Value::Null))
}

/// True for LIKE as an operator beside an array that is not spelt out.
fn is_pattern(op: &BinaryOperator, array: &Expr) -> bool {
    !matches!(array, Expr::Subquery(_))
        && matches!(
            op,
            BinaryOperator::PGLikeMatch
                | BinaryOperator::PGILikeMatch
                | BinaryOperator::PGNotLikeMatch
                | BinaryOperator::PGNotILikeMatch
        )
}

fn like_each(value: &mut Expr, op: &BinaryOperator, array: &mut Expr, all: bool) -> Expr {
    let taken = |expr: &mut Expr| std::mem::replace(expr, Expr::value(Value::Null));
    let op = Expr::value(Value::SingleQuotedString(op.to_string()));
    let all = Expr::value(Value::Boolean(all));
    call(patterns::LIKE_EACH, vec![taken(value), taken(array), op, all])
}

/// True for what sqlparser reads as the start of a qualified name.
fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// `(value).field`: the planner knows fields as strings.
fn quote_field(access: &mut AccessExpr) {
    if let AccessExpr::Dot(field) = access
        && let Expr::Identifier(name) = field
    {
        *field = Expr::value(Value::SingleQuotedString(names::folded(name)));
    }
}

/// `[:2]` and `[2:]`: arrays begin at 1, and none is as long as this. DataFusion counts what is below 1 from the end.
fn close_slice(access: &mut AccessExpr) -> Result<(), SqlError> {
    let AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride: None }) = access
    else {
        return Ok(());
    };
    let number = |digits: &str| super::numeral(digits.to_owned(), DataType::Int4(None));
    for (bound, outermost, least) in [(lower_bound, "1", 1), (upper_bound, "2147483647", 0)] {
        *bound = Some(match bound.take() {
            None => number(outermost),
            Some(given) => match is_numeral(&given) {
                true => given,
                false => template::expression(
                    &format!("SELECT (CASE WHEN __bound < {least} THEN {least} ELSE __bound END)"),
                    &[("__bound", Part::Value(&given))],
                )?,
            },
        });
    }
    Ok(())
}

/// True for a number without a sign, not 0.
fn is_numeral(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { expr, .. } => is_numeral(expr),
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            digits.parse().is_ok_and(|number: i32| number > 0)
        }
        _ => false,
    }
}

/// A call in other words; `None` where it has only got another name, or none is needed.
fn respelled(function: &mut Function) -> Option<Expr> {
    super::strip_catalog(&mut function.name);
    let [part] = function.name.0.as_mut_slice() else { return None };
    let ObjectNamePart::Identifier(name) = part else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let args: Vec<&Expr> = list.args.iter().filter_map(super::source::plain).collect();
    match (name.value.to_ascii_lowercase().as_str(), args.as_slice()) {
        ("ceiling", _) => name.value = "ceil".to_owned(),
        ("every", _) => name.value = "bool_and".to_owned(),
        ("variance", _) => name.value = "var_samp".to_owned(),
        // DataFusion's take the first only.
        ("array_remove", [_, _]) => name.value = "array_remove_all".to_owned(),
        ("array_replace", [_, _, _]) => name.value = "array_replace_all".to_owned(),
        ("mod", [left, right]) => {
            return Some(binary((*left).clone(), BinaryOperator::Modulo, (*right).clone()));
        }
        ("json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg", [_, ..]) => {
            return gathered(function);
        }
        ("unnest", [array]) => {
            let element = super::cast_target(array).and_then(super::source::json_element)?;
            return Some(super::cast_call(Expr::Function(function.clone()), element));
        }
        // Casts as calls.
        (
            "date" | "text" | "int2" | "int4" | "int8" | "float4" | "float8" | "bool"
            | "timestamptz",
            [value],
        ) => {
            let target = oid::base_by_name(&name.value.to_ascii_lowercase())?.oid;
            return Some(super::cast_call((*value).clone(), oid::wire(target, -1)));
        }
        ("num_nulls", [_, ..]) => return Some(counted(&args, true)),
        ("num_nonnulls", [_, ..]) => return Some(counted(&args, false)),
        (
            "pg_typeof",
            [
                Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(_) | Value::Null,
                    ..
                }),
            ],
        ) => {
            let unknown = Expr::value(Value::SingleQuotedString("unknown".to_owned()));
            return Some(super::cast_call(unknown, oid::wire(oid::REGTYPE, -1)));
        }
        _ => {}
    }
    None
}

/// `json_agg(x)` as `json_join_array(array_agg(to_json(x)))`, `json_object_agg(k, x)` as
/// `json_join_object(array_agg(k), array_agg(to_json(x)))`; ORDER BY and FILTER go with array_agg.
fn gathered(function: &Function) -> Option<Expr> {
    let name = function.name.0.first()?.as_ident()?.value.to_ascii_lowercase();
    let (kind, _) = name.split_once('_')?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let args: Vec<&Expr> = list.args.iter().filter_map(super::source::plain).collect();
    let gather = |value: Expr| -> Expr {
        let mut aggregate = function.clone();
        aggregate.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new("array_agg"))]);
        if let FunctionArguments::List(list) = &mut aggregate.args {
            list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value))];
        }
        Expr::Function(aggregate)
    };
    let value = |expr: &Expr| call(&format!("to_{kind}"), vec![expr.clone()]);
    match (name.contains("object"), args.as_slice()) {
        (false, [item]) => Some(call(&format!("{kind}_join_array"), vec![gather(value(item))])),
        (true, [key, item]) => {
            let text = super::cast_call((*key).clone(), oid::wire(oid::TEXT, -1));
            let parts = vec![gather(text), gather(value(item))];
            Some(call(&format!("{kind}_join_object"), parts))
        }
        _ => None,
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

/// How many of the arguments are NULL, or are not.
fn counted(args: &[&Expr], nulls: bool) -> Expr {
    let int = |digits: &str| super::numeral(digits.to_owned(), DataType::Int4(None));
    let one = |arg: &Expr| Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: Expr::IsNull(Box::new(arg.clone())),
            result: int(if nulls { "1" } else { "0" }),
        }],
        else_result: Some(Box::new(int(if nulls { "0" } else { "1" }))),
    };
    args.iter()
        .map(|arg| one(arg))
        .reduce(|sum, next| binary(sum, BinaryOperator::Plus, next))
        .unwrap_or_else(|| int("0"))
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
        // ICU's and the system's: en-US-x-icu, de_DE.utf8.
        false if collation.is_some_and(|name| name.value.contains(['-', '_'])) => {
            Err(SqlError::unsupported(format!("collation {name} is not supported")))
        }
        false => {
            let name = collation.map_or("", |name| &name.value);
            let message = format!("collation \"{name}\" for encoding \"UTF8\" does not exist");
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
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
