//! Dates, times, timestamps and intervals.
//!
//! The extreme values of a date's and a timestamp's integer are PostgreSQL's 'infinity' and '-infinity':
//! arithmetic leaves them as they are.

use crate::expr::{BinaryOp, ExprError};
use crate::interval::Interval;
use crate::value::Value;

const DAY_MICROS: i64 = 86_400_000_000;
/// Days from 4713-11-24 BC (Julian day 0), the first date, to 1970-01-01.
const DATE_MIN: i32 = -2_440_588;
/// 5874897-12-31, PostgreSQL's last date.
const DATE_MAX: i32 = 2_145_042_905;
/// 4713-11-24 00:00 BC.
const TIMESTAMP_MIN: i64 = DATE_MIN as i64 * DAY_MICROS;
/// One below 'infinity': 294247-01-10 04:00:54.775806.
const TIMESTAMP_MAX: i64 = i64::MAX - 1;

fn out_of_range(what: &str) -> ExprError {
    ExprError::DateTimeOutOfRange(what.to_owned())
}

fn finite_date(days: i32) -> bool {
    days != i32::MIN && days != i32::MAX
}

fn finite_timestamp(micros: i64) -> bool {
    micros != i64::MIN && micros != i64::MAX
}

fn checked_date(days: Option<i32>) -> Result<i32, ExprError> {
    days.filter(|days| (DATE_MIN..=DATE_MAX).contains(days)).ok_or_else(|| out_of_range("date"))
}

