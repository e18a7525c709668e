//! Options of families that say which versions of their cells are kept, and by whose timestamps: max_versions, ttl, gc and
//! timestamps.

use super::options::invalid;
use crate::catalog::model::{Column, FamilyId, Table};
use crate::error::{SqlError, SqlState};
use crate::types::datetime::interval;
use crate::types::style::IntervalStyle;
use terrane_client::schema::{CellGc, GcMode, Timestamps};
use terrane_client::types::DataType;

/// The longest ttl: 100 years of 12 months of 30 days.
const TTL_MAX_MICROS: i64 = 100 * 12 * 30 * 86_400_000_000;

/// The options' names.
const NAMES: [&str; 4] = ["max_versions", "ttl", "gc", "timestamps"];

/// True for an option of this kind.
pub(super) fn is_one(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Changes a policy as an option says.
pub(super) fn set(gc: &mut CellGc, name: &str, value: Option<&str>) -> Result<(), SqlError> {
    let text = value.unwrap_or_default().trim();
    let wrong = || invalid(name, text);
    match name {
        "max_versions" => {
            let count = text.parse::<i32>().ok().filter(|count| *count >= 1);
            let count = count.and_then(|count| u32::try_from(count).ok()).ok_or_else(|| {
                wrong().with_detail("At least one version is kept, and at most 2147483647.")
            })?;
            gc.max_versions = count;
        }
        "ttl" => {
            let read = interval::parse(text, IntervalStyle::Postgres);
            let read = read.map_err(|error| wrong().with_detail(error.message.clone()))?;
            let micros = i64::try_from(read.comparable_micros()).ok();
            let micros = micros.filter(|micros| (1..=TTL_MAX_MICROS).contains(micros));
            gc.ttl_micros = Some(micros.ok_or_else(|| {
                wrong()
                    .with_detail("A ttl is more than nothing, and at most 100 years.")
                    .with_hint("ALTER TABLE … ALTER FAMILY … RESET (ttl) keeps cells for ever.")
            })?);
        }
        _ => {
            gc.mode = match text.to_ascii_lowercase().as_str() {
                "any" => GcMode::Any,
                "all" => GcMode::All,
                _ => return Err(wrong()),
            };
        }
    }
    Ok(())
}

/// Whose timestamps cells have.
pub(super) fn timestamps(value: Option<&str>) -> Result<Timestamps, SqlError> {
    let text = value.unwrap_or_default().trim();
    match text.to_ascii_lowercase().as_str() {
        "server" => Ok(Timestamps::Server),
        "client" => Ok(Timestamps::Client),
        _ => Err(invalid("timestamps", text)),
    }
}

/// Gives an option the value it has where nothing is said.
pub(super) fn reset(gc: &mut CellGc, name: &str) {
    let default = CellGc::default();
    match name {
        "max_versions" => gc.max_versions = default.max_versions,
        "ttl" => gc.ttl_micros = default.ttl_micros,
        "gc" => gc.mode = default.mode,
        _ => {}
    }
}

/// Rule 36, and what follows from rows that end by themselves: what must have a value does not expire by itself, and what
/// must be unique does not expire at all.
pub(crate) fn check_expiry(table: &Table) -> Result<(), SqlError> {
    let expires = |family: FamilyId| table.families.gc_of(family).newest_ttl().is_some();
    let values = table.live_columns().filter(|column| table.key_position(column.id).is_none());
    for column in values.filter(|column| column.not_null) {
        if !column.family.is_default() && expires(column.family) {
            let (name, family) = (&column.name, table.families.name_of(column.family));
            let message =
                format!("column \"{name}\" is NOT NULL, and cells of family \"{family}\" expire");
            let error = SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
            return Err(error.with_hint(
                "A ttl of family \"default\" ends whole rows; with gc = 'all' the newest version stays.",
            ));
        }
    }
    let is_map = |column: &&Column| matches!(column.data_type, DataType::Map(_));
    for column in table.live_columns().filter(is_map) {
        if table.families.is_dated(column.family) {
            let name = &column.name;
            let message =
                format!("timestamps = 'client' of map column \"{name}\" is not supported");
            return Err(SqlError::unsupported(message));
        }
    }
    for (index, _) in table.unique_indexes() {
        let columns = index.key_columns().unwrap_or_default();
        let columns = columns.into_iter().filter_map(|id| table.column(id));
        let mut families = columns.map(|column| column.family);
        if families.clone().any(|family| table.families.is_dated(family)) {
            let name = &index.name;
            let message = format!(
                "unique index \"{name}\" over cells with client timestamps is not supported"
            );
            return Err(SqlError::unsupported(message));
        }
        if expires(FamilyId::default()) || families.any(expires) {
            let message = format!(
                "unique index \"{}\" over what expires by itself is not supported",
                index.name
            );
            return Err(SqlError::unsupported(message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn after(options: &[(&str, &str)]) -> Result<CellGc, SqlState> {
        let mut gc = CellGc::default();
        for (name, value) in options {
            set(&mut gc, name, Some(value)).map_err(|error| error.state)?;
        }
        Ok(gc)
    }

    #[test]
    fn options_change_what_they_name() {
        let gc = after(&[("max_versions", "3"), ("ttl", "30 days"), ("gc", "ALL")]).unwrap();
        let ttl_micros = Some(30 * 86_400_000_000);
        assert_eq!(gc, CellGc { max_versions: 3, ttl_micros, mode: GcMode::All });
        let mut reset_ttl = gc;
        reset(&mut reset_ttl, "ttl");
        assert_eq!(reset_ttl, CellGc { ttl_micros: None, ..gc });
        assert_eq!(timestamps(Some("server")), Ok(Timestamps::Server));
        assert_eq!(timestamps(Some(" Client")), Ok(Timestamps::Client));
    }

    #[test]
    fn wrong_values_are_told() {
        let invalid = Err(SqlState::INVALID_PARAMETER_VALUE);
        for (name, value) in [
            ("max_versions", "0"),
            ("max_versions", "many"),
            ("ttl", "0"),
            ("ttl", "soon"),
            ("ttl", "-1 day"),
            ("ttl", "101 years"),
            ("gc", "some"),
        ] {
            assert_eq!(after(&[(name, value)]), invalid, "{name} = {value}");
        }
        let mine = timestamps(Some("mine")).map_err(|error| error.state);
        assert_eq!(mine, Err(SqlState::INVALID_PARAMETER_VALUE));
    }
}
