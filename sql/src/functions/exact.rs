//! sqrt(), exp(), ln(), log(), power() of numerics, with as many digits as PostgreSQL's.
//!
//! A result has 16 significant digits, and no fewer behind the point than its arguments. It is computed with more, in
//! [`fixed`], and rounded. As a bare numeric it is shown without the zeros at its end, and holds 20 digits behind
//! the point: what is smaller is rounded there.

pub mod fixed;

use super::system::function::Arg;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use fixed::Fixed;
use num_bigint::BigInt;
use terrane_client::numeric::Numeric;
use terrane_client::types::NUMERIC_BARE_SCALE;
use terrane_client::value::Value;

type Result<T> = std::result::Result<T, SqlError>;

/// PostgreSQL's NUMERIC_MIN_SIG_DIGITS.
const SIGNIFICANT: i64 = 16;
/// Digits that are computed beyond those that are shown.
const GUARD: i64 = 12;
/// PostgreSQL's NUMERIC_MAX_DISPLAY_SCALE.
const SCALE_MAX: i64 = 1000;
/// Digits before the point of the greatest bare numeric; what is greater by far is not computed.
const WHOLE_MAX: f64 = 60.0;
/// Digits in one of PostgreSQL's.
const GROUP: i64 = 4;

/// The number of a numeric argument, its zeros at the end gone where it is a bare one.
pub(super) fn numeric(arg: &Arg) -> Result<Numeric> {
    match arg {
        Arg::Value(Value::Numeric(value)) if value.scale == NUMERIC_BARE_SCALE => {
            Ok(value.trimmed())
        }
        Arg::Value(Value::Numeric(value)) => Ok(*value),
        _ => Err(SqlError::internal("an argument is no numeric")),
    }
}

/// As a function gives it.
pub(super) fn cell(value: Numeric) -> Result<Cell<'static>> {
    let bare = match value.scale > NUMERIC_BARE_SCALE {
        true => value.round(NUMERIC_BARE_SCALE).ok(),
        false => value.rescale_exact(NUMERIC_BARE_SCALE),
    };
    let bare = bare.ok_or_else(overflow)?;
    Ok(Cell::Value(Value::Numeric(bare)))
}

pub(super) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

fn rounded(value: &Fixed, scale: i64) -> Result<Cell<'static>> {
    let scale = scale.clamp(0, SCALE_MAX);
    let shown = scale.min(i64::from(NUMERIC_BARE_SCALE));
    // To PostgreSQL's digits first, then to those there are.
    let value = value.to_scale(scale).to_scale(shown);
    let unscaled = value.unscaled().to_string().parse().map_err(|_| overflow())?;
    cell(Numeric::new(unscaled, shown as i8).map_err(|_| overflow())?)
}

/// sqrt()
pub(super) fn sqrt(args: &[Arg]) -> Result<Cell<'static>> {
    let value = numeric(&args[0])?;
    if value.compare(&Numeric::ZERO).is_lt() {
        let message = "cannot take square root of a negative number";
        return Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    // Half the digits before the point, in groups of four as PostgreSQL counts.
    let weight = weight(&value);
    let half = match weight >= 0 {
        true => (weight + 1) * GROUP / 2 - 1,
        false => 1 - (1 - weight * GROUP) / 2,
    };
    let scale = (SIGNIFICANT - half).max(value.scale.into());
    rounded(&Fixed::of(&value, scale.max(0) + GUARD).sqrt(), scale)
}

/// exp()
pub(super) fn exp(args: &[Arg]) -> Result<Cell<'static>> {
    let value = numeric(&args[0])?;
    let digits = float(&value) * std::f64::consts::LOG10_E;
    if digits > WHOLE_MAX {
        return Err(overflow());
    }
    let scale = (SIGNIFICANT - digits.max(-(SCALE_MAX as f64)) as i64).max(value.scale.into());
    // What is below the digits there are is zero.
    if digits < -f64::from(NUMERIC_BARE_SCALE) - 2.0 {
        return cell(Numeric::ZERO);
    }
    let scale = scale.clamp(0, SCALE_MAX);
    rounded(&Fixed::of(&value, scale + GUARD + digits.max(0.0) as i64).exp(), scale)
}

/// ln()
pub(super) fn ln(args: &[Arg]) -> Result<Cell<'static>> {
    let value = positive(&args[0])?;
    let scale = (SIGNIFICANT - ln_weight(&value)).max(value.scale.into());
    rounded(&Fixed::of(&value, scale.clamp(0, SCALE_MAX) + GUARD).ln(), scale)
}

/// log() of a base.
pub(super) fn log(base: &Arg, value: &Arg) -> Result<Cell<'static>> {
    let (base, value) = (positive(base)?, positive(value)?);
    log_of(&base, &value)
}

/// log() of base 10.
pub(super) fn log10(args: &[Arg]) -> Result<Cell<'static>> {
    log_of(&Numeric::from_i64(10), &positive(&args[0])?)
}

