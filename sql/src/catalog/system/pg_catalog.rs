//! The rows of pg_catalog that come from the snapshot or the session.

mod attribute;
mod class;
mod constraint;
mod database;
mod depend;
pub(crate) mod description;
mod extension;
mod index;
mod sequence;
mod session;
mod statistics;
mod types;
mod views;

use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

type Compute = fn(&'static SystemRelation, &Facts) -> Result<RecordBatch, SqlError>;

/// Relations whose rows are computed, beside those they ship with.
const COMPUTED: &[(&str, Compute)] = &[
    ("pg_attrdef", attribute::defaults),
    ("pg_attribute", attribute::rows),
    ("pg_authid", database::authid),
    ("pg_class", class::rows),
    ("pg_constraint", constraint::rows),
    ("pg_database", database::databases),
    ("pg_depend", depend::rows),
    ("pg_description", description::rows),
    ("pg_extension", extension::rows),
    ("pg_index", index::rows),
    ("pg_indexes", views::indexes),
    ("pg_init_privs", database::initial_privileges),
    ("pg_namespace", database::namespaces),
    ("pg_rewrite", depend::rewrites),
    ("pg_roles", database::roles),
    ("pg_sequence", sequence::rows),
    ("pg_sequences", sequence::view),
    ("pg_settings", session::settings),
    ("pg_shdescription", description::shared),
    ("pg_stat_activity", session::activity),
    ("pg_stat_all_tables", statistics::all_tables),
    ("pg_stat_database", statistics::database),
    ("pg_stat_sys_tables", statistics::system_tables),
    ("pg_stat_user_indexes", statistics::indexes),
    ("pg_stat_user_tables", statistics::tables),
    ("pg_stat_xact_all_tables", statistics::all_tables),
    ("pg_stat_xact_sys_tables", statistics::system_tables),
    ("pg_stat_xact_user_tables", statistics::tables),
    ("pg_statio_all_sequences", statistics::sequences),
    ("pg_statio_all_tables", statistics::all_tables),
    ("pg_statio_sys_tables", statistics::system_tables),
    ("pg_statio_user_indexes", statistics::indexes),
    ("pg_statio_user_sequences", statistics::sequences),
    ("pg_statio_user_tables", statistics::tables),
    ("pg_tables", views::tables),
    ("pg_type", types::rows),
    ("pg_user", database::users),
    ("pg_views", views::views),
];

/// Relations that are empty because Terrane has none of what they list, or that only ship with rows.
const EMPTY: &[&str] = &[
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_auth_members",
    "pg_available_extension_versions",
    "pg_available_extensions",
    "pg_cast",
    "pg_collation",
    "pg_conversion",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_enum",
    "pg_event_trigger",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_inherits",
    "pg_language",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_locks",
    "pg_matviews",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_xacts",
    "pg_proc",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_replication_origin",
    "pg_replication_origin_status",
    "pg_replication_slots",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_shdepend",
    "pg_shseclabel",
    "pg_stat_progress_analyze",
    "pg_stat_progress_basebackup",
    "pg_stat_progress_cluster",
    "pg_stat_progress_copy",
    "pg_stat_progress_create_index",
    "pg_stat_progress_vacuum",
    "pg_stat_replication",
    "pg_stat_replication_slots",
    "pg_stat_subscription",
    "pg_stat_subscription_stats",
    "pg_stat_user_functions",
    "pg_stat_wal_receiver",
    "pg_stat_xact_user_functions",
    "pg_statio_sys_sequences",
    "pg_statistic",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_tablespace",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_user_mapping",
    "pg_user_mappings",
];

/// The computed rows of a relation; 0A000 where its truth is not known here.
pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<Option<RecordBatch>, SqlError> {
    let name = relation.name.as_str();
    if let Ok(found) = COMPUTED.binary_search_by_key(&name, |(name, _)| name) {
        return COMPUTED[found].1(relation, facts).map(Some);
    }
    match EMPTY.binary_search(&name) {
        Ok(_) => Ok(Some(RecordBatch::new_empty(relation.arrow.clone()))),
        Err(_) => Err(SqlError::unsupported(format!("reading {name} is not supported"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::oid::Oid;
    use crate::catalog::system::relations::by_name;

    #[test]
    fn the_lists_are_sorted_and_name_relations_that_exist() {
        assert!(COMPUTED.is_sorted_by_key(|(name, _)| name) && EMPTY.is_sorted());
        let names = COMPUTED.iter().map(|(name, _)| name).chain(EMPTY);
        for name in names {
            assert!(by_name(Oid::PG_CATALOG, name).is_some(), "{name}");
        }
    }
}
