//! A byte stream to lines, as PostgreSQL's COPY finds their ends.
//!
//! The first line's end (`\n`, `\r\n` or `\r`) is that of all lines; another one bare in the data is an
//! error. In text, a backslash takes the next byte with it, a newline too; in CSV, newlines inside quotes
//! belong to the field. `\.` ends the data. What is not yet a whole line waits in the buffer; where the
//! search stopped is remembered, so that a long line cut into many pieces is searched once.

use super::options::{CopyFormat, CopyOptions};
use crate::error::{SqlError, SqlState};
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Unknown,
    Newline,
    Return,
    Both,
}

/// A line: where it lies in the buffer, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its bytes.
    pub range: Range<usize>,
    /// True where a field may not be as it is: it has a backslash in text, a quote in CSV.
    pub special: bool,
    /// Its number, from 1; that of its last line if it has several.
    pub number: u64,
}

/// Finds lines.
pub struct Lines {
    csv: bool,
    quote: u8,
    escape: Option<u8>,
    buffer: Vec<u8>,
    /// Where the line in progress starts, and how far it was searched.
    start: usize,
    searched: usize,
    in_quote: bool,
    after_escape: bool,
    special: bool,
    /// Lines inside the line in progress.
    embedded: u64,
    end: End,
    /// Lines so far.
    number: u64,
    /// Nothing more comes: the last line may lack its end.
    closed: bool,
    /// `\.` was seen.
    done: bool,
}

/// What a search found.
enum Found {
    /// A line up to here; the next starts there.
    Line(usize, usize),
    /// More bytes are needed.
    More,
    /// `\.` after a line up to here.
    Done(usize),
}

impl Lines {
    /// For data of these options.
    pub fn new(options: &CopyOptions) -> Self {
        Self {
            csv: options.format == CopyFormat::Csv,
            quote: options.quote,
            escape: (options.escape != options.quote).then_some(options.escape),
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            in_quote: false,
            after_escape: false,
            special: false,
            embedded: 0,
            end: End::Unknown,
            number: 0,
            closed: false,
            done: false,
        }
    }

    /// Adds bytes. After `\.` they are dropped.
    pub fn feed(&mut self, data: &[u8]) {
        if self.done {
            return;
        }
        // Lines handed out are used up by now.
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(data);
    }

    /// Says that nothing more comes.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// A line's bytes; good until the next [`Lines::feed`].
    pub fn bytes(&self, line: &Line) -> &[u8] {
        &self.buffer[line.range.clone()]
    }

    /// The number of the line being read, for messages.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next whole line.
    pub fn next_line(&mut self) -> Result<Option<Line>, SqlError> {
        if self.done {
            return Ok(None);
        }
        let found = match self.csv {
            true => self.search_csv(),
            false => self.search_text(),
        };
        let found = found.inspect_err(|_| self.number += 1)?;
        let (to, next) = match found {
            Found::Line(to, next) => (to, next),
            Found::Done(to) => {
                self.done = true;
                if to == self.start {
                    return Ok(None);
                }
                (to, self.buffer.len())
            }
            Found::More if self.closed && self.start < self.buffer.len() => {
                (self.buffer.len(), self.buffer.len())
            }
            Found::More => return Ok(None),
        };
        self.number += 1 + self.embedded;
        let line = Line { range: self.start..to, special: self.special, number: self.number };
        self.start = next;
        self.searched = next;
        (self.special, self.embedded, self.after_escape) = (false, 0, false);
        Ok(Some(line))
    }

    fn search_text(&mut self) -> Result<Found, SqlError> {
        loop {
            let rest = &self.buffer[self.searched..];
            let Some(at) = memchr::memchr3(b'\n', b'\r', b'\\', rest) else {
                self.searched = self.buffer.len();
                return Ok(Found::More);
            };
            let at = self.searched + at;
            self.searched = at;
            if self.buffer[at] != b'\\' {
                return self.line_end(at);
            }
            match self.buffer.get(at + 1) {
                None => {
                    self.special = true;
                    return Ok(Found::More);
                }
                Some(b'.') => return self.end_marker(at),
                Some(_) => {
                    self.special = true;
                    self.searched = at + 2;
                }
            }
        }
    }

