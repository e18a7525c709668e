//! Which locality group each column of a table is in, and what a mutation of a row is to each group.
//!
//! - The default group is written whenever the row is, if only with an entry without cells: the newest version of
//!   a row there is the row's version.
//! - A delete, or a write of the whole row, goes to every group, and so does the row's marker (rule 9).
//! - Cells with timestamps of the client's are in groups of their own, which have no markers.
//! - Any other mutation goes to the groups it has cells of.
//!
//! - The entries of a map column are rows of the column's own group ([`super::map_entries`]); nothing else is
//!   written there.
//!
//! A column that the layout does not know was dropped: its cells go to the default group, where the next merge
//! leaves them out.

use crate::scan::{GroupGc, MapColumn};
use bytes::Bytes;
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::key::KeyShape;
use terrane_client::map_column::entry_key::{entries_of_rows, row_key_length};
use terrane_client::read::KeyRange;
use terrane_client::row::{
    CellsBuilder, DatedCells, ROW_DATED, ROW_MARKER, RowChange, RowMutation,
};
use terrane_client::schema::{GROUPS_MAX, LocalityGroup, TableSchema};
use terrane_client::types::DataType;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct GroupLayout {
    /// The default group comes first.
    groups: Vec<LocalityGroup>,
    /// Of each value column that is no map the place of its group, ascending by column.
    columns: Vec<(ColumnId, usize)>,
    /// The map columns, ascending.
    maps: Vec<MapColumn>,
    key_shape: Vec<(DataType, bool)>,
    /// The policies of each group, by its place.
    gc: Vec<GroupGc>,
}

/// Locality groups of one layout, by their places in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSet(u64);

const _: () = assert!(GROUPS_MAX <= u64::BITS as usize);

impl GroupSet {
    /// The default group.
    pub const DEFAULT: Self = Self(1);

    /// Adds the group at a place.
    pub fn insert(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    /// True where the group at a place is in the set.
    pub fn contains(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }

    /// The groups in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The groups that are in this set and not in the other.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// True where there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The groups' places, ascending.
    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..GROUPS_MAX).filter(move |place| self.contains(*place))
    }
}

/// What a row's change is to one group.
#[derive(Clone, Debug)]
pub struct GroupPart {
    /// Flags and cells.
    pub row: RowMutation,
    /// In the place of cells, where they have timestamps of the client's.
    pub dated: DatedCells,
}

impl GroupPart {
    /// A memtable's version.
    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(1 + self.row.cells.as_bytes().len() + self.dated.bytes());
        match self.dated.is_empty() {
            true => self.row.encode(&mut bytes),
            false => {
                bytes.push(self.row.flags | ROW_DATED);
                self.dated.encode(&mut bytes);
            }
        }
        bytes
    }
}

impl GroupLayout {
    /// The layout of a table. Its groups are at most [`GROUPS_MAX`]: whoever makes tables sees to that.
    pub fn new(schema: &TableSchema) -> Self {
        let mut groups = schema.groups.clone();
        groups.sort_by_key(|group| group.id);
        let place_of = |id| groups.iter().position(|group| group.id == id).unwrap_or_default();
        let columns = schema.value_columns().filter(|column| !column.is_map());
        let columns = columns.map(|column| (column.id, place_of(column.group))).collect();
        let (maps, key_shape) = (MapColumn::all_of(schema), schema.key_shape());
        let gc = groups.iter().map(|group| GroupGc::new(schema, group.id)).collect();
        Self { groups, columns, maps, key_shape, gc }
    }

    /// The policies of the group at a place.
    pub fn gc(&self, place: usize) -> &GroupGc {
        static PLAIN: GroupGc = GroupGc::PLAIN;
        self.gc.get(place).unwrap_or(&PLAIN)
    }

    /// The groups, the default one first.
    pub fn groups(&self) -> &[LocalityGroup] {
        &self.groups
    }

    /// True where there is the default group only.
    pub fn is_single(&self) -> bool {
        self.groups.len() <= 1
    }

