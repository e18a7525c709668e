//! Literals and casts as PostgreSQL types them, put into the syntax tree before DataFusion plans it.
//!
//! - An integer literal is int4 where it fits, else int8, else numeric: DataFusion would make every one
//!   an int8. Ordinals (`ORDER BY 1`), LIMIT and OFFSET stay bare numbers.
//! - Casts, typed strings and intervals become calls of `pg_cast`, which follows PostgreSQL's input and
//!   conversion rules and keeps types Arrow does not have.
//! - Function names lose a `pg_catalog.` in front.

mod aggregates;
mod named;
mod patterns;
mod source;
mod spelling;

use super::type_name;
use crate::catalog::system::terrane;
use crate::error::{SqlError, SqlState};
use crate::functions::cast;
use crate::session::response::WireType;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, Interval,
    LimitClause, NamedWindowDefinition, NamedWindowExpr, ObjectName, ObjectNamePart, OrderByKind,
    Query, Select, SelectItem, TableFactor, UnaryOperator, Value, ValueWithSpan, VisitMut,
    VisitorMut, WindowFrameBound, WindowSpec, WindowType,
};

/// Rewrites every query and expression of a statement.
pub fn rewrite(statement: &mut impl VisitMut) -> Result<(), SqlError> {
    match statement.visit(&mut Rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Rewriter;

type Flow = ControlFlow<Box<SqlError>>;

impl VisitorMut for Rewriter {
    type Break = Box<SqlError>;

    fn post_visit_query(&mut self, query: &mut Query) -> Flow {
        if let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(items) = &mut order_by.kind
        {
            items.iter_mut().for_each(|item| bare(&mut item.expr));
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by: _ }) => {
                let limits = limit.iter_mut().chain(offset.iter_mut().map(|o| &mut o.value));
                for limit in limits {
                    bare(limit);
                    if let Err(error) = count_of_text(limit) {
                        return ControlFlow::Break(Box::new(error));
                    }
                }
            }
            Some(LimitClause::OffsetCommaLimit { .. }) | None => {}
        }
        if let Some(fetch) = &mut query.fetch {
            fetch.quantity.iter_mut().for_each(bare);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> Flow {
        if let Some(error) = select.projection.iter().find_map(quoted_alias) {
            return ControlFlow::Break(Box::new(error));
        }
        for NamedWindowDefinition(_, window) in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = window {
                bare_frame(window);
            }
        }
        if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
            items.iter_mut().for_each(bare);
            items.iter_mut().for_each(|item| positions_in_sets(item, &select.projection));
            let all = items.len();
            // GROUP BY (a, b) is GROUP BY a, b.
            let singly = std::mem::take(items).into_iter().flat_map(|item| match item {
                Expr::Tuple(fields) => fields,
                other => vec![other],
            });
            *items = singly.collect();
            // One group of all rows, also of none: what any aggregate makes.
            if items.is_empty() && all > 0 && select.having.is_none() {
                let count = Expr::Function(counting());
                select.having = Some(Expr::IsNotNull(Box::new(count)));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        match source::rewrite(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        match rewrite_expr(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

fn rewrite_expr(expr: &mut Expr) -> Result<(), SqlError> {
    if let Expr::Function(function) = expr {
        named::place(function)?;
        if let Some(WindowType::WindowSpec(window)) = &mut function.over {
            bare_frame(window);
        }
    }
    spelling::rewrite(expr)?;
    patterns::rewrite(expr)?;
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            if let Some(typed) = typed_number(digits) {
                *expr = typed;
            }
        }
        Expr::Value(ValueWithSpan { value: value @ Value::UnicodeStringLiteral(_), .. }) => {
            if let Value::UnicodeStringLiteral(text) = value {
                *value = Value::SingleQuotedString(std::mem::take(text));
            }
        }
        Expr::Array(array)
            if array.elem.iter().any(|element| matches!(element, Expr::Array(_))) =>
        {
            return Err(SqlError::unsupported("multidimensional arrays are not supported"));
        }
        // Minus binds tighter than ^: -2 ^ 2 is 4. sqlparser reads it the other way round.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand }
            if matches!(**operand, Expr::BinaryOp { op: BinaryOperator::PGExp, .. }) =>
        {
            let mut power = std::mem::replace(&mut **operand, Expr::value(Value::Null));
            negate_base(&mut power);
            *expr = power;
        }
        Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr: operand } => {
            let operand = std::mem::replace(&mut **operand, Expr::value(Value::Null));
            *expr = Expr::BinaryOp {
                left: Box::new(operand),
                op: BinaryOperator::PGBitwiseXor,
                right: Box::new(numeral("-1".to_owned(), DataType::Int4(None))),
            };
        }
        // -2147483648 is an int4 although 2147483648 is not.
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand } => {
            if let Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) = &**operand
                && digits.parse() == Ok(i32::MIN.unsigned_abs())
            {
                *expr = numeral(i32::MIN.to_string(), DataType::Int4(None));
            }
        }
        Expr::Cast { kind, expr: operand, data_type, array: false, format: None } => {
            if matches!(kind, CastKind::TryCast | CastKind::SafeCast) {
                return Err(SqlError::unsupported("TRY_CAST is not supported"));
            }
            if let Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) = &**operand
                && matches!(data_type, DataType::Int4(None))
                && digits.parse::<i32>().is_ok()
            {
                return Ok(());
            }
            let wire_type = type_name::resolve(data_type)?;
            let mut operand = std::mem::replace(&mut **operand, Expr::value(Value::Null));
            if matches!(wire_type.oid, oid::FLOAT4 | oid::FLOAT8) {
                text_of_number(&mut operand);
            }
            *expr = cast_call(operand, wire_type);
        }
        Expr::Cast { .. } => return Err(SqlError::unsupported("CAST … ARRAY or FORMAT")),
        Expr::TypedString(typed) => {
            let wire_type = type_name::resolve(&typed.data_type)?;
            *expr = cast_call(Expr::Value(typed.value.clone()), wire_type);
        }
        Expr::Interval(interval) => *expr = interval_call(interval)?,
        Expr::Substring { expr: value, substring_from, substring_for, .. } => {
            let mut args = vec![std::mem::replace(&mut **value, Expr::value(Value::Null))];
            let one = || Box::new(numeral("1".to_owned(), DataType::Int4(None)));
            args.push(*substring_from.take().unwrap_or_else(one));
            args.extend(substring_for.take().map(|length| *length));
            *expr = call("substr", args);
        }
        Expr::Function(function) => {
            strip_catalog(&mut function.name);
            if let Some(respelled) = aggregates::respelled(function)? {
                *expr = respelled;
            }
        }
        _ => {}
    }
    Ok(())
}

