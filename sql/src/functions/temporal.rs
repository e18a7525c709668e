//! Arithmetic of dates, times, timestamps and intervals, as PostgreSQL's operators do it.
//!
//! Months are added by the calendar and clipped to the month's last day; days and microseconds follow. A
//! timestamp with time zone is computed in UTC.

use super::arithmetic::ArithmeticOp;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::plan::values::{interval_from_arrow, interval_to_arrow};
use crate::types::datetime::calendar::{DATE_MAX, DATE_MIN};
use crate::types::datetime::infinity::{is_finite, is_finite_date, mapped, midnight};
use crate::types::datetime::zone;
use crate::types::style::TimeZone;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int32Type, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use chrono::{Days, Months, NaiveDate};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use std::sync::Arc;
use terrane_client::interval::Interval;

const DAY_MICROS: i64 = 86_400_000_000;
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const TIME: DataType = DataType::Time64(TimeUnit::Microsecond);

fn is_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..))
}

/// The operand types of an operator on these types, or `None` where neither is a time.
pub fn operands(op: ArithmeticOp, left: &DataType, right: &DataType) -> Option<Vec<DataType>> {
    use ArithmeticOp::{Add, Divide, Multiply, Subtract};
    use DataType::{Date32, Float64, Int32};
    let micros = |t: &DataType| match t {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        other => other.clone(),
    };
    Some(match (op, left, right) {
        (Add | Subtract, Date32, r) if r.is_integer() => vec![Date32, Int32],
        (Add, l, Date32) if l.is_integer() => vec![Int32, Date32],
        (Subtract, Date32, Date32) => vec![Date32, Date32],
        (Add, Date32, r) if *r == TIME => vec![Date32, TIME],
        (Add, l, Date32) if *l == TIME => vec![TIME, Date32],
        (Add | Subtract, l, DataType::Interval(_)) if matches!(l, Date32) || *l == TIME => {
            vec![l.clone(), INTERVAL]
        }
        (Add, DataType::Interval(_), r) if matches!(r, Date32) || *r == TIME => {
            vec![INTERVAL, r.clone()]
        }
        (Add | Subtract, l, DataType::Interval(_)) if is_timestamp(l) => vec![micros(l), INTERVAL],
        (Add, DataType::Interval(_), r) if is_timestamp(r) => vec![INTERVAL, micros(r)],
        (Subtract, l, r) if is_timestamp(l) && is_timestamp(r) => vec![micros(l), micros(l)],
        (Subtract, l, Date32) if is_timestamp(l) => vec![micros(l), micros(l)],
        (Subtract, Date32, r) if is_timestamp(r) => vec![micros(r), micros(r)],
        (Subtract, l, r) if *l == TIME && *r == TIME => vec![TIME, TIME],
        (Add | Subtract, DataType::Interval(_), DataType::Interval(_)) => vec![INTERVAL, INTERVAL],
        (Multiply | Divide, DataType::Interval(_), r) if r.is_numeric() => vec![INTERVAL, Float64],
        (Multiply, l, DataType::Interval(_)) if l.is_numeric() => vec![Float64, INTERVAL],
        _ => return None,
    })
}

/// The result type for operand types that [`operands`] gave.
pub fn result(op: ArithmeticOp, left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Date32, Int32};
    let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
    Some(match (left, right) {
        (Date32, Int32) | (Int32, Date32) => Date32,
        (Date32, Date32) if op == ArithmeticOp::Subtract => Int32,
        (Date32, DataType::Interval(_)) | (DataType::Interval(_), Date32) => naive,
        (Date32, r) if *r == TIME => naive,
        (l, Date32) if *l == TIME => naive,
        (l, r) if is_timestamp(l) && is_timestamp(r) => INTERVAL,
        (l, DataType::Interval(_)) if is_timestamp(l) || *l == TIME => l.clone(),
        (DataType::Interval(_), r) if is_timestamp(r) || *r == TIME => r.clone(),
        (l, r) if *l == TIME && *r == TIME => INTERVAL,
        (DataType::Interval(_), DataType::Interval(_) | DataType::Float64)
        | (DataType::Float64, DataType::Interval(_)) => INTERVAL,
        _ => return None,
    })
}