    /// Every group of cells: all but those of maps.
    pub fn all(&self) -> GroupSet {
        let mut all = GroupSet::DEFAULT;
        let is_of_map = |id| self.maps.iter().any(|map| map.group == id);
        let of_cells = self.groups.iter().enumerate().filter(|(_, group)| !is_of_map(group.id));
        of_cells.for_each(|(place, _)| all.insert(place));
        all
    }

    /// The map columns, ascending.
    pub fn maps(&self) -> &[MapColumn] {
        &self.maps
    }

    /// A map column.
    pub fn map(&self, column: ColumnId) -> Option<&MapColumn> {
        self.maps.iter().find(|map| map.column == column)
    }

    /// The type and direction of each key column.
    pub fn key_shape(&self) -> &KeyShape {
        &self.key_shape
    }

    /// A range of rows, as the keys of a group's memtables and files have it.
    pub fn range_in(&self, group: LocalityGroupId, rows: &KeyRange) -> KeyRange {
        match self.maps.iter().any(|map| map.group == group) {
            true => entries_of_rows(rows, &self.key_shape),
            false => rows.clone(),
        }
    }

    /// The row that a key in a group's memtables and files is of, or belongs to.
    pub fn row_key_in(&self, group: LocalityGroupId, key: Bytes) -> Bytes {
        match self.maps.iter().any(|map| map.group == group) {
            true => match row_key_length(&key, &self.key_shape) {
                Some(length) => key.slice(..length),
                None => key,
            },
            false => key,
        }
    }

    /// The place of a value column's group.
    pub fn place_of(&self, column: ColumnId) -> usize {
        let known = self.columns.binary_search_by_key(&column, |(id, _)| *id);
        known.map_or(0, |at| self.columns[at].1)
    }

    /// The groups of value columns that are no maps.
    pub fn groups_of(&self, columns: &[ColumnId]) -> GroupSet {
        let mut groups = GroupSet::default();
        let columns = columns.iter().filter(|column| self.map(**column).is_none());
        columns.for_each(|column| groups.insert(self.place_of(*column)));
        groups
    }

    /// Those of some value columns that are in the group at a place, ascending as they are.
    pub fn columns_in(&self, place: usize, columns: &[ColumnId]) -> Vec<ColumnId> {
        let is_inside =
            |column: &ColumnId| self.place_of(*column) == place && self.map(*column).is_none();
        columns.iter().copied().filter(is_inside).collect()
    }

    /// All value columns of some groups, ascending.
    pub fn columns_of(&self, groups: GroupSet) -> Vec<ColumnId> {
        let inside = self.columns.iter().filter(|(_, place)| groups.contains(*place));
        inside.map(|(id, _)| *id).collect()
    }

    /// What a row's change is to each group it is written in, the default one first. To those of maps it is
    /// [`super::map_entries`].
    pub fn parts(&self, change: &RowChange) -> Vec<(LocalityGroupId, GroupPart)> {
        let mutation = &change.row;
        let mut cells: Vec<CellsBuilder> = Vec::new();
        cells.resize_with(self.groups.len().max(1), CellsBuilder::default);
        let mut written = GroupSet::DEFAULT;
        for (column, cell) in mutation.cells.iter() {
            let place = self.place_of(column);
            written.insert(place);
            cells[place].push(column, cell);
        }
        if mutation.flags != 0 {
            written = self.all();
        }
        for (_, dated) in &change.dated.0 {
            dated.iter().for_each(|(column, _)| written.insert(self.place_of(column)));
        }
        let part = |place: usize| {
            let group = self.groups.get(place);
            let id = group.map_or_else(LocalityGroupId::default, |group| group.id);
            let mut row = RowMutation { flags: mutation.flags, cells: cells[place].finish() };
            let mut dated = DatedCells::default();
            if group.is_some_and(|group| !group.timestamps.is_server()) {
                // The default group says which rows there are.
                row.flags &= !ROW_MARKER;
                dated = change.dated.of_columns(|column| self.place_of(column) == place);
            }
            let is_nothing = place > 0 && row.flags == 0 && dated.is_empty();
            let is_nothing = is_nothing && row.cells.iter().next().is_none();
            (!is_nothing).then_some((id, GroupPart { row, dated }))
        };
        written.places().filter_map(part).collect()
    }
}

#[cfg(test)]
mod tests;
