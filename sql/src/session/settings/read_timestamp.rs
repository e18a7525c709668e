//! terrane.read_timestamp: a timestamptz, kept in a form that no other setting gives another meaning.

use crate::error::{SqlError, SqlState};
use crate::types::style::TextStyle;
use crate::types::text::{self, InputContext};
use terrane_client::ids::CommitTs;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Two moments on different days, at different times of the day.
const MOMENTS: [i64; 2] = [0, 100_000_000_000];

/// A value of SET, as it is kept; empty for none. What means another time at another moment (`now`, `yesterday`) is
/// refused, because a setting is read more than once.
pub fn checked(value: &str, style: &TextStyle) -> Result<String, SqlError> {
    if value.trim().is_empty() {
        return Ok(String::new());
    }
    let [micros, at_another_moment] = MOMENTS.map(|now| parse(value, style, now));
    let micros = micros?;
    if micros != at_another_moment? {
        let message = "A time that does not move is expected; set_config() takes expressions.";
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    }
    Ok(text::to_string(&Value::TimestampTz(micros), &DataType::TimestampTz, &TextStyle::default()))
}

/// The time that is kept.
pub fn stored(value: &str) -> Option<CommitTs> {
    let style = TextStyle::default();
    (!value.is_empty()).then(|| parse(value, &style, 0).ok().map(CommitTs)).flatten()
}

fn parse(value: &str, style: &TextStyle, now_micros: i64) -> Result<i64, SqlError> {
    match text::parse(value, &DataType::TimestampTz, InputContext { style, now_micros })? {
        Value::TimestampTz(micros) => Ok(micros),
        _ => Err(SqlError::internal("a timestamptz that is none")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::types::datetime::zone;

    #[test]
    fn a_time_is_kept_as_it_was_meant() {
        let berlin = TextStyle {
            time_zone: zone::by_name("Europe/Berlin").unwrap(),
            ..TextStyle::default()
        };
        let kept = checked("2026-07-01 12:00:00.000001", &berlin).unwrap();
        assert_eq!(kept, "2026-07-01 10:00:00.000001+00");
        assert_eq!(checked(&kept, &berlin).unwrap(), kept);
        assert_eq!(stored(&kept), Some(CommitTs(1_782_900_000_000_001)));
        for endless in ["infinity", "-infinity"] {
            assert_eq!(checked(endless, &berlin).unwrap(), endless);
            assert!(stored(endless).is_some());
        }
        assert_eq!((checked(" ", &berlin).unwrap(), stored("")), (String::new(), None));
    }

    #[test]
    fn what_moves_is_refused() {
        for moving in ["now", "today", "yesterday 10:00", "tomorrow", "no time at all"] {
            assert!(checked(moving, &TextStyle::default()).is_err(), "{moving}");
        }
    }
}
