//! interval_in: PostgreSQL's units, SQL's `1-2` and `1 2:03:04`, and ISO 8601's `P1Y2M3DT4H5M6S`.

use super::Fault;
use super::calendar::{DAY, HOUR, MINUTE, SECOND};
use super::fields::{self, Field, Kind};
use super::scan::clock;
use super::words::{IntervalWord, Unit, interval_word};
use crate::error::{SqlError, SqlState};
use crate::types::style::IntervalStyle;
use terrane_client::interval::Interval;

/// Fields of an interval while it is read.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

/// Reads an interval. IntervalStyle matters for `-1 2:03`: SQL's sign is for all of it.
pub fn parse(text: &str, style: IntervalStyle) -> Result<Interval, SqlError> {
    let sql_signs = style == IntervalStyle::SqlStandard;
    let mut read = fields::cut(text).and_then(|all| decode(&all, sql_signs));
    if read == Err(Fault::Format) {
        read = iso(text);
    }
    let parts = read.map_err(|fault| match fault {
        Fault::Field => Fault::Interval.error("interval", text),
        other => other.error("interval", text),
    })?;
    let months = parts.years.checked_mul(12).and_then(|m| m.checked_add(parts.months));
    let months = months
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
    Ok(Interval { months, days: parts.days, micros: parts.micros })
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        (self.years, self.months, self.days, self.micros)
            == (other.years, other.months, other.days, other.micros)
    }
}

impl Parts {
    fn add_micros(&mut self, whole: i64, part: f64, unit: i64) -> Option<()> {
        self.micros = whole.checked_mul(unit)?.checked_add(self.micros)?;
        self.add_part_micros(part, unit)
    }

    /// A fraction of a unit, rounded half away from zero.
    fn add_part_micros(&mut self, part: f64, unit: i64) -> Option<()> {
        let exact = part * unit as f64;
        let mut micros = exact as i64;
        let rest = exact - micros as f64;
        if rest > 0.5 {
            micros += 1;
        } else if rest < -0.5 {
            micros -= 1;
        }
        self.micros = self.micros.checked_add(micros)?;
        Some(())
    }

    fn add_days(&mut self, whole: i64, unit: i32) -> Option<()> {
        let days = i32::try_from(whole).ok()?.checked_mul(unit)?;
        self.days = self.days.checked_add(days)?;
        Some(())
    }

    /// A fraction of a unit of whole days: days, and the rest in microseconds.
    fn add_part_days(&mut self, part: f64, unit: i32) -> Option<()> {
        let exact = part * f64::from(unit);
        let days = exact as i32;
        self.days = self.days.checked_add(days)?;
        self.add_part_micros(exact - f64::from(days), DAY)
    }

    fn add_months(&mut self, whole: i64) -> Option<()> {
        self.months = self.months.checked_add(i32::try_from(whole).ok()?)?;
        Some(())
    }

    fn add_years(&mut self, whole: i64, part: f64, unit: i32) -> Option<()> {
        let years = i32::try_from(whole).ok()?.checked_mul(unit)?;
        self.years = self.years.checked_add(years)?;
        let months = (part * f64::from(unit) * 12.0).round_ties_even() as i32;
        self.months = self.months.checked_add(months)?;
        Some(())
    }

    /// Adds a number of a unit.
    fn add(&mut self, whole: i64, part: f64, unit: Unit) -> Result<(), Fault> {
        let added = match unit {
            Unit::Microsecond => self.add_micros(whole, part, 1),
            Unit::Millisecond => self.add_micros(whole, part, 1000),
            Unit::Second => self.add_micros(whole, part, SECOND),
            Unit::Minute => self.add_micros(whole, part, MINUTE),
            Unit::Hour => self.add_micros(whole, part, HOUR),
            Unit::Day => self.add_days(whole, 1).and_then(|()| self.add_part_micros(part, DAY)),
            Unit::Week => self.add_days(whole, 7).and_then(|()| self.add_part_days(part, 7)),
            Unit::Month => self.add_months(whole).and_then(|()| self.add_part_days(part, 30)),
            Unit::Year => self.add_years(whole, part, 1),
            Unit::Decade => self.add_years(whole, part, 10),
            Unit::Century => self.add_years(whole, part, 100),
            Unit::Millennium => self.add_years(whole, part, 1000),
            Unit::Quarter | Unit::Julian | Unit::Other => return Err(Fault::Format),
        };
        added.ok_or(Fault::Field)
    }

    fn negate(&mut self) -> Result<(), Fault> {
        let all = (
            self.years.checked_neg(),
            self.months.checked_neg(),
            self.days.checked_neg(),
            self.micros.checked_neg(),
        );
        let (Some(years), Some(months), Some(days), Some(micros)) = all else {
            return Err(Fault::Field);
        };
        *self = Self { years, months, days, micros };
        Ok(())
    }
}

