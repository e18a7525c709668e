//! Families and locality groups: of CREATE TABLE, and ALTER TABLE's changes of them.
//!
//! ```text
//! FAMILY f [(column, …)] [WITH (locality_group = 'g' | block_size, compression, bloom, in_memory,
//!                                max_versions, ttl, gc, timestamps)]
//! LOCALITY GROUP g [WITH (block_size, compression, bloom, in_memory)]
//! ```
//! Storage options on a family stand for a group of its own, with its name (rule 37).

mod options;
mod syntax;
mod versions;

pub use syntax::{FamilyChange, FamilyDefinition, GroupDefinition};
pub(crate) use syntax::{
    parse_alter, parse_family, parse_group, starts_add, starts_alter, starts_drop, starts_family,
    starts_group,
};
pub(crate) use versions::check_expiry;

use crate::bind::ddl::Ddl;
use crate::bind::ddl::alter_table::Altering;
use crate::bind::ddl::names::undefined_column;
use crate::catalog::model::{DEFAULT_NAME, FamilyId, Table, TooMany};
use crate::error::{SqlError, SqlState};
use options::{FamilyOptions, family_options, group_options};
use terrane_client::ids::LocalityGroupId;
use terrane_client::schema::{CellGc, GroupOptions, Timestamps};

/// 42704: a family that is not declared.
pub(crate) fn undefined_family(name: &str, table: &str) -> SqlError {
    let message = format!("family \"{name}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

fn undefined_group(name: &str, table: &str) -> SqlError {
    let message = format!("locality group \"{name}\" of relation \"{table}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}

fn duplicate(what: &str, name: &str, table: &str) -> SqlError {
    let message = format!("{what} \"{name}\" of relation \"{table}\" already exists");
    SqlError::new(SqlState::DUPLICATE_OBJECT, message)
}

fn too_many(TooMany { what, limit }: TooMany) -> SqlError {
    let message = format!("tables can have at most {limit} {what}");
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message)
}

/// The family that is named with a column.
pub(crate) fn family_of(table: &Table, name: Option<&str>) -> Result<FamilyId, SqlError> {
    match name {
        None => Ok(FamilyId::default()),
        Some(name) => {
            table.families.by_name(name).ok_or_else(|| undefined_family(name, &table.name))
        }
    }
}

/// Declares a locality group. One named `default` is the one that is there, to be stored otherwise.
pub(crate) fn declare_group(
    table: &mut Table,
    definition: &GroupDefinition,
    has_rows: bool,
) -> Result<(), SqlError> {
    let GroupDefinition { name, options } = definition;
    let wanted = group_options(options, GroupOptions::default())?;
    match table.families.group_by_name(name) {
        Some(id) if id == LocalityGroupId::default() && !has_rows => {
            if let Some(options) = table.families.options_mut(id) {
                *options = wanted;
            }
            Ok(())
        }
        Some(_) => Err(duplicate("locality group", name, &table.name)),
        None => {
            table.families.add_group(name, wanted, !has_rows).map_err(too_many)?;
            Ok(())
        }
    }
}

/// Declares a family, with a group of its own where it has storage options. Its columns are put in later.
pub(crate) fn declare_family(
    table: &mut Table,
    definition: &FamilyDefinition,
    has_rows: bool,
) -> Result<(), SqlError> {
    let FamilyDefinition { name, options, .. } = definition;
    let options = family_options(options, CellGc::default())?;
    let FamilyOptions { group, mut storage, gc, timestamps, .. } = options;
    let is_dated = timestamps == Some(Timestamps::Client);
    if is_dated && (group.is_some() || name == DEFAULT_NAME) {
        return Err(stored_apart());
    }
    if is_dated {
        // Cells with timestamps of their own lie with none that have the commit's.
        storage = Some(storage.unwrap_or_default());
    }
    match table.families.by_name(name) {
        None => {}
        Some(known) if known.is_default() && !has_rows => {
            // The one every table has, to be kept otherwise.
            if group.is_some() || storage.is_some() {
                return Err(stored_as_default());
            }
            *table.families.gc_mut(known) = gc;
            return Ok(());
        }
        Some(_) => return Err(duplicate("family", name, &table.name)),
    }
    let group = match (group, storage) {
        (Some(group), None) => {
            let known = table.families.group_by_name(&group);
            let id = known.ok_or_else(|| undefined_group(&group, &table.name))?;
            if !table.families.timestamps_in(id).is_server() {
                return Err(stored_apart());
            }
            id
        }
        (Some(_), Some(_)) => {
            let message = "a family in a locality group is stored as the group says";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
                .with_hint("Give the storage options to the locality group."));
        }
        (None, None) => LocalityGroupId::default(),
        (None, Some(storage)) => {
            if table.families.group_by_name(name).is_some() {
                return Err(duplicate("locality group", name, &table.name));
            }
            table.families.add_group(name, storage, !has_rows).map_err(too_many)?
        }
    };
    if is_dated {
        table.families.mark_as_dated(group);
    }
    let family = table.families.add(name, group).map_err(too_many)?;
    *table.families.gc_mut(family) = gc;
    Ok(())
}

/// Declares the family of a map column that no family was declared for, with the column's name.
pub(super) fn declare_map_family(table: &mut Table, name: &str) -> Result<FamilyId, SqlError> {
    if name == DEFAULT_NAME {
        let message = "a map column named \"default\" needs a family of another name";
        return Err(SqlError::unsupported(message));
    }
    table.families.add(name, LocalityGroupId::default()).map_err(too_many)
}

/// Gives the family of a map column a locality group of its own, with its name.
pub(super) fn own_group(table: &mut Table, family: FamilyId) -> Result<(), SqlError> {
    let name = table.families.name_of(family).to_owned();
    if table.families.group_by_name(&name).is_some() {
        return Err(duplicate("locality group", &name, &table.name));
    }
    // Every entry has its own marker, whatever rows there were before.
    let group = table.families.add_group(&name, GroupOptions::default(), true).map_err(too_many)?;
    table.families.move_to(family, group);
    Ok(())
}

/// Puts the columns that a family lists into it. Key columns are in no family.
pub(crate) fn put_columns(
    table: &mut Table,
    definition: &FamilyDefinition,
) -> Result<(), SqlError> {
    let invalid = |message| Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
    let family = family_of(table, Some(&definition.name))?;
    for name in &definition.columns {
        let Some(id) = table.column_by_name(name).map(|column| column.id) else {
            return Err(undefined_column(name, &table.name));
        };
        if table.key_position(id).is_some() {
            return invalid(format!("column \"{name}\" is in the primary key and so in no family"));
        }
        let Some(column) = table.column_mut(id) else { continue };
        if !column.family.is_default() {
            return invalid(format!("column \"{name}\" is in more than one family"));
        }
        column.family = family;
    }
    Ok(())
}

/// Key columns are stored in the key: naming a family with one is a mistake.
pub(crate) fn check_key_families(table: &Table) -> Result<(), SqlError> {
    let named = table.key().iter().filter_map(|key| table.column(key.column));
    match named.into_iter().find(|column| !column.family.is_default()) {
        None => Ok(()),
        Some(column) => {
            let name = &column.name;
            let message = format!("column \"{name}\" is in the primary key and so in no family");
            Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message))
        }
    }
}

