//! Gives fields a meaning: PostgreSQL's DecodeDateTime and DecodeTimeOnly.
//!
//! Each field's meaning depends on its look and on which parts are known already; a part given twice is
//! an error. [`Parts`] is the set of known parts. `numbers` has what numbers mean, `finish` what is checked once all
//! fields are read.

mod finish;
mod numbers;

use super::Fault;
use super::calendar::DAY;
use super::calendar::{HOUR, MINUTE, SECOND, civil_from_days};
use super::fields::{Field, Kind};
use super::scan::{clock, displacement, leading_int};
use super::words::{DateWord, Unit, date_word};
use super::zone;
use crate::error::{SqlError, SqlState};
use crate::types::style::{DateOrder, TimeZone};

/// A set of parts of a date and time.
pub type Parts = u32;
const MONTH: Parts = 1 << 1;
const YEAR: Parts = 1 << 2;
const DAY_OF_MONTH: Parts = 1 << 3;
const ZONE: Parts = 1 << 5;
const SUMMER: Parts = 1 << 6;
const HALF: Parts = 1 << 9;
const HOURS: Parts = 1 << 10;
const MINUTES: Parts = 1 << 11;
const SECONDS: Parts = 1 << 12;
const FRACTION: Parts = 1 << 13;
const DAY_OF_YEAR: Parts = 1 << 15;
const WEEKDAY: Parts = 1 << 16;
const ERA: Parts = 1 << 18;
const ALL_SECONDS: Parts = SECONDS | FRACTION;
const DATE: Parts = YEAR | MONTH | DAY_OF_MONTH;
const TIME: Parts = HOURS | MINUTES | ALL_SECONDS;

/// What dates relative to now, and those without a zone, depend on.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// DateStyle's order.
    pub order: DateOrder,
    /// The session's zone.
    pub zone: &'a TimeZone,
    /// `now`: the transaction's time, microseconds since 1970-01-01 UTC.
    pub now_micros: i64,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A date and time of day with its zone's offset.
    Civil {
        /// Year, 0 is 1 BC.
        year: i32,
        /// 1 to 12.
        month: i32,
        /// 1 to 31.
        day: i32,
        /// Microseconds since midnight, 24:00:00 included.
        micros: i64,
        /// Seconds east.
        offset: i32,
    },
    /// `epoch`
    Epoch,
    /// `infinity` or `-infinity`
    Infinite {
        /// After all others.
        late: bool,
    },
}

#[derive(Clone, Debug)]
enum ZoneGiven {
    Session,
    Offset(i32),
    Named(TimeZone),
}

struct Decoder<'a> {
    context: Context<'a>,
    time_only: bool,
    known: Parts,
    year: i32,
    month: i32,
    day: i32,
    day_of_year: i32,
    hour: i64,
    minute: i32,
    second: i32,
    fraction: i64,
    zone: ZoneGiven,
    label: Option<Label>,
    text_month: bool,
    julian: bool,
    two_digit_year: bool,
    bc: bool,
    half: Option<DateWord>,
    special: Option<Moment>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Unit(Unit),
    Time,
}

/// Reads a date with or without a time.
pub fn date_time(fields: &[Field], context: Context<'_>) -> Result<Moment, Fault> {
    Decoder::new(context, false).run(fields)
}

/// Reads a time with or without a date: microseconds since midnight.
pub fn time_only(fields: &[Field], context: Context<'_>) -> Result<i64, Fault> {
    match Decoder::new(context, true).run(fields)? {
        Moment::Civil { micros, .. } => Ok(micros),
        _ => Err(Fault::Format),
    }
}

impl<'a> Decoder<'a> {
    fn new(context: Context<'a>, time_only: bool) -> Self {
        Self {
            context,
            time_only,
            known: 0,
            year: 0,
            month: 0,
            day: 0,
            day_of_year: 0,
            hour: 0,
            minute: 0,
            second: 0,
            fraction: 0,
            zone: ZoneGiven::Session,
            label: None,
            text_month: false,
            julian: false,
            two_digit_year: false,
            bc: false,
            half: None,
            special: None,
        }
    }

