//! Functions of numbers that DataFusion lacks.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;

const FLOAT: Kind = Kind::Of(oid::FLOAT8);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("sign", &[Overload::new(&[FLOAT], oid::FLOAT8, sign)]),
    Definition::new(
        "width_bucket",
        &[Overload::new(&[FLOAT, FLOAT, FLOAT, Kind::Int], oid::INT4, width_bucket)],
    ),
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

/// Which of `count` buckets of equal width between two bounds a value is in; below is 0.
fn width_bucket(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let [value, low, high] = [args[0].float(), args[1].float(), args[2].float()];
    let count = args[3].int();
    let wrong = |message| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message));
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
    match i32::try_from(bucket) {
        Ok(bucket) => Ok(bucket.into()),
        Err(_) => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")),
    }
}
