//! The patterns of dates and times.

use super::picture::{self, Node};

/// What a pattern of a date stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub field: Field,
    pub case: Case,
}

/// How a word's letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Upper,
    Capital,
    Lower,
}

/// A field of a date or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// AM, or with dots.
    Half {
        dotted: bool,
    },
    /// AD, or with dots.
    Era {
        dotted: bool,
    },
    Century,
    /// In full, or three letters.
    Weekday {
        short: bool,
    },
    DayOfYear,
    Day,
    DayOfWeek,
    /// So many digits of a second.
    Fraction(u8),
    /// FX: no blanks are skipped.
    Exact,
    Hour12,
    Hour24,
    IsoDayOfYear,
    IsoDayOfWeek,
    IsoWeek,
    /// So many digits of the year that the ISO week belongs to.
    IsoYear(u8),
    Julian,
    Minute,
    MonthNumber,
    Month {
        short: bool,
    },
    Milliseconds,
    /// +01:00
    Offset,
    Quarter,
    RomanMonth,
    SecondsOfDay,
    Second,
    ZoneHours,
    ZoneMinutes,
    Zone,
    Microseconds,
    Week,
    WeekOfMonth,
    GroupedYear,
    /// So many digits of the year.
    Year(u8),
}

/// Which calendar a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    Gregorian,
    IsoWeek,
}

impl Field {
    /// `None` for fields of both, or of neither.
    pub fn calendar(self) -> Option<Calendar> {
        match self {
            Self::IsoDayOfYear | Self::IsoDayOfWeek | Self::IsoWeek | Self::IsoYear(_) => {
                Some(Calendar::IsoWeek)
            }
            Self::DayOfYear
            | Self::Day
            | Self::DayOfWeek
            | Self::MonthNumber
            | Self::Month { .. }
            | Self::RomanMonth
            | Self::Week
            | Self::WeekOfMonth
            | Self::GroupedYear
            | Self::Year(_) => Some(Calendar::Gregorian),
            _ => None,
        }
    }

    /// True for fields that are digits and nothing else.
    pub fn is_digits(self) -> bool {
        !matches!(
            self,
            Self::Half { .. }
                | Self::Era { .. }
                | Self::Weekday { .. }
                | Self::Fraction(_)
                | Self::Exact
                | Self::Month { .. }
                | Self::Offset
                | Self::RomanMonth
                | Self::ZoneHours
                | Self::Zone
        )
    }
}

const fn upper(field: Field) -> Key {
    Key { field, case: Case::Upper }
}

const fn capital(field: Field) -> Key {
    Key { field, case: Case::Capital }
}

const fn lower(field: Field) -> Key {
    Key { field, case: Case::Lower }
}

/// A pattern in both cases, and perhaps with a capital.
macro_rules! words {
    ($($big:literal $small:literal $($mixed:literal)? => $field:expr;)*) => {
        &[$(($big, upper($field)), ($small, lower($field)), $(($mixed, capital($field)),)?)*]
    };
}

/// Of two that fit the longer comes first.
const WORDS: &[(&str, Key)] = words! {
    "A.D." "a.d." => Field::Era { dotted: true };
    "A.M." "a.m." => Field::Half { dotted: true };
    "AD" "ad" => Field::Era { dotted: false };
    "AM" "am" => Field::Half { dotted: false };
    "B.C." "b.c." => Field::Era { dotted: true };
    "BC" "bc" => Field::Era { dotted: false };
    "CC" "cc" => Field::Century;
    "DAY" "day" "Day" => Field::Weekday { short: false };
    "DDD" "ddd" => Field::DayOfYear;
    "DD" "dd" => Field::Day;
    "DY" "dy" "Dy" => Field::Weekday { short: true };
    "D" "d" => Field::DayOfWeek;
    "FF1" "ff1" => Field::Fraction(1);
    "FF2" "ff2" => Field::Fraction(2);
    "FF3" "ff3" => Field::Fraction(3);
    "FF4" "ff4" => Field::Fraction(4);
    "FF5" "ff5" => Field::Fraction(5);
    "FF6" "ff6" => Field::Fraction(6);
    "FX" "fx" => Field::Exact;
    "HH24" "hh24" => Field::Hour24;
    "HH12" "hh12" => Field::Hour12;
    "HH" "hh" => Field::Hour12;
    "IDDD" "iddd" => Field::IsoDayOfYear;
    "ID" "id" => Field::IsoDayOfWeek;
    "IW" "iw" => Field::IsoWeek;
    "IYYY" "iyyy" => Field::IsoYear(4);
    "IYY" "iyy" => Field::IsoYear(3);
    "IY" "iy" => Field::IsoYear(2);
    "I" "i" => Field::IsoYear(1);
    "J" "j" => Field::Julian;
    "MI" "mi" => Field::Minute;
    "MM" "mm" => Field::MonthNumber;
    "MONTH" "month" "Month" => Field::Month { short: false };
    "MON" "mon" "Mon" => Field::Month { short: true };
    "MS" "ms" => Field::Milliseconds;
    "OF" "of" => Field::Offset;
    "P.M." "p.m." => Field::Half { dotted: true };
    "PM" "pm" => Field::Half { dotted: false };
    "Q" "q" => Field::Quarter;
    "RM" "rm" => Field::RomanMonth;
    "SSSSS" "sssss" => Field::SecondsOfDay;
    "SSSS" "ssss" => Field::SecondsOfDay;
    "SS" "ss" => Field::Second;
    "TZH" "tzh" => Field::ZoneHours;
    "TZM" "tzm" => Field::ZoneMinutes;
    "TZ" "tz" => Field::Zone;
    "US" "us" => Field::Microseconds;
    "WW" "ww" => Field::Week;
    "W" "w" => Field::WeekOfMonth;
    "Y,YYY" "y,yyy" => Field::GroupedYear;
    "YYYY" "yyyy" => Field::Year(4);
    "YYY" "yyy" => Field::Year(3);
    "YY" "yy" => Field::Year(2);
    "Y" "y" => Field::Year(1);
};

/// Takes the picture of a date apart.
pub fn parse(text: &str) -> Vec<Node<Key>> {
    picture::parse(text, WORDS, true)
}
