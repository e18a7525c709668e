//! One value out of an Arrow column.

use crate::cell::{self, CellError};
use crate::interval::Interval;
use crate::numeric::Numeric;
use crate::types::DataType;
use crate::value::Value;
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType as ArrowType;
use arrow::datatypes::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, i256,
};
use bytes::Bytes;

/// The value at `row` of an array of [`DataType::arrow`]'s type, or for text and bytea of any string or
/// binary array, and for numerics of any decimal one. Nanoseconds below a microsecond, which no
/// interval of ours has, are cut off.
pub fn value_at(array: &dyn Array, row: usize, data_type: &DataType) -> Result<Value, CellError> {
    if row >= array.len() {
        return Err(CellError::Malformed { data_type: data_type.clone(), size: array.len() });
    }
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    read(array, row, data_type)?.ok_or_else(|| CellError::Mismatch(data_type.clone()))
}

/// `None`: the array is of another type.
fn read(array: &dyn Array, row: usize, data_type: &DataType) -> Result<Option<Value>, CellError> {
    macro_rules! primitive {
        ($type:ty) => {
            array.as_primitive_opt::<$type>().map(|array| array.value(row))
        };
    }
    Ok(match data_type {
        DataType::Bool => array.as_boolean_opt().map(|array| Value::Bool(array.value(row))),
        DataType::Int2 => primitive!(Int16Type).map(Value::Int2),
        DataType::Int4 => primitive!(Int32Type).map(Value::Int4),
        DataType::Int8 => primitive!(Int64Type).map(Value::Int8),
        DataType::Float4 => primitive!(Float32Type).map(Value::Float4),
        DataType::Float8 => primitive!(Float64Type).map(Value::Float8),
        DataType::Numeric(_) => match primitive!(Decimal128Type).map(i256::from_i128) {
            Some(unscaled) => decimal(array, unscaled),
            None => primitive!(Decimal256Type).and_then(|unscaled| decimal(array, unscaled)),
        },
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Json
        | DataType::Jsonb => text_at(array, row).map(|text| Value::Text(text.to_owned())),
        DataType::Bytea => {
            bytes_at(array, row).map(|bytes| Value::Bytea(Bytes::copy_from_slice(bytes)))
        }
        DataType::Date => primitive!(Date32Type).map(Value::Date),
        DataType::Time => primitive!(Time64MicrosecondType).map(Value::Time),
        DataType::Timestamp => primitive!(TimestampMicrosecondType).map(Value::Timestamp),
        DataType::TimestampTz => primitive!(TimestampMicrosecondType).map(Value::TimestampTz),
        DataType::Interval => primitive!(IntervalMonthDayNanoType).map(|interval| {
            let micros = interval.nanoseconds / 1_000;
            Value::Interval(Interval { months: interval.months, days: interval.days, micros })
        }),
        DataType::Uuid => array
            .as_fixed_size_binary_opt()
            .and_then(|array| array.value(row).try_into().ok())
            .map(Value::Uuid),
        DataType::Map(_) => match bytes_at(array, row) {
            None => None,
            Some(bytes) => Some(cell::decode(bytes, data_type)?),
        },
        DataType::Array(element) => match array.as_list_opt::<i32>() {
            None => None,
            Some(list) => {
                let elements = list.value(row);
                let values: Result<Vec<Value>, CellError> =
                    (0..elements.len()).map(|i| value_at(&elements, i, element)).collect();
                Some(Value::Array(values?))
            }
        },
    })
}

/// The text at `row` of any of Arrow's string arrays; `None` where it is no string array.
pub fn text_at(array: &dyn Array, row: usize) -> Option<&str> {
    match array.data_type() {
        ArrowType::Utf8View => array.as_string_view_opt().map(|array| array.value(row)),
        ArrowType::Utf8 => array.as_string_opt::<i32>().map(|array| array.value(row)),
        ArrowType::LargeUtf8 => array.as_string_opt::<i64>().map(|array| array.value(row)),
        _ => None,
    }
}

/// The bytes at `row` of any of Arrow's binary arrays; `None` where it is no binary array.
pub fn bytes_at(array: &dyn Array, row: usize) -> Option<&[u8]> {
    match array.data_type() {
        ArrowType::BinaryView => array.as_binary_view_opt().map(|array| array.value(row)),
        ArrowType::Binary => array.as_binary_opt::<i32>().map(|array| array.value(row)),
        ArrowType::LargeBinary => array.as_binary_opt::<i64>().map(|array| array.value(row)),
        _ => None,
    }
}

/// At the array's own scale.
fn decimal(array: &dyn Array, unscaled: i256) -> Option<Value> {
    match array.data_type() {
        ArrowType::Decimal128(_, scale) | ArrowType::Decimal256(_, scale) => {
            Numeric::new(unscaled, *scale).ok().map(Value::Numeric)
        }
        _ => None,
    }
}