/// Computes an operator whose [`result`] is known. Days and months of an instant are those on the wall of `zone`.
pub fn compute(
    op: ArithmeticOp,
    left: &ColumnarValue,
    right: &ColumnarValue,
    rows: usize,
    zone: &TimeZone,
) -> Result<ArrayRef> {
    let scalars = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
    let rows = if scalars { 1 } else { rows };
    let left = left.to_array(rows)?;
    let right = right.to_array(rows)?;
    let is_interval = |array: &ArrayRef| matches!(array.data_type(), DataType::Interval(_));
    match (left.data_type(), right.data_type()) {
        (DataType::Date32, DataType::Int32) => date_and_days(op, &left, &right),
        (DataType::Int32, DataType::Date32) => date_and_days(op, &right, &left),
        (DataType::Date32, DataType::Date32) => days_between(&left, &right),
        (_, DataType::Float64) if is_interval(&left) => scale(op, &left, &right),
        (DataType::Float64, _) if is_interval(&right) => scale(op, &right, &left),
        (l, r) if *l == TIME && matches!(r, DataType::Date32) => date_and_time(&right, &left),
        (l, r) if matches!(l, DataType::Date32) && *r == TIME => date_and_time(&left, &right),
        _ if is_interval(&left) && is_interval(&right) => intervals(op, &left, &right),
        _ if is_interval(&right) => shift(op, &left, &right, zone),
        _ if is_interval(&left) => shift(op, &right, &left, zone),
        _ => difference(&left, &right),
    }
}

fn out_of_range(what: &str) -> DataFusionError {
    external(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range")))
}

fn infinite_difference(what: &str) -> DataFusionError {
    let message = format!("cannot subtract infinite {what}");
    external(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message))
}

fn date_and_days(op: ArithmeticOp, dates: &ArrayRef, days: &ArrayRef) -> Result<ArrayRef> {
    let dates = dates.as_primitive::<Date32Type>();
    let days = days.as_primitive::<Int32Type>();
    let moved = arrow::compute::try_binary::<_, _, _, Date32Type>(dates, days, |date, days| {
        let moved = match op {
            _ if !is_finite_date(date) => return Ok(date),
            ArithmeticOp::Subtract => date.checked_sub(days),
            _ => date.checked_add(days),
        };
        moved
            .filter(|moved| (DATE_MIN..=DATE_MAX).contains(moved))
            .ok_or_else(|| arrow::error::ArrowError::ArithmeticOverflow("date".to_owned()))
    });
    Ok(Arc::new(moved.map_err(|_| out_of_range("date"))?))
}

fn days_between(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let left = left.as_primitive::<Date32Type>();
    let right = right.as_primitive::<Date32Type>();
    let days = arrow::compute::try_binary::<_, _, _, Int32Type>(left, right, |left, right| {
        match is_finite_date(left) && is_finite_date(right) {
            true => Ok(left.wrapping_sub(right)),
            false => Err(arrow::error::ArrowError::ArithmeticOverflow("date".to_owned())),
        }
    });
    Ok(Arc::new(days.map_err(|_| infinite_difference("dates"))?))
}

fn date_and_time(dates: &ArrayRef, times: &ArrayRef) -> Result<ArrayRef> {
    let dates = dates.as_primitive::<Date32Type>();
    let times = times.as_primitive::<Time64MicrosecondType>();
    let at = |date, time: i64| {
        let at = midnight(date).and_then(|at| mapped(at, |midnight| midnight.checked_add(time)));
        at.ok_or_else(|| arrow::error::ArrowError::ArithmeticOverflow("timestamp".to_owned()))
    };
    let at = arrow::compute::try_binary::<_, _, _, TimestampMicrosecondType>(dates, times, at);
    Ok(Arc::new(at.map_err(|_| out_of_range("timestamp"))?))
}

type Intervals = arrow::array::PrimitiveArray<IntervalMonthDayNanoType>;

