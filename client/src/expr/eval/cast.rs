//! [`crate::expr::Expr::Cast`]: PostgreSQL's assignment casts.

use super::datetime;
use crate::expr::ExprError;
use crate::numeric::Numeric;
use crate::types::DataType;
use crate::value::Value;

/// Significant digits a float keeps on its way to numeric (C's `DBL_DIG`, `FLT_DIG`).
const FLOAT8_DIGITS: usize = 15;
const FLOAT4_DIGITS: usize = 6;

/// `value`, of type `from`, as a `to`.
pub(super) fn cast(value: Value, from: &DataType, to: &DataType) -> Result<Value, ExprError> {
    match (value, to) {
        (Value::Null, _) => Ok(Value::Null),
        (value, DataType::Int2) => {
            integer(value, to)?.try_into().map(Value::Int2).map_err(|_| out_of_range(to))
        }
        (value, DataType::Int4) => {
            integer(value, to)?.try_into().map(Value::Int4).map_err(|_| out_of_range(to))
        }
        (value, DataType::Int8) => {
            integer(value, to)?.try_into().map(Value::Int8).map_err(|_| out_of_range(to))
        }
        (value, DataType::Float4) => float4(value).map(Value::Float4),
        (value, DataType::Float8) => float8(value).map(Value::Float8),
        (value, DataType::Numeric(modifier)) => numeric(value, *modifier).map(Value::Numeric),
        (Value::Int4(v), DataType::Bool) => Ok(Value::Bool(v != 0)),
        (Value::Date(v), DataType::Timestamp) => Ok(Value::Timestamp(datetime::midnight(v)?)),
        (Value::Timestamp(v), DataType::Date) => Ok(Value::Date(datetime::date_of(v))),
        (Value::Timestamp(v), DataType::Time) => {
            Ok(datetime::time_of(v).map_or(Value::Null, Value::Time))
        }
        (value, DataType::Text | DataType::Varchar(_) | DataType::Char(_)) => {
            fit(text(value, from)?, to).map(Value::Text)
        }
        (value, to) if value.is_of(to) => Ok(value),
        (_, to) => Err(no_cast(from, to)),
    }
}

fn out_of_range(data_type: &DataType) -> ExprError {
    let name = match data_type {
        // PostgreSQL names floats and numerics by their value.
        DataType::Float4 | DataType::Float8 => "value".to_owned(),
        other => other.to_string(),
    };
    ExprError::OutOfRange(name)
}

fn no_cast(from: &DataType, to: &DataType) -> ExprError {
    ExprError::IllTyped(format!("no cast from {from} to {to}"))
}

fn integer(value: Value, to: &DataType) -> Result<i128, ExprError> {
    Ok(match value {
        Value::Bool(v) if *to == DataType::Int4 => i128::from(v),
        Value::Int2(v) => i128::from(v),
        Value::Int4(v) => i128::from(v),
        Value::Int8(v) => i128::from(v),
        Value::Float4(v) => rint(f64::from(v), to)?,
        Value::Float8(v) => rint(v, to)?,
        // round() is half away from zero, as numeric to integer is in PostgreSQL.
        Value::Numeric(v) => v.round(0)?.unscaled.to_i128().ok_or_else(|| out_of_range(to))?,
        _ => return Err(ExprError::IllTyped(format!("no cast to {to}"))),
    })
}

/// C's `rint`: half to even, as float to integer is in PostgreSQL.
fn rint(value: f64, to: &DataType) -> Result<i128, ExprError> {
    // Beyond 2^64 no integer type holds it; NaN fails the comparison.
    if value.abs() < 2f64.powi(64) {
        Ok(value.round_ties_even() as i128)
    } else {
        Err(out_of_range(to))
    }
}

fn float8(value: Value) -> Result<f64, ExprError> {
    Ok(match value {
        Value::Int2(v) => f64::from(v),
        Value::Int4(v) => f64::from(v),
        Value::Int8(v) => v as f64,
        Value::Float4(v) => f64::from(v),
        Value::Float8(v) => v,
        Value::Numeric(v) => parse_float(v)?,
        _ => return Err(ExprError::IllTyped("no cast to double precision".to_owned())),
    })
}

