//! The patterns of numbers, and what those of one picture ask for together.

use super::picture::{self, Node};
use crate::error::{SqlError, SqlState};

/// A pattern of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Comma,
    Point,
    Zero,
    Nine,
    Blank,
    LocalPoint,
    Scientific,
    Bare,
    Group,
    Currency,
    Minus,
    Plus,
    Brackets,
    Roman {
        lower: bool,
    },
    AnySign,
    LocalSign,
    Ordinal(picture::Ordinal),
    Shift,
    /// C and SP, which do nothing.
    Nothing,
}

const WORDS: &[(&str, Symbol)] = &[
    (",", Symbol::Comma),
    (".", Symbol::Point),
    ("0", Symbol::Zero),
    ("9", Symbol::Nine),
    ("B", Symbol::Blank),
    ("b", Symbol::Blank),
    ("C", Symbol::Nothing),
    ("c", Symbol::Nothing),
    ("D", Symbol::LocalPoint),
    ("d", Symbol::LocalPoint),
    ("EEEE", Symbol::Scientific),
    ("eeee", Symbol::Scientific),
    ("FM", Symbol::Bare),
    ("fm", Symbol::Bare),
    ("G", Symbol::Group),
    ("g", Symbol::Group),
    ("L", Symbol::Currency),
    ("l", Symbol::Currency),
    ("MI", Symbol::Minus),
    ("mi", Symbol::Minus),
    ("PL", Symbol::Plus),
    ("pl", Symbol::Plus),
    ("PR", Symbol::Brackets),
    ("pr", Symbol::Brackets),
    ("RN", Symbol::Roman { lower: false }),
    ("rn", Symbol::Roman { lower: true }),
    ("SG", Symbol::AnySign),
    ("sg", Symbol::AnySign),
    ("SP", Symbol::Nothing),
    ("sp", Symbol::Nothing),
    ("S", Symbol::LocalSign),
    ("s", Symbol::LocalSign),
    ("TH", Symbol::Ordinal(picture::Ordinal::Upper)),
    ("th", Symbol::Ordinal(picture::Ordinal::Lower)),
    ("V", Symbol::Shift),
    ("v", Symbol::Shift),
];

/// Where S writes the sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignPlace {
    /// Before the first digit. With it the digits before S: with all of them before it, S is behind the number.
    Before { digits_ahead: usize },
    /// Behind the last.
    Behind,
}

/// What the patterns of a picture ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Digits before the point.
    pub whole: usize,
    /// Digits behind it.
    pub fraction: usize,
    /// Digits that V moves the point by.
    pub shift: usize,
    pub has_shift: bool,
    pub has_point: bool,
    /// Digits before the first 0 that is before the point.
    pub zero_start: Option<usize>,
    /// Digits up to the last 0.
    pub zero_end: usize,
    pub blank: bool,
    pub bare: bool,
    pub sign: Option<SignPlace>,
    pub minus: bool,
    pub plus: bool,
    pub brackets: bool,
    pub roman: bool,
    pub scientific: bool,
}

/// Takes the picture of a number apart.
pub fn parse(text: &str) -> Result<(Vec<Node<Symbol>>, Shape), SqlError> {
    let nodes = picture::parse(text, WORDS, false);
    let mut shape = Shape::default();
    for node in &nodes {
        if let Node::Pattern(pattern) = node {
            shape.add(pattern.key)?;
        }
    }
    Ok((nodes, shape))
}

