#![allow(clippy::unwrap_used)]

use super::*;
use crate::map_column::{EntryChange, MapChange};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) type CellMap = BTreeMap<u32, Option<Vec<u8>>>;

/// Cells of columns 1 to 300, so that ids and sizes take one byte and two.
pub(super) fn cell_map() -> impl Strategy<Value = CellMap> {
    let cell = prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
    prop::collection::btree_map(prop_oneof![1u32..6, 1u32..300], cell, 0..6)
}

pub(super) fn packed(cells: &CellMap) -> PackedCells {
    let mut builder = CellsBuilder::default();
    for (column, cell) in cells {
        builder.push(ColumnId(*column), cell.as_deref());
    }
    builder.finish()
}

pub(super) fn unpacked(cells: &PackedCells) -> CellMap {
    cells.iter().map(|(id, cell)| (id.0, cell.map(<[u8]>::to_vec))).collect()
}

proptest! {
    #[test]
    fn cells_read_back(cells in cell_map(), flags in 0u8..8) {
        let packed = packed(&cells);
        prop_assert_eq!(unpacked(&packed), cells);
        let mutation = RowMutation { flags, cells: packed };
        let mut bytes = Vec::new();
        mutation.encode(&mut bytes);
        prop_assert_eq!(RowMutation::decode(&Bytes::from(bytes)).unwrap(), mutation);
    }

    #[test]
    fn garbage_is_refused_without_a_panic(
        cells in cell_map(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = packed(&cells).as_bytes().to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        for bytes in [bytes.clone(), bytes[..cut.index(bytes.len())].to_vec()] {
            if let Ok(parsed) = PackedCells::parse(bytes.clone().into()) {
                // What parses packs into the same cells again.
                prop_assert_eq!(&unpacked(&packed(&unpacked(&parsed))), &unpacked(&parsed));
            }
            let _ = RowMutation::decode(&bytes.into());
        }
    }

    #[test]
    fn projection_keeps_the_columns_asked_for(cells in cell_map(), wanted in prop::collection::btree_set(1u32..6, 0..6)) {
        let columns: Vec<ColumnId> = wanted.iter().copied().map(ColumnId).collect();
        let kept: CellMap = cells.clone().into_iter().filter(|(id, _)| wanted.contains(id)).collect();
        prop_assert_eq!(unpacked(&packed(&cells).project(&columns)), kept);
    }
}

#[test]
fn the_bytes_are_as_documented() {
    let mut cells = CellsBuilder::default();
    cells.push(ColumnId(2), Some(b"hi"));
    cells.push(ColumnId(300), None);
    cells.push(ColumnId(301), Some(b""));
    let mutation = RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: cells.finish() };
    let mut bytes = Vec::new();
    mutation.encode(&mut bytes);
    assert_eq!(bytes, [6, 3, 2, 3, b'h', b'i', 0xac, 2, 0, 0xad, 2, 1]);
    assert_eq!(mutation.cells.get(ColumnId(300)), Some(None));
    assert_eq!(mutation.cells.get(ColumnId(301)), Some(Some(&b""[..])));
    assert_eq!(mutation.cells.get(ColumnId(3)), None);
}

/// The worked example of docs/format-log.md.
#[test]
fn map_changes_follow_the_cells() {
    let entries = [
        (Bytes::from_static(b"k\0\x01"), EntryChange::Put(Some(Bytes::from_static(b"v")))),
        (Bytes::from_static(b"x\0\x01"), EntryChange::Remove),
    ];
    let change = MapChange { entries: entries.into(), ..MapChange::default() };
    let change = RowChange {
        dated: Default::default(),
        row: RowMutation { flags: 0, cells: CellsBuilder::default().finish() },
        maps: MapChanges([(ColumnId(5), change)].into()),
    };
    let mut bytes = Vec::new();
    change.encode(&mut bytes);
    let expected =
        [&[0x80, 1, 0, 0, 0, 0][..], &[1, 5, 0, 2], &[3, b'k', 0, 1, 3, b'v'], &[3, b'x', 0, 1, 1]];
    assert_eq!(bytes, expected.concat());
    assert_eq!(RowChange::decode(&bytes.clone().into()), Ok(change));
    for end in 0..bytes.len() {
        assert!(RowChange::decode(&bytes[..end].to_vec().into()).is_err());
    }
}

/// The other one.
#[test]
fn dated_cells_follow_the_cells() {
    let mut cells = CellsBuilder::default();
    cells.push(ColumnId(2), Some(b"v"));
    let mut dated = DatedCells::default();
    dated.add(Stamp::At(CommitTs(5)), &cells.finish());
    let row = RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: cells.finish() };
    let change = RowChange { row, dated, maps: MapChanges::default() };
    let mut bytes = Vec::new();
    change.encode(&mut bytes);
    let expected = [
        &[0x46, 1, 0, 0, 0, 0][..],
        &[0x12, 0, 0, 0, 1],
        &[0, 5, 0, 0, 0, 0, 0, 0, 0],
        &[4, 0, 0, 0, 1, 2, 2, b'v'],
    ];
    assert_eq!(bytes, expected.concat());
    assert_eq!(RowChange::decode(&bytes.clone().into()), Ok(change.clone()));
    for end in 0..bytes.len() {
        assert!(RowChange::decode(&bytes[..end].to_vec().into()).is_err());
    }
    let maps = MapChanges([(ColumnId(5), MapChange::default())].into());
    let both = RowChange { maps, ..change };
    let mut bytes = Vec::new();
    both.encode(&mut bytes);
    assert_eq!(RowChange::decode(&bytes.into()), Ok(both));
}

#[test]
fn malformed_cells_say_where() {
    let offset =
        |bytes: &'static [u8]| PackedCells::parse(Bytes::from_static(bytes)).unwrap_err().offset;
    assert_eq!(offset(&[1, 2, 9, b'h']), 3, "the cell is cut");
    assert_eq!(offset(&[2, 2, 0, 2, 0]), 5, "columns do not ascend");
    assert_eq!(offset(&[0, 7]), 1, "bytes are left over");
    assert_eq!(PackedCells::parse(Bytes::new()), Ok(PackedCells::default()));
}
