//! `uuid`: 32 hexadecimal digits, hyphens allowed after every fourth, braces around all.

use super::invalid;
use crate::error::SqlError;

/// uuid_in.
pub fn parse(text: &str) -> Result<[u8; 16], SqlError> {
    read(text.as_bytes()).ok_or_else(|| invalid::syntax("uuid", invalid::excerpt(text)))
}

fn read(mut text: &[u8]) -> Option<[u8; 16]> {
    let braces = text.first() == Some(&b'{');
    if braces {
        text = &text[1..];
    }
    let mut bytes = [0; 16];
    for (i, byte) in bytes.iter_mut().enumerate() {
        let [high, low, rest @ ..] = text else { return None };
        let digit = |b: &u8| char::from(*b).to_digit(16);
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
        text = match rest {
            [b'-', rest @ ..] if i % 2 == 1 && i < 15 => rest,
            rest => rest,
        };
    }
    match text {
        [b'}'] if braces => Some(bytes),
        [] if !braces => Some(bytes),
        _ => None,
    }
}

/// uuid_out.
pub fn write(bytes: &[u8; 16], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}
