//! Casts of maps that do not go by their own text: to and from JSON, from arrays, and between maps.

use super::build::pairs;
use crate::error::{SqlError, SqlState};
use crate::session::info::SessionInfo;
use crate::session::response::WireType;
use crate::types::map::hstore::first_of_each;
use crate::types::style::TextStyle;
use crate::types::{jsonb, map, oid, text};
use arrow::array::builder::LargeBinaryBuilder;
use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::cell::map::in_order;
use terrane_client::columns::value_at;
use terrane_client::types::{DataType, MapForm, MapType};
use terrane_client::value::Value;

/// Casts a column that is of maps, or becomes one; `None` where text goes in or out, which the types' own functions
/// read and write.
pub fn array(
    array: &ArrayRef,
    source: WireType,
    target: WireType,
    info: &SessionInfo,
) -> Option<Result<ArrayRef, SqlError>> {
    let from = oid::map_type(source.oid, source.modifier);
    let to = oid::map_type(target.oid, target.modifier);
    let is_json = |type_oid: u32| matches!(type_oid, oid::JSON | oid::JSONB);
    let is_text = |type_oid: u32| matches!(type_oid, oid::TEXT | oid::VARCHAR | oid::BPCHAR);
    match (from, to) {
        (None, None) => None,
        (Some(from), Some(to)) if from == to => Some(Ok(Arc::clone(array))),
        (Some(from), Some(to)) => Some(between(array, &from, &to, info)),
        (Some(from), None) if is_json(target.oid) => Some(to_json(array, &from, target.oid, info)),
        (None, Some(to)) if is_json(source.oid) && to.form() == MapForm::Typed => {
            Some(read(array, &to, info))
        }
        (None, Some(to)) if source.oid == oid::TEXT_ARRAY && to.form() == MapForm::Hstore => {
            Some(of_texts(array, &to))
        }
        (Some(_), None) if is_text(target.oid) => None,
        (None, Some(_)) if is_text(source.oid) || source.oid == oid::UNKNOWN => None,
        (from, to) => {
            let name = |of: Option<MapType>, stated: WireType| {
                of.map_or_else(|| oid::format_type(stated.oid, None), |of| of.to_string())
            };
            let (from, to) = (name(from, source), name(to, target));
            let message = format!("cannot cast type {from} to {to}");
            Some(Err(SqlError::new(SqlState::CANNOT_COERCE, message)))
        }
    }
}

/// Maps of the cells of an array.
fn each(
    array: &ArrayRef,
    to: &MapType,
    value: impl Fn(usize) -> Result<Value, SqlError>,
) -> Result<ArrayRef, SqlError> {
    let mut out = LargeBinaryBuilder::new();
    for row in 0..array.len() {
        match array.is_null(row) {
            true => out.append_null(),
            false => out.append_value(map::to_cell(&value(row)?, to)?),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn entries_of(array: &ArrayRef, row: usize, of: &MapType) -> Result<Vec<(Value, Value)>, SqlError> {
    let bytes = array.as_binary_opt::<i64>().map(|cells| cells.value(row)).unwrap_or_default();
    map::open(bytes, of)?;
    let data_type = DataType::Map(Box::new(of.clone()));
    match cell::decode(bytes, &data_type) {
        Ok(Value::Map(entries)) => Ok(entries),
        Ok(_) => Err(SqlError::internal("a map's cell that holds no map")),
        Err(error) => Err(map::not_stored(&error)),
    }
}

/// Keys and values by way of their text.
fn between(
    array: &ArrayRef,
    from: &MapType,
    to: &MapType,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    let style = TextStyle { time_zone: info.style.time_zone.clone(), ..TextStyle::default() };
    let cast = |value: &Value, from: &DataType, to: &DataType| match value {
        Value::Null => Ok(Value::Null),
        value if from == to => Ok(value.clone()),
        value => text::parse(&text::to_string(value, from, &style), to, info.input()),
    };
    each(array, to, |row| {
        let entries = entries_of(array, row, from)?.into_iter().map(|(key, value)| {
            Ok((cast(&key, from.key(), to.key())?, cast(&value, from.value(), to.value())?))
        });
        Ok(Value::Map(in_order(entries.collect::<Result<_, SqlError>>()?)))
    })
}

/// An object, of strings where the map is hstore.
fn to_json(
    array: &ArrayRef,
    from: &MapType,
    target: u32,
    info: &SessionInfo,
) -> Result<ArrayRef, SqlError> {
    let texts = match from.form() {
        MapForm::Typed => None,
        MapForm::Hstore => MapType::new(DataType::Text, DataType::Text).ok(),
    };
    let written_as = texts.as_ref().unwrap_or(from);
    let mut out = StringViewBuilder::new();
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        bytes.clear();
        map::write(&entries_of(array, row, from)?, written_as, &info.style, &mut bytes);
        let json = std::str::from_utf8(&bytes)
            .map_err(|_| SqlError::internal("a map's JSON is not UTF-8"))?;
        match target {
            oid::JSONB => {
                let mut normal = String::new();
                jsonb::normalize(json, &mut normal)?;
                out.append_value(normal);
            }
            _ => out.append_value(json),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// JSON as a typed map.
fn read(array: &ArrayRef, to: &MapType, info: &SessionInfo) -> Result<ArrayRef, SqlError> {
    each(array, to, |row| match value_at(array.as_ref(), row, &DataType::Json) {
        Ok(Value::Text(json)) => map::parse(&json, to, info.input()),
        _ => Err(SqlError::internal("JSON that is no text")),
    })
}

/// `text[]` as hstore.
fn of_texts(array: &ArrayRef, to: &MapType) -> Result<ArrayRef, SqlError> {
    let texts = DataType::Array(Box::new(DataType::Text));
    each(array, to, |row| {
        let Ok(Value::Array(items)) = value_at(array.as_ref(), row, &texts) else {
            return Err(SqlError::internal("texts that are no array"));
        };
        let text = |item: Value| match item {
            Value::Text(text) => Some(text),
            _ => None,
        };
        let entries = pairs(items.into_iter().map(text).collect())?;
        Ok(Value::Map(first_of_each(entries)))
    })
}
