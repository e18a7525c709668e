//! Binary forms of a [`Value`]: every type's receive and send function behind one door.

use super::datetime::infinity::{date_to_wire, timestamp_to_wire};
use super::datetime::input;
use super::style::TextStyle;
use super::text::InputContext;
use super::{invalid, json, jsonb, map, numeric, oid, string};
use crate::error::{SqlError, SqlState};
use bytes::Bytes;
use terrane_client::interval::Interval;
use terrane_client::numeric::Numeric;
use terrane_client::types::{DataType, MapForm};
use terrane_client::value::Value;

/// A value's bytes as an array of its width; 22P03 otherwise.
#[inline]
pub fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], SqlError> {
    bytes.try_into().map_err(|_| match bytes.len() < N {
        true => SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"),
        false => invalid::binary(),
    })
}

/// bool_recv.
#[inline]
pub fn receive_bool(bytes: &[u8]) -> Result<bool, SqlError> {
    Ok(fixed::<1>(bytes)?[0] != 0)
}

/// interval_recv.
pub fn receive_interval(bytes: &[u8]) -> Result<Interval, SqlError> {
    let [a, b, c, d, e, f, g, h, days @ .., i, j, k, l] = fixed::<16>(bytes)?;
    Ok(Interval {
        micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        days: i32::from_be_bytes(days),
        months: i32::from_be_bytes([i, j, k, l]),
    })
}

/// jsonb_recv: the text after its version byte.
pub fn jsonb_text(bytes: &[u8]) -> Result<&str, SqlError> {
    match bytes {
        [1, text @ ..] => string::utf8(text),
        [version, ..] => Err(SqlError::new(
            SqlState::INTERNAL_ERROR,
            format!("unsupported jsonb version number {version}"),
        )),
        [] => Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "no data left in message")),
    }
}

/// The type's receive function. Values that own bytes share `bytes`.
pub fn receive(bytes: &Bytes, data_type: &DataType) -> Result<Value, SqlError> {
    Ok(match data_type {
        DataType::Bool => Value::Bool(receive_bool(bytes)?),
        DataType::Int2 => Value::Int2(i16::from_be_bytes(fixed(bytes)?)),
        DataType::Int4 => Value::Int4(i32::from_be_bytes(fixed(bytes)?)),
        DataType::Int8 => Value::Int8(i64::from_be_bytes(fixed(bytes)?)),
        DataType::Float4 => Value::Float4(f32::from_be_bytes(fixed(bytes)?)),
        DataType::Float8 => Value::Float8(f64::from_be_bytes(fixed(bytes)?)),
        DataType::Numeric(modifier) => {
            let (_, scale) = DataType::numeric_shape(*modifier);
            Value::Numeric(Numeric { unscaled: numeric::receive(bytes, *modifier)?, scale })
        }
        DataType::Text => Value::Text(string::utf8(bytes)?.to_owned()),
        DataType::Varchar(limit) => {
            Value::Text(string::varchar(string::utf8(bytes)?, *limit)?.to_owned())
        }
        DataType::Char(length) => {
            Value::Text(string::bpchar(string::utf8(bytes)?, *length)?.to_owned())
        }
        DataType::Bytea => Value::Bytea(bytes.clone()),
        DataType::Date => Value::Date(input::date_from_wire(i32::from_be_bytes(fixed(bytes)?))?),
        DataType::Time => Value::Time(input::time_from_wire(i64::from_be_bytes(fixed(bytes)?))?),
        DataType::Timestamp => {
            Value::Timestamp(input::timestamp_from_wire(i64::from_be_bytes(fixed(bytes)?))?)
        }
        DataType::TimestampTz => {
            Value::TimestampTz(input::timestamp_from_wire(i64::from_be_bytes(fixed(bytes)?))?)
        }
        DataType::Interval => Value::Interval(receive_interval(bytes)?),
        DataType::Uuid => Value::Uuid(fixed(bytes)?),
        DataType::Json => {
            let text = string::utf8(bytes)?;
            json::validate(text)?;
            Value::Text(text.to_owned())
        }
        DataType::Jsonb => {
            let mut normal = String::new();
            jsonb::normalize(jsonb_text(bytes)?, &mut normal)?;
            Value::Text(normal)
        }
        DataType::Map(of) if of.form() == MapForm::Hstore && map::is_own_form(bytes) => {
            map::receive(bytes)?
        }
        DataType::Map(of) => {
            // As the types that clients are told: text, jsonb.
            let text = match of.form() {
                MapForm::Hstore => string::utf8(bytes)?,
                MapForm::Typed => jsonb_text(bytes)?,
            };
            map::parse(text, of, InputContext { style: &TextStyle::default(), now_micros: 0 })?
        }
        DataType::Array(element) => {
            let mut values = Vec::new();
            let mut items = ArrayItems::open(bytes, oid::told(oid::of(element)).oid)?;
            while let Some(item) = items.next()? {
                values.push(match item {
                    Some(part) => receive(&bytes.slice_ref(part), element)?,
                    None => Value::Null,
                });
            }
            Value::Array(values)
        }
    })
}

