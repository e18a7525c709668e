//! `array[n]`, `map[key]` and `(row).field`.
//!
//! DataFusion counts from 1, and from the end where n is negative. PostgreSQL gives NULL for what is outside
//! of the array, and its int2vector and oidvector count from 0.

use super::cast::Cast;
use super::json;
use super::map;
use super::system::array::first_subscript;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::expr_fn::substring as substr;
use datafusion::logical_expr::planner::{PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, ScalarUDF, lit, when};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// The access with its subscript counted as DataFusion does.
pub(super) fn plan(
    access: RawFieldAccessExpr,
    schema: &DFSchema,
) -> Result<PlannerResult<RawFieldAccessExpr>> {
    let RawFieldAccessExpr { field_access, expr } = access;
    let (_, field) = expr.to_field(schema)?;
    let stated = oid::of_field(&field);
    if let Some(of) = oid::map_type(stated.oid, stated.modifier) {
        let key = match field_access {
            GetFieldAccess::ListIndex { key } => *key,
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
            GetFieldAccess::ListRange { .. } => {
                let message = format!("{of} allows only one subscript");
                return Err(external(SqlError::unsupported(message)));
            }
        };
        return map::operators::subscript(expr, &of, key).map(PlannerResult::Planned);
    }
    let field_access = match field_access {
        GetFieldAccess::ListIndex { key } if oid::of_field(&field).oid == oid::NAME => {
            return byte_of_name(expr, *key).map(PlannerResult::Planned);
        }
        GetFieldAccess::ListIndex { key } if matches!(field.data_type(), DataType::List(_)) => {
            GetFieldAccess::ListIndex { key: Box::new(position(*key, first_subscript(&field))?) }
        }
        GetFieldAccess::ListIndex { key } if oid::of_field(&field).oid == oid::JSONB => {
            return of_jsonb(expr, *key);
        }
        GetFieldAccess::NamedStructField { name } if oid::of_field(&field).oid == oid::JSONB => {
            return of_jsonb(expr, Expr::Literal(name, None));
        }
        GetFieldAccess::NamedStructField { name } => {
            check_field(&field, &name)?;
            GetFieldAccess::NamedStructField { name }
        }
        other => other,
    };
    Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }))
}

/// `document['key']` is `document -> 'key'`.
fn of_jsonb(document: Expr, key: Expr) -> Result<PlannerResult<RawFieldAccessExpr>> {
    match json::operation(&BinaryOperator::Arrow, oid::JSONB) {
        Some(arrow) => Ok(PlannerResult::Planned(arrow.function.call(vec![document, key]))),
        None => Err(external(SqlError::unsupported("subscripts of jsonb are not supported"))),
    }
}

/// A name is an array of 64 characters, counted from 0.
fn byte_of_name(name: Expr, key: Expr) -> Result<Expr> {
    let character = substr(name, position(key.clone(), 0)?, lit(1i64));
    let value = when(key.between(lit(0i64), lit(63i64)), character).end()?;
    let target = lit(format!("{}:-1", oid::CHAR));
    Ok(ScalarUDF::new_from_impl(Cast::default()).call(vec![value, target]))
}

/// A subscript as a position from 1; NULL where it is before the first.
fn position(key: Expr, first: i32) -> Result<Expr> {
    let shift = 1 - i64::from(first);
    if let Some(subscript) = constant(&key) {
        let position = subscript.checked_add(shift).filter(|position| *position >= 1);
        return Ok(lit(ScalarValue::Int64(position)));
    }
    let position = if shift == 0 { key.clone() } else { key.clone() + lit(shift) };
    when(key.gt_eq(lit(i64::from(first))), position).end()
}

fn constant(key: &Expr) -> Option<i64> {
    match key {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(*value),
        Expr::Literal(ScalarValue::Int32(Some(value)), _) => Some(i64::from(*value)),
        Expr::Cast(cast) => constant(&cast.expr),
        Expr::Negative(operand) => constant(operand)?.checked_neg(),
        _ => None,
    }
}

/// 42809 for a field of what has no fields, 42703 for one that is not there.
fn check_field(field: &arrow::datatypes::Field, name: &ScalarValue) -> Result<()> {
    let Some(name) = name.try_as_str().flatten() else { return Ok(()) };
    let error = match field.data_type() {
        DataType::Struct(fields) if fields.find(name).is_some() => return Ok(()),
        DataType::Struct(_) => SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" not found in data type record"),
        ),
        _ => {
            let shown = oid::format_type(oid::of_field(field).oid, None);
            let message = format!(
                "column notation .{name} applied to type {shown}, which is not a composite type"
            );
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
        }
    };
    Err(external(error))
}
