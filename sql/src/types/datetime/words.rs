//! The words of dates and intervals: PostgreSQL's datetktbl and deltatktbl.

/// A unit of time, as a label before a number or after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// `us`
    Microsecond,
    /// `ms`
    Millisecond,
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mon`
    Month,
    /// Known, but no interval has it.
    Quarter,
    /// `y`
    Year,
    /// `dec`
    Decade,
    /// `c`
    Century,
    /// `mil`
    Millennium,
    /// `j`
    Julian,
    /// Known, but no date has it: day of week, ISO year.
    Other,
}

/// A word of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateWord {
    /// `at`, `on`: skipped.
    Ignored,
    /// `now`
    Now,
    /// `today`, `tomorrow`, `yesterday`: days from today.
    Today(i32),
    /// `allballs`: midnight UTC.
    Midnight,
    /// `epoch`
    Epoch,
    /// `infinity`, `-infinity`
    Infinite {
        /// After all others.
        late: bool,
    },
    /// `jan`: 1 to 12.
    Month(i32),
    /// `sun`
    Weekday,
    /// `am`
    Am,
    /// `pm`
    Pm,
    /// `ad`
    Ad,
    /// `bc`
    Bc,
    /// `dst`: an hour more than the zone before it.
    SummerTime,
    /// A label such as `y` or `j`.
    Label(Unit),
    /// `t`: a time follows.
    TimeFollows,
}

/// The meaning of a lower-case word in a date, zones excepted.
pub fn date_word(word: &str) -> Option<DateWord> {
    use DateWord as W;
    Some(match word {
        "at" | "on" => W::Ignored,
        "now" => W::Now,
        "today" => W::Today(0),
        "tomorrow" => W::Today(1),
        "yesterday" => W::Today(-1),
        "allballs" => W::Midnight,
        "epoch" => W::Epoch,
        "infinity" => W::Infinite { late: true },
        "-infinity" => W::Infinite { late: false },
        "jan" | "january" => W::Month(1),
        "feb" | "february" => W::Month(2),
        "mar" | "march" => W::Month(3),
        "apr" | "april" => W::Month(4),
        "may" => W::Month(5),
        "jun" | "june" => W::Month(6),
        "jul" | "july" => W::Month(7),
        "aug" | "august" => W::Month(8),
        "sep" | "sept" | "september" => W::Month(9),
        "oct" | "october" => W::Month(10),
        "nov" | "november" => W::Month(11),
        "dec" | "december" => W::Month(12),
        "sun" | "sunday" | "mon" | "monday" | "tue" | "tues" | "tuesday" => W::Weekday,
        "wed" | "wednesday" | "weds" | "thu" | "thur" | "thurs" | "thursday" => W::Weekday,
        "fri" | "friday" | "sat" | "saturday" => W::Weekday,
        "am" => W::Am,
        "pm" => W::Pm,
        "ad" => W::Ad,
        "bc" => W::Bc,
        "dst" => W::SummerTime,
        "y" => W::Label(Unit::Year),
        "m" => W::Label(Unit::Month),
        "d" => W::Label(Unit::Day),
        "h" => W::Label(Unit::Hour),
        "mm" => W::Label(Unit::Minute),
        "s" => W::Label(Unit::Second),
        "j" | "jd" | "julian" => W::Label(Unit::Julian),
        "dow" | "doy" | "isodow" | "isoyear" => W::Label(Unit::Other),
        "t" => W::TimeFollows,
        _ => return None,
    })
}

/// A word of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalWord {
    /// Skipped.
    Ignored,
    /// `ago`
    Ago,
    /// A unit.
    Unit(Unit),
    /// A word of dates that stands for a value of its own; refused.
    Reserved,
}

/// The meaning of a lower-case word in an interval. Words are compared in their first ten letters.
pub fn interval_word(word: &str) -> Option<IntervalWord> {
    let unit = match word.get(..10).unwrap_or(word) {
        "ago" => return Some(IntervalWord::Ago),
        "us" | "usec" | "usecond" | "useconds" | "usecs" | "microsecon" => Unit::Microsecond,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" => Unit::Millisecond,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "qtr" | "quarter" => Unit::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennium" | "millennia" => Unit::Millennium,
        "timezone" | "timezone_h" | "timezone_m" => Unit::Other,
        other => {
            return match date_word(other)? {
                DateWord::Ignored => Some(IntervalWord::Ignored),
                DateWord::Now
                | DateWord::Today(_)
                | DateWord::Midnight
                | DateWord::Epoch
                | DateWord::Infinite { .. } => Some(IntervalWord::Reserved),
                DateWord::Label(unit) => Some(IntervalWord::Unit(unit)),
                _ => None,
            };
        }
    };
    Some(IntervalWord::Unit(unit))
}
