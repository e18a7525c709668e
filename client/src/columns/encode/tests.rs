#![allow(clippy::unwrap_used)]

use super::*;
use crate::arbitrary::{any_type, key_type, nullable};
use crate::columns::ColumnBuilder;
use crate::ids::{ColumnId, LocalityGroupId};
use crate::key;
use crate::row::CellsBuilder;
use proptest::prelude::*;

fn column(id: u32, data_type: &DataType, missing: Value) -> Column {
    Column {
        id: ColumnId(id),
        name: "c".to_owned(),
        data_type: data_type.clone(),
        not_null: false,
        group: LocalityGroupId::default(),
        missing,
        gc: Default::default(),
    }
}

fn array(data_type: &DataType, values: &[Value]) -> ArrayRef {
    let mut builder = ColumnBuilder::new(data_type, values.len());
    values.iter().for_each(|value| builder.append_value(value).unwrap());
    builder.finish()
}

proptest! {
    #[test]
    fn cells_are_those_that_single_rows_have(
        (data_type, values) in any_type().prop_flat_map(|data_type| {
            let values = prop::collection::vec(nullable(&data_type), 0..20);
            (Just(data_type), values)
        }),
        missing in any::<bool>(),
    ) {
        // The second column reads as something where it is absent, so its NULLs are cells.
        let missing = values.iter().find(|value| missing && !value.is_null());
        let missing = missing.cloned().unwrap_or(Value::Null);
        let columns = [column(3, &data_type, Value::Null), column(300, &data_type, missing.clone())];
        let array = array(&data_type, &values);
        let views: Vec<_> = columns.iter().map(|c| ColumnView::new(c, &array)).collect();
        let packed = cells(&views, values.len()).unwrap();
        for (row, value) in values.iter().enumerate() {
            let mut expected = CellsBuilder::default();
            let bytes = cell::encoded(value, &data_type).unwrap();
            if let Some(bytes) = &bytes {
                expected.push(ColumnId(3), Some(bytes));
            }
            if bytes.is_some() || !missing.is_null() {
                expected.push(ColumnId(300), bytes.as_deref());
            }
            prop_assert_eq!(&packed[row], &expected.finish());
        }
    }

    #[test]
    fn keys_are_those_that_single_rows_have(
        (data_type, values) in key_type().prop_flat_map(|data_type| {
            let values = prop::collection::vec(nullable(&data_type), 0..20);
            (Just(data_type), values)
        }),
        descending in any::<bool>(),
    ) {
        let column = column(1, &data_type, Value::Null);
        let array = array(&data_type, &values);
        let view = || [(ColumnView::new(&column, &array), descending)];
        let found = keys(&view(), values.len(), true).unwrap();
        for (row, value) in values.iter().enumerate() {
            let shape = [(data_type.clone(), descending)];
            let expected = key::encode(std::slice::from_ref(value), &shape).ok();
            prop_assert_eq!(&found[row], &expected);
        }
        let null = values.iter().position(Value::is_null);
        let expected = null.map(|row| EncodeError::Key(row, KeyError::Null(0)));
        prop_assert_eq!(keys(&view(), values.len(), false).err(), expected);
    }
}

#[test]
fn a_key_over_the_limit_names_its_row() {
    let column = column(1, &DataType::Text, Value::Null);
    let values = ["a".to_owned(), "b".repeat(key::KEY_BYTES_MAX)].map(Value::Text);
    let array = array(&DataType::Text, &values);
    let error = keys(&[(ColumnView::new(&column, &array), false)], 2, false).unwrap_err();
    assert!(matches!(error, EncodeError::Key(1, KeyError::TooLarge { .. })), "{error}");
}
