//! date_out, time_out, timestamp_out, timestamptz_out, in every DateStyle.

use super::calendar::{HOUR, MINUTE, SECOND, civil_from_days, split_micros, weekday};
use super::infinity::{is_finite, is_finite_date, word};
use super::zone;
use crate::types::integer;
use crate::types::style::{DateOrder, DateStyle, TextStyle};

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

#[inline]
fn two(value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]);
}

/// A year's number, at least four digits; 0 is 1 BC.
#[inline]
fn year_digits(year: i32, out: &mut Vec<u8>) {
    let shown = if year > 0 { year } else { 1 - year };
    if shown < 10_000 {
        two(shown / 100, out);
        two(shown % 100, out);
    } else {
        integer::write(shown, out);
    }
}

fn era(year: i32, out: &mut Vec<u8>) {
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// `04:05:06.789`, without trailing zeros.
#[inline]
pub fn write_time(micros: i64, out: &mut Vec<u8>) {
    two((micros / HOUR) as i32, out);
    out.push(b':');
    two((micros % HOUR / MINUTE) as i32, out);
    out.push(b':');
    two((micros % MINUTE / SECOND) as i32, out);
    write_fraction(micros % SECOND, out);
}

/// `.789`, or nothing.
pub fn write_fraction(mut micros: i64, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (micros % 10) as u8;
        micros /= 10;
    }
    let kept = digits.iter().rposition(|d| *d != b'0').map_or(0, |at| at + 1);
    out.push(b'.');
    out.extend_from_slice(&digits[..kept]);
}

/// The date in numbers, without era.
#[inline]
fn write_civil(year: i32, month: i32, day: i32, style: &TextStyle, out: &mut Vec<u8>) {
    let (separator, day_first) = match style.date_style {
        DateStyle::Iso => {
            year_digits(year, out);
            out.push(b'-');
            two(month, out);
            out.push(b'-');
            two(day, out);
            return;
        }
        DateStyle::German => (b'.', true),
        DateStyle::Sql => (b'/', style.date_order == DateOrder::Dmy),
        DateStyle::Postgres => (b'-', style.date_order == DateOrder::Dmy),
    };
    let (first, second) = if day_first { (day, month) } else { (month, day) };
    two(first, out);
    out.push(separator);
    two(second, out);
    out.push(separator);
    year_digits(year, out);
}

/// date_out.
#[inline]
pub fn write_date(days: i32, style: &TextStyle, out: &mut Vec<u8>) {
    if !is_finite_date(days) {
        return out.extend_from_slice(word(days > 0));
    }
    let (year, month, day) = civil_from_days(days);
    write_civil(year, month, day, style, out);
    era(year, out);
}

/// timestamp_out.
#[inline]
pub fn write_timestamp(micros: i64, style: &TextStyle, out: &mut Vec<u8>) {
    if !is_finite(micros) {
        return out.extend_from_slice(word(micros > 0));
    }
    let (days, time) = split_micros(micros);
    let (year, month, day) = civil_from_days(days);
    if style.date_style == DateStyle::Postgres {
        write_postgres(days, time, style, out);
    } else {
        write_civil(year, month, day, style, out);
        out.push(b' ');
        write_time(time, out);
    }
    era(year, out);
}

/// `Sat Feb 03 04:05:06 2001`
fn write_postgres(days: i32, time: i64, style: &TextStyle, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    out.extend_from_slice(WEEKDAYS[weekday(days)]);
    out.push(b' ');
    let name = MONTHS[(month - 1) as usize];
    if style.date_order == DateOrder::Dmy {
        two(day, out);
        out.push(b' ');
        out.extend_from_slice(name);
    } else {
        out.extend_from_slice(name);
        out.push(b' ');
        two(day, out);
    }
    out.push(b' ');
    write_time(time, out);
    out.push(b' ');
    year_digits(year, out);
}

/// timestamptz_out.
#[inline]
pub fn write_timestamptz(utc: i64, style: &TextStyle, out: &mut Vec<u8>) {
    if !is_finite(utc) {
        return out.extend_from_slice(word(utc > 0));
    }
    let offset = zone::offset_at(&style.time_zone, utc);
    let local = utc.saturating_add(i64::from(offset) * SECOND);
    let (days, time) = split_micros(local);
    let (year, month, day) = civil_from_days(days);
    match style.date_style {
        DateStyle::Iso => {
            write_civil(year, month, day, style, out);
            out.push(b' ');
            write_time(time, out);
            write_offset(offset, out);
        }
        DateStyle::Postgres => {
            write_postgres(days, time, style, out);
            write_abbreviation(utc, style, out);
        }
        DateStyle::Sql | DateStyle::German => {
            write_civil(year, month, day, style, out);
            out.push(b' ');
            write_time(time, out);
            write_abbreviation(utc, style, out);
        }
    }
    era(year, out);
}

fn write_abbreviation(utc: i64, style: &TextStyle, out: &mut Vec<u8>) {
    let name = zone::abbreviation_at(&style.time_zone, utc);
    out.push(b' ');
    out.extend_from_slice(name.get(..10).unwrap_or(&name).as_bytes());
}

/// `+01`, `-03:30`
#[inline]
fn write_offset(offset: i32, out: &mut Vec<u8>) {
    out.push(if offset < 0 { b'-' } else { b'+' });
    let seconds = offset.abs();
    two(seconds / 3600, out);
    if seconds % 3600 != 0 {
        out.push(b':');
        two(seconds % 3600 / 60, out);
    }
    if seconds % 60 != 0 {
        out.push(b':');
        two(seconds % 60, out);
    }
}
