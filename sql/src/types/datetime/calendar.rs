//! Days and civil dates, in the proleptic Gregorian calendar. Year 0 is 1 BC.

/// Microseconds of a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds of an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// The Julian day number of 1970-01-01.
pub const EPOCH_JULIAN: i32 = 2_440_588;
/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch on the wire.
pub const WIRE_EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub const WIRE_EPOCH_MICROS: i64 = WIRE_EPOCH_DAYS as i64 * DAY;

/// 4714-11-24 BC, the first date: Julian day 0.
pub const DATE_MIN: i32 = -EPOCH_JULIAN;
/// 5874897-12-31, the last date.
pub const DATE_MAX: i32 = 2_147_483_493 - EPOCH_JULIAN;
/// 4714-11-24 00:00:00 BC, the first timestamp.
pub const TIMESTAMP_MIN: i64 = DATE_MIN as i64 * DAY;

/// Days since 1970-01-01 of a civil date. The date need not exist: February 31st is March 2nd or 3rd.
pub fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(month + if month > 2 { -3 } else { 9 });
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    days.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// The civil date of a day since 1970-01-01: year, month, day.
pub fn civil_from_days(days: i32) -> (i32, i32, i32) {
    let days = i64::from(days) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as i32, day as i32)
}

/// 0 is Sunday.
pub fn weekday(days: i32) -> usize {
    (i64::from(days) + 4).rem_euclid(7) as usize
}

/// Days of a month.
pub fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// True for dates that PostgreSQL can compute with.
pub fn is_valid_date(year: i32, month: i32) -> bool {
    let after_start = year > -4713 || (year == -4713 && month >= 11);
    let before_end = year < 5_874_898 || (year == 5_874_898 && month < 6);
    after_start && before_end
}

/// Day and time of day of a timestamp.
#[inline]
pub fn split_micros(micros: i64) -> (i32, i64) {
    // A timestamp's day always fits: i64 microseconds are ±106 million days.
    (micros.div_euclid(DAY) as i32, micros.rem_euclid(DAY))
}
