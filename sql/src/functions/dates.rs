//! Dates and times made, taken apart and moved between zones: make_date(), age(), justify_hours(),
//! timezone() …

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::datetime::calendar::{
    self, DATE_MAX, DATE_MIN, DAY, HOUR, MINUTE, SECOND, split_micros,
};
use crate::types::datetime::infinity::{is_finite, is_finite_date};
use crate::types::datetime::input::is_valid_timestamp;
use crate::types::datetime::zone;
use crate::types::oid;
use crate::types::style::TimeZone;
use terrane_client::interval::Interval;
use terrane_client::value::Value;

const DATE: Kind = Kind::Of(oid::DATE);
const TIMESTAMP: Kind = Kind::Of(oid::TIMESTAMP);
const TIMESTAMPTZ: Kind = Kind::Of(oid::TIMESTAMPTZ);
const INTERVAL: Kind = Kind::Of(oid::INTERVAL);
const FLOAT: Kind = Kind::Of(oid::FLOAT8);
const INT: Kind = Kind::Int;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("make_date", &[Overload::new(&[INT, INT, INT], oid::DATE, make_date)]),
    Definition::new("make_time", &[Overload::new(&[INT, INT, FLOAT], oid::TIME, make_time)]),
    Definition::new(
        "make_interval",
        &[Overload::new(&[INT, INT, INT, INT, INT, INT, FLOAT], oid::INTERVAL, |_, args| {
            make_interval(args)
        })],
    ),
    Definition::new(
        "make_timestamp",
        &[Overload::new(&[INT, INT, INT, INT, INT, FLOAT], oid::TIMESTAMP, |_, args| {
            Ok(make_timestamp(args)?.into())
        })],
    ),
    Definition::new(
        "make_timestamptz",
        &[
            Overload::new(&[INT, INT, INT, INT, INT, FLOAT], oid::TIMESTAMPTZ, |facts, args| {
                at_zone(&facts.settings.style().time_zone, make_timestamp(args)?)
            }),
            Overload::new(
                &[INT, INT, INT, INT, INT, FLOAT, Kind::Text],
                oid::TIMESTAMPTZ,
                |_, args| at_zone(&named(args[6].text())?, make_timestamp(args)?),
            ),
        ],
    ),
    Definition::new(
        "isfinite",
        &[
            Overload::new(&[TIMESTAMPTZ], oid::BOOL, finite),
            Overload::new(&[TIMESTAMP], oid::BOOL, finite),
            Overload::new(&[DATE], oid::BOOL, finite),
            Overload::new(&[INTERVAL], oid::BOOL, finite),
        ],
    ),
    Definition::new("justify_hours", &[Overload::new(&[INTERVAL], oid::INTERVAL, justify_hours)]),
    Definition::new("justify_days", &[Overload::new(&[INTERVAL], oid::INTERVAL, justify_days)]),
    Definition::new(
        "justify_interval",
        &[Overload::new(&[INTERVAL], oid::INTERVAL, justify_interval)],
    ),
    Definition::new(
        "age",
        &[
            Overload::new(&[TIMESTAMPTZ, TIMESTAMPTZ], oid::INTERVAL, age_of_instants),
            Overload::new(&[TIMESTAMP, TIMESTAMP], oid::INTERVAL, |_, args| {
                age(args[0].micros(), args[1].micros())
            }),
            Overload::new(&[TIMESTAMPTZ], oid::INTERVAL, age_of_instant_today),
            Overload::new(&[TIMESTAMP], oid::INTERVAL, |facts, args| {
                age(midnight(facts), args[0].micros())
            }),
        ],
    ),
    Definition::new(
        "date_trunc",
        &[
            Overload::new(&[Kind::Text, TIMESTAMPTZ], oid::TIMESTAMPTZ, |facts, args| {
                truncated_in(&facts.settings.style().time_zone, args)
            }),
            Overload::new(&[Kind::Text, TIMESTAMP], oid::TIMESTAMP, |_, args| {
                Ok(truncated(args[0].text(), args[1].micros(), "timestamp without time zone")?
                    .into())
            }),
            Overload::new(&[Kind::Text, INTERVAL], oid::INTERVAL, truncated_interval),
            Overload::new(&[Kind::Text, TIMESTAMPTZ, Kind::Text], oid::TIMESTAMPTZ, |_, args| {
                truncated_in(&named(args[2].text())?, args)
            }),
        ],
    ),
    Definition::new(
        "date_bin",
        &[
            Overload::new(&[INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ], oid::TIMESTAMPTZ, binned),
            Overload::new(&[INTERVAL, TIMESTAMP, TIMESTAMP], oid::TIMESTAMP, binned),
        ],
    ),
    Definition::new(
        "timezone",
        &[
            Overload::new(&[Kind::Text, TIMESTAMPTZ], oid::TIMESTAMP, |_, args| {
                Ok(zone::to_local(&named(args[0].text())?, args[1].micros()).into())
            }),
            Overload::new(&[Kind::Text, TIMESTAMP], oid::TIMESTAMPTZ, |_, args| {
                at_zone(&named(args[0].text())?, args[1].micros())
            }),
            Overload::new(&[INTERVAL, TIMESTAMPTZ], oid::TIMESTAMP, |_, args| {
                Ok(zone::to_local(&shifted(&args[0])?, args[1].micros()).into())
            }),
            Overload::new(&[INTERVAL, TIMESTAMP], oid::TIMESTAMPTZ, |_, args| {
                at_zone(&shifted(&args[0])?, args[1].micros())
            }),
        ],
    ),
];

