//! Text forms of a [`Value`]: every type's input and output function behind one door.
//!
//! For literals, parameters and casts. COPY and row encoding go through [`super::column`] and
//! `wire::encode`, which need no value in between.

use super::array::{Element, Elements, quote_from};
use super::datetime::decode::Context;
use super::datetime::{input, interval, interval_output, output};
use super::style::TextStyle;
use super::{boolean, bytea, float, integer, json, jsonb, map, numeric, oid, string, uuid};
use crate::error::SqlError;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// What text input depends on besides the text.
#[derive(Clone, Copy, Debug)]
pub struct InputContext<'a> {
    /// The session's settings.
    pub style: &'a TextStyle,
    /// `now`: the transaction's time, microseconds since 1970-01-01 UTC.
    pub now_micros: i64,
}

impl<'a> InputContext<'a> {
    /// What dates depend on.
    #[inline]
    pub fn date(&self) -> Context<'a> {
        Context {
            order: self.style.date_order,
            zone: &self.style.time_zone,
            now_micros: self.now_micros,
        }
    }
}

/// The type's input function.
pub fn parse(
    text: &str,
    data_type: &DataType,
    context: InputContext<'_>,
) -> Result<Value, SqlError> {
    Ok(match data_type {
        DataType::Bool => Value::Bool(boolean::parse(text)?),
        DataType::Int2 => Value::Int2(integer::parse(text)?),
        DataType::Int4 => Value::Int4(integer::parse(text)?),
        DataType::Int8 => Value::Int8(integer::parse(text)?),
        DataType::Float4 => Value::Float4(float::parse(text)?),
        DataType::Float8 => Value::Float8(float::parse(text)?),
        DataType::Numeric(modifier) => Value::Numeric(numeric::parse(text, *modifier)?),
        DataType::Text => Value::Text(text.to_owned()),
        DataType::Varchar(limit) => Value::Text(string::varchar(text, *limit)?.to_owned()),
        DataType::Char(length) => Value::Text(string::bpchar(text, *length)?.to_owned()),
        DataType::Bytea => {
            let mut bytes = Vec::new();
            bytea::parse(text.as_bytes(), &mut bytes)?;
            Value::Bytea(bytes.into())
        }
        DataType::Date => Value::Date(input::date(text, context.date())?),
        DataType::Time => Value::Time(input::time(text, context.date())?),
        DataType::Timestamp => Value::Timestamp(input::timestamp(text, context.date())?),
        DataType::TimestampTz => Value::TimestampTz(input::timestamptz(text, context.date())?),
        DataType::Interval => Value::Interval(interval::parse(text, context.style.interval_style)?),
        DataType::Uuid => Value::Uuid(uuid::parse(text)?),
        DataType::Json => {
            json::validate(text)?;
            Value::Text(text.to_owned())
        }
        DataType::Jsonb => {
            let mut normal = String::new();
            jsonb::normalize(text, &mut normal)?;
            Value::Text(normal)
        }
        DataType::Map(of) => map::parse(text, of, context)?,
        DataType::Array(element) => {
            let mut elements = Elements::new(text)?;
            let mut buffer = Vec::new();
            let mut values = Vec::new();
            while let Some(item) = elements.next(&mut buffer)? {
                values.push(match item {
                    Element::Null => Value::Null,
                    Element::Text(text) => parse(text, element, context)?,
                });
            }
            Value::Array(values)
        }
    })
}

/// The type's output function; NULL writes nothing, its absence is told otherwise.
pub fn write(value: &Value, data_type: &DataType, style: &TextStyle, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => boolean::write(*value, out),
        Value::Int2(value) => integer::write(*value, out),
        Value::Int4(value) => integer::write(*value, out),
        Value::Int8(value) => integer::write(*value, out),
        Value::Float4(value) => float::write(*value, style.extra_float_digits, out),
        Value::Float8(value) => float::write(*value, style.extra_float_digits, out),
        Value::Numeric(value) => {
            let bare = matches!(data_type, DataType::Numeric(None));
            numeric::write_i256(value.unscaled, value.scale, bare, out);
        }
        Value::Text(text) => match data_type {
            DataType::Char(length) => string::write_bpchar(text, *length, out),
            _ => out.extend_from_slice(text.as_bytes()),
        },
        Value::Bytea(bytes) => bytea::write(bytes, style.bytea_output, out),
        Value::Date(days) => output::write_date(*days, style, out),
        Value::Time(micros) => output::write_time(*micros, out),
        Value::Timestamp(micros) => output::write_timestamp(*micros, style, out),
        Value::TimestampTz(micros) => output::write_timestamptz(*micros, style, out),
        Value::Interval(value) => interval_output::write(value, style.interval_style, out),
        Value::Uuid(bytes) => uuid::write(bytes, out),
        Value::Map(entries) => {
            if let DataType::Map(of) = data_type {
                map::write(entries, of, style, out);
            }
        }
        Value::Array(values) => {
            let element = match data_type {
                DataType::Array(element) => element.as_ref(),
                other => other,
            };
            out.push(b'{');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                if value.is_null() {
                    out.extend_from_slice(b"NULL");
                    continue;
                }
                let start = out.len();
                write(value, element, style, out);
                quote_from(start, out);
            }
            out.push(b'}');
        }
    }
}

/// The output function's text as a string; every one of them is UTF-8.
pub fn to_string(value: &Value, data_type: &DataType, style: &TextStyle) -> String {
    let mut out = Vec::new();
    write(value, data_type, style, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The SQL name of a type, as messages give it.
pub fn type_name(data_type: &DataType) -> String {
    let wire = oid::of(data_type);
    oid::format_type(wire.oid, (wire.modifier >= 0).then_some(wire.modifier))
}
