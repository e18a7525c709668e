//! Entry points for fuzzing: whatever the bytes, these return.

use super::style::{DateOrder, IntervalStyle, TextStyle};
use super::text::{InputContext, parse, write};
use super::{binary, integer, string};
use bytes::Bytes;
use terrane_client::types::DataType;

/// Every type that has a text or binary form of its own.
pub const TYPES: &[DataType] = &[
    DataType::Bool,
    DataType::Int2,
    DataType::Int4,
    DataType::Int8,
    DataType::Float4,
    DataType::Float8,
    DataType::Numeric(None),
    DataType::Numeric(Some((10, 2))),
    DataType::Numeric(Some((38, 37))),
    DataType::Numeric(Some((76, 0))),
    DataType::Text,
    DataType::Varchar(Some(5)),
    DataType::Char(5),
    DataType::Bytea,
    DataType::Date,
    DataType::Time,
    DataType::Timestamp,
    DataType::TimestampTz,
    DataType::Interval,
    DataType::Uuid,
    DataType::Json,
    DataType::Jsonb,
];

/// Text and binary input of every type, and of arrays of it; what is read is written again. The first byte
/// chooses the type and the style.
pub fn fuzz_types(data: &[u8]) {
    let [choice, data @ ..] = data else { return };
    let element = &TYPES[usize::from(*choice) % TYPES.len()];
    let mut style = TextStyle::default();
    if choice & 0x80 != 0 {
        style.date_order = DateOrder::Ymd;
        style.interval_style = IntervalStyle::SqlStandard;
        style.extra_float_digits = -15;
        style.time_zone = super::style::TimeZone::Named(chrono_tz::Europe::Berlin);
    }
    let context = InputContext { style: &style, now_micros: 1 };
    let array = DataType::Array(Box::new(element.clone()));
    let bytes = Bytes::copy_from_slice(data);
    let mut out = Vec::new();
    for data_type in [element, &array] {
        if let Ok(value) = string::utf8(data).and_then(|text| parse(text, data_type, context)) {
            write(&value, data_type, &style, &mut out);
            binary::send(&value, data_type, &mut out);
        }
        if let Ok(value) = binary::receive(&bytes, data_type) {
            write(&value, data_type, &style, &mut out);
            binary::send(&value, data_type, &mut out);
        }
    }
    if let Ok(text) = string::utf8(data) {
        let _ = integer::parse_oid(text);
    }
}
