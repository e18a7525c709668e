//! information_schema: the SQL standard's view of the same snapshot.

mod columns;
mod constraints;
mod tables;

use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

type Compute = fn(&'static SystemRelation, &Facts) -> Result<RecordBatch, SqlError>;

/// Relations whose rows are computed.
const COMPUTED: &[(&str, Compute)] = &[
    ("applicable_roles", tables::no_rows),
    ("character_sets", tables::character_sets),
    ("check_constraints", constraints::checks),
    ("columns", columns::rows),
    ("constraint_column_usage", constraints::columns_used),
    ("constraint_table_usage", constraints::tables_used),
    ("enabled_roles", tables::enabled_roles),
    ("information_schema_catalog_name", tables::catalog_name),
    ("key_column_usage", constraints::key_columns),
    ("role_table_grants", tables::grants),
    ("schemata", tables::schemata),
    ("sequences", tables::sequences),
    ("table_constraints", constraints::rows),
    ("table_privileges", tables::grants),
    ("tables", tables::rows),
    ("views", tables::views),
];

/// Relations that are empty because Terrane has none of what they list.
const EMPTY: &[&str] = &[
    "administrable_role_authorizations",
    "attributes",
    "column_column_usage",
    "column_domain_usage",
    "column_options",
    "column_udt_usage",
    "data_type_privileges",
    "foreign_data_wrapper_options",
    "foreign_data_wrappers",
    "foreign_server_options",
    "foreign_servers",
    "foreign_table_options",
    "foreign_tables",
    "referential_constraints",
    "role_routine_grants",
    "role_udt_grants",
    "role_usage_grants",
    "transforms",
    "triggered_update_columns",
    "triggers",
    "user_mapping_options",
    "user_mappings",
];

/// A relation's rows; 0A000 where its truth is not known here.
pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let name = relation.name.as_str();
    if let Ok(found) = COMPUTED.binary_search_by_key(&name, |(name, _)| name) {
        return COMPUTED[found].1(relation, facts);
    }
    match EMPTY.binary_search(&name) {
        Ok(_) => Ok(RecordBatch::new_empty(relation.arrow.clone())),
        Err(_) => Err(SqlError::unsupported(format!(
            "reading information_schema.{name} is not supported"
        ))),
    }
}

/// YES or NO.
fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::oid::Oid;
    use crate::catalog::system::relations::by_name;

    #[test]
    fn the_lists_are_sorted_and_name_relations_that_exist() {
        assert!(COMPUTED.is_sorted_by_key(|(name, _)| name) && EMPTY.is_sorted());
        for name in COMPUTED.iter().map(|(name, _)| name).chain(EMPTY) {
            assert!(by_name(Oid::INFORMATION_SCHEMA, name).is_some(), "{name}");
        }
    }
}