    fn run(mut self, fields: &[Field]) -> Result<Moment, Fault> {
        for (i, field) in fields.iter().enumerate() {
            let found = match field.kind {
                Kind::Date => self.date_field(fields, i)?,
                Kind::Time => self.time_field(&field.text)?,
                Kind::Zone => {
                    self.zone = ZoneGiven::Offset(displacement(&field.text)?);
                    ZONE
                }
                Kind::Number => self.number_field(fields, i)?,
                Kind::Word | Kind::SignedWord => match self.word(fields, i)? {
                    Some(found) => found,
                    None => continue,
                },
            };
            if found & self.known != 0 {
                return Err(Fault::Format);
            }
            self.known |= found;
        }
        self.finish()
    }

    fn has_date(&self) -> bool {
        self.known & DATE == DATE
    }

    fn has_time(&self) -> bool {
        self.known & TIME == TIME
    }

    fn date_field(&mut self, fields: &[Field], i: usize) -> Result<Parts, Fault> {
        let text = &fields[i].text;
        if self.label == Some(Label::Unit(Unit::Julian)) && !self.time_only {
            let (julian, rest) = leading_int(text)?;
            self.set_julian(julian);
            self.zone = ZoneGiven::Offset(displacement(rest)?);
            self.label = None;
            return Ok(DATE | TIME | ZONE);
        }
        let month_and_day = MONTH | DAY_OF_MONTH;
        let is_date = match self.time_only {
            true => {
                let last = &fields[fields.len() - 1];
                let time_next = fields.get(1).is_some_and(|f| f.kind == Kind::Time);
                i == 0 && fields.len() >= 2 && (last.kind == Kind::Date || time_next)
            }
            false => self.label.is_none() && self.known & month_and_day != month_and_day,
        };
        if is_date {
            return self.date(text);
        }
        if !text.as_bytes()[0].is_ascii_digit() && (self.label.is_none() || self.time_only) {
            let named = zone::by_name(text).ok_or_else(|| not_recognized(text))?;
            self.zone = ZoneGiven::Named(named);
            return Ok(ZONE);
        }
        // A run-together time with a zone: 040506-08.
        if !self.time_only && self.label.take().is_some_and(|label| label != Label::Time) {
            return Err(Fault::Format);
        }
        if self.has_time() {
            return Err(Fault::Format);
        }
        let at = text.find('-').ok_or(Fault::Format)?;
        self.zone = ZoneGiven::Offset(displacement(&text[at..])?);
        let date_known = if self.time_only { DATE } else { 0 };
        Ok(self.run_together(&text[..at], self.known | date_known)? | ZONE)
    }

