//! `jsonb`, held as text in one normal form: keys by length and then bytes, of equal keys the last, numbers
//! as `numeric` prints them, one blank after `:` and `,`. Equal values are equal texts, except that
//! numbers keep their trailing zeros, as in PostgreSQL.

use super::json::{self, Events, Lexer, Token};
use super::numeric::{FRACTION_DIGITS_MAX, WHOLE_DIGITS_MAX, overflow};
use crate::error::{SqlError, SqlState};
use std::ops::Range;

/// A value; its children follow it. Texts are ranges of [`Tape::text`].
#[derive(Debug)]
enum Node {
    Null,
    True,
    False,
    Number(Range<usize>),
    String(Range<usize>),
    /// Children up to this index.
    Array(usize),
    /// Keys (strings) and values in turn, up to this index.
    Object(usize),
}

/// A parsed document, flat.
#[derive(Debug, Default)]
struct Tape {
    nodes: Vec<Node>,
    text: String,
    open: Vec<usize>,
}

impl Events for Tape {
    fn scalar(&mut self, token: Token, lexer: &Lexer<'_>) -> Result<(), SqlError> {
        let start = self.text.len();
        let node = match token {
            Token::String => {
                unescape(lexer, &mut self.text)?;
                Node::String(start..self.text.len())
            }
            Token::Number => {
                canonical_number(lexer, &mut self.text)?;
                Node::Number(start..self.text.len())
            }
            Token::True => Node::True,
            Token::False => Node::False,
            _ => Node::Null,
        };
        self.nodes.push(node);
        Ok(())
    }

    fn key(&mut self, lexer: &Lexer<'_>) -> Result<(), SqlError> {
        self.scalar(Token::String, lexer)
    }

    fn open(&mut self, token: Token) {
        self.open.push(self.nodes.len());
        self.nodes.push(match token {
            Token::ObjectStart => Node::Object(0),
            _ => Node::Array(0),
        });
    }

    fn close(&mut self) {
        let next = self.nodes.len();
        if let Some(Node::Array(end) | Node::Object(end)) =
            self.open.pop().and_then(|at| self.nodes.get_mut(at))
        {
            *end = next;
        }
    }
}

/// A string token's text without quotes and escapes.
pub(super) fn unescape(lexer: &Lexer<'_>, out: &mut String) -> Result<(), SqlError> {
    let token = lexer.text();
    let mut rest = &token[1..token.len() - 1];
    let mut high: Option<u32> = None;
    while let Some(at) = rest.find('\\') {
        if at > 0 && high.is_some() {
            return Err(lonely_high(lexer));
        }
        out.push_str(&rest[..at]);
        let code = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        if code == b'u' {
            let unit = u32::from_str_radix(&rest[..4], 16).unwrap_or(0);
            rest = &rest[4..];
            high = push_unit(lexer, high, unit, out)?;
            continue;
        }
        if high.is_some() {
            return Err(lonely_high(lexer));
        }
        out.push(match code {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            other => char::from(other),
        });
    }
    if high.is_some() {
        return Err(lonely_high(lexer));
    }
    out.push_str(rest);
    Ok(())
}

/// Adds one `\u` unit; answers a high surrogate that waits for its low half.
fn push_unit(
    lexer: &Lexer<'_>,
    high: Option<u32>,
    unit: u32,
    out: &mut String,
) -> Result<Option<u32>, SqlError> {
    match (high, unit) {
        (None, 0xD800..=0xDBFF) => return Ok(Some(unit)),
        (Some(_), 0xD800..=0xDBFF) => {
            return Err(lexer.error("Unicode high surrogate must not follow a high surrogate."));
        }
        (Some(high), 0xDC00..=0xDFFF) => {
            let code = 0x10000 + ((high & 0x3FF) << 10) + (unit & 0x3FF);
            out.extend(char::from_u32(code));
        }
        (None, 0xDC00..=0xDFFF) => {
            return Err(lexer.error("Unicode low surrogate must follow a high surrogate."));
        }
        (Some(_), _) => return Err(lonely_high(lexer)),
        (None, 0) => {
            let state = SqlState::UNTRANSLATABLE_CHARACTER;
            return Err(lexer
                .place(state, "unsupported Unicode escape sequence")
                .with_detail("\\u0000 cannot be converted to text."));
        }
        (None, unit) => out.extend(char::from_u32(unit)),
    }
    Ok(None)
}

#[cold]
fn lonely_high(lexer: &Lexer<'_>) -> SqlError {
    lexer.error("Unicode low surrogate must follow a high surrogate.")
}

