//! A parameter's value from its bytes.
//!
//! Identifiers (`oid`, `regclass` and their kin) are held as int8, names and `"char"` as text: what the
//! catalogs' columns are compared with.

use super::format::Format;
use super::info::SessionInfo;
use crate::error::{SqlError, SqlState};
use crate::functions::system::reg;
use crate::types::binary::{self, ArrayItems};
use crate::types::{oid, string, text};
use bytes::Bytes;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// The type that a parameter of this OID has.
pub(super) fn data_type_of(type_oid: u32) -> Result<DataType, SqlError> {
    if let Some(storable) = oid::data_type(type_oid, -1) {
        return Ok(storable);
    }
    if let Some(element) = oid::element_of(type_oid) {
        return Ok(DataType::Array(Box::new(data_type_of(element)?)));
    }
    match type_oid {
        oid::NAME | oid::CHAR | oid::UNKNOWN => Ok(DataType::Text),
        identifier if oid::is_oid_like(identifier) => Ok(DataType::Int8),
        _ => Err(SqlError::unsupported(format!(
            "a parameter of type OID {type_oid} is not supported"
        ))),
    }
}

/// Reads a parameter that is not NULL.
pub(super) fn read(
    bytes: &Bytes,
    format: Format,
    type_oid: u32,
    info: &SessionInfo,
) -> Result<Value, SqlError> {
    let data_type = data_type_of(type_oid)?;
    match format {
        Format::Text if oid::is_oid_like(type_oid) => {
            let identifier = reg::parse(string::utf8(bytes)?, type_oid, &info.facts)?;
            Ok(Value::Int8(i64::from(identifier)))
        }
        Format::Text => text::parse(string::utf8(bytes)?, &data_type, info.input()),
        Format::Binary if oid::data_type(type_oid, -1).is_some() => {
            binary::receive(bytes, &data_type)
        }
        Format::Binary => receive(bytes, type_oid),
    }
}

/// Reads the binary form of a type that no column has.
fn receive(bytes: &Bytes, type_oid: u32) -> Result<Value, SqlError> {
    if let Some(element) = oid::element_of(type_oid) {
        let mut items = ArrayItems::open(bytes, element)?;
        let mut values = Vec::new();
        while let Some(item) = items.next()? {
            values.push(match item {
                Some(part) => receive(&bytes.slice_ref(part), element)?,
                None => Value::Null,
            });
        }
        return Ok(Value::Array(values));
    }
    if !oid::is_oid_like(type_oid) {
        return Ok(Value::Text(string::utf8(bytes)?.to_owned()));
    }
    let four: [u8; 4] = bytes.as_ref().try_into().map_err(|_| {
        let message = "incorrect binary data format in bind parameter";
        SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
    })?;
    Ok(Value::Int8(i64::from(u32::from_be_bytes(four))))
}
