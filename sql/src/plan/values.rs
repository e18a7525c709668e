//! Values between Terrane's vocabulary and DataFusion's.

use crate::plan::errors::external;
use crate::types::map;
use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{IntervalMonthDayNano, i256};
use bytes::Bytes;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use terrane_client::cell;
use terrane_client::interval::Interval;
use terrane_client::numeric::Numeric;
use terrane_client::types::DataType;
use terrane_client::value::Value;

const NANOS_PER_MICRO: i64 = 1_000;

/// A scalar as a value of `data_type`. `None` where the scalar is of another type: nothing is converted
/// but integers of another width that fit.
pub fn from_scalar(scalar: &ScalarValue, data_type: &DataType) -> Option<Value> {
    if scalar.is_null() {
        return Some(Value::Null);
    }
    Some(match (data_type, scalar) {
        (DataType::Bool, ScalarValue::Boolean(Some(v))) => Value::Bool(*v),
        (DataType::Int2, _) => Value::Int2(integer(scalar)?.try_into().ok()?),
        (DataType::Int4, _) => Value::Int4(integer(scalar)?.try_into().ok()?),
        (DataType::Int8, _) => Value::Int8(integer(scalar)?),
        (DataType::Float4, ScalarValue::Float32(Some(v))) => Value::Float4(*v),
        (DataType::Float8, ScalarValue::Float64(Some(v))) => Value::Float8(*v),
        (DataType::Numeric(modifier), _) => {
            let (unscaled, scale) = match scalar {
                ScalarValue::Decimal128(Some(v), _, scale) => (i256::from_i128(*v), *scale),
                ScalarValue::Decimal256(Some(v), _, scale) => (*v, *scale),
                _ => return None,
            };
            (scale == DataType::numeric_shape(*modifier).1).then_some(())?;
            Value::Numeric(Numeric { unscaled, scale })
        }
        (
            DataType::Text | DataType::Varchar(_) | DataType::Json | DataType::Jsonb,
            ScalarValue::Utf8(Some(v))
            | ScalarValue::Utf8View(Some(v))
            | ScalarValue::LargeUtf8(Some(v)),
        ) => Value::Text(v.clone()),
        // Blanks at the end of a char(n) do not count, and are not stored.
        (
            DataType::Char(_),
            ScalarValue::Utf8(Some(v))
            | ScalarValue::Utf8View(Some(v))
            | ScalarValue::LargeUtf8(Some(v)),
        ) => Value::Text(v.trim_end_matches(' ').to_owned()),
        (
            DataType::Bytea,
            ScalarValue::Binary(Some(v))
            | ScalarValue::BinaryView(Some(v))
            | ScalarValue::LargeBinary(Some(v)),
        ) => Value::Bytea(Bytes::copy_from_slice(v)),
        (DataType::Date, ScalarValue::Date32(Some(v))) => Value::Date(*v),
        (DataType::Time, ScalarValue::Time64Microsecond(Some(v))) => Value::Time(*v),
        (DataType::Timestamp, ScalarValue::TimestampMicrosecond(Some(v), None)) => {
            Value::Timestamp(*v)
        }
        (DataType::TimestampTz, ScalarValue::TimestampMicrosecond(Some(v), Some(_))) => {
            Value::TimestampTz(*v)
        }
        (DataType::Interval, ScalarValue::IntervalMonthDayNano(Some(v))) => {
            Value::Interval(interval_from_arrow(*v))
        }
        (DataType::Uuid, ScalarValue::FixedSizeBinary(16, Some(v))) => {
            Value::Uuid(v.as_slice().try_into().ok()?)
        }
        (DataType::Map(_), ScalarValue::LargeBinary(Some(bytes))) => {
            cell::decode(bytes, data_type).ok()?
        }
        (DataType::Array(element), ScalarValue::List(list)) => {
            Value::Array(elements(&list.value(0), element)?)
        }
        _ => return None,
    })
}

fn elements(array: &ArrayRef, element: &DataType) -> Option<Vec<Value>> {
    (0..array.len())
        .map(|at| from_scalar(&ScalarValue::try_from_array(array, at).ok()?, element))
        .collect()
}

