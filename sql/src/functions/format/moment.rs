//! to_char() of timestamps and intervals.

use super::fields::{self, Case, Field, Key};
use super::picture::{Node, Pattern};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::Arg;
use crate::types::datetime::calendar::{
    EPOCH_JULIAN, HOUR, MINUTE, SECOND, civil_from_days, days_from_civil, split_micros, weekday,
};
use crate::types::datetime::infinity::is_finite;
use crate::types::datetime::zone;
use terrane_client::interval::Interval;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Of a timestamptz, on the session's wall.
pub(super) fn of_instant(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let zone = &facts.settings.style().time_zone;
    let at = args[0].micros();
    if !is_finite(at) {
        return Ok(Cell::Null);
    }
    let named = Some((zone::offset_at(zone, at), zone::abbreviation_at(zone, at)));
    Moment::new(zone::to_local(zone, at), named).cell(args[1].text())
}

/// Of a timestamp.
pub(super) fn of_timestamp(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    match args[0].micros() {
        at if !is_finite(at) => Ok(Cell::Null),
        at => Moment::new(at, None).cell(args[1].text()),
    }
}

/// Of an interval.
pub(super) fn of_interval(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Moment::of_interval(args[0].interval()).cell(args[1].text())
}

/// A time, taken apart.
struct Moment {
    is_interval: bool,
    /// Since 1970-01-01.
    days: i64,
    /// Since midnight, or an interval's time.
    micros: i64,
    year: i64,
    month: i64,
    day: i64,
    /// From 1; an interval's length in days.
    day_of_year: i64,
    /// Seconds east of Greenwich and the zone's abbreviation; a timestamp without time zone has none.
    zone: Option<(i32, String)>,
}

impl Moment {
    fn new(local: i64, zone: Option<(i32, String)>) -> Self {
        let (days, micros) = split_micros(local);
        let (year, month, day) = civil_from_days(days);
        Self {
            is_interval: false,
            days: i64::from(days),
            micros,
            year: i64::from(year),
            month: i64::from(month),
            day: i64::from(day),
            day_of_year: i64::from(days) - i64::from(days_from_civil(year, 1, 1)) + 1,
            zone,
        }
    }

    fn of_interval(interval: Interval) -> Self {
        let (year, month, day) = (interval.months / 12, interval.months % 12, interval.days);
        Self {
            is_interval: true,
            days: i64::from(days_from_civil(year, month, day)),
            micros: interval.micros,
            year: i64::from(year),
            month: i64::from(month),
            day: i64::from(day),
            day_of_year: i64::from(interval.months) * 30 + i64::from(day),
            zone: None,
        }
    }

