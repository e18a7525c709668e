//! to_char() of dates and timestamps, as PostgreSQL's formatting.c writes them.
//!
//! Of numbers and intervals it is 0A000.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::SqlError;
use crate::types::datetime::calendar::{
    DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND, civil_from_days, days_from_civil, split_micros,
    weekday,
};
use crate::types::datetime::zone;
use crate::types::oid;

const MONTHS: [&str; 12] = [
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
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new(
    "to_char",
    &[
        Overload::new(&[Kind::Of(oid::TIMESTAMPTZ), Kind::Text], oid::TEXT, |facts, args| {
            let zone = &facts.settings.style().time_zone;
            let at = args[0].micros();
            let offset = zone::offset_at(zone, at);
            let name = zone::abbreviation_at(zone, at);
            let moment = Moment::new(zone::to_local(zone, at), Some((offset, name)));
            Ok(moment.format(args[1].text())?.into())
        }),
        Overload::new(&[Kind::Of(oid::TIMESTAMP), Kind::Text], oid::TEXT, |_, args| {
            Ok(Moment::new(args[0].micros(), None).format(args[1].text())?.into())
        }),
        Overload::new(&[Kind::Of(oid::INTERVAL), Kind::Text], oid::TEXT, refused),
        Overload::new(&[Kind::Of(oid::FLOAT8), Kind::Text], oid::TEXT, refused),
    ],
)];

fn refused(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Err(SqlError::unsupported("to_char of numbers and intervals is not supported"))
}

/// A local time, taken apart.
struct Moment {
    days: i32,
    time: i64,
    year: i32,
    month: i32,
    day: i32,
    /// Seconds east of Greenwich and the zone's abbreviation; a timestamp without time zone has none.
    zone: Option<(i32, String)>,
}

/// How a word's letters are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Capital,
    Lower,
}

/// The keywords; of two that fit the longer comes first.
const KEYWORDS: &[&str] = &[
    "Y,YYY", "SSSSS", "MONTH", "IDDD", "IYYY", "YYYY", "SSSS", "HH24", "HH12", "A.M.", "P.M.",
    "A.D.", "B.C.", "DAY", "DDD", "MON", "IYY", "YYY", "TZH", "TZM", "FF1", "FF2", "FF3", "FF4",
    "FF5", "FF6", "AM", "PM", "AD", "BC", "CC", "DD", "DY", "HH", "ID", "IW", "IY", "MI", "MM",
    "MS", "OF", "RM", "SS", "TZ", "US", "WW", "YY", "D", "I", "J", "Q", "W", "Y",
];

impl Moment {
    fn new(local: i64, zone: Option<(i32, String)>) -> Self {
        let (days, time) = split_micros(local);
        let (year, month, day) = civil_from_days(days);
        Self { days, time, year, month, day, zone }
    }

