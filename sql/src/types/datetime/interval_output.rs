//! interval_out, in every IntervalStyle.

use super::calendar::{HOUR, MINUTE, SECOND};
use super::output::write_fraction;
use crate::types::integer;
use crate::types::style::IntervalStyle;
use terrane_client::interval::Interval;

/// An interval in the fields it is shown in; all of one part have one sign.
#[derive(Clone, Copy)]
struct Shown {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Shown {
    fn of(interval: &Interval) -> Self {
        Self {
            years: i64::from(interval.months / 12),
            months: i64::from(interval.months % 12),
            days: i64::from(interval.days),
            hours: interval.micros / HOUR,
            minutes: interval.micros % HOUR / MINUTE,
            seconds: interval.micros % MINUTE / SECOND,
            micros: interval.micros % SECOND,
        }
    }

    fn has_time(&self) -> bool {
        self.hours != 0 || self.minutes != 0 || self.has_seconds()
    }

    fn has_seconds(&self) -> bool {
        self.seconds != 0 || self.micros != 0
    }

    fn is_time_negative(&self) -> bool {
        self.hours < 0 || self.minutes < 0 || self.seconds < 0 || self.micros < 0
    }
}

/// interval_out.
pub fn write(interval: &Interval, style: IntervalStyle, out: &mut Vec<u8>) {
    let shown = Shown::of(interval);
    match style {
        IntervalStyle::Postgres => postgres(&shown, out),
        IntervalStyle::PostgresVerbose => verbose(&shown, out),
        IntervalStyle::SqlStandard => sql_standard(&shown, out),
        IntervalStyle::Iso8601 => iso8601(&shown, out),
    }
}

fn padded(value: i64, out: &mut Vec<u8>) {
    if value < 10 {
        out.push(b'0');
    }
    integer::write(value, out);
}

/// Seconds without their sign.
fn seconds(shown: &Shown, pad: bool, out: &mut Vec<u8>) {
    let whole = shown.seconds.abs();
    if pad {
        padded(whole, out);
    } else {
        integer::write(whole, out);
    }
    write_fraction(shown.micros.abs(), out);
}

/// `1 year 2 mons -3 days +04:05:06`
fn postgres(shown: &Shown, out: &mut Vec<u8>) {
    let start = out.len();
    let mut before_negative = false;
    for (value, unit) in [(shown.years, "year"), (shown.months, "mon"), (shown.days, "day")] {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        // A positive part after a negative one says so.
        if before_negative && value > 0 {
            out.push(b'+');
        }
        integer::write(value, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        before_negative = value < 0;
    }
    if out.len() == start || shown.has_time() {
        if out.len() > start {
            out.push(b' ');
        }
        if shown.is_time_negative() {
            out.push(b'-');
        } else if before_negative {
            out.push(b'+');
        }
        clock(shown, true, out);
    }
}

/// `04:05:06` without a sign.
fn clock(shown: &Shown, pad_hours: bool, out: &mut Vec<u8>) {
    if pad_hours {
        padded(shown.hours.abs(), out);
    } else {
        integer::write(shown.hours.abs(), out);
    }
    out.push(b':');
    padded(shown.minutes.abs(), out);
    out.push(b':');
    seconds(shown, true, out);
}

/// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs ago`
fn verbose(shown: &Shown, out: &mut Vec<u8>) {
    out.push(b'@');
    let (mut zero, mut before) = (true, false);
    let parts = [
        (shown.years, "year"),
        (shown.months, "mon"),
        (shown.days, "day"),
        (shown.hours, "hour"),
        (shown.minutes, "min"),
    ];
    for (value, unit) in parts {
        if value == 0 {
            continue;
        }
        // The first part's sign is said by "ago", which turns the others' around.
        if zero {
            before = value < 0;
        }
        let value = if before { -value } else { value };
        zero = false;
        out.push(b' ');
        integer::write(value, out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if value != 1 {
            out.push(b's');
        }
    }
    if shown.has_seconds() {
        out.push(b' ');
        let negative = shown.seconds < 0 || (shown.seconds == 0 && shown.micros < 0);
        if negative && zero {
            before = true;
        } else if negative != before {
            out.push(b'-');
        }
        seconds(shown, false, out);
        let plural = shown.seconds.abs() != 1 || shown.micros != 0;
        out.extend_from_slice(if plural { b" secs" } else { b" sec" });
        zero = false;
    }
    if zero {
        out.extend_from_slice(b" 0");
    }
    if before {
        out.extend_from_slice(b" ago");
    }
}

fn iso8601(shown: &Shown, out: &mut Vec<u8>) {
    out.push(b'P');
    let start = out.len();
    let part = |value: i64, unit: u8, out: &mut Vec<u8>| {
        if value != 0 {
            integer::write(value, out);
            out.push(unit);
        }
    };
    part(shown.years, b'Y', out);
    part(shown.months, b'M', out);
    part(shown.days, b'D', out);
    if shown.has_time() {
        out.push(b'T');
    }
    part(shown.hours, b'H', out);
    part(shown.minutes, b'M', out);
    if shown.has_seconds() {
        if shown.seconds < 0 || shown.micros < 0 {
            out.push(b'-');
        }
        seconds(shown, false, out);
        out.push(b'S');
    }
    if out.len() == start {
        out.extend_from_slice(b"T0S");
    }
}

fn sql_standard(shown: &Shown, out: &mut Vec<u8>) {
    let all = [shown.years, shown.months, shown.days, shown.hours, shown.minutes];
    let all = || all.iter().chain([&shown.seconds, &shown.micros]);
    let negative = all().any(|v| *v < 0);
    let positive = all().any(|v| *v > 0);
    let year_month = shown.years != 0 || shown.months != 0;
    let day_time = shown.days != 0 || shown.has_time();
    if !negative && !positive {
        out.push(b'0');
        return;
    }
    let sign = |negative: bool| if negative { b'-' } else { b'+' };
    let year_and_month = |out: &mut Vec<u8>| {
        integer::write(shown.years.abs(), out);
        out.push(b'-');
        integer::write(shown.months.abs(), out);
    };
    if (negative && positive) || (year_month && day_time) {
        // SQL has no such literal: every part gets its own sign.
        out.push(sign(shown.years < 0 || shown.months < 0));
        year_and_month(out);
        out.extend_from_slice(&[b' ', sign(shown.days < 0)]);
        integer::write(shown.days.abs(), out);
        out.extend_from_slice(&[b' ', sign(shown.is_time_negative())]);
        clock(shown, false, out);
        return;
    }
    if negative {
        out.push(b'-');
    }
    if year_month {
        year_and_month(out);
        return;
    }
    if shown.days != 0 {
        integer::write(shown.days.abs(), out);
        out.push(b' ');
    }
    clock(shown, false, out);
}
