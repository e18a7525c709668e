//! `WITH (split_at = '…', max_tablet_size = '256MB')`: where a table is cut into tablets.
//!
//! `split_at` lists the keys that tablets begin with when the table is made or truncated, each the leading columns of the
//! primary key; dates and times are read in ISO form and UTC, whatever the session has set:
//!
//! ```text
//! list  := point { ',' point } | '{' list '}'
//! point := value | '(' value { ',' value } ')'
//! value := '"' … '"'     a backslash takes the next character, "" is a quote
//!        | … up to the next comma, parenthesis or brace, without blanks around it
//! ```
//!
//! `max_tablet_size` is what the files of a tablet may take before it is split by itself.

use crate::catalog::model::Table;
use crate::error::{SqlError, SqlState};
use crate::session::info::SessionInfo;
use crate::session::modify::key_error;
use crate::session::settings::parse_bytes;
use crate::types::text;
use std::iter::Peekable;
use std::str::Chars;
use terrane_client::key;

const SPLIT_AT: &str = "split_at";
const MAX_TABLET_SIZE: &str = "max_tablet_size";

/// Bytes of a tablet: with smaller ones METADATA would be larger than the table.
const TABLET_BYTES: std::ops::RangeInclusive<i64> = 64 << 10..=1 << 40;

/// Points that a table may be cut at when it is made.
const POINTS_MAX: usize = 4096;

/// Options of WITH and SET, by name.
type Options = Vec<(String, Option<String>)>;

/// What options say of tablets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TabletOptions {
    /// As it was written.
    pub split_at: Option<String>,
    /// See [`terrane_client::schema::TableSchema::tablet_bytes_max`].
    pub bytes_max: Option<u64>,
    /// Both, as pg_class.reloptions shows them.
    pub shown: Vec<String>,
}

/// True for the name of `max_tablet_size`.
pub(crate) fn is_size(name: &str) -> bool {
    name == MAX_TABLET_SIZE
}

/// True for the name of `split_at`.
pub(crate) fn is_split_at(name: &str) -> bool {
    name == SPLIT_AT
}

/// Takes what is said of tablets out of a list of options.
pub(crate) fn take(options: Options) -> Result<(TabletOptions, Options), SqlError> {
    let (own, others): (Options, Options) =
        options.into_iter().partition(|(name, _)| is_size(name) || is_split_at(name));
    let mut taken = TabletOptions::default();
    for (name, value) in own {
        let text = value.unwrap_or_default().trim().to_owned();
        let is_again = match is_size(&name) {
            true => taken.bytes_max.replace(size(&text)?).is_some(),
            false => taken.split_at.replace(text.clone()).is_some(),
        };
        if is_again {
            return Err(invalid(format!("parameter \"{name}\" specified more than once")));
        }
        taken.shown.push(format!("{name}={text}"));
    }
    Ok((taken, others))
}

fn size(text: &str) -> Result<u64, SqlError> {
    let wrong =
        || invalid(format!("invalid value for parameter \"{MAX_TABLET_SIZE}\": \"{text}\""));
    let bytes = parse_bytes(text).ok_or_else(wrong)?;
    match u64::try_from(bytes) {
        Ok(size) if TABLET_BYTES.contains(&bytes) => Ok(size),
        _ => Err(wrong().with_detail("A tablet's size is between 64kB and 1TB.")),
    }
}

