//! Regular expressions that DataFusion has no function for.
//!
//! Patterns are the regex crate's, as `~` and regexp_replace() read them.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use regex::{Regex, RegexBuilder};

const TEXT: Kind = Kind::Text;

pub(super) const FUNCTIONS: &[Definition] = &[Definition::new(
    "regexp_split_to_array",
    &[
        Overload::new(&[TEXT, TEXT], oid::TEXT_ARRAY, split),
        Overload::new(&[TEXT, TEXT, TEXT], oid::TEXT_ARRAY, split),
    ],
)];

/// A pattern with PostgreSQL's flags.
pub(super) fn compiled(pattern: &str, flags: &str) -> Result<Regex, SqlError> {
    let mut builder = RegexBuilder::new(pattern);
    // Unlike the crate's default, a dot is any character, newlines included.
    builder.dot_matches_new_line(true);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'c' => builder.case_insensitive(false),
            's' => builder.dot_matches_new_line(true),
            'n' | 'm' => builder.dot_matches_new_line(false).multi_line(true),
            'x' => builder.ignore_whitespace(true),
            'g' => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "regexp_split_to_array() does not support the \"global\" option",
                ));
            }
            other => {
                return Err(SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        };
    }
    builder.build().map_err(|error| {
        SqlError::new(
            SqlState::INVALID_REGULAR_EXPRESSION,
            format!("invalid regular expression: {error}"),
        )
    })
}

/// The parts between matches. An empty match at either end, or just after another, splits nothing.
fn split(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let text = args[0].text();
    let pattern = compiled(args[1].text(), args.get(2).map_or("", Arg::text))?;
    let mut parts = Vec::new();
    let mut start = 0;
    for found in pattern.find_iter(text) {
        let at_edge = found.start() == start || found.start() == text.len();
        if found.is_empty() && at_edge {
            continue;
        }
        parts.push(text[start..found.start()].to_owned());
        start = found.end();
    }
    parts.push(text[start..].to_owned());
    Ok(Cell::Texts(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn splits() {
        for (text, pattern, wanted) in [
            ("a1b2c", "[0-9]", "a|b|c"),
            ("hello  world", r"\s+", "hello|world"),
            ("abc", "", "a|b|c"),
            (",a,", ",", "|a|"),
            ("", "x", ""),
            ("the quick", r"\s*", "t|h|e|q|u|i|c|k"),
        ] {
            let args = [Arg::Text(text.to_owned()), Arg::Text(pattern.to_owned())];
            let Cell::Texts(parts) = split(&Facts::default(), &args).unwrap() else { panic!() };
            assert_eq!(parts.join("|"), wanted, "{text} by {pattern}");
        }
        let args = [Arg::Text("a".to_owned()), Arg::Text("[".to_owned())];
        let error = split(&Facts::default(), &args).unwrap_err();
        assert_eq!(error.state, SqlState::INVALID_REGULAR_EXPRESSION);
    }
}
