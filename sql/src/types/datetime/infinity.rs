//! 'infinity' and '-infinity' of dates and timestamps: the extreme values of their integers, here, in storage and on the
//! wire. They are the least and the greatest, and arithmetic leaves them as they are.

use super::calendar::{DAY, WIRE_EPOCH_DAYS, WIRE_EPOCH_MICROS, split_micros};
use super::input::is_valid_timestamp;

/// True for a date that is one.
#[inline]
pub fn is_finite_date(days: i32) -> bool {
    !matches!(days, i32::MIN | i32::MAX)
}

/// True for a timestamp that is one.
#[inline]
pub fn is_finite(micros: i64) -> bool {
    !matches!(micros, i64::MIN | i64::MAX)
}

/// What a function makes of a timestamp; infinite ones stay. `None` past the range of timestamps.
#[inline]
pub fn mapped(micros: i64, map: impl FnOnce(i64) -> Option<i64>) -> Option<i64> {
    match is_finite(micros) {
        true => map(micros).filter(|mapped| is_valid_timestamp(*mapped)),
        false => Some(micros),
    }
}

/// A date's first moment; `None` past the range of timestamps.
#[inline]
pub fn midnight(days: i32) -> Option<i64> {
    match days {
        i32::MIN => Some(i64::MIN),
        i32::MAX => Some(i64::MAX),
        days => i64::from(days).checked_mul(DAY).filter(|micros| is_valid_timestamp(*micros)),
    }
}

/// The day a timestamp falls on.
#[inline]
pub fn day_of(micros: i64) -> i32 {
    match micros {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        micros => split_micros(micros).0,
    }
}

/// A date as PostgreSQL sends it: in days since 2000.
#[inline]
pub fn date_to_wire(days: i32) -> i32 {
    if is_finite_date(days) { days.wrapping_sub(WIRE_EPOCH_DAYS) } else { days }
}

/// A timestamp as PostgreSQL sends it: in microseconds since 2000.
#[inline]
pub fn timestamp_to_wire(micros: i64) -> i64 {
    if is_finite(micros) { micros.wrapping_sub(WIRE_EPOCH_MICROS) } else { micros }
}

/// The word for the later or the earlier end of time.
pub fn word(late: bool) -> &'static [u8] {
    if late { b"infinity" } else { b"-infinity" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_stay() {
        assert_eq!(midnight(i32::MAX), Some(i64::MAX));
        assert_eq!(midnight(1), Some(DAY));
        assert_eq!(midnight(super::super::calendar::DATE_MAX), None);
        assert_eq!(day_of(i64::MIN), i32::MIN);
        assert_eq!(day_of(-1), -1);
        assert_eq!(mapped(i64::MIN, |_| None), Some(i64::MIN));
        assert_eq!(mapped(0, |_| Some(i64::MAX)), None);
        assert_eq!((date_to_wire(i32::MAX), timestamp_to_wire(i64::MIN)), (i32::MAX, i64::MIN));
        assert_eq!(timestamp_to_wire(WIRE_EPOCH_MICROS), 0);
    }
}
