//! terrane.compactions: the compactions under way, and the last ones that were since their server started.

use super::storages::Storages;
use super::{Definition, Source, end_key, start_key};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::{CompactionState, ServerStatus};

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8917),
    name: "compactions",
    columns: &[
        ("server", oid::TEXT, true),
        ("table_schema", oid::NAME, false),
        ("table_name", oid::NAME, false),
        ("table_oid", oid::OID, false),
        ("storage_id", oid::INT8, true),
        ("start_key", oid::BYTEA, false),
        ("end_key", oid::BYTEA, false),
        ("locality_group", oid::NAME, false),
        ("kind", oid::TEXT, true),
        ("reason", oid::TEXT, true),
        ("state", oid::TEXT, true),
        ("error", oid::TEXT, false),
        ("started", oid::TIMESTAMPTZ, true),
        ("milliseconds", oid::FLOAT8, true),
        ("input_runs", oid::INT8, true),
        ("input_bytes", oid::INT8, true),
        ("input_rows", oid::INT8, true),
        ("read_rows", oid::INT8, true),
        ("output_files", oid::INT8, true),
        ("output_bytes", oid::INT8, true),
        ("output_rows", oid::INT8, true),
    ],
    rows: Source::Servers(rows),
};

fn rows(rows: &mut Rows, facts: &Facts, servers: &[ServerStatus]) -> Result<(), SqlError> {
    let storages = Storages::of(facts);
    for server in servers {
        for compaction in &server.compactions {
            let tablet = &compaction.tablet;
            let owner = storages.owner(tablet.table);
            let [schema, name, table] = owner.cells();
            let (state, error) = match &compaction.state {
                CompactionState::Running => ("running", None),
                CompactionState::Done => ("done", None),
                CompactionState::Failed(error) => ("failed", Some(error.as_str())),
            };
            rows.push(&[
                server.name.as_str().into(),
                schema,
                name,
                table,
                tablet.table.0.into(),
                start_key(&tablet.start),
                end_key(tablet.end.as_deref()),
                owner.group_name(compaction.group),
                if compaction.is_major { "major" } else { "merging" }.into(),
                compaction.reason.as_str().into(),
                state.into(),
                error.into(),
                compaction.started_micros.into(),
                Cell::Float(compaction.micros as f64 / 1e3),
                compaction.runs.into(),
                compaction.input_bytes.into(),
                compaction.input_rows.into(),
                compaction.read_rows.into(),
                compaction.output_files.into(),
                compaction.output_bytes.into(),
                compaction.output_rows.into(),
            ])?;
        }
    }
    Ok(())
}
