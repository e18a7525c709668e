//! terrane.tablets: the row ranges of tables, and what each has on disk and in memory.

use super::storages::Storages;
use super::{Definition, Source, end_key, start_key, time};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::Rows;
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::TabletStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8910),
    name: "tablets",
    columns: &[
        ("table_schema", oid::NAME, false),
        ("table_name", oid::NAME, false),
        ("table_oid", oid::OID, false),
        ("storage_id", oid::INT8, true),
        ("start_key", oid::BYTEA, false),
        ("end_key", oid::BYTEA, false),
        ("server", oid::TEXT, true),
        ("generation", oid::INT8, true),
        ("version", oid::INT8, true),
        ("files", oid::INT8, true),
        ("disk_bytes", oid::INT8, true),
        ("memory_bytes", oid::INT8, true),
        ("frozen_memtables", oid::INT4, true),
        ("rows", oid::INT8, true),
        ("gc_floor", oid::TIMESTAMPTZ, false),
    ],
    rows: Source::Tablets(rows),
};

fn rows(rows: &mut Rows, facts: &Facts, tablets: &[TabletStatus]) -> Result<(), SqlError> {
    let storages = Storages::of(facts);
    for TabletStatus { row, disk_bytes, rows: versions, memtable_bytes, frozen, .. } in tablets {
        let [schema, name, table] = storages.owner(row.table).cells();
        rows.push(&[
            schema,
            name,
            table,
            row.table.0.into(),
            start_key(&row.start),
            end_key(row.end.as_deref()),
            row.server.as_str().into(),
            row.generation.0.into(),
            row.version.into(),
            row.files().count().into(),
            (*disk_bytes).into(),
            (*memtable_bytes).into(),
            (*frozen).into(),
            (*versions).into(),
            time(row.gc_floor),
        ])?;
    }
    Ok(())
}
