//! `numeric`: exact decimals of up to 76 digits (rule 39).
//!
//! Text and binary input both end in [`Decimal`], a string of decimal digits, which [`Decimal::fit`] turns
//! into an unscaled integer of the wanted scale: rounded half away from zero for a declared scale, as
//! PostgreSQL does, and never rounded for a bare `numeric`.

use super::invalid;
use super::space::{is_space, trim};
use crate::error::{SqlError, SqlState};
use arrow::datatypes::i256;
use terrane_client::numeric::Numeric;
use terrane_client::types::{DataType, NUMERIC_BARE_SCALE, NUMERIC_PRECISION_MAX};

/// Digits kept: the widest numeric, one to round by, and one to see an overflow.
const DIGITS_MAX: usize = NUMERIC_PRECISION_MAX as usize + 2;
/// Exponents are cut here; anything this far out is zero or too large anyway.
const EXPONENT_MAX: i64 = 1_000_000;
/// Digits before and after the point that PostgreSQL's numeric can hold.
pub const WHOLE_DIGITS_MAX: i64 = 131_072;
/// See [`WHOLE_DIGITS_MAX`].
pub const FRACTION_DIGITS_MAX: i64 = 16_383;
/// 10^38, which an i128 holds.
const TEN_38: i128 = 10_i128.pow(38);

/// `±0.d₁d₂d₃… × 10^exponent`; d₁ is not zero.
#[derive(Clone, Debug)]
struct Decimal {
    negative: bool,
    digits: [u8; DIGITS_MAX],
    length: usize,
    exponent: i64,
    /// Position after the last digit that is not zero, counted past what is kept.
    significant: u64,
    seen: u64,
}

impl Decimal {
    fn new() -> Self {
        Self {
            negative: false,
            digits: [0; DIGITS_MAX],
            length: 0,
            exponent: 0,
            significant: 0,
            seen: 0,
        }
    }

    /// Adds a digit, 0 to 9, on the right; leading zeros are dropped.
    #[inline]
    fn push(&mut self, digit: u8, after_point: bool) {
        if self.seen == 0 && digit == 0 {
            self.exponent -= i64::from(after_point);
            return;
        }
        self.exponent += i64::from(!after_point);
        self.seen += 1;
        if digit != 0 {
            self.significant = self.seen;
        }
        if self.length < DIGITS_MAX {
            self.digits[self.length] = digit;
            self.length += 1;
        }
    }

    /// Reads numeric's text form; `None` where it is not that.
    fn read(text: &str) -> Option<Self> {
        let mut bytes = text.as_bytes();
        while let [first, rest @ ..] = bytes
            && is_space(*first)
        {
            bytes = rest;
        }
        let mut it = Self::new();
        if let [sign @ (b'-' | b'+'), rest @ ..] = bytes {
            it.negative = *sign == b'-';
            bytes = rest;
        }
        let (mut any, mut point) = (false, false);
        while let [byte, rest @ ..] = bytes {
            match byte {
                b'0'..=b'9' => it.push(byte - b'0', point),
                b'.' if !point => point = true,
                _ => break,
            }
            any |= byte.is_ascii_digit();
            bytes = rest;
        }
        if !any {
            return None;
        }
        if let [b'e' | b'E', rest @ ..] = bytes {
            let (power, rest) = read_power(rest)?;
            it.exponent += power;
            bytes = rest;
        }
        bytes.iter().all(|b| is_space(*b)).then_some(it)
    }

    /// The unscaled integer at `scale`, and whether digits were cut off. `None` past 10^76.
    fn unscaled(&self, scale: i8) -> Option<(i256, bool)> {
        if self.seen == 0 {
            return Some((i256::ZERO, false));
        }
        let keep = self.exponent + i64::from(scale);
        let inexact = keep < 0 || (keep as u64) < self.significant;
        if keep < 0 {
            return Some((i256::ZERO, inexact));
        }
        if keep > i64::from(NUMERIC_PRECISION_MAX) {
            return None;
        }
        let keep = keep as usize;
        let kept = &self.digits[..keep.min(self.length)];
        let round_up = self.digits[..self.length].get(keep).is_some_and(|d| *d >= 5);
        let padding = keep - kept.len();
        // At most 38 digits fit an i128, with room for the one that rounding adds.
        let split = kept.len().min(38);
        let mut value = i256::from_i128(fold(&kept[..split]));
        value = scale_up(value, kept.len() - split)?;
        value = value.wrapping_add(i256::from_i128(fold(&kept[split..])));
        value = scale_up(value, padding)?;
        if round_up {
            value = value.wrapping_add(i256::ONE);
        }
        Some((if self.negative { value.wrapping_neg() } else { value }, inexact))
    }

