use super::*;
use crate::row::RowMutation;
use crate::row::tests::{CellMap, cell_map, packed, unpacked};
use proptest::prelude::*;

/// What the rule says, cell by cell, oldest first.
fn naive(oldest_first: &[RowMutation]) -> Option<CellMap> {
    let (mut exists, mut cells) = (false, CellMap::new());
    for mutation in oldest_first {
        if mutation.flags & (ROW_DELETE | ROW_COMPLETE) != 0 {
            cells.clear();
            exists = false;
        }
        exists |= mutation.flags & ROW_MARKER != 0;
        cells.extend(unpacked(&mutation.cells));
    }
    exists.then_some(cells)
}

fn merge(oldest_first: &[RowMutation]) -> Option<Row> {
    let mut merge = RowMerge::default();
    for (i, mutation) in oldest_first.iter().enumerate().rev() {
        if merge.push(CommitTs(i as i64 + 1), mutation.flags, &mutation.cells).is_break() {
            break;
        }
    }
    merge.finish()
}

fn mutation() -> impl Strategy<Value = RowMutation> {
    let flags = prop::sample::select(vec![0, 0, 0, ROW_MARKER, ROW_DELETE, 6, 7]);
    (flags, cell_map()).prop_map(|(flags, cells)| RowMutation { flags, cells: packed(&cells) })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_newest_cells_live(history in prop::collection::vec(mutation(), 0..6)) {
        let row = merge(&history);
        prop_assert_eq!(row.as_ref().map(|row| unpacked(&row.cells)), naive(&history));
        if let Some(row) = row {
            prop_assert_eq!(row.version, CommitTs(history.len() as i64));
        }
    }

    /// Two programs on one row in one commit leave one mutation.
    #[test]
    fn then_does_what_both_do(
        history in prop::collection::vec(mutation(), 0..4),
        first in mutation(),
        second in mutation(),
    ) {
        let mut apart = history.clone();
        apart.extend([first.clone(), second.clone()]);
        let mut together = history;
        together.push(first.then(&second));
        let cells = |history: &[RowMutation]| merge(history).map(|row| unpacked(&row.cells));
        prop_assert_eq!(cells(&together), cells(&apart));
    }
}

#[test]
fn delete_and_insert_in_one_commit_is_one_mutation() {
    let delete = RowMutation { flags: ROW_DELETE, cells: PackedCells::default() };
    let cells = packed(&CellMap::from([(1, Some(vec![7]))]));
    let insert = RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: cells.clone() };
    let both = delete.then(&insert);
    assert_eq!(both.flags, ROW_DELETE | ROW_MARKER | ROW_COMPLETE);
    let older = RowMutation { flags: 6, cells: packed(&CellMap::from([(2, Some(vec![1]))])) };
    let row = merge(&[older, both]);
    assert_eq!(row, Some(Row { version: CommitTs(2), cells, ..Row::default() }));
}

#[test]
fn the_merge_stops_where_older_versions_are_hidden() {
    let mut merge = RowMerge::default();
    let none = PackedCells::default();
    assert!(merge.push(CommitTs(9), 0, &none).is_continue());
    assert!(merge.push(CommitTs(8), ROW_MARKER, &none).is_continue());
    assert!(merge.push(CommitTs(7), ROW_DELETE, &none).is_break());
    assert_eq!(merge.finish().map(|row| row.version), Some(CommitTs(9)));
    assert_eq!(merge.finish(), None, "the next row starts over");
}
