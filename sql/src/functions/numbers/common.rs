//! gcd() and lcm().

use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::exact;
use crate::functions::system::function::{Arg, Kind, Overload};
use crate::types::oid;
use arrow::datatypes::i256;
use terrane_client::numeric::Numeric;

const INT4: Kind = Kind::Of(oid::INT4);
const INT8: Kind = Kind::Of(oid::INT8);
const NUMERIC: Kind = Kind::Of(oid::NUMERIC);

/// gcd()
pub(super) const GCD: &[Overload] = &[
    Overload::new(&[INT4, INT4], oid::INT4, |_, args| narrow(divisor(args))),
    Overload::new(&[INT8, INT8], oid::INT8, |_, args| wide(divisor(args))),
    Overload::new(&[NUMERIC, NUMERIC], oid::NUMERIC, |_, args| of_numerics(args, numeric_divisor)),
];

/// lcm()
pub(super) const LCM: &[Overload] = &[
    Overload::new(&[INT4, INT4], oid::INT4, |_, args| narrow(multiple(args))),
    Overload::new(&[INT8, INT8], oid::INT8, |_, args| wide(multiple(args))),
    Overload::new(&[NUMERIC, NUMERIC], oid::NUMERIC, |_, args| of_numerics(args, numeric_multiple)),
];

/// Euclid's.
fn divisor(args: &[Arg]) -> i128 {
    let (mut a, mut b) = (i128::from(args[0].int()), i128::from(args[1].int()));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

fn multiple(args: &[Arg]) -> i128 {
    match divisor(args) {
        0 => 0,
        divisor => (i128::from(args[0].int()) / divisor * i128::from(args[1].int())).abs(),
    }
}

fn numeric_divisor(mut a: i256, mut b: i256) -> Option<i256> {
    while b != i256::ZERO {
        (a, b) = (b, a.checked_rem(b)?);
    }
    Some(a.wrapping_abs())
}

fn numeric_multiple(a: i256, b: i256) -> Option<i256> {
    if a == i256::ZERO || b == i256::ZERO {
        return Some(i256::ZERO);
    }
    a.wrapping_div(numeric_divisor(a, b)?).checked_mul(b).map(i256::wrapping_abs)
}

fn of_numerics(
    args: &[Arg],
    of: impl FnOnce(i256, i256) -> Option<i256>,
) -> Result<Cell<'static>, SqlError> {
    let (a, b) = (exact::numeric(&args[0])?, exact::numeric(&args[1])?);
    let scale = a.scale.max(b.scale);
    let at_scale = |value: Numeric| value.rescale_exact(scale).map(|value| value.unscaled);
    let unscaled = at_scale(a).zip(at_scale(b)).and_then(|(a, b)| of(a, b));
    let value = unscaled.and_then(|unscaled| Numeric::new(unscaled, scale).ok());
    exact::cell(value.ok_or_else(exact::overflow)?)
}

fn narrow(value: i128) -> Result<Cell<'static>, SqlError> {
    i32::try_from(value).map(Cell::from).map_err(|_| out_of_range("integer"))
}

fn wide(value: i128) -> Result<Cell<'static>, SqlError> {
    i64::try_from(value).map(Cell::from).map_err(|_| out_of_range("bigint"))
}

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}
