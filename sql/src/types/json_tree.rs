//! A JSON document as a tree, for functions that take it apart.
//!
//! Each value knows its place in the source, because parts of a `json` are given as they were written.
//! Numbers stay digits: `jsonb` keeps every one of them.

use super::json::{self, Events, Lexer, Token};
use super::jsonb::{canonical_number, unescape, write_string};
use crate::error::SqlError;
use std::ops::Range;

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json {
    /// What it is.
    pub kind: Kind,
    /// Its place in the source; empty for what was made here.
    pub place: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as jsonb writes it.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object's entries in the order written, duplicates included.
    Object(Vec<(String, Json)>),
}

impl From<Kind> for Json {
    fn from(kind: Kind) -> Self {
        Self { kind, place: 0..0 }
    }
}

struct Open {
    value: Json,
    /// The key of the entry that is read.
    key: Option<String>,
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    done: Option<Json>,
    /// Where the next bracket is: brackets come without their lexer.
    brackets: std::vec::IntoIter<Range<usize>>,
}

impl Reader {
    fn add(&mut self, value: Json) {
        match self.open.last_mut() {
            None => self.done = Some(value),
            Some(Open { value: Json { kind: Kind::Array(items), .. }, .. }) => items.push(value),
            Some(Open { value: Json { kind: Kind::Object(entries), .. }, key }) => {
                entries.push((key.take().unwrap_or_default(), value));
            }
            Some(_) => {}
        }
    }
}

impl Events for Reader {
    fn scalar(&mut self, token: Token, lexer: &Lexer<'_>) -> Result<(), SqlError> {
        let mut text = String::new();
        let kind = match token {
            Token::String => {
                unescape(lexer, &mut text)?;
                Kind::String(text)
            }
            Token::Number => {
                canonical_number(lexer, &mut text)?;
                Kind::Number(text)
            }
            Token::True => Kind::Bool(true),
            Token::False => Kind::Bool(false),
            _ => Kind::Null,
        };
        self.add(Json { kind, place: lexer.start..lexer.end });
        Ok(())
    }

    fn key(&mut self, lexer: &Lexer<'_>) -> Result<(), SqlError> {
        let mut text = String::new();
        unescape(lexer, &mut text)?;
        if let Some(open) = self.open.last_mut() {
            open.key = Some(text);
        }
        Ok(())
    }

    fn open(&mut self, token: Token) {
        let kind = match token {
            Token::ObjectStart => Kind::Object(Vec::new()),
            _ => Kind::Array(Vec::new()),
        };
        let place = self.brackets.next().unwrap_or_default();
        self.open.push(Open { value: Json { kind, place }, key: None });
    }

    fn close(&mut self) {
        if let Some(Open { value, .. }) = self.open.pop() {
            self.add(value);
        }
    }
}

/// The places of all brackets with what is in them, in the order of their beginnings.
fn brackets(text: &str) -> Vec<Range<usize>> {
    let mut places: Vec<Range<usize>> = Vec::new();
    let mut open = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                open.push(places.len());
                places.push(at..at);
            }
            b'}' | b']' if !quoted => {
                if let Some(place) = open.pop() {
                    places[place].end = at + 1;
                }
            }
            _ => {}
        }
    }
    places
}

impl Json {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        let mut reader = Reader { brackets: brackets(text).into_iter(), ..Reader::default() };
        json::walk(text, &mut reader)?;
        reader.done.ok_or_else(|| SqlError::internal("JSON without a value"))
    }

    /// The normal form of jsonb.
    pub fn jsonb(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match &self.kind {
            Kind::Null => out.push_str("null"),
            Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Kind::Number(digits) => out.push_str(digits),
            Kind::String(text) => write_string(text, out),
            Kind::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Kind::Object(entries) => {
                out.push('{');
                for (at, (key, value)) in normal(entries).into_iter().enumerate() {
                    if at > 0 {
                        out.push_str(", ");
                    }
                    write_string(key, out);
                    out.push_str(": ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// An object's value; of equal keys the last.
    pub fn get(&self, key: &str) -> Option<&Json> {
        let Kind::Object(entries) = &self.kind else { return None };
        entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// An array's element; from the end where negative.
    pub fn at(&self, index: i64) -> Option<&Json> {
        let Kind::Array(items) = &self.kind else { return None };
        items.get(position(index, items.len())?)
    }

    /// The type's name, as jsonb_typeof gives it.
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Number(_) => "number",
            Kind::String(_) => "string",
            Kind::Array(_) => "array",
            Kind::Object(_) => "object",
        }
    }
}

/// The place an index names, counted from the end where negative.
pub fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index.checked_add(length)? } else { index };
    (0..length).contains(&index).then_some(index as usize)
}

/// An object's entries as jsonb has them: by length of the key and then its bytes, of equal keys the last.
pub fn normal(entries: &[(String, Json)]) -> Vec<(&str, &Json)> {
    let mut sorted: Vec<(&str, &Json)> =
        entries.iter().rev().map(|(key, value)| (key.as_str(), value)).collect();
    // Stable: of equal keys the last written comes first, and stays.
    sorted.sort_by_key(|(key, _)| (key.len(), *key));
    sorted.dedup_by_key(|(key, _)| *key);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_form_is_jsonb_s() {
        for text in [
            r#"{"bb": 1, "a": [1, {"x": null}], "b": "\u00e9\n", "a": 2}"#,
            " [ ] ",
            r#"{"k]": "}{", "n": 1e3}"#,
            "-0.50",
        ] {
            let mut wanted = String::new();
            crate::types::jsonb::normalize(text, &mut wanted).unwrap();
            assert_eq!(Json::parse(text).unwrap().jsonb(), wanted, "{text}");
        }
    }

    #[test]
    fn places_are_as_written() {
        let text = r#"{"a": [1,  2], "b]": {"c" : "[x"}, "d": 1.0}"#;
        let json = Json::parse(text).unwrap();
        let shown = |key: &str| &text[json.get(key).unwrap().place.clone()];
        assert_eq!(shown("a"), "[1,  2]");
        assert_eq!(shown("b]"), r#"{"c" : "[x"}"#);
        assert_eq!(shown("d"), "1.0");
    }
}
