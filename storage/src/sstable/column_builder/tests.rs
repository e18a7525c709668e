//! Every encoding of a column page: written as expected, read back the same.

use super::super::presence::CellState;
use super::super::values::ColumnPage;
use super::*;
use proptest::prelude::*;

type Cells = Vec<Option<Option<Vec<u8>>>>;

/// Writes a page of these cells and reads it back.
fn round_trip(physical: PhysicalType, cells: &Cells) -> (Encoding, usize) {
    let mut builder = ColumnBuilder::new(physical);
    for (row, cell) in cells.iter().enumerate() {
        if let Some(cell) = cell {
            assert!(builder.push(row, cell.as_deref(), 0), "{physical:?} takes {cell:?}");
        }
    }
    let mut page = vec![];
    let (encoding, _) = builder.encode(cells.len(), &mut page);
    let len = page.len();
    let read = ColumnPage::decode(page.into(), encoding, physical, cells.len()).unwrap();
    for (row, cell) in cells.iter().enumerate() {
        assert_eq!(read.cell(row).as_option(), cell.as_ref().map(|cell| cell.as_deref()));
    }
    (encoding, len)
}

fn values(values: impl Iterator<Item = Vec<u8>>) -> Cells {
    values.map(|value| Some(Some(value))).collect()
}

#[test]
fn integers_are_packed() {
    let cells = values((0..1000i64).map(|i| (1_000_000 + i % 8).to_le_bytes().to_vec()));
    // Three bits each.
    assert_eq!(round_trip(PhysicalType::Int8, &cells), (Encoding::Ints, 8 + 9 + 375 + 8));
    let cells = values((0..1000).map(|_| (-3i16).to_le_bytes().to_vec()));
    assert_eq!(round_trip(PhysicalType::Int2, &cells), (Encoding::Ints, 8 + 9));
}

