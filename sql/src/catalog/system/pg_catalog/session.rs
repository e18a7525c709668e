//! pg_settings and pg_stat_activity: what the session and its server know.

use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::session::settings;
use arrow::record_batch::RecordBatch;

/// pg_settings. Values are as SHOW gives them, with their unit, so the unit column is NULL.
pub(super) fn settings(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "name",
        "setting",
        "context",
        "vartype",
        "source",
        "enumvals",
        "boot_val",
        "reset_val",
        "pending_restart",
    ];
    let mut rows = Rows::new(relation, &columns);
    for known in settings::all() {
        let values = match known.kind.as_str() {
            "enum" => Cell::Texts(known.values.clone()),
            _ => Cell::Null,
        };
        rows.push(&[
            known.name.as_str().into(),
            facts.settings.get(&known.name)?.into(),
            known.context.as_str().into(),
            known.kind.as_str().into(),
            facts.settings.source(&known.name).into(),
            values,
            known.default.as_str().into(),
            facts.settings.reset_value(&known.name).into(),
            false.into(),
        ])?;
    }
    rows.finish()
}

/// pg_stat_activity: the connections.
pub(super) fn activity(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "datid",
        "datname",
        "pid",
        "usesysid",
        "usename",
        "application_name",
        "client_port",
        "query_start",
        "state",
        "query",
        "backend_type",
    ];
    let mut rows = Rows::new(relation, &columns);
    let Some(backends) = &facts.backends else { return rows.finish() };
    for backend in backends.list() {
        let own = backend.pid == facts.pid;
        let activity = backend.activity();
        let role = facts.catalog.role_by_name(&backend.user);
        let application = own.then(|| facts.settings.get("application_name").ok()).flatten();
        rows.push(&[
            Oid::DATABASE.into(),
            backend.database.as_str().into(),
            backend.pid.into(),
            Cell::from(role.map(|role| role.oid)),
            backend.user.as_str().into(),
            Cell::from(application),
            Cell::from(backend.peer.map(|peer| i64::from(peer.port()))),
            Cell::from(activity.query_micros),
            backend.state().into(),
            activity.query.as_str().into(),
            "client backend".into(),
        ])?;
    }
    rows.finish()
}
