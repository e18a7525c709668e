//! to_char() of numbers.
//!
//! As PostgreSQL's NUM_processor does: the number is rounded to the digits behind the point that the picture has, and
//! its digits then take the places of 9 and 0 one after the other. What has more digits before the point than the
//! picture is all #.

use super::digits::Digits;
use super::picture::Node;
use super::shape::{self, Shape, SignPlace, Symbol};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::Arg;
use terrane_client::value::Value;

/// Digits that a float4 and a float8 are sure of.
const FLOAT4_DIGITS: usize = 6;
const FLOAT8_DIGITS: usize = 15;
/// The width of a roman number.
const ROMAN_WIDTH: usize = 15;

pub(super) fn of_int4(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let value = args[0].int();
    written(args[1].text(), |shape| {
        Ok(match (shape.roman, shape.scientific) {
            (true, _) => Number::roman(value),
            (_, true) => Number::of_float_exponent(value as f64, shape),
            _ => Number::exact(&Digits::of_int(value), shape),
        })
    })
}

pub(super) fn of_int8(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let value = args[0].int();
    let digits = Digits::of_int(value);
    written(args[1].text(), |shape| {
        if shape.roman {
            let narrow = i32::try_from(value).map_err(|_| integer_overflow())?;
            return Ok(Number::roman(narrow.into()));
        }
        Ok(Number::of_digits(&digits, shape))
    })
}

pub(super) fn of_numeric(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Arg::Value(Value::Numeric(value)) = &args[0] else {
        return Err(SqlError::internal("to_char of no numeric"));
    };
    let digits = Digits::of_numeric(value);
    written(args[1].text(), |shape| {
        if shape.roman {
            let (negative, whole) = digits.rounded(0, 0);
            let whole: i32 = whole.parse().map_err(|_| integer_overflow())?;
            return Ok(Number::roman(if negative { 0 } else { whole.into() }));
        }
        Ok(Number::of_digits(&digits, shape))
    })
}

pub(super) fn of_float8(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let value = args[0].float();
    written(args[1].text(), |shape| {
        let shifted = value * 10_f64.powi(i32::try_from(shape.shift).unwrap_or(i32::MAX));
        Ok(Number::of_float(value, shifted, FLOAT8_DIGITS, shape))
    })
}

pub(super) fn of_float4(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Arg::Value(Value::Float4(value)) = args[0] else {
        return Err(SqlError::internal("to_char of no real"));
    };
    written(args[1].text(), |shape| {
        let power = 10_f64.powi(i32::try_from(shape.shift).unwrap_or(i32::MAX));
        let shifted = f64::from(value * power as f32);
        Ok(Number::of_float(value.into(), shifted, FLOAT4_DIGITS, shape))
    })
}

fn integer_overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")
}

fn written(
    picture: &str,
    number: impl FnOnce(&mut Shape) -> Result<Number, SqlError>,
) -> Result<Cell<'static>, SqlError> {
    let (nodes, mut shape) = shape::parse(picture)?;
    let number = number(&mut shape)?;
    if shape.scientific {
        return Ok(number.text.into());
    }
    Ok(Writer::new(shape, number).write(&nodes)?.into())
}

/// A number as it goes into a picture.
struct Number {
    /// Its digits, with the point; all # where they are too many.
    text: String,
    /// '+', '-', or none for roman numbers.
    sign: Option<char>,
    /// Places before the first digit.
    places_before: usize,
}

impl Number {
    fn of_digits(digits: &Digits, shape: &mut Shape) -> Self {
        match shape.scientific {
            true => {
                let text = digits.scientific(shape.fraction);
                let blank = if text.starts_with('-') { "" } else { " " };
                Self { text: format!("{blank}{text}"), sign: None, places_before: 0 }
            }
            false => Self::exact(digits, shape),
        }
    }

    fn exact(digits: &Digits, shape: &mut Shape) -> Self {
        let (negative, text) = digits.rounded(shape.shift, shape.fraction);
        Self::fitted(negative, text, shape)
    }

    /// With the digits before the point that the picture has.
    fn fitted(negative: bool, text: String, shape: &mut Shape) -> Self {
        shape.whole += shape.shift;
        let length = text.find('.').unwrap_or(text.len());
        let text = match length > shape.whole {
            true => {
                let (whole, fraction) = ("#".repeat(shape.whole), "#".repeat(shape.fraction));
                format!("{whole}.{fraction}")
            }
            false => text,
        };
        let places_before = shape.whole.saturating_sub(length);
        Self { text, sign: Some(if negative { '-' } else { '+' }), places_before }
    }

