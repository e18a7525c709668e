//! Text forms of maps: hstore's own (`"a"=>"1", "b"=>NULL`), and JSON objects for `map(k, v)`.
//!
//! A map's cell says its type ([`terrane_client::cell::map`]). Entries are written in the order of their keys.

pub mod hstore;
mod hstore_binary;
pub mod object;

pub use hstore_binary::{is_own_form, receive};

use super::oid;
use super::style::{ByteaOutput, DateStyle, IntervalStyle, TextStyle};
use super::text::InputContext;
use crate::error::{SqlError, SqlState};
use std::borrow::Cow;
use terrane_client::cell::map::{code_of, decode_key};
use terrane_client::cell::{self, CellError, MapCell};
use terrane_client::types::{DataType, MapForm, MapType};
use terrane_client::value::Value;

/// The input function of a map type.
pub fn parse(text: &str, of: &MapType, context: InputContext<'_>) -> Result<Value, SqlError> {
    match of.form() {
        MapForm::Hstore => hstore::parse(text),
        MapForm::Typed => object::parse(text, of, context),
    }
}

/// The output function of a map type.
pub fn write(entries: &[(Value, Value)], of: &MapType, style: &TextStyle, out: &mut Vec<u8>) {
    let style = plain(style);
    let mut writer = Writer::new(of, &style, out);
    entries.iter().for_each(|(key, value)| writer.entry(key, value));
    writer.close();
}

/// The output function, of a map's cell. Whatever the plan says of its type, the cell knows it.
pub fn write_cell(
    bytes: &[u8],
    of: &MapType,
    style: &TextStyle,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let own = match code_of(bytes) {
        Some(code) if code != of.code() => MapType::from_code(code.0, code.1),
        _ => None,
    };
    let of = own.as_ref().unwrap_or(of);
    let map = open(bytes, of)?;
    let style = plain(style);
    let mut writer = Writer::new(of, &style, out);
    for (key, value) in map.entries() {
        let key = decode_key(key, of).map_err(|_| damaged(of))?;
        let value = match value {
            None => Value::Null,
            Some(cell) => cell::decode(cell, of.value()).map_err(|_| damaged(of))?,
        };
        writer.entry(&key, &value);
    }
    writer.close();
    Ok(())
}

/// A map's cell, which is one of this type.
pub fn open<'a>(bytes: &'a [u8], of: &MapType) -> Result<MapCell<'a>, SqlError> {
    MapCell::new(bytes, of).ok_or_else(|| {
        let is_other = code_of(bytes).is_some_and(|code| code != of.code());
        match is_other {
            false => damaged(of),
            true => SqlError::unsupported("the type of a map expression is not known here")
                .with_hint("Cast the expression to its type."),
        }
    })
}

#[cold]
fn damaged(of: &MapType) -> SqlError {
    SqlError::internal(format!("bytes that are no {of}"))
}

/// What is said of a map that has no cell: a key or the whole is too long, a number does not fit.
pub fn not_stored(error: &CellError) -> SqlError {
    let state = match error {
        CellError::TooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        CellError::OutOfRange(_) => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        _ => SqlState::INTERNAL_ERROR,
    };
    SqlError::new(state, error.to_string())
}

/// A map as a cell.
pub fn to_cell(value: &Value, of: &MapType) -> Result<Vec<u8>, SqlError> {
    let mut cell = Vec::new();
    let data_type = DataType::Map(Box::new(of.clone()));
    cell::encode(value, &data_type, &mut cell).map_err(|error| not_stored(&error))?;
    Ok(cell)
}

/// A map type's name, as messages give it.
pub fn type_name(of: &MapType) -> String {
    let (code, modifier) = of.code();
    oid::format_type(oid::of_map_code(code), Some(modifier))
}

/// JSON does not depend on how a session likes its dates and bytes; only instants do on its zone.
fn plain(style: &TextStyle) -> Cow<'_, TextStyle> {
    let is_plain = style.date_style == DateStyle::Iso
        && style.bytea_output == ByteaOutput::Hex
        && style.interval_style == IntervalStyle::Postgres;
    match is_plain {
        true => Cow::Borrowed(style),
        false => Cow::Owned(TextStyle {
            time_zone: style.time_zone.clone(),
            date_order: style.date_order,
            extra_float_digits: style.extra_float_digits,
            ..TextStyle::default()
        }),
    }
}

struct Writer<'a> {
    of: &'a MapType,
    style: &'a TextStyle,
    out: &'a mut Vec<u8>,
    is_first: bool,
}

impl<'a> Writer<'a> {
    fn new(of: &'a MapType, style: &'a TextStyle, out: &'a mut Vec<u8>) -> Self {
        if of.form() == MapForm::Typed {
            out.push(b'{');
        }
        Self { of, style, out, is_first: true }
    }

    fn entry(&mut self, key: &Value, value: &Value) {
        if !std::mem::take(&mut self.is_first) {
            self.out.extend_from_slice(b", ");
        }
        match self.of.form() {
            MapForm::Hstore => hstore::write_entry(key, value, self.out),
            MapForm::Typed => object::write_entry(key, value, self.of, self.style, self.out),
        }
    }

    fn close(self) {
        if self.of.form() == MapForm::Typed {
            self.out.push(b'}');
        }
    }
}

#[cfg(test)]
mod tests;
