//! terrane.sstables: the files of every tablet, by locality group and run.

use super::storages::Storages;
use super::{Definition, Source, end_key, start_key, time};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::Rows;
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::TabletStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8911),
    name: "sstables",
    columns: &[
        ("table_schema", oid::NAME, false),
        ("table_name", oid::NAME, false),
        ("table_oid", oid::OID, false),
        ("storage_id", oid::INT8, true),
        ("tablet_end_key", oid::BYTEA, false),
        ("locality_group", oid::TEXT, false),
        ("run", oid::INT8, true),
        ("file", oid::TEXT, true),
        ("size_bytes", oid::INT8, true),
        ("rows", oid::INT8, true),
        ("min_seq", oid::INT8, true),
        ("max_seq", oid::INT8, true),
        ("max_commit", oid::TIMESTAMPTZ, false),
        ("start_key", oid::BYTEA, false),
        ("end_key", oid::BYTEA, false),
        ("server", oid::TEXT, true),
    ],
    rows: Source::Tablets(rows),
};

fn rows(rows: &mut Rows, facts: &Facts, tablets: &[TabletStatus]) -> Result<(), SqlError> {
    let storages = Storages::of(facts);
    for TabletStatus { row: tablet, .. } in tablets {
        let owner = storages.owner(tablet.table);
        for group in &tablet.groups {
            let files = group.runs.iter().enumerate();
            let files = files.flat_map(|(run, row)| row.files.iter().map(move |file| (run, file)));
            for (run, file) in files {
                let [schema, name, table] = owner.cells();
                rows.push(&[
                    schema,
                    name,
                    table,
                    tablet.table.0.into(),
                    end_key(tablet.end.as_deref()),
                    owner.group_name(group.group),
                    run.into(),
                    file.name.as_str().into(),
                    file.size_bytes.into(),
                    file.rows.into(),
                    file.min_seq.0.into(),
                    file.max_seq.0.into(),
                    time(file.max_commit_ts),
                    start_key(&file.start),
                    end_key(file.end.as_deref()),
                    tablet.server.as_str().into(),
                ])?;
            }
        }
    }
    Ok(())
}
