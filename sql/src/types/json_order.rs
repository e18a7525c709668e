//! How jsonb compares: text that compares, byte by byte, as the values do.
//!
//! PostgreSQL's order: null < string < number < false < true < array < object. Arrays compare by their number of
//! elements first and then element by element, objects by their number of pairs and then key, value, key, value …
//! in the order they are kept. A document that is a scalar is to it an array of one: it sorts after the empty
//! array and before any other, which is kept here although nobody asked for it.
//!
//! Numbers compare by value, so 1 and 1.0 have the same bytes: that is what `=` and GROUP BY go by, while the
//! value keeps its text.

use super::json_tree::{Json, Kind, normal};
use crate::error::SqlError;

const NULL: u8 = 1;
const STRING: u8 = 2;
const NUMBER: u8 = 3;
const FALSE: u8 = 4;
const TRUE: u8 = 5;
const ARRAY: u8 = 6;
const OBJECT: u8 = 7;

/// Of a whole document that is a scalar: between the empty array and the others.
const ONE_SCALAR: u8 = 2;
const EMPTY: u8 = 1;
const FILLED: u8 = 3;
const PAIRS: u8 = 4;

/// The key of a document: bytes as the first 256 characters, whose order in UTF-8 is theirs. DataFusion orders
/// windows by text, not by bytes.
pub fn key(text: &str) -> Result<String, SqlError> {
    let json = Json::parse(text)?;
    let mut out = Vec::with_capacity(text.len() + 8);
    out.push(match &json.kind {
        Kind::Array(items) if items.is_empty() => EMPTY,
        Kind::Array(_) => FILLED,
        Kind::Object(_) => PAIRS,
        _ => ONE_SCALAR,
    });
    write(&json, &mut out);
    Ok(out.into_iter().map(char::from).collect())
}

fn write(json: &Json, out: &mut Vec<u8>) {
    match &json.kind {
        Kind::Null => out.push(NULL),
        Kind::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Kind::String(text) => {
            out.push(STRING);
            string(text, out);
        }
        Kind::Number(digits) => {
            out.push(NUMBER);
            number(digits, out);
        }
        Kind::Array(items) => {
            out.push(ARRAY);
            out.extend((items.len() as u32).to_be_bytes());
            items.iter().for_each(|item| write(item, out));
        }
        Kind::Object(entries) => {
            let entries = normal(entries);
            out.push(OBJECT);
            out.extend((entries.len() as u32).to_be_bytes());
            for (key, value) in entries {
                string(key, out);
                write(value, out);
            }
        }
    }
}

/// jsonb has no zero byte in a string.
fn string(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes());
    out.push(0);
}

/// The sign, the place of the first digit, the digits; of negative numbers all bits turned.
fn number(written: &str, out: &mut Vec<u8>) {
    let (negative, digits) = match written.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, written),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let Some(first) = all.iter().position(|digit| *digit != b'0') else {
        return out.push(1);
    };
    let last = all.iter().rposition(|digit| *digit != b'0').unwrap_or(first);
    out.push(if negative { 0 } else { 2 });
    let start = out.len();
    // A numeric has fewer than 200,000 digits.
    let place = whole.len() as i32 - first as i32;
    out.extend((place as u32 ^ 1 << 31).to_be_bytes());
    out.extend(&all[first..=last]);
    out.push(0);
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_compare_as_values() {
        // In the order PostgreSQL 15 gives them.
        let ascending = [
            "[]",
            "null",
            r#""""#,
            r#""a""#,
            r#""a b""#,
            r#""b""#,
            "-100",
            "-10.5",
            "-10.25",
            "-0.001",
            "0",
            "0.001",
            "0.01",
            "1",
            "1.5",
            "9",
            "10",
            "false",
            "true",
            "[null]",
            r#"["x"]"#,
            "[1]",
            "[[]]",
            "[{}]",
            "[1, 2]",
            "[1, 3]",
            "{}",
            r#"{"aa": 1}"#,
            r#"{"b": 1}"#,
            r#"{"b": 2}"#,
            r#"{"a": 1, "b": 2}"#,
        ];
        let keys: Vec<_> = ascending.iter().map(|text| key(text).unwrap()).collect();
        for (at, pair) in keys.windows(2).enumerate() {
            assert!(pair[0] < pair[1], "{} {}", ascending[at], ascending[at + 1]);
        }
    }

    #[test]
    fn equal_values_have_equal_bytes() {
        for (a, b) in [
            ("1", "1.0"),
            ("0", "-0.00"),
            ("1e2", "100"),
            (r#"{"a": 1, "b": [2.50]}"#, r#"{"b": [2.5], "a": 3, "a": 1}"#),
        ] {
            assert_eq!(key(a).unwrap(), key(b).unwrap(), "{a} {b}");
        }
    }
}
