//! A line to fields.
//!
//! A field is a slice of its line wherever it can be; only where escapes or quotes have to go is it
//! copied, into one buffer for the whole line.

use super::lines::bad;
use super::options::{CopyFormat, CopyOptions};
use crate::error::SqlError;
use crate::types::string;
use std::ops::Range;

/// One field of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Null,
    /// A part of the line.
    Line(Range<usize>),
    /// A part of the buffer.
    Buffer(Range<usize>),
}

/// Cuts lines into fields; keeps its buffers from line to line.
pub struct Fields {
    options: CopyOptions,
    fields: Vec<Field>,
    buffer: Vec<u8>,
}

impl Fields {
    /// For data of these options.
    pub fn new(options: &CopyOptions) -> Self {
        Self { options: options.clone(), fields: Vec::new(), buffer: Vec::new() }
    }

    /// How many fields the line has.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// True before the first line.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What NULL looks like.
    pub fn null(&self) -> &str {
        &self.options.null
    }

    /// Field `i` of the line that was cut last; `None` is NULL.
    #[inline]
    pub fn get<'a>(&'a self, line: &'a str, i: usize) -> Result<Option<&'a str>, SqlError> {
        match self.fields.get(i) {
            None | Some(Field::Null) => Ok(None),
            Some(Field::Line(range)) => Ok(Some(&line[range.clone()])),
            Some(Field::Buffer(range)) => string::utf8(&self.buffer[range.clone()]).map(Some),
        }
    }

    /// Cuts a line. `special` is false where nothing in it can need unescaping.
    pub fn cut(&mut self, line: &str, special: bool) -> Result<(), SqlError> {
        self.fields.clear();
        self.buffer.clear();
        match (self.options.format, special) {
            (CopyFormat::Csv, true) => self.cut_csv(line.as_bytes()),
            (CopyFormat::Csv, false) => {
                self.cut_plain(line.as_bytes(), true);
                Ok(())
            }
            (_, true) => {
                self.cut_text(line.as_bytes());
                Ok(())
            }
            (_, false) => {
                self.cut_plain(line.as_bytes(), false);
                Ok(())
            }
        }
    }

    /// A line without quotes or backslashes.
    fn cut_plain(&mut self, line: &[u8], csv: bool) {
        let mut start = 0;
        let ends = memchr::memchr_iter(self.options.delimiter, line).chain([line.len()]);
        for end in ends {
            let is_null = &line[start..end] == self.options.null.as_bytes();
            let forced = csv && self.options.force_not_null.get(self.fields.len()) == Some(&true);
            self.fields.push(match is_null && !forced {
                true => Field::Null,
                false => Field::Line(start..end),
            });
            start = end + 1;
        }
    }

    fn cut_text(&mut self, line: &[u8]) {
        let mut start = 0;
        loop {
            let (end, escaped) = self.text_end(line, start);
            let raw = &line[start..end];
            let field = if raw == self.options.null.as_bytes() {
                Field::Null
            } else if escaped {
                let from = self.buffer.len();
                self.unescape(raw);
                Field::Buffer(from..self.buffer.len())
            } else {
                Field::Line(start..end)
            };
            self.fields.push(field);
            if end == line.len() {
                return;
            }
            start = end + 1;
        }
    }

    /// Where a text field ends, and whether it has a backslash.
    fn text_end(&self, line: &[u8], start: usize) -> (usize, bool) {
        let (mut at, mut escaped) = (start, false);
        loop {
            match memchr::memchr2(self.options.delimiter, b'\\', &line[at..]) {
                None => return (line.len(), escaped),
                Some(found) if line[at + found] == b'\\' => {
                    escaped = true;
                    at = (at + found + 2).min(line.len());
                }
                Some(found) => return (at + found, escaped),
            }
        }
    }