    /// The unscaled integer for a column of this modifier.
    fn fit(&self, modifier: Option<(u8, i8)>) -> Result<i256, SqlError> {
        if self.seen > 0 && !(-FRACTION_DIGITS_MAX..=WHOLE_DIGITS_MAX).contains(&self.exponent) {
            return Err(overflow());
        }
        let Some((precision, scale)) = modifier else {
            return match self.unscaled(NUMERIC_BARE_SCALE) {
                Some((value, false)) if in_precision(value, NUMERIC_PRECISION_MAX) => Ok(value),
                _ => Err(bare_overflow()),
            };
        };
        match self.unscaled(scale) {
            Some((value, _)) if in_precision(value, precision) => Ok(value),
            _ => Err(field_overflow(precision, scale)),
        }
    }
}

/// Reads an exponent with its sign.
fn read_power(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, mut rest) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    rest.first().filter(|b| b.is_ascii_digit())?;
    let mut power: i64 = 0;
    while let [digit @ b'0'..=b'9', tail @ ..] = rest {
        power = (power * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX);
        rest = tail;
    }
    Some((if negative { -power } else { power }, rest))
}

/// The number of at most 38 digits.
fn fold(digits: &[u8]) -> i128 {
    debug_assert!(digits.len() <= 38);
    digits.iter().fold(0_i128, |n, d| n.wrapping_mul(10).wrapping_add(i128::from(*d)))
}

fn scale_up(value: i256, digits: usize) -> Option<i256> {
    let mut value = value;
    let mut left = digits;
    while left > 0 {
        let step = left.min(38);
        value = value.checked_mul(i256::from_i128(10_i128.pow(step as u32)))?;
        left -= step;
    }
    Some(value)
}

/// 10^digits, for digits up to 76.
fn power_of_ten(digits: u8) -> i256 {
    scale_up(i256::ONE, usize::from(digits)).unwrap_or(i256::MAX)
}

fn in_precision(value: i256, precision: u8) -> bool {
    if let (Some(value), 0..=38) = (value.to_i128(), precision) {
        return value.unsigned_abs() < 10_u128.pow(u32::from(precision));
    }
    value.wrapping_abs() < power_of_ten(precision)
}

/// `value overflows numeric format`
#[cold]
pub fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

#[cold]
fn field_overflow(precision: u8, scale: i8) -> SqlError {
    let whole = i16::from(precision) - i16::from(scale);
    let bound = if whole == 0 { "1".to_owned() } else { format!("10^{whole}") };
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(
        format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value \
             less than {bound}."
        ),
    )
}

#[cold]
fn bare_overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value does not fit type numeric")
        .with_detail(format!(
            "A numeric without precision and scale holds {} digits before and {} after the \
             decimal point.",
            NUMERIC_PRECISION_MAX - NUMERIC_BARE_SCALE as u8,
            NUMERIC_BARE_SCALE
        ))
}

/// numeric_in, for a column of this modifier: the unscaled integer.
pub fn parse_unscaled(text: &str, modifier: Option<(u8, i8)>) -> Result<i256, SqlError> {
    match Decimal::read(text) {
        Some(decimal) => decimal.fit(modifier),
        None => Err(not_a_number(text)),
    }
}

/// numeric_in for a column of at most 38 digits.
#[inline]
pub fn parse_i128(text: &str, precision: u8, scale: i8) -> Result<i128, SqlError> {
    if let Some(value) = parse_short(text.as_bytes(), precision, scale) {
        return Ok(value);
    }
    let wide = parse_unscaled(text, Some((precision, scale)))?;
    wide.to_i128().ok_or_else(|| field_overflow(precision, scale))
}

