//! `boolean`: any unambiguous start of true, false, yes, no, on, off; or 1, 0.

use super::invalid;
use super::space::trim;
use crate::error::SqlError;

/// boolin.
pub fn parse(text: &str) -> Result<bool, SqlError> {
    let word = trim(text).as_bytes();
    let starts = |full: &str| {
        word.len() <= full.len() && full.as_bytes()[..word.len()].eq_ignore_ascii_case(word)
    };
    match word.first().map(u8::to_ascii_lowercase) {
        Some(b't') if starts("true") => Ok(true),
        Some(b'y') if starts("yes") => Ok(true),
        Some(b'f') if starts("false") => Ok(false),
        Some(b'n') if starts("no") => Ok(false),
        Some(b'o') if word.len() > 1 && starts("on") => Ok(true),
        Some(b'o') if word.len() > 1 && starts("off") => Ok(false),
        Some(b'1') if word.len() == 1 => Ok(true),
        Some(b'0') if word.len() == 1 => Ok(false),
        _ => Err(invalid::syntax("boolean", text)),
    }
}

/// boolout.
#[inline]
pub fn write(value: bool, out: &mut Vec<u8>) {
    out.push(if value { b't' } else { b'f' });
}
