#![allow(clippy::unwrap_used)]

use super::*;
use crate::arbitrary::{key_type, value_of};
use crate::numeric::Numeric;
use arrow::datatypes::i256;
use proptest::prelude::*;
use std::cmp::Ordering;

/// What SQL's ORDER BY says of two keys of one shape.
fn sql_order(a: &[Value], b: &[Value], shape: &KeyShape) -> Ordering {
    a.iter()
        .zip(b)
        .zip(shape)
        .map(|((a, b), (_, descending))| match descending {
            true => b.compare(a),
            false => a.compare(b),
        })
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// A shape of 1 to 4 columns, and two keys of it that often share leading columns.
fn two_keys() -> impl Strategy<Value = (Vec<(DataType, bool)>, Vec<Value>, Vec<Value>)> {
    prop::collection::vec((key_type(), any::<bool>()), 1..5).prop_flat_map(|shape| {
        let values: Vec<_> = shape.iter().map(|(data_type, _)| value_of(data_type)).collect();
        let others: Vec<_> = shape.iter().map(|(data_type, _)| value_of(data_type)).collect();
        let shared = 0..=shape.len();
        (Just(shape), values, others, shared).prop_map(|(shape, a, mut b, shared)| {
            b[..shared].clone_from_slice(&a[..shared]);
            (shape, a, b)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_range_of_a_whole_key_has_one((shape, a, b) in two_keys()) {
        let (key, other) = (encode(&a, &shape).unwrap(), encode(&b, &shape).unwrap());
        for range in [single_range(key.clone()), prefix_range(key.clone())] {
            let has_end = range.end.is_some();
            prop_assert_eq!(sole_key(&range, &shape), has_end.then_some(&key[..]));
            prop_assert_eq!(range.contains(&other), key == other);
        }
        let (first, last) = if key < other { (key, other) } else { (other, key) };
        if first < last {
            let between = KeyRange { start: first, end: Some(last) };
            // Integers that follow one another: the range of the first key is what lies before the second.
            let is_one = between == prefix_range(between.start.clone());
            prop_assert_eq!(sole_key(&between, &shape).is_some(), is_one);
        }
        let prefix = prefix_range(encode_prefix(&a[..a.len() - 1], &shape).unwrap());
        for range in [prefix, KeyRange::all()] {
            prop_assert_eq!(sole_key(&range, &shape), None);
        }
    }

    #[test]
    fn stored_order_is_sql_order((shape, a, b) in two_keys()) {
        let (key_a, key_b) = (encode(&a, &shape).unwrap(), encode(&b, &shape).unwrap());
        prop_assert_eq!(key_a.cmp(&key_b), sql_order(&a, &b, &shape));
    }

    #[test]
    fn a_key_reads_back_as_its_values((shape, a, _) in two_keys()) {
        let key = encode(&a, &shape).unwrap();
        let read = decode(&key, &shape).unwrap();
        prop_assert_eq!(read.len(), a.len());
        for (read, given) in read.iter().zip(&a) {
            prop_assert!(read.same(given), "{:?} read as {:?}", given, read);
        }
    }

    #[test]
    fn skipping_columns_ends_where_reading_them_does((shape, a, _) in two_keys(), read in any::<u8>()) {
        let key = encode(&a, &shape).unwrap();
        let mut reader = KeyReader::new(&key);
        for (i, (data_type, descending)) in shape.iter().enumerate() {
            if read >> i & 1 == 1 {
                prop_assert!(reader.value(data_type, *descending).unwrap().same(&a[i]));
            } else {
                reader.skip(data_type, *descending).unwrap();
            }
        }
        prop_assert!(reader.finish().is_ok());
    }

    #[test]
    fn a_prefix_range_holds_exactly_the_keys_with_that_prefix(
        (shape, a, b) in two_keys(),
        columns in 0usize..4,
    ) {
        let columns = columns.min(shape.len());
        let range = prefix_range(encode_prefix(&a[..columns], &shape).unwrap());
        let shares = sql_order(&a[..columns], &b[..columns], &shape[..columns]).is_eq();
        prop_assert!(range.contains(&encode(&a, &shape).unwrap()));
        prop_assert_eq!(range.contains(&encode(&b, &shape).unwrap()), shares);
    }

    #[test]
    fn garbage_never_panics(
        shape in prop::collection::vec((key_type(), any::<bool>()), 1..4),
        garbage in prop::collection::vec(prop::sample::select(vec![0u8, 1, 0xfe, 0xff, 0x61]), 0..40),
    ) {
        let _ = decode(&garbage, &shape);
        let mut reader = KeyReader::new(&garbage);
        for (data_type, descending) in &shape {
            let _ = reader.skip(data_type, *descending);
        }
    }

    #[test]
    fn a_successor_is_the_first_string_above_the_prefix(prefix in prop::collection::vec(any::<u8>(), 0..6)) {
        match successor(&prefix) {
            Some(next) => {
                prop_assert!(next[..] > prefix[..]);
                let mut largest = prefix.clone();
                largest.extend_from_slice(&[0xff; 8]);
                prop_assert!(largest[..] < next[..]);
            }
            None => prop_assert!(prefix.iter().all(|byte| *byte == 0xff)),
        }
    }
}

#[test]
fn null_and_wrong_counts_are_refused() {
    let shape = [(DataType::Int4, false), (DataType::Text, false)];
    assert_eq!(encode(&[Value::Int4(1), Value::Null], &shape), Err(KeyError::Null(1)));
    assert_eq!(encode(&[Value::Int4(1)], &shape), Err(KeyError::Count { given: 1, columns: 2 }));
    let mismatch = encode(&[Value::Int8(1), Value::Text(String::new())], &shape);
    assert_eq!(mismatch, Err(KeyError::Mismatch(DataType::Int4)));
}

#[test]
fn types_that_cannot_be_keys_are_refused() {
    let wide = DataType::Numeric(None);
    let value = Value::Numeric(Numeric { unscaled: i256::ONE, scale: 0 });
    assert_eq!(encode(&[value], &[(wide.clone(), false)]), Err(KeyError::Mismatch(wide)));
    assert!(decode(b"x\0\x01", &[(DataType::Json, false)]).is_err());
}

#[test]
fn the_limit_counts_encoded_bytes() {
    let shape = [(DataType::Bytea, false)];
    let fits = Value::Bytea(vec![1; KEY_BYTES_MAX - 2].into());
    assert_eq!(encode(&[fits], &shape).unwrap().len(), KEY_BYTES_MAX);
    let zeros = Value::Bytea(vec![0; KEY_BYTES_MAX / 2].into());
    assert_eq!(encode(&[zeros], &shape), Err(KeyError::TooLarge { size: KEY_BYTES_MAX + 2 }));
}

#[test]
fn numerics_are_stored_at_the_columns_scale() {
    let shape = [(DataType::Numeric(Some((5, 2))), false)];
    let numeric = |text: &str| Value::Numeric(text.parse().unwrap());
    assert_eq!(encode(&[numeric("1.5")], &shape), encode(&[numeric("1.50")], &shape));
    let out_of_range = Err(KeyError::OutOfRange(shape[0].0.clone()));
    assert_eq!(encode(&[numeric("1.505")], &shape), out_of_range);
    assert_eq!(encode(&[numeric("1000")], &shape), out_of_range);
}

#[test]
fn text_without_zeros_is_borrowed_from_the_key() {
    let shape = [(DataType::Text, false), (DataType::Text, true)];
    let values = [Value::Text("abc".into()), Value::Text("def".into())];
    let key = encode(&values, &shape).unwrap();
    let mut reader = KeyReader::new(&key);
    let mut scratch = vec![9];
    assert_eq!(reader.read_bytes(false, &mut scratch).unwrap(), b"abc");
    assert_eq!(scratch, [9], "nothing was copied");
    assert_eq!(reader.read_bytes(true, &mut scratch).unwrap(), b"def");
}

#[test]
fn hidden_keys_ascend_whatever_the_clock_does() {
    let mut keys = HiddenKeys::new(0xaaaa_bbbb_cccc_dddd);
    let mut other = HiddenKeys::new(1);
    let clock = [5, 5, 4, -1, 6, 6].into_iter().chain(std::iter::repeat_n(6, 200_000));
    let taken: Vec<_> = clock.map(|now| keys.next(now)).collect();
    assert!(taken.is_sorted_by(|a, b| a < b));
    assert_eq!(taken[0], [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0xbb, 0xbb, 0xcc, 0xcc, 0xdd, 0xdd]);
    assert_eq!(taken[1][8..10], [0, 1]);
    assert_ne!(other.next(5), taken[0]);
}
