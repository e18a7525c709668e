//! terrane.tablet_events: what has happened to each tablet lately, as its METADATA row keeps it.

use super::storages::Storages;
use super::{Definition, Source, end_key, start_key};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::TabletStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8916),
    name: "tablet_events",
    columns: &[
        ("table_schema", oid::NAME, false),
        ("table_name", oid::NAME, false),
        ("table_oid", oid::OID, false),
        ("storage_id", oid::INT8, true),
        ("start_key", oid::BYTEA, false),
        ("end_key", oid::BYTEA, false),
        ("server", oid::TEXT, true),
        ("at", oid::TIMESTAMPTZ, true),
        ("event", oid::TEXT, true),
        ("reason", oid::TEXT, true),
        ("milliseconds", oid::FLOAT8, true),
        ("written_bytes", oid::INT8, true),
    ],
    rows: Source::Tablets(rows),
};

fn rows(rows: &mut Rows, facts: &Facts, tablets: &[TabletStatus]) -> Result<(), SqlError> {
    let storages = Storages::of(facts);
    for TabletStatus { row, .. } in tablets {
        for event in &row.events {
            let [schema, name, table] = storages.owner(row.table).cells();
            rows.push(&[
                schema,
                name,
                table,
                row.table.0.into(),
                start_key(&row.start),
                end_key(row.end.as_deref()),
                row.server.as_str().into(),
                event.at_micros.into(),
                event.kind.name().into(),
                event.reason.as_str().into(),
                Cell::Float(event.micros as f64 / 1e3),
                event.bytes.into(),
            ])?;
        }
    }
    Ok(())
}
