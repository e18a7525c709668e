#![allow(clippy::unwrap_used)]

use super::*;
use crate::arbitrary::{any_type, value_of};
use proptest::prelude::*;

fn typed_value() -> impl Strategy<Value = (DataType, Value)> {
    any_type().prop_flat_map(|data_type| {
        let value = value_of(&data_type);
        (Just(data_type), value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_value_reads_back((data_type, value) in typed_value()) {
        let bytes = encoded(&value, &data_type).unwrap().unwrap();
        prop_assert!(decode(&bytes, &data_type).unwrap().same(&value));
        prop_assert!(fits_width(bytes.len(), &data_type));
    }

    #[test]
    fn cut_or_damaged_cells_never_panic(
        (data_type, value) in typed_value(),
        cut in 0usize..64,
        flip in any::<(usize, u8)>(),
    ) {
        let mut bytes = encoded(&value, &data_type).unwrap().unwrap();
        if !bytes.is_empty() {
            let at = flip.0 % bytes.len();
            bytes[at] ^= flip.1;
        }
        let _ = decode(&bytes, &data_type);
        let _ = decode(&bytes[..cut.min(bytes.len())], &data_type);
    }
}

#[test]
fn the_forms_are_as_documented() {
    let bytes = |value: Value, data_type: DataType| encoded(&value, &data_type).unwrap().unwrap();
    assert_eq!(bytes(Value::Int4(-2), DataType::Int4), [0xfe, 0xff, 0xff, 0xff]);
    let price = DataType::Numeric(Some((5, 2)));
    let stored = bytes(Value::Numeric("1.5".parse().unwrap()), price);
    assert_eq!(stored, 150i128.to_le_bytes());
    assert_eq!(bytes(Value::Text("ab  ".into()), DataType::Char(4)), b"ab");
    let array = Value::Array(vec![Value::Int2(1), Value::Null, Value::Int2(2)]);
    let data_type = DataType::Array(Box::new(DataType::Int2));
    assert_eq!(bytes(array, data_type), [3, 0, 0, 0, 0b010, 1, 0, 2, 0]);
    let words = Value::Array(vec![Value::Text("hi".into()), Value::Null]);
    let data_type = DataType::Array(Box::new(DataType::Text));
    assert_eq!(bytes(words, data_type), [2, 0, 0, 0, 0b10, 2, 0, 0, 0, b'h', b'i']);
}

#[test]
fn integers_are_read_at_any_width_that_fits() {
    let narrow = encoded(&Value::Int2(-7), &DataType::Int2).unwrap().unwrap();
    assert_eq!(decode(&narrow, &DataType::Int8), Ok(Value::Int8(-7)));
    let wide = encoded(&Value::Int8(1 << 40), &DataType::Int8).unwrap().unwrap();
    assert!(decode(&wide, &DataType::Int4).is_err());
}

#[test]
fn what_does_not_fit_is_refused_and_never_rounded() {
    let price = DataType::Numeric(Some((5, 2)));
    let encode_text = |text: &str| encoded(&Value::Numeric(text.parse().unwrap()), &price);
    assert!(encode_text("999.99").is_ok());
    assert_eq!(encode_text("1000"), Err(CellError::OutOfRange(price.clone())));
    assert_eq!(encode_text("0.001"), Err(CellError::OutOfRange(price.clone())));
    let bare = DataType::Numeric(None);
    let tiny = Value::Numeric("0.000000000000000000001".parse().unwrap());
    assert_eq!(encoded(&tiny, &bare), Err(CellError::OutOfRange(bare)));
    let wrong = encoded(&Value::Int4(1), &DataType::Int8);
    assert_eq!(wrong, Err(CellError::Mismatch(DataType::Int8)));
}

#[test]
fn missing_values_stand_for_cells_never_written() {
    let missing = Value::Int4(9);
    let read = |cell| decode_cell(cell, &DataType::Int4, &missing).unwrap();
    assert_eq!(read(None), Value::Int4(9));
    assert_eq!(read(Some(None)), Value::Null);
    assert_eq!(read(Some(Some(&[1, 0, 0, 0]))), Value::Int4(1));
}
