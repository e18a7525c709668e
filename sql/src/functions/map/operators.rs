//! Which operator on maps means which function.

use super::{CONCAT, CONTAINS, DELETE, EXISTS, EXISTS_ALL, EXISTS_ANY, GET, GET_ALL, function};
use crate::error::{SqlError, SqlState};
use crate::functions::cast;
use crate::functions::mixture::type_of;
use crate::plan::errors::external;
use crate::plan::result_types::is_unknown;
use crate::session::response::WireType;
use crate::types::map::hstore;
use crate::types::oid;
use arrow::datatypes::Field;
use datafusion::common::{ExprSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::sql::sqlparser::ast::BinaryOperator as B;
use std::sync::Arc;
use terrane_client::types::{MapForm, MapType};

/// The call that an operator means where one of its operands is a map.
pub fn plan(op: &B, left: &Expr, right: &Expr, schema: &dyn ExprSchema) -> Result<Option<Expr>> {
    let found = |expr: &Expr| {
        let given = type_of(expr, schema)?;
        oid::map_type(given.oid, given.modifier).map(|of| (of, given))
    };
    let ((of, stated), map_is_left) = match (found(left), found(right)) {
        (Some(of), _) => (of, true),
        (None, Some(of)) => (of, false),
        (None, None) => return Ok(None),
    };
    // One that is too long is one that no map has.
    let key = oid::of_any_length(of.key());
    let keys = oid::wire(oid::array_of(key.oid).unwrap_or(oid::TEXT_ARRAY), key.modifier);
    let of_two = |name, swapped: bool| {
        for operand in [left, right] {
            check_operand(op, operand, [left, right], &found, schema)?;
        }
        let (left, right) = (known(left, stated)?, known(right, stated)?);
        call(name, if swapped { [right, left] } else { [left, right] })
    };
    match op {
        B::StringConcat => return of_two(CONCAT, false).map(Some),
        B::AtArrow => return of_two(CONTAINS, false).map(Some),
        B::ArrowAt => return of_two(CONTAINS, true).map(Some),
        _ if !map_is_left => return Ok(None),
        _ => {}
    }
    let is_list = |expr: &Expr| {
        type_of(expr, schema).is_some_and(|given| oid::element_of(given.oid).is_some())
    };
    let (name, wanted) = match op {
        B::Arrow if is_list(right) => (GET_ALL, keys),
        B::Arrow => (GET, key),
        B::Question => (EXISTS, key),
        B::QuestionPipe => (EXISTS_ANY, keys),
        B::QuestionAnd => (EXISTS_ALL, keys),
        B::Minus if is_list(right) => (DELETE, keys),
        B::Minus if found(right).is_some() || is_map_text(right, &of) => (DELETE, stated),
        B::Minus => (DELETE, key),
        _ => return Ok(None),
    };
    call(name, [left.clone(), known(right, wanted)?]).map(Some)
}

/// `m[k]`, for a map.
pub fn subscript(map: Expr, of: &MapType, key: Expr) -> Result<Expr> {
    let key = known(&key, oid::of_any_length(of.key()))?;
    call(GET, [map, key])
}

/// 42883 beside a map for what has a type and is none: PostgreSQL would make text of an hstore there.
fn check_operand(
    op: &B,
    operand: &Expr,
    both: [&Expr; 2],
    found: &dyn Fn(&Expr) -> Option<(MapType, WireType)>,
    schema: &dyn ExprSchema,
) -> Result<()> {
    let is_open = is_unknown(operand) || matches!(operand, Expr::Placeholder(_));
    if is_open || found(operand).is_some() || type_of(operand, schema).is_none() {
        return Ok(());
    }
    let name = |expr: &Expr| match type_of(expr, schema) {
        Some(given) => oid::format_type(given.oid, Some(given.modifier).filter(|m| *m >= 0)),
        None => "unknown".to_owned(),
    };
    let [left, right] = both.map(name);
    let message = format!("operator does not exist: {left} {op} {right}");
    Err(external(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    )))
}

fn call(name: &str, args: [Expr; 2]) -> Result<Expr> {
    match function(name) {
        Some(function) => Ok(function.call(args.to_vec())),
        None => Err(external(SqlError::internal(format!("no function {name}")))),
    }
}

/// A literal or a parameter without a type yet, as a type; text that is no such value is 22P02 here, and not first
/// where there are rows.
fn known(expr: &Expr, wanted: WireType) -> Result<Expr> {
    match expr {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Field::new("", oid::arrow(wanted.oid, wanted.modifier), true);
            let field = Some(Arc::new(oid::with_type(field, wanted)));
            Ok(Expr::Placeholder(Placeholder { id: id.clone(), field }))
        }
        Expr::Literal(scalar, _) if is_unknown(expr) => match text_of(scalar) {
            Some(text) => cast::literal(text, wanted),
            None => Ok(expr.clone()),
        },
        _ => Ok(expr.clone()),
    }
}

fn text_of(scalar: &ScalarValue) -> Option<&str> {
    scalar.try_as_str().flatten()
}

/// Text without a type behind `hstore -` is an hstore where it can be one, as in PostgreSQL, and a key where
/// PostgreSQL refuses it.
fn is_map_text(expr: &Expr, of: &MapType) -> bool {
    match expr {
        Expr::Literal(scalar, _) if of.form() == MapForm::Hstore && is_unknown(expr) => {
            text_of(scalar).is_some_and(|text| hstore::parse(text).is_ok())
        }
        _ => false,
    }
}