    /// Takes out backslashes: `\n`, `\101`, `\x41`, and any other byte as it is.
    fn unescape(&mut self, mut raw: &[u8]) {
        while let Some(at) = memchr::memchr(b'\\', raw) {
            self.buffer.extend_from_slice(&raw[..at]);
            let (byte, rest) = match &raw[at + 1..] {
                // The data's last backslash has nothing to escape.
                [] => return,
                [b'0'..=b'7', ..] => {
                    let digits = &raw[at + 1..];
                    let octal = |b: &&u8| (b'0'..=b'7').contains(*b);
                    let count = digits.iter().take(3).take_while(octal).count();
                    let value =
                        digits[..count].iter().fold(0_u32, |n, d| n * 8 + u32::from(d - b'0'));
                    ((value & 0xff) as u8, &digits[count..])
                }
                [b'x', hex, ..] if hex.is_ascii_hexdigit() => {
                    let digits = &raw[at + 2..];
                    let count = digits.iter().take(2).take_while(|b| b.is_ascii_hexdigit()).count();
                    let value = digits[..count]
                        .iter()
                        .fold(0, |n, d| n * 16 + char::from(*d).to_digit(16).unwrap_or(0));
                    (value as u8, &digits[count..])
                }
                [b'b', rest @ ..] => (8, rest),
                [b'f', rest @ ..] => (12, rest),
                [b'n', rest @ ..] => (b'\n', rest),
                [b'r', rest @ ..] => (b'\r', rest),
                [b't', rest @ ..] => (b'\t', rest),
                [b'v', rest @ ..] => (11, rest),
                [other, rest @ ..] => (*other, rest),
            };
            self.buffer.push(byte);
            raw = rest;
        }
        self.buffer.extend_from_slice(raw);
    }

    fn cut_csv(&mut self, line: &[u8]) -> Result<(), SqlError> {
        let mut start = 0;
        loop {
            let end = self.csv_field(line, start)?;
            if end == line.len() {
                return Ok(());
            }
            start = end + 1;
        }
    }

    /// Reads the field at `start`; answers where it ends.
    fn csv_field(&mut self, line: &[u8], start: usize) -> Result<usize, SqlError> {
        let (delimiter, quote) = (self.options.delimiter, self.options.quote);
        let end = match memchr::memchr2(delimiter, quote, &line[start..]) {
            Some(at) if line[start + at] == quote => {
                return self.csv_quoted(line, start, start + at);
            }
            Some(at) => start + at,
            None => line.len(),
        };
        self.push_csv(Field::Line(start..end), &line[start..end], false);
        Ok(end)
    }

    /// Reads a field whose first quote is at `first`.
    fn csv_quoted(&mut self, line: &[u8], start: usize, first: usize) -> Result<usize, SqlError> {
        let CopyOptions { delimiter, quote, escape, .. } = self.options;
        // Nearly all quoted fields are one pair of quotes with nothing to unescape.
        if first == start
            && let Some(at) = memchr::memchr2(quote, escape, &line[first + 1..])
        {
            let close = first + 1 + at;
            let next = line.get(close + 1);
            if line[close] == quote && (next.is_none() || next == Some(&delimiter)) {
                let inside = first + 1..close;
                self.push_csv(Field::Line(inside.clone()), &line[inside], true);
                return Ok(close + 1);
            }
        }
        let from = self.buffer.len();
        let mut at = start;
        let mut in_quote = false;
        loop {
            let Some(byte) = line.get(at).copied() else {
                if in_quote {
                    return Err(bad("unterminated CSV quoted field"));
                }
                break;
            };
            at += 1;
            if !in_quote {
                match byte {
                    byte if byte == delimiter => {
                        at -= 1;
                        break;
                    }
                    byte if byte == quote => in_quote = true,
                    byte => self.buffer.push(byte),
                }
                continue;
            }
            if byte == escape
                && let Some(next) = line.get(at).filter(|b| **b == quote || **b == escape)
            {
                self.buffer.push(*next);
                at += 1;
            } else if byte == quote {
                in_quote = false;
            } else {
                self.buffer.push(byte);
            }
        }
        let field = Field::Buffer(from..self.buffer.len());
        let is_null = self.is_null(&self.buffer[from..], true);
        self.fields.push(if is_null { Field::Null } else { field });
        Ok(at)
    }

    fn push_csv(&mut self, field: Field, bytes: &[u8], quoted: bool) {
        let is_null = self.is_null(bytes, quoted);
        self.fields.push(if is_null { Field::Null } else { field });
    }

    fn is_null(&self, bytes: &[u8], quoted: bool) -> bool {
        let i = self.fields.len();
        let flag = |list: &[bool]| list.get(i) == Some(&true);
        let may_be = match quoted {
            true => flag(&self.options.force_null),
            false => !flag(&self.options.force_not_null),
        };
        may_be && bytes == self.options.null.as_bytes()
    }
}
