//! Arithmetic with PostgreSQL's result scales.

use super::{Numeric, NumericError, POWERS, in_range};
use crate::types::NUMERIC_BARE_SCALE;
use arrow::datatypes::i256;

/// PostgreSQL's `NUMERIC_MIN_SIG_DIGITS`: a quotient has at least so many significant digits.
const QUOTIENT_DIGITS_MIN: i32 = 16;

type Result<T> = std::result::Result<T, NumericError>;

// Named as SQL's operators, not as Rust's: they fail, which std::ops cannot say.
impl Numeric {
    /// `self + other`, at the larger scale.
    pub fn plus(self, other: Self) -> Result<Self> {
        let at_same_scale = |a: Self, b: Self| {
            let scale = a.scale.max(b.scale);
            let (a, b) = (a.rescale_exact(scale)?, b.rescale_exact(scale)?);
            Self::new(a.unscaled.wrapping_add(b.unscaled), scale).ok()
        };
        at_same_scale(self, other)
            // Zeros that only pad the scale must not make a sum overflow.
            .or_else(|| at_same_scale(self.trimmed(), other.trimmed()))
            .ok_or(NumericError::OutOfRange)
    }

    /// `self - other`, at the larger scale.
    pub fn minus(self, other: Self) -> Result<Self> {
        self.plus(other.negated())
    }

    /// `self * other`, at the sum of the scales.
    pub fn times(self, other: Self) -> Result<Self> {
        let product = |a: Self, b: Self| {
            let scale = a.scale.checked_add(b.scale)?;
            Self::new(a.unscaled.checked_mul(b.unscaled)?, scale).ok()
        };
        product(self, other)
            .or_else(|| product(self.trimmed(), other.trimmed()))
            .ok_or(NumericError::OutOfRange)
    }

    /// `self / other`, rounded half away from zero at PostgreSQL's scale for quotients, but at most the
    /// scale of a bare numeric or of the operands, so that a bare column can hold it.
    pub fn divided_by(self, other: Self) -> Result<Self> {
        if other.is_zero() {
            return Err(NumericError::DivisionByZero);
        }
        let mut scale = quotient_scale(&self, &other);
        loop {
            match quotient(self.trimmed(), other.trimmed(), scale) {
                // A quotient of 76 digits left of the point has no room for fractional ones.
                Err(NumericError::OutOfRange) if scale > self.scale.max(other.scale) => scale -= 1,
                result => return result,
            }
        }
    }

    /// `self % other`: what is left after division truncated to an integer, with self's sign, at the
    /// larger scale.
    pub fn modulo(self, other: Self) -> Result<Self> {
        if other.is_zero() {
            return Err(NumericError::DivisionByZero);
        }
        let scale = self.scale.max(other.scale);
        let divisor = match other.rescale_exact(scale) {
            Some(divisor) => divisor.unscaled.wrapping_abs(),
            // The divisor has more digits at this scale than any dividend.
            None => return self.rescale_exact(scale).map_or(Ok(self), Ok),
        };
        let mut rest = self.unscaled.wrapping_abs().wrapping_rem(divisor);
        for _ in self.scale..scale {
            rest = next_digit(rest, divisor).1;
        }
        let rest = if self.unscaled.is_negative() { rest.wrapping_neg() } else { rest };
        Self::new(rest, scale)
    }

    /// `-self`
    pub fn negated(self) -> Self {
        Self { unscaled: self.unscaled.wrapping_neg(), scale: self.scale }
    }
}

/// PostgreSQL's `select_div_scale`.
fn quotient_scale(dividend: &Numeric, divisor: &Numeric) -> i8 {
    let (weight, first) = leading_group(dividend);
    let (divisor_weight, divisor_first) = leading_group(divisor);
    let mut quotient_weight = weight - divisor_weight;
    if first <= divisor_first {
        quotient_weight -= 1;
    }
    let wanted = QUOTIENT_DIGITS_MIN - quotient_weight * 4;
    let least = dividend.scale.max(divisor.scale);
    let most = least.max(NUMERIC_BARE_SCALE);
    wanted.clamp(i32::from(least), i32::from(most)) as i8
}

/// The weight and value of the leading base-10000 digit, in which PostgreSQL counts. Zero is (0, 0).
fn leading_group(value: &Numeric) -> (i32, i128) {
    let digits = i32::from(value.digits());
    if digits == 0 {
        return (0, 0);
    }
    let integer_digits = digits - i32::from(value.scale);
    // Groups are aligned at the point: the leading one holds 1 to 4 digits.
    let weight = (integer_digits - 1).div_euclid(4);
    let group_digits = (integer_digits - 1).rem_euclid(4) + 1;
    let drop = digits - group_digits;
    let unscaled = value.unscaled.wrapping_abs();
    let first = match usize::try_from(drop) {
        Ok(drop) => unscaled.wrapping_div(POWERS[drop]),
        Err(_) => unscaled.wrapping_mul(POWERS[drop.unsigned_abs() as usize]),
    };
    (weight, first.as_i128())
}

/// `dividend / divisor` at `scale`, rounded half away from zero.
fn quotient(dividend: Numeric, divisor: Numeric, scale: i8) -> Result<Numeric> {
    // unscaled result = dividend.unscaled * 10^shift / divisor.unscaled
    let shift = i32::from(scale) - i32::from(dividend.scale) + i32::from(divisor.scale);
    debug_assert!(shift >= 0, "a quotient has at least its dividend's scale");
    let negative = dividend.unscaled.is_negative() != divisor.unscaled.is_negative();
    let a = dividend.unscaled.wrapping_abs();
    let b = divisor.unscaled.wrapping_abs();
    let (mut result, mut rest) = (a.wrapping_div(b), a.wrapping_rem(b));
    let extra = usize::try_from(shift).unwrap_or(0);
    match super::power(extra).and_then(|factor| a.checked_mul(factor)) {
        Some(scaled) => (result, rest) = (scaled.wrapping_div(b), scaled.wrapping_rem(b)),
        None => {
            for _ in 0..extra {
                let (digit, next) = next_digit(rest, b);
                result = result
                    .checked_mul(i256::from_i128(10))
                    .and_then(|result| result.checked_add(i256::from_i128(digit)))
                    .filter(|result| in_range(*result))
                    .ok_or(NumericError::OutOfRange)?;
                rest = next;
            }
        }
    }
    if rest.wrapping_add(rest) >= b {
        result = result.wrapping_add(i256::ONE);
    }
    Numeric::new(if negative { result.wrapping_neg() } else { result }, scale)
}

/// `10 * rest / divisor`: one more decimal digit, and what remains. `rest < divisor < 10^76`.
fn next_digit(rest: i256, divisor: i256) -> (i128, i256) {
    if let Some(scaled) = rest.checked_mul(i256::from_i128(10)) {
        return (scaled.wrapping_div(divisor).as_i128(), scaled.wrapping_rem(divisor));
    }
    // 10 * rest overflows; sums of two remainders (under 2 * 10^76) do not.
    let (mut digit, mut sum) = (0, i256::ZERO);
    for _ in 0..10 {
        sum = sum.wrapping_add(rest);
        if sum >= divisor {
            sum = sum.wrapping_sub(divisor);
            digit += 1;
        }
    }
    (digit, sum)
}