/// The bit of a unit among those that were given.
fn bit(unit: Unit, part: f64) -> u32 {
    let one = |unit: Unit| 1 << unit as u32;
    match unit {
        // Subseconds count as milliseconds and microseconds too.
        Unit::Second if part != 0.0 => {
            one(Unit::Second) | one(Unit::Millisecond) | one(Unit::Microsecond)
        }
        unit => one(unit),
    }
}

fn time_bits() -> u32 {
    [Unit::Hour, Unit::Minute].iter().fold(bit(Unit::Second, 0.5), |b, u| b | bit(*u, 0.0))
}

/// DecodeInterval: from the right, since a unit follows its number.
fn decode(all: &[Field], sql_signs: bool) -> Result<Parts, Fault> {
    let signed = |f: &Field| f.text.starts_with(['-', '+']);
    let force_negative = sql_signs
        && all.first().is_some_and(|f| f.text.starts_with('-'))
        && !all[1..].iter().any(signed);
    let mut parts = Parts::default();
    let (mut given, mut before) = (0_u32, false);
    let mut unit: Option<Unit> = None;
    for field in all.iter().rev() {
        let text = field.text.as_str();
        let found = match field.kind {
            Kind::Time => {
                parts.micros = time(text, false, force_negative)?;
                unit = Some(Unit::Day);
                time_bits()
            }
            Kind::Zone if text[1..].contains(':') => {
                parts.micros = time(&text[1..], text.starts_with('-'), force_negative)?;
                unit = Some(Unit::Day);
                time_bits()
            }
            Kind::Zone | Kind::Date | Kind::Number => {
                let (mut whole, mut part, months) = number(text)?;
                let this = if months { Unit::Month } else { unit.unwrap_or(Unit::Second) };
                if force_negative {
                    (whole, part) = (-whole.abs(), -part.abs());
                }
                parts.add(whole, part, this)?;
                // The number before hours, if it has no unit, is days.
                unit = Some(if this == Unit::Hour { Unit::Day } else { this });
                bit(this, part)
            }
            Kind::Word | Kind::SignedWord => {
                match interval_word(text).ok_or(Fault::Format)? {
                    IntervalWord::Ignored => continue,
                    IntervalWord::Ago => before = true,
                    IntervalWord::Unit(word) => unit = Some(word),
                    IntervalWord::Reserved => return Err(Fault::Format),
                }
                0
            }
        };
        if found & given != 0 {
            return Err(Fault::Format);
        }
        given |= found;
    }
    if given == 0 {
        return Err(Fault::Format);
    }
    if before {
        parts.negate()?;
    }
    Ok(parts)
}

/// `hh:mm:ss.fff`, hours without limit.
fn time(text: &str, negative: bool, force_negative: bool) -> Result<i64, Fault> {
    let (hour, minute, second, fraction) = clock(text)?;
    let rest = i64::from(minute) * MINUTE + i64::from(second) * SECOND + fraction;
    let micros = hour.checked_mul(HOUR).and_then(|h| h.checked_add(rest)).ok_or(Fault::Field)?;
    Ok(if negative || force_negative { -micros } else { micros })
}

/// A number with a sign and a fraction; or years and months with a hyphen, in months (`true`).
fn number(text: &str) -> Result<(i64, f64, bool), Fault> {
    let negative = text.starts_with('-');
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let (head, rest) = body.split_at(digits);
    let magnitude = match head {
        "" => 0,
        // Read with its sign: the smallest has no positive counterpart.
        _ if negative => format!("-{head}").parse::<i64>().map_err(|_| Fault::Field)?,
        _ => head.parse::<i64>().map_err(|_| Fault::Field)?,
    };
    if let Some(months) = rest.strip_prefix('-') {
        let count = match months.bytes().take_while(u8::is_ascii_digit).count() {
            0 if months.is_empty() => 0,
            n if n > 0 && n == months.len() => months.parse::<i64>().map_err(|_| Fault::Field)?,
            _ => return Err(Fault::Format),
        };
        if count >= 12 {
            return Err(Fault::Field);
        }
        let signed = if negative { -count } else { count };
        let total = magnitude.checked_mul(12).and_then(|m| m.checked_add(signed));
        return Ok((total.ok_or(Fault::Field)?, 0.0, true));
    }
    let part = match rest {
        "" | "." => 0.0,
        fraction if fraction.starts_with('.') => {
            fraction.parse::<f64>().map_err(|_| Fault::Format)?
        }
        _ => return Err(Fault::Format),
    };
    Ok((magnitude, if negative { -part } else { part }, false))
}

/// A reader of ISO 8601's numbers and designators.
struct Iso<'a> {
    rest: &'a str,
}

