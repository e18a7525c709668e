//! The fields of a date that is read by a picture.
//!
//! As PostgreSQL's DCH_from_char does: text in the picture takes as many characters away, whatever they are;
//! separators take one, or none where there is none; blanks are skipped before and behind fields, but not
//! with FX; digits are as many as there are where no digits can follow, else as many as the pattern has.

use super::fields::{self, Calendar, Field, Key};
use super::moment::{MONTHS, ROMAN, WEEKDAYS};
use super::picture::{Node, Pattern, is_separator, is_space};
use crate::error::{SqlError, SqlState};

/// What was read. 0 is what was not.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    calendar: Option<Calendar>,
    /// Hours count from 1 to 12.
    pub twelve_hours: bool,
    pub hour: i64,
    pub afternoon: i64,
    pub minute: i64,
    pub second: i64,
    pub seconds_of_day: i64,
    /// 1 is Sunday.
    pub weekday: i64,
    pub day: i64,
    pub day_of_year: i64,
    pub month: i64,
    pub milliseconds: i64,
    pub year: i64,
    /// Digits of the year that the picture has.
    pub year_digits: u8,
    pub before_christ: i64,
    pub week: i64,
    pub week_of_month: i64,
    pub century: i64,
    pub julian: i64,
    pub micros: i64,
    /// Digits of a second that FF asks for.
    pub precision: Option<u8>,
    /// 1 is east of Greenwich.
    pub zone_sign: Option<i64>,
    pub zone_hours: i64,
    pub zone_minutes: i64,
}

impl Fields {
    /// True where the date is one of ISO weeks.
    pub fn is_iso_week(&self) -> bool {
        self.calendar == Some(Calendar::IsoWeek)
    }

    fn set_calendar(&mut self, calendar: Option<Calendar>) -> Result<(), SqlError> {
        let Some(calendar) = calendar else { return Ok(()) };
        match *self.calendar.get_or_insert(calendar) == calendar {
            true => Ok(()),
            false => Err(malformed("invalid combination of date conventions").with_hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            )),
        }
    }
}

fn malformed(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

/// Reads a text by a picture.
pub fn read(text: &str, picture: &str) -> Result<Fields, SqlError> {
    let nodes = fields::parse(picture);
    let mut reader = Reader { rest: text, last: None, exact: false, skipped: 0 };
    let mut fields = Fields::default();
    for (at, node) in nodes.iter().enumerate() {
        if reader.rest.is_empty() {
            break;
        }
        let pattern = match node {
            Node::Pattern(pattern) => Some(pattern),
            _ => None,
        };
        let starts = pattern.is_some_and(|pattern| pattern.key.field != Field::Exact)
            || (pattern.is_none() && at == 0);
        if !reader.exact && starts {
            reader.skip_blanks();
        }
        let Some(pattern) = pattern else {
            reader.literal(matches!(node, Node::Space(_) | Node::Separator(_)));
            continue;
        };
        fields.set_calendar(pattern.key.field.calendar())?;
        let slurps = pattern.bare || ends_digits(pattern, nodes.get(at + 1));
        Reading { reader: &mut reader, pattern, slurps }.field(&mut fields)?;
        if !reader.exact {
            reader.skipped = 0;
            reader.skip_blanks();
        }
    }
    Ok(fields)
}

/// True where what follows a pattern is no digit, so that all digits there are belong to it.
fn ends_digits(pattern: &Pattern<Key>, next: Option<&Node<Key>>) -> bool {
    pattern.ordinal.is_some()
        || match next {
            None => true,
            Some(Node::Pattern(next)) => !next.key.field.is_digits(),
            Some(Node::Separator(c) | Node::Space(c) | Node::Text(c)) => !c.is_ascii_digit(),
        }
}

/// The text, and how far it was read.
struct Reader<'a> {
    rest: &'a str,
    /// The character before.
    last: Option<char>,
    /// FX
    exact: bool,
    /// Characters skipped beyond those of the picture.
    skipped: i64,
}

impl Reader<'_> {
    fn take(&mut self) {
        let mut chars = self.rest.chars();
        self.last = chars.next().or(self.last);
        self.rest = chars.as_str();
    }

    fn skip_blanks(&mut self) {
        while self.rest.starts_with(is_space) {
            self.take();
            self.skipped += 1;
        }
    }

    /// Passes over a character of the picture that is in no pattern.
    fn literal(&mut self, parts: bool) {
        if self.exact {
            self.take();
        } else if !parts {
            match self.skipped > 0 {
                true => self.skipped -= 1,
                false => self.take(),
            }
        } else if self.rest.starts_with(|c| is_space(c) || is_separator(c)) {
            self.take();
        } else {
            self.skipped -= 1;
        }
    }
}

/// One pattern being read.
struct Reading<'r, 'a> {
    reader: &'r mut Reader<'a>,
    pattern: &'r Pattern<Key>,
    /// Takes all digits there are.
    slurps: bool,
}

