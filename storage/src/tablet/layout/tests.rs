use super::*;
use terrane_client::metadata;
use terrane_client::row::{PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER};
use terrane_client::schema::GroupOptions;

/// Columns 4 and 6 of METADATA in the default group, 5 in another.
fn layout() -> GroupLayout {
    let mut schema = metadata::schema();
    let id = LocalityGroupId(7);
    schema.groups.push(LocalityGroup {
        id,
        name: "other".to_owned(),
        has_markers: true,
        marker_gc: Default::default(),
        timestamps: Default::default(),
        options: GroupOptions::default(),
    });
    schema.columns.iter_mut().filter(|column| column.id.0 == 5).for_each(|c| c.group = id);
    GroupLayout::new(&schema)
}

fn cells(columns: &[u32]) -> PackedCells {
    let mut cells = CellsBuilder::default();
    columns.iter().for_each(|id| cells.push(ColumnId(*id), Some(&[*id as u8])));
    cells.finish()
}

fn parts(flags: u8, columns: &[u32]) -> Vec<(u16, u8, Vec<u32>)> {
    let parts = layout().parts(&RowMutation { flags, cells: cells(columns) }.into());
    let ids = |cells: &PackedCells| cells.iter().map(|(id, _)| id.0).collect();
    parts.iter().map(|(id, part)| (id.0, part.row.flags, ids(&part.row.cells))).collect()
}

#[test]
fn whole_rows_and_deletes_go_to_every_group_rule_9() {
    let whole = ROW_MARKER | ROW_COMPLETE;
    assert_eq!(parts(whole, &[4, 5, 6]), [(0, whole, vec![4, 6]), (7, whole, vec![5])]);
    assert_eq!(parts(ROW_DELETE, &[]), [(0, ROW_DELETE, vec![]), (7, ROW_DELETE, vec![])]);
}

#[test]
fn an_update_goes_to_its_groups_and_to_the_default_one() {
    assert_eq!(parts(0, &[4]), [(0, 0, vec![4])]);
    assert_eq!(parts(0, &[5]), [(0, 0, vec![]), (7, 0, vec![5])]);
    // A column that was dropped.
    assert_eq!(parts(0, &[3]), [(0, 0, vec![3])]);
}

#[test]
fn columns_are_sorted_into_groups() {
    let layout = layout();
    let columns: Vec<ColumnId> = [4, 5, 6].map(ColumnId).to_vec();
    assert_eq!(layout.columns_in(0, &columns), [ColumnId(4), ColumnId(6)]);
    assert_eq!(layout.columns_in(1, &columns), [ColumnId(5)]);
    let second = layout.groups_of(&[ColumnId(5)]);
    assert_eq!(second.places().collect::<Vec<_>>(), [1]);
    assert_eq!(layout.columns_of(second.union(GroupSet::DEFAULT)), columns);
    assert!(second.without(layout.all()).is_empty());
}
