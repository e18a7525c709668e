//! What of its row a program reads under the row's lock: a counter beside a large page need not fetch the page, nor one
//! key of a map the others.
//!
//! The default group always: it says whether the row is there. Then the groups of the columns that expressions read, of
//! the columns that are written, of all columns where the row is returned, and of those that constraints look at. Of
//! maps what expressions read: one that is written is not read for that.

use crate::tablet::directory::HeldSchemas;
use crate::tablet::layout::GroupSet;
use bytes::Bytes;
use std::collections::BTreeSet;
use terrane_client::cell::map::encode_key;
use terrane_client::expr::Expr;
use terrane_client::ids::ColumnId;
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::program::{Action, OnConflict, Returning, RowProgram, each_read_of_assignment};
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
        let is_returned = program.returning == Returning::Row;
        let mut read = |id: ColumnId, key: Option<&Value>| match layout.map(id) {
            None => reads.groups.insert(layout.place_of(id)),
            Some(map) => {
                let key = key.map(|key| encode_key(key, &map.of));
                let part = match key {
                    // NULL, and what is no key of this type, is in no map.
                    Some(key) => MapPart::Keys(key.into_iter().map(Bytes::from).collect()),
                    None => MapPart::Whole,
                };
                reads.add(id, part);
            }
        };
        if let Some(condition) = &program.condition {
            condition.each_read(&mut read);
        }
        let assignments: &[(ColumnId, Expr)] = match &program.action {
            Action::Update { assignments }
            | Action::Upsert { conflict: OnConflict::DoUpdate { assignments }, .. } => assignments,
            // What it puts in the row's place it has itself.
            Action::Put { .. } => return reads,
            Action::Upsert { conflict: OnConflict::DoNothing, .. }
            | Action::Delete
            | Action::Check => {
                if is_returned {
                    reads.add_all(schemas);
                }
                return reads;
            }
        };
        for (column, value) in assignments {
            if layout.map(*column).is_none() {
                read(*column, None);
            }
            each_read_of_assignment(*column, value, &mut read);
        }
        let constrained = schemas.widest.value_columns().filter(|column| column.not_null);
        constrained.for_each(|column| read(column.id, None));
        schemas.current.checks.iter().for_each(|check| check.expr.each_read(&mut read));
        if is_returned {
            reads.add_all(schemas);
        }
        reads
    }

    fn add_all(&mut self, schemas: &HeldSchemas) {
        self.groups = self.groups.union(schemas.layout.all());
        for map in schemas.layout.maps() {
            self.add(map.column, MapPart::Whole);
        }
    }

    fn add(&mut self, column: ColumnId, part: MapPart) {
        let known = self.maps.0.remove(&column).unwrap_or(MapPart::Keys(BTreeSet::new()));
        self.maps.0.insert(column, known.union(part));
    }
}
