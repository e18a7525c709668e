//! to_date() and to_timestamp(): the fields that a picture names, put together.

use super::reading::{self, Fields};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::Arg;
use crate::types::datetime::calendar::{
    DATE_MAX, DATE_MIN, DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND, civil_from_days, days_from_civil,
    days_in_month, is_valid_date, weekday,
};
use crate::types::datetime::input::is_valid_timestamp;
use crate::types::datetime::{Fault, zone};
use crate::types::float;
use terrane_client::value::Value;

/// Hours of a zone's displacement.
const ZONE_HOURS_MAX: i64 = 15;

/// A date and a time of day that were read.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    micros: i64,
}

/// What a text says of a date.
struct Known {
    year: bool,
    month: bool,
    day: bool,
}

/// Seconds since 1970-01-01, as PostgreSQL's float8_timestamptz.
pub(super) fn of_epoch(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let seconds = args[0].float();
    if seconds.is_nan() {
        let message = "timestamp cannot be NaN";
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN }.into());
    }
    let micros = (seconds * SECOND as f64).round_ties_even();
    let in_range = micros.abs() < i64::MAX as f64 && is_valid_timestamp(micros as i64);
    match in_range {
        true => Ok((micros as i64).into()),
        false => {
            let mut shown = Vec::new();
            float::write(seconds, 0, &mut shown);
            let shown = String::from_utf8_lossy(&shown);
            let message = format!("timestamp out of range: \"{shown}\"");
            Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message))
        }
    }
}

/// to_timestamp() of a text.
pub(super) fn to_timestamp(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let out_of_range =
        || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    let (text, picture) = (args[0].text(), args[1].text());
    let fields = reading::read(text, picture)?;
    let civil = civil(&fields, text)?;
    let local = days(&civil)
        .and_then(|days| i64::from(days).checked_mul(DAY)?.checked_add(civil.micros))
        .ok_or_else(out_of_range)?;
    let utc = match displacement(&fields, text)? {
        Some(east) => local.checked_sub(east * SECOND),
        None => zone::to_utc(&facts.settings.style().time_zone, local),
    };
    let utc = utc.filter(|utc| is_valid_timestamp(*utc)).ok_or_else(out_of_range)?;
    let utc = match fields.precision {
        Some(digits) => rounded(utc, 10_i64.pow(6 - u32::from(digits.min(6)))),
        None => utc,
    };
    Ok(utc.into())
}

/// To a multiple, half away from zero.
fn rounded(micros: i64, unit: i64) -> i64 {
    let half = unit / 2 * micros.signum();
    micros.saturating_add(half) / unit * unit
}

/// to_date()
pub(super) fn to_date(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (text, picture) = (args[0].text(), args[1].text());
    let fields = reading::read(text, picture)?;
    let civil = civil(&fields, text)?;
    displacement(&fields, text)?;
    match days(&civil) {
        Some(days) => Ok(Cell::Value(Value::Date(days))),
        None => Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        )),
    }
}

/// `None` for days that a date cannot be.
fn days(civil: &Civil) -> Option<i32> {
    let year = i32::try_from(civil.year).ok()?;
    let (month, day) = (i32::try_from(civil.month).ok()?, i32::try_from(civil.day).ok()?);
    let days = is_valid_date(year, month).then(|| days_from_civil(year, month, day))?;
    (DATE_MIN..=DATE_MAX).contains(&days).then_some(days)
}

fn out_of_field(text: &str) -> SqlError {
    Fault::Field.error("timestamp", text)
}

/// Seconds east of Greenwich, where the text says so.
fn displacement(fields: &Fields, text: &str) -> Result<Option<i64>, SqlError> {
    let Some(sign) = fields.zone_sign else { return Ok(None) };
    let (hours, minutes) = (fields.zone_hours, fields.zone_minutes);
    match (0..=ZONE_HOURS_MAX).contains(&hours) && (0..60).contains(&minutes) {
        true => Ok(Some(sign * (hours * 3600 + minutes * 60))),
        false => Err(Fault::Displacement.error("timestamp", text)),
    }
}