/// An integer literal with its type; `None` leaves what DataFusion reads right.
fn typed_number(digits: &str) -> Option<Expr> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.parse::<i32>().is_ok() {
        return Some(numeral(digits.to_owned(), DataType::Int4(None)));
    }
    if digits.parse::<i64>().is_ok() {
        return None;
    }
    let text = Expr::value(Value::SingleQuotedString(digits.to_owned()));
    Some(cast_call(Box::new(text), oid::wire(oid::NUMERIC, -1)))
}

/// A number that becomes a float is read as one: 1e308 has more digits than a numeric.
pub fn text_of_number(expr: &mut Expr) {
    let text = match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            std::mem::take(digits)
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand } => match &mut **operand {
            Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
                format!("-{digits}")
            }
            _ => return,
        },
        _ => return,
    };
    *expr = Expr::value(Value::SingleQuotedString(text));
}

/// `CAST(digits AS type)`, which the optimiser folds.
fn numeral(digits: String, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::Number(digits, false))),
        data_type,
        array: false,
        format: None,
    }
}

/// Takes the type off a number again: an ordinal, a limit.
fn bare(expr: &mut Expr) {
    if let Expr::Cast { expr: operand, data_type: DataType::Int4(None), .. } = expr
        && matches!(**operand, Expr::Value(ValueWithSpan { value: Value::Number(..), .. }))
    {
        *expr = std::mem::replace(operand, Expr::value(Value::Null));
    }
}

/// `LIMIT '3'`: a string is read as a bigint.
fn count_of_text(limit: &mut Expr) -> Result<(), SqlError> {
    if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = limit {
        let count: i64 = text.trim().parse().map_err(|_| {
            let message = format!("invalid input syntax for type bigint: \"{text}\"");
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
        })?;
        *limit = Expr::value(Value::Number(count.to_string(), false));
    }
    Ok(())
}

/// Puts a minus in front of the leftmost operand of `a ^ b ^ c`.
fn negate_base(expr: &mut Expr) {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::PGExp, .. } => negate_base(left),
        base => {
            let operand = Box::new(std::mem::replace(base, Expr::value(Value::Null)));
            *base = Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand };
        }
    }
}

/// `count(*)`
fn counting() -> Function {
    let mut function = match call("count", Vec::new()) {
        Expr::Function(function) => function,
        _ => unreachable!("call() makes a call"),
    };
    if let FunctionArguments::List(list) = &mut function.args {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    }
    function
}

/// 42601 for `'a' 'b'`, which sqlparser reads as a value and its name.
fn quoted_alias(item: &SelectItem) -> Option<SqlError> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } if alias.quote_style == Some('\'') => {
            let text = alias.value.replace('\'', "''");
            Some(SqlError::syntax(format!("syntax error at or near \"'{text}'\"")))
        }
        _ => None,
    }
}