    fn cell(&self, picture: &str) -> Result<Cell<'static>, SqlError> {
        match picture.is_empty() {
            true => Ok(Cell::Null),
            false => Ok(self.write(picture)?.into()),
        }
    }

    fn write(&self, picture: &str) -> Result<String, SqlError> {
        let mut out = String::new();
        for node in fields::parse(picture) {
            match node {
                Node::Pattern(pattern) => {
                    let digits = self.pattern(&pattern, &mut out)?;
                    let ordinal = pattern.ordinal.filter(|_| digits);
                    let ending = ordinal.map_or("", |ordinal| ordinal.ending(&out));
                    out.push_str(ending);
                }
                Node::Separator(c) | Node::Space(c) | Node::Text(c) => out.push(c),
            }
        }
        Ok(out)
    }

    /// Writes one pattern; true where it is a number that can be an ordinal.
    fn pattern(&self, pattern: &Pattern<Key>, out: &mut String) -> Result<bool, SqlError> {
        let field = pattern.key.field;
        if self.is_interval && is_of_dates(field) {
            return Err(SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .with_hint("Intervals are not tied to specific calendar dates."));
        }
        if let Some((value, width)) = self.number(field) {
            let width = if pattern.bare && !is_unpadded(field) { 0 } else { width };
            out.push_str(&format!("{value:0width$}"));
            return Ok(true);
        }
        match field {
            Field::GroupedYear => {
                let year = self.shown(self.year);
                out.push_str(&format!("{},{:03}", year / 1000, year % 1000));
                return Ok(true);
            }
            Field::Milliseconds | Field::Fraction(_) | Field::Microseconds => {
                out.push_str(&self.fraction(field));
                return Ok(true);
            }
            Field::Zone | Field::ZoneHours | Field::ZoneMinutes | Field::Offset => {
                out.push_str(&self.zone_field(pattern));
            }
            _ => out.push_str(&self.word(pattern)),
        }
        Ok(false)
    }

    /// A field that is a number, and the places it takes at least. In most the minus has one of its own.
    fn number(&self, field: Field) -> Option<(i64, usize)> {
        let (value, digits) = self.number_and_digits(field)?;
        let minus = match field {
            Field::Day | Field::DayOfYear | Field::Week | Field::IsoWeek => false,
            Field::IsoYear(_) => self.is_interval && self.year < 0,
            _ => value < 0,
        };
        Some((value, digits + usize::from(minus)))
    }

    fn number_and_digits(&self, field: Field) -> Option<(i64, usize)> {
        let hour = self.micros / HOUR;
        Some(match field {
            Field::Hour12 if hour % 12 == 0 => (12, 2),
            Field::Hour12 => (hour % 12, 2),
            Field::Hour24 => (hour, 2),
            Field::Minute => (self.micros % HOUR / MINUTE, 2),
            Field::Second => (self.micros % MINUTE / SECOND, 2),
            Field::SecondsOfDay => (self.micros / SECOND, 1),
            Field::Year(4) => (self.shown(self.year), 4),
            Field::Year(digits) => (self.last_digits(self.shown(self.year), digits), digits.into()),
            Field::IsoYear(4) => (self.shown(self.iso_week().0), 4),
            Field::IsoYear(digits) => {
                (self.last_digits(self.shown(self.iso_week().0), digits), digits.into())
            }
            Field::MonthNumber => (self.month, 2),
            Field::DayOfYear => (self.day_of_year, 3),
            Field::IsoDayOfYear => ((self.iso_week().1 - 1) * 7 + self.iso_weekday(), 3),
            Field::Day => (self.day, 2),
            Field::DayOfWeek => (weekday(self.days as i32) as i64 + 1, 1),
            Field::IsoDayOfWeek => (self.iso_weekday(), 1),
            Field::WeekOfMonth => ((self.day - 1) / 7 + 1, 1),
            Field::Week => ((self.day_of_year - 1) / 7 + 1, 2),
            Field::IsoWeek => (self.iso_week().1, 2),
            Field::Century => (self.century(), 2),
            Field::Julian => (self.days + i64::from(EPOCH_JULIAN), 1),
            Field::Quarter if self.month != 0 => ((self.month - 1) / 3 + 1, 1),
            _ => return None,
        })
    }

    fn last_digits(&self, year: i64, digits: u8) -> i64 {
        year % 10_i64.pow(digits.into())
    }

    /// A part of a second.
    fn fraction(&self, field: Field) -> String {
        let micros = self.micros % SECOND;
        let (value, width) = match field {
            Field::Milliseconds => (micros / 1000, 3),
            Field::Fraction(digits) => (micros / 10_i64.pow(u32::from(6 - digits)), digits.into()),
            _ => (micros, 6),
        };
        // The sign takes the place of a digit.
        format!("{value:0width$}")
    }

    /// A field that is a word.
    fn word(&self, pattern: &Pattern<Key>) -> String {
        let second_half = self.micros / HOUR % 24 >= 12;
        let christian = self.year > 0;
        let padded = |text: &str, width: usize| match pattern.bare || pattern.translated {
            true => cased(text, pattern.key.case),
            false => format!("{:width$}", cased(text, pattern.key.case)),
        };
        match pattern.key.field {
            Field::Half { dotted } => {
                let (morning, afternoon) = if dotted { ("A.M.", "P.M.") } else { ("AM", "PM") };
                cased(if second_half { afternoon } else { morning }, pattern.key.case)
            }
            Field::Era { dotted } => {
                let (after, before) = if dotted { ("A.D.", "B.C.") } else { ("AD", "BC") };
                cased(if christian { after } else { before }, pattern.key.case)
            }
            Field::Month { short: true } => {
                cased(&of_month(&MONTHS, self.month)[..3], pattern.key.case)
            }
            Field::Month { short: false } => padded(of_month(&MONTHS, self.month), 9),
            Field::Weekday { short } => {
                let day = WEEKDAYS[weekday(self.days as i32)];
                match short {
                    true => cased(&day[..3], pattern.key.case),
                    false => padded(day, 9),
                }
            }
            // Twelve months of an interval are a year and no month.
            Field::RomanMonth if self.month == 0 && self.year == 0 => String::new(),
            Field::RomanMonth if self.month == 0 && self.year < 0 => padded(ROMAN[0], 4),
            Field::RomanMonth => padded(of_month(&ROMAN, self.month), 4),
            _ => String::new(),
        }
    }

    fn zone_field(&self, pattern: &Pattern<Key>) -> String {
        let (east, name) = match &self.zone {
            Some((east, name)) => (*east, name.as_str()),
            None => (0, ""),
        };
        let sign = if east < 0 { '-' } else { '+' };
        let (hours, minutes) = (east.abs() / 3600, east.abs() % 3600 / 60);
        let width = if pattern.bare && pattern.key.field == Field::Offset { 0 } else { 2 };
        match pattern.key.field {
            Field::Zone => cased(name, pattern.key.case),
            Field::ZoneMinutes => format!("{minutes:02}"),
            Field::Offset if minutes != 0 => format!("{sign}{hours:0width$}:{minutes:02}"),
            _ => format!("{sign}{hours:0width$}"),
        }
    }

    /// A year as people count: 1 BC is year 0 in the calendar and 1 here. An interval's is a number.
    fn shown(&self, year: i64) -> i64 {
        if self.is_interval || year > 0 { year } else { 1 - year }
    }

    /// 1 is Monday.
    fn iso_weekday(&self) -> i64 {
        match weekday(self.days as i32) {
            0 => 7,
            day => day as i64,
        }
    }

    /// The year and number of the ISO week: the year's first is the one with its first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let thursday = self.days - self.iso_weekday() + 4;
        let (year, ..) = civil_from_days(thursday as i32);
        let first = i64::from(days_from_civil(year, 1, 1));
        (i64::from(year), (thursday - first) / 7 + 1)
    }

    fn century(&self) -> i64 {
        let year = self.year;
        match (self.is_interval, year > 0) {
            (true, _) => year / 100,
            (false, true) => (year - 1) / 100 + 1,
            (false, false) => year / 100 - 1,
        }
    }
}