fn checked_timestamp(micros: i128) -> Result<i64, ExprError> {
    i64::try_from(micros)
        .ok()
        .filter(|micros| (TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(micros))
        .ok_or_else(|| out_of_range("timestamp"))
}

/// Arithmetic between values of these types, neither NULL.
pub(super) fn binary(op: BinaryOp, a: Value, b: Value) -> Result<Value, ExprError> {
    use BinaryOp::{Add, Subtract};
    Ok(match (op, a, b) {
        (Add, Value::Date(d), Value::Int4(n)) | (Add, Value::Int4(n), Value::Date(d)) => {
            Value::Date(add_days(d, i64::from(n))?)
        }
        (Subtract, Value::Date(d), Value::Int4(n)) => Value::Date(add_days(d, -i64::from(n))?),
        (Subtract, Value::Date(a), Value::Date(b)) => Value::Int4(subtract_dates(a, b)?),
        (Add, Value::Date(d), Value::Interval(i)) | (Add, Value::Interval(i), Value::Date(d)) => {
            Value::Timestamp(add_interval(midnight(d)?, i)?)
        }
        (Subtract, Value::Date(d), Value::Interval(i)) => {
            Value::Timestamp(add_interval(midnight(d)?, negated(i)?)?)
        }
        (Add, Value::Timestamp(t), Value::Interval(i))
        | (Add, Value::Interval(i), Value::Timestamp(t)) => Value::Timestamp(add_interval(t, i)?),
        (Subtract, Value::Timestamp(t), Value::Interval(i)) => {
            Value::Timestamp(add_interval(t, negated(i)?)?)
        }
        (Add, Value::Date(d), Value::Time(t)) | (Add, Value::Time(t), Value::Date(d)) => {
            Value::Timestamp(date_at(d, t)?)
        }
        (Subtract, Value::Timestamp(a), Value::Timestamp(b))
        | (Subtract, Value::TimestampTz(a), Value::TimestampTz(b)) => {
            Value::Interval(subtract_timestamps(a, b)?)
        }
        (Subtract, Value::Time(a), Value::Time(b)) => {
            Value::Interval(Interval { months: 0, days: 0, micros: a.wrapping_sub(b) })
        }
        (Add, Value::Time(t), Value::Interval(i)) | (Add, Value::Interval(i), Value::Time(t)) => {
            Value::Time(add_to_time(t, i128::from(i.micros)))
        }
        (Subtract, Value::Time(t), Value::Interval(i)) => {
            Value::Time(add_to_time(t, -i128::from(i.micros)))
        }
        (Add, Value::Interval(a), Value::Interval(b)) => Value::Interval(add_intervals(a, b)?),
        (Subtract, Value::Interval(a), Value::Interval(b)) => {
            Value::Interval(add_intervals(a, negated(b)?)?)
        }
        _ => return Err(ExprError::IllTyped(format!("no operator {op:?} of these types"))),
    })
}

fn add_days(days: i32, by: i64) -> Result<i32, ExprError> {
    if !finite_date(days) {
        return Ok(days);
    }
    checked_date(i32::try_from(i64::from(days) + by).ok())
}

fn subtract_dates(a: i32, b: i32) -> Result<i32, ExprError> {
    if !finite_date(a) || !finite_date(b) {
        return Err(ExprError::InfiniteDifference("dates"));
    }
    a.checked_sub(b).ok_or_else(|| out_of_range("date"))
}

/// A date's first moment.
pub(super) fn midnight(days: i32) -> Result<i64, ExprError> {
    match days {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        days => checked_timestamp(i128::from(days) * i128::from(DAY_MICROS)),
    }
}

fn date_at(days: i32, time: i64) -> Result<i64, ExprError> {
    match midnight(days)? {
        infinite if !finite_timestamp(infinite) => Ok(infinite),
        midnight => checked_timestamp(i128::from(midnight) + i128::from(time)),
    }
}

/// The day a timestamp falls on. Every timestamp's day is a date.
pub(super) fn date_of(micros: i64) -> i32 {
    match micros {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        micros => micros.div_euclid(DAY_MICROS) as i32,
    }
}

/// The time of day; an infinite timestamp has none.
pub(super) fn time_of(micros: i64) -> Option<i64> {
    finite_timestamp(micros).then(|| micros.rem_euclid(DAY_MICROS))
}

/// Only the interval's time counts, and days wrap around.
fn add_to_time(time: i64, by: i128) -> i64 {
    (i128::from(time) + by).rem_euclid(i128::from(DAY_MICROS)) as i64
}

/// Months first, onto the same day of the month or its last, then days, then time.
fn add_interval(timestamp: i64, interval: Interval) -> Result<i64, ExprError> {
    if !finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    let mut days = i128::from(timestamp.div_euclid(DAY_MICROS));
    let time = timestamp.rem_euclid(DAY_MICROS);
    if interval.months != 0 {
        days = i128::from(add_months(days as i64, i64::from(interval.months)));
    }
    days += i128::from(interval.days);
    // PostgreSQL checks the range after each step; a step outside cannot be undone by the next.
    checked_timestamp(days * i128::from(DAY_MICROS) + i128::from(time))?;
    checked_timestamp(
        days * i128::from(DAY_MICROS) + i128::from(time) + i128::from(interval.micros),
    )
}

fn subtract_timestamps(a: i64, b: i64) -> Result<Interval, ExprError> {
    if !finite_timestamp(a) || !finite_timestamp(b) {
        return Err(ExprError::InfiniteDifference("timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(|| out_of_range("interval"))?;
    let days = i32::try_from(micros / DAY_MICROS).map_err(|_| out_of_range("interval"))?;
    Ok(Interval { months: 0, days, micros: micros % DAY_MICROS })
}

fn add_intervals(a: Interval, b: Interval) -> Result<Interval, ExprError> {
    let sum = || {
        Some(Interval {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            micros: a.micros.checked_add(b.micros)?,
        })
    };
    sum().ok_or_else(|| out_of_range("interval"))
}

/// `-interval`
pub(super) fn negated(interval: Interval) -> Result<Interval, ExprError> {
    let negated = || {
        Some(Interval {
            months: interval.months.checked_neg()?,
            days: interval.days.checked_neg()?,
            micros: interval.micros.checked_neg()?,
        })
    };
    negated().ok_or_else(|| out_of_range("interval"))
}

/// A day, given in days since 1970-01-01, moved by months.
fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let index = year * 12 + (month - 1) + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    days_from_civil(year, month, day.min(days_of_month(year, month)))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of the proleptic Gregorian calendar; year 0 is 1 BC. After Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms".
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = (month + 9) % 12;
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
