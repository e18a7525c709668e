//! `date`, `time`, `timestamp`, `timestamptz` and `interval`: PostgreSQL's text forms, in and out.
//!
//! The readers follow PostgreSQL's datetime.c step for step, because what it accepts is defined by what
//! it does: [`fields`] cuts text into numbers, words and zones, [`decode`] gives each a meaning from what
//! came before it. ISO forms, which are nearly all there is, are read by [`iso`] without that.
//!
//! | module | what it holds |
//! |---|---|
//! | [`calendar`] | days and civil dates |
//! | [`zone`] | time zones: names, abbreviations, offsets |
//! | [`iso`] | the fast readers of ISO forms |
//! | [`fields`] | text to fields |
//! | [`words`] | the words a date may have |
//! | [`scan`] | numbers inside a field |
//! | [`decode`] | fields to a date and time |
//! | [`input`] | the types' input functions |
//! | [`output`] | the types' output functions |
//! | [`interval`] | interval's input function |
//! | [`interval_output`] | interval's output function |
//! | [`infinity`] | the ends of time |

pub mod calendar;
pub mod decode;
pub mod fields;
pub mod infinity;
pub mod input;
pub mod interval;
pub mod interval_output;
pub mod iso;
pub mod output;
pub mod scan;
pub mod words;
pub mod zone;

use crate::error::{SqlError, SqlState};

/// Why a text is not a date, in datetime.c's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not the type's syntax: 22007.
    Format,
    /// A field out of its range: 22008.
    Field,
    /// A day or month out of range, perhaps because of DateStyle: 22008 with a hint.
    MonthDay,
    /// An interval out of range: 22015.
    Interval,
    /// A zone's displacement out of range: 22009.
    Displacement,
    /// Another error.
    Other(Box<SqlError>),
}

impl Fault {
    /// DateTimeParseError.
    #[cold]
    pub fn error(self, type_name: &str, text: &str) -> SqlError {
        let text = super::invalid::excerpt(text);
        let overflow = || {
            SqlError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date/time field value out of range: \"{text}\""),
            )
        };
        match self {
            Self::Format => SqlError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                format!("invalid input syntax for type {type_name}: \"{text}\""),
            ),
            Self::Field => overflow(),
            Self::MonthDay => {
                overflow().with_hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Self::Interval => SqlError::new(
                SqlState::INTERVAL_FIELD_OVERFLOW,
                format!("interval field value out of range: \"{text}\""),
            ),
            Self::Displacement => SqlError::new(
                SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
                format!("time zone displacement out of range: \"{text}\""),
            ),
            Self::Other(error) => *error,
        }
    }
}