/// date_trunc() of an instant, on the wall of a zone.
fn truncated_in(zone: &TimeZone, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let local = zone::to_local(zone, args[1].micros());
    at_zone(zone, truncated(args[0].text(), local, "timestamp with time zone")?)
}

/// date_trunc(): the start of the unit that a time is in.
fn truncated(unit: &str, local: i64, type_name: &str) -> Result<i64, SqlError> {
    if !is_finite(local) {
        return Ok(local);
    }
    let (day, time) = split_micros(local);
    let (year, month, _) = calendar::civil_from_days(day);
    let start_of =
        |year: i32, month: i32| i64::from(calendar::days_from_civil(year, month, 1)) * DAY;
    // Units of years begin with year 1 of theirs, but for decades.
    let first_of = |years: i32| (year - 1).div_euclid(years) * years + 1;
    Ok(match unit.to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" => local,
        "milliseconds" | "millisecond" => local - local.rem_euclid(1000),
        "second" | "seconds" => local - local.rem_euclid(SECOND),
        "minute" | "minutes" => local - local.rem_euclid(MINUTE),
        "hour" | "hours" => local - local.rem_euclid(HOUR),
        "day" | "days" => local - time,
        "week" | "weeks" => {
            let since_monday = (calendar::weekday(day) as i64 + 6) % 7;
            local - time - since_monday * DAY
        }
        "month" | "months" => start_of(year, month),
        "quarter" | "quarters" => start_of(year, (month - 1) / 3 * 3 + 1),
        "year" | "years" => start_of(year, 1),
        "decade" | "decades" => start_of(year.div_euclid(10) * 10, 1),
        "century" | "centuries" => start_of(first_of(100), 1),
        "millennium" | "millennia" => start_of(first_of(1000), 1),
        _ => return Err(no_unit(unit, type_name)),
    })
}