fn interval_results(values: impl Iterator<Item = Option<Option<Interval>>>) -> Result<ArrayRef> {
    let mut results = Vec::new();
    for value in values {
        results.push(match value {
            None => None,
            Some(interval) => {
                Some(interval.and_then(interval_to_arrow).ok_or_else(|| out_of_range("interval"))?)
            }
        });
    }
    Ok(Arc::new(results.into_iter().collect::<Intervals>()))
}

fn intervals(op: ArithmeticOp, left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let left = left.as_primitive::<IntervalMonthDayNanoType>();
    let right = right.as_primitive::<IntervalMonthDayNanoType>();
    interval_results(left.iter().zip(right.iter()).map(|(left, right)| {
        let (left, right) = (interval_from_arrow(left?), interval_from_arrow(right?));
        Some(if op == ArithmeticOp::Subtract {
            negated(right).and_then(|right| sum(left, right))
        } else {
            sum(left, right)
        })
    }))
}

fn negated(interval: Interval) -> Option<Interval> {
    Some(Interval {
        months: interval.months.checked_neg()?,
        days: interval.days.checked_neg()?,
        micros: interval.micros.checked_neg()?,
    })
}

fn sum(left: Interval, right: Interval) -> Option<Interval> {
    Some(Interval {
        months: left.months.checked_add(right.months)?,
        days: left.days.checked_add(right.days)?,
        micros: left.micros.checked_add(right.micros)?,
    })
}