impl Iso<'_> {
    /// A number in whole and part, and how many digits its whole part has.
    fn number(&mut self) -> Result<(i64, f64, usize), Fault> {
        if !self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') {
            return Err(Fault::Format);
        }
        let sign = usize::from(self.rest.starts_with('-'));
        let whole = self.rest[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let mut end = sign + whole;
        if self.rest[end..].starts_with('.') {
            end += 1 + self.rest[end + 1..].bytes().take_while(u8::is_ascii_digit).count();
        }
        end += exponent(&self.rest[end..]);
        let value: f64 = self.rest[..end].parse().map_err(|_| Fault::Format)?;
        if !(-1e15..=1e15).contains(&value) {
            return Err(Fault::Field);
        }
        self.rest = &self.rest[end..];
        let integer = value.trunc();
        Ok((integer as i64, value - integer, whole))
    }

    fn designator(&mut self) -> Option<char> {
        let first = self.rest.chars().next()?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }
}

/// Length of `e+10`, if that is what comes.
fn exponent(text: &str) -> usize {
    let Some(rest) = text.strip_prefix(['e', 'E']) else { return 0 };
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    match digits.bytes().take_while(u8::is_ascii_digit).count() {
        0 => 0,
        n => text.len() - digits.len() + n,
    }
}

/// DecodeISO8601Interval.
fn iso(text: &str) -> Result<Parts, Fault> {
    let rest = text.strip_prefix('P').filter(|r| !r.is_empty()).ok_or(Fault::Format)?;
    let mut reader = Iso { rest };
    let mut parts = Parts::default();
    let (mut date, mut any) = (true, false);
    while !reader.rest.is_empty() {
        if let Some(rest) = reader.rest.strip_prefix('T') {
            reader.rest = rest;
            (date, any) = (false, false);
            continue;
        }
        let (whole, part, digits) = reader.number()?;
        let unit = match (date, reader.designator()) {
            (true, Some('Y')) => Unit::Year,
            (true, Some('M')) => Unit::Month,
            (true, Some('W')) => Unit::Week,
            (true, Some('D')) => Unit::Day,
            (false, Some('H')) => Unit::Hour,
            (false, Some('M')) => Unit::Minute,
            (false, Some('S')) => Unit::Second,
            (true, end @ (None | Some('T'))) if digits == 8 && !any => {
                // Basic: PYYYYMMDD
                parts.add(whole / 10_000, 0.0, Unit::Year)?;
                parts.add(whole / 100 % 100, 0.0, Unit::Month)?;
                parts.add(whole % 100, part, Unit::Day)?;
                if end.is_none() {
                    return Ok(parts);
                }
                (date, any) = (false, false);
                continue;
            }
            (true, end @ (None | Some('T' | '-'))) if !any => {
                parts.add(whole, part, Unit::Year)?;
                if end == Some('-') && extended_date(&mut reader, &mut parts)? || end.is_none() {
                    return Ok(parts);
                }
                (date, any) = (false, false);
                continue;
            }
            (false, None) if digits == 6 && !any => {
                // Basic: Thhmmss
                parts.add(whole / 10_000, 0.0, Unit::Hour)?;
                parts.add(whole / 100 % 100, 0.0, Unit::Minute)?;
                parts.add(whole % 100, part, Unit::Second)?;
                return Ok(parts);
            }
            (false, end @ (None | Some(':'))) if !any => {
                parts.add(whole, part, Unit::Hour)?;
                if end == Some(':') {
                    extended_time(&mut reader, &mut parts)?;
                }
                return Ok(parts);
            }
            _ => return Err(Fault::Format),
        };
        parts.add(whole, part, unit)?;
        any = true;
    }
    Ok(parts)
}

/// `MM-DD` of PYYYY-MM-DD; true at the end of the text, false where a time follows.
fn extended_date(reader: &mut Iso<'_>, parts: &mut Parts) -> Result<bool, Fault> {
    for unit in [Unit::Month, Unit::Day] {
        let (whole, part, _) = reader.number()?;
        parts.add(whole, part, unit)?;
        match reader.designator() {
            None => return Ok(true),
            Some('T') => return Ok(false),
            Some('-') if unit == Unit::Month => {}
            Some(_) => return Err(Fault::Format),
        }
    }
    Err(Fault::Format)
}

/// `mm:ss` of Thh:mm:ss.
fn extended_time(reader: &mut Iso<'_>, parts: &mut Parts) -> Result<(), Fault> {
    for unit in [Unit::Minute, Unit::Second] {
        let (whole, part, _) = reader.number()?;
        parts.add(whole, part, unit)?;
        match reader.designator() {
            None => return Ok(()),
            Some(':') if unit == Unit::Minute => {}
            Some(_) => return Err(Fault::Format),
        }
    }
    Err(Fault::Format)
}
