//! Time zones: names, abbreviations and offsets.
//!
//! Offsets are seconds **east** of Greenwich, as ISO 8601 shows them; POSIX specifications such as `UTC+3`
//! count the other way.

use super::calendar::{
    DAY, SECOND, civil_from_days, days_from_civil, days_in_month, split_micros, weekday,
};
use super::infinity::{is_finite, mapped};
use crate::types::style::TimeZone;
use chrono::{NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone as _};
use chrono_tz::{OffsetName, TZ_VARIANTS, Tz};
use hashbrown::HashMap;
use std::sync::LazyLock;

/// Zone names in lower case.
static BY_NAME: LazyLock<HashMap<String, Tz>> =
    LazyLock::new(|| TZ_VARIANTS.iter().map(|tz| (tz.name().to_ascii_lowercase(), *tz)).collect());

/// The zone of this name, in any case: of the tz database, or POSIX's `ABC+3[:30]`, whose letters may be missing
/// before a sign.
pub fn by_name(name: &str) -> Option<TimeZone> {
    let lower = name.to_ascii_lowercase();
    match BY_NAME.get(lower.as_str()) {
        Some(tz) => Some(TimeZone::Named(*tz)),
        None => posix(&lower).map(|east| TimeZone::Fixed(east, name.to_owned())),
    }
}

/// The zone so many hours **east**: what SET makes of a number. Its name is POSIX's.
pub fn of_hours(hours: f64) -> Option<TimeZone> {
    let east = (hours * 3600.0).round();
    if !east.is_finite() || east.abs() > 167.0 * 3600.0 {
        return None;
    }
    let east = east as i32;
    let (hours, minutes) = (east.abs() / 3600, east.abs() % 3600 / 60);
    let shown = match minutes {
        0 => format!("{hours:02}"),
        minutes => format!("{hours:02}:{minutes:02}"),
    };
    let name = if east < 0 { format!("<-{shown}>+{shown}") } else { format!("<+{shown}>-{shown}") };
    Some(TimeZone::Fixed(east, name))
}

/// `utc+3`, `<+03>-3:30`: an abbreviation and hours **west**.
fn posix(text: &str) -> Option<i32> {
    let rest = match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?.1,
        None => {
            let letters = text.bytes().take_while(u8::is_ascii_lowercase).count();
            if letters == 0 && !text.starts_with(['+', '-']) {
                return None;
            }
            &text[letters..]
        }
    };
    let (sign, rest) = match rest.as_bytes().first()? {
        b'+' => (-1, &rest[1..]),
        b'-' => (1, &rest[1..]),
        _ => (-1, rest),
    };
    let mut seconds = 0;
    for (part, unit) in rest.split(':').zip([3600, 60, 1]) {
        let good = !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        seconds += good.then(|| part.parse::<i32>().ok())?? * unit;
    }
    let parts = rest.split(':').count();
    (parts <= 3 && seconds <= 167 * 3600).then_some(sign * seconds)
}

/// The last year whose rules chrono-tz has written out, and the first of the 28 before it, among which
/// every calendar year has one that starts on the same weekday and is as long.
const LAST_YEAR: i32 = 2098;
const FIRST_LIKE_YEAR: i32 = LAST_YEAR - 27;

/// A day whose year is like this one's, and among those that chrono-tz knows: rules go on for ever.
fn known_day(days: i32) -> i32 {
    let (year, _, _) = civil_from_days(days);
    if year <= LAST_YEAR {
        return days;
    }
    let first = days_from_civil(year, 1, 1);
    let like = |other: &i32| {
        days_in_month(*other, 2) == days_in_month(year, 2)
            && weekday(days_from_civil(*other, 1, 1)) == weekday(first)
    };
    let year = (FIRST_LIKE_YEAR..=LAST_YEAR).find(like).unwrap_or(LAST_YEAR);
    days - first + days_from_civil(year, 1, 1)
}

/// A local date and time as chrono has it.
fn naive(local_micros: i64) -> NaiveDateTime {
    let (days, micros) = split_micros(local_micros);
    let day = NaiveDate::from_epoch_days(known_day(days)).unwrap_or_default();
    day.and_time(Default::default()) + TimeDelta::microseconds(micros)
}

/// The offset in force at an instant.
pub fn offset_at(zone: &TimeZone, utc_micros: i64) -> i32 {
    match zone {
        TimeZone::Fixed(east, _) => *east,
        TimeZone::Named(Tz::UTC) => 0,
        TimeZone::Named(tz) => {
            tz.offset_from_utc_datetime(&naive(utc_micros)).fix().local_minus_utc()
        }
    }
}