fn scale(op: ArithmeticOp, values: &ArrayRef, factors: &ArrayRef) -> Result<ArrayRef> {
    let values = values.as_primitive::<IntervalMonthDayNanoType>();
    let factors = factors.as_primitive::<Float64Type>();
    if op == ArithmeticOp::Divide && factors.iter().any(|factor| factor == Some(0.0)) {
        return Err(external(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")));
    }
    interval_results(values.iter().zip(factors.iter()).map(|(value, factor)| {
        let (interval, factor) = (interval_from_arrow(value?), factor?);
        Some(match op {
            ArithmeticOp::Divide => divided(interval, factor),
            _ => scaled(interval, |part| part * factor),
        })
    }))
}

/// An interval's share of so many.
pub fn divided(interval: Interval, by: f64) -> Option<Interval> {
    scaled(interval, |part| part / by)
}

/// Fractions of a month become days of a 30-day month, fractions of a day hours (PostgreSQL's interval_mul).
fn scaled(interval: Interval, scale: impl Fn(f64) -> f64) -> Option<Interval> {
    let months = scale(f64::from(interval.months));
    let days = scale(f64::from(interval.days)) + round_micros(months.fract() * 30.0);
    let seconds_of_days = round_micros(days.fract() * 86_400.0);
    let micros = (scale(interval.micros as f64) + seconds_of_days * 1e6).round_ties_even();
    let fits = |v: f64, max: f64| v.is_finite() && v.abs() <= max;
    let all_fit = fits(months, f64::from(i32::MAX))
        && fits(days, f64::from(i32::MAX))
        && fits(micros, i64::MAX as f64);
    all_fit.then_some(Interval { months: months as i32, days: days as i32, micros: micros as i64 })
}

fn round_micros(value: f64) -> f64 {
    (value * 1e6).round_ties_even() / 1e6
}

/// A date, time or timestamp moved by an interval.
fn shift(
    op: ArithmeticOp,
    points: &ArrayRef,
    intervals: &ArrayRef,
    zone: &TimeZone,
) -> Result<ArrayRef> {
    let is_instant = matches!(points.data_type(), DataType::Timestamp(_, Some(_)));
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let signed = |interval| match op {
        ArithmeticOp::Subtract => negated(interval_from_arrow(interval)),
        _ => Some(interval_from_arrow(interval)),
    };
    let micros = |at: usize| -> Option<i64> {
        match points.data_type() {
            DataType::Date32 => midnight(points.as_primitive::<Date32Type>().value(at)),
            DataType::Time64(_) => Some(points.as_primitive::<Time64MicrosecondType>().value(at)),
            _ => Some(points.as_primitive::<TimestampMicrosecondType>().value(at)),
        }
    };
    let is_time = *points.data_type() == TIME;
    let mut moved = Vec::with_capacity(points.len());
    for at in 0..points.len() {
        if points.is_null(at) || intervals.is_null(at) {
            moved.push(None);
            continue;
        }
        let both = signed(intervals.value(at)).zip(micros(at));
        let result = both.and_then(|(interval, point)| match is_time {
            true => Some((point + interval.micros % DAY_MICROS).rem_euclid(DAY_MICROS)),
            false if is_instant => add_to_instant(point, interval, zone),
            false => add_interval(point, interval),
        });
        moved.push(Some(result.ok_or_else(|| out_of_range("timestamp"))?));
    }
    Ok(match points.data_type() {
        DataType::Time64(_) => Arc::new(
            moved.into_iter().collect::<arrow::array::PrimitiveArray<Time64MicrosecondType>>(),
        ),
        other => {
            let zone = match other {
                DataType::Timestamp(_, zone) => zone.clone(),
                _ => None,
            };
            let array: arrow::array::PrimitiveArray<TimestampMicrosecondType> =
                moved.into_iter().collect();
            Arc::new(array.with_timezone_opt(zone))
        }
    })
}

/// An instant moved by an interval: its months and days on the wall of a zone, where a day may have 23 hours.
fn add_to_instant(utc: i64, interval: Interval, zone: &TimeZone) -> Option<i64> {
    if interval.months == 0 && interval.days == 0 {
        return add_interval(utc, interval);
    }
    let local = add_interval(zone::to_local(zone, utc), Interval { micros: 0, ..interval })?;
    let moved = zone::to_utc(zone, local)?;
    add_interval(moved, Interval { micros: interval.micros, ..Interval::default() })
}

/// Microseconds since 1970 moved by an interval: months by the calendar, then days, then time.
pub fn add_interval(micros: i64, interval: Interval) -> Option<i64> {
    mapped(micros, |micros| add_to_finite(micros, interval))
}

fn add_to_finite(micros: i64, interval: Interval) -> Option<i64> {
    let (days, time) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    let mut date = move_days(epoch, days)?;
    if interval.months != 0 {
        let months = Months::new(interval.months.unsigned_abs());
        date = match interval.months > 0 {
            true => date.checked_add_months(months)?,
            false => date.checked_sub_months(months)?,
        };
    }
    let days = date.signed_duration_since(epoch).num_days() + i64::from(interval.days);
    days.checked_mul(DAY_MICROS)?.checked_add(time)?.checked_add(interval.micros)
}

fn move_days(date: NaiveDate, days: i64) -> Option<NaiveDate> {
    match days >= 0 {
        true => date.checked_add_days(Days::new(days.unsigned_abs())),
        false => date.checked_sub_days(Days::new(days.unsigned_abs())),
    }
}

/// The time between two timestamps or times, in days and microseconds.
fn difference(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let values = |array: &ArrayRef| -> Vec<Option<i64>> {
        match array.data_type() {
            DataType::Time64(_) => array.as_primitive::<Time64MicrosecondType>().iter().collect(),
            _ => array.as_primitive::<TimestampMicrosecondType>().iter().collect(),
        }
    };
    let of_times = matches!(left.data_type(), DataType::Time64(_));
    let (left, right) = (values(left), values(right));
    let is_infinite = |(left, right): (&Option<i64>, &Option<i64>)| {
        left.zip(*right).is_some_and(|(left, right)| !is_finite(left) || !is_finite(right))
    };
    if left.iter().zip(&right).any(is_infinite) {
        return Err(infinite_difference("timestamps"));
    }
    interval_results(left.into_iter().zip(right).map(|(left, right)| {
        Some(left?.checked_sub(right?).map(|micros| match of_times {
            true => Interval { months: 0, days: 0, micros },
            false => Interval {
                months: 0,
                days: (micros / DAY_MICROS) as i32,
                micros: micros % DAY_MICROS,
            },
        }))
    }))
}