    fn search_csv(&mut self) -> Result<Found, SqlError> {
        while let Some(byte) = self.buffer.get(self.searched).copied() {
            let at = self.searched;
            if byte == b'\\' && at == self.start {
                match self.buffer.get(at + 1) {
                    None if !self.closed => return Ok(Found::More),
                    Some(b'.') => match self.end_marker(at)? {
                        Found::Line(..) => {}
                        other => return Ok(other),
                    },
                    _ => {}
                }
            }
            if self.in_quote && Some(byte) == self.escape {
                self.after_escape = !self.after_escape;
            }
            if byte == self.quote {
                self.special = true;
                if !self.after_escape {
                    self.in_quote = !self.in_quote;
                }
            }
            if Some(byte) != self.escape {
                self.after_escape = false;
            }
            if matches!(byte, b'\n' | b'\r') {
                if !self.in_quote {
                    return self.line_end(at);
                }
                let counted = if self.end == End::Newline { b'\n' } else { b'\r' };
                self.embedded += u64::from(byte == counted);
            }
            self.searched = at + 1;
            self.skip_plain();
        }
        Ok(Found::More)
    }

    /// Jumps over bytes that mean nothing to the search.
    fn skip_plain(&mut self) {
        if self.after_escape {
            return;
        }
        let rest = &self.buffer[self.searched..];
        let quote = self.quote;
        let next = match (self.in_quote, self.escape) {
            (true, Some(escape)) => {
                let found = rest
                    .iter()
                    .position(|b| *b == quote || *b == escape || matches!(*b, b'\n' | b'\r'));
                found.unwrap_or(rest.len())
            }
            _ => memchr::memchr3(quote, b'\n', b'\r', rest).unwrap_or(rest.len()),
        };
        self.searched += next;
    }

    /// A line's end at `at`, or what only looks like one.
    fn line_end(&mut self, at: usize) -> Result<Found, SqlError> {
        if self.buffer[at] == b'\n' {
            if matches!(self.end, End::Return | End::Both) {
                return Err(self.bare("newline", "\\n"));
            }
            self.end = End::Newline;
            return Ok(Found::Line(at, at + 1));
        }
        match self.end {
            End::Newline => Err(self.bare("carriage return", "\\r")),
            End::Return => Ok(Found::Line(at, at + 1)),
            End::Unknown | End::Both => match self.buffer.get(at + 1) {
                None if !self.closed => Ok(Found::More),
                Some(b'\n') => {
                    self.end = End::Both;
                    Ok(Found::Line(at, at + 2))
                }
                _ if self.end == End::Both => Err(self.bare("carriage return", "\\r")),
                _ => {
                    self.end = End::Return;
                    Ok(Found::Line(at, at + 1))
                }
            },
        }
    }

    /// `\.` at `at`: the end of the data if the line ends there. In CSV it is data otherwise, which
    /// [`Found::Line`] stands for.
    fn end_marker(&mut self, at: usize) -> Result<Found, SqlError> {
        let after = &self.buffer[at + 2..];
        let whole = if self.end == End::Both { 2 } else { 1 };
        let long_enough = after.len() >= whole || after.first() == Some(&b'\n');
        if !long_enough && !self.closed {
            return Ok(Found::More);
        }
        let good = matches!(
            (self.end, after),
            (End::Both, [b'\r', b'\n', ..])
                | (End::Newline, [b'\n', ..])
                | (End::Return, [b'\r', ..])
                | (End::Unknown, [b'\n' | b'\r', ..])
        );
        if good {
            return Ok(Found::Done(at));
        }
        match (self.csv, after.first()) {
            (true, _) => Ok(Found::Line(at, at)),
            (false, Some(b'\n' | b'\r')) => {
                Err(bad("end-of-copy marker does not match previous newline style"))
            }
            (false, _) => Err(bad("end-of-copy marker corrupt")),
        }
    }

    #[cold]
    fn bare(&self, what: &str, escape: &str) -> SqlError {
        match self.csv {
            true => bad(format!("unquoted {what} found in data"))
                .with_hint(format!("Use quoted CSV field to represent {what}.")),
            false => bad(format!("literal {what} found in data"))
                .with_hint(format!("Use \"{escape}\" to represent {what}.")),
        }
    }
}

/// 22P04.
#[cold]
pub(super) fn bad(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}
