//! Keys of map entries.

use crate::ids::ColumnId;
use crate::key::{HIDDEN_KEY_BYTES, KeyReader, KeyShape, prefix_range, successor};
use crate::read::KeyRange;
use bytes::Bytes;

const COLUMN_BYTES: usize = 4;

/// What the keys of all entries of one map start with.
pub fn entry_prefix(row_key: &[u8], column: ColumnId) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(row_key.len() + COLUMN_BYTES + 16);
    prefix.extend_from_slice(row_key);
    prefix.extend_from_slice(&column.0.to_be_bytes());
    prefix
}

/// The key of one entry.
pub fn entry_key(row_key: &[u8], column: ColumnId, map_key: &[u8]) -> Vec<u8> {
    let mut key = entry_prefix(row_key, column);
    key.extend_from_slice(map_key);
    key
}

/// The entries of one map.
pub fn entries_of(row_key: &[u8], column: ColumnId) -> KeyRange {
    prefix_range(entry_prefix(row_key, column).into())
}

/// The entries of one map whose map keys are in a range.
pub fn entries_in(row_key: &[u8], column: ColumnId, map_keys: &KeyRange) -> KeyRange {
    let all = entries_of(row_key, column);
    let within = |bound: &Bytes| Bytes::from(entry_key(row_key, column, bound));
    KeyRange { start: within(&map_keys.start), end: map_keys.end.as_ref().map(within).or(all.end) }
}

/// How long the row key at the start of an entry's key, or of any longer byte string, is. `None` where no whole row key
/// is there.
pub fn row_key_length(bytes: &[u8], shape: &KeyShape) -> Option<usize> {
    if shape.is_empty() {
        return (bytes.len() >= HIDDEN_KEY_BYTES).then_some(HIDDEN_KEY_BYTES);
    }
    let mut reader = KeyReader::new(bytes);
    for (data_type, descending) in shape {
        reader.skip(data_type, *descending).ok()?;
    }
    Some(reader.offset())
}

/// The entries of the rows of a range. A bound that is longer than a row key, as the first key after a row's is,
/// has that row's entries before it.
pub fn entries_of_rows(rows: &KeyRange, shape: &KeyShape) -> KeyRange {
    let bound = |bound: &Bytes| match row_key_length(bound, shape) {
        Some(length) if length < bound.len() => successor(&bound[..length]),
        _ => Some(bound.clone()),
    };
    KeyRange {
        // A start above every entry: nothing is in the range.
        start: bound(&rows.start).unwrap_or_else(|| vec![0xff; rows.start.len() + 1].into()),
        end: rows.end.as_ref().and_then(bound),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{encode, single_range};
    use crate::types::DataType;
    use crate::value::Value;

    const COLUMN: ColumnId = ColumnId(3);

    fn row(text: &str) -> Bytes {
        encode(&[Value::Text(text.to_owned())], &shape()).unwrap()
    }

    fn shape() -> Vec<(DataType, bool)> {
        vec![(DataType::Text, false)]
    }

    #[test]
    fn entries_of_a_row_lie_between_its_neighbours() {
        let rows = [row("a"), row("a\0"), row("ab"), row("b")];
        assert!(rows.is_sorted());
        let ranges: Vec<KeyRange> = rows.iter().map(|row| entries_of(row, COLUMN)).collect();
        for pair in ranges.windows(2) {
            assert!(*pair[0].end.as_ref().unwrap() <= pair[1].start);
        }
        // A tablet that begins at a row has its entries.
        assert!(ranges.iter().zip(&rows).all(|(range, row)| range.start >= *row));
    }

    #[test]
    fn one_row_as_a_range_is_all_its_entries_and_no_others() {
        let single = entries_of_rows(&single_range(row("a")), &shape());
        for (other, is_in) in [("a", true), ("a\0", false), ("ab", false), ("Z", false)] {
            for map_key in [&b""[..], b"k", &[0xff; 8]] {
                let key = entry_key(&row(other), COLUMN, map_key);
                assert_eq!(single.contains(&key), is_in, "{other}");
                assert_eq!(row_key_length(&key, &shape()), Some(row(other).len()));
            }
        }
        let hidden = Bytes::from_static(&[0xff; 16]);
        let single = entries_of_rows(&single_range(hidden.clone()), &[]);
        assert!(single.contains(&entry_key(&hidden, COLUMN, b"k")));
    }

    #[test]
    fn bounds_that_are_rows_stay() {
        let range = KeyRange { start: row("a"), end: Some(row("b")) };
        assert_eq!(entries_of_rows(&range, &shape()), range);
        assert_eq!(entries_of_rows(&KeyRange::all(), &shape()), KeyRange::all());
    }

    #[test]
    fn a_range_of_map_keys_is_a_range_of_entries() {
        let keys = KeyRange { start: "b".into(), end: Some("d".into()) };
        let range = entries_in(&row("r"), COLUMN, &keys);
        let inside = |key: &[u8]| range.contains(&entry_key(&row("r"), COLUMN, key));
        assert!(inside(b"b") && inside(b"cz") && !inside(b"a") && !inside(b"d"));
        let open = entries_in(&row("r"), COLUMN, &KeyRange { start: "b".into(), end: None });
        assert!(open.contains(&entry_key(&row("r"), COLUMN, &[0xff; 20])));
        assert!(!open.contains(&entry_key(&row("s"), COLUMN, b"b")));
    }
}
