//! Functions of numbers that DataFusion lacks.

use super::exact::{self, fixed::Fixed};
use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use num_bigint::Sign;
use terrane_client::numeric::Numeric;

mod common;

const FLOAT: Kind = Kind::Of(oid::FLOAT8);
const NUMERIC: Kind = Kind::Of(oid::NUMERIC);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "sign",
        &[
            Overload::new(&[FLOAT], oid::FLOAT8, sign),
            Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| {
                let sign = exact::numeric(&args[0])?.compare(&Numeric::ZERO);
                exact::cell(Numeric::from_i64(sign as i64))
            }),
        ],
    ),
    Definition::new(
        "sqrt",
        &[
            Overload::new(&[FLOAT], oid::FLOAT8, sqrt),
            Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| exact::sqrt(args)),
        ],
    ),
    Definition::new(
        "exp",
        &[
            Overload::new(&[FLOAT], oid::FLOAT8, exp),
            Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| exact::exp(args)),
        ],
    ),
    Definition::new(
        "ln",
        &[
            Overload::new(&[FLOAT], oid::FLOAT8, |_, args| log(args, f64::ln)),
            Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| exact::ln(args)),
        ],
    ),
    Definition::new(
        "log",
        &[
            Overload::new(&[FLOAT], oid::FLOAT8, |_, args| log(args, f64::log10)),
            Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| exact::log10(args)),
            Overload::new(&[NUMERIC, NUMERIC], oid::NUMERIC, |_, args| {
                exact::log(&args[0], &args[1])
            }),
        ],
    ),
    Definition::new(
        "log10",
        &[
            Overload::new(&[FLOAT], oid::FLOAT8, |_, args| log(args, f64::log10)),
            Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| exact::log10(args)),
        ],
    ),
    Definition::new("power", POWERS),
    Definition::new("pow", POWERS),
    Definition::new(
        "factorial",
        &[Overload::new(&[Kind::Of(oid::INT8)], oid::NUMERIC, |_, args| {
            exact::factorial(args[0].int())
        })],
    ),
    Definition::new("gcd", common::GCD),
    Definition::new("lcm", common::LCM),
    Definition::new(
        "scale",
        &[Overload::new(&[NUMERIC], oid::INT4, |_, args| {
            Ok(Cell::Int(exact::numeric(&args[0])?.scale.into()))
        })],
    ),
    Definition::new(
        "min_scale",
        &[Overload::new(&[NUMERIC], oid::INT4, |_, args| {
            Ok(Cell::Int(exact::numeric(&args[0])?.trimmed().scale.into()))
        })],
    ),
    Definition::new(
        "trim_scale",
        &[Overload::new(&[NUMERIC], oid::NUMERIC, |_, args| {
            exact::cell(exact::numeric(&args[0])?.trimmed())
        })],
    ),
    Definition::new(
        "to_hex",
        &[
            Overload::new(&[Kind::Of(oid::INT4)], oid::TEXT, |_, args| {
                // An int4's bits, not those of the int8 it was widened to.
                Ok(format!("{:x}", args[0].int() as i32).into())
            }),
            Overload::new(&[Kind::Of(oid::INT8)], oid::TEXT, |_, args| {
                Ok(format!("{:x}", args[0].int()).into())
            }),
        ],
    ),
    Definition::new(
        "width_bucket",
        &[
            // One numeric among integers makes numerics of them.
            Overload::new(&[NUMERIC, NUMERIC, NUMERIC, Kind::Int], oid::INT4, exact_width_bucket),
            Overload::new(&[FLOAT, FLOAT, FLOAT, Kind::Int], oid::INT4, width_bucket),
        ],
    ),
];

const POWERS: &[Overload] = &[
    Overload::new(&[FLOAT, FLOAT], oid::FLOAT8, power),
    Overload::new(&[NUMERIC, NUMERIC], oid::NUMERIC, |_, args| exact::power(args)),
];

fn sign(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let value = args[0].float();
    Ok(Cell::Float(if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }))
}

