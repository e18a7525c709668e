//! hstore's own binary form, hstore_recv's: how many entries there are, then each one's key and value behind its length.
//!
//! Clients are told text for hstore and send that; those that have looked the type up send this, which begins with a zero
//! byte, as no text does. Of equal keys the first is kept, as the text form does.

use super::super::string;
use crate::error::{SqlError, SqlState};
use terrane_client::cell::map::in_order;
use terrane_client::value::Value;

/// True for this form.
pub fn is_own_form(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0)
}

/// Reads it.
pub fn receive(bytes: &[u8]) -> Result<Value, SqlError> {
    let mut rest = bytes;
    let count = int(&mut rest)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let key = text(&mut rest)?.ok_or_else(|| {
            SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null value not allowed for hstore key")
        })?;
        entries.push((key, text(&mut rest)?.unwrap_or(Value::Null)));
    }
    if !rest.is_empty() {
        return Err(malformed());
    }
    // Of equal keys the last is kept.
    entries.reverse();
    Ok(Value::Map(in_order(entries)))
}

fn text(rest: &mut &[u8]) -> Result<Option<Value>, SqlError> {
    let length = int(rest)?;
    if length < 0 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| malformed())?;
    let (text, after) = rest.split_at_checked(length).ok_or_else(malformed)?;
    *rest = after;
    Ok(Some(Value::Text(string::utf8(text)?.to_owned())))
}

fn int(rest: &mut &[u8]) -> Result<i32, SqlError> {
    let (int, after) = rest.split_first_chunk().ok_or_else(malformed)?;
    *rest = after;
    Ok(i32::from_be_bytes(*int))
}

fn malformed() -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, "incorrect binary data format")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_nothing_else() {
        let text = |text: &str| Value::Text(text.to_owned());
        let bytes =
            b"\0\0\0\x03\0\0\0\x01b\0\0\0\x012\0\0\0\x01a\xff\xff\xff\xff\0\0\0\x01b\0\0\0\x013";
        let read = receive(bytes).unwrap();
        assert!(is_own_form(bytes));
        let Value::Map(entries) = read else { panic!("a map") };
        let keys: Vec<String> =
            entries.iter().map(|(key, value)| format!("{key:?} {value:?}")).collect();
        let expected = [(text("a"), Value::Null), (text("b"), text("2"))];
        assert_eq!(keys, expected.map(|(key, value)| format!("{key:?} {value:?}")));
        assert!(receive(b"\0\0\0\0").is_ok() && receive(b"\0\0\0\0x").is_err());
        for end in 0..bytes.len() {
            assert!(receive(&bytes[..end]).is_err(), "{end}");
        }
        assert!(receive(b"\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }
}
