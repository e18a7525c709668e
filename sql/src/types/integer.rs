//! `smallint`, `integer`, `bigint` and `oid`: decimal digits with an optional sign, blanks around them.

use super::invalid;
use super::space::is_space;
use crate::error::SqlError;

/// An integer type of SQL.
pub trait Integer: Copy + itoa::Integer {
    /// Its name in messages.
    const NAME: &'static str;
    /// From a wider one, where it fits.
    fn narrow(value: i64) -> Option<Self>;
}

impl Integer for i16 {
    const NAME: &'static str = "smallint";
    fn narrow(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Integer for i32 {
    const NAME: &'static str = "integer";
    fn narrow(value: i64) -> Option<Self> {
        value.try_into().ok()
    }
}

impl Integer for i64 {
    const NAME: &'static str = "bigint";
    fn narrow(value: i64) -> Option<Self> {
        Some(value)
    }
}

enum Digits {
    Value(i64),
    Syntax,
    Overflow,
}

/// Reads a sign and digits. The common case, up to 18 digits and nothing else, cannot overflow.
#[inline]
fn scan(bytes: &[u8]) -> Digits {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return Digits::Syntax;
    }
    let mut value: i64 = 0;
    if digits.len() <= 18 {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return Digits::Syntax;
            }
            value = value * 10 + i64::from(digit);
        }
        return Digits::Value(if negative { -value } else { value });
    }
    if !digits.iter().all(u8::is_ascii_digit) {
        return Digits::Syntax;
    }
    for byte in digits {
        // Counted downwards: the smallest bigint has no positive counterpart.
        let digit = i64::from(byte - b'0');
        match value.checked_mul(10).and_then(|v| v.checked_sub(digit)) {
            Some(next) => value = next,
            None => return Digits::Overflow,
        }
    }
    match negative {
        true => Digits::Value(value),
        false => value.checked_neg().map_or(Digits::Overflow, Digits::Value),
    }
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// int2in, int4in, int8in.
#[inline]
pub fn parse<I: Integer>(text: &str) -> Result<I, SqlError> {
    match scan(trim(text.as_bytes())) {
        Digits::Value(value) => {
            I::narrow(value).ok_or_else(|| invalid::value_range(I::NAME, invalid::excerpt(text)))
        }
        Digits::Syntax => Err(invalid::syntax(I::NAME, invalid::excerpt(text))),
        Digits::Overflow => Err(invalid::value_range(I::NAME, invalid::excerpt(text))),
    }
}

/// oidin: like C's strtoul, a negative number counts from the top.
pub fn parse_oid(text: &str) -> Result<u32, SqlError> {
    match scan(trim(text.as_bytes())) {
        Digits::Value(value) => u32::try_from(value)
            .or_else(|_| i32::try_from(value).map(|v| v as u32))
            .map_err(|_| invalid::value_range("oid", text)),
        Digits::Syntax => Err(invalid::syntax("oid", text)),
        Digits::Overflow => Err(invalid::value_range("oid", text)),
    }
}

/// int2out, int4out, int8out.
#[inline]
pub fn write<I: itoa::Integer>(value: I, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}
