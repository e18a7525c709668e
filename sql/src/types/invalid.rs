//! The errors of input functions, in PostgreSQL's words: drivers and tests match on them.

use crate::error::{SqlError, SqlState};

/// `invalid input syntax for type integer: "x"`
#[cold]
pub fn syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// `value "99999999999" is out of range for type integer`
#[cold]
pub fn value_range(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}

/// `integer out of range`
#[cold]
pub fn range(type_name: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
}

/// `incorrect binary data format`
#[cold]
pub fn binary() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

/// Text of a value as it may stand in a message: long ones cut, on a character boundary.
pub fn excerpt(text: &str) -> &str {
    const BYTES_MAX: usize = 1000;
    &text[..text.floor_char_boundary(BYTES_MAX)]
}