/// A month's name; an interval's may be counted back from the year's end.
fn of_month(names: &[&'static str; 12], month: i64) -> &'static str {
    let at = if month < 0 { month } else { month - 1 };
    names[at.rem_euclid(12) as usize]
}

/// True for fields that only a date has.
fn is_of_dates(field: Field) -> bool {
    matches!(
        field,
        Field::Month { .. }
            | Field::Weekday { .. }
            | Field::DayOfWeek
            | Field::IsoDayOfWeek
            | Field::Era { .. }
            | Field::Zone
            | Field::ZoneHours
            | Field::ZoneMinutes
            | Field::Offset
    )
}

/// True for the fields that FM does not change.
fn is_unpadded(field: Field) -> bool {
    matches!(field, Field::Year(1) | Field::IsoYear(1))
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Lower => text.to_lowercase(),
        Case::Capital => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::datetime::calendar::DAY;

    /// What PostgreSQL 15 answers.
    #[test]
    fn formats() {
        // 2024-02-29 13:04:05.678
        let at = i64::from(days_from_civil(2024, 2, 29)) * DAY
            + 13 * HOUR
            + 4 * MINUTE
            + 5 * SECOND
            + 678_000;
        let moment = Moment::new(at, Some((3600, "CET".to_owned())));
        for (pattern, wanted) in [
            ("YYYY-MM-DD HH24:MI:SS.MS", "2024-02-29 13:04:05.678"),
            ("Day, DD Month YYYY", "Thursday , 29 February  2024"),
            ("FMDay, FMDDth FMMonth", "Thursday, 29th February"),
            ("HH12:MI am a.m.", "01:04 pm p.m."),
            ("DDD IW ID Q WW W D J CC", "060 09 4 1 09 5 5 2460370 21"),
            ("DY dy Dy MON rm RM", "THU thu Thu FEB ii   II  "),
            ("\"Year\" YYYY \\\"", "Year 2024 \""),
            ("US FF3 SSSS Y,YYY YY", "678000 678 47045 2,024 24"),
            ("TZ tz OF TZH:TZM", "CET cet +01 +01:00"),
        ] {
            assert_eq!(moment.write(pattern).unwrap(), wanted, "{pattern}");
        }
        assert_eq!(Moment::new(at, None).write("[TZ]").unwrap(), "[]");
    }

    #[test]
    fn an_interval_has_no_date() {
        let moment =
            Moment::of_interval(Interval { months: 14, days: -3, micros: -5 * HOUR - 5000 });
        assert_eq!(moment.write("YYYY MM DD HH24 MS").unwrap(), "0001 02 -3 -05 -05");
        assert_eq!(moment.write("Mon").unwrap_err().state, SqlState::INVALID_DATETIME_FORMAT);
    }
}