    /// DecodeDate: three parts with separators.
    fn date(&mut self, text: &str) -> Result<Parts, Fault> {
        let mut parts: Vec<&str> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            let Some(first) = rest.bytes().next() else { return Err(Fault::Format) };
            let same = |b: &u8| match first.is_ascii_digit() {
                true => b.is_ascii_digit(),
                false => b.is_ascii_alphabetic(),
            };
            let length = rest.bytes().take_while(same).count();
            parts.push(&rest[..length]);
            // The character after a part is its separator, whatever it is.
            rest = rest.get(length + 1..).unwrap_or_default();
        }
        let (mut known, mut found, mut text_month) = (self.known, 0, false);
        // A month's name first: it leaves no doubt.
        for part in parts.iter().filter(|p| p.as_bytes()[0].is_ascii_alphabetic()) {
            match date_word(part) {
                Some(DateWord::Ignored) => continue,
                Some(DateWord::Month(month)) => {
                    self.month = month;
                    text_month = true;
                }
                _ => return Err(Fault::Format),
            }
            if known & MONTH != 0 {
                return Err(Fault::Format);
            }
            known |= MONTH;
            found |= MONTH;
        }
        for part in parts.iter().filter(|p| p.as_bytes()[0].is_ascii_digit()) {
            let one = self.number(part, text_month, known)?;
            if known & one != 0 {
                return Err(Fault::Format);
            }
            known |= one;
            found |= one;
        }
        match known & !(DAY_OF_YEAR | ZONE) == DATE {
            true => Ok(found),
            false => Err(Fault::Format),
        }
    }

    /// DecodeTime: `hh:mm`, `hh:mm:ss`, `mm:ss.fff`.
    fn time_field(&mut self, text: &str) -> Result<Parts, Fault> {
        if !self.time_only && self.label.take().is_some_and(|label| label != Label::Time) {
            return Err(Fault::Format);
        }
        let (hour, minute, second, fraction) = clock(text)?;
        (self.hour, self.minute, self.second, self.fraction) = (hour, minute, second, fraction);
        if !self.time_only && self.overflows() {
            return Err(Fault::Field);
        }
        Ok(TIME)
    }

    fn micros(&self) -> i64 {
        self.hour * HOUR
            + i64::from(self.minute) * MINUTE
            + i64::from(self.second) * SECOND
            + self.fraction
    }

    fn overflows(&self) -> bool {
        !(0..=24).contains(&self.hour)
            || !(0..60).contains(&self.minute)
            || !(0..=60).contains(&self.second)
            || !(0..=SECOND).contains(&self.fraction)
            || self.micros() > DAY
    }

    /// A word; `None` where it says nothing.
    fn word(&mut self, fields: &[Field], i: usize) -> Result<Option<Parts>, Fault> {
        let text = fields[i].text.as_str();
        // Abbreviations of zones come first.
        if let Some((offset, summer)) = zone::abbreviation(text) {
            self.zone = ZoneGiven::Offset(offset);
            return Ok(Some(if summer { ZONE | SUMMER } else { ZONE }));
        }
        let Some(word) = date_word(text) else {
            let named = zone::by_name(text).ok_or(Fault::Format)?;
            self.zone = ZoneGiven::Named(named);
            return Ok(Some(ZONE));
        };
        Ok(Some(match word {
            DateWord::Ignored => return Ok(None),
            DateWord::Now => self.now(),
            DateWord::Midnight => {
                (self.hour, self.minute, self.second) = (0, 0, 0);
                self.zone = ZoneGiven::Offset(0);
                TIME | ZONE
            }
            DateWord::Month(_)
            | DateWord::Weekday
            | DateWord::Epoch
            | DateWord::Infinite { .. }
                if self.time_only =>
            {
                return Err(Fault::Format);
            }
            DateWord::Today(_) if self.time_only => return Err(Fault::Format),
            DateWord::Today(days) => {
                let now = self.context.now_micros;
                let local = zone::to_local(self.context.zone, now);
                let (today, _) = super::calendar::split_micros(local);
                (self.year, self.month, self.day) = civil_from_days(today.saturating_add(days));
                DATE
            }
            DateWord::Epoch => {
                self.special = Some(Moment::Epoch);
                DATE | TIME | ZONE
            }
            DateWord::Infinite { late } => {
                self.special = Some(Moment::Infinite { late });
                DATE | TIME | ZONE
            }
            DateWord::Month(month) => self.month_word(month),
            DateWord::Weekday => WEEKDAY,
            DateWord::Am | DateWord::Pm => {
                self.half = Some(word);
                HALF
            }
            DateWord::Ad | DateWord::Bc => {
                self.bc = word == DateWord::Bc;
                ERA
            }
            DateWord::SummerTime => {
                if let ZoneGiven::Offset(offset) = &mut self.zone {
                    *offset += 3600;
                }
                SUMMER
            }
            DateWord::Label(unit) => {
                self.label = Some(Label::Unit(unit));
                0
            }
            DateWord::TimeFollows => {
                let next = fields.get(i + 1).map(|f| f.kind);
                let good = matches!(next, Some(Kind::Number | Kind::Time | Kind::Date));
                if !good || (!self.time_only && !self.has_date()) {
                    return Err(Fault::Format);
                }
                self.label = Some(Label::Time);
                0
            }
        }))
    }

    fn now(&mut self) -> Parts {
        let now = self.context.now_micros;
        let offset = zone::offset_at(self.context.zone, now);
        let (days, micros) =
            super::calendar::split_micros(now.saturating_add(i64::from(offset) * SECOND));
        (self.year, self.month, self.day) = civil_from_days(days);
        self.hour = micros / HOUR;
        self.minute = (micros % HOUR / MINUTE) as i32;
        self.second = (micros % MINUTE / SECOND) as i32;
        self.fraction = micros % SECOND;
        if self.time_only {
            return TIME;
        }
        self.zone = ZoneGiven::Offset(offset);
        DATE | TIME | ZONE
    }

    fn month_word(&mut self, month: i32) -> Parts {
        let month_was_day = self.known & MONTH != 0
            && !self.text_month
            && self.known & DAY_OF_MONTH == 0
            && (1..=31).contains(&self.month);
        self.text_month = true;
        if month_was_day {
            self.day = self.month;
            self.month = month;
            return DAY_OF_MONTH;
        }
        self.month = month;
        MONTH
    }
}

#[cold]
fn not_recognized(zone: &str) -> Fault {
    Fault::Other(Box::new(SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("time zone \"{zone}\" not recognized"),
    )))
}
