//! Families: columns that are kept and stored alike, and the locality groups they are in (rule 37).
//!
//! Every table has a family and a locality group `default`. A column is in the family that is named with it, else
//! in `default`; key columns are in none. Identifiers of families and groups are never reused.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terrane_client::ids::LocalityGroupId;
use terrane_client::schema::{CellGc, GROUPS_MAX, GroupOptions, LocalityGroup, Timestamps};

/// Families of a table at most: as many as it can have columns.
pub const FAMILIES_MAX: usize = 1600;

/// The name of the family and of the locality group that every table has.
pub const DEFAULT_NAME: &str = "default";

/// A family of one table. 0 is `default`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FamilyId(pub u32);

impl FamilyId {
    /// True for the family every table has.
    pub fn is_default(&self) -> bool {
        self.0 == 0
    }
}

/// A family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// Its identifier.
    pub id: FamilyId,
    /// Its name, unique in its table.
    pub name: Arc<str>,
    /// Where its columns are stored.
    pub group: LocalityGroupId,
    /// Which versions of its cells are kept.
    #[serde(default, skip_serializing_if = "CellGc::is_default")]
    pub gc: CellGc,
}

/// The families and locality groups of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Families {
    /// Without `default`, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    families: Vec<Family>,
    /// Ascending; `default` is among them only where something is said of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<LocalityGroup>,
    /// Which versions of the cells of `default` are kept.
    #[serde(default, skip_serializing_if = "CellGc::is_default")]
    default_gc: CellGc,
    #[serde(default)]
    last_family: u32,
    #[serde(default)]
    last_group: u16,
}

/// More families or groups than a table can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Of which there are too many.
    pub what: &'static str,
    /// How many there can be.
    pub limit: usize,
}

impl Families {
    /// True where there is nothing but `default`, and nothing is said of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The families but `default`, ascending.
    pub fn declared(&self) -> &[Family] {
        &self.families
    }

    /// The family with this name.
    pub fn by_name(&self, name: &str) -> Option<FamilyId> {
        if name == DEFAULT_NAME {
            return Some(FamilyId::default());
        }
        self.families.iter().find(|family| &*family.name == name).map(|family| family.id)
    }

    /// A family's name.
    pub fn name_of(&self, id: FamilyId) -> &str {
        let known = self.families.iter().find(|family| family.id == id);
        known.map_or(DEFAULT_NAME, |family| &family.name)
    }

    /// Where a family's columns are stored.
    pub fn group_of(&self, id: FamilyId) -> LocalityGroupId {
        let known = self.families.iter().find(|family| family.id == id);
        known.map_or_else(LocalityGroupId::default, |family| family.group)
    }

    /// Which versions of a family's cells are kept.
    pub fn gc_of(&self, id: FamilyId) -> CellGc {
        let known = self.families.iter().find(|family| family.id == id);
        known.map_or(self.default_gc, |family| family.gc)
    }

    /// The same, to be changed.
    pub fn gc_mut(&mut self, id: FamilyId) -> &mut CellGc {
        let Self { families, default_gc, .. } = self;
        let known = families.iter_mut().find(|family| family.id == id);
        known.map_or(default_gc, |family| &mut family.gc)
    }

    /// All locality groups, as tablets know them: rows end with the cells of `default` (rule 36).
    pub fn tablet_groups(&self) -> Vec<LocalityGroup> {
        let marker_gc = match self.default_gc.newest_ttl() {
            Some(_) => self.default_gc,
            None => CellGc::default(),
        };
        let groups = self.groups().into_iter();
        groups.map(|group| LocalityGroup { marker_gc, ..group }).collect()
    }

    /// All locality groups, `default` first.
    pub fn groups(&self) -> Vec<LocalityGroup> {
        let mut groups = self.groups.clone();
        if groups.first().is_none_or(|first| first.id != LocalityGroupId::default()) {
            groups.insert(0, LocalityGroup::default_group());
        }
        groups
    }

    /// The locality group with this name.
    pub fn group_by_name(&self, name: &str) -> Option<LocalityGroupId> {
        let known = self.groups.iter().find(|group| group.name == name).map(|group| group.id);
        known.or_else(|| (name == DEFAULT_NAME).then(LocalityGroupId::default))
    }

    /// True where no other family is stored in the group of this one.
    pub fn has_group_alone(&self, id: FamilyId) -> bool {
        let group = self.group_of(id);
        let others = self.families.iter().filter(|family| family.id != id);
        group != LocalityGroupId::default() && others.into_iter().all(|other| other.group != group)
    }

    /// Adds a family, whose name is free.
    pub fn add(&mut self, name: &str, group: LocalityGroupId) -> Result<FamilyId, TooMany> {
        if self.families.len() + 1 >= FAMILIES_MAX {
            return Err(TooMany { what: "families", limit: FAMILIES_MAX });
        }
        self.last_family += 1;
        let id = FamilyId(self.last_family);
        self.families.push(Family { id, name: name.into(), group, gc: CellGc::default() });
        Ok(id)
    }

