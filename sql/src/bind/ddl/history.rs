//! `WITH (history = '2 hours')`: how far back FOR SYSTEM_TIME AS OF can read a table.
//!
//! An interval as PostgreSQL reads one: a bare number counts seconds, a month has 30 days and a day 24 hours.

use crate::error::{SqlError, SqlState};
use crate::types::datetime::interval;
use crate::types::style::IntervalStyle;

/// The option's name.
const NAME: &str = "history";

/// The longest history: 100 years of 12 months of 30 days.
const HISTORY_MAX_MICROS: i64 = 100 * 12 * 30 * 86_400_000_000;

/// Options of WITH and SET, by name.
type Options = Vec<(String, Option<String>)>;

/// A history as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HistoryOption {
    /// As pg_class.reloptions shows it.
    pub shown: String,
    /// What it means.
    pub micros: i64,
}

/// True for the history's name.
pub(crate) fn is_history(name: &str) -> bool {
    name == NAME
}

/// Takes the history out of a list of options.
pub(crate) fn take(options: Options) -> Result<(Option<HistoryOption>, Options), SqlError> {
    let (mut histories, others): (Options, Options) =
        options.into_iter().partition(|(name, _)| is_history(name));
    if histories.len() > 1 {
        return Err(invalid(format!("parameter \"{NAME}\" specified more than once")));
    }
    let history = histories.pop().map(|(_, value)| parse(value.as_deref())).transpose()?;
    Ok((history, others))
}

fn parse(value: Option<&str>) -> Result<HistoryOption, SqlError> {
    let text = value.unwrap_or_default().trim();
    let wrong = || invalid(format!("invalid value for parameter \"{NAME}\": \"{text}\""));
    let read = interval::parse(text, IntervalStyle::Postgres);
    let read = read.map_err(|error| wrong().with_detail(error.message.clone()))?;
    let micros = i64::try_from(read.comparable_micros()).ok();
    match micros.filter(|micros| (0..=HISTORY_MAX_MICROS).contains(micros)) {
        Some(micros) => Ok(HistoryOption { shown: format!("{NAME}={text}"), micros }),
        None => Err(wrong().with_detail("A history is between nothing and 100 years long.")),
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
        parse(Some(value)).ok().map(|history| history.micros)
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
        assert_eq!(parse(None).unwrap_err().state, SqlState::INVALID_PARAMETER_VALUE);
    }

    #[test]
    fn other_options_are_left() {
        let option = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let all = vec![option("fillfactor", "70"), option("history", " 1 day ")];
        let (history, others) = take(all).unwrap();
        assert_eq!(history.unwrap().shown, "history=1 day");
        assert_eq!(others, [option("fillfactor", "70")]);
        assert!(take(vec![option("history", "1"), option("history", "1")]).is_err());
    }
}
