//! `varchar(n)` and `char(n)`: lengths are counted in characters, blanks past the end do not count.

use crate::error::{SqlError, SqlState};

/// varchar's input function: as it is where it fits; blanks past `limit` are cut off; else 22001.
pub fn varchar(text: &str, limit: Option<u32>) -> Result<&str, SqlError> {
    let Some(limit) = limit else { return Ok(text) };
    fit(text, limit).ok_or_else(|| too_long("character varying", limit))
}

/// char(n)'s input function: without trailing blanks, as it is stored (rule 39). Length 0 is a
/// `bpchar` without a limit.
pub fn bpchar(text: &str, length: u32) -> Result<&str, SqlError> {
    let bare = text.trim_end_matches(' ');
    match length {
        0 => Ok(bare),
        _ if bare.len() <= length as usize => Ok(bare),
        _ if bare.chars().count() <= length as usize => Ok(bare),
        _ => Err(too_long("character", length)),
    }
}

fn fit(text: &str, limit: u32) -> Option<&str> {
    let limit = limit as usize;
    if text.len() <= limit {
        return Some(text);
    }
    match text.char_indices().nth(limit) {
        None => Some(text),
        Some((at, _)) => text[at..].bytes().all(|b| b == b' ').then(|| &text[..at]),
    }
}

#[cold]
fn too_long(type_name: &str, limit: u32) -> SqlError {
    SqlError::new(
        SqlState::STRING_DATA_RIGHT_TRUNCATION,
        format!("value too long for type {type_name}({limit})"),
    )
}

/// An explicit cast's way: cut at the limit without an error.
pub fn truncate(text: &str, limit: u32) -> &str {
    match text.char_indices().nth(limit as usize) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// char(n)'s output: padded with blanks to its length.
pub fn write_bpchar(text: &str, length: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
    let count = if text.is_ascii() { text.len() } else { text.chars().count() };
    let missing = (length as usize).saturating_sub(count);
    out.extend(std::iter::repeat_n(b' ', missing));
}

/// Bytes as text: UTF-8 without NUL, else 22021.
pub fn utf8(bytes: &[u8]) -> Result<&str, SqlError> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let from = e.valid_up_to();
        let length = e.error_len().unwrap_or(bytes.len() - from);
        // PostgreSQL shows the whole sequence the first byte announces.
        let announced = match bytes[from] {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            _ => 1,
        };
        let to = (from + length.max(announced)).min(bytes.len());
        bad_sequence(&bytes[from..to])
    })?;
    match memchr::memchr(0, bytes) {
        Some(_) => Err(bad_sequence(&[0])),
        None => Ok(text),
    }
}

#[cold]
fn bad_sequence(bytes: &[u8]) -> SqlError {
    let hex: Vec<String> = bytes.iter().map(|b| format!("0x{b:02x}")).collect();
    SqlError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", hex.join(" ")),
    )
}
