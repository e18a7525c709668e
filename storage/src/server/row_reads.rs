//! What of its row a program reads under the row's lock: a counter beside a large page need not fetch the page, nor one
//! key of a map the others.
//!
//! The default group always: it says whether the row is there. Then the groups of the columns that expressions read, of
//! the columns that are written, of all columns where the row is returned, and of those that constraints look at. Of
//! maps what expressions read: one that is written is not read for that.

use crate::tablet::directory::HeldSchemas;
use crate::tablet::layout::GroupSet;
use terrane_client::ids::ColumnId;
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::program::{Action, OnConflict, Returning, RowProgram};
use terrane_client::value::Value;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct RowReads {
    /// The groups whose cells are read.
    pub(super) groups: GroupSet,
    /// The maps that are read, and what of each.
    pub(super) maps: MapParts,
}

impl RowReads {
    /// What a program reads.
    pub(super) fn of(program: &RowProgram, schemas: &HeldSchemas) -> Self {
        let layout = &schemas.layout;
        let mut reads = Self { groups: GroupSet::DEFAULT, maps: MapParts::default() };
        if layout.is_single() {
            return reads;
        }
        let mut read = |id: ColumnId, key: Option<&Value>| match layout.map(id) {
            None => reads.groups.insert(layout.place_of(id)),
            Some(map) => reads.maps.add(id, MapPart::of_key(key, &map.of)),
        };
        program.each_read(&mut read);
        let assigned = program.assignments().iter().map(|(column, _)| *column);
        assigned.filter(|id| layout.map(*id).is_none()).for_each(|id| read(id, None));
        let constrains = match &program.action {
            Action::Update { .. }
            | Action::Upsert { conflict: OnConflict::DoUpdate { .. }, .. } => true,
            // What it puts in the row's place it has itself.
            Action::Put { .. } => return reads,
            Action::Upsert { conflict: OnConflict::DoNothing, .. }
            | Action::Delete
            | Action::Check => false,
        };
        if constrains {
            let constrained = schemas.widest.value_columns().filter(|column| column.not_null);
            constrained.for_each(|column| read(column.id, None));
            schemas.current.checks.iter().for_each(|check| check.expr.each_read(&mut read));
        }
        if program.returning == Returning::Row {
            reads.add_all(schemas);
        }
        reads
    }

    fn add_all(&mut self, schemas: &HeldSchemas) {
        self.groups = self.groups.union(schemas.layout.all());
        for map in schemas.layout.maps() {
            self.maps.add(map.column, MapPart::Whole);
        }
    }
}
