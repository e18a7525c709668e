//! Numerics as text, in PostgreSQL's syntax.

use super::{Numeric, NumericError, in_range};
use crate::types::NUMERIC_PRECISION_MAX;
use arrow::datatypes::i256;
use std::fmt;
use std::str::FromStr;

/// More exponent than any numeric has; PostgreSQL refuses such text too.
const EXPONENT_MAX: i64 = 100_000;

/// Shows every digit of the scale, as PostgreSQL does for a declared `numeric(p, s)`. For a bare
/// numeric, show [`Numeric::trimmed`].
impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.unscaled.to_i128() {
            Some(small) => small.unsigned_abs().to_string(),
            None => self.unscaled.wrapping_abs().to_string(),
        };
        if self.unscaled.is_negative() {
            f.write_str("-")?;
        }
        let scale = usize::from(self.scale.unsigned_abs());
        if scale == 0 {
            return f.write_str(&digits);
        }
        match digits.len().checked_sub(scale) {
            Some(whole) if whole > 0 => write!(f, "{}.{}", &digits[..whole], &digits[whole..]),
            _ => write!(f, "0.{digits:0>scale$}"),
        }
    }
}

/// Reads PostgreSQL's numeric syntax: blanks around, a sign, digits with a point, an exponent. The
/// scale is what is written, less trailing zeros that do not fit. NaN and infinities are refused.
impl FromStr for Numeric {
    type Err = NumericError;

    fn from_str(text: &str) -> Result<Self, NumericError> {
        let invalid = || NumericError::Invalid(text.to_owned());
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        let (negative, body) = match trimmed.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let end = body.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(body.len());
        let exponent = match body.get(end + 1..) {
            None => 0,
            Some(digits) => parse_exponent(digits).ok_or_else(invalid)?,
        };
        let mantissa = &body[..end];
        let point = mantissa.iter().position(|b| *b == b'.');
        let whole = &mantissa[..point.unwrap_or(mantissa.len())];
        let fraction = point.map_or(&[][..], |point| &mantissa[point + 1..]);
        let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
        if !all_digits || whole.len() + fraction.len() == 0 {
            return Err(invalid());
        }
        if exponent.abs() > EXPONENT_MAX {
            return Err(NumericError::OutOfRange);
        }
        assemble(negative, whole, fraction, exponent)
    }
}

fn parse_exponent(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // What does not fit i64 is far beyond every limit.
    let huge = if text.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
    Some(text.parse().unwrap_or(huge))
}

fn assemble(
    negative: bool,
    whole: &[u8],
    fraction: &[u8],
    exponent: i64,
) -> Result<Numeric, NumericError> {
    let mut digits: Vec<u8> = Vec::with_capacity(whole.len() + fraction.len());
    digits.extend(whole.iter().chain(fraction).skip_while(|b| **b == b'0').map(|b| b - b'0'));
    let mut scale = fraction.len() as i64 - exponent;
    if digits.is_empty() {
        let scale = scale.clamp(0, i64::from(NUMERIC_PRECISION_MAX)) as i8;
        return Numeric::new(i256::ZERO, scale);
    }
    // Trailing fractional zeros beyond the limits carry no value.
    let limit = i64::from(NUMERIC_PRECISION_MAX);
    while scale > 0 && (scale > limit || digits.len() as i64 > limit) && digits.last() == Some(&0) {
        digits.pop();
        scale -= 1;
    }
    let appended = (-scale).max(0);
    if scale > limit || digits.len() as i64 + appended > limit {
        return Err(NumericError::OutOfRange);
    }
    digits.resize(digits.len() + appended as usize, 0);
    let mut unscaled = i256::ZERO;
    for chunk in digits.chunks(18) {
        let value = chunk.iter().fold(0i128, |value, digit| value * 10 + i128::from(*digit));
        unscaled =
            unscaled.wrapping_mul(super::POWERS[chunk.len()]).wrapping_add(i256::from_i128(value));
    }
    debug_assert!(in_range(unscaled), "at most 76 digits were taken");
    let unscaled = if negative { unscaled.wrapping_neg() } else { unscaled };
    Numeric::new(unscaled, scale.max(0) as i8)
}
