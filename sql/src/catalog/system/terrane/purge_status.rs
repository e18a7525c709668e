//! terrane.purge_status: of tables with `purge_within` how far each tablet is purged, and what was dropped and may still be in a
//! commit log.

use super::storages::Storages;
use super::{Definition, Source, end_key, start_key};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::ServerStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8919),
    name: "purge_status",
    columns: &[
        ("server", oid::TEXT, true),
        ("table_schema", oid::NAME, false),
        ("table_name", oid::NAME, false),
        ("table_oid", oid::OID, false),
        ("storage_id", oid::INT8, false),
        ("start_key", oid::BYTEA, false),
        ("end_key", oid::BYTEA, false),
        ("within_seconds", oid::FLOAT8, true),
        ("purged_to", oid::TIMESTAMPTZ, false),
        ("oldest_pending", oid::TIMESTAMPTZ, false),
        ("deadline", oid::TIMESTAMPTZ, false),
        ("last_purge", oid::TIMESTAMPTZ, false),
        ("open_read", oid::TIMESTAMPTZ, false),
        ("error", oid::TEXT, false),
    ],
    rows: Source::Servers(rows),
};

fn rows(rows: &mut Rows, facts: &Facts, servers: &[ServerStatus]) -> Result<(), SqlError> {
    let storages = Storages::of(facts);
    for server in servers {
        for purge in &server.purges {
            let tablet = purge.tablet.as_ref();
            let owner = tablet.map(|tablet| storages.owner(tablet.table)).unwrap_or_default();
            let [schema, name, table] = owner.cells();
            let purged_to = purge.purged_to_micros;
            rows.push(&[
                server.name.as_str().into(),
                schema,
                name,
                table,
                tablet.map(|tablet| tablet.table.0).into(),
                tablet.map_or(Cell::Null, |tablet| start_key(&tablet.start)),
                tablet.map_or(Cell::Null, |tablet| end_key(tablet.end.as_deref())),
                Cell::Float(purge.within_micros as f64 / 1e6),
                purged_to.into(),
                purged_to.filter(|_| purge.is_pending).into(),
                purge.deadline_micros.into(),
                purge.done_at_micros.into(),
                purge.open_read_micros.into(),
                purge.error.as_deref().into(),
            ])?;
        }
    }
    Ok(())
}