/// Walks the elements of array_recv's form.
pub struct ArrayItems<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> ArrayItems<'a> {
    /// Reads the header: at most one dimension, lower bound 1, elements of this type.
    pub fn open(bytes: &'a [u8], element: u32) -> Result<Self, SqlError> {
        let mut it = Self { rest: bytes, left: 0 };
        let dimensions = it.int()?;
        let flags = it.int()?;
        let found = it.int()? as u32;
        if found != element {
            let name = |oid| oid::format_type(oid, None);
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "binary data has array element type {found} ({}) instead of expected \
                     {element} ({})",
                    name(found),
                    name(element)
                ),
            ));
        }
        match (dimensions, flags) {
            (0, 0 | 1) => return if it.rest.is_empty() { Ok(it) } else { Err(invalid::binary()) },
            (1, 0 | 1) => {}
            (2.., _) => {
                return Err(SqlError::unsupported("multidimensional arrays are not supported"));
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_BINARY_REPRESENTATION,
                    format!("invalid array flags or dimensions: {dimensions}, {flags}"),
                ));
            }
        }
        let size = it.int()?;
        let lower = it.int()?;
        if lower != 1 && size != 0 {
            return Err(SqlError::unsupported(
                "arrays with a lower bound other than 1 are not supported",
            ));
        }
        it.left = usize::try_from(size).map_err(|_| invalid::binary())?;
        Ok(it)
    }

    fn int(&mut self) -> Result<i32, SqlError> {
        let (head, rest) = self.rest.split_at_checked(4).ok_or_else(|| {
            SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        })?;
        self.rest = rest;
        Ok(i32::from_be_bytes(fixed(head)?))
    }

    /// The next element: its bytes, or `None` for NULL; `None` outside at the end.
    #[allow(clippy::should_implement_trait, reason = "fallible")]
    pub fn next(&mut self) -> Result<Option<Option<&'a [u8]>>, SqlError> {
        if self.left == 0 {
            return if self.rest.is_empty() { Ok(None) } else { Err(invalid::binary()) };
        }
        self.left -= 1;
        let length = self.int()?;
        if length == -1 {
            return Ok(Some(None));
        }
        let length = usize::try_from(length).map_err(|_| invalid::binary())?;
        let (item, rest) = self.rest.split_at_checked(length).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                "insufficient data left in message",
            )
        })?;
        self.rest = rest;
        Ok(Some(Some(item)))
    }
}

/// Starts array_send's form: header of one dimension, none if empty.
pub fn open_array(element: u32, count: usize, has_null: bool, out: &mut Vec<u8>) {
    let dimensions = i32::from(count > 0);
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&element.to_be_bytes());
    if count > 0 {
        out.extend_from_slice(&(count as u32).to_be_bytes());
        out.extend_from_slice(&1_i32.to_be_bytes());
    }
}

/// Writes with its length before it, as cells and array elements are.
#[inline]
pub fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// What stands before a map's text: jsonb's version byte.
#[inline]
pub fn open_map(form: MapForm, out: &mut Vec<u8>) {
    if form == MapForm::Typed {
        out.push(1);
    }
}

/// interval_send.
#[inline]
pub fn send_interval(value: &Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.micros.to_be_bytes());
    out.extend_from_slice(&value.days.to_be_bytes());
    out.extend_from_slice(&value.months.to_be_bytes());
}

/// The type's send function; NULL writes nothing, its absence is told otherwise.
pub fn send(value: &Value, data_type: &DataType, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int2(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Int4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Int8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Float4(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Float8(value) => out.extend_from_slice(&value.to_be_bytes()),
        Value::Numeric(value) => {
            let bare = matches!(data_type, DataType::Numeric(None));
            numeric::send(value.unscaled, value.scale, bare, out);
        }
        Value::Text(text) => match data_type {
            DataType::Char(length) => string::write_bpchar(text, *length, out),
            DataType::Jsonb => {
                out.push(1);
                out.extend_from_slice(text.as_bytes());
            }
            _ => out.extend_from_slice(text.as_bytes()),
        },
        Value::Bytea(bytes) => out.extend_from_slice(bytes),
        Value::Date(days) => {
            out.extend_from_slice(&date_to_wire(*days).to_be_bytes());
        }
        Value::Time(micros) => out.extend_from_slice(&micros.to_be_bytes()),
        Value::Timestamp(micros) | Value::TimestampTz(micros) => {
            out.extend_from_slice(&timestamp_to_wire(*micros).to_be_bytes());
        }
        Value::Interval(value) => send_interval(value, out),
        Value::Uuid(bytes) => out.extend_from_slice(bytes),
        Value::Map(entries) => {
            if let DataType::Map(of) = data_type {
                open_map(of.form(), out);
                map::write(entries, of, &TextStyle::default(), out);
            }
        }
        Value::Array(values) => {
            let element = match data_type {
                DataType::Array(element) => element.as_ref(),
                other => other,
            };
            let has_null = values.iter().any(Value::is_null);
            open_array(oid::told(oid::of(element)).oid, values.len(), has_null, out);
            for value in values {
                match value {
                    Value::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                    value => sized(out, |out| send(value, element, out)),
                }
            }
        }
    }
}
