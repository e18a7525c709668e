//! terrane.commit_log: the commit logs: that of `users`' tables, and METADATA's.

use super::{Definition, Source};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::Rows;
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::ServerStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8915),
    name: "commit_log",
    columns: &[
        ("server", oid::TEXT, true),
        ("log", oid::TEXT, true),
        ("segments", oid::INT8, true),
        ("segment_bytes", oid::INT8, true),
        ("reserved_bytes", oid::INT8, true),
        ("commits", oid::INT8, true),
        ("groups", oid::INT8, true),
        ("bytes_written", oid::INT8, true),
        ("resent_groups", oid::INT8, true),
        ("segments_started", oid::INT8, true),
        ("segments_recycled", oid::INT8, true),
        ("last_seq", oid::INT8, true),
        ("durable_seq", oid::INT8, true),
    ],
    rows: Source::Servers(rows),
};

fn rows(rows: &mut Rows, _: &Facts, servers: &[ServerStatus]) -> Result<(), SqlError> {
    for server in servers {
        for log in &server.logs {
            rows.push(&[
                server.name.as_str().into(),
                log.name.as_str().into(),
                log.segments.into(),
                log.segment_bytes.into(),
                log.reserved_bytes.into(),
                log.commits.into(),
                log.groups.into(),
                log.bytes_written.into(),
                log.resent.into(),
                log.segments_started.into(),
                log.segments_recycled.into(),
                log.last_seq.0.into(),
                log.durable_seq.0.into(),
            ])?;
        }
    }
    Ok(())
}
