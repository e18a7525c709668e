//! Bind's parameters to values, by their types' OIDs.

use crate::error::{SqlError, SqlState};
use crate::session::format::Format;
use crate::session::service::Parameters;
use crate::types::binary::{self, fixed};
use crate::types::scalar;
use crate::types::text::{self, InputContext};
use crate::types::{integer, oid, string};
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// A bind message with as many parameters as the statement has; else 08P01.
pub fn check_count(
    parameters: &Parameters,
    statement: &str,
    wanted: usize,
) -> Result<(), SqlError> {
    let given = parameters.values.len();
    if given == wanted {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::PROTOCOL_VIOLATION,
        format!(
            "bind message supplies {given} parameters, but prepared statement \"{statement}\" \
             requires {wanted}"
        ),
    ))
}

/// The type that a parameter of this OID has here; types that no column can have are text.
pub fn parameter_type(type_oid: u32) -> DataType {
    match type_oid {
        type_oid if oid::is_oid_like(type_oid) => DataType::Int8,
        type_oid => oid::data_type(type_oid, -1).unwrap_or(DataType::Text),
    }
}

/// Parameter `i`, of this type, as a value of [`parameter_type`]. `oid` and its kin are bigint.
pub fn value(
    parameters: &Parameters,
    i: usize,
    type_oid: u32,
    context: InputContext<'_>,
) -> Result<Value, SqlError> {
    let Some(Some(bytes)) = parameters.values.get(i) else { return Ok(Value::Null) };
    let format = parameters.formats.of(i);
    one(bytes, format, type_oid, context).map_err(|mut error| {
        // PostgreSQL names binary parameters that do not parse by their number.
        if error.state == SqlState::INVALID_BINARY_REPRESENTATION && format == Format::Binary {
            error.message = format!("incorrect binary data format in bind parameter {}", i + 1);
        }
        error
    })
}

fn one(
    bytes: &Bytes,
    format: Format,
    type_oid: u32,
    context: InputContext<'_>,
) -> Result<Value, SqlError> {
    if oid::is_oid_like(type_oid) {
        let number = match format {
            Format::Text => integer::parse_oid(string::utf8(bytes)?)?,
            Format::Binary => u32::from_be_bytes(fixed(bytes)?),
        };
        return Ok(Value::Int8(i64::from(number)));
    }
    let data_type = parameter_type(type_oid);
    match format {
        Format::Text => text::parse(string::utf8(bytes)?, &data_type, context),
        Format::Binary => binary::receive(bytes, &data_type),
    }
}

/// Parameter `i`, of this type, as DataFusion has it: of Arrow type [`oid::arrow`].
pub fn scalar(
    parameters: &Parameters,
    i: usize,
    type_oid: u32,
    context: InputContext<'_>,
) -> Result<ScalarValue, SqlError> {
    let value = value(parameters, i, type_oid, context)?;
    if oid::is_oid_like(type_oid) {
        return Ok(ScalarValue::UInt32(match value {
            Value::Int8(number) => u32::try_from(number).ok(),
            _ => None,
        }));
    }
    scalar::from_value(&value, &parameter_type(type_oid))
}