fn integer(scalar: &ScalarValue) -> Option<i64> {
    match scalar {
        ScalarValue::Int8(v) => v.map(i64::from),
        ScalarValue::Int16(v) => v.map(i64::from),
        ScalarValue::Int32(v) => v.map(i64::from),
        ScalarValue::Int64(v) => *v,
        _ => None,
    }
}

/// Arrow's interval has nanoseconds; PostgreSQL's microseconds.
pub fn interval_from_arrow(v: IntervalMonthDayNano) -> Interval {
    Interval { months: v.months, days: v.days, micros: v.nanoseconds / NANOS_PER_MICRO }
}

/// An interval as Arrow holds it; one of more than 292 years of microseconds does not fit.
pub fn interval_to_arrow(v: Interval) -> Option<IntervalMonthDayNano> {
    let nanoseconds = v.micros.checked_mul(NANOS_PER_MICRO)?;
    Some(IntervalMonthDayNano { months: v.months, days: v.days, nanoseconds })
}

/// A value as a scalar of its type's Arrow form.
pub fn to_scalar(value: &Value, data_type: &DataType) -> Result<ScalarValue> {
    let out_of_range = || DataFusionError::Execution("interval out of range".to_owned());
    Ok(match (value, data_type) {
        (Value::Null, _) => ScalarValue::try_from(&data_type.arrow())?,
        (Value::Bool(v), _) => ScalarValue::Boolean(Some(*v)),
        (Value::Int2(v), _) => ScalarValue::Int16(Some(*v)),
        (Value::Int4(v), _) => ScalarValue::Int32(Some(*v)),
        (Value::Int8(v), _) => ScalarValue::Int64(Some(*v)),
        (Value::Float4(v), _) => ScalarValue::Float32(Some(*v)),
        (Value::Float8(v), _) => ScalarValue::Float64(Some(*v)),
        (Value::Numeric(v), DataType::Numeric(modifier)) => {
            let (precision, scale) = DataType::numeric_shape(*modifier);
            match v.unscaled.to_i128() {
                Some(unscaled) if precision <= 38 => {
                    ScalarValue::Decimal128(Some(unscaled), precision, scale)
                }
                _ => ScalarValue::Decimal256(Some(v.unscaled), precision, scale),
            }
        }
        (Value::Numeric(v), _) => ScalarValue::Decimal256(Some(v.unscaled), 76, v.scale),
        (Value::Text(v), _) => ScalarValue::Utf8View(Some(v.clone())),
        (Value::Bytea(v), _) => ScalarValue::BinaryView(Some(v.to_vec())),
        (Value::Date(v), _) => ScalarValue::Date32(Some(*v)),
        (Value::Time(v), _) => ScalarValue::Time64Microsecond(Some(*v)),
        (Value::Timestamp(v), _) => ScalarValue::TimestampMicrosecond(Some(*v), None),
        (Value::TimestampTz(v), _) => {
            ScalarValue::TimestampMicrosecond(Some(*v), Some("UTC".into()))
        }
        (Value::Interval(v), _) => {
            ScalarValue::IntervalMonthDayNano(Some(interval_to_arrow(*v).ok_or_else(out_of_range)?))
        }
        (Value::Uuid(v), _) => ScalarValue::FixedSizeBinary(16, Some(v.to_vec())),
        (Value::Map(_), DataType::Map(of)) => {
            ScalarValue::LargeBinary(Some(map::to_cell(value, of).map_err(external)?))
        }
        (Value::Map(_), _) => {
            return Err(DataFusionError::Internal("a map of no map type".to_owned()));
        }
        (Value::Array(items), DataType::Array(element)) => {
            let items: Vec<_> =
                items.iter().map(|item| to_scalar(item, element)).collect::<Result<_>>()?;
            ScalarValue::List(ScalarValue::new_list_nullable(&items, &element.arrow()))
        }
        (Value::Array(_), _) => {
            return Err(DataFusionError::Internal("an array of no array type".to_owned()));
        }
    })
}
