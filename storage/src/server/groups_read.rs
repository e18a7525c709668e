//! Which locality groups of its row a program reads under the row's lock: a counter beside a large page need not
//! fetch the page.
//!
//! The default group always: it says whether the row is there. Then those of the columns that expressions read, of
//! the columns that are written, of all columns where the row is returned, and of those that constraints look at.

use crate::tablet::directory::HeldSchemas;
use crate::tablet::layout::GroupSet;
use terrane_client::expr::Expr;
use terrane_client::ids::ColumnId;
use terrane_client::program::{Action, OnConflict, Returning, RowProgram};

/// See the module's documentation.
pub(super) fn groups_read(program: &RowProgram, schemas: &HeldSchemas) -> GroupSet {
    let layout = &schemas.layout;
    if layout.is_single() {
        return GroupSet::DEFAULT;
    }
    let is_returned = program.returning == Returning::Row;
    let mut groups = GroupSet::DEFAULT;
    let mut read = |id: ColumnId| groups.insert(layout.place_of(id));
    if let Some(condition) = &program.condition {
        condition.each_column(&mut read);
    }
    let assignments: &[(ColumnId, Expr)] = match &program.action {
        Action::Update { assignments }
        | Action::Upsert { conflict: OnConflict::DoUpdate { assignments }, .. } => assignments,
        // What it puts in the row's place it has itself.
        Action::Put { .. } => return groups,
        Action::Upsert { conflict: OnConflict::DoNothing, .. } | Action::Delete | Action::Check => {
            return if is_returned { layout.all() } else { groups };
        }
    };
    for (column, value) in assignments {
        read(*column);
        value.each_column(&mut read);
    }
    let constrained = schemas.widest.value_columns().filter(|column| column.not_null);
    constrained.for_each(|column| read(column.id));
    schemas.current.checks.iter().for_each(|check| check.expr.each_column(&mut read));
    if is_returned { layout.all() } else { groups }
}
