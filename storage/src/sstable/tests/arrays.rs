//! Columns as Arrow arrays, against the cell-by-cell way.

use super::*;
use arrow::array::{Array, AsArray};
use proptest::prelude::*;
use terrane_client::columns::ColumnBuilder;
use terrane_client::types::DataType;

/// One column of these cells in a block of its own.
fn block_of(physical: PhysicalType, cells: &[Option<Option<Vec<u8>>>]) -> (Bench, Arc<Block>) {
    let bench = Bench::new();
    let rows: Vec<TestRow> = cells
        .iter()
        .enumerate()
        .map(|(i, cell)| TestRow {
            key: (i as u32).to_be_bytes().to_vec(),
            commit_ts: 1,
            flags: WHOLE,
            cells: cell.iter().map(|value| (1, 0, value.clone())).collect(),
        })
        .collect();
    bench.write(&schema(&[(1, physical)]), WriterOptions::default(), &rows);
    let table = bench.open().unwrap();
    let block = table.block(0, false, ReadOptions::default()).unwrap();
    assert_eq!(block.row_count() as usize, cells.len());
    (bench, block)
}

fn check(
    block: &Block,
    data_type: &DataType,
    cells: &[Option<Option<Vec<u8>>>],
    selection: &RowSelection<'_>,
) {
    let array = block.column_array(ColumnId(1), data_type, selection).unwrap();
    let mut expected = ColumnBuilder::new(data_type, 0);
    let mut absent = Vec::new();
    selection.for_each(|row| {
        let cell = &cells[row as usize];
        absent.push(cell.is_none());
        match cell {
            Some(Some(bytes)) => expected.append_cell(bytes).unwrap(),
            _ => expected.append_null(),
        }
    });
    assert_eq!(&array, &expected.finish());
    assert_eq!(array.data_type(), &data_type.arrow());
    let mask = block.column(ColumnId(1)).unwrap().absent_mask(selection);
    match mask {
        None => assert!(absent.iter().all(|absent| !absent)),
        Some(mask) => assert_eq!(mask.iter().collect::<Vec<_>>(), absent),
    }
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        Just(DataType::Bool),
        Just(DataType::Int2),
        Just(DataType::Int4),
        Just(DataType::Int8),
        Just(DataType::Float4),
        Just(DataType::Float8),
        Just(DataType::Numeric(Some((10, 2)))),
        Just(DataType::Numeric(None)),
        Just(DataType::Text),
        Just(DataType::Bytea),
        Just(DataType::Date),
        Just(DataType::Time),
        Just(DataType::TimestampTz),
        Just(DataType::Interval),
        Just(DataType::Uuid),
        Just(DataType::Jsonb),
    ]
}

/// A value of a type: one of a few, or any.
fn value(data_type: &DataType, draw: u8, few: u8, bytes: [u8; 32]) -> Vec<u8> {
    let repeated = draw < 6;
    match data_type {
        DataType::Bool => vec![few & 1],
        DataType::Interval => {
            let mut value = [few; 16];
            value[12..].fill(0);
            value.to_vec()
        }
        DataType::Text | DataType::Jsonb if repeated => vec![b'a' + few; usize::from(few) * 4],
        DataType::Text | DataType::Jsonb => {
            String::from_utf8_lossy(&bytes[..usize::from(draw) * 2]).into_owned().into_bytes()
        }
        DataType::Bytea if repeated => vec![few; usize::from(few)],
        DataType::Bytea => bytes.to_vec(),
        DataType::Numeric(_) | DataType::Uuid | DataType::Float4 | DataType::Float8 => {
            let width = data_type.physical().width().unwrap();
            let mut value = bytes[..width].to_vec();
            if repeated {
                value.fill(0);
                value[0] = few;
            } else if matches!(data_type, DataType::Numeric(_)) {
                // Inside the type's digits.
                value[12..].fill(0);
            }
            value
        }
        _ => {
            let width = data_type.physical().width().unwrap();
            match repeated {
                true => i64::from(few).to_le_bytes()[..width].to_vec(),
                false => bytes[..width].to_vec(),
            }
        }
    }
}