#[test]
fn decimals_are_narrowed_where_they_fit() {
    let wide = |value: i128, width: usize| {
        let mut bytes = vec![if value < 0 { 0xff } else { 0 }; width];
        bytes[..16].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    for (physical, width) in [(PhysicalType::Int16, 16), (PhysicalType::Int32, 32)] {
        let cells = values((-500..500).map(|i| wide(i, width)));
        assert_eq!(round_trip(physical, &cells).0, Encoding::Ints);
        let cells = values((-500..500).map(|i| wide(i << 64, width)));
        assert_eq!(round_trip(physical, &cells), (Encoding::Fixed, 8 + 1000 * width));
        let cells = values((-500..500).map(|i| wide((i % 3) << 64, width)));
        assert_eq!(round_trip(physical, &cells).0, Encoding::FixedDictionary);
    }
}

#[test]
fn floats_and_strings_that_repeat_get_a_dictionary() {
    let cells = values((0..1000).map(|i| f64::from(i % 10).to_le_bytes().to_vec()));
    let (encoding, len) = round_trip(PhysicalType::Float8, &cells);
    assert_eq!(encoding, Encoding::FixedDictionary);
    assert_eq!(len, 8 + 4 + 80 + 9 + 500 + 8);
    let cells = values((0..1000).map(|i| f64::from(i).to_le_bytes().to_vec()));
    assert_eq!(round_trip(PhysicalType::Float8, &cells).0, Encoding::Fixed);
    let cells = values((0..1000).map(|i| format!("carrier {}", i % 16).into_bytes()));
    assert_eq!(round_trip(PhysicalType::Bytes, &cells).0, Encoding::BytesDictionary);
    let cells = values((0..1000).map(|i| format!("name {i}").into_bytes()));
    assert_eq!(round_trip(PhysicalType::Bytes, &cells).0, Encoding::Bytes);
    let cells = values((0..1000).map(|_| b"the same for all".to_vec()));
    let (encoding, len) = round_trip(PhysicalType::Bytes, &cells);
    assert_eq!((encoding, len), (Encoding::BytesDictionary, 8 + 4 + 12 + 16 + 9));
}

#[test]
fn truth_values_take_a_bit() {
    let cells = values((0..1000).map(|i| vec![u8::from(i % 3 == 0)]));
    assert_eq!(round_trip(PhysicalType::Bool, &cells), (Encoding::Bits, 8 + 128));
}

#[test]
fn a_column_of_nulls_has_no_values() {
    let cells = vec![Some(None); 1000];
    assert_eq!(round_trip(PhysicalType::Int8, &cells), (Encoding::Empty, 8));
}

#[test]
fn cells_of_another_width_are_refused_and_leave_nothing() {
    for (physical, bad) in [
        (PhysicalType::Bool, &[2][..]),
        (PhysicalType::Bool, &[]),
        (PhysicalType::Int2, &40_000i32.to_le_bytes()),
        (PhysicalType::Int4, &[1, 2, 3]),
        (PhysicalType::Int4, &(1i64 << 40).to_le_bytes()),
        (PhysicalType::Float4, &[0; 8]),
        (PhysicalType::Fixed16, &[0; 15]),
    ] {
        let mut builder = ColumnBuilder::new(physical);
        assert!(!builder.push(0, Some(bad), 3), "{physical:?} {bad:?}");
        assert!(builder.is_empty() && builder.times(1).is_none());
    }
}

#[test]
fn integers_of_another_width_are_taken_where_they_fit() {
    let mut builder = ColumnBuilder::new(PhysicalType::Int4);
    assert!(builder.push(0, Some(&(-5i16).to_le_bytes()), 0));
    assert!(builder.push(1, Some(&(-6i64).to_le_bytes()), 0));
    let mut page = vec![];
    let (encoding, _) = builder.encode(2, &mut page);
    let read = ColumnPage::decode(page.into(), encoding, PhysicalType::Int4, 2).unwrap();
    assert_eq!(read.cell(0).as_option(), Some(Some(&(-5i32).to_le_bytes()[..])));
    assert_eq!(read.cell(1).as_option(), Some(Some(&(-6i32).to_le_bytes()[..])));
    assert_eq!(read.presence.state(1), CellState::Value);
}

fn physical() -> impl Strategy<Value = PhysicalType> {
    prop_oneof![
        Just(PhysicalType::Bool),
        Just(PhysicalType::Int2),
        Just(PhysicalType::Int4),
        Just(PhysicalType::Int8),
        Just(PhysicalType::Int16),
        Just(PhysicalType::Int32),
        Just(PhysicalType::Float4),
        Just(PhysicalType::Float8),
        Just(PhysicalType::Fixed16),
        Just(PhysicalType::Bytes),
    ]
}

/// Cells that are absent, NULL, repeated or new, in shares that the draw decides.
fn column() -> impl Strategy<Value = (PhysicalType, Cells)> {
    (physical(), 1..5u32, 1..40u8).prop_flat_map(|(physical, shares, distinct)| {
        let cell = (0..10u32, 0..distinct, proptest::collection::vec(any::<u8>(), 32));
        proptest::collection::vec(cell, 1..300).prop_map(move |cells| {
            let made = cells.into_iter().map(|(draw, which, bytes)| {
                let value = match physical.width() {
                    _ if draw == 9 && shares > 2 => return None,
                    _ if draw == 8 && shares > 3 => return Some(None),
                    Some(1) => vec![which & 1],
                    Some(width) if draw < 7 => vec![which; width],
                    Some(width) => bytes[..width].to_vec(),
                    None if draw < 7 => vec![which; usize::from(which % 5) * 4],
                    None => bytes,
                };
                Some(Some(value))
            });
            (physical, made.collect())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_column_round_trips((physical, cells) in column()) {
        round_trip(physical, &cells);
    }

    #[test]
    fn damaged_pages_do_not_panic(
        (physical, cells) in column(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut builder = ColumnBuilder::new(physical);
        for (row, cell) in cells.iter().enumerate() {
            if let Some(cell) = cell {
                builder.push(row, cell.as_deref(), 0);
            }
        }
        let mut page = vec![];
        let (encoding, _) = builder.encode(cells.len(), &mut page);
        let at = at.index(page.len());
        page[at] = byte;
        if let Ok(read) = ColumnPage::decode(page.into(), encoding, physical, cells.len()) {
            for row in 0..cells.len() {
                read.cell(row).as_option();
            }
        }
    }
}