/// date_bin(): the start of the bin that a time is in, where bins of one length are laid from an origin on.
fn binned(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (Interval { months, days, micros }, at, origin) =
        (args[0].interval(), args[1].micros(), args[2].micros());
    if !is_finite(at) {
        return Ok(at.into());
    }
    if !is_finite(origin) {
        return Err(out_of_range("origin"));
    }
    if months != 0 {
        return Err(SqlError::unsupported(
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let length =
        (i64::from(days) * DAY).checked_add(micros).ok_or_else(|| out_of_range("interval"))?;
    if length <= 0 {
        let message = "stride must be greater than zero";
        return Err(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message));
    }
    let since = at.checked_sub(origin).ok_or_else(|| out_of_range("interval"))?;
    let start = at.checked_sub(since.rem_euclid(length)).filter(|at| is_valid_timestamp(*at));
    Ok(start.ok_or_else(|| out_of_range("timestamp"))?.into())
}

fn no_unit(unit: &str, type_name: &str) -> SqlError {
    let message = format!("unit \"{unit}\" not recognized for type {type_name}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn truncated_interval(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Interval { months, days, micros } = args[1].interval();
    let of_months = |unit: i32| Interval { months: months - months % unit, days: 0, micros: 0 };
    let of_micros = |unit: i64| Interval { months, days, micros: micros - micros % unit };
    let unit = args[0].text().to_ascii_lowercase();
    Ok(Cell::Value(Value::Interval(match unit.as_str() {
        "microseconds" | "microsecond" => args[1].interval(),
        "milliseconds" | "millisecond" => of_micros(1000),
        "second" | "seconds" => of_micros(SECOND),
        "minute" | "minutes" => of_micros(MINUTE),
        "hour" | "hours" => of_micros(HOUR),
        "day" | "days" => Interval { months, days, micros: 0 },
        "month" | "months" => of_months(1),
        "quarter" | "quarters" => of_months(3),
        "year" | "years" => of_months(12),
        "decade" | "decades" => of_months(120),
        "century" | "centuries" => of_months(1200),
        "millennium" | "millennia" => of_months(12_000),
        _ => return Err(no_unit(&unit, "interval")),
    })))
}

fn out_of_range(what: &str) -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

/// Days since 1970-01-01; years before Christ are negative, and there is no year 0.
fn days(args: &[Arg]) -> Result<i32, SqlError> {
    let [year, month, day] = [args[0].int(), args[1].int(), args[2].int()];
    let wrong = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    let astronomical = if year < 0 { year + 1 } else { year };
    let int = |value: i64| i32::try_from(value).map_err(|_| wrong());
    let (y, m, d) = (int(astronomical)?, int(month)?, int(day)?);
    let exists = year != 0 && (1..=12).contains(&m) && d >= 1 && d <= calendar::days_in_month(y, m);
    if !exists {
        return Err(wrong());
    }
    let days = calendar::days_from_civil(y, m, d);
    match calendar::is_valid_date(y, m) && (DATE_MIN..=DATE_MAX).contains(&days) {
        true => Ok(days),
        false => Err(SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: {year}-{month:02}-{day:02}"),
        )),
    }
}

/// Microseconds since midnight; 24:00:00 is the end of the day.
fn time(hour: &Arg, minute: &Arg, second: &Arg) -> Result<i64, SqlError> {
    let (hour, minute, second) = (hour.int(), minute.int(), second.float());
    let wrong = || {
        SqlError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
        )
    };
    let fields = (0..=24).contains(&hour) && (0..60).contains(&minute);
    if !fields || !(0.0..=60.0).contains(&second) {
        return Err(wrong());
    }
    let micros = (second * SECOND as f64).round_ties_even() as i64;
    let time = hour * HOUR + minute * MINUTE + micros;
    if time > DAY { Err(wrong()) } else { Ok(time) }
}

fn make_date(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(Cell::Value(Value::Date(days(args)?)))
}

/// Years, months, weeks, days, hours, minutes and seconds.
fn make_interval(args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let out_of_range = || SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range");
    let sum = |of: [(usize, i64); 2]| {
        of.into_iter().try_fold(0i64, |sum, (at, unit)| {
            args[at].int().checked_mul(unit).and_then(|part| sum.checked_add(part))
        })
    };
    let narrow = |sum: Option<i64>| sum.and_then(|sum| i32::try_from(sum).ok());
    let seconds = args[6].float() * 1e6;
    if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    let months = narrow(sum([(0, 12), (1, 1)])).ok_or_else(out_of_range)?;
    let days = narrow(sum([(2, 7), (3, 1)])).ok_or_else(out_of_range)?;
    let micros = sum([(4, HOUR), (5, MINUTE)])
        .and_then(|sum| sum.checked_add(seconds.round_ties_even() as i64))
        .ok_or_else(out_of_range)?;
    Ok(Cell::Value(Value::Interval(Interval { months, days, micros })))
}

fn make_time(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(Cell::Value(Value::Time(time(&args[0], &args[1], &args[2])?)))
}

fn make_timestamp(args: &[Arg]) -> Result<i64, SqlError> {
    let time = time(&args[3], &args[4], &args[5])?;
    i64::from(days(args)?)
        .checked_mul(DAY)
        .and_then(|day| day.checked_add(time))
        .ok_or_else(|| out_of_range("timestamp"))
}

fn named(name: &str) -> Result<TimeZone, SqlError> {
    if let Some(zone) = zone::by_name(name) {
        return Ok(zone);
    }
    match zone::abbreviation(&name.to_lowercase()) {
        Some((east, _)) => Ok(TimeZone::Fixed(east, name.to_owned())),
        None => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("time zone \"{name}\" not recognized"),
        )),
    }
}

