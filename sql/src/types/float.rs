//! `real` and `double precision`: C's strtod in, the shortest exact decimal out.
//!
//! PostgreSQL prints the shortest digits that lie strictly inside the interval of numbers that round to
//! the value; the `ryu` crate also takes one that lies on its edge. They differ for few values, such as
//! 1e23, for which [`Shortest::inside`] searches again.

use super::invalid;
use super::space::trim;
use crate::error::SqlError;
use std::io::Write;

/// A floating-point type of SQL.
pub trait Float: Copy + PartialEq + std::str::FromStr + std::fmt::LowerExp + ryu::Float {
    /// Its name in messages.
    const NAME: &'static str;
    /// Decimal digits that every decimal keeps: 6 or 15.
    const DIGITS: i32;
    /// Digits that always suffice: 9 or 17.
    const DIGITS_MAX: usize;
    /// As a double.
    fn widen(self) -> f64;
    /// Mantissa and exponent of two of the upper edge of the rounding interval, and of the lower.
    fn edges(self) -> [(u64, i32); 2];
}

/// Edges of an IEEE number of `mantissa_bits` explicit bits and exponent `bias`, doubled (or four-fold
/// below a power of two, where the lower neighbour is nearer) so that they are whole numbers.
fn edges_of(bits: u64, mantissa_bits: u32, exponent_bits: u32) -> [(u64, i32); 2] {
    let fraction = bits & ((1 << mantissa_bits) - 1);
    let biased = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
    let bias = (1_i32 << (exponent_bits - 1)) - 1 + mantissa_bits as i32;
    let (mantissa, exponent) = match biased {
        0 => (fraction, 1 - bias),
        b => (fraction | 1 << mantissa_bits, b as i32 - bias),
    };
    let upper = (2 * mantissa + 1, exponent - 1);
    let lower = if fraction == 0 && biased > 1 {
        (4 * mantissa - 1, exponent - 2)
    } else {
        (2 * mantissa - 1, exponent - 1)
    };
    [upper, lower]
}

impl Float for f32 {
    const NAME: &'static str = "real";
    const DIGITS: i32 = 6;
    const DIGITS_MAX: usize = 9;
    fn widen(self) -> f64 {
        f64::from(self)
    }
    fn edges(self) -> [(u64, i32); 2] {
        edges_of(u64::from(self.to_bits()), 23, 8)
    }
}

impl Float for f64 {
    const NAME: &'static str = "double precision";
    const DIGITS: i32 = 15;
    const DIGITS_MAX: usize = 17;
    fn widen(self) -> f64 {
        self
    }
    fn edges(self) -> [(u64, i32); 2] {
        edges_of(self.to_bits(), 52, 11)
    }
}