    fn of_float(value: f64, shifted: f64, digits: usize, shape: &mut Shape) -> Self {
        if shape.roman {
            return Self::roman(value.round_ties_even() as i64);
        }
        if shape.scientific {
            return Self::of_float_exponent(value, shape);
        }
        let fixed = |value: f64, fraction: usize| match value.is_infinite() {
            true => if value < 0.0 { "-Infinity" } else { "Infinity" }.to_owned(),
            false => format!("{value:.fraction$}"),
        };
        // No more digits than the type is sure of.
        let whole = fixed(shifted.abs(), 0).len();
        shape.fraction = shape.fraction.min(digits.saturating_sub(whole));
        let text = fixed(shifted, shape.fraction);
        match text.strip_prefix('-') {
            Some(text) => Self::fitted(true, text.to_owned(), shape),
            None => Self::fitted(false, text, shape),
        }
    }

    fn of_float_exponent(value: f64, shape: &Shape) -> Self {
        let text = match value.is_finite() {
            true => {
                let text = format!("{value:.*e}", shape.fraction);
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (direction, exponent) = match exponent.strip_prefix('-') {
                    Some(exponent) => ('-', exponent),
                    None => ('+', exponent),
                };
                let blank = if digits.starts_with('-') { "" } else { " " };
                format!("{blank}{digits}e{direction}{exponent:0>2}")
            }
            // The digits, the point and the exponent's places.
            false => {
                let mut text = "#".repeat(shape.whole + shape.fraction + 6);
                text.replace_range(..1, " ");
                text.replace_range(shape.whole + 1..shape.whole + 2, ".");
                text
            }
        };
        Self { text, sign: None, places_before: 0 }
    }

    /// From 1 to 3999.
    fn roman(value: i64) -> Self {
        const DIGITS: [(i64, &str); 13] = [
            (1000, "M"),
            (900, "CM"),
            (500, "D"),
            (400, "CD"),
            (100, "C"),
            (90, "XC"),
            (50, "L"),
            (40, "XL"),
            (10, "X"),
            (9, "IX"),
            (5, "V"),
            (4, "IV"),
            (1, "I"),
        ];
        let mut text = String::new();
        if (1..4000).contains(&value) {
            let mut rest = value;
            for (worth, digits) in DIGITS {
                while rest >= worth {
                    text.push_str(digits);
                    rest -= worth;
                }
            }
        } else {
            text = "#".repeat(ROMAN_WIDTH);
        }
        Self { text, sign: None, places_before: 0 }
    }
}

/// Writes a number into its picture.
struct Writer {
    shape: Shape,
    number: Number,
    /// The next of the number's characters.
    at: usize,
    /// The place of the picture.
    place: usize,
    /// The place before which the number ends, but for its point and the places before it.
    end: usize,
    sign_is_written: bool,
    sign_behind: bool,
    /// The last digit was one of the number.
    inside: bool,
    /// With FM, the last digit behind the point that is not zero, or is asked for by 0; the point, where there is none.
    relevant: Option<usize>,
    out: String,
    /// Where the number had no digit for a place: what follows is dropped.
    cut: Option<usize>,
}

impl Writer {
    fn new(mut shape: Shape, number: Number) -> Self {
        if shape.roman {
            shape = Shape { bare: shape.bare, roman: true, ..Shape::default() };
        }
        let positive = number.sign == Some('+');
        let sign_is_written = match shape.plus || shape.minus {
            true => shape.minus,
            false => positive && shape.bare && shape.sign.is_none(),
        };
        shape.brackets &= !(positive && shape.bare);
        let sign_behind = match shape.sign {
            Some(SignPlace::Before { digits_ahead }) => digits_ahead == shape.whole,
            Some(SignPlace::Behind) => true,
            None => false,
        };
        let relevant = (shape.bare && shape.has_point)
            .then(|| relevant(&number.text))
            .flatten()
            .map(|at| at.max(shape.zero_end.saturating_sub(number.places_before)));
        let one_more = !sign_is_written && number.places_before == 0;
        let end = shape.whole + shape.fraction + usize::from(one_more);
        Self {
            shape,
            number,
            at: 0,
            place: 0,
            end,
            sign_is_written,
            sign_behind,
            inside: false,
            relevant,
            out: String::new(),
            cut: None,
        }
    }

    fn write(mut self, nodes: &[Node<Symbol>]) -> Result<String, SqlError> {
        for node in nodes {
            match node {
                Node::Pattern(pattern) => self.symbol(pattern.key)?,
                Node::Separator(c) | Node::Space(c) | Node::Text(c) => self.out.push(*c),
            }
        }
        if let Some(cut) = self.cut {
            self.out.truncate(cut);
        }
        Ok(self.out)
    }

