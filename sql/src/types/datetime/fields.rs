//! Cuts a date's text into fields: PostgreSQL's ParseDateTime.

use super::Fault;
use crate::types::space::is_space;

/// What a field looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Digits, perhaps with a point.
    Number,
    /// Digits with colons.
    Time,
    /// Digits or letters with date separators; also a zone's name with punctuation.
    Date,
    /// A sign and digits.
    Zone,
    /// Letters.
    Word,
    /// A sign and letters.
    SignedWord,
}

/// One field, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it looks like.
    pub kind: Kind,
    /// Its text.
    pub text: String,
}

/// More fields than any date has.
const FIELDS_MAX: usize = 25;

struct Cutter<'a> {
    text: &'a [u8],
    at: usize,
    field: String,
}

impl Cutter<'_> {
    /// The byte here; 0 at the end.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn take(&mut self) {
        // Only ASCII is ever taken.
        self.field.push(char::from(self.peek().to_ascii_lowercase()));
        self.at += 1;
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.at < self.text.len() && accept(self.peek()) {
            self.take();
        }
    }

    fn digits(&mut self) -> Kind {
        self.take_while(|b| b.is_ascii_digit());
        match self.peek() {
            b':' => {
                self.take_while(|b| b.is_ascii_digit() || b == b':' || b == b'.');
                Kind::Time
            }
            delimiter @ (b'-' | b'/' | b'.') => {
                self.take();
                if !self.peek().is_ascii_digit() {
                    self.take_while(|b| b.is_ascii_alphanumeric() || b == delimiter);
                    return Kind::Date;
                }
                self.take_while(|b| b.is_ascii_digit());
                // Three parts need the same delimiter twice.
                if self.peek() == delimiter {
                    self.take_while(|b| b.is_ascii_digit() || b == delimiter);
                    return Kind::Date;
                }
                if delimiter == b'.' { Kind::Number } else { Kind::Date }
            }
            _ => Kind::Number,
        }
    }

    fn word(&mut self) -> Kind {
        self.take_while(|b| b.is_ascii_alphabetic());
        let next = self.peek();
        let is_date = match next {
            b'-' | b'/' | b'.' => true,
            b'+' => super::words::date_word(&self.field).is_none(),
            digit if digit.is_ascii_digit() => super::words::date_word(&self.field).is_none(),
            _ => false,
        };
        if !is_date {
            return Kind::Word;
        }
        let accept = |b: u8| b.is_ascii_alphanumeric() || b"+-/_.:".contains(&b);
        self.take_while(accept);
        Kind::Date
    }

    fn signed(&mut self) -> Result<Kind, Fault> {
        self.take();
        while is_space(self.peek()) {
            self.at += 1;
        }
        if self.peek().is_ascii_digit() {
            self.take_while(|b| b.is_ascii_digit() || b":.-".contains(&b));
            Ok(Kind::Zone)
        } else if self.peek().is_ascii_alphabetic() {
            self.take_while(|b| b.is_ascii_alphabetic());
            Ok(Kind::SignedWord)
        } else {
            Err(Fault::Format)
        }
    }
}

/// All fields of a text.
pub fn cut(text: &str) -> Result<Vec<Field>, Fault> {
    let mut cutter = Cutter { text: text.as_bytes(), at: 0, field: String::new() };
    let mut fields = Vec::new();
    while cutter.at < cutter.text.len() {
        let byte = cutter.peek();
        if is_space(byte) {
            cutter.at += 1;
            continue;
        }
        if fields.len() >= FIELDS_MAX {
            return Err(Fault::Format);
        }
        let kind = match byte {
            b'0'..=b'9' => cutter.digits(),
            b'.' => {
                cutter.take();
                cutter.take_while(|b| b.is_ascii_digit());
                Kind::Number
            }
            b'a'..=b'z' | b'A'..=b'Z' => cutter.word(),
            b'+' | b'-' => cutter.signed()?,
            punctuation if punctuation.is_ascii_punctuation() => {
                cutter.at += 1;
                continue;
            }
            _ => return Err(Fault::Format),
        };
        fields.push(Field { kind, text: std::mem::take(&mut cutter.field) });
    }
    Ok(fields)
}