fn log_of(base: &Numeric, value: &Numeric) -> Result<Cell<'static>> {
    let (of_base, of_value) = (ln_weight(base), ln_weight(value));
    let scale = SIGNIFICANT - (of_value - of_base);
    let scale = scale.max(base.scale.into()).max(value.scale.into()).clamp(0, SCALE_MAX);
    // A quotient has the relative error of both.
    let digits = scale + GUARD + of_base.abs() + of_value.abs();
    let divisor = Fixed::of(base, digits).ln();
    if divisor.is_zero() {
        return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    rounded(&Fixed::of(value, digits).ln().divided_by(&divisor), scale)
}

fn positive(arg: &Arg) -> Result<Numeric> {
    let value = numeric(arg)?;
    let refused = |of: &str| {
        let message = format!("cannot take logarithm of {of}");
        Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message))
    };
    match value.compare(&Numeric::ZERO) {
        std::cmp::Ordering::Less => refused("a negative number"),
        std::cmp::Ordering::Equal => refused("zero"),
        std::cmp::Ordering::Greater => Ok(value),
    }
}

/// power()
pub(super) fn power(args: &[Arg]) -> Result<Cell<'static>> {
    let (base, exponent) = (numeric(&args[0])?, numeric(&args[1])?);
    let refused =
        |message| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    let negative = base.compare(&Numeric::ZERO).is_lt();
    let whole = exponent.trimmed().rescale_exact(0);
    if base.is_zero() && exponent.compare(&Numeric::ZERO).is_lt() {
        return refused("zero raised to a negative power is undefined");
    }
    if negative && whole.is_none() {
        return refused("a negative number raised to a non-integer power yields a complex result");
    }
    if base.is_zero() {
        let one = i64::from(exponent.is_zero());
        return cell(Numeric::from_i64(one));
    }
    let digits = float(&exponent) * float(&base).abs().log10();
    if digits > WHOLE_MAX {
        return Err(overflow());
    }
    if digits < -f64::from(NUMERIC_BARE_SCALE) - 2.0 {
        return cell(Numeric::ZERO);
    }
    // A product of so many factors has 16 digits behind the point, however small it is.
    let scale = match whole {
        Some(_) => SIGNIFICANT.max(base.scale.into()),
        None => (SIGNIFICANT - digits as i64).max(base.scale.into()).max(exponent.scale.into()),
    };
    let scale = scale.clamp(0, SCALE_MAX);
    let exponent_digits = float(&exponent).abs().log10().max(0.0) as i64;
    let working = scale + GUARD + digits.max(0.0) as i64 + exponent_digits + WHOLE_MAX as i64;
    let magnitude = Numeric { unscaled: base.unscaled.wrapping_abs(), scale: base.scale };
    let product = Fixed::of(&magnitude, working).ln().times(&Fixed::of(&exponent, working));
    let value = product.exp();
    let odd = whole.is_some_and(|whole| whole.unscaled.wrapping_abs().to_parts().0 & 1 == 1);
    rounded(&if negative && odd { value.negated() } else { value }, scale)
}

/// factorial()
pub(super) fn factorial(of: i64) -> Result<Cell<'static>> {
    if of < 0 {
        let message = "factorial of a negative number is undefined";
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
    }
    let mut product = Numeric::from_i64(1);
    for factor in 2..=of {
        product = product.times(Numeric::from_i64(factor)).map_err(|_| overflow())?;
    }
    cell(product)
}

fn float(value: &Numeric) -> f64 {
    let digits = value.unscaled.to_string().parse::<f64>().unwrap_or(f64::MAX);
    digits / 10_f64.powi(value.scale.into())
}

/// The weight of a number's first group of four digits: 0 is that before the point.
fn weight(value: &Numeric) -> i64 {
    let whole_digits = i64::from(value.digits()) - i64::from(value.scale);
    (whole_digits - 1).div_euclid(GROUP)
}

/// About the digits before the point of a number's natural logarithm.
fn ln_weight(value: &Numeric) -> i64 {
    let about = float(value);
    if (0.9..=1.1).contains(&about) {
        let beyond_one = value.minus(Numeric::from_i64(1)).map(Numeric::trimmed);
        return match beyond_one {
            Ok(rest) if !rest.is_zero() => i64::from(rest.digits()) - i64::from(rest.scale) - 1,
            _ => 0,
        };
    }
    about.ln().abs().log10() as i64
}

/// The digits behind the point of a quotient, as PostgreSQL's select_div_scale: 16 significant ones at least.
pub(super) fn quotient_scale(dividend: &Fixed, divisor: &Fixed) -> i64 {
    let ((weight, first), (other_weight, other_first)) = (leading(dividend), leading(divisor));
    let weight = weight - other_weight - i64::from(first <= other_first);
    let behind = dividend.digits().1.max(divisor.digits().1);
    (SIGNIFICANT - weight * GROUP).max(behind).clamp(0, SCALE_MAX)
}

/// The weight of a number's first group of four digits, and the group.
fn leading(value: &Fixed) -> (i64, u32) {
    let (digits, scale) = value.digits();
    let exponent = digits.len() as i64 - scale - 1;
    let weight = exponent.div_euclid(GROUP);
    let length = (exponent - weight * GROUP + 1) as usize;
    let first = format!("{digits:0<length$}")[..length].parse().unwrap_or(0);
    (weight, first)
}

/// `10^power`
fn ten_to(power: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(power).unwrap_or(0))
}