/// float4in, float8in.
pub fn parse<F: Float>(text: &str) -> Result<F, SqlError> {
    let word = trim(text);
    let syntax = || invalid::syntax(F::NAME, invalid::excerpt(text));
    // Rust reads what strtod reads, but for hexadecimal floats, and gives infinity on overflow.
    let value: F = word.parse().map_err(|_| syntax())?;
    let wide = value.widen();
    let has_digits = word.bytes().any(|b| b.is_ascii_digit());
    let mantissa = word.split(['e', 'E']).next().unwrap_or_default();
    let underflow = wide == 0.0 && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if (wide.is_infinite() && has_digits) || underflow {
        let message =
            format!("\"{}\" is out of range for type {}", invalid::excerpt(word), F::NAME);
        return Err(SqlError::new(crate::error::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
    }
    Ok(value)
}

/// float4out, float8out. `extra_float_digits` above 0 is the shortest exact form, otherwise `%g` with as
/// many digits as the type keeps, and that many more.
pub fn write<F: Float>(value: F, extra_float_digits: i8, out: &mut Vec<u8>) {
    let wide = value.widen();
    if wide.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if wide.is_infinite() {
        out.extend_from_slice(if wide > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else if extra_float_digits > 0 {
        write_shortest(value, out);
    } else {
        let digits = (F::DIGITS + i32::from(extra_float_digits)).max(1);
        write_general(value, digits, out);
    }
}

/// Decimal digits, and the power of ten of the first.
struct Shortest {
    digits: [u8; 24],
    length: usize,
    exponent: i32,
}

impl Shortest {
    /// Reads `12.5`, `1.25e-7`, `100.0`: digits without zeros at either end.
    fn read(text: &[u8]) -> Self {
        let mut it = Self { digits: [0; 24], length: 0, exponent: 0 };
        let (mantissa, power) = match memchr::memchr2(b'e', b'E', text) {
            Some(at) => (&text[..at], parse_power(&text[at + 1..])),
            None => (text, 0),
        };
        let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len()) as i32;
        let mut zeros = 0;
        let digits = mantissa.iter().filter(|b| **b != b'.');
        for (position, byte) in digits.enumerate() {
            if *byte == b'0' {
                zeros += 1;
            } else {
                if it.length == 0 {
                    it.exponent = point - 1 - position as i32 + power;
                    zeros = 0;
                }
                // Zeros count only once a digit follows them.
                for _ in 0..zeros {
                    it.push(b'0');
                }
                zeros = 0;
                it.push(*byte);
            }
        }
        it
    }

    fn push(&mut self, digit: u8) {
        if let Some(slot) = self.digits.get_mut(self.length) {
            *slot = digit;
            self.length += 1;
        }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.length]
    }

    /// True where these digits lie exactly on an edge of the value's rounding interval.
    fn on_edge<F: Float>(&self, value: F) -> bool {
        let number = self.digits().iter().fold(0_u128, |n, d| n * 10 + u128::from(d - b'0'));
        let ten = self.exponent + 1 - self.length as i32;
        value.edges().iter().any(|(edge, two)| equal_scaled(number, ten, u128::from(*edge), *two))
    }

    /// The shortest digits strictly inside: exactly rounded, one digit more at a time.
    fn inside<F: Float>(value: F) -> Self {
        let mut buffer = [0_u8; 40];
        for precision in 0..F::DIGITS_MAX {
            let mut rest = &mut buffer[..];
            let whole = rest.len();
            if write!(rest, "{value:.precision$e}").is_err() {
                break;
            }
            let used = whole - rest.len();
            let text = &buffer[..used];
            let same = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()) == Some(value);
            let found = Self::read(text.strip_prefix(b"-").unwrap_or(text));
            if same && !found.on_edge(value) {
                return found;
            }
        }
        let mut ryu = ryu::Buffer::new();
        let text = ryu.format_finite(value).as_bytes();
        Self::read(text.strip_prefix(b"-").unwrap_or(text))
    }
}

fn parse_power(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let power = digits.iter().fold(0, |p, d| p * 10 + i32::from(d - b'0'));
    if negative { -power } else { power }
}

/// `a × 10^ten == b × 2^two`, exactly; a < 2^57 and b < 2^56.
fn equal_scaled(mut a: u128, ten: i32, mut b: u128, mut two: i32) -> bool {
    if a == 0 || b == 0 {
        return a == b;
    }
    // 10^n is 5^n 2^n. A power of five beyond 5^27 divides neither side.
    if ten.abs() > 27 {
        return false;
    }
    let five = 5_u128.pow(ten.unsigned_abs());
    two -= ten;
    if ten >= 0 {
        a *= five;
    } else {
        b *= five;
    }
    let (az, bz) = (a.trailing_zeros() as i32, b.trailing_zeros() as i32);
    (a >> az) == (b >> bz) && az == bz + two
}

fn write_shortest<F: Float>(value: F, out: &mut Vec<u8>) {
    let wide = value.widen();
    if wide.is_sign_negative() {
        out.push(b'-');
    }
    if wide == 0.0 {
        out.push(b'0');
        return;
    }
    // Whole numbers that every double holds exactly print as integers; most floats in practice are these.
    if F::DIGITS == 15 && wide.abs() < 1e15 && wide.fract() == 0.0 {
        super::integer::write(wide.abs() as u64, out);
        return;
    }
    let mut ryu = ryu::Buffer::new();
    let text = ryu.format_finite(value).as_bytes();
    let mut shortest = Shortest::read(text.strip_prefix(b"-").unwrap_or(text));
    if shortest.on_edge(value) {
        shortest = Shortest::inside(value);
    }
    let fixed = (-4..F::DIGITS).contains(&shortest.exponent);
    write_digits(shortest.digits(), shortest.exponent, fixed, out);
}

/// C's `%.{digits}g`.
fn write_general<F: Float>(value: F, digits: i32, out: &mut Vec<u8>) {
    let wide = value.widen();
    if wide.is_sign_negative() {
        out.push(b'-');
    }
    if wide == 0.0 {
        out.push(b'0');
        return;
    }
    let text = format!("{:.*e}", (digits - 1) as usize, wide.abs());
    let found = Shortest::read(text.as_bytes());
    write_digits(found.digits(), found.exponent, (-4..digits).contains(&found.exponent), out);
}

/// Digits with the first one's power of ten, as `0.00123`, `12300`, `12.3` or `1.23e+20`.
fn write_digits(digits: &[u8], exponent: i32, fixed: bool, out: &mut Vec<u8>) {
    if !fixed {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        super::integer::write(exponent.unsigned_abs(), out);
        return;
    }
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', whole - digits.len()));
    } else {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    }
}
