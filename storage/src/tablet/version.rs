//! What a reader pins: a tablet's memtables and runs at one moment, of all its locality groups (rule 14).

use super::group_version::GroupVersion;
use super::layout::{GroupLayout, GroupSet};
use crate::scan::{MapColumn, ReadTime};
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq};
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::row::{CellsBuilder, PackedCells, Row, merge_cells};

/// A tablet at one moment. Only active memtables grow; a reader passes over what is newer than its
/// timestamp. Files stay readable while a version names them, removed or not.
#[derive(Clone, Debug)]
pub struct Version {
    /// The default group is the first.
    groups: Vec<GroupVersion>,
    /// Reads below this are refused: what they would need may be gone (rule 7).
    pub gc_floor: CommitTs,
}

impl Version {
    /// A tablet with these groups.
    ///
    /// # Panics
    /// Where the default group is not the first: rows would have no versions.
    pub fn new(gc_floor: CommitTs, groups: Vec<GroupVersion>) -> Self {
        let first = groups.first().map(|group| group.id);
        assert_eq!(first, Some(LocalityGroupId::default()), "every tablet has the default group");
        Self { groups, gc_floor }
    }

    /// The groups, the default one first.
    pub fn groups(&self) -> &[GroupVersion] {
        &self.groups
    }

    /// The default group, which has every row.
    pub fn default_group(&self) -> &GroupVersion {
        &self.groups[0]
    }

    /// A group, if the tablet has it.
    pub fn group(&self, id: LocalityGroupId) -> Option<&GroupVersion> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// Bytes of all memtables.
    pub fn memtable_bytes(&self) -> usize {
        self.groups.iter().map(GroupVersion::memtable_bytes).sum()
    }

    /// Memtables that wait to be flushed.
    pub fn frozen_count(&self) -> usize {
        self.groups.iter().map(|group| group.frozen().len()).sum()
    }

    /// Runs of the group that has the most.
    pub fn runs_most(&self) -> usize {
        self.groups.iter().map(|group| group.sources.runs.len()).max().unwrap_or_default()
    }

    /// The smallest seq that only memtables hold.
    pub fn first_unflushed(&self) -> Option<Seq> {
        self.groups.iter().filter_map(GroupVersion::first_unflushed).min()
    }

    /// A row as a read sees it, with the cells of `columns`, which ascend, and perhaps of more columns of
    /// their groups. Of its maps as much as `parts` says.
    pub fn get(
        &self,
        key: &[u8],
        time: ReadTime,
        layout: &GroupLayout,
        columns: &[ColumnId],
        parts: &MapParts,
    ) -> Result<Option<Row>, TabletError> {
        let sources = &self.default_group().sources;
        if layout.is_single() {
            return Ok(sources.get(key, time, layout.gc(0), columns)?);
        }
        let own = layout.columns_in(0, columns);
        let Some(mut row) = sources.get(key, time, layout.gc(0), &own)? else {
            return Ok(None);
        };
        let others = layout.groups_of(columns).without(GroupSet::DEFAULT);
        self.add_cells(key, time, layout, others, columns, &mut row)?;
        for map in layout.maps().iter().filter(|map| columns.contains(&map.column)) {
            let cell = self.map_cell(key, time, map, parts.of(map.column))?;
            row.cells = merge_cells(&[cell, row.cells]);
        }
        Ok(Some(row))
    }

    /// A row's map, or the part of it that is wanted, as a cell.
    pub fn map_cell(
        &self,
        key: &[u8],
        time: ReadTime,
        map: &MapColumn,
        part: &MapPart,
    ) -> Result<PackedCells, TabletError> {
        let sources = self.group(map.group).map(|group| group.sources.clone()).unwrap_or_default();
        let mut cells = CellsBuilder::default();
        cells.push(map.column, Some(&map.read(&sources, key, part, time)?));
        Ok(cells.finish())
    }

    /// Adds to a row the cells that some more groups have of `columns`, which ascend.
    pub fn add_cells(
        &self,
        key: &[u8],
        time: ReadTime,
        layout: &GroupLayout,
        groups: GroupSet,
        columns: &[ColumnId],
        row: &mut Row,
    ) -> Result<(), TabletError> {
        let mut all = vec![row.cells.clone()];
        for place in groups.places() {
            let Some(group) = layout.groups().get(place).and_then(|group| self.group(group.id))
            else {
                continue;
            };
            let (gc, own) = (layout.gc(place), layout.columns_in(place, columns));
            let (cells, times) = group.sources.cells(key, time, gc, &own)?;
            all.push(cells);
            row.times.extend(&times);
        }
        row.cells = merge_cells(&all);
        Ok(())
    }

    /// The same with one group changed.
    pub fn with_group(
        &self,
        id: LocalityGroupId,
        change: impl FnOnce(&GroupVersion) -> GroupVersion,
    ) -> Self {
        let mut changed = self.clone();
        if let Some(group) = changed.groups.iter_mut().find(|group| group.id == id) {
            *group = change(group);
        }
        changed
    }

    /// The same with the groups of a layout that it does not have yet, empty.
    pub fn with_layout(&self, layout: &GroupLayout) -> Self {
        let mut changed = self.clone();
        let added = layout.groups().iter().filter(|group| self.group(group.id).is_none());
        changed.groups.extend(added.map(|group| GroupVersion::empty(group.id)));
        changed
    }

    /// The same without some groups.
    pub fn without_groups(&self, ids: &[LocalityGroupId]) -> Self {
        let mut changed = self.clone();
        changed.groups.retain(|group| !ids.contains(&group.id));
        changed
    }

    /// The same with a raised floor.
    pub fn with_floor(mut self, gc_floor: CommitTs) -> Self {
        self.gc_floor = self.gc_floor.max(gc_floor);
        self
    }
}
