//! Exact decimals of up to 76 digits: an unscaled 256-bit integer and a scale.
//!
//! Arithmetic and text are PostgreSQL's, with the limits of rule 39: 76 digits in all, no NaN and no
//! infinities, and nothing is rounded unless PostgreSQL rounds there too (a cast to a declared scale, a
//! quotient). What does not fit is [`NumericError::OutOfRange`].
//!
//! Invariant: `|unscaled| < 10^76` and `0 <= scale <= 76`. [`Numeric::new`] checks it, and every
//! operation here keeps it.

mod arithmetic;
mod text;

use crate::types::NUMERIC_PRECISION_MAX;
use arrow::datatypes::i256;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// `unscaled / 10^scale`. Two numerics that differ only in trailing zeros are different to `==` and
/// equal to [`Numeric::compare`], as in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Numeric {
    /// The digits, signed.
    pub unscaled: i256,
    /// Digits right of the point, 0 to 76.
    pub scale: i8,
}

/// Why a numeric operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumericError {
    /// More digits than the type has (22003).
    #[error("numeric out of range")]
    OutOfRange,
    /// 22012
    #[error("division by zero")]
    DivisionByZero,
    /// Text that is no number (22P02).
    #[error("invalid input syntax for type numeric: \"{0}\"")]
    Invalid(String),
}

/// 10^0 to 10^76.
const POWERS: [i256; NUMERIC_PRECISION_MAX as usize + 1] = powers_of_ten();

const fn powers_of_ten() -> [i256; NUMERIC_PRECISION_MAX as usize + 1] {
    let mut powers = [i256::ONE; NUMERIC_PRECISION_MAX as usize + 1];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1].wrapping_mul(i256::from_i128(10));
        i += 1;
    }
    powers
}

/// `10^exponent`, where a numeric can hold it.
fn power(exponent: usize) -> Option<i256> {
    POWERS.get(exponent).copied()
}

/// True where `value` has at most 76 digits.
fn in_range(value: i256) -> bool {
    let limit = POWERS[usize::from(NUMERIC_PRECISION_MAX)];
    value < limit && value > limit.wrapping_neg()
}

impl Numeric {
    /// Zero, without fractional digits.
    pub const ZERO: Numeric = Numeric { unscaled: i256::ZERO, scale: 0 };

    /// Checks the limits.
    pub fn new(unscaled: i256, scale: i8) -> Result<Self, NumericError> {
        if !in_range(unscaled) || !(0..=NUMERIC_PRECISION_MAX as i8).contains(&scale) {
            return Err(NumericError::OutOfRange);
        }
        Ok(Self { unscaled, scale })
    }

    /// An integer.
    pub fn from_i64(value: i64) -> Self {
        Self { unscaled: i256::from_i128(i128::from(value)), scale: 0 }
    }

    /// True for zero, of any scale.
    pub fn is_zero(&self) -> bool {
        self.unscaled == i256::ZERO
    }

    /// Digits of the unscaled value; 0 has none.
    pub fn digits(&self) -> u8 {
        match self.unscaled.wrapping_abs().checked_ilog10() {
            Some(log) => log as u8 + 1,
            None => 0,
        }
    }

    /// Without trailing zeros right of the point.
    pub fn trimmed(mut self) -> Self {
        if self.is_zero() {
            return Self::ZERO;
        }
        // Halving steps first: a bare numeric usually carries 18 to 20 zeros.
        for step in [16usize, 8, 4, 2, 1] {
            while usize::from(self.scale.unsigned_abs()) >= step {
                let Some(shorter) = exact_quotient(self.unscaled, step) else { break };
                self.unscaled = shorter;
                self.scale -= step as i8;
            }
        }
        self
    }