impl Ddl<'_> {
    /// A change of families of ALTER TABLE.
    pub(super) async fn alter_family(
        &mut self,
        altering: &mut Altering,
        change: FamilyChange,
    ) -> Result<(), SqlError> {
        let table = &mut altering.table;
        match change {
            FamilyChange::Add { if_not_exists, family } => {
                if if_not_exists && table.families.by_name(&family.name).is_some() {
                    return self.skipping(duplicate("family", &family.name, &table.name));
                }
                declare_family(table, &family, true)
            }
            FamilyChange::AddGroup(group) => declare_group(table, &group, true),
            FamilyChange::Set { name, options } => set_family(table, &name, &options),
            FamilyChange::Reset { name, options } => reset_family(table, &name, &options),
            FamilyChange::SetGroup { name, options } => {
                let known = table.families.group_by_name(&name);
                let id = known.ok_or_else(|| undefined_group(&name, &table.name))?;
                set_group(table, id, &options)
            }
            FamilyChange::Rename { name, to } => {
                let family = declared(table, &name)?;
                if table.families.by_name(&to).is_some() {
                    return Err(duplicate("family", &to, &table.name));
                }
                table.families.rename(family, &to);
                Ok(())
            }
            FamilyChange::Drop { if_exists, name, cascade } => {
                if table.families.by_name(&name).is_none() && if_exists {
                    return self.skipping(undefined_family(&name, &table.name));
                }
                self.drop_family(altering, &name, cascade).await
            }
            FamilyChange::DropGroup(name) => {
                let known = table.families.group_by_name(&name);
                let id = known.ok_or_else(|| undefined_group(&name, &table.name))?;
                if id == LocalityGroupId::default() {
                    return Err(is_everywhere("locality group"));
                }
                if let Some(family) = table.families.in_group(id).next() {
                    let message = format!(
                        "cannot drop locality group {name}: family {} is in it",
                        family.name
                    );
                    return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
                }
                table.families.remove_group(id);
                Ok(())
            }
        }
    }

    /// DROP FAMILY: its columns go with it.
    async fn drop_family(
        &mut self,
        altering: &mut Altering,
        name: &str,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let family = declared(&altering.table, name)?;
        let columns = altering.table.live_columns().filter(|column| column.family == family);
        let columns: Vec<String> = columns.map(|column| column.name.to_string()).collect();
        for column in columns {
            self.alter_drop_column(altering, &column, false, cascade).await?;
        }
        altering.table.families.remove(family);
        Ok(())
    }
}