/// The offset and its abbreviation, such as `CET`, at an instant.
pub fn abbreviation_at(zone: &TimeZone, utc_micros: i64) -> String {
    match zone {
        TimeZone::Fixed(_, name) => posix_abbreviation(name).to_owned(),
        TimeZone::Named(tz) => {
            let offset = tz.offset_from_utc_datetime(&naive(utc_micros));
            offset.abbreviation().map_or_else(|| offset.fix().to_string(), str::to_owned)
        }
    }
}

/// Of `utc+3` and `<+03>-3` what is before the hours; `+03` has none.
fn posix_abbreviation(name: &str) -> &str {
    match name.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map_or(quoted, |(inside, _)| inside),
        None => &name[..name.bytes().take_while(u8::is_ascii_alphabetic).count()],
    }
}

/// The offset of a local time. Of two possible ones the later instant's; in a gap the one before it.
pub fn offset_of_local(zone: &TimeZone, local_micros: i64) -> i32 {
    let tz = match zone {
        TimeZone::Fixed(east, _) => return *east,
        TimeZone::Named(Tz::UTC) => return 0,
        TimeZone::Named(tz) => tz,
    };
    let local = naive(local_micros);
    if let Some(offset) = tz.offset_from_local_datetime(&local).latest() {
        return offset.fix().local_minus_utc();
    }
    // In a gap. No zone ever skipped two days.
    let before = tz.offset_from_local_datetime(&(local - TimeDelta::days(2))).latest();
    before.map_or(0, |offset| offset.fix().local_minus_utc())
}

/// A local time as an instant; `None` past the range of timestamps.
pub fn to_utc(zone: &TimeZone, local_micros: i64) -> Option<i64> {
    mapped(local_micros, |local| {
        local.checked_sub(i64::from(offset_of_local(zone, local)) * SECOND)
    })
}

/// An instant as a local time.
#[inline]
pub fn to_local(zone: &TimeZone, utc_micros: i64) -> i64 {
    let moved = |utc: i64| utc.checked_add(i64::from(offset_at(zone, utc)) * SECOND);
    match is_finite(utc_micros) {
        // Not past the ends of time, where only infinity is.
        true => moved(utc_micros).unwrap_or(utc_micros).clamp(i64::MIN + 1, i64::MAX - 1),
        false => utc_micros,
    }
}

/// True where the zone has the same offset all year, every year: a time without a date can use it.
pub fn fixed_offset(zone: &TimeZone) -> Option<i32> {
    match zone {
        TimeZone::Fixed(east, _) => Some(*east),
        TimeZone::Named(_) => {
            let offsets = |year: i64| (0..12).map(move |m| (year * 365 + m * 30) * DAY);
            let mut all = offsets(30).chain(offsets(55)).map(|at| offset_at(zone, at));
            let first = all.next()?;
            all.all(|o| o == first).then_some(first)
        }
    }
}

/// An abbreviation's offset, and whether it is of summer time.
pub fn abbreviation(word: &str) -> Option<(i32, bool)> {
    let at = ABBREVIATIONS.binary_search_by_key(&word, |a| a.0).ok()?;
    Some((ABBREVIATIONS[at].1, ABBREVIATIONS[at].2))
}

