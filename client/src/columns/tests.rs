#![allow(clippy::unwrap_used)]

use super::*;
use crate::arbitrary::{any_type, key_type, nullable, value_of};
use crate::cell;
use crate::key::{self, KeyReader};
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
