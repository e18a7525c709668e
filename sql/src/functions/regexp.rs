//! Functions of regular expressions that DataFusion has not, or has otherwise.
//!
//! Patterns are the regex crate's, as `~` and regexp_replace() read them.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use regex::{Captures, Regex, RegexBuilder};

const TEXT: Kind = Kind::Text;

const INT: Kind = Kind::Of(oid::INT4);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "regexp_split_to_array",
        &[
            Overload::new(&[TEXT, TEXT], oid::TEXT_ARRAY, split),
            Overload::new(&[TEXT, TEXT, TEXT], oid::TEXT_ARRAY, split),
        ],
    ),
    Definition::new(
        "regexp_like",
        &[
            Overload::new(&[TEXT, TEXT], oid::BOOL, like),
            Overload::new(&[TEXT, TEXT, TEXT], oid::BOOL, like),
        ],
    ),
    Definition::new(
        "regexp_count",
        &[
            Overload::new(&[TEXT, TEXT], oid::INT4, count),
            Overload::new(&[TEXT, TEXT, INT], oid::INT4, count),
            Overload::new(&[TEXT, TEXT, INT, TEXT], oid::INT4, count),
        ],
    ),
    Definition::new(
        "regexp_instr",
        &[
            Overload::new(&[TEXT, TEXT], oid::INT4, position),
            Overload::new(&[TEXT, TEXT, INT], oid::INT4, position),
            Overload::new(&[TEXT, TEXT, INT, INT], oid::INT4, position),
            Overload::new(&[TEXT, TEXT, INT, INT, INT], oid::INT4, position),
            Overload::new(&[TEXT, TEXT, INT, INT, INT, TEXT], oid::INT4, position),
            Overload::new(&[TEXT, TEXT, INT, INT, INT, TEXT, INT], oid::INT4, position),
        ],
    ),
    Definition::new(
        "regexp_substr",
        &[
            Overload::new(&[TEXT, TEXT], oid::TEXT, substring),
            Overload::new(&[TEXT, TEXT, INT], oid::TEXT, substring),
            Overload::new(&[TEXT, TEXT, INT, INT], oid::TEXT, substring),
            Overload::new(&[TEXT, TEXT, INT, INT, TEXT], oid::TEXT, substring),
            Overload::new(&[TEXT, TEXT, INT, INT, TEXT, INT], oid::TEXT, substring),
        ],
    ),
];

/// A pattern with PostgreSQL's flags, for a function that takes one match or all by itself.
pub(super) fn compiled(function: &str, pattern: &str, flags: &str) -> Result<Regex, SqlError> {
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
                    format!("{function}() does not support the \"global\" option"),
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
    let flags = args.get(2).map_or("", Arg::text);
    let pattern = compiled("regexp_split_to_array", args[1].text(), flags)?;
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

fn like(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let flags = args.get(2).map_or("", Arg::text);
    let pattern = compiled("regexp_like", args[1].text(), flags)?;
    Ok(pattern.is_match(args[0].text()).into())
}

fn count(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let start = whole(args.get(2), "start", 1)?;
    let flags = args.get(3).map_or("", Arg::text);
    let pattern = compiled("regexp_count", args[1].text(), flags)?;
    let mut matches = Matches::new(&pattern, args[0].text(), start);
    let mut count = 0;
    while matches.next().is_some() {
        count += 1;
    }
    Ok(Cell::Int(count))
}

fn position(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let text = args[0].text();
    let start = whole(args.get(2), "start", 1)?;
    let number = whole(args.get(3), "n", 1)?;
    let end = args.get(4).map_or(0, Arg::int);
    if !(0..=1).contains(&end) {
        return Err(invalid("endoption", end));
    }
    let flags = args.get(5).map_or("", Arg::text);
    let group = whole(args.get(6), "subexpr", 0)?;
    let pattern = compiled("regexp_instr", args[1].text(), flags)?;
    let found = Matches::new(&pattern, text, start).nth(number - 1);
    let part = found.as_ref().and_then(|found| found.get(group));
    let at = part.map(|part| if end == 1 { part.end() } else { part.start() });
    Ok(at.map_or(0, |at| text[..at].chars().count() as i64 + 1).into())
}

fn substring(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let start = whole(args.get(2), "start", 1)?;
    let number = whole(args.get(3), "n", 1)?;
    let flags = args.get(4).map_or("", Arg::text);
    let group = whole(args.get(5), "subexpr", 0)?;
    let pattern = compiled("regexp_substr", args[1].text(), flags)?;
    let found = Matches::new(&pattern, args[0].text(), start).nth(number - 1);
    let part = found.as_ref().and_then(|found| found.get(group));
    Ok(part.map(|part| part.as_str().to_owned()).into())
}

fn invalid(name: &str, value: i64) -> SqlError {
    let message = format!("invalid value for parameter \"{name}\": {value}");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// A parameter that is not below `least`, which it also is where it is not given.
fn whole(arg: Option<&Arg>, name: &str, least: usize) -> Result<usize, SqlError> {
    let Some(arg) = arg else { return Ok(least) };
    match usize::try_from(arg.int()) {
        Ok(value) if value >= least => Ok(value),
        _ => Err(invalid(name, arg.int())),
    }
}

/// The matches of a pattern from a character on. What is before it is seen by anchors.
struct Matches<'a> {
    pattern: &'a Regex,
    text: &'a str,
    /// Where to look next; `None` past the end.
    at: Option<usize>,
    /// Where the last match ended: no empty one starts there.
    last: Option<usize>,
}

impl<'a> Matches<'a> {
    fn new(pattern: &'a Regex, text: &'a str, start: usize) -> Self {
        let ends = std::iter::once(text.len());
        let at = text.char_indices().map(|(at, _)| at).chain(ends).nth(start - 1);
        Self { pattern, text, at, last: None }
    }

    fn behind(&self, at: usize) -> Option<usize> {
        self.text[at..].chars().next().map(|next| at + next.len_utf8())
    }
}

impl<'a> Iterator for Matches<'a> {
    type Item = Captures<'a>;

    fn next(&mut self) -> Option<Captures<'a>> {
        loop {
            let found = self.pattern.captures_at(self.text, self.at?)?;
            let whole = found.get(0)?;
            let (end, empty) = (whole.end(), whole.is_empty());
            self.at = if empty { self.behind(end) } else { Some(end) };
            if !(empty && self.last == Some(end)) {
                self.last = Some(end);
                return Some(found);
            }
        }
    }
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