fn civil(fields: &Fields, text: &str) -> Result<Civil, SqlError> {
    let mut civil = Civil { year: 0, month: 1, day: 1, micros: time(fields, text)? };
    let mut known = Known { year: set_year(fields, &mut civil), month: false, day: false };
    let mut day_of_year = fields.day_of_year;
    let mut day = fields.day;
    if fields.julian != 0 {
        civil.set_days(fields.julian - i64::from(EPOCH_JULIAN), &mut known, text)?;
    }
    if fields.week != 0 && fields.is_iso_week() {
        let since_monday = if fields.weekday == 0 { 0 } else { (fields.weekday + 5) % 7 };
        let monday = iso_year_start(civil.year, text)? + (fields.week - 1) * 7;
        civil.set_days(monday + since_monday, &mut known, text)?;
    } else if fields.week != 0 {
        day_of_year = (fields.week - 1) * 7 + 1;
    }
    if fields.week_of_month != 0 {
        day = (fields.week_of_month - 1) * 7 + 1;
    }
    if day != 0 {
        (civil.day, known.day) = (day, true);
    }
    if fields.month != 0 {
        (civil.month, known.month) = (fields.month, true);
    }
    if day_of_year != 0 && (civil.month <= 1 || civil.day <= 1) {
        if civil.year == 0 && fields.before_christ == 0 {
            return Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "cannot calculate day of year without year information",
            ));
        }
        if fields.is_iso_week() {
            let first = iso_year_start(civil.year, text)?;
            civil.set_days(first + day_of_year - 1, &mut known, text)?;
        } else {
            civil.set_day_of_year(day_of_year);
        }
        (known.month, known.day) = (true, true);
    }
    match civil.exists(&known) {
        true => Ok(civil),
        false => Err(out_of_field(text)),
    }
}

impl Civil {
    fn set_days(&mut self, days: i64, known: &mut Known, text: &str) -> Result<(), SqlError> {
        let days = i32::try_from(days).map_err(|_| out_of_field(text))?;
        let (year, month, day) = civil_from_days(days);
        (self.year, self.month, self.day) = (year.into(), month.into(), day.into());
        *known = Known { year: true, month: true, day: true };
        Ok(())
    }

    /// Sets the month and day that a day of the year is, as far as they are not known. Past the year's end
    /// there is a thirteenth month, which no date has.
    fn set_day_of_year(&mut self, day_of_year: i64) {
        let (mut month, mut before) = (1, 0);
        while month <= 12 {
            let length = self.days_in(month);
            if day_of_year <= before + length {
                break;
            }
            (month, before) = (month + 1, before + length);
        }
        if self.month <= 1 {
            self.month = month;
        }
        if self.day <= 1 {
            self.day = day_of_year - before;
        }
    }

    fn days_in(&self, month: i64) -> i64 {
        // 400 years on, the calendar is the same.
        i64::from(days_in_month(self.year.rem_euclid(400) as i32, month as i32))
    }

    /// Looks at what is known of a date.
    fn exists(&self, known: &Known) -> bool {
        let in_month = || self.day <= self.days_in(self.month);
        (!known.month || (1..=12).contains(&self.month))
            && (!known.day || (1..=31).contains(&self.day))
            && (!(known.year && known.month && known.day) || in_month())
    }
}

/// The Monday of an ISO year's first week, in days since 1970-01-01.
fn iso_year_start(year: i64, text: &str) -> Result<i64, SqlError> {
    let year = i32::try_from(year).map_err(|_| out_of_field(text))?;
    let fourth = days_from_civil(year, 1, 4);
    let since_monday = (weekday(fourth) as i64 + 6) % 7;
    Ok(i64::from(fourth) - since_monday)
}

/// Sets the year by itself and its century; false where there is neither.
fn set_year(fields: &Fields, civil: &mut Civil) -> bool {
    let before_christ = fields.before_christ != 0;
    let century = if before_christ { -fields.century } else { fields.century };
    if fields.year != 0 && fields.century != 0 && fields.year_digits <= 2 {
        // Two digits, in a century: the 21st from 2001 to 2100, the 6th BC from 600 BC to 501 BC.
        let last = fields.year % 100;
        civil.year = match (last, century >= 0) {
            (0, true) => century * 100,
            (0, false) => century * 100 + 1,
            (_, true) => last + (century - 1) * 100,
            (_, false) => (century + 1) * 100 - last + 1,
        };
    } else if fields.year != 0 {
        let year = if before_christ { -fields.year } else { fields.year };
        civil.year = if year < 0 { year + 1 } else { year };
    } else if fields.century != 0 {
        civil.year = if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 };
    }
    fields.year != 0 || fields.century != 0
}

/// Microseconds since midnight.
fn time(fields: &Fields, text: &str) -> Result<i64, SqlError> {
    let seconds = fields.seconds_of_day;
    let or = |field: i64, part: i64| if field != 0 { field } else { part };
    let mut hour = or(fields.hour, seconds / 3600);
    let minute = or(fields.minute, seconds % 3600 / 60);
    let second = or(fields.second, seconds % 60);
    if fields.twelve_hours {
        if !(1..=12).contains(&hour) {
            return Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("hour \"{hour}\" is invalid for the 12-hour clock"),
            )
            .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        hour = hour % 12 + if fields.afternoon != 0 { 12 } else { 0 };
    }
    let fraction = fields.milliseconds * 1000 + fields.micros;
    let in_range = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..SECOND).contains(&fraction);
    match in_range {
        true => Ok(hour * HOUR + minute * MINUTE + second * SECOND + fraction),
        false => Err(out_of_field(text)),
    }
}