impl Reading<'_, '_> {
    fn field(&mut self, fields: &mut Fields) -> Result<(), SqlError> {
        match self.pattern.key.field {
            Field::Exact => self.reader.exact = true,
            Field::Half { dotted } => {
                let words = if dotted { ["a.m.", "p.m."] } else { ["am", "pm"] };
                let half = self.word(&words)?;
                self.set(&mut fields.afternoon, half)?;
                fields.twelve_hours = true;
            }
            Field::Era { dotted } => {
                let words = if dotted { ["a.d.", "b.c."] } else { ["ad", "bc"] };
                let era = self.word(&words)?;
                self.set(&mut fields.before_christ, era)?;
            }
            Field::Month { short } => {
                let month = self.name(&MONTHS, short)?;
                self.set(&mut fields.month, month + 1)?;
            }
            Field::Weekday { short } => {
                let weekday = self.name(&WEEKDAYS, short)?;
                self.set(&mut fields.weekday, weekday)?;
                fields.weekday += 1;
            }
            Field::RomanMonth => {
                // From the end: VIII before VII before VI before V.
                let backwards: Vec<&str> = ROMAN.iter().rev().copied().collect();
                let month = 12 - self.word(&backwards)?;
                self.set(&mut fields.month, month)?;
            }
            Field::Zone | Field::Offset => {
                let name = self.pattern.name;
                return Err(SqlError::unsupported(format!(
                    "formatting field \"{name}\" is only supported in to_char"
                )));
            }
            Field::ZoneHours => {
                self.zone_sign(fields);
                self.number(&mut fields.zone_hours, 2)?;
            }
            Field::ZoneMinutes => {
                fields.zone_sign.get_or_insert(1);
                self.number(&mut fields.zone_minutes, 2)?;
            }
            Field::GroupedYear => {
                let year = self.grouped_year()?;
                self.set(&mut fields.year, year)?;
                fields.year_digits = 4;
                self.skip_ordinal();
            }
            _ => {
                self.digits(fields)?;
                self.skip_ordinal();
            }
        }
        Ok(())
    }

    /// The fields that are digits.
    fn digits(&mut self, fields: &mut Fields) -> Result<(), SqlError> {
        let width = self.pattern.name.len();
        match self.pattern.key.field {
            Field::Hour12 => {
                self.number(&mut fields.hour, 2)?;
                fields.twelve_hours = true;
            }
            Field::Hour24 => drop(self.number(&mut fields.hour, 2)?),
            Field::Milliseconds => {
                let length = self.number(&mut fields.milliseconds, 3)?;
                // 25 is 0.25 and 025 is 0.025.
                fields.milliseconds *= 10_i64.pow(3 - length.clamp(1, 3));
            }
            Field::Fraction(_) | Field::Microseconds => {
                let width = match self.pattern.key.field {
                    Field::Fraction(digits) => *fields.precision.insert(digits),
                    _ => 6,
                };
                let length = self.number(&mut fields.micros, width.into())?;
                fields.micros *= 10_i64.pow(6 - length.clamp(1, 6));
            }
            Field::IsoDayOfYear => drop(self.number(&mut fields.day_of_year, 3)?),
            Field::IsoDayOfWeek => {
                self.number(&mut fields.weekday, 1)?;
                // Monday is 1 there, Sunday is 1 here.
                fields.weekday = if fields.weekday >= 7 { 1 } else { fields.weekday + 1 };
            }
            Field::Year(4) | Field::IsoYear(4) => {
                self.number(&mut fields.year, width)?;
                fields.year_digits = 4;
            }
            Field::Year(digits) | Field::IsoYear(digits) => {
                if self.number(&mut fields.year, width)? < 4 {
                    fields.year = near_2020(fields.year);
                }
                fields.year_digits = digits;
            }
            // Which of its days would be meant?
            Field::Quarter => drop(self.number(&mut 0, width)?),
            Field::Minute => drop(self.number(&mut fields.minute, width)?),
            Field::Second => drop(self.number(&mut fields.second, width)?),
            Field::SecondsOfDay => drop(self.number(&mut fields.seconds_of_day, width)?),
            Field::MonthNumber => drop(self.number(&mut fields.month, width)?),
            Field::DayOfYear => drop(self.number(&mut fields.day_of_year, width)?),
            Field::Day => drop(self.number(&mut fields.day, width)?),
            Field::DayOfWeek => drop(self.number(&mut fields.weekday, width)?),
            Field::Week | Field::IsoWeek => drop(self.number(&mut fields.week, width)?),
            Field::Century => drop(self.number(&mut fields.century, width)?),
            Field::WeekOfMonth => drop(self.number(&mut fields.week_of_month, width)?),
            Field::Julian => drop(self.number(&mut fields.julian, width)?),
            other => return Err(SqlError::internal(format!("{other:?} has no digits"))),
        }
        Ok(())
    }

    fn name(&mut self, names: &[&str], short: bool) -> Result<i64, SqlError> {
        let names: Vec<&str> =
            names.iter().map(|name| if short { &name[..3] } else { name }).collect();
        self.word(&names)
    }