    fn format(&self, pattern: &str) -> Result<String, SqlError> {
        let mut out = String::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if first == '"' {
                rest = quoted(&rest[1..], &mut out);
                continue;
            }
            if first == '\\' && rest[1..].starts_with('"') {
                out.push('"');
                rest = &rest[2..];
                continue;
            }
            let (bare, after) = match rest.get(..2) {
                Some("FM" | "fm") => (true, &rest[2..]),
                _ => (false, rest),
            };
            let Some(keyword) = KEYWORDS.iter().copied().find(|word| starts_with(after, word))
            else {
                if bare {
                    rest = after;
                    continue;
                }
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            };
            let written = &after[..keyword.len()];
            rest = &after[keyword.len()..];
            let text = self.field(keyword, written, bare)?;
            out.push_str(&text);
            if let Some(suffix @ ("TH" | "th")) = rest.get(..2)
                && text.bytes().last().is_some_and(|byte| byte.is_ascii_digit())
            {
                let ordinal = ordinal(&text);
                match suffix {
                    "TH" => out.push_str(&ordinal.to_uppercase()),
                    _ => out.push_str(ordinal),
                }
                rest = &rest[2..];
            }
        }
        Ok(out)
    }

    /// One keyword's text. `bare` is FM: without leading zeros and trailing blanks.
    fn field(&self, keyword: &str, written: &str, bare: bool) -> Result<String, SqlError> {
        let number = |value: i64, width: usize| match bare {
            true => value.to_string(),
            false if value < 0 => format!("-{:0width$}", -value),
            false => format!("{value:0width$}"),
        };
        let word = |text: &str, width: usize| {
            let text = cased(text, case_of(written));
            if bare { text } else { format!("{text:width$}") }
        };
        let hour = self.time / HOUR;
        let micros = self.time % SECOND;
        // 1 BC is year 0 in the calendar and 1 here.
        let shown_year = i64::from(if self.year > 0 { self.year } else { 1 - self.year });
        Ok(match keyword {
            "HH" | "HH12" => number(if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
            "HH24" => number(hour, 2),
            "MI" => number(self.time % HOUR / MINUTE, 2),
            "SS" => number(self.time % MINUTE / SECOND, 2),
            "SSSS" | "SSSSS" => number(self.time % DAY / SECOND, 1),
            "MS" => number(micros / 1000, 3),
            "US" => number(micros, 6),
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let digits = usize::from(keyword.as_bytes()[2] - b'0');
                format!("{micros:06}")[..digits].to_owned()
            }
            "AM" | "PM" => halves(written, if hour < 12 { "AM" } else { "PM" }),
            "A.M." | "P.M." => halves(written, if hour < 12 { "A.M." } else { "P.M." }),
            "AD" | "BC" => halves(written, if self.year > 0 { "AD" } else { "BC" }),
            "A.D." | "B.C." => halves(written, if self.year > 0 { "A.D." } else { "B.C." }),
            "Y,YYY" => format!("{},{:03}", shown_year / 1000, shown_year % 1000),
            "YYYY" => number(shown_year, 4),
            "YYY" => number(shown_year % 1000, 3),
            "YY" => number(shown_year % 100, 2),
            "Y" => number(shown_year % 10, 1),
            "IYYY" => number(self.iso_week().0, 4),
            "IYY" => number(self.iso_week().0 % 1000, 3),
            "IY" => number(self.iso_week().0 % 100, 2),
            "I" => number(self.iso_week().0 % 10, 1),
            "MONTH" => word(MONTHS[(self.month - 1) as usize], 9),
            "MON" => word(&MONTHS[(self.month - 1) as usize][..3], 3),
            "MM" => number(i64::from(self.month), 2),
            "RM" => word(ROMAN[(self.month - 1) as usize], 4),
            "DAY" => word(WEEKDAYS[weekday(self.days)], 9),
            "DY" => word(&WEEKDAYS[weekday(self.days)][..3], 3),
            "DDD" => number(self.day_of_year(), 3),
            "IDDD" => number((self.iso_week().1 - 1) * 7 + self.iso_weekday(), 3),
            "DD" => number(i64::from(self.day), 2),
            "D" => (weekday(self.days) + 1).to_string(),
            "ID" => self.iso_weekday().to_string(),
            "W" => ((self.day - 1) / 7 + 1).to_string(),
            "WW" => number((self.day_of_year() - 1) / 7 + 1, 2),
            "IW" => number(self.iso_week().1, 2),
            "CC" => number(self.century(), 2),
            "J" => (i64::from(self.days) + i64::from(EPOCH_JULIAN)).to_string(),
            "Q" => ((self.month - 1) / 3 + 1).to_string(),
            _ => self.zone_field(keyword, written)?,
        })
    }

    fn zone_field(&self, keyword: &str, written: &str) -> Result<String, SqlError> {
        let (east, name) = match &self.zone {
            Some((east, name)) => (*east, name.as_str()),
            None if keyword == "TZ" => return Ok(String::new()),
            None => (0, ""),
        };
        let sign = if east < 0 { '-' } else { '+' };
        let (hours, minutes) = (east.abs() / 3600, east.abs() % 3600 / 60);
        Ok(match keyword {
            "TZ" => match written.starts_with('t') {
                true => name.to_lowercase(),
                false => name.to_owned(),
            },
            "TZH" => format!("{sign}{hours:02}"),
            "TZM" => format!("{minutes:02}"),
            "OF" if minutes == 0 => format!("{sign}{hours:02}"),
            "OF" => format!("{sign}{hours:02}:{minutes:02}"),
            other => return Err(SqlError::internal(format!("to_char of {other}"))),
        })
    }

    fn day_of_year(&self) -> i64 {
        i64::from(self.days) - i64::from(days_from_civil(self.year, 1, 1)) + 1
    }

    /// 1 is Monday.
    fn iso_weekday(&self) -> i64 {
        match weekday(self.days) {
            0 => 7,
            day => day as i64,
        }
    }

    /// The year and number of the ISO week: the year's first is the one with its first Thursday.
    fn iso_week(&self) -> (i64, i64) {
        let thursday = i64::from(self.days) - self.iso_weekday() + 4;
        let (year, ..) = civil_from_days(thursday as i32);
        let first = i64::from(days_from_civil(year, 1, 1));
        (i64::from(year), (thursday - first) / 7 + 1)
    }

    fn century(&self) -> i64 {
        let year = i64::from(self.year);
        if year > 0 { (year - 1) / 100 + 1 } else { year / 100 - 1 }
    }
}

/// True where a pattern starts with a keyword in one of the ways it can be written.
fn starts_with(pattern: &str, keyword: &str) -> bool {
    let Some(written) = pattern.get(..keyword.len()) else { return false };
    written.eq_ignore_ascii_case(keyword)
}

/// Copies up to the closing quote; answers what follows it.
fn quoted<'a>(pattern: &'a str, out: &mut String) -> &'a str {
    let mut chars = pattern.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return &pattern[at + 1..],
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            c => out.push(c),
        }
    }
    ""
}

fn case_of(written: &str) -> Case {
    let mut letters = written.chars().filter(|c| c.is_alphabetic());
    match (letters.next(), letters.next()) {
        (Some(first), _) if first.is_lowercase() => Case::Lower,
        (Some(_), Some(second)) if second.is_lowercase() => Case::Capital,
        _ => Case::Upper,
    }
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Lower => text.to_lowercase(),
        Case::Capital => text.to_owned(),
    }
}

/// AM and its kin: in small letters where written so.
fn halves(written: &str, text: &str) -> String {
    match written.starts_with(|c: char| c.is_lowercase()) {
        true => text.to_lowercase(),
        false => text.to_owned(),
    }
}

/// The ending of an ordinal number.
fn ordinal(digits: &str) -> &'static str {
    let mut last = digits.bytes().rev();
    let (unit, ten) = (last.next(), last.next());
    match (ten, unit) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(moment.format(pattern).unwrap(), wanted, "{pattern}");
        }
        assert_eq!(Moment::new(at, None).format("[TZ]").unwrap(), "[]");
    }
}
