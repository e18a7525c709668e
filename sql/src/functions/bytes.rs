//! Functions of bytea: get_byte(), convert_to() …

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use bytes::Bytes;
use terrane_client::value::Value;

const BYTES: Kind = Kind::Of(oid::BYTEA);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("get_byte", &[Overload::new(&[BYTES, Kind::Int], oid::INT4, get_byte)]),
    Definition::new(
        "set_byte",
        &[Overload::new(&[BYTES, Kind::Int, Kind::Int], oid::BYTEA, set_byte)],
    ),
    Definition::new("get_bit", &[Overload::new(&[BYTES, Kind::Int], oid::INT4, get_bit)]),
    Definition::new(
        "set_bit",
        &[Overload::new(&[BYTES, Kind::Int, Kind::Int], oid::BYTEA, set_bit)],
    ),
    Definition::new(
        "convert_to",
        &[Overload::new(&[Kind::Text, Kind::Text], oid::BYTEA, |_, args| {
            check_encoding(args[1].text())?;
            Ok(bytea(args[0].text().as_bytes().to_vec()))
        })],
    ),
    Definition::new(
        "convert_from",
        &[Overload::new(&[BYTES, Kind::Text], oid::TEXT, convert_from)],
    ),
];

fn bytea(bytes: Vec<u8>) -> Cell<'static> {
    Cell::Value(Value::Bytea(Bytes::from(bytes)))
}

/// The place of a subscript, or 2202E with PostgreSQL's bounds.
fn place(at: i64, length: usize) -> Result<usize, SqlError> {
    usize::try_from(at).ok().filter(|at| *at < length).ok_or_else(|| {
        let last = i64::try_from(length).unwrap_or(i64::MAX) - 1;
        SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            format!("index {at} out of valid range, 0..{last}"),
        )
    })
}

fn get_byte(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let bytes = args[0].bytes();
    Ok(i32::from(bytes[place(args[1].int(), bytes.len())?]).into())
}

fn set_byte(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let mut bytes = args[0].bytes().to_vec();
    let at = place(args[1].int(), bytes.len())?;
    // As PostgreSQL: what does not fit a byte is cut to one.
    bytes[at] = args[2].int() as u8;
    Ok(bytea(bytes))
}

fn get_bit(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let bytes = args[0].bytes();
    let at = place(args[1].int(), bytes.len() * 8)?;
    Ok(i32::from(bytes[at / 8] >> (at % 8) & 1).into())
}

fn set_bit(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let mut bytes = args[0].bytes().to_vec();
    let at = place(args[1].int(), bytes.len() * 8)?;
    match args[2].int() {
        0 => bytes[at / 8] &= !(1 << (at % 8)),
        1 => bytes[at / 8] |= 1 << (at % 8),
        _ => {
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1"));
        }
    }
    Ok(bytea(bytes))
}

fn check_encoding(name: &str) -> Result<(), SqlError> {
    match name.to_ascii_uppercase().replace(['-', '_'], "").as_str() {
        "UTF8" | "UNICODE" | "SQLASCII" => Ok(()),
        _ => Err(SqlError::unsupported(format!("encoding \"{name}\" is not supported: only UTF8"))),
    }
}

fn convert_from(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    check_encoding(args[1].text())?;
    match std::str::from_utf8(args[0].bytes()) {
        Ok(text) if !text.contains('\0') => Ok(text.to_owned().into()),
        Ok(_) => Err(invalid(&[0])),
        Err(error) => {
            let wrong = &args[0].bytes()[error.valid_up_to()..];
            // The broken sequence as far as its first byte says it should go.
            let length = match wrong.first() {
                Some(0xc0..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..=0xf7) => 4,
                _ => 1,
            };
            Err(invalid(&wrong[..length.min(wrong.len())]))
        }
    }
}

fn invalid(bytes: &[u8]) -> SqlError {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}