    /// The same value at another scale, or `None` where digits would be lost or there are too many.
    pub fn rescale_exact(self, scale: i8) -> Option<Self> {
        let unscaled = match scale.cmp(&self.scale) {
            Ordering::Equal => self.unscaled,
            Ordering::Greater => {
                let factor = power(usize::try_from(scale - self.scale).ok()?)?;
                self.unscaled.checked_mul(factor)?
            }
            Ordering::Less => exact_quotient(
                self.unscaled,
                usize::try_from(self.scale.checked_sub(scale)?).ok()?,
            )?,
        };
        Self::new(unscaled, scale).ok()
    }

    /// The nearest value at another scale, halves away from zero, as PostgreSQL's `round`.
    pub fn round(self, scale: i8) -> Result<Self, NumericError> {
        if scale >= self.scale {
            return self.rescale_exact(scale).ok_or(NumericError::OutOfRange);
        }
        let dropped = usize::from(self.scale.abs_diff(scale));
        let divisor = power(dropped).ok_or(NumericError::OutOfRange)?;
        let quotient = self.unscaled.wrapping_div(divisor);
        let rest = self.unscaled.wrapping_rem(divisor).wrapping_abs();
        // rest >= divisor / 2 without doubling, which could overflow; powers of ten are even.
        let up = rest >= divisor.wrapping_div(i256::from_i128(2));
        let step = if up { self.sign() } else { i256::ZERO };
        Self::new(quotient.wrapping_add(step), scale)
    }

    /// As `numeric(precision, scale)` stores it: rounded to the scale; too many digits are an error.
    pub fn to_declared(self, precision: u8, scale: i8) -> Result<Self, NumericError> {
        let rounded = self.round(scale)?;
        if rounded.digits() > precision { Err(NumericError::OutOfRange) } else { Ok(rounded) }
    }

    fn sign(&self) -> i256 {
        self.unscaled.signum()
    }

    /// SQL's order: by value, trailing zeros do not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        if self.sign() != other.sign() {
            return self.sign().cmp(&other.sign());
        }
        let (a_int, a_rest) = self.split();
        let (b_int, b_rest) = other.split();
        // The fractions, both at the larger scale, are under 10^76 and cannot overflow.
        let scale = self.scale.max(other.scale);
        let at = |rest: i256, own: i8| rest.wrapping_mul(POWERS[usize::from(scale.abs_diff(own))]);
        a_int.cmp(&b_int).then_with(|| at(a_rest, self.scale).cmp(&at(b_rest, other.scale)))
    }

    /// Whole part and the unscaled fraction, both with the value's sign.
    fn split(&self) -> (i256, i256) {
        let unit = POWERS[usize::from(self.scale.unsigned_abs()).min(POWERS.len() - 1)];
        (self.unscaled.wrapping_div(unit), self.unscaled.wrapping_rem(unit))
    }

    /// Feeds a hasher so that numerics equal in SQL hash alike.
    pub fn hash_value<H: Hasher>(&self, state: &mut H) {
        let trimmed = self.trimmed();
        trimmed.unscaled.to_le_bytes().hash(state);
        trimmed.scale.hash(state);
    }
}

/// `value / 10^digits` where nothing remains.
fn exact_quotient(value: i256, digits: usize) -> Option<i256> {
    let Some(divisor) = power(digits) else {
        return (value == i256::ZERO).then_some(value);
    };
    if let (Some(value), Some(divisor)) = (value.to_i128(), divisor.to_i128()) {
        return (value % divisor == 0).then(|| i256::from_i128(value / divisor));
    }
    (value.wrapping_rem(divisor) == i256::ZERO).then(|| value.wrapping_div(divisor))
}

/// Serialized as `[text of the unscaled digits, scale]`: arrow's integer has no serde of its own.
impl serde::Serialize for Numeric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.unscaled.to_string(), self.scale).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Numeric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (digits, scale) = <(String, i8)>::deserialize(deserializer)?;
        let unscaled = i256::from_string(&digits)
            .ok_or_else(|| serde::de::Error::custom("not a 256-bit integer"))?;
        Self::new(unscaled, scale).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