    /// Adds a locality group, whose name is free. `has_markers` where the table has no rows yet.
    pub fn add_group(
        &mut self,
        name: &str,
        options: GroupOptions,
        has_markers: bool,
    ) -> Result<LocalityGroupId, TooMany> {
        if self.groups().len() >= GROUPS_MAX {
            return Err(TooMany { what: "locality groups", limit: GROUPS_MAX });
        }
        self.last_group += 1;
        let id = LocalityGroupId(self.last_group);
        self.groups.push(LocalityGroup {
            id,
            name: name.to_owned(),
            has_markers,
            marker_gc: CellGc::default(),
            timestamps: Timestamps::Server,
            options,
        });
        Ok(id)
    }

    /// Gives the cells of a new group timestamps of the client's. Which rows there are only the default group says.
    pub fn mark_as_dated(&mut self, id: LocalityGroupId) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.id == id) {
            (group.timestamps, group.has_markers) = (Timestamps::Client, false);
        }
    }

    /// Whose timestamps the cells of a group have.
    pub fn timestamps_in(&self, id: LocalityGroupId) -> Timestamps {
        let known = self.groups.iter().find(|group| group.id == id);
        known.map_or(Timestamps::Server, |group| group.timestamps)
    }

    /// True where the cells of a family have timestamps of the client's.
    pub fn is_dated(&self, id: FamilyId) -> bool {
        !self.timestamps_in(self.group_of(id)).is_server()
    }

    /// True where the cells of some family have.
    pub fn has_dated(&self) -> bool {
        self.groups.iter().any(|group| !group.timestamps.is_server())
    }

    /// A locality group's name.
    pub fn group_name(&self, id: LocalityGroupId) -> &str {
        let known = self.groups.iter().find(|group| group.id == id);
        known.map_or(DEFAULT_NAME, |group| &group.name)
    }

    /// Puts a family that has no columns stored yet into another group.
    pub fn move_to(&mut self, id: FamilyId, group: LocalityGroupId) {
        if let Some(family) = self.families.iter_mut().find(|family| family.id == id) {
            family.group = group;
        }
    }

    /// A group's rows are the entries of a map column: each has its own marker, whatever rows the table had before.
    pub fn mark_as_entries(&mut self, id: LocalityGroupId) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.id == id) {
            group.has_markers = true;
        }
    }

    /// Removes the family of a map column and its group: what is stored there is nothing that another column could read.
    pub fn remove_with_group(&mut self, id: FamilyId) {
        let group = self.group_of(id);
        self.families.retain(|family| family.id != id);
        self.groups.retain(|known| known.id != group);
    }

    /// How a group is stored, to be changed.
    pub fn options_mut(&mut self, id: LocalityGroupId) -> Option<&mut GroupOptions> {
        let is_default = id == LocalityGroupId::default();
        if is_default && !self.groups.iter().any(|group| group.id == id) {
            self.groups.insert(0, LocalityGroup::default_group());
        }
        let group = self.groups.iter_mut().find(|group| group.id == id);
        group.map(|group| &mut group.options)
    }

    /// Gives a family another name, which is free.
    pub fn rename(&mut self, id: FamilyId, name: &str) {
        if let Some(family) = self.families.iter_mut().find(|family| family.id == id) {
            family.name = name.into();
        }
    }

    /// Removes a family without columns, and the group that was made for it.
    pub fn remove(&mut self, id: FamilyId) {
        let (group, name) = (self.group_of(id), self.name_of(id).to_owned());
        let is_own = self.has_group_alone(id);
        self.families.retain(|family| family.id != id);
        if is_own {
            self.groups.retain(|known| known.id != group || known.name != name);
        }
    }

    /// Removes a locality group that no family is in.
    pub fn remove_group(&mut self, id: LocalityGroupId) {
        self.groups.retain(|group| group.id != id);
    }

    /// The families stored in a group, by name.
    pub fn in_group(&self, id: LocalityGroupId) -> impl Iterator<Item = &Family> {
        self.families.iter().filter(move |family| family.group == id)
    }

    /// In a new storage every row's marker is in every group.
    pub fn start_over(&mut self) {
        let groups = self.groups.iter_mut().filter(|group| group.timestamps.is_server());
        groups.for_each(|group| group.has_markers = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_never_reused_and_groups_go_with_their_family() {
        let mut families = Families::default();
        assert!(families.is_empty());
        let options = GroupOptions::default();
        let own = families.add_group("a", options, true).unwrap();
        let a = families.add("a", own).unwrap();
        let shared = families.add_group("s", options, true).unwrap();
        let b = families.add("b", shared).unwrap();
        assert!(families.has_group_alone(a) && families.has_group_alone(b));
        families.remove(a);
        families.remove(b);
        // `s` was declared by itself.
        let names: Vec<String> = families.groups().into_iter().map(|group| group.name).collect();
        assert_eq!(names, ["default", "s"]);
        assert_eq!(families.add("a", shared), Ok(FamilyId(3)));
        assert_eq!(families.add_group("a", options, false), Ok(LocalityGroupId(3)));
    }

    #[test]
    fn there_are_sixty_four_groups_at_most() {
        let mut families = Families::default();
        for at in 1..GROUPS_MAX {
            families.add_group(&format!("g{at}"), GroupOptions::default(), true).unwrap();
        }
        let one_more = families.add_group("more", GroupOptions::default(), true);
        assert_eq!(one_more, Err(TooMany { what: "locality groups", limit: GROUPS_MAX }));
        // What is said of `default` makes no group of its own.
        families.options_mut(LocalityGroupId::default()).unwrap().in_memory = true;
        assert_eq!(families.groups().len(), GROUPS_MAX);
    }
}
