//! `(start, end) OVERLAPS (start, end)`, of points in time and of a point and a length.
//!
//! An end may come before its start. What is decided without a NULL is: one known end may be enough.

use super::system::function::{Arg, Definition, Kind, Overload};
use super::temporal::add_interval;
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::datetime::zone;
use crate::types::oid;
use terrane_client::interval::Interval;
use terrane_client::value::Value;

const TIME: Kind = Kind::Of(oid::TIME);
const WALL: Kind = Kind::Of(oid::TIMESTAMP);
const INSTANT: Kind = Kind::Of(oid::TIMESTAMPTZ);
const LENGTH: Kind = Kind::Of(oid::INTERVAL);

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new(
    "overlaps",
    &[
        Overload::of_nulls(&[INSTANT, INSTANT, INSTANT, INSTANT], oid::BOOL, of_points),
        Overload::of_nulls(&[WALL, WALL, WALL, WALL], oid::BOOL, of_points),
        Overload::of_nulls(&[TIME, TIME, TIME, TIME], oid::BOOL, of_points),
        Overload::of_nulls(&[WALL, LENGTH, WALL, LENGTH], oid::BOOL, of_walls),
        Overload::of_nulls(&[WALL, LENGTH, WALL, WALL], oid::BOOL, of_walls),
        Overload::of_nulls(&[WALL, WALL, WALL, LENGTH], oid::BOOL, of_walls),
        Overload::of_nulls(&[INSTANT, LENGTH, INSTANT, LENGTH], oid::BOOL, of_instants),
        Overload::of_nulls(&[INSTANT, LENGTH, INSTANT, INSTANT], oid::BOOL, of_instants),
        Overload::of_nulls(&[INSTANT, INSTANT, INSTANT, LENGTH], oid::BOOL, of_instants),
    ],
)];

fn micros(arg: &Arg) -> Option<i64> {
    (*arg != Arg::Null).then(|| arg.micros())
}

fn of_points(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let [a, b, c, d] = [0, 1, 2, 3].map(|at| micros(&args[at]));
    Ok(overlap((a, b), (c, d)).into())
}

fn of_walls(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    of_lengths(args, add_interval)
}

fn of_instants(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let zone = &facts.settings.style().time_zone;
    of_lengths(args, |at, length| {
        zone::to_utc(zone, add_interval(zone::to_local(zone, at), length)?)
    })
}

/// Where some end is told by its distance from the start.
fn of_lengths(
    args: &[Arg],
    add: impl Fn(i64, Interval) -> Option<i64>,
) -> Result<Cell<'static>, SqlError> {
    let end = |start: &Arg, end: &Arg| match (micros(start), end) {
        (_, Arg::Null) => Ok(None),
        (start, Arg::Value(Value::Interval(length))) => start
            .map(|start| {
                add(start, *length).ok_or_else(|| {
                    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
                })
            })
            .transpose(),
        (_, end) => Ok(micros(end)),
    };
    let first = (micros(&args[0]), end(&args[0], &args[1])?);
    let second = (micros(&args[2]), end(&args[2], &args[3])?);
    Ok(overlap(first, second).into())
}

/// The earlier and the later point; the one that is known first. `None` where neither is.
fn ordered((start, end): (Option<i64>, Option<i64>)) -> Option<(i64, Option<i64>)> {
    match (start, end) {
        (Some(start), Some(end)) => Some((start.min(end), Some(start.max(end)))),
        (known, other) => known.or(other).map(|known| (known, None)),
    }
}

fn overlap(first: (Option<i64>, Option<i64>), second: (Option<i64>, Option<i64>)) -> Option<bool> {
    let ((start, end), (other_start, other_end)) = (ordered(first)?, ordered(second)?);
    let later = |start: i64, own_end: Option<i64>, earlier_end: Option<i64>| match earlier_end {
        None => None,
        Some(end) if start < end => Some(true),
        Some(_) => own_end.map(|_| false),
    };
    match start.cmp(&other_start) {
        std::cmp::Ordering::Greater => later(start, end, other_end),
        std::cmp::Ordering::Less => later(other_start, other_end, end),
        std::cmp::Ordering::Equal => (end.is_some() && other_end.is_some()).then_some(true),
    }
}
