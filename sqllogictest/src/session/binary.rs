//! From PostgreSQL's binary formats to its text formats.
//!
//! The extended protocol delivers binary values; expectations are text. What is written here is the text
//! that PostgreSQL 15 sends for the same value with `DateStyle = 'ISO, MDY'`, `IntervalStyle =
//! 'postgres'`, `TimeZone = 'UTC'`, `bytea_output = 'hex'` and `extra_float_digits = 1`.
//!
//! A value that does not have the shape its type demands is an error, never a guess: that is what finds
//! a server's encoding bugs. So is a type whose text needs the catalog (regclass, an enum).

mod composite;
mod datetime;
mod number;

use std::error::Error;

use tokio_postgres::types::{FromSql, Kind, Type};

type Failure = Box<dyn Error + Sync + Send>;

/// A value, as text.
#[derive(Debug)]
pub struct Binary {
    /// The text.
    pub text: String,
}

impl<'a> FromSql<'a> for Binary {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        to_text(ty, raw).map(|text| Self { text })
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The text of a value that is not NULL.
pub fn to_text(ty: &Type, raw: &[u8]) -> Result<String, Failure> {
    Ok(match *ty {
        Type::BOOL => match fixed::<1>(raw)? {
            [0] => "f".to_owned(),
            [1] => "t".to_owned(),
            [other] => return Err(format!("a bool of {other}").into()),
        },
        Type::INT2 => i16::from_be_bytes(fixed(raw)?).to_string(),
        Type::INT4 => i32::from_be_bytes(fixed(raw)?).to_string(),
        Type::INT8 => i64::from_be_bytes(fixed(raw)?).to_string(),
        Type::OID | Type::XID | Type::CID => u32::from_be_bytes(fixed(raw)?).to_string(),
        Type::FLOAT4 => number::float4(f32::from_be_bytes(fixed(raw)?)),
        Type::FLOAT8 => number::float8(f64::from_be_bytes(fixed(raw)?)),
        Type::NUMERIC => number::numeric(raw)?,
        Type::CHAR => match fixed::<1>(raw)? {
            [0] => String::new(),
            [byte] => char::from(byte).to_string(),
        },
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::JSON
        | Type::XML
        | Type::CSTRING => std::str::from_utf8(raw)?.to_owned(),
        Type::JSONB => match raw.split_first() {
            Some((1, json)) => std::str::from_utf8(json)?.to_owned(),
            _ => return Err("a jsonb of another version than 1".into()),
        },
        Type::BYTEA => format!("\\x{}", hex(raw)),
        Type::UUID => {
            let h = hex(&fixed::<16>(raw)?);
            format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
        }
        Type::DATE => datetime::date(i32::from_be_bytes(fixed(raw)?)),
        Type::TIME => datetime::time(i64::from_be_bytes(fixed(raw)?)),
        Type::TIMETZ => datetime::timetz(raw)?,
        Type::TIMESTAMP => datetime::timestamp(i64::from_be_bytes(fixed(raw)?), ""),
        Type::TIMESTAMPTZ => datetime::timestamp(i64::from_be_bytes(fixed(raw)?), "+00"),
        Type::INTERVAL => datetime::interval(raw)?,
        Type::VOID => String::new(),
        Type::RECORD => composite::record(raw)?,
        Type::INT2_VECTOR | Type::OID_VECTOR => composite::vector(raw)?,
        _ => match ty.kind() {
            Kind::Array(element) => composite::array(element, raw)?,
            Kind::Domain(base) => to_text(base, raw)?,
            Kind::Composite(_) => composite::record(raw)?,
            _ => return Err(format!("type {ty} has no binary form known here; cast it").into()),
        },
    })
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], Failure> {
    <[u8; N]>::try_from(raw).map_err(|_| format!("{} bytes where {N} belong", raw.len()).into())
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(raw: &mut &[u8]) -> Result<[u8; N], Failure> {
    match raw.split_first_chunk::<N>() {
        Some((head, tail)) => {
            *raw = tail;
            Ok(*head)
        }
        None => Err("a value cut short".into()),
    }
}

/// Takes `length` bytes off the front; a length of -1 is NULL.
fn take_value<'a>(raw: &mut &'a [u8], length: i32) -> Result<Option<&'a [u8]>, Failure> {
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| "a negative length")?;
    let (head, tail) = raw.split_at_checked(length).ok_or("a value cut short")?;
    *raw = tail;
    Ok(Some(head))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests;
