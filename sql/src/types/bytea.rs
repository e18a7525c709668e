//! `bytea`: hexadecimal (`\x0aff`) and escape (`\012\377`) forms, both ways.

use crate::error::{SqlError, SqlState};
use crate::types::style::ByteaOutput;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// byteain: adds the bytes to `out`.
pub fn parse(text: &[u8], out: &mut Vec<u8>) -> Result<(), SqlError> {
    match text {
        [b'\\', b'x', hex @ ..] => parse_hex(hex, out),
        escaped => parse_escaped(escaped, out),
    }
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn parse_hex(mut hex: &[u8], out: &mut Vec<u8>) -> Result<(), SqlError> {
    out.reserve(hex.len() / 2);
    while let [first, rest @ ..] = hex {
        // White space may stand between bytes, not inside one.
        if matches!(first, b' ' | b'\n' | b'\t' | b'\r') {
            hex = rest;
            continue;
        }
        let high = nibble(*first).ok_or_else(|| bad_digit(hex))?;
        let [second, rest @ ..] = rest else {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "invalid hexadecimal data: odd number of digits",
            ));
        };
        let low = nibble(*second).ok_or_else(|| bad_digit(&hex[1..]))?;
        out.push(high << 4 | low);
        hex = rest;
    }
    Ok(())
}

#[cold]
fn bad_digit(at: &[u8]) -> SqlError {
    let text = String::from_utf8_lossy(&at[..at.len().min(4)]);
    let digit = text.chars().next().unwrap_or('?');
    SqlError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid hexadecimal digit: \"{digit}\""),
    )
}

fn parse_escaped(mut text: &[u8], out: &mut Vec<u8>) -> Result<(), SqlError> {
    out.reserve(text.len());
    while let Some(at) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        text = match &text[at + 1..] {
            [b'\\', rest @ ..] => {
                out.push(b'\\');
                rest
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
        };
    }
    out.extend_from_slice(text);
    Ok(())
}

/// byteaout.
pub fn write(bytes: &[u8], form: ByteaOutput, out: &mut Vec<u8>) {
    match form {
        ByteaOutput::Hex => {
            out.reserve(2 + 2 * bytes.len());
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                let pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                out.extend_from_slice(&pair);
            }
        }
        ByteaOutput::Escape => {
            for byte in bytes {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    b' '..=b'~' => out.push(*byte),
                    _ => {
                        let digits = [byte >> 6, byte >> 3 & 7, byte & 7].map(|d| d + b'0');
                        out.push(b'\\');
                        out.extend_from_slice(&digits);
                    }
                }
            }
        }
    }
}
