//! `WITH (history = '2 hours', purge_within = '1 day')`: how far back FOR SYSTEM_TIME AS OF can read a table, and when what is
//! dead has to have left its files.
//!
//! Intervals as PostgreSQL reads one: a bare number counts seconds, a month has 30 days and a day 24 hours.

use crate::error::{SqlError, SqlState};
use crate::types::datetime::interval;
use crate::types::style::IntervalStyle;

/// The options' names.
const HISTORY: &str = "history";
const PURGE_WITHIN: &str = "purge_within";

/// The longest of both: 100 years of 12 months of 30 days.
const MICROS_MAX: i64 = 100 * 12 * 30 * 86_400_000_000;
/// The shortest time in which a purge can be promised: it writes files again and syncs logs.
const PURGE_MICROS_MIN: i64 = 1_000_000;

/// Options of WITH and SET, by name.
type Options = Vec<(String, Option<String>)>;

/// A time as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TimeOption {
    /// As pg_class.reloptions shows it.
    pub shown: String,
    /// What it means.
    pub micros: i64,
}

/// What options say of the time for which dead versions are kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeOptions {
    /// How far back the table can be read.
    pub history: Option<TimeOption>,
    /// When they have to be gone.
    pub purge_within: Option<TimeOption>,
}

/// True for the history's name.
pub(crate) fn is_history(name: &str) -> bool {
    name == HISTORY
}

/// True for the name of `purge_within`.
pub(crate) fn is_purge_within(name: &str) -> bool {
    name == PURGE_WITHIN
}

/// Takes these two out of a list of options.
pub(crate) fn take(options: Options) -> Result<(TimeOptions, Options), SqlError> {
    let (own, others): (Options, Options) =
        options.into_iter().partition(|(name, _)| is_history(name) || is_purge_within(name));
    let mut taken = TimeOptions::default();
    for (name, value) in own {
        let is_again = match is_history(&name) {
            true => taken.history.replace(history(value.as_deref())?).is_some(),
            false => taken.purge_within.replace(purge_within(value.as_deref())?).is_some(),
        };
        if is_again {
            return Err(invalid(format!("parameter \"{name}\" specified more than once")));
        }
    }
    Ok((taken, others))
}

/// 22023 where a table could be read further back than its dead bytes are kept (rule 13).
pub(crate) fn check(history_micros: i64, purge_within_micros: Option<i64>) -> Result<(), SqlError> {
    match purge_within_micros {
        Some(within) if within < history_micros => {
            let message = "\"purge_within\" must not be shorter than \"history\"".to_owned();
            let detail =
                "What can be read back is not purged. Unless it is set the history is one hour.";
            Err(invalid(message).with_detail(detail).with_hint(
                "Set both, for example WITH (history = '0', purge_within = '1 minute').",
            ))
        }
        _ => Ok(()),
    }
}

fn history(value: Option<&str>) -> Result<TimeOption, SqlError> {
    let detail = "A history is between nothing and 100 years long.";
    parse(HISTORY, value, 0, detail)
}

fn purge_within(value: Option<&str>) -> Result<TimeOption, SqlError> {
    let detail = "A purge takes place within one second to 100 years.";
    parse(PURGE_WITHIN, value, PURGE_MICROS_MIN, detail)
}

fn parse(
    name: &str,
    value: Option<&str>,
    micros_min: i64,
    detail: &str,
) -> Result<TimeOption, SqlError> {
    let text = value.unwrap_or_default().trim();
    let wrong = || invalid(format!("invalid value for parameter \"{name}\": \"{text}\""));
    let read = interval::parse(text, IntervalStyle::Postgres);
    let read = read.map_err(|error| wrong().with_detail(error.message.clone()))?;
    let micros = i64::try_from(read.comparable_micros()).ok();
    match micros.filter(|micros| (micros_min..=MICROS_MAX).contains(micros)) {
        Some(micros) => Ok(TimeOption { shown: format!("{name}={text}"), micros }),
        None => Err(wrong().with_detail(detail)),
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn micros(value: &str) -> Option<i64> {
        history(Some(value)).ok().map(|history| history.micros)
    }

    #[test]
    fn a_history_is_an_interval_from_nothing_to_100_years() {
        assert_eq!(micros("2 hours"), Some(7200 * SECOND));
        assert_eq!(micros("0"), Some(0));
        assert_eq!(micros("90"), Some(90 * SECOND));
        assert_eq!(micros("1 month"), Some(30 * 86_400 * SECOND));
        assert_eq!(micros("100 years 1 day"), None);
        for wrong in ["", "soon", "-1 second", "101 years", "9999999999 years", "infinity"] {
            assert_eq!(micros(wrong), None, "{wrong}");
        }
        assert_eq!(history(None).unwrap_err().state, SqlState::INVALID_PARAMETER_VALUE);
    }

    #[test]
    fn other_options_are_left() {
        let option = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let all = vec![option("fillfactor", "70"), option("history", " 1 day ")];
        let (times, others) = take(all).unwrap();
        assert_eq!(times.history.unwrap().shown, "history=1 day");
        assert_eq!(times.purge_within, None);
        assert_eq!(others, [option("fillfactor", "70")]);
        assert!(take(vec![option("history", "1"), option("history", "1")]).is_err());
    }

    #[test]
    fn a_purge_takes_a_second_at_least_and_no_less_than_the_history() {
        let within = |value: &str| purge_within(Some(value)).ok().map(|within| within.micros);
        assert_eq!(within("1 hour"), Some(3600 * SECOND));
        assert_eq!(within("1"), Some(SECOND));
        for wrong in ["", "0", "999 ms", "-1 hour", "101 years"] {
            assert_eq!(within(wrong), None, "{wrong}");
        }
        assert!(check(5, None).is_ok() && check(5, Some(5)).is_ok());
        assert_eq!(check(5, Some(4)).unwrap_err().state, SqlState::INVALID_PARAMETER_VALUE);
    }
}
