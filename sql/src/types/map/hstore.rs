//! hstore's text form: hstore_in and hstore_out.
//!
//! The reader is PostgreSQL's: a word ends at a blank, at `=` where a key is due and at `,` where a value is, a
//! backslash takes the next character as it is, and `NULL` without quotes is no value. Of equal keys the first
//! stays. Errors are PostgreSQL 16's (42601); 15 gives the same places under XX000.

use crate::error::SqlError;
use crate::types::space::is_space;
use terrane_client::cell::map::in_order;
use terrane_client::value::Value;

/// hstore_in.
pub fn parse(text: &str) -> Result<Value, SqlError> {
    let mut reader = Reader { text, at: 0 };
    let mut entries = Vec::new();
    while let Some((key, _)) = reader.word(b'=')? {
        reader.arrow()?;
        let (value, quoted) = reader.word(b',')?.ok_or_else(Reader::at_end)?;
        let is_null = !quoted && value.eq_ignore_ascii_case("null");
        let value = if is_null { Value::Null } else { Value::Text(value) };
        entries.push((Value::Text(key), value));
        if !reader.comma()? {
            break;
        }
    }
    Ok(Value::Map(first_of_each(entries)))
}

/// Entries in order, of equal keys the first.
pub fn first_of_each(mut entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    entries.reverse();
    in_order(entries)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn at_end() -> SqlError {
        SqlError::syntax("syntax error in hstore: unexpected end of string")
    }

    #[cold]
    fn wrong(&self) -> SqlError {
        let near = self.text[self.at..].chars().next().map_or(String::new(), String::from);
        let message = format!("syntax error in hstore, near \"{near}\" at position {}", self.at);
        SqlError::syntax(message)
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// A key, which ends before `=`, or a value, which ends before `,`; and whether it was quoted. `None` where
    /// there is no more.
    fn word(&mut self, end: u8) -> Result<Option<(String, bool)>, SqlError> {
        self.spaces();
        match self.peek() {
            None => return Ok(None),
            Some(b'"') => {
                self.at += 1;
                return self.quoted().map(|word| Some((word, true)));
            }
            Some(b'=') if end == b'=' => return Err(self.wrong()),
            Some(_) => {}
        }
        let mut word = String::new();
        // The first character is part of the word even where it would end one.
        while let Some(byte) = self.peek() {
            if !word.is_empty() && (byte == end || is_space(byte)) {
                break;
            }
            if byte == b'\\' {
                self.at += 1;
            }
            self.character(&mut word)?;
        }
        Ok(Some((word, false)))
    }

    fn quoted(&mut self) -> Result<String, SqlError> {
        let mut word = String::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(word);
                }
                Some(b'\\') => self.at += 1,
                _ => {}
            }
            self.character(&mut word)?;
        }
    }

    fn character(&mut self, word: &mut String) -> Result<(), SqlError> {
        let character = self.text[self.at..].chars().next().ok_or_else(Self::at_end)?;
        self.at += character.len_utf8();
        word.push(character);
        Ok(())
    }

    fn arrow(&mut self) -> Result<(), SqlError> {
        self.spaces();
        for expected in *b"=>" {
            match self.peek() {
                None => return Err(Self::at_end()),
                Some(found) if found == expected => self.at += 1,
                Some(_) => return Err(self.wrong()),
            }
        }
        Ok(())
    }

    /// False at the end.
    fn comma(&mut self) -> Result<bool, SqlError> {
        self.spaces();
        match self.peek() {
            None => Ok(false),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => Err(self.wrong()),
        }
    }
}

/// `"key"=>"value"`.
pub(super) fn write_entry(key: &Value, value: &Value, out: &mut Vec<u8>) {
    for (side, before) in [(key, ""), (value, "=>")] {
        out.extend_from_slice(before.as_bytes());
        let Value::Text(text) = side else {
            out.extend_from_slice(b"NULL");
            continue;
        };
        out.push(b'"');
        for byte in text.bytes() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
}
