#![allow(clippy::unwrap_used)]

use super::*;
use crate::arbitrary::{any_type, key_type, nullable, value_of};
use crate::cell;
use crate::key::{self, KeyReader};
use crate::types::DataType;
use crate::value::Value;
use proptest::prelude::*;

proptest! {
    #[test]
    fn cells_become_arrays_and_values_again(
        (data_type, values) in any_type().prop_flat_map(|data_type| {
            let values = prop::collection::vec(nullable(&data_type), 0..20);
            (Just(data_type), values)
        })
    ) {
        let mut column = ColumnBuilder::new(&data_type, 4);
        for round in 0..2 {
            for value in &values {
                match cell::encoded(value, &data_type).unwrap() {
                    None => column.append_null(),
                    Some(bytes) if round == 0 => column.append_cell(&bytes).unwrap(),
                    Some(_) => column.append_value(value).unwrap(),
                }
            }
            let array = column.finish();
            prop_assert_eq!(array.data_type(), &data_type.arrow());
            prop_assert_eq!(array.len(), values.len());
            for (row, value) in values.iter().enumerate() {
                prop_assert!(value_at(&array, row, &data_type).unwrap().same(value));
            }
        }
    }

    #[test]
    fn key_columns_become_arrays(
        (data_type, values) in key_type().prop_flat_map(|data_type| {
            let values = prop::collection::vec(value_of(&data_type), 0..20);
            (Just(data_type), values)
        }),
        descending in any::<bool>(),
    ) {
        let mut column = ColumnBuilder::new(&data_type, 4);
        let shape = [(data_type.clone(), descending)];
        for value in &values {
            let key = key::encode(std::slice::from_ref(value), &shape).unwrap();
            column.append_key(&mut KeyReader::new(&key), descending).unwrap();
        }
        let array = column.finish();
        for (row, value) in values.iter().enumerate() {
            prop_assert!(value_at(&array, row, &data_type).unwrap().same(value));
        }
    }
}

#[test]
fn strings_and_bytes_are_read_from_any_of_arrows_arrays() {
    use arrow::array::{
        Array, BinaryArray, LargeBinaryArray, LargeStringArray, StringArray, StringViewArray,
    };
    let text = Value::Text("b".to_owned());
    let texts: [&dyn Array; 3] = [
        &StringArray::from(vec!["a", "b"]),
        &LargeStringArray::from(vec!["a", "b"]),
        &StringViewArray::from(vec!["a", "b"]),
    ];
    for array in texts {
        assert_eq!(value_at(array, 1, &DataType::Text).unwrap(), text);
        assert!(value_at(array, 1, &DataType::Int4).is_err());
        assert!(value_at(array, 2, &DataType::Text).is_err());
    }
    let binaries: [&dyn Array; 2] =
        [&BinaryArray::from_vec(vec![b"a", b"b"]), &LargeBinaryArray::from_vec(vec![b"a", b"b"])];
    for array in binaries {
        let value = value_at(array, 1, &DataType::Bytea).unwrap();
        assert_eq!(value, Value::Bytea(bytes::Bytes::from_static(b"b")));
    }
}