    /// The first of some words that the text goes on with.
    fn word(&mut self, words: &[&str]) -> Result<i64, SqlError> {
        let rest = self.reader.rest;
        let is_next = |word: &&str| {
            rest.get(..word.len()).is_some_and(|next| next.eq_ignore_ascii_case(word))
        };
        let Some(found) = words.iter().position(is_next) else {
            let shown = rest.split(is_space).next().unwrap_or_default();
            return Err(self.invalid(shown).with_detail(
                "The given value did not match any of the allowed values for this field.",
            ));
        };
        for _ in words[found].chars() {
            self.reader.take();
        }
        Ok(found as i64)
    }

    /// Reads an integer into a field; answers the characters it took, blanks before it included.
    fn number(&mut self, field: &mut i64, width: usize) -> Result<u32, SqlError> {
        const HINT: &str =
            "If your source string is not fixed-width, try using the \"FM\" modifier.";
        let name = self.pattern.name;
        let before = self.reader.rest;
        let digits = before.trim_start_matches(is_space);
        let shown: String = digits.chars().take(width).collect();
        let (value, length) = integer(if self.slurps { digits } else { &shown });
        if !self.slurps {
            let there = shown.chars().count();
            if there < width {
                let message = format!("source string too short for \"{name}\" formatting field");
                let detail = format!("Field requires {width} characters, but only {there} remain.");
                return Err(malformed(message).with_detail(detail).with_hint(HINT));
            }
            if length > 0 && length < width {
                let detail = format!(
                    "Field requires {width} characters, but only {length} could be parsed."
                );
                return Err(self.invalid(&shown).with_detail(detail).with_hint(HINT));
            }
        }
        if length == 0 && (self.slurps || digits.len() == before.len()) {
            return Err(self.invalid(&shown).with_detail("Value must be an integer."));
        }
        let blanks = before.len() - digits.len();
        for _ in 0..blanks + length {
            self.reader.take();
        }
        let value = value.filter(|value| i32::try_from(*value).is_ok()).ok_or_else(|| {
            let message = format!("value for \"{name}\" in source string is out of range");
            SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, message).with_detail(format!(
                "Value must be in the range {} to {}.",
                i32::MIN,
                i32::MAX
            ))
        })?;
        self.set(field, value)?;
        Ok(u32::try_from(blanks + length).unwrap_or(u32::MAX))
    }

    /// `Y,YYY`
    fn grouped_year(&mut self) -> Result<i64, SqlError> {
        let rest = self.reader.rest;
        let parts = || {
            let digits = rest.trim_start_matches(is_space);
            let (thousands, length) = integer(digits);
            let behind = digits[length..].strip_prefix(',').filter(|_| length > 0)?;
            let ones = behind.trim_start_matches(is_space);
            let end = ones.char_indices().nth(3).map_or(ones.len(), |(at, _)| at);
            let (ones_value, ones_length) = integer(&ones[..end]);
            let year = thousands?.checked_mul(1000)?.checked_add(ones_value?)?;
            let taken = rest.len() - ones.len() + ones_length;
            (ones_length > 0 && i32::try_from(year).is_ok()).then_some((year, taken))
        };
        let (year, taken) =
            parts().ok_or_else(|| malformed("invalid input string for \"Y,YYY\""))?;
        for _ in 0..taken {
            self.reader.take();
        }
        Ok(year)
    }

    /// A minus may have been taken for a separator.
    fn zone_sign(&mut self, fields: &mut Fields) {
        let sign = match self.reader.rest.chars().next() {
            Some(c @ ('+' | '-' | ' ')) => {
                self.reader.take();
                c
            }
            _ if self.reader.skipped > 0 => self.reader.last.unwrap_or('+'),
            _ => '+',
        };
        fields.zone_sign = Some(if sign == '-' { -1 } else { 1 });
    }

    fn skip_ordinal(&mut self) {
        if self.pattern.ordinal.is_some() {
            self.reader.take();
            self.reader.take();
        }
    }

    fn set(&self, field: &mut i64, value: i64) -> Result<(), SqlError> {
        if *field != 0 && *field != value {
            let name = self.pattern.name;
            let message = format!("conflicting values for \"{name}\" field in formatting string");
            return Err(malformed(message).with_detail(
                "This value contradicts a previous setting for the same field type.",
            ));
        }
        *field = value;
        Ok(())
    }

    fn invalid(&self, shown: &str) -> SqlError {
        malformed(format!("invalid value \"{shown}\" for \"{}\"", self.pattern.name))
    }
}

/// The integer, with its sign, that a text starts with, and its length; `None` past the range.
fn integer(text: &str) -> (Option<i64>, usize) {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
    match digits {
        0 => (Some(0), 0),
        _ => (text[..sign + digits].parse().ok(), sign + digits),
    }
}

/// A year of one to three digits is the one nearest to 2020.
fn near_2020(year: i64) -> i64 {
    match year {
        ..70 => year + 2000,
        70..100 => year + 1900,
        100..520 => year + 2000,
        520..1000 => year + 1000,
        _ => year,
    }
}