/// `ROLLUP (1)`: the planner knows numbers of the select list outside of sets only.
fn positions_in_sets(item: &mut Expr, outputs: &[SelectItem]) {
    let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = item else { return };
    for expr in sets.iter_mut().flatten() {
        bare(expr);
        let Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) = &*expr else {
            continue;
        };
        let position = digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        if let Some(
            SelectItem::UnnamedExpr(output) | SelectItem::ExprWithAlias { expr: output, .. },
        ) = position.and_then(|position| outputs.get(position))
        {
            *expr = output.clone();
        }
    }
}

/// The offsets of a window's frame are bare numbers, and intervals as they are written.
fn bare_frame(window: &mut WindowSpec) {
    let Some(frame) = &mut window.window_frame else { return };
    for bound in std::iter::once(&mut frame.start_bound).chain(&mut frame.end_bound) {
        if let WindowFrameBound::Preceding(Some(offset))
        | WindowFrameBound::Following(Some(offset)) = bound
        {
            bare(offset);
            if let Some(text) = offset_text(offset) {
                **offset = match text.trim().parse::<u64>() {
                    Ok(number) => Expr::value(Value::Number(number.to_string(), false)),
                    Err(_) => Expr::Interval(Interval {
                        value: Box::new(Expr::value(Value::SingleQuotedString(text))),
                        leading_field: None,
                        leading_precision: None,
                        last_field: None,
                        fractional_seconds_precision: None,
                    }),
                };
            }
        }
    }
}

/// The text of an offset in quotes, or of one that was cast to an interval.
fn offset_text(offset: &Expr) -> Option<String> {
    match offset {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
            Some(text.clone())
        }
        Expr::Function(Function { args: FunctionArguments::List(list), .. })
            if cast_target(offset).is_some_and(|target| target.oid == oid::INTERVAL) =>
        {
            list.args.first().and_then(source::plain).and_then(offset_text)
        }
        _ => None,
    }
}

/// `pg_cast(expr, 'oid:modifier')`.
pub fn cast_call(expr: impl Into<Box<Expr>>, to: WireType) -> Expr {
    let target = Expr::value(Value::SingleQuotedString(format!("{}:{}", to.oid, to.modifier)));
    call(cast::NAME, vec![*expr.into(), target])
}

/// The type a call of `pg_cast` casts to.
pub fn cast_target(expr: &Expr) -> Option<WireType> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else {
        return None;
    };
    let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else { return None };
    let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(target)))] =
        list.args.as_slice()
    else {
        return None;
    };
    let Value::SingleQuotedString(target) = &target.value else { return None };
    oid::parse_metadata(target).filter(|_| name.value == cast::NAME)
}

/// A call of a function by name.
pub fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args =
        args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn interval_call(interval: &Interval) -> Result<Expr, SqlError> {
    let Interval {
        value,
        leading_field,
        leading_precision,
        last_field,
        fractional_seconds_precision,
    } = interval;
    if leading_precision.is_some() || fractional_seconds_precision.is_some() {
        return Err(SqlError::unsupported("a precision of INTERVAL is not supported"));
    }
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = &**value else {
        return Err(SqlError::syntax("INTERVAL needs a string literal"));
    };
    let text = match (leading_field, last_field) {
        (None, _) => text.clone(),
        (Some(unit), None) => format!("{text} {unit}"),
        (Some(from), Some(to)) => fields_of(text, from, to)?,
    };
    let text = Expr::value(Value::SingleQuotedString(text));
    Ok(cast_call(text, oid::wire(oid::INTERVAL, -1)))
}

/// `'1-2' YEAR TO MONTH`, `'3 12' DAY TO HOUR`.
fn fields_of(text: &str, from: &DateTimeField, to: &DateTimeField) -> Result<String, SqlError> {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let whole = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    match (from, to, parts.as_slice()) {
        (DateTimeField::Year, DateTimeField::Month, [one]) if one.contains('-') => {
            Ok((*one).to_owned())
        }
        (DateTimeField::Day, DateTimeField::Hour, [days, hours]) if whole(days) && whole(hours) => {
            Ok(format!("{days} days {hours} hours"))
        }
        _ => Err(SqlError::unsupported("INTERVAL … TO … is not supported")),
    }
}

/// Takes `pg_catalog.` off a function's name, and `information_schema.` off that of one of its own. The functions of schema
/// terrane are registered with it.
fn strip_catalog(name: &mut ObjectName) {
    let [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(function)] =
        name.0.as_slice()
    else {
        return;
    };
    if schema.value == "pg_catalog"
        || (schema.value == "information_schema" && function.value.starts_with("_pg_"))
    {
        name.0.remove(0);
    } else if schema.value == terrane::NAME || schema.value == terrane::NAME_BESIDE_USERS {
        let whole = format!("{}.{}", terrane::NAME, function.value.to_lowercase());
        name.0 = vec![ObjectNamePart::Identifier(Ident::new(whole))];
    }
}