fn wrong(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Shape {
    fn add(&mut self, symbol: Symbol) -> Result<(), SqlError> {
        if self.scientific && symbol != Symbol::Scientific {
            return Err(wrong("\"EEEE\" must be the last pattern used"));
        }
        match symbol {
            Symbol::Nine | Symbol::Zero => self.add_digit(symbol)?,
            Symbol::Blank => self.blank |= self.whole == 0 && self.fraction == 0,
            Symbol::Point | Symbol::LocalPoint => {
                if self.has_point {
                    return Err(wrong("multiple decimal points"));
                }
                self.exclude_shift_and_point(self.has_shift)?;
                self.has_point = true;
            }
            Symbol::Shift => {
                self.exclude_shift_and_point(self.has_point)?;
                self.has_shift = true;
            }
            Symbol::Bare => self.bare = true,
            Symbol::LocalSign => self.add_local_sign()?,
            Symbol::Minus => {
                self.exclude_local_sign("MI")?;
                self.minus = true;
            }
            Symbol::Plus => {
                self.exclude_local_sign("PL")?;
                self.plus = true;
            }
            Symbol::AnySign => {
                self.exclude_local_sign("SG")?;
                (self.minus, self.plus) = (true, true);
            }
            Symbol::Brackets => {
                if self.sign.is_some() || self.plus || self.minus {
                    let others = "\"S\"/\"PL\"/\"MI\"/\"SG\"";
                    return Err(wrong(format!("cannot use \"PR\" and {others} together")));
                }
                self.brackets = true;
            }
            Symbol::Roman { .. } => self.roman = true,
            Symbol::Scientific => self.add_scientific()?,
            Symbol::Comma
            | Symbol::Group
            | Symbol::Currency
            | Symbol::Ordinal(_)
            | Symbol::Nothing => {}
        }
        Ok(())
    }

    fn add_digit(&mut self, symbol: Symbol) -> Result<(), SqlError> {
        let is_zero = symbol == Symbol::Zero;
        if self.brackets {
            let digit = if is_zero { 0 } else { 9 };
            return Err(wrong(format!("\"{digit}\" must be ahead of \"PR\"")));
        }
        if !is_zero && self.has_shift {
            self.shift += 1;
            return Ok(());
        }
        if is_zero && !self.has_point {
            self.zero_start.get_or_insert(self.whole);
        }
        match self.has_point {
            true => self.fraction += 1,
            false => self.whole += 1,
        }
        if is_zero {
            self.zero_end = self.whole + self.fraction;
        }
        Ok(())
    }

    fn add_local_sign(&mut self) -> Result<(), SqlError> {
        if self.sign.is_some() {
            return Err(wrong("cannot use \"S\" twice"));
        }
        if self.plus || self.minus || self.brackets {
            let others = "\"PL\"/\"MI\"/\"SG\"/\"PR\"";
            return Err(wrong(format!("cannot use \"S\" and {others} together")));
        }
        self.sign = Some(match self.has_point {
            true => SignPlace::Behind,
            false => SignPlace::Before { digits_ahead: self.whole },
        });
        Ok(())
    }

    fn add_scientific(&mut self) -> Result<(), SqlError> {
        if self.scientific {
            return Err(wrong("cannot use \"EEEE\" twice"));
        }
        let others = self.blank
            || self.bare
            || self.sign.is_some()
            || self.brackets
            || self.minus
            || self.plus
            || self.roman
            || self.has_shift;
        if others {
            return Err(wrong("\"EEEE\" is incompatible with other formats").with_detail(
                "\"EEEE\" may only be used together with digit and decimal point patterns.",
            ));
        }
        self.scientific = true;
        Ok(())
    }

    fn exclude_shift_and_point(&self, other: bool) -> Result<(), SqlError> {
        match other {
            true => Err(wrong("cannot use \"V\" and decimal point together")),
            false => Ok(()),
        }
    }

    fn exclude_local_sign(&self, name: &str) -> Result<(), SqlError> {
        match self.sign {
            Some(_) => Err(wrong(format!("cannot use \"S\" and \"{name}\" together"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(picture: &str) -> String {
        parse(picture).unwrap_err().message.clone()
    }

    #[test]
    fn counts_digits() {
        let (_, shape) = parse("S999,990.09").unwrap();
        assert_eq!((shape.whole, shape.fraction), (6, 2));
        assert_eq!((shape.zero_start, shape.zero_end), (Some(5), 7));
        assert_eq!(shape.sign, Some(SignPlace::Before { digits_ahead: 0 }));
        let (_, shape) = parse("99V999").unwrap();
        assert_eq!((shape.whole, shape.shift), (2, 3));
    }

    #[test]
    fn refuses_what_contradicts_itself() {
        assert_eq!(message("9.9.9"), "multiple decimal points");
        assert_eq!(message("S9S"), "cannot use \"S\" twice");
        assert_eq!(message("9PR9"), "\"9\" must be ahead of \"PR\"");
        assert_eq!(message("9.9V9"), "cannot use \"V\" and decimal point together");
        assert_eq!(message("9EEEE9"), "\"EEEE\" must be the last pattern used");
        assert_eq!(message("SGS"), "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        assert_eq!(message("FM9EEEE"), "\"EEEE\" is incompatible with other formats");
    }
}
