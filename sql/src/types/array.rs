//! The text form of one-dimensional arrays: `{1,NULL,"a \"quoted\" one"}`.
//!
//! [`Elements`] walks the text and hands out each element unescaped, so that any element type's input
//! function can take it. More dimensions, and lower bounds other than 1, are 0A000.

use super::space::is_space;
use crate::error::{SqlError, SqlState};

/// Reads the elements of an array literal, one after the other.
pub struct Elements<'a> {
    whole: &'a str,
    rest: &'a [u8],
    first: bool,
    done: bool,
}

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// The unquoted word NULL.
    Null,
    /// Its text, without quotes and backslashes.
    Text(&'a str),
}

impl<'a> Elements<'a> {
    /// Opens the literal.
    pub fn new(text: &'a str) -> Result<Self, SqlError> {
        let mut it = Self { whole: text, rest: text.as_bytes(), first: true, done: false };
        it.skip_space();
        if it.rest.first() == Some(&b'[') {
            it.skip_bounds()?;
        }
        if it.rest.first() != Some(&b'{') {
            return Err(it.malformed("Array value must start with \"{\" or dimension information."));
        }
        it.rest = &it.rest[1..];
        Ok(it)
    }

    #[cold]
    fn malformed(&self, detail: &str) -> SqlError {
        let text = super::invalid::excerpt(self.whole);
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("malformed array literal: \"{text}\""),
        )
        .with_detail(detail)
    }

    fn skip_space(&mut self) {
        while let [byte, rest @ ..] = self.rest
            && is_space(*byte)
        {
            self.rest = rest;
        }
    }

    /// `[1:n]=` before the braces.
    fn skip_bounds(&mut self) -> Result<(), SqlError> {
        let end = memchr::memchr(b']', self.rest)
            .ok_or_else(|| self.malformed("Missing \"]\" after array dimensions."))?;
        let bounds = &self.rest[1..end];
        let after = &self.rest[end + 1..];
        if after.first() == Some(&b'[') {
            return Err(multidimensional());
        }
        let [b'=', after @ ..] = after else {
            return Err(self.malformed("Missing \"=\" after array dimensions."));
        };
        if bounds.contains(&b':') && !bounds.starts_with(b"1:") {
            return Err(SqlError::unsupported(
                "arrays with a lower bound other than 1 are not supported",
            ));
        }
        self.rest = after;
        self.skip_space();
        Ok(())
    }

    /// The next element, its text in `buffer` where quotes or backslashes had to be taken out.
    pub fn next<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Option<Element<'b>>, SqlError>
    where
        'a: 'b,
    {
        if self.done {
            return Ok(None);
        }
        self.skip_space();
        if self.first && self.rest.first() == Some(&b'}') {
            self.rest = &self.rest[1..];
            return self.finish();
        }
        self.first = false;
        if self.rest.first() == Some(&b'{') {
            return Err(multidimensional());
        }
        buffer.clear();
        let quoted = self.take_item(buffer)?;
        match self.rest.first() {
            Some(b',') => {
                self.rest = &self.rest[1..];
                // A closing brace or another comma straight after it lacks an element.
                let mut ahead = self.rest;
                while let [byte, rest @ ..] = ahead
                    && is_space(*byte)
                {
                    ahead = rest;
                }
                if let Some(byte @ (b'}' | b',')) = ahead.first() {
                    return Err(self.unexpected(*byte));
                }
            }
            Some(_) => {
                self.rest = &self.rest[1..];
                self.finish()?;
            }
            None => return Err(self.malformed("Unexpected end of input.")),
        }
        if !quoted && buffer.eq_ignore_ascii_case(b"null") {
            return Ok(Some(Element::Null));
        }
        // Only whole characters were copied: separators, quotes and backslashes are ASCII.
        match std::str::from_utf8(buffer) {
            Ok(text) => Ok(Some(Element::Text(text))),
            Err(_) => Err(SqlError::internal("an array element was cut inside a character")),
        }
    }

    /// After the closing brace: nothing but white space.
    fn finish(&mut self) -> Result<Option<Element<'static>>, SqlError> {
        self.done = true;
        self.skip_space();
        match self.rest {
            [] => Ok(None),
            _ => Err(self.malformed("Junk after closing right brace.")),
        }
    }

    #[cold]
    fn unexpected(&self, byte: u8) -> SqlError {
        self.malformed(&format!("Unexpected \"{}\" character.", char::from(byte)))
    }

    /// Copies one element up to the comma or brace that ends it; true where any of it was quoted.
    fn take_item(&mut self, buffer: &mut Vec<u8>) -> Result<bool, SqlError> {
        let mut quoted = false;
        let mut after_quote = false;
        // Trailing white space outside quotes is not part of the element.
        let mut solid = 0;
        while let [byte, rest @ ..] = self.rest {
            match byte {
                b'"' if quoted => return Err(self.malformed("Unexpected array element.")),
                b'"' if !buffer.is_empty() => {
                    return Err(self.malformed("Unexpected array element."));
                }
                b'"' => {
                    self.rest = rest;
                    self.take_quoted(buffer)?;
                    (quoted, after_quote) = (true, true);
                    solid = buffer.len();
                    continue;
                }
                b'\\' if after_quote => {
                    return Err(self.malformed("Unexpected array element."));
                }
                b'\\' => {
                    let [escaped, rest @ ..] = rest else {
                        return Err(self.malformed("Unexpected end of input."));
                    };
                    // A backslash makes it text: `\null` is not NULL.
                    buffer.push(*escaped);
                    self.rest = rest;
                    self.take_continuation(buffer);
                    quoted = true;
                    solid = buffer.len();
                    continue;
                }
                b'{' => return Err(self.unexpected(b'{')),
                b',' | b'}' => break,
                byte if is_space(*byte) => {
                    if !after_quote {
                        buffer.push(*byte);
                    }
                }
                _ if after_quote => return Err(self.malformed("Unexpected array element.")),
                byte => {
                    buffer.push(*byte);
                    solid = buffer.len();
                }
            }
            self.rest = rest;
        }
        if self.rest.is_empty() {
            return Err(self.malformed("Unexpected end of input."));
        }
        buffer.truncate(solid);
        if buffer.is_empty() && !quoted {
            return Err(self.unexpected(self.rest[0]));
        }
        Ok(quoted)
    }

    /// The rest of a character whose first byte was escaped.
    fn take_continuation(&mut self, buffer: &mut Vec<u8>) {
        while let [byte @ 0x80..=0xBF, rest @ ..] = self.rest {
            buffer.push(*byte);
            self.rest = rest;
        }
    }

    fn take_quoted(&mut self, buffer: &mut Vec<u8>) -> Result<(), SqlError> {
        loop {
            let Some(at) = memchr::memchr2(b'"', b'\\', self.rest) else {
                return Err(self.malformed("Unexpected end of input."));
            };
            buffer.extend_from_slice(&self.rest[..at]);
            let found = self.rest[at];
            self.rest = &self.rest[at + 1..];
            if found == b'"' {
                return Ok(());
            }
            let [escaped, rest @ ..] = self.rest else {
                return Err(self.malformed("Unexpected end of input."));
            };
            buffer.push(*escaped);
            self.rest = rest;
        }
    }
}

#[cold]
fn multidimensional() -> SqlError {
    SqlError::unsupported("multidimensional arrays are not supported")
}

/// Quotes one element's text as array_out does. `start` is where it begins in `out`; what is written
/// from there on is the element's own text, and is replaced by its quoted form if it needs one.
pub fn quote_from(start: usize, out: &mut Vec<u8>) {
    let text = &out[start..];
    let special = |b: &u8| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(*b);
    let needs = text.is_empty() || text.eq_ignore_ascii_case(b"null") || text.iter().any(special);
    if !needs {
        return;
    }
    let escapes = text.iter().filter(|b| matches!(b, b'"' | b'\\')).count();
    let length = out.len();
    let mut to = length + escapes + 2;
    out.resize(to, 0);
    // From the right, so that nothing is overwritten before it is moved.
    to -= 1;
    out[to] = b'"';
    for from in (start..length).rev() {
        let byte = out[from];
        to -= 1;
        out[to] = byte;
        if matches!(byte, b'"' | b'\\') {
            to -= 1;
            out[to] = b'\\';
        }
    }
    out[start] = b'"';
}
