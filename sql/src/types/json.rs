//! `json`: text that is valid JSON, kept as it is. Also the lexer that [`super::jsonb`] reads with.
//!
//! Nothing here recurses: the nesting is a stack of brackets, limited so that no later reader overflows.

use crate::error::{SqlError, SqlState};

/// Brackets that may be open at once; more is 54001.
pub const DEPTH_MAX: usize = 4096;

/// One token, its text in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `{`
    ObjectStart,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayStart,
    /// `]`
    ArrayEnd,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// A string with its quotes.
    String,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
    /// The end of the text.
    End,
}

/// Cuts JSON into tokens.
pub struct Lexer<'a> {
    text: &'a str,
    /// Where the last token begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

impl<'a> Lexer<'a> {
    /// At the start of the text.
    pub fn new(text: &'a str) -> Self {
        Self { text, start: 0, end: 0 }
    }

    /// The last token's text.
    pub fn text(&self) -> &'a str {
        &self.text[self.start..self.end]
    }

    /// The next token.
    pub fn token(&mut self) -> Result<Token, SqlError> {
        let bytes = self.text.as_bytes();
        let mut at = self.end;
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        self.start = at;
        let Some(first) = bytes.get(at) else {
            self.end = at;
            return Ok(Token::End);
        };
        self.end = at + 1;
        match first {
            b'{' => Ok(Token::ObjectStart),
            b'}' => Ok(Token::ObjectEnd),
            b'[' => Ok(Token::ArrayStart),
            b']' => Ok(Token::ArrayEnd),
            b',' => Ok(Token::Comma),
            b':' => Ok(Token::Colon),
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn string(&mut self) -> Result<Token, SqlError> {
        let bytes = self.text.as_bytes();
        loop {
            let Some(byte) = bytes.get(self.end) else {
                return Err(self.invalid_token());
            };
            self.end += 1;
            match byte {
                b'"' => return Ok(Token::String),
                b'\\' => self.escape()?,
                0..=31 => {
                    self.end -= 1;
                    let detail = format!("Character with value 0x{byte:02x} must be escaped.");
                    return Err(self.error(&detail));
                }
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), SqlError> {
        let bytes = self.text.as_bytes();
        let Some(byte) = bytes.get(self.end) else { return Err(self.invalid_token()) };
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.end += 1,
            b'u' => {
                let digits = bytes.get(self.end + 1..self.end + 5);
                if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
                    let hex = bytes[self.end + 1..].iter().take(4);
                    self.end += 1 + hex.take_while(|b| b.is_ascii_hexdigit()).count();
                    return Err(self.error("\"\\u\" must be followed by four hexadecimal digits."));
                }
                self.end += 5;
            }
            _ => {
                let character = self.text[self.end..].chars().next().unwrap_or('?');
                self.end += character.len_utf8();
                let detail = format!("Escape sequence \"\\{character}\" is invalid.");
                return Err(self.error(&detail));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> bool {
        let from = self.end;
        while self.text.as_bytes().get(self.end).is_some_and(u8::is_ascii_digit) {
            self.end += 1;
        }
        self.end > from
    }

    fn number(&mut self) -> Result<Token, SqlError> {
        let bytes = self.text.as_bytes();
        self.end = self.start + usize::from(bytes[self.start] == b'-');
        let leading_zero = bytes.get(self.end) == Some(&b'0');
        let from = self.end;
        let mut good = self.digits() && (!leading_zero || self.end - from == 1);
        if bytes.get(self.end) == Some(&b'.') {
            self.end += 1;
            good &= self.digits();
        }
        if matches!(bytes.get(self.end), Some(b'e' | b'E')) {
            self.end += 1;
            if matches!(bytes.get(self.end), Some(b'+' | b'-')) {
                self.end += 1;
            }
            good &= self.digits();
        }
        if self.take_word() || !good {
            return Err(self.invalid_token());
        }
        Ok(Token::Number)
    }

    /// Takes what looks like more of the same word, so that a message shows all of it.
    fn take_word(&mut self) -> bool {
        let rest = &self.text[self.end..];
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
        self.end += length;
        length > 0
    }

    fn word(&mut self) -> Result<Token, SqlError> {
        self.end = self.start;
        if !self.take_word() {
            let character = self.text[self.start..].chars().next().unwrap_or(' ');
            self.end = self.start + character.len_utf8();
        }
        match self.text() {
            "true" => Ok(Token::True),
            "false" => Ok(Token::False),
            "null" => Ok(Token::Null),
            _ => Err(self.invalid_token()),
        }
    }

    #[cold]
    fn invalid_token(&self) -> SqlError {
        self.error(&format!("Token \"{}\" is invalid.", super::invalid::excerpt(self.text())))
    }

    /// An error at the last token: `Expected ":", but found "x".`
    #[cold]
    pub fn expected(&self, token: Token, what: &str) -> SqlError {
        match token {
            Token::End => self.error("The input string ended unexpectedly."),
            _ => {
                let found = super::invalid::excerpt(self.text());
                self.error(&format!("Expected {what}, but found \"{found}\"."))
            }
        }
    }

    /// `invalid input syntax for type json`, with the place as CONTEXT.
    #[cold]
    pub fn error(&self, detail: &str) -> SqlError {
        self.place(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json")
            .with_detail(detail)
    }

    /// An error with the place of the last token as CONTEXT.
    #[cold]
    pub fn place(&self, state: SqlState, message: &str) -> SqlError {
        const SHOWN: usize = 50;
        let before = &self.text[..self.end.min(self.text.len())];
        let line = 1 + before[..self.start.min(before.len())].matches('\n').count();
        let from = before[..self.start.min(before.len())].rfind('\n').map_or(0, |at| at + 1);
        let shown = &before[from..];
        let skip = shown.chars().count().saturating_sub(SHOWN);
        let cut = shown.char_indices().nth(skip).map_or(0, |(at, _)| at);
        let prefix = if cut > 0 { "..." } else { "" };
        let more = self.text[before.len()..].chars().next().is_some_and(|c| c != '\n' && c != '\r');
        let suffix = if more { "..." } else { "" };
        let mut error = SqlError::new(state, message);
        error.context = Some(format!("JSON data, line {line}: {prefix}{}{suffix}", &shown[cut..]));
        error
    }
}

/// What a reader of tokens is told.
pub trait Events {
    /// A string, number or word.
    fn scalar(&mut self, token: Token, lexer: &Lexer<'_>) -> Result<(), SqlError>;
    /// An object's key.
    fn key(&mut self, lexer: &Lexer<'_>) -> Result<(), SqlError>;
    /// `{` or `[`
    fn open(&mut self, token: Token);
    /// `}` or `]`
    fn close(&mut self);
}

/// Reads one JSON value and nothing after it.
pub fn walk(text: &str, events: &mut impl Events) -> Result<(), SqlError> {
    let mut lexer = Lexer::new(text);
    // True for an object, false for an array.
    let mut open: Vec<bool> = Vec::new();
    let mut token = lexer.token()?;
    let mut after_open = false;
    loop {
        // Here a value is due.
        match token {
            Token::ObjectStart | Token::ArrayStart => {
                if open.len() == DEPTH_MAX {
                    return Err(too_deep());
                }
                events.open(token);
                open.push(token == Token::ObjectStart);
                token = lexer.token()?;
                let empty = match open.last() {
                    Some(true) => token == Token::ObjectEnd,
                    _ => token == Token::ArrayEnd,
                };
                if !empty {
                    if open.last() == Some(&true) {
                        token = key(&mut lexer, token, "string or \"}\"", events)?;
                    }
                    after_open = true;
                    continue;
                }
                events.close();
                open.pop();
            }
            Token::String | Token::Number | Token::True | Token::False | Token::Null => {
                events.scalar(token, &lexer)?;
            }
            _ if after_open && open.last() == Some(&false) => {
                return Err(lexer.expected(token, "array element or \"]\""));
            }
            _ => return Err(lexer.expected(token, "JSON value")),
        }
        after_open = false;
        // Here a value has ended.
        loop {
            token = lexer.token()?;
            match (open.last(), token) {
                (None, Token::End) => return Ok(()),
                (None, _) => return Err(lexer.expected(token, "end of input")),
                (Some(true), Token::Comma) => {
                    let next = lexer.token()?;
                    token = key(&mut lexer, next, "string", events)?;
                    break;
                }
                (Some(false), Token::Comma) => {
                    token = lexer.token()?;
                    break;
                }
                (Some(true), Token::ObjectEnd) | (Some(false), Token::ArrayEnd) => {
                    events.close();
                    open.pop();
                }
                (Some(true), _) => return Err(lexer.expected(token, "\",\" or \"}\"")),
                (Some(false), _) => return Err(lexer.expected(token, "\",\" or \"]\"")),
            }
        }
    }
}

/// Reads a key and its colon; answers the token after them.
fn key(
    lexer: &mut Lexer<'_>,
    token: Token,
    what: &str,
    events: &mut impl Events,
) -> Result<Token, SqlError> {
    if token != Token::String {
        return Err(lexer.expected(token, what));
    }
    events.key(lexer)?;
    match lexer.token()? {
        Token::Colon => lexer.token(),
        other => Err(lexer.expected(other, "\":\"")),
    }
}

#[cold]
fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .with_hint(format!("JSON may be nested {DEPTH_MAX} levels deep."))
}

struct Nothing;

impl Events for Nothing {
    fn scalar(&mut self, _: Token, _: &Lexer<'_>) -> Result<(), SqlError> {
        Ok(())
    }
    fn key(&mut self, _: &Lexer<'_>) -> Result<(), SqlError> {
        Ok(())
    }
    fn open(&mut self, _: Token) {}
    fn close(&mut self) {}
}

/// json_in: an error where the text is not JSON.
pub fn validate(text: &str) -> Result<(), SqlError> {
    walk(text, &mut Nothing)
}
