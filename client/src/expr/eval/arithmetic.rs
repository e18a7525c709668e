//! `+ - * / % ||` and unary minus.

use super::datetime;
use crate::cell::CELL_BYTES_MAX;
use crate::expr::{BinaryOp, ExprError};
use crate::types::DataType;
use crate::value::Value;

/// A bare numeric comes from its cell with twenty fractional digits that nobody declared; PostgreSQL's scale
/// of a quotient counts only those that were written.
pub(super) fn undeclared(value: Value) -> Value {
    match value {
        Value::Numeric(numeric) => Value::Numeric(numeric.trimmed()),
        other => other,
    }
}

/// `a op b` for every operator that is no comparison.
pub(super) fn binary(
    op: BinaryOp,
    a: Value,
    b: Value,
    result: &DataType,
) -> Result<Value, ExprError> {
    if a.is_null() || b.is_null() {
        return Ok(match (op, a, b) {
            // array_cat takes NULL for an empty array.
            (BinaryOp::Concat, array @ Value::Array(_), _)
            | (BinaryOp::Concat, _, array @ Value::Array(_)) => array,
            _ => Value::Null,
        });
    }
    match (a, b) {
        (Value::Int2(a), Value::Int2(b)) => {
            let wide = integer(op, i128::from(a), i128::from(b), result)?;
            wide.try_into().map(Value::Int2).map_err(|_| out_of_range(&DataType::Int2))
        }
        (Value::Int4(a), Value::Int4(b)) => {
            let wide = integer(op, i128::from(a), i128::from(b), result)?;
            wide.try_into().map(Value::Int4).map_err(|_| out_of_range(&DataType::Int4))
        }
        (Value::Int8(a), Value::Int8(b)) => {
            let wide = integer(op, i128::from(a), i128::from(b), result)?;
            wide.try_into().map(Value::Int8).map_err(|_| out_of_range(&DataType::Int8))
        }
        (Value::Float4(a), Value::Float4(b)) => float4(op, a, b).map(Value::Float4),
        (Value::Float8(a), Value::Float8(b)) => float8(op, a, b).map(Value::Float8),
        (Value::Numeric(a), Value::Numeric(b)) => {
            let value = match op {
                BinaryOp::Add => a.plus(b),
                BinaryOp::Subtract => a.minus(b),
                BinaryOp::Multiply => a.times(b),
                BinaryOp::Divide => a.divided_by(b),
                BinaryOp::Modulo => a.modulo(b),
                _ => return Err(no_operator(op, result)),
            }?;
            Ok(Value::Numeric(match result {
                DataType::Numeric(Some((p, s))) => value.to_declared(*p, *s)?,
                _ => value,
            }))
        }
        (a, b) if op == BinaryOp::Concat => concat(a, b),
        (a, b) => datetime::binary(op, a, b),
    }
}

fn out_of_range(data_type: &DataType) -> ExprError {
    ExprError::OutOfRange(data_type.to_string())
}

fn no_operator(op: BinaryOp, result: &DataType) -> ExprError {
    ExprError::IllTyped(format!("no operator {op:?} yields {result}"))
}

/// Integer arithmetic, wide enough that only the final narrowing can fail.
fn integer(op: BinaryOp, a: i128, b: i128, result: &DataType) -> Result<i128, ExprError> {
    match op {
        BinaryOp::Add => Ok(a + b),
        BinaryOp::Subtract => Ok(a - b),
        // Two 64-bit factors fit 128 bits.
        BinaryOp::Multiply => Ok(a * b),
        BinaryOp::Divide => a.checked_div(b).ok_or(ExprError::DivisionByZero),
        BinaryOp::Modulo => a.checked_rem(b).ok_or(ExprError::DivisionByZero),
        _ => Err(no_operator(op, result)),
    }
}

macro_rules! float {
    ($name:ident, $type:ty) => {
        /// PostgreSQL's float arithmetic: a finite operation that yields an infinity, or a zero from
        /// factors that are none, is an error.
        fn $name(op: BinaryOp, a: $type, b: $type) -> Result<$type, ExprError> {
            let overflow = || Err(ExprError::OutOfRange("value".to_owned()));
            let value = match op {
                BinaryOp::Add => a + b,
                BinaryOp::Subtract => a - b,
                BinaryOp::Multiply => a * b,
                BinaryOp::Divide if b == 0.0 && !a.is_nan() => {
                    return Err(ExprError::DivisionByZero);
                }
                BinaryOp::Divide => a / b,
                _ => return Err(ExprError::IllTyped(format!("no operator {op:?} of floats"))),
            };
            // Only the dividend's infinity excuses a quotient's; the divisor's gives zero.
            let infinite_in = match op {
                BinaryOp::Divide => a.is_infinite(),
                _ => a.is_infinite() || b.is_infinite(),
            };
            let zero_in = match op {
                BinaryOp::Multiply => a == 0.0 || b == 0.0,
                BinaryOp::Divide => a == 0.0 || b.is_infinite(),
                _ => true,
            };
            if (value.is_infinite() && !infinite_in) || (value == 0.0 && !zero_in) {
                return overflow();
            }
            Ok(value)
        }
    };
}

float!(float4, f32);
float!(float8, f64);

fn concat(a: Value, b: Value) -> Result<Value, ExprError> {
    let limit = |size: usize| match size {
        size if size > CELL_BYTES_MAX => Err(ExprError::TooLarge(size)),
        _ => Ok(()),
    };
    match (a, b) {
        (Value::Text(mut a), Value::Text(b)) => {
            limit(a.len() + b.len())?;
            a.push_str(&b);
            Ok(Value::Text(a))
        }
        (Value::Bytea(a), Value::Bytea(b)) => {
            limit(a.len() + b.len())?;
            Ok(Value::Bytea([a, b].concat().into()))
        }
        (Value::Array(mut a), Value::Array(b)) => {
            limit(a.len() + b.len())?;
            a.extend(b);
            Ok(Value::Array(a))
        }
        _ => Err(ExprError::IllTyped("|| of what cannot be put together".to_owned())),
    }
}

/// `-value`
pub(super) fn negate(value: Value) -> Result<Value, ExprError> {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Int2(v) => {
            Value::Int2(v.checked_neg().ok_or_else(|| out_of_range(&DataType::Int2))?)
        }
        Value::Int4(v) => {
            Value::Int4(v.checked_neg().ok_or_else(|| out_of_range(&DataType::Int4))?)
        }
        Value::Int8(v) => {
            Value::Int8(v.checked_neg().ok_or_else(|| out_of_range(&DataType::Int8))?)
        }
        Value::Float4(v) => Value::Float4(-v),
        Value::Float8(v) => Value::Float8(-v),
        Value::Numeric(v) => Value::Numeric(v.negated()),
        Value::Interval(v) => Value::Interval(datetime::negated(v)?),
        _ => return Err(ExprError::IllTyped("unary minus of what is no number".to_owned())),
    })
}
