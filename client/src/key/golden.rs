//! The examples of docs/format-key.md. Keys are on disk: if one of these changes, so does the format.

#![allow(clippy::unwrap_used)]

use super::{HiddenKeys, encode};
use crate::types::DataType;
use crate::value::Value;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// True where the page shows these bytes on a line that starts with `label`.
fn documented(label: &str, bytes: &str) -> bool {
    let page = include_str!("../../../docs/format-key.md");
    let line = format!("{label} ");
    page.lines().any(|l| l.trim_start().starts_with(&line) && l.ends_with(&format!(" {bytes}")))
}

#[test]
fn the_worked_example() {
    let shape = [(DataType::Int8, false), (DataType::Text, false), (DataType::Timestamp, true)];
    let values = [Value::Int8(-2), Value::Text("a\u{1}".to_owned()), Value::Timestamp(1_000_000)];
    let key = hex(&encode(&values, &shape).unwrap());
    let parts = ["7f ff ff ff ff ff ff fe", "61 01 00 01", "7f ff ff ff ff f0 bd bf"];
    assert_eq!(key, parts.join(" "));
    let page = include_str!("../../../docs/format-key.md");
    for part in parts {
        assert!(page.lines().any(|line| line.starts_with(&format!("    {part} "))), "{part}");
    }
}

#[test]
fn each_type() {
    let numeric = Value::Numeric("1.5".parse().unwrap());
    let text = |text: &str| Value::Text(text.to_owned());
    let bytea = || Value::Bytea(vec![0x61, 0, 0xff].into());
    for (label, value, data_type, descending) in [
        ("smallint  -1", Value::Int2(-1), DataType::Int2, false),
        ("integer   1", Value::Int4(1), DataType::Int4, false),
        ("integer   1 DESC", Value::Int4(1), DataType::Int4, true),
        ("boolean   true DESC", Value::Bool(true), DataType::Bool, true),
        ("real      -1.5", Value::Float4(-1.5), DataType::Float4, false),
        ("double    0 and -0", Value::Float8(0.0), DataType::Float8, false),
        ("double    0 and -0", Value::Float8(-0.0), DataType::Float8, false),
        ("double    NaN", Value::Float8(-f64::NAN), DataType::Float8, false),
        ("numeric(5,2)  1.5", numeric, DataType::Numeric(Some((5, 2))), false),
        ("text      ''", text(""), DataType::Text, false),
        ("text      'é'", text("é"), DataType::Text, false),
        ("char(4)   'ab  '", text("ab  "), DataType::Char(4), false),
        (r"bytea     '\x6100ff'", bytea(), DataType::Bytea, false),
        (r"bytea     '\x6100ff' DESC", bytea(), DataType::Bytea, true),
        ("date      1969-12-31", Value::Date(-1), DataType::Date, false),
    ] {
        let key = hex(&encode(&[value], &[(data_type, descending)]).unwrap());
        assert!(documented(label, &key), "{label}: {key}");
    }
}

#[test]
fn hidden_keys() {
    let mut keys = HiddenKeys::new(3);
    let key = std::iter::repeat_with(|| keys.next(1)).nth(2).unwrap();
    assert!(documented("hidden    time 1, counter 2, frontend 3", &hex(&key)), "{}", hex(&key));
}