/// The common case: at most 18 digits, no exponent, no more fraction than the scale.
#[inline]
fn parse_short(bytes: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let (mut value, mut fraction, mut point) = (0_i64, 0_i8, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i64::from(byte - b'0');
                fraction += i8::from(point);
            }
            b'.' if !point && digits.len() > 1 => point = true,
            _ => return None,
        }
    }
    let padding = u32::try_from(scale.checked_sub(fraction)?).ok()?;
    let value = i128::from(value).checked_mul(10_i128.checked_pow(padding)?)?;
    let fits = value < 10_i128.checked_pow(u32::from(precision))?;
    fits.then_some(if negative { -value } else { value })
}

#[cold]
fn not_a_number(text: &str) -> SqlError {
    let word = trim(text).trim_start_matches(['+', '-']);
    let special = ["nan", "inf", "infinity"].iter().any(|w| word.eq_ignore_ascii_case(w));
    let error = invalid::syntax("numeric", invalid::excerpt(text));
    match special {
        true => error.with_detail("NaN and infinity are not supported in type numeric."),
        false => error,
    }
}

/// numeric_in as a value at the scale of its type.
pub fn parse(text: &str, modifier: Option<(u8, i8)>) -> Result<Numeric, SqlError> {
    let (_, scale) = DataType::numeric_shape(modifier);
    Ok(Numeric { unscaled: parse_unscaled(text, modifier)?, scale })
}

/// numeric_in of any scale: a value at the scale its text has, for literals and jsonb. `None` past
/// 76 digits or where it is no number.
pub fn parse_exact(text: &str) -> Option<Numeric> {
    let decimal = Decimal::read(text)?;
    let shown = fraction_digits(text)?;
    let (unscaled, inexact) = decimal.unscaled(shown)?;
    (!inexact && in_precision(unscaled, NUMERIC_PRECISION_MAX))
        .then_some(Numeric { unscaled, scale: shown })
}

/// Digits after the point once the exponent is applied, as PostgreSQL counts a literal's scale.
fn fraction_digits(text: &str) -> Option<i8> {
    let text = trim(text);
    let (mantissa, power) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], read_power(&text.as_bytes()[at + 1..])?.0),
        None => (text, 0),
    };
    let written = mantissa.find('.').map_or(0, |at| mantissa.len() - at - 1) as i64;
    i8::try_from((written - power).max(0)).ok().filter(|s| *s <= NUMERIC_PRECISION_MAX as i8)
}

/// numeric_out of an unscaled integer of at most 38 digits. `trim_zeros` is for a bare numeric.
pub fn write_i128(unscaled: i128, scale: i8, trim_zeros: bool, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    write_digits(digits, scale, trim_zeros, out);
}

/// numeric_out of an unscaled integer of at most 76 digits.
pub fn write_i256(unscaled: i256, scale: i8, trim_zeros: bool, out: &mut Vec<u8>) {
    if let Some(small) = unscaled.to_i128() {
        return write_i128(small, scale, trim_zeros, out);
    }
    if unscaled.is_negative() {
        out.push(b'-');
    }
    let mut digits = Vec::with_capacity(80);
    push_digits(unscaled, &mut digits);
    write_digits(&digits, scale, trim_zeros, out);
}

/// All decimal digits of an absolute value.
fn push_digits(value: i256, out: &mut Vec<u8>) {
    let ten_38 = i256::from_i128(TEN_38);
    let mut buffer = itoa::Buffer::new();
    let high = value.wrapping_div(ten_38);
    let low = value.wrapping_sub(high.wrapping_mul(ten_38));
    let low = low.as_i128().unsigned_abs();
    if high == i256::ZERO {
        out.extend_from_slice(buffer.format(low).as_bytes());
        return;
    }
    push_digits(high, out);
    let text = buffer.format(low).as_bytes();
    out.extend(std::iter::repeat_n(b'0', 38 - text.len()));
    out.extend_from_slice(text);
}