fn float4(value: Value) -> Result<f32, ExprError> {
    let narrow = match value {
        // By way of f64 these would be rounded twice.
        Value::Int8(v) => return Ok(v as f32),
        Value::Numeric(v) => {
            let narrow: f32 = parse_float(v)?;
            let lost = narrow == 0.0 && !v.is_zero();
            return if narrow.is_infinite() || lost {
                Err(out_of_range(&DataType::Float4))
            } else {
                Ok(narrow)
            };
        }
        Value::Float4(v) => return Ok(v),
        other => float8(other)?,
    };
    let result = narrow as f32;
    let overflow = result.is_infinite() && !narrow.is_infinite();
    let underflow = result == 0.0 && narrow != 0.0;
    if overflow || underflow { Err(out_of_range(&DataType::Float4)) } else { Ok(result) }
}

fn parse_float<F: std::str::FromStr>(value: Numeric) -> Result<F, ExprError> {
    value.to_string().parse().map_err(|_| ExprError::IllTyped("numeric text".to_owned()))
}

fn numeric(value: Value, modifier: Option<(u8, i8)>) -> Result<Numeric, ExprError> {
    let exact = match value {
        Value::Int2(v) => Numeric::from_i64(i64::from(v)),
        Value::Int4(v) => Numeric::from_i64(i64::from(v)),
        Value::Int8(v) => Numeric::from_i64(v),
        Value::Float4(v) => from_float(f64::from(v), FLOAT4_DIGITS)?,
        Value::Float8(v) => from_float(v, FLOAT8_DIGITS)?,
        Value::Numeric(v) => v,
        _ => return Err(ExprError::IllTyped("no cast to numeric".to_owned())),
    };
    Ok(match modifier {
        Some((precision, scale)) => exact.to_declared(precision, scale)?,
        None => exact,
    })
}

/// As PostgreSQL: through `%.15g`, or `%.6g` for `real`.
fn from_float(value: f64, digits: usize) -> Result<Numeric, ExprError> {
    if !value.is_finite() {
        return Err(ExprError::OutOfRange("numeric".to_owned()));
    }
    let text = format!("{value:.precision$e}", precision = digits - 1);
    // %g drops trailing zeros, which the parsed scale would keep.
    Ok(text.parse::<Numeric>()?.trimmed())
}

fn text(value: Value, from: &DataType) -> Result<String, ExprError> {
    Ok(match value {
        Value::Text(v) if matches!(from, DataType::Char(_)) => v.trim_end_matches(' ').to_owned(),
        Value::Text(v) => v,
        Value::Bool(v) => if v { "true" } else { "false" }.to_owned(),
        Value::Int2(v) => v.to_string(),
        Value::Int4(v) => v.to_string(),
        Value::Int8(v) => v.to_string(),
        Value::Numeric(v) if *from == DataType::Numeric(None) => v.trimmed().to_string(),
        Value::Numeric(v) => v.to_string(),
        _ => return Err(ExprError::IllTyped(format!("no cast from {from} to text"))),
    })
}

/// Text as varchar(n) or char(n) stores it: what is cut off must be blanks.
fn fit(mut text: String, to: &DataType) -> Result<String, ExprError> {
    let limit = match to {
        DataType::Varchar(Some(n)) => *n as usize,
        DataType::Char(n) => {
            text.truncate(text.trim_end_matches(' ').len());
            *n as usize
        }
        _ => return Ok(text),
    };
    // Bytes are no fewer than characters: the common case needs no counting.
    if text.len() <= limit {
        return Ok(text);
    }
    if let Some((cut, _)) = text.char_indices().nth(limit) {
        if text[cut..].bytes().any(|byte| byte != b' ') {
            return Err(ExprError::TooLong(to.to_string()));
        }
        text.truncate(cut);
    }
    Ok(text)
}
