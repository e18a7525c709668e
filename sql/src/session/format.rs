//! Text or binary: the format codes of Bind and RowDescription.

use crate::error::{SqlError, SqlState};
use std::sync::Arc;

/// How one value travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Code 0: the type's output function.
    Text,
    /// Code 1: the type's send function.
    Binary,
}

impl Format {
    /// The code on the wire.
    pub fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }
}

/// The formats of a list of values: one for all, or one each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formats {
    /// The same for all.
    All(Format),
    /// One each.
    Each(Arc<[Format]>),
}

impl Default for Formats {
    fn default() -> Self {
        Self::TEXT
    }
}

impl Formats {
    /// All text: a simple query's result.
    pub const TEXT: Formats = Formats::All(Format::Text);
    /// All binary.
    pub const BINARY: Formats = Formats::All(Format::Binary);

    /// From Bind's list of codes: none is all text, one is that for all.
    pub fn from_codes(codes: &[i16]) -> Result<Self, SqlError> {
        let format = |code: &i16| match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unsupported format code: {other}"),
            )),
        };
        match codes {
            [] => Ok(Self::TEXT),
            [one] => Ok(Self::All(format(one)?)),
            many => Ok(Self::Each(many.iter().map(format).collect::<Result<_, _>>()?)),
        }
    }

    /// The format of value `i`; text past the end of the list.
    pub fn of(&self, i: usize) -> Format {
        match self {
            Self::All(format) => *format,
            Self::Each(list) => list.get(i).copied().unwrap_or(Format::Text),
        }
    }

    /// How many were given, where there is one each.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::All(_) => None,
            Self::Each(list) => Some(list.len()),
        }
    }

    /// A session calls this in `bind` with the number of columns its statement answers.
    pub fn check_result(&self, columns: usize) -> Result<(), SqlError> {
        match self.count() {
            Some(n) if n != columns => Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!("bind message has {n} result formats but query has {columns} columns"),
            )),
            _ => Ok(()),
        }
    }
}