fn write_digits(digits: &[u8], scale: i8, trim_zeros: bool, out: &mut Vec<u8>) {
    if scale <= 0 {
        out.extend_from_slice(digits);
        if digits != b"0" {
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let scale = scale as usize;
    let whole = digits.len().saturating_sub(scale);
    if whole == 0 {
        out.push(b'0');
    } else {
        out.extend_from_slice(&digits[..whole]);
    }
    let fraction = &digits[whole..];
    let leading = scale - fraction.len();
    let kept = match trim_zeros {
        true => fraction.iter().rposition(|d| *d != b'0').map_or(0, |at| at + 1),
        false => fraction.len(),
    };
    if kept == 0 && trim_zeros {
        return;
    }
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', leading));
    out.extend_from_slice(&fraction[..kept]);
}

/// numeric_send: base-10000 digits around the decimal point.
pub fn send(unscaled: i256, scale: i8, trim_zeros: bool, out: &mut Vec<u8>) {
    let mut text = Vec::with_capacity(96);
    write_i256(unscaled.wrapping_abs(), scale, trim_zeros, &mut text);
    let point = memchr::memchr(b'.', &text).unwrap_or(text.len());
    let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());
    let mut groups: Vec<u16> = Vec::with_capacity(24);
    // Whole digits are grouped from the point leftwards, fraction digits rightwards.
    let head = whole.len() % 4;
    let (first, rest) = whole.split_at(head);
    let number = |g: &[u8]| g.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
    groups.extend((head > 0).then(|| number(first)));
    groups.extend(rest.chunks(4).map(number));
    let mut weight = groups.len() as i16 - 1;
    groups.extend(fraction.chunks(4).map(|g| number(g) * 10_u16.pow(4 - g.len() as u32)));
    let leading = groups.iter().take_while(|g| **g == 0).count();
    let last = groups.iter().rposition(|g| *g != 0).map_or(0, |at| at + 1);
    let groups = groups.get(leading..last).unwrap_or_default();
    weight = if groups.is_empty() { 0 } else { weight - leading as i16 };
    let sign: u16 = if unscaled.is_negative() { 0x4000 } else { 0 };
    out.extend_from_slice(&(groups.len() as u16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(fraction.len() as u16).to_be_bytes());
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// numeric_recv, for a column of this modifier: the unscaled integer.
pub fn receive(bytes: &[u8], modifier: Option<(u8, i8)>) -> Result<i256, SqlError> {
    let (head, groups) = bytes.split_at_checked(8).ok_or_else(invalid::binary)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, weight, sign) = (word(0), word(2) as i16, word(4));
    if groups.len() != usize::from(count) * 2 {
        return Err(invalid::binary());
    }
    if matches!(sign, 0xC000 | 0xD000 | 0xF000) {
        return Err(not_a_number("NaN"));
    }
    if !matches!(sign, 0 | 0x4000) {
        return Err(SqlError::new(
            SqlState::INVALID_BINARY_REPRESENTATION,
            "invalid sign in external \"numeric\" value",
        ));
    }
    let mut decimal = Decimal::new();
    decimal.negative = sign == 0x4000;
    for group in groups.chunks_exact(2) {
        let group = u16::from_be_bytes([group[0], group[1]]);
        if group > 9999 {
            return Err(SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                "invalid digit in external \"numeric\" value",
            ));
        }
        for digit in [group / 1000, group / 100 % 10, group / 10 % 10, group % 10] {
            decimal.push(digit as u8, true);
        }
    }
    // As if all groups stood right of the point; the weight says how many stand left of it.
    decimal.exponent += (i64::from(weight) + 1) * 4;
    decimal.fit(modifier)
}

/// numeric_recv at the scale the sender shows, for parameters whose scale is not known.
pub fn receive_exact(bytes: &[u8]) -> Option<Numeric> {
    let scale = i8::try_from(u16::from_be_bytes([*bytes.get(6)?, *bytes.get(7)?])).ok()?;
    let unscaled = receive(bytes, Some((NUMERIC_PRECISION_MAX, scale))).ok()?;
    Some(Numeric { unscaled, scale })
}
