//! One SQL value of any type: for literals, parameters, row programs and tests. Hot paths use
//! packed cells or Arrow arrays instead.

use crate::interval::Interval;
use crate::numeric::Numeric;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

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
}

impl Value {
    /// True for NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}
