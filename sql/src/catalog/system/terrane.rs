//! Schema `terrane`: what is inside, as tables.
//!
//! | table | a row is |
//! |---|---|
//! | [`tablets`] | a tablet |
//! | [`sstables`] | a file of a tablet's run |
//! | [`families`] | a family of a table |
//! | [`servers`] | a tablet server |
//! | [`cache`] | a part of a server's block cache |
//! | [`commit_log`] | a commit log of a server |
//! | [`tablet_events`] | something that happened to a tablet |
//! | [`compactions`] | a compaction, under way or lately |
//! | [`jobs`] | work on a tablet, under way or waiting |
//! | [`purge_status`] | a tablet of a table that promises to purge: how far it is |
//!
//! Their rows come from the tablet servers, which are asked each time a table is scanned: two tables of one
//! query may be of two moments. [`storages`] says whose data is whose.
//!
//! Identifiers are fixed, in a range that PostgreSQL leaves free. To PostgreSQL's tools the schema is what an extension
//! brought: it is not dumped.

mod cache;
mod commit_log;
mod compactions;
mod families;
mod jobs;
mod purge_status;
mod servers;
mod sstables;
mod storages;
mod tablet_events;
mod tablets;

use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::plan::errors::of_tablet;
use arrow::record_batch::RecordBatch;
use terrane_client::ids::CommitTs;
use terrane_client::service::TabletService;
use terrane_client::status::{ServerStatus, TabletStatus};

/// The schema's name.
pub(crate) const NAME: &str = "terrane";
/// Its name in a database where users have a schema of that name since before there was this one. Theirs keeps it: no
/// user's schema can be called like this.
pub(crate) const NAME_BESIDE_USERS: &str = "pg_terrane";
/// What COMMENT would have said.
pub(crate) const COMMENT: &str = "tablets, files, memory and logs of the tablet servers";
/// pg_extension.oid of what stands for the schema there.
pub(crate) const EXTENSION: Oid = Oid(8901);

/// A table of the schema.
pub(crate) struct Definition {
    pub oid: Oid,
    pub name: &'static str,
    /// Name, type, and whether it is never NULL.
    pub columns: &'static [(&'static str, u32, bool)],
    rows: Source,
}

/// Whom the rows are asked of.
enum Source {
    /// What serves tablets.
    Tablets(OfTablets),
    /// Each server of itself.
    Servers(OfServers),
}

type OfTablets = fn(&mut Rows, &Facts, &[TabletStatus]) -> Result<(), SqlError>;
type OfServers = fn(&mut Rows, &Facts, &[ServerStatus]) -> Result<(), SqlError>;

/// All of them, ascending by identifier.
pub(crate) const DEFINITIONS: &[Definition] = &[
    tablets::DEFINITION,
    sstables::DEFINITION,
    families::DEFINITION,
    servers::DEFINITION,
    cache::DEFINITION,
    commit_log::DEFINITION,
    tablet_events::DEFINITION,
    compactions::DEFINITION,
    jobs::DEFINITION,
    purge_status::DEFINITION,
];

/// The rows of a table at this moment.
pub(super) async fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
    tablets: &dyn TabletService,
) -> Result<RecordBatch, SqlError> {
    let definition = DEFINITIONS.iter().find(|definition| definition.oid == relation.oid);
    let definition = definition
        .ok_or_else(|| SqlError::internal(format!("{NAME}.{} has no definition", relation.name)))?;
    let mut rows = Rows::of_all_columns(relation);
    match definition.rows {
        Source::Tablets(add_rows) => {
            let mut status = tablets.status().await.map_err(of_tablet)?;
            status.sort_by(|a, b| (a.row.table, &a.row.start).cmp(&(b.row.table, &b.row.start)));
            add_rows(&mut rows, facts, &status)?;
        }
        Source::Servers(add_rows) => {
            let mut status = tablets.server_status().await.map_err(of_tablet)?;
            status.sort_by(|a, b| a.name.cmp(&b.name));
            add_rows(&mut rows, facts, &status)?;
        }
    }
    rows.finish()
}

/// A timestamp; NULL for the one before all commits.
fn time(at: CommitTs) -> Cell<'static> {
    match at {
        CommitTs::ABSENT => Cell::Null,
        at => Cell::Int(at.0),
    }
}

/// The start of a range of keys; NULL where it has none.
fn start_key(key: &[u8]) -> Cell<'_> {
    match key {
        [] => Cell::Null,
        key => Cell::Bytes(key),
    }
}

/// The end of a range of keys; NULL where it has none.
fn end_key(key: Option<&[u8]>) -> Cell<'_> {
    key.map_or(Cell::Null, Cell::Bytes)
}

#[cfg(test)]
mod tests;