/// Cells of a type in shares that the draw decides: all present, few present, some NULL.
fn column() -> impl Strategy<Value = (DataType, Vec<Option<Option<Vec<u8>>>>)> {
    (data_type(), 0..4u8).prop_flat_map(|(data_type, shape)| {
        let cell = (0..10u8, 0..10u8, 0..9u8, any::<[u8; 32]>());
        proptest::collection::vec(cell, 1..300).prop_map(move |cells| {
            let cells = cells.into_iter().map(|(state, draw, few, bytes)| match (shape, state) {
                (1, 0) | (2, 0..=4) | (3, 1..=9) => None,
                (1, 1) | (2, 5) => Some(None),
                _ => Some(Some(value(&data_type, draw, few, bytes))),
            });
            (data_type.clone(), cells.collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arrays_agree_with_cells(
        (data_type, cells) in column(),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let (_bench, block) = block_of(data_type.physical(), &cells);
        let rows = cells.len();
        check(&block, &data_type, &cells, &RowSelection::Range(0..rows as u32));
        let (a, b) = (cut.0.index(rows + 1) as u32, cut.1.index(rows + 1) as u32);
        check(&block, &data_type, &cells, &RowSelection::Range(a.min(b)..a.max(b)));
        let mut picked: Vec<u32> = picks.iter().map(|pick| pick.index(rows) as u32).collect();
        picked.sort_unstable();
        picked.dedup();
        check(&block, &data_type, &cells, &RowSelection::Rows(&picked));
        check(&block, &data_type, &cells, &RowSelection::Rows(&[]));
    }
}

fn ints(values: impl Iterator<Item = i64>, width: usize) -> Vec<Option<Option<Vec<u8>>>> {
    values.map(|value| Some(Some(value.to_le_bytes()[..width].to_vec()))).collect()
}

#[test]
fn a_column_that_was_widened_since_reads_as_the_wider_type() {
    let cells = ints(-100..100, 4);
    let (_bench, block) = block_of(PhysicalType::Int4, &cells);
    let array =
        block.column_array(ColumnId(1), &DataType::Int8, &RowSelection::Range(0..200)).unwrap();
    let array = array.as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(array.values()[..], (-100..100).collect::<Vec<i64>>());
    // Never narrower, and never as a decimal: the digits would mean something else.
    let narrow = ints([1i64 << 20].into_iter(), 4);
    let (_bench, block) = block_of(PhysicalType::Int4, &narrow);
    for wrong in [DataType::Int2, DataType::Numeric(Some((10, 2))), DataType::Text] {
        let array = block.column_array(ColumnId(1), &wrong, &RowSelection::Range(0..1));
        assert!(matches!(array, Err(SstableError::Mismatch { .. })), "{wrong}");
    }
}

#[test]
fn long_strings_point_into_the_page_and_short_ones_hold_no_page() {
    let long: Vec<_> = (0..100).map(|i| Some(text(&format!("a long enough string {i}")))).collect();
    let (_bench, block) = block_of(PhysicalType::Bytes, &long);
    let rows = RowSelection::Range(0..100);
    let array = block.column_array(ColumnId(1), &DataType::Text, &rows).unwrap();
    let again = block.column_array(ColumnId(1), &DataType::Text, &rows).unwrap();
    let buffer = |array: &arrow::array::ArrayRef| array.as_string_view().data_buffers()[0].as_ptr();
    assert_eq!(buffer(&array), buffer(&again), "both point to the one cached page");
    let short: Vec<_> = (0..100).map(|i| Some(text(&format!("short {i}")))).collect();
    let (_bench, block) = block_of(PhysicalType::Bytes, &short);
    let array = block.column_array(ColumnId(1), &DataType::Text, &rows).unwrap();
    assert!(array.as_string_view().data_buffers().is_empty());
    assert_eq!(array.as_string_view().value(99), "short 99");
}

#[test]
fn text_that_is_no_utf8_is_reported() {
    let cells = [Some(Some(vec![b'a'])), Some(Some(vec![0xff, 0xfe]))];
    let (_bench, block) = block_of(PhysicalType::Bytes, &cells);
    let rows = RowSelection::Range(0..2);
    let array = block.column_array(ColumnId(1), &DataType::Text, &rows);
    assert!(matches!(array, Err(SstableError::Corruption { .. })));
    assert_eq!(block.column_array(ColumnId(1), &DataType::Bytea, &rows).unwrap().len(), 2);
}

#[test]
fn a_column_the_block_does_not_have_is_absent() {
    let (_bench, block) = block_of(PhysicalType::Int8, &ints(0..10, 8));
    let rows = RowSelection::Range(2..9);
    let array = block.column_array(ColumnId(77), &DataType::Int8, &rows).unwrap();
    assert_eq!((array.len(), array.null_count()), (7, 7));
    let column = block.column(ColumnId(77)).unwrap();
    assert_eq!(column.absent_count(), 10);
    assert_eq!(column.absent_mask(&rows).unwrap().count_set_bits(), 7);
}

#[test]
fn exceptions_are_in_the_array() {
    let bench = Bench::new();
    let row = |i: u8, value: Option<Vec<u8>>| TestRow {
        key: vec![i],
        commit_ts: 1,
        flags: WHOLE,
        cells: vec![(2, 0, value)],
    };
    // The file's schema knows nothing of column 2.
    let rows = [row(1, int(10)), row(2, None), row(3, int(-30))];
    bench.write(&schema(&[(1, PhysicalType::Int8)]), WriterOptions::default(), &rows);
    let table = bench.open().unwrap();
    let block = table.block(0, false, ReadOptions::default()).unwrap();
    let rows = RowSelection::Range(0..3);
    let array = block.column_array(ColumnId(2), &DataType::Int8, &rows).unwrap();
    let array = array.as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(array.iter().collect::<Vec<_>>(), [Some(10), None, Some(-30)]);
    assert_eq!(block.column(ColumnId(2)).unwrap().absent_mask(&rows), None);
}

#[test]
fn key_columns_are_arrays_too() {
    use terrane_client::key;
    use terrane_client::value::Value;
    let shape = [(DataType::Text, false), (DataType::Int4, true), (DataType::Bool, false)];
    let mut keys: Vec<_> = (0..100)
        .map(|i| {
            let values =
                [Value::Text(format!("k{}", i % 7)), Value::Int4(i), Value::Bool(i % 2 == 0)];
            (key::encode(&values, &shape).unwrap(), i)
        })
        .collect();
    keys.sort();
    let schema = WriterSchema {
        key: (1..)
            .zip(&shape)
            .map(|(id, (data_type, descending))| WriterKeyColumn {
                column: ColumnId(id),
                data_type: data_type.clone(),
                descending: *descending,
            })
            .collect(),
        ..schema(&[(9, PhysicalType::Int8)])
    };
    let bench = Bench::new();
    let rows: Vec<TestRow> = keys
        .iter()
        .map(|(key, i)| TestRow {
            key: key.to_vec(),
            commit_ts: 1,
            flags: WHOLE,
            cells: vec![(9, 0, int(i64::from(*i)))],
        })
        .collect();
    bench.write(&schema, WriterOptions::default(), &rows);
    let table = bench.open().unwrap();
    assert_eq!(read_all(&table).unwrap(), rows, "key columns are not among the cells");
    let block = table.block(0, false, ReadOptions::default()).unwrap();
    let all = RowSelection::Range(0..100);
    let ids = block.column_array(ColumnId(2), &DataType::Int4, &all).unwrap();
    let expected: Vec<i32> = keys.iter().map(|(_, i)| *i).collect();
    assert_eq!(ids.as_primitive::<arrow::datatypes::Int32Type>().values()[..], expected);
    let even = block.column_array(ColumnId(3), &DataType::Bool, &all).unwrap();
    let expected: Vec<bool> = keys.iter().map(|(_, i)| i % 2 == 0).collect();
    assert_eq!(even.as_boolean().values().iter().collect::<Vec<_>>(), expected);
    // A key of another shape is refused: its columns could not be filled.
    let mut writer = Bench::new().writer(&schema, WriterOptions::default());
    let row = TestRow { key: b"x".to_vec(), commit_ts: 1, flags: WHOLE, cells: vec![] };
    assert!(matches!(add(&mut writer, &row), Err(SstableError::Refused(_))));
}