/// 22003 where finite numbers have a result that is not, or none but zero.
fn in_range(result: f64, exact_zero: bool) -> Result<Cell<'static>, SqlError> {
    let out_of_range = |how: &str| {
        let message = format!("value out of range: {how}");
        Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message))
    };
    match result {
        result if result.is_infinite() => out_of_range("overflow"),
        0.0 if !exact_zero => out_of_range("underflow"),
        result => Ok(Cell::Float(result)),
    }
}

fn sqrt(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let value = args[0].float();
    match value < 0.0 {
        true => Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        )),
        false => Ok(Cell::Float(value.sqrt())),
    }
}

fn exp(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let value = args[0].float();
    match value.is_finite() {
        true => in_range(value.exp(), false),
        false => Ok(Cell::Float(value.exp())),
    }
}

fn log(args: &[Arg], of: fn(f64) -> f64) -> Result<Cell<'static>, SqlError> {
    positive(args[0].float()).map(|value| Cell::Float(of(value)))
}

/// What has a logarithm.
fn positive(value: f64) -> Result<f64, SqlError> {
    let refused = |of: &str| {
        let message = format!("cannot take logarithm of {of}");
        Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message))
    };
    match value {
        0.0 => refused("zero"),
        value if value < 0.0 => refused("a negative number"),
        value => Ok(value),
    }
}

fn power(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (base, exponent) = (args[0].float(), args[1].float());
    let refused =
        |message| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if base == 0.0 && exponent < 0.0 {
        return refused("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return refused("a negative number raised to a non-integer power yields a complex result");
    }
    let result = base.powf(exponent);
    match base.is_finite() && exponent.is_finite() {
        true => in_range(result, base == 0.0),
        false => Ok(Cell::Float(result)),
    }
}

fn wrong_buckets(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message)
}

/// The same of numerics, without rounding.
fn exact_width_bucket(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let count = args[3].int();
    if count <= 0 {
        return Err(wrong_buckets("count must be greater than zero"));
    }
    let numbers = [0, 1, 2].map(|at| exact::numeric(&args[at]));
    let [value, low, high] = numbers;
    let (value, low, high) = (value?, low?, high?);
    let scale = value.scale.max(low.scale).max(high.scale);
    let of = |number: &Numeric| Fixed::of(number, scale.into()).unscaled().clone();
    let (value, low, high) = (of(&value), of(&low), of(&high));
    if low == high {
        return Err(wrong_buckets("lower bound cannot equal upper bound"));
    }
    let (from_low, width) =
        if low < high { (value - &low, high - &low) } else { (&low - value, low - high) };
    let bucket = if from_low.sign() == Sign::Minus {
        0
    } else if from_low >= width {
        count + 1
    } else {
        i64::try_from(from_low * count / width).unwrap_or(count) + 1
    };
    bucket_number(bucket)
}

fn bucket_number(bucket: i64) -> Result<Cell<'static>, SqlError> {
    match i32::try_from(bucket) {
        Ok(bucket) => Ok(bucket.into()),
        Err(_) => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")),
    }
}

/// Which of `count` buckets of equal width between two bounds a value is in; below is 0.
fn width_bucket(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let [value, low, high] = [args[0].float(), args[1].float(), args[2].float()];
    let count = args[3].int();
    let wrong = |message| Err(wrong_buckets(message));
    if count <= 0 {
        return wrong("count must be greater than zero");
    }
    if value.is_nan() || low.is_nan() || high.is_nan() {
        return wrong("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return wrong("lower and upper bounds must be finite");
    }
    if low == high {
        return wrong("lower bound cannot equal upper bound");
    }
    let rising = low < high;
    let before = if rising { value < low } else { value > low };
    let after = if rising { value >= high } else { value <= high };
    let bucket = if before {
        0
    } else if after {
        count + 1
    } else {
        // Inside of the bounds: no bucket past the last one, whatever rounding says.
        let inside = count as f64 * ((value - low) / (high - low));
        (inside as i64).min(count - 1) + 1
    };
    bucket_number(bucket)
}
