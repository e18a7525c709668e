//! One SQL value of any type: for literals, parameters, row programs and tests. Hot paths use
//! packed cells or Arrow arrays instead.

use crate::interval::Interval;
use crate::numeric::Numeric;
use crate::types::DataType;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A value, or NULL. The type itself is carried beside it, as a [`crate::types::DataType`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// SQL's NULL, of any type.
    Null,
    /// `boolean`
    Bool(bool),
    /// `smallint`
    Int2(i16),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// `numeric`, at the scale of its type
    Numeric(Numeric),
    /// `text`, `varchar`, `char` (without trailing blanks), `json`, `jsonb`
    Text(String),
    /// `bytea`
    Bytea(Bytes),
    /// `date`: days since 1970-01-01
    Date(i32),
    /// `time`: microseconds since midnight
    Time(i64),
    /// `timestamp`: microseconds since 1970-01-01 00:00
    Timestamp(i64),
    /// `timestamptz`: microseconds since 1970-01-01 00:00 UTC
    TimestampTz(i64),
    /// `interval`
    Interval(Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// A one-dimensional array; elements may be NULL
    Array(Vec<Value>),
    /// A map: keys ascending as [`Value::compare`] has them, each once and never NULL; values may be
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// True for NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}

/// A `float8` as SQL equates it: -0 is 0, and there is one NaN.
pub fn canonical_f64(value: f64) -> f64 {
    // The bits are spelled out because keys store them.
    if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value + 0.0 }
}

/// A `float4` as SQL equates it: -0 is 0, and there is one NaN.
pub fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value + 0.0 }
}

fn compare_f64(a: f64, b: f64) -> Ordering {
    // Only NaN has no partial order: it is equal to itself and greater than anything else.
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl Value {
    /// SQL's order of two values of one type, total: NULL last, NaN greatest, -0 equal to 0, text and
    /// bytea by byte, intervals by [`Interval::comparable_micros`], arrays by element and then length.
    /// Values of different types are ordered by type, so that the order stays total.
    pub fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int2(a), Value::Int2(b)) => a.cmp(b),
            (Value::Int4(a), Value::Int4(b)) | (Value::Date(a), Value::Date(b)) => a.cmp(b),
            (Value::Int8(a), Value::Int8(b))
            | (Value::Time(a), Value::Time(b))
            | (Value::Timestamp(a), Value::Timestamp(b))
            | (Value::TimestampTz(a), Value::TimestampTz(b)) => a.cmp(b),
            (Value::Float4(a), Value::Float4(b)) => compare_f64(f64::from(*a), f64::from(*b)),
            (Value::Float8(a), Value::Float8(b)) => compare_f64(*a, *b),
            (Value::Numeric(a), Value::Numeric(b)) => a.compare(b),
            (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
            (Value::Interval(a), Value::Interval(b)) => {
                a.comparable_micros().cmp(&b.comparable_micros())
            }
            (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
            (Value::Array(a), Value::Array(b)) => {
                let unequal = a.iter().zip(b).map(|(a, b)| a.compare(b)).find(|o| o.is_ne());
                unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            // SQL does not order maps; this order only makes equality total.
            (Value::Map(a), Value::Map(b)) => {
                let entry = |((ak, av), (bk, bv)): (&(Value, Value), &(Value, Value))| {
                    ak.compare(bk).then_with(|| av.compare(bv))
                };
                let unequal = a.iter().zip(b).map(entry).find(|o| o.is_ne());
                unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    /// Equal as `IS NOT DISTINCT FROM` has it.
    pub fn same(&self, other: &Value) -> bool {
        self.compare(other).is_eq()
    }

    /// Feeds a hasher so that values that are [`Value::same`] hash alike.
    pub fn hash_value<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Bool(v) => v.hash(state),
            Value::Int2(v) => v.hash(state),
            Value::Int4(v) | Value::Date(v) => v.hash(state),
            Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::TimestampTz(v) => {
                v.hash(state)
            }
            Value::Float4(v) => canonical_f32(*v).to_bits().hash(state),
            Value::Float8(v) => canonical_f64(*v).to_bits().hash(state),
            Value::Numeric(v) => v.hash_value(state),
            Value::Text(v) => v.hash(state),
            Value::Bytea(v) => v.hash(state),
            Value::Interval(v) => v.comparable_micros().hash(state),
            Value::Uuid(v) => v.hash(state),
            Value::Array(v) => v.iter().for_each(|element| element.hash_value(state)),
            Value::Map(v) => v.iter().for_each(|(key, value)| {
                key.hash_value(state);
                value.hash_value(state);
            }),
        }
    }

    /// The order between types; NULL is last.
    fn rank(&self) -> u8 {
        match self {
            Value::Bool(_) => 0,
            Value::Int2(_) => 1,
            Value::Int4(_) => 2,
            Value::Int8(_) => 3,
            Value::Float4(_) => 4,
            Value::Float8(_) => 5,
            Value::Numeric(_) => 6,
            Value::Text(_) => 7,
            Value::Bytea(_) => 8,
            Value::Date(_) => 9,
            Value::Time(_) => 10,
            Value::Timestamp(_) => 11,
            Value::TimestampTz(_) => 12,
            Value::Interval(_) => 13,
            Value::Uuid(_) => 14,
            Value::Array(_) => 15,
            Value::Map(_) => 16,
            Value::Null => u8::MAX,
        }
    }

    /// True where the value is NULL or one of `data_type`. Lengths and precisions are not checked.
    pub fn is_of(&self, data_type: &DataType) -> bool {
        match (self, data_type) {
            (Value::Null, _)
            | (Value::Bool(_), DataType::Bool)
            | (Value::Int2(_), DataType::Int2)
            | (Value::Int4(_), DataType::Int4)
            | (Value::Int8(_), DataType::Int8)
            | (Value::Float4(_), DataType::Float4)
            | (Value::Float8(_), DataType::Float8)
            | (Value::Numeric(_), DataType::Numeric(_))
            | (Value::Bytea(_), DataType::Bytea)
            | (Value::Date(_), DataType::Date)
            | (Value::Time(_), DataType::Time)
            | (Value::Timestamp(_), DataType::Timestamp)
            | (Value::TimestampTz(_), DataType::TimestampTz)
            | (Value::Interval(_), DataType::Interval)
            | (Value::Uuid(_), DataType::Uuid) => true,
            (Value::Text(_), data_type) => data_type.is_text(),
            (Value::Array(values), DataType::Array(element)) => {
                values.iter().all(|value| value.is_of(element))
            }
            (Value::Map(entries), DataType::Map(map)) => entries.iter().all(|(key, value)| {
                !key.is_null() && key.is_of(map.key()) && value.is_of(map.value())
            }),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