/// Family `default` is in the group of that name, which says how it is stored.
fn stored_as_default() -> SqlError {
    let message = "family \"default\" is stored as locality group \"default\" says";
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
        .with_hint("Give the storage options to LOCALITY GROUP \"default\".")
}

/// Rule 6: a locality group has cells of one kind.
fn stored_apart() -> SqlError {
    let message = "a family with timestamps = 'client' has a locality group of its own";
    SqlError::unsupported(message)
}

fn is_everywhere(what: &str) -> SqlError {
    SqlError::unsupported(format!("every table has the {what} \"default\" as it is"))
}

/// A family that can be changed: not `default`.
fn declared(table: &Table, name: &str) -> Result<FamilyId, SqlError> {
    let known = table.families.by_name(name);
    let family = known.ok_or_else(|| undefined_family(name, &table.name))?;
    match family.is_default() {
        true => Err(is_everywhere("family")),
        false => Ok(family),
    }
}

fn set_family(
    table: &mut Table,
    name: &str,
    options: &[(String, Option<String>)],
) -> Result<(), SqlError> {
    let known = table.families.by_name(name);
    let family = known.ok_or_else(|| undefined_family(name, &table.name))?;
    let known = table.families.gc_of(family);
    let FamilyOptions { group, storage, storage_options, gc, timestamps } =
        family_options(options, known)?;
    let own = table.families.timestamps_in(table.families.group_of(family));
    if timestamps.is_some_and(|timestamps| timestamps != own) {
        let message = format!("changing whose timestamps family \"{name}\" has is not supported");
        return Err(
            SqlError::unsupported(message).with_hint("ADD a family with them, and columns in it.")
        );
    }
    if family.is_default() && (group.is_some() || storage.is_some()) {
        return Err(stored_as_default());
    }
    if group.is_some() {
        let message = "moving a family to another locality group is not supported";
        return Err(SqlError::unsupported(message));
    }
    *table.families.gc_mut(family) = gc;
    if storage.is_none() {
        return Ok(());
    }
    if !table.families.has_group_alone(family) {
        let message = format!("family \"{name}\" shares its locality group with others");
        return Err(SqlError::unsupported(message)
            .with_hint("ALTER LOCALITY GROUP … SET changes how a group is stored."));
    }
    set_group(table, table.families.group_of(family), &storage_options)
}

/// ALTER FAMILY … RESET: of what it says which versions are kept. How files are written is not reset.
fn reset_family(table: &mut Table, name: &str, options: &[String]) -> Result<(), SqlError> {
    let known = table.families.by_name(name);
    let family = known.ok_or_else(|| undefined_family(name, &table.name))?;
    for option in options {
        if !versions::is_one(option) {
            let message = format!("RESET of option \"{option}\" is not supported");
            return Err(SqlError::unsupported(message));
        }
        if option == "timestamps" && table.families.is_dated(family) {
            let message =
                format!("changing whose timestamps family \"{name}\" has is not supported");
            return Err(SqlError::unsupported(message));
        }
        versions::reset(table.families.gc_mut(family), option);
    }
    Ok(())
}

fn set_group(
    table: &mut Table,
    id: LocalityGroupId,
    options: &[(String, Option<String>)],
) -> Result<(), SqlError> {
    if let Some(known) = table.families.options_mut(id) {
        *known = group_options(options, *known)?;
    }
    Ok(())
}