/// A zone that is so far east of Greenwich.
fn shifted(arg: &Arg) -> Result<TimeZone, SqlError> {
    let interval = arg.interval();
    if interval.months != 0 || interval.days != 0 {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "interval time zone must not include months or days",
        ));
    }
    let east = i32::try_from(interval.micros / SECOND).map_err(|_| out_of_range("time zone"))?;
    Ok(TimeZone::Fixed(east, String::new()))
}

fn at_zone(zone: &TimeZone, local: i64) -> Result<Cell<'static>, SqlError> {
    let utc = zone::to_utc(zone, local);
    Ok(utc.ok_or_else(|| out_of_range("timestamp"))?.into())
}

fn finite(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(match &args[0] {
        Arg::Value(Value::Date(days)) => is_finite_date(*days),
        Arg::Value(Value::Interval(_)) => true,
        at => is_finite(at.micros()),
    }
    .into())
}

fn interval(months: i64, days: i64, micros: i64) -> Result<Cell<'static>, SqlError> {
    let (Ok(months), Ok(days)) = (i32::try_from(months), i32::try_from(days)) else {
        return Err(out_of_range("interval"));
    };
    Ok(Cell::Value(Value::Interval(Interval { months, days, micros })))
}

fn justify_hours(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Interval { months, days, micros } = args[0].interval();
    let mut days = i64::from(days) + micros / DAY;
    let mut micros = micros % DAY;
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY);
    }
    interval(i64::from(months), days, micros)
}

fn justify_days(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Interval { months, days, micros } = args[0].interval();
    let mut months = i64::from(months) + i64::from(days / 30);
    let mut days = i64::from(days % 30);
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - 30);
    }
    interval(months, days, micros)
}

fn justify_interval(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Interval { months, days, micros } = args[0].interval();
    let mut days = i64::from(days) + micros / DAY;
    let mut micros = micros % DAY;
    let mut months = i64::from(months) + days / 30;
    days %= 30;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        (months, days) = (months - 1, days + 30);
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        (months, days) = (months + 1, days - 30);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - DAY);
    }
    interval(months, days, micros)
}

/// Today's midnight on the session's wall.
fn midnight(facts: &Facts) -> i64 {
    let now = zone::to_local(&facts.settings.style().time_zone, facts.transaction_micros);
    now - split_micros(now).1
}

fn age_of_instants(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let zone = &facts.settings.style().time_zone;
    let local = |arg: &Arg| zone::to_local(zone, arg.micros());
    age(local(&args[0]), local(&args[1]))
}

fn age_of_instant_today(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let zone = &facts.settings.style().time_zone;
    age(midnight(facts), zone::to_local(zone, args[0].micros()))
}

/// The years, months and days between two timestamps, counted as people do: months of the earlier date.
fn age(to: i64, from: i64) -> Result<Cell<'static>, SqlError> {
    if !is_finite(to) || !is_finite(from) {
        return Err(out_of_range("timestamp"));
    }
    let negative = to < from;
    let (late, early) = if negative { (from, to) } else { (to, from) };
    let ((late_day, late_time), (early_day, early_time)) =
        (split_micros(late), split_micros(early));
    let (late_date, early_date) =
        (calendar::civil_from_days(late_day), calendar::civil_from_days(early_day));
    let mut micros = late_time - early_time;
    let mut days = late_date.2 - early_date.2;
    let mut months = (late_date.0 - early_date.0) * 12 + late_date.1 - early_date.1;
    if micros < 0 {
        (micros, days) = (micros + DAY, days - 1);
    }
    while days < 0 {
        (days, months) = (days + calendar::days_in_month(early_date.0, early_date.1), months - 1);
    }
    let sign = if negative { -1 } else { 1 };
    interval(i64::from(sign * months), i64::from(sign * days), i64::from(sign) * micros)
}
