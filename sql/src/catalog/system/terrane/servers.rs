//! terrane.servers: the tablet servers, and how far behind each is with its background work.

use super::{Definition, Source, time};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::ServerStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8913),
    name: "servers",
    columns: &[
        ("server", oid::TEXT, true),
        ("tablets", oid::INT8, true),
        ("memtable_bytes", oid::INT8, true),
        ("memtable_budget_bytes", oid::INT8, true),
        ("runs_most", oid::INT8, true),
        ("pressure", oid::FLOAT8, true),
        ("writers_delayed_seconds", oid::FLOAT8, true),
        ("visible_commit", oid::TIMESTAMPTZ, false),
    ],
    rows: Source::Servers(rows),
};

fn rows(rows: &mut Rows, _: &Facts, servers: &[ServerStatus]) -> Result<(), SqlError> {
    for server in servers {
        rows.push(&[
            server.name.as_str().into(),
            server.tablets.into(),
            server.memtable_bytes.into(),
            server.memtable_budget_bytes.into(),
            server.runs_most.into(),
            Cell::Float(server.pressure),
            Cell::Float(server.delayed_micros as f64 / 1e6),
            time(server.visible_ts),
        ])?;
    }
    Ok(())
}
