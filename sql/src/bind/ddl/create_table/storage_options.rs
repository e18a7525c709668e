//! What CREATE TABLE says about storage. But for the history and the purge, it cannot change an answer, so it is accepted with
//! a NOTICE (rule 43); `\d+` and pg_class.reloptions show it.

use crate::bind::ddl::Ddl;
use crate::bind::ddl::create_table::TableAttributes;
use crate::bind::ddl::history::{self, TimeOptions};
use crate::bind::ddl::tablets::{self, TabletOptions};
use crate::error::{SqlError, SqlState};

/// PostgreSQL 15's storage parameters of tables.
const TABLE_PARAMETERS: &[&str] = &[
    "fillfactor",
    "log_autovacuum_min_duration",
    "parallel_workers",
    "toast_tuple_target",
    "user_catalog_table",
    "vacuum_index_cleanup",
    "vacuum_truncate",
];

/// PostgreSQL 15's storage parameters of indexes.
pub(crate) const INDEX_PARAMETERS: &[&str] = &[
    "autosummarize",
    "buffering",
    "deduplicate_items",
    "fastupdate",
    "fillfactor",
    "gin_pending_list_limit",
    "pages_per_range",
];

/// True for a storage parameter of tables.
pub(crate) fn is_table_parameter(name: &str) -> bool {
    let name = name.strip_prefix("toast.").unwrap_or(name);
    TABLE_PARAMETERS.contains(&name) || name.starts_with("autovacuum_")
}

impl Ddl<'_> {
    /// For how long dead versions are kept, what is said of tablets, and the options to keep, as `name=value`.
    pub(super) fn table_options(
        &mut self,
        attributes: TableAttributes,
    ) -> Result<(TimeOptions, TabletOptions, Vec<String>), SqlError> {
        let TableAttributes {
            temporary: _,
            unlogged,
            access_method,
            options,
            on_commit: _,
            tablespace,
        } = attributes;
        if unlogged {
            self.ignored("UNLOGGED", "the table is logged like any other");
        }
        if let Some(method) = access_method {
            self.check_access_method(&method, &["heap"])?;
        }
        if let Some(tablespace) = tablespace {
            self.check_tablespace(&tablespace)?;
        }
        let (times, others) = history::take(options)?;
        let (tablets, others) = tablets::take(others)?;
        let mut kept = kept_options(self, others, is_table_parameter)?;
        let given = times.history.iter().chain(&times.purge_within);
        kept.extend(given.map(|time| time.shown.clone()));
        kept.extend(tablets.shown.iter().cloned());
        Ok((times, tablets, kept))
    }

    /// NOTICE: a clause that changes nothing.
    pub fn ignored(&mut self, clause: &str, why: &str) {
        let state = SqlState("00000");
        self.notice(SqlError::new(state, format!("{clause} has no effect: {why}")));
    }

    /// 42704 for an access method there is none of.
    pub fn check_access_method(&mut self, name: &str, known: &[&str]) -> Result<(), SqlError> {
        if known.contains(&name) {
            self.ignored(
                &format!("USING {name}"),
                "there is one way tables and indexes are stored",
            );
            return Ok(());
        }
        let message = format!("access method \"{name}\" does not exist");
        Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
    }

    /// 42704 for a tablespace there is none of.
    pub fn check_tablespace(&mut self, name: &str) -> Result<(), SqlError> {
        if name == "pg_default" {
            self.ignored("TABLESPACE pg_default", "there are no tablespaces");
            return Ok(());
        }
        let message = format!("tablespace \"{name}\" does not exist");
        Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
    }
}

/// Options as they are kept: `name=value`. Unknown ones are 22023.
pub(crate) fn kept_options(
    ddl: &mut Ddl<'_>,
    options: Vec<(String, Option<String>)>,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<String>, SqlError> {
    let mut kept = Vec::new();
    for (name, value) in options {
        // Once upon a time tables had OIDs; false is what everybody means.
        if name == "oids" && value.as_deref() == Some("false") {
            continue;
        }
        if !is_known(&name) {
            let message = format!("unrecognized parameter \"{name}\"");
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        ddl.ignored(&format!("storage parameter {name}"), "storage is laid out otherwise here");
        kept.push(format!("{name}={}", value.unwrap_or_else(|| "true".to_owned())));
    }
    Ok(kept)
}
