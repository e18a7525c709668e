//! Typed maps as JSON objects: keys as the text of their type, values as jsonb has them.

use super::type_name;
use crate::error::SqlError;
use crate::functions::json::build::with_minutes;
use crate::types::invalid;
use crate::types::json_tree::{Json, Kind};
use crate::types::jsonb::write_string;
use crate::types::style::TextStyle;
use crate::types::text::{self, InputContext};
use terrane_client::cell::map::in_order;
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;

/// Reads an object; of equal keys the last stays, as in jsonb.
pub(super) fn parse(
    source: &str,
    of: &MapType,
    context: InputContext<'_>,
) -> Result<Value, SqlError> {
    let json = Json::parse(source)?;
    let Kind::Object(members) = &json.kind else {
        return Err(invalid::syntax(&type_name(of), source)
            .with_detail("A map is written as a JSON object."));
    };
    let mut entries = Vec::with_capacity(members.len());
    for (key, member) in members {
        let key = text::parse(key, of.key(), context)?;
        entries.push((key, value_of(member, source, of.value(), context)?));
    }
    Ok(Value::Map(in_order(entries)))
}

/// A member as a value: `null` is NULL, a string its text, everything else as it is written.
fn value_of(
    member: &Json,
    source: &str,
    data_type: &DataType,
    context: InputContext<'_>,
) -> Result<Value, SqlError> {
    Ok(match (&member.kind, data_type) {
        (Kind::Null, _) => Value::Null,
        (_, DataType::Json) => Value::Text(source[member.place.clone()].to_owned()),
        (_, DataType::Jsonb) => Value::Text(member.jsonb()),
        (Kind::String(text), _) => text::parse(text, data_type, context)?,
        (_, _) => text::parse(&member.jsonb(), data_type, context)?,
    })
}

/// `"key": value`.
pub(super) fn write_entry(
    key: &Value,
    value: &Value,
    of: &MapType,
    style: &TextStyle,
    out: &mut Vec<u8>,
) {
    let mut json = String::new();
    match key {
        // As jsonb_object_agg() spells it.
        Value::Bool(key) => write_string(&key.to_string(), &mut json),
        key => write_string(&text::to_string(key, of.key(), style), &mut json),
    }
    json.push_str(": ");
    write_value(value, of.value(), style, &mut json);
    out.extend_from_slice(json.as_bytes());
}

fn write_value(value: &Value, data_type: &DataType, style: &TextStyle, out: &mut String) {
    let text = text::to_string(value, data_type, style);
    let is_number = || text.bytes().last().is_some_and(|byte| byte.is_ascii_digit());
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => out.push_str(&text),
        Value::Float4(_) | Value::Float8(_) | Value::Numeric(_) if is_number() => {
            out.push_str(&text);
        }
        Value::Text(json) if matches!(data_type, DataType::Json | DataType::Jsonb) => {
            out.push_str(json);
        }
        Value::Timestamp(_) => write_string(&text.replacen(' ', "T", 1), out),
        Value::TimestampTz(_) => write_string(&with_minutes(&text), out),
        _ => write_string(&text, out),
    }
}
