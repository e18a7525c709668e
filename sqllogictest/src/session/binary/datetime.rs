//! date, time, timestamp and interval: counts since 2000-01-01, in days or microseconds.

use std::fmt::Write as _;

use super::{Failure, take};

const DAY_MICROS: i64 = 86_400_000_000;
/// Days from 0000-03-01 of the proleptic Gregorian calendar to 2000-01-01.
const EPOCH_DAYS: i64 = 730_425;

/// Year (astronomical: 0 is 1 BC), month and day of a count of days since 2000-01-01. The algorithm
/// counts in eras of 400 years that begin on 1 March (Howard Hinnant, "chrono-compatible low-level
/// date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_DAYS;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

fn day_text(days: i64) -> (String, &'static str) {
    let (year, month, day) = civil(days);
    let (year, suffix) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), suffix)
}

fn clock(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_fraction(&mut text, micros % 1_000_000);
    text
}

fn push_fraction(text: &mut String, micros: i64) {
    if micros != 0 {
        let _ = write!(text, ".{micros:06}");
        text.truncate(text.trim_end_matches('0').len());
    }
}

pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => {
            let (day, suffix) = day_text(days.into());
            format!("{day}{suffix}")
        }
    }
}

pub(super) fn time(micros: i64) -> String {
    clock(micros)
}

pub(super) fn timetz(mut raw: &[u8]) -> Result<String, Failure> {
    let micros = i64::from_be_bytes(take(&mut raw)?);
    let west = i32::from_be_bytes(take(&mut raw)?);
    let east = west.checked_neg().ok_or("a time zone out of range")?;
    let (sign, offset) = if east < 0 { ('-', -east) } else { ('+', east) };
    let mut text = format!("{}{sign}{:02}", clock(micros), offset / 3600);
    if offset % 3600 != 0 {
        let _ = write!(text, ":{:02}", offset / 60 % 60);
    }
    if offset % 60 != 0 {
        let _ = write!(text, ":{:02}", offset % 60);
    }
    Ok(text)
}

pub(super) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        micros => {
            let (day, suffix) = day_text(micros.div_euclid(DAY_MICROS));
            format!("{day} {}{zone}{suffix}", clock(micros.rem_euclid(DAY_MICROS)))
        }
    }
}

/// interval in style `postgres`: years, months and days with their own signs, then a signed clock. A
/// part gets a `+` when it is positive and follows a negative one.
pub(super) fn interval(mut raw: &[u8]) -> Result<String, Failure> {
    let micros = i64::from_be_bytes(take(&mut raw)?);
    let days = i32::from_be_bytes(take(&mut raw)?);
    let months = i32::from_be_bytes(take(&mut raw)?);
    let mut text = String::new();
    let mut after_negative = false;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value != 0 {
            let space = if text.is_empty() { "" } else { " " };
            let plus = if after_negative && value > 0 { "+" } else { "" };
            let plural = if value == 1 { "" } else { "s" };
            let _ = write!(text, "{space}{plus}{value} {unit}{plural}");
            after_negative = value < 0;
        }
    }
    if micros != 0 || text.is_empty() {
        let space = if text.is_empty() { "" } else { " " };
        let sign = match micros {
            i64::MIN..0 => "-",
            _ if after_negative => "+",
            _ => "",
        };
        let micros = micros.unsigned_abs();
        let seconds = micros / 1_000_000;
        let _ = write!(
            text,
            "{space}{sign}{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        );
        push_fraction(&mut text, i64::try_from(micros % 1_000_000).unwrap_or(0));
    }
    Ok(text)
}