/// The keys that `split_at` names, ascending.
pub(crate) fn split_keys(table: &Table, split_at: &str) -> Result<Vec<Vec<u8>>, SqlError> {
    let points = Points::read(split_at)?;
    let schema = table.tablet_schema(Vec::new());
    let shape = schema.key_shape();
    if shape.is_empty() {
        let message =
            format!("\"{SPLIT_AT}\" of table \"{}\", which has no primary key", table.name);
        return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    }
    if points.len() > POINTS_MAX {
        let message = format!("\"{SPLIT_AT}\" names more than {POINTS_MAX} keys");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    let session = SessionInfo::default();
    let mut keys = Vec::with_capacity(points.len());
    for point in points {
        if point.len() > shape.len() {
            let (given, has) = (point.len(), shape.len());
            let message = format!(
                "a key of \"{SPLIT_AT}\" has {given} values, and the primary key of table \"{}\" has {has}",
                table.name
            );
            return Err(invalid(message));
        }
        let values = point
            .iter()
            .zip(&shape)
            .map(|(value, (data_type, _))| text::parse(value, data_type, session.input()));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let key = key::encode_prefix(&values, &shape).map_err(|error| key_error(&schema, error))?;
        keys.push(key.to_vec());
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Reads a list of points.
struct Points<'a> {
    whole: &'a str,
    rest: Peekable<Chars<'a>>,
}

impl<'a> Points<'a> {
    fn read(whole: &'a str) -> Result<Vec<Vec<String>>, SqlError> {
        let mut points = Self { whole, rest: whole.chars().peekable() };
        let is_braced = points.take('{');
        let mut read = vec![points.point()?];
        while points.take(',') {
            read.push(points.point()?);
        }
        let is_closed = !is_braced || points.take('}');
        points.skip_space();
        match is_closed && points.rest.peek().is_none() {
            true => Ok(read),
            false => Err(points.malformed()),
        }
    }

    fn point(&mut self) -> Result<Vec<String>, SqlError> {
        if !self.take('(') {
            return Ok(vec![self.value()?]);
        }
        let mut values = vec![self.value()?];
        while self.take(',') {
            values.push(self.value()?);
        }
        match self.take(')') {
            true => Ok(values),
            false => Err(self.malformed()),
        }
    }

    fn value(&mut self) -> Result<String, SqlError> {
        let mut value = String::new();
        if self.take('"') {
            loop {
                match self.rest.next() {
                    Some('"') if self.rest.next_if_eq(&'"').is_none() => return Ok(value),
                    Some('\\') => value.push(self.rest.next().ok_or_else(|| self.malformed())?),
                    Some(other) => value.push(other),
                    None => return Err(self.malformed()),
                }
            }
        }
        while let Some(next) = self.rest.next_if(|next| !",(){}\"".contains(*next)) {
            value.push(next);
        }
        match value.trim() {
            "" => Err(self.malformed()),
            value => Ok(value.to_owned()),
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn skip_space(&mut self) {
        while self.rest.next_if(|next| next.is_ascii_whitespace()).is_some() {}
    }

    fn malformed(&self) -> SqlError {
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("malformed list of keys for parameter \"{SPLIT_AT}\": \"{}\"", self.whole),
        )
        .with_hint("Write '10, 20' or, for several columns, '(10, a), (20, b)'.")
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn points(text: &str) -> Option<Vec<Vec<String>>> {
        Points::read(text).ok()
    }

    fn listed(points: &[&[&str]]) -> Option<Vec<Vec<String>>> {
        let point = |point: &&[&str]| point.iter().map(|value| (*value).to_owned()).collect();
        Some(points.iter().map(point).collect())
    }

    #[test]
    fn lists_of_keys_are_read() {
        assert_eq!(points("10"), listed(&[&["10"]]));
        assert_eq!(points(" 10 , 20,30 "), listed(&[&["10"], &["20"], &["30"]]));
        assert_eq!(points("{a,m}"), listed(&[&["a"], &["m"]]));
        assert_eq!(points("(1, a b), 2"), listed(&[&["1", "a b"], &["2"]]));
        assert_eq!(
            points(r#"("a ""b\"",""),"(","\\""#),
            listed(&[&["a \"b\"", ""], &["("], &["\\"]])
        );
        for wrong in
            ["", ",", "1,", "(1", "{1", "1)", "(1,)", "\"a", "\"a\"b", "\"\\", "1 (2)", "()"]
        {
            assert_eq!(points(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_said_of_tablets_is_taken_out() {
        let option = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let all = vec![
            option("fillfactor", "70"),
            option("max_tablet_size", "256MB"),
            option("split_at", "1,2"),
        ];
        let (taken, others) = take(all).unwrap();
        assert_eq!(taken.bytes_max, Some(256 << 20));
        assert_eq!(taken.split_at.as_deref(), Some("1,2"));
        assert_eq!(taken.shown, ["max_tablet_size=256MB", "split_at=1,2"]);
        assert_eq!(others, [option("fillfactor", "70")]);
        for wrong in ["", "1", "1kB", "2TB", "-1MB", "many"] {
            assert!(take(vec![option("max_tablet_size", wrong)]).is_err(), "{wrong}");
        }
        let twice = vec![option("split_at", "1"), option("split_at", "1")];
        assert!(take(twice).is_err());
    }
}
