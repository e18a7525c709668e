//! terrane.jobs: what is at work on tablets, and what waits for it.

use super::storages::Storages;
use super::{Definition, Source, end_key, start_key};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::ServerStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8918),
    name: "jobs",
    columns: &[
        ("server", oid::TEXT, true),
        ("job", oid::TEXT, true),
        ("state", oid::TEXT, true),
        ("table_schema", oid::NAME, false),
        ("table_name", oid::NAME, false),
        ("table_oid", oid::OID, false),
        ("storage_id", oid::INT8, true),
        ("start_key", oid::BYTEA, false),
        ("end_key", oid::BYTEA, false),
        ("locality_group", oid::NAME, false),
        ("reason", oid::TEXT, true),
        ("started", oid::TIMESTAMPTZ, false),
        ("input_bytes", oid::INT8, true),
        ("progress", oid::FLOAT8, false),
    ],
    rows: Source::Servers(rows),
};

fn rows(rows: &mut Rows, facts: &Facts, servers: &[ServerStatus]) -> Result<(), SqlError> {
    let storages = Storages::of(facts);
    for server in servers {
        for job in &server.jobs {
            let tablet = &job.tablet;
            let owner = storages.owner(tablet.table);
            let [schema, name, table] = owner.cells();
            rows.push(&[
                server.name.as_str().into(),
                job.kind.name().into(),
                if job.is_running { "running" } else { "waiting" }.into(),
                schema,
                name,
                table,
                tablet.table.0.into(),
                start_key(&tablet.start),
                end_key(tablet.end.as_deref()),
                job.group.map_or(Cell::Null, |group| owner.group_name(group)),
                job.reason.as_str().into(),
                job.started_micros.into(),
                job.input_bytes.into(),
                job.progress.map_or(Cell::Null, Cell::Float),
            ])?;
        }
    }
    Ok(())
}