/// A number as numeric prints it: no exponent, no minus for zero, as many fraction digits as written.
pub(super) fn canonical_number(lexer: &Lexer<'_>, out: &mut String) -> Result<(), SqlError> {
    let token = lexer.text();
    let (negative, token) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    let (mantissa, power) = match token.find(['e', 'E']) {
        // A power that is too long for an i64 is too long for a numeric as well.
        Some(at) => (&token[..at], token[at + 1..].parse::<i64>().map_err(|_| overflow())?),
        None => (token, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole.as_bytes(), fraction.as_bytes()];
    let zero = digits.iter().all(|d| d.iter().all(|b| *b == b'0'));
    let point = (whole.len() as i64).saturating_add(power);
    let shown = (fraction.len() as i64).saturating_sub(power).max(0);
    if shown > FRACTION_DIGITS_MAX || (!zero && point > WHOLE_DIGITS_MAX) {
        return Err(overflow());
    }
    if negative && !zero {
        out.push('-');
    }
    let all = digits.concat();
    let digit_at =
        |i: i64| usize::try_from(i).ok().and_then(|i| all.get(i)).map_or('0', |b| char::from(*b));
    let first = all.iter().position(|b| *b != b'0').unwrap_or(all.len()) as i64;
    if zero || first >= point {
        out.push('0');
    } else {
        out.extend((first..point).map(digit_at));
    }
    if shown > 0 {
        out.push('.');
        match zero {
            true => out.extend((0..shown).map(|_| '0')),
            false => out.extend((point..point + shown).map(digit_at)),
        }
    }
    Ok(())
}

/// jsonb_in: adds the normal form to `out`.
pub fn normalize(text: &str, out: &mut String) -> Result<(), SqlError> {
    let mut tape = Tape::default();
    json::walk(text, &mut tape)?;
    out.reserve(text.len());
    tape.write(out);
    Ok(())
}

/// What is left to write of an open bracket.
enum Frame {
    Array {
        next: usize,
        end: usize,
        first: bool,
    },
    /// (key, value) nodes in reverse order: the next is the last.
    Object {
        entries: Vec<(usize, usize)>,
        first: bool,
    },
}

impl Tape {
    fn write(&self, out: &mut String) {
        let mut stack: Vec<Frame> = Vec::new();
        let mut node = 0;
        loop {
            match &self.nodes[node] {
                Node::Null => out.push_str("null"),
                Node::True => out.push_str("true"),
                Node::False => out.push_str("false"),
                Node::Number(range) => out.push_str(&self.text[range.clone()]),
                Node::String(range) => write_string(&self.text[range.clone()], out),
                Node::Array(end) => {
                    out.push('[');
                    stack.push(Frame::Array { next: node + 1, end: *end, first: true });
                }
                Node::Object(end) => {
                    out.push('{');
                    let entries = self.entries(node + 1, *end);
                    stack.push(Frame::Object { entries, first: true });
                }
            }
            match self.next_node(&mut stack, out) {
                Some(next) => node = next,
                None => return,
            }
        }
    }

    /// Closes brackets that are done; writes a comma and key; answers the next value to write.
    fn next_node(&self, stack: &mut Vec<Frame>, out: &mut String) -> Option<usize> {
        loop {
            match stack.last_mut()? {
                Frame::Array { next, end, first } => {
                    if next < end {
                        if !std::mem::replace(first, false) {
                            out.push_str(", ");
                        }
                        let value = *next;
                        *next = self.after(value);
                        return Some(value);
                    }
                    out.push(']');
                }
                Frame::Object { entries, first } => {
                    if let Some((key, value)) = entries.pop() {
                        if !std::mem::replace(first, false) {
                            out.push_str(", ");
                        }
                        write_string(self.key(key), out);
                        out.push_str(": ");
                        return Some(value);
                    }
                    out.push('}');
                }
            }
            stack.pop();
        }
    }

    fn after(&self, node: usize) -> usize {
        match &self.nodes[node] {
            Node::Array(end) | Node::Object(end) => *end,
            _ => node + 1,
        }
    }

    fn key(&self, node: usize) -> &str {
        match &self.nodes[node] {
            Node::String(range) => &self.text[range.clone()],
            _ => "",
        }
    }

    /// An object's entries without duplicates, last key first.
    fn entries(&self, start: usize, end: usize) -> Vec<(usize, usize)> {
        let mut entries = Vec::new();
        let mut at = start;
        while at < end {
            entries.push((at, at + 1));
            at = self.after(at + 1);
        }
        let order = |(key, _): &(usize, usize)| {
            let text = self.key(*key);
            (text.len(), text)
        };
        // Descending, and of equal keys the later first, which is the one that stays.
        entries.sort_by(|a, b| order(b).cmp(&order(a)).then(b.0.cmp(&a.0)));
        entries.dedup_by(|later, kept| self.key(later.0) == self.key(kept.0));
        entries
    }
}

/// escape_json.
pub fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|b| b < b' ' || b == b'"' || b == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => out.push_str(&format!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