    fn symbol(&mut self, symbol: Symbol) -> Result<(), SqlError> {
        let negative = self.number.sign == Some('-');
        match symbol {
            Symbol::Nine | Symbol::Zero | Symbol::Point | Symbol::LocalPoint => {
                if !self.shape.roman {
                    self.digit(symbol);
                }
            }
            Symbol::Comma | Symbol::Group if self.inside => self.out.push(','),
            Symbol::Comma | Symbol::Group => self.pad(),
            Symbol::Currency => self.out.push(' '),
            Symbol::Roman { lower } => {
                let text = match lower {
                    true => self.number.text.to_lowercase(),
                    false => self.number.text.clone(),
                };
                let width = if self.shape.bare { 0 } else { ROMAN_WIDTH };
                self.out.push_str(&format!("{text:>width$}"));
            }
            Symbol::Ordinal(ordinal) => {
                let text = &self.number.text;
                if self.shape.roman || text.starts_with('#') || negative || self.shape.has_point {
                    return Ok(());
                }
                if !text.ends_with(|c: char| c.is_ascii_digit()) {
                    let message = format!("\"{text}\" is not a number");
                    return Err(SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message));
                }
                self.out.push_str(ordinal.ending(text));
            }
            Symbol::Minus if negative => self.out.push('-'),
            Symbol::Plus if self.number.sign == Some('+') => self.out.push('+'),
            Symbol::Minus | Symbol::Plus => self.pad(),
            Symbol::AnySign => self.out.extend(self.number.sign),
            // The sign of S and PR is the first digit's and the last's.
            Symbol::LocalSign
            | Symbol::Brackets
            | Symbol::Blank
            | Symbol::Bare
            | Symbol::Shift
            | Symbol::Scientific
            | Symbol::Nothing => {}
        }
        Ok(())
    }

    /// A blank, but with FM.
    fn pad(&mut self) {
        if !self.shape.bare {
            self.out.push(' ');
        }
    }

    /// The next of the number's characters.
    fn next(&self) -> Option<char> {
        self.number.text.as_bytes().get(self.at).map(|byte| char::from(*byte))
    }

    /// True where FM drops all digits behind the point.
    fn is_whole(&self) -> bool {
        self.relevant.is_some_and(|at| self.number.text.as_bytes().get(at) == Some(&b'.'))
    }

    /// True for the zero of 0.1, which 9 does not write.
    fn is_unwritten_zero(&self) -> bool {
        self.shape.zero_start.is_none()
            && self.at == 0
            && self.next() == Some('0')
            && self.shape.fraction != 0
    }

    /// A place of the number: a blank, a zero, the point or a digit, with the signs that go with the first and the last.
    fn digit(&mut self, symbol: Symbol) {
        self.inside = false;
        let before = self.place < self.number.places_before;
        let zero_here = self.shape.zero_start == Some(self.place);
        if !self.sign_is_written
            && (!before || zero_here)
            && (!self.is_unwritten_zero() || self.is_whole())
        {
            self.first_sign();
        }
        let zeros = self.shape.zero_start.is_some_and(|start| start <= self.place);
        match (before, zeros) {
            (true, false) => self.pad(),
            (true, true) => {
                self.out.push('0');
                self.inside = true;
            }
            (false, _) => self.number_digit(symbol),
        }
        let extra = usize::from(self.number.places_before > 0) + usize::from(self.shape.has_point);
        let is_last = match self.relevant {
            // Nothing of the number is written behind this.
            Some(relevant) if relevant == self.at => false,
            _ => self.place + 2 == self.end + extra,
        };
        if is_last {
            self.last_sign();
        }
        self.place += 1;
    }

    fn number_digit(&mut self, symbol: Symbol) {
        match self.next() {
            Some('.') => {
                if !self.is_whole() || self.shape.bare {
                    self.out.push('.');
                }
            }
            _ if symbol != Symbol::Zero && self.relevant.is_some_and(|at| self.at > at) => {}
            Some(_) if self.is_unwritten_zero() => match self.shape.bare {
                false => self.out.push(' '),
                true if self.is_whole() => self.out.push('0'),
                true => {}
            },
            Some(digit) => {
                self.out.push(digit);
                self.inside = true;
            }
            None => {
                self.cut.get_or_insert(self.out.len());
                self.inside = true;
            }
        }
        if self.next().is_some() {
            self.at += 1;
        }
    }

    fn first_sign(&mut self) {
        let positive = self.number.sign == Some('+');
        match self.number.sign {
            sign if self.shape.sign.is_some() => {
                if self.sign_behind {
                    return;
                }
                self.out.extend(sign);
            }
            _ if self.shape.brackets => self.out.push(if positive { ' ' } else { '<' }),
            Some('+') => self.pad(),
            sign => self.out.extend(sign),
        }
        self.sign_is_written = true;
    }

    fn last_sign(&mut self) {
        let positive = self.number.sign == Some('+');
        if self.sign_is_written && self.shape.brackets {
            self.out.push(if positive { ' ' } else { '>' });
        } else if self.shape.sign.is_some() && self.sign_behind {
            self.out.extend(self.number.sign);
        }
    }
}

/// The last digit behind the point that is not zero, else the point.
fn relevant(number: &str) -> Option<usize> {
    let point = number.find('.')?;
    let digits = number[point + 1..].trim_end_matches('0');
    Some(point + digits.len())
}
