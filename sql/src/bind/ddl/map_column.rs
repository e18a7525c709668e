//! Columns of maps: each is a family of its own, holds no NULL and is part of no key (rule 35).
//!
//! A map column's family is the one that lists it alone, or that has its name and lists nothing; else one of its name
//! is made.

use crate::bind::ddl::family::{declare_map_family, own_group};
use crate::catalog::model::{FamilyId, IndexColumn, Table};
use crate::error::{SqlError, SqlState};
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::types::DataType;

/// Refuses what is said of a map column and cannot be.
pub(super) fn check_options(
    name: &str,
    data_type: &DataType,
    (not_null, has_default, has_identity): (bool, bool, bool),
) -> Result<(), SqlError> {
    if !data_type.is_map() {
        return Ok(());
    }
    let what = match (not_null, has_default, has_identity) {
        (true, _, _) => "NOT NULL",
        (_, true, _) => "a default",
        (_, _, true) => "an identity",
        _ => return Ok(()),
    };
    let message = format!("column \"{name}\" of type {data_type} cannot have {what}");
    Err(SqlError::unsupported(message)
        .with_hint("A map column is never NULL: without keys it is an empty map."))
}

/// Binds the map columns of a table whose columns, constraints and families are all there.
pub(super) fn bind(table: &mut Table) -> Result<(), SqlError> {
    let maps: Vec<(ColumnId, String)> = table
        .live_columns()
        .filter(|column| column.data_type.is_map())
        .map(|column| (column.id, column.name.to_string()))
        .collect();
    for (id, name) in &maps {
        check_constraints(table, *id, name)?;
        let family = own_family(table, *id, name)?;
        if let Some(column) = table.column_mut(*id) {
            column.family = family;
        }
        give_group(table, family, name)?;
    }
    Ok(())
}

fn check_constraints(table: &Table, id: ColumnId, name: &str) -> Result<(), SqlError> {
    let checked = table
        .checks
        .iter()
        .any(|check| check.sql.references().iter().any(|reference| reference.column == Some(id)));
    let indexed = table.indexes.iter().any(|index| {
        let is_key = index.keys.iter().any(|key| key.column == IndexColumn::Column(id));
        is_key || index.include.contains(&id)
    });
    match (checked, indexed || table.key_position(id).is_some()) {
        (true, _) => {
            let message = format!("CHECK of map column \"{name}\" is not supported");
            Err(SqlError::unsupported(message))
        }
        (_, true) => {
            let message = format!("map column \"{name}\" cannot be part of a key");
            Err(SqlError::unsupported(message))
        }
        _ => Ok(()),
    }
}

/// The entries of a map are the rows of a locality group, where nothing else can be.
fn give_group(table: &mut Table, family: FamilyId, name: &str) -> Result<(), SqlError> {
    let group = table.families.group_of(family);
    if group == LocalityGroupId::default() {
        return own_group(table, family);
    }
    let shares = table.families.in_group(group).any(|other| other.id != family)
        || table.families.group_name(group) != table.families.name_of(family);
    if shares {
        let message = format!("map column \"{name}\" cannot be in a declared locality group");
        return Err(SqlError::unsupported(message)
            .with_hint("Give the storage options to its family, which has a group of its own."));
    }
    table.families.mark_as_entries(group);
    Ok(())
}

/// The family that holds this column and nothing else.
fn own_family(table: &mut Table, id: ColumnId, name: &str) -> Result<FamilyId, SqlError> {
    let named = table.column(id).map(|column| column.family).unwrap_or_default();
    let family = match (named.is_default(), table.families.by_name(name)) {
        (false, _) => named,
        (true, Some(known)) if !known.is_default() => known,
        (true, _) => return declare_map_family(table, name),
    };
    let other = table.live_columns().find(|other| other.family == family && other.id != id);
    match other {
        None => Ok(family),
        Some(other) => Err(SqlError::new(
            SqlState::INVALID_TABLE_DEFINITION,
            format!(
                "family \"{}\" holds column \"{}\" beside map column \"{name}\"",
                table.families.name_of(family),
                other.name
            ),
        )
        .with_detail("A map column is a family of its own.")),
    }
}
