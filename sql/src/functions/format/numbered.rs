//! to_number()
//!
//! As PostgreSQL does: 9, 0 and the point each take one character where it is a digit or a point; text in the picture
//! takes as many characters away, whatever they are; other patterns take what they would write.

use super::picture::Node;
use super::shape::{self, Shape, SignPlace, Symbol};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::SqlError;
use crate::functions::system::function::Arg;
use crate::types::numeric;
use terrane_client::value::Value;

/// NULL where the picture is empty.
pub(super) fn to_number(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (text, picture) = (args[0].text(), args[1].text());
    if picture.is_empty() {
        return Ok(Cell::Null);
    }
    let number = read(text, picture)?;
    Ok(Cell::Value(Value::Numeric(numeric::parse(&number, None)?)))
}

/// The number in numeric's text form.
fn read(text: &str, picture: &str) -> Result<String, SqlError> {
    let (nodes, shape) = shape::parse(picture)?;
    if shape.scientific {
        return Err(SqlError::unsupported("\"EEEE\" not supported for input"));
    }
    if shape.roman {
        return Err(SqlError::unsupported("\"RN\" not supported for input"));
    }
    let shift = shape.shift;
    let mut reader = Reader {
        shape,
        text: text.chars().collect(),
        at: 0,
        sign: None,
        number: String::new(),
        has_point: false,
        fraction: 0,
    };
    for node in &nodes {
        if reader.next().is_none() {
            break;
        }
        match node {
            Node::Pattern(pattern) => reader.symbol(pattern.key),
            _ => reader.at += 1,
        }
    }
    let sign = reader.sign.unwrap_or(' ');
    let number = reader.number.strip_suffix('.').unwrap_or(&reader.number);
    let power = if shift > 0 && !number.is_empty() { format!("e-{shift}") } else { String::new() };
    Ok(format!("{sign}{number}{power}"))
}

struct Reader {
    shape: Shape,
    text: Vec<char>,
    at: usize,
    sign: Option<char>,
    /// Its digits and its point.
    number: String,
    has_point: bool,
    /// Digits behind the point.
    fraction: usize,
}

impl Reader {
    fn next(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn symbol(&mut self, symbol: Symbol) {
        match symbol {
            Symbol::Nine | Symbol::Zero | Symbol::Point | Symbol::LocalPoint => {
                self.digit(symbol);
                self.at += 1;
            }
            // With FM no group is expected.
            Symbol::Comma | Symbol::Group => {
                if !self.shape.bare && self.next() == Some(',') {
                    self.at += 1;
                }
            }
            Symbol::Currency => self.skip(1),
            Symbol::Ordinal(_) => {
                if !self.shape.has_point {
                    self.skip(2);
                }
            }
            Symbol::Minus => self.sign_or_skip(&['-']),
            Symbol::Plus => self.sign_or_skip(&['+']),
            Symbol::AnySign => self.sign_or_skip(&['-', '+']),
            Symbol::LocalSign
            | Symbol::Brackets
            | Symbol::Blank
            | Symbol::Bare
            | Symbol::Shift
            | Symbol::Scientific
            | Symbol::Roman { .. }
            | Symbol::Nothing => {}
        }
    }

    /// Passes over characters that no number has.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            match self.next() {
                Some(c) if !matches!(c, '0'..='9' | '.' | ',' | '+' | '-') => self.at += 1,
                _ => break,
            }
        }
    }

    fn sign_or_skip(&mut self, signs: &[char]) {
        match self.next().filter(|c| signs.contains(c)) {
            Some(sign) => {
                self.sign = Some(sign);
                self.at += 1;
            }
            None => self.skip(1),
        }
    }

    /// A sign before the number, a digit or the point, and a sign behind it. It ends at the last character it took.
    fn digit(&mut self, symbol: Symbol) {
        if self.next() == Some(' ') {
            self.at += 1;
        }
        let is_first = self.number.chars().all(|c| c == '.');
        if self.sign.is_none()
            && is_first
            && matches!(symbol, Symbol::Nine | Symbol::Zero)
            && let Some(c) = self.next()
        {
            let signed = match self.shape.sign {
                Some(SignPlace::Before { .. }) => matches!(c, '-' | '+').then_some(c),
                _ if c == '<' && self.shape.brackets => Some('-'),
                _ => matches!(c, '-' | '+').then_some(c),
            };
            self.sign = signed;
            self.at += usize::from(signed.is_some());
        }
        let Some(c) = self.next() else { return };
        let mut is_read = false;
        if c.is_ascii_digit() {
            if self.has_point && self.fraction == self.shape.fraction {
                return;
            }
            self.number.push(c);
            self.fraction += usize::from(self.has_point);
            is_read = true;
        } else if c == '.' && self.shape.has_point && !self.has_point {
            self.number.push('.');
            self.has_point = true;
            is_read = true;
        }
        let has_digits = self.number.chars().any(|c| c != '.');
        if self.sign.is_none() && has_digits {
            self.sign_behind(is_read);
        }
    }

    fn sign_behind(&mut self, is_read: bool) {
        let is_sign = |c: &char| matches!(c, '-' | '+');
        if self.shape.sign.is_some() {
            // S follows the last digit at once.
            let next = self.text.get(self.at + 1).copied().filter(|_| is_read);
            if let Some(sign) = next.filter(is_sign) {
                self.sign = Some(sign);
                self.at += 1;
            }
        } else if !is_read && (self.shape.plus || self.shape.minus) {
            self.sign = self.next().filter(is_sign);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn reads_what_a_picture_writes() {
        for (text, picture, wanted) in [
            ("-34,338,492", "99G999G999", "-34338492"),
            ("-34,338,492.654,878", "99G999G999D999G999", "-34338492.654878"),
            ("<564646.654564>", "999999.999999PR", "-564646.654564"),
            ("0.00001-", "9.999999S", "-0.00001"),
            ("5.01-", "FM9.999999S", "-5.01"),
            ("5.01-", "FM9.999999MI", "-5.01"),
            ("5 4 4 4 4 8 . 7 8", "9 9 9 9 9 9 . 9 9", " 544448.78"),
            (".01", "FM9.99", " .01"),
            ("123.45", "999V99", " 1234e-2"),
            ("$1,234.56", "L99,999.99", " 1234.56"),
        ] {
            let read = read(text, picture).unwrap();
            assert_eq!(read, wanted, "{text} by {picture}");
        }
    }
}