/// PostgreSQL's default set: abbreviation, seconds east, summer time.
#[rustfmt::skip]
const ABBREVIATIONS: &[(&str, i32, bool)] = &[
    ("acdt", 37800, true), ("acsst", 37800, true), ("acst", 34200, false), ("act", -18000, false),
    ("acwst", 31500, false), ("adt", -10800, true), ("aedt", 39600, true), ("aesst", 39600, true),
    ("aest", 36000, false), ("aft", 16200, false), ("akdt", -28800, true), ("akst", -32400, false),
    ("almst", 25200, true), ("almt", 21600, false), ("amst", 14400, false), ("amt", -14400, false),
    ("anast", 43200, false), ("anat", 43200, false), ("arst", -10800, false), ("art", -10800, false),
    ("ast", -14400, false), ("awsst", 32400, true), ("awst", 28800, false), ("azost", 0, true),
    ("azot", -3600, false), ("azst", 14400, false), ("azt", 14400, false), ("bdst", 7200, true),
    ("bdt", 21600, false), ("bnt", 28800, false), ("bort", 28800, false), ("bot", -14400, false),
    ("bra", -10800, false), ("brst", -7200, true), ("brt", -10800, false), ("bst", 3600, true),
    ("btt", 21600, false), ("cadt", 37800, true), ("cast", 34200, false), ("cct", 28800, false),
    ("cdt", -18000, true), ("cest", 7200, true), ("cet", 3600, false), ("cetdst", 7200, true),
    ("chadt", 49500, true), ("chast", 45900, false), ("chut", 36000, false), ("ckt", -36000, false),
    ("clst", -10800, true), ("clt", -10800, true), ("cot", -18000, false), ("cst", -21600, false),
    ("cxt", 25200, false), ("davt", 25200, false), ("ddut", 36000, false), ("easst", -18000, true),
    ("east", -18000, true), ("eat", 10800, false), ("edt", -14400, true), ("eest", 10800, true),
    ("eet", 7200, false), ("eetdst", 10800, true), ("egst", 0, true), ("egt", -3600, false),
    ("est", -18000, false), ("fet", 10800, false), ("fjst", 46800, true), ("fjt", 43200, false),
    ("fkst", -10800, false), ("fkt", -10800, false), ("fnst", -3600, true), ("fnt", -7200, false),
    ("galt", -21600, false), ("gamt", -32400, false), ("gest", 14400, false), ("get", 14400, false),
    ("gft", -10800, false), ("gilt", 43200, false), ("gmt", 0, false), ("gyt", -14400, false),
    ("hkt", 28800, false), ("hst", -36000, false), ("ict", 25200, false), ("idt", 10800, true),
    ("iot", 21600, false), ("irkst", 28800, false), ("irkt", 28800, false), ("irt", 12600, false),
    ("ist", 7200, false), ("jayt", 32400, false), ("jst", 32400, false), ("kdt", 36000, true),
    ("kgst", 21600, true), ("kgt", 21600, false), ("kost", 39600, false), ("krast", 25200, false),
    ("krat", 25200, false), ("kst", 32400, false), ("lhdt", 39600, true), ("lhst", 37800, false),
    ("ligt", 36000, false), ("lint", 50400, false), ("lkt", 19800, false), ("magst", 39600, false),
    ("magt", 39600, false), ("mart", -34200, false), ("mawt", 18000, false), ("mdt", -21600, true),
    ("mest", 7200, true), ("mesz", 7200, true), ("met", 3600, false), ("metdst", 7200, true),
    ("mez", 3600, false), ("mht", 43200, false), ("mmt", 23400, false), ("mpt", 36000, false),
    ("msd", 14400, true), ("msk", 10800, false), ("mst", -25200, false), ("must", 18000, true),
    ("mut", 14400, false), ("mvt", 18000, false), ("myt", 28800, false), ("ndt", -9000, true),
    ("nft", -12600, false), ("novst", 25200, false), ("novt", 25200, false), ("npt", 20700, false),
    ("nst", -12600, false), ("nut", -39600, false), ("nzdt", 46800, true), ("nzst", 43200, false),
    ("nzt", 43200, false), ("omsst", 21600, false), ("omst", 21600, false), ("pdt", -25200, true),
    ("pet", -18000, false), ("petst", 43200, false), ("pett", 43200, false), ("pgt", 36000, false),
    ("pht", 28800, false), ("pkst", 21600, true), ("pkt", 18000, false), ("pmdt", -7200, true),
    ("pmst", -10800, false), ("pont", 39600, false), ("pst", -28800, false), ("pwt", 32400, false),
    ("pyst", -10800, true), ("pyt", -10800, false), ("ret", 14400, false), ("sadt", 37800, true),
    ("sast", 7200, false), ("sct", 14400, false), ("sgt", 28800, false), ("taht", -36000, false),
    ("tft", 18000, false), ("tjt", 18000, false), ("tkt", 46800, false), ("tmt", 18000, false),
    ("tot", 46800, false), ("trut", 36000, false), ("tvt", 43200, false), ("uct", 0, false),
    ("ulast", 32400, true), ("ulat", 28800, false), ("ut", 0, false), ("utc", 0, false),
    ("uyst", -7200, true), ("uyt", -10800, false), ("uzst", 21600, true), ("uzt", 18000, false),
    ("vet", -14400, false), ("vlast", 36000, false), ("vlat", 36000, false), ("volt", 10800, false),
    ("vut", 39600, false), ("wadt", 28800, true), ("wakt", 43200, false), ("wast", 25200, false),
    ("wat", 3600, false), ("wdt", 32400, true), ("wet", 0, false), ("wetdst", 3600, true),
    ("wft", 43200, false), ("wgst", -7200, true), ("wgt", -10800, false), ("xjt", 21600, false),
    ("yakst", 32400, false), ("yakt", 32400, false), ("yapt", 36000, false), ("yekst", 21600, true),
    ("yekt", 18000, false), ("z", 0, false), ("zulu", 0, false), 
];
