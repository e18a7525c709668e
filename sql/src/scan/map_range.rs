//! A range of a map's keys, as EXPLAIN shows it: `[x, y)`.
//!
//! A range is of encoded keys, and its bounds are a key's encoding, or what comes next after all that start with one.
//! Where a bound is neither, it is shown in hexadecimal.

use crate::types::style::TextStyle;
use crate::types::text;
use std::fmt::Write;
use terrane_client::cell::map::decode_key;
use terrane_client::read::KeyRange;
use terrane_client::types::MapType;

/// The range in mathematicians' words.
pub fn shown(range: &KeyRange, of: &MapType) -> String {
    let start = match &range.start[..] {
        [] => "(".to_owned(),
        start => match bound(start, of) {
            (key, true) => format!("({key}"),
            (key, false) => format!("[{key}"),
        },
    };
    let end = match range.end.as_deref().map(|end| bound(end, of)) {
        None => ")".to_owned(),
        Some((key, true)) => format!("{key}]"),
        Some((key, false)) => format!("{key})"),
    };
    format!("{start}, {end}")
}

/// A key, and whether the bound is behind it.
fn bound(bytes: &[u8], of: &MapType) -> (String, bool) {
    let key = |bytes: &[u8]| {
        let key = decode_key(bytes, of).ok()?;
        Some(text::to_string(&key, of.key(), &TextStyle::default()))
    };
    if let Some(key) = key(bytes) {
        return (key, false);
    }
    // One key's range ends with a zero behind it, all that start with one where its last byte is one more.
    let (last, before) = bytes.split_last().map_or((0, bytes), |(last, before)| (*last, before));
    let followed = match last {
        0 => key(before),
        last => key(&[before, &[last - 1]].concat()),
    };
    match followed {
        Some(key) => (key, true),
        None => {
            let mut hexadecimal = String::from("\\x");
            for byte in bytes {
                // Writing to a String does not fail.
                let _ = write!(hexadecimal, "{byte:02x}");
            }
            (hexadecimal, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terrane_client::cell::map::encode_key;
    use terrane_client::key::{single_range, successor};
    use terrane_client::types::DataType;
    use terrane_client::value::Value;

    #[test]
    fn bounds_are_keys() {
        let of = MapType::hstore();
        let key =
            |text: &str| bytes::Bytes::from(encode_key(&Value::Text(text.into()), &of).unwrap());
        let range = |start, end| shown(&KeyRange { start, end }, &of);
        assert_eq!(range(key("x"), Some(key("y"))), "[x, y)");
        assert_eq!(range(successor(&key("x")).unwrap(), successor(&key("y"))), "(x, y]");
        assert_eq!(range(bytes::Bytes::new(), single_range(key("a")).end), "(, a]");
        assert_eq!(range(key(""), None), "[, )");
        assert_eq!(of.key(), &DataType::Text);
    }
}
