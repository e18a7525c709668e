//! encode() and decode(): bytes as text in hexadecimal, in base64, or escaped.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use terrane_client::value::Value;

/// Characters of a line of base64, as MIME has it.
const LINE_CHARS: usize = 76;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "encode",
        &[Overload::new(&[Kind::Of(oid::BYTEA), Kind::Text], oid::TEXT, encode)],
    ),
    Definition::new("decode", &[Overload::new(&[Kind::Text, Kind::Text], oid::BYTEA, decode)]),
];

/// The formats.
enum Encoding {
    Hex,
    Base64,
    Escape,
}

fn encoding(name: &str) -> Result<Encoding, SqlError> {
    match name.to_ascii_lowercase().as_str() {
        "hex" => Ok(Encoding::Hex),
        "base64" => Ok(Encoding::Base64),
        "escape" => Ok(Encoding::Escape),
        _ => Err(invalid(format!("unrecognized encoding: \"{name}\""))),
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

fn encode(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let bytes = args[0].bytes();
    let text = match encoding(args[1].text())? {
        Encoding::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Encoding::Base64 => in_lines(&STANDARD.encode(bytes)),
        Encoding::Escape => escaped(bytes),
    };
    Ok(text.into())
}

fn in_lines(base64: &str) -> String {
    let mut lines = String::with_capacity(base64.len() + base64.len() / LINE_CHARS);
    for (at, character) in base64.chars().enumerate() {
        if at > 0 && at % LINE_CHARS == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines
}

/// Zero and what is not ASCII in octal; the rest as it is.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            0 | 0x80.. => text.push_str(&format!("\\{byte:03o}")),
            b'\\' => text.push_str("\\\\"),
            byte => text.push(char::from(*byte)),
        }
    }
    text
}

fn decode(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let text = args[0].text();
    let bytes = match encoding(args[1].text())? {
        Encoding::Hex => of_hex(text)?,
        Encoding::Base64 => of_base64(text)?,
        Encoding::Escape => of_escaped(text)?,
    };
    Ok(Cell::Value(Value::Bytea(Bytes::from(bytes))))
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t' | '\r')
}

fn of_hex(text: &str) -> Result<Vec<u8>, SqlError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for character in text.chars().filter(|character| !is_space(*character)) {
        let digit = character
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or_else(|| invalid(format!("invalid hexadecimal digit: \"{character}\"")))?;
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(invalid("invalid hexadecimal data: odd number of digits".to_owned())),
    }
}

fn of_base64(text: &str) -> Result<Vec<u8>, SqlError> {
    let digits: String = text.chars().filter(|character| !is_space(*character)).collect();
    let is_digit =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=');
    if let Some(wrong) = digits.chars().find(|character| !is_digit(*character)) {
        let message = format!("invalid symbol \"{wrong}\" found while decoding base64 sequence");
        return Err(invalid(message));
    }
    STANDARD.decode(&digits).map_err(|_| {
        invalid("invalid base64 end sequence".to_owned())
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
    })
}

fn of_escaped(text: &str) -> Result<Vec<u8>, SqlError> {
    let wrong = || {
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => return Err(wrong()),
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}
