//! A [`Value`] as DataFusion's scalar, and back.

use super::column::{ColumnBuilder, arrow_interval};
use super::map;
use crate::error::SqlError;
use arrow::array::Array;
use arrow::datatypes::i256;
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::interval::Interval;
use terrane_client::numeric::Numeric;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// The scalar of Arrow type [`DataType::arrow`]. The value is of that type already, or NULL.
pub fn from_value(value: &Value, data_type: &DataType) -> Result<ScalarValue, SqlError> {
    let utc = || Some(Arc::from("UTC"));
    Ok(match (value, data_type) {
        (Value::Null, _) => null(data_type)?,
        (Value::Bool(v), DataType::Bool) => ScalarValue::Boolean(Some(*v)),
        (Value::Int2(v), DataType::Int2) => ScalarValue::Int16(Some(*v)),
        (Value::Int4(v), DataType::Int4) => ScalarValue::Int32(Some(*v)),
        (Value::Int8(v), DataType::Int8) => ScalarValue::Int64(Some(*v)),
        (Value::Float4(v), DataType::Float4) => ScalarValue::Float32(Some(*v)),
        (Value::Float8(v), DataType::Float8) => ScalarValue::Float64(Some(*v)),
        (Value::Numeric(v), DataType::Numeric(modifier)) => {
            match DataType::numeric_shape(*modifier) {
                (precision @ 0..=38, scale) => {
                    ScalarValue::Decimal128(v.unscaled.to_i128(), precision, scale)
                }
                (precision, scale) => ScalarValue::Decimal256(Some(v.unscaled), precision, scale),
            }
        }
        (Value::Text(v), data_type) if data_type.is_text() => {
            ScalarValue::Utf8View(Some(v.clone()))
        }
        (Value::Bytea(v), DataType::Bytea) => ScalarValue::BinaryView(Some(v.to_vec())),
        (Value::Date(v), DataType::Date) => ScalarValue::Date32(Some(*v)),
        (Value::Time(v), DataType::Time) => ScalarValue::Time64Microsecond(Some(*v)),
        (Value::Timestamp(v), DataType::Timestamp) => {
            ScalarValue::TimestampMicrosecond(Some(*v), None)
        }
        (Value::TimestampTz(v), DataType::TimestampTz) => {
            ScalarValue::TimestampMicrosecond(Some(*v), utc())
        }
        (Value::Interval(v), DataType::Interval) => {
            ScalarValue::IntervalMonthDayNano(Some(arrow_interval(*v)?))
        }
        (Value::Uuid(v), DataType::Uuid) => ScalarValue::FixedSizeBinary(16, Some(v.to_vec())),
        (Value::Map(_), DataType::Map(of)) => {
            ScalarValue::LargeBinary(Some(map::to_cell(value, of)?))
        }
        (Value::Array(_), DataType::Array(_)) => {
            let mut builder = ColumnBuilder::new(data_type, 1);
            builder.append_value(value)?;
            from_array(builder.finish().as_ref(), 0)?
        }
        _ => {
            return Err(SqlError::internal(format!("a value that is not of type {data_type:?}")));
        }
    })
}

fn null(data_type: &DataType) -> Result<ScalarValue, SqlError> {
    ScalarValue::try_from(&data_type.arrow()).map_err(|e| SqlError::internal(e.to_string()))
}

fn from_array(array: &dyn Array, row: usize) -> Result<ScalarValue, SqlError> {
    ScalarValue::try_from_array(array, row).map_err(|e| SqlError::internal(e.to_string()))
}

/// The value of a scalar that has Arrow type [`DataType::arrow`]; text of any Arrow string type.
pub fn to_value(scalar: &ScalarValue, data_type: &DataType) -> Result<Value, SqlError> {
    if scalar.is_null() {
        return Ok(Value::Null);
    }
    let numeric = |unscaled, scale| Value::Numeric(Numeric { unscaled, scale });
    Ok(match (scalar, data_type) {
        (ScalarValue::Boolean(Some(v)), DataType::Bool) => Value::Bool(*v),
        (ScalarValue::Int16(Some(v)), DataType::Int2) => Value::Int2(*v),
        (ScalarValue::Int32(Some(v)), DataType::Int4) => Value::Int4(*v),
        (ScalarValue::Int64(Some(v)), DataType::Int8) => Value::Int8(*v),
        (ScalarValue::Float32(Some(v)), DataType::Float4) => Value::Float4(*v),
        (ScalarValue::Float64(Some(v)), DataType::Float8) => Value::Float8(*v),
        (ScalarValue::Decimal128(Some(v), _, scale), DataType::Numeric(modifier))
            if *scale == DataType::numeric_shape(*modifier).1 =>
        {
            numeric(i256::from_i128(*v), *scale)
        }
        (ScalarValue::Decimal256(Some(v), _, scale), DataType::Numeric(modifier))
            if *scale == DataType::numeric_shape(*modifier).1 =>
        {
            numeric(*v, *scale)
        }
        (
            ScalarValue::Utf8(Some(v))
            | ScalarValue::LargeUtf8(Some(v))
            | ScalarValue::Utf8View(Some(v)),
            data_type,
        ) if data_type.is_text() => Value::Text(v.clone()),
        (
            ScalarValue::Binary(Some(v))
            | ScalarValue::LargeBinary(Some(v))
            | ScalarValue::BinaryView(Some(v)),
            DataType::Bytea,
        ) => Value::Bytea(Bytes::copy_from_slice(v)),
        (ScalarValue::Date32(Some(v)), DataType::Date) => Value::Date(*v),
        (ScalarValue::Time64Microsecond(Some(v)), DataType::Time) => Value::Time(*v),
        (ScalarValue::TimestampMicrosecond(Some(v), None), DataType::Timestamp) => {
            Value::Timestamp(*v)
        }
        (ScalarValue::TimestampMicrosecond(Some(v), Some(_)), DataType::TimestampTz) => {
            Value::TimestampTz(*v)
        }
        (ScalarValue::IntervalMonthDayNano(Some(v)), DataType::Interval) => {
            let micros = v.nanoseconds / 1000;
            Value::Interval(Interval { months: v.months, days: v.days, micros })
        }
        (ScalarValue::FixedSizeBinary(16, Some(v)), DataType::Uuid) => {
            let bytes = v.as_slice().try_into();
            Value::Uuid(bytes.map_err(|_| SqlError::internal("a uuid of other than 16 bytes"))?)
        }
        (ScalarValue::LargeBinary(Some(bytes)), DataType::Map(of)) => {
            map::open(bytes, of)?;
            cell::decode(bytes, data_type).map_err(|error| map::not_stored(&error))?
        }
        (ScalarValue::List(list), DataType::Array(element)) => {
            let elements = list.value(0);
            let values = (0..elements.len()).map(|i| to_value(&from_array(&elements, i)?, element));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        _ => {
            return Err(SqlError::internal(format!(
                "a scalar of type {} where {data_type:?} is due",
                scalar.data_type()
            )));
        }
    })
}
