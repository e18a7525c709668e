//! Catalog objects as rows: one a schema, table, view, sequence or role, the body as JSON.
//!
//! The row of kind [`Kind::Version`] has the catalog's version. Every change of the catalog rewrites it
//! on the condition that it is the row the change was made against, so changes are serial.

use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system_tables::{SCHEMA_VERSION, catalog_column, catalog_key};
use crate::error::SqlError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terrane_client::ids::{CommitTs, RequestId, StorageId};
use terrane_client::program::{Action, Guard, Returning, RowProgram};
use terrane_client::row::CellsBuilder;

/// What a row of the catalog table holds. The numbers are stored: never change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Kind {
    /// The catalog's version.
    Version = 0,
    /// The database.
    Database = 1,
    /// A role.
    Role = 2,
    /// A schema.
    Schema = 3,
    /// A table with its indexes and constraints.
    Table = 4,
    /// A sequence.
    Sequence = 5,
    /// A view.
    View = 6,
    /// A table whose tablets may hold a newer schema than its row says: see [`Alteration`].
    Alteration = 7,
}

/// The body of the version row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionBody {
    /// The catalog's format: a newer one is refused.
    pub format: u32,
    /// Counts changes.
    pub version: u64,
    /// Names the commit that wrote it, so that its author can tell whether it was applied.
    pub commit: (u64, u64),
}

/// The format this code reads and writes.
pub(crate) const FORMAT: u32 = 1;

/// Written before a table's tablets are given a newer schema, removed by the commit that publishes it.
/// Found at start, the commit did not happen, and the tablets have to be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alteration {
    /// The table.
    pub table: Oid,
    /// The version its tablets may hold.
    pub schema_version: u32,
}

/// A row as read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    Version(VersionBody),
    Object(Object),
    Alteration(Alteration),
}

fn kind_of(object: &Object) -> Kind {
    match object {
        Object::Schema(_) => Kind::Schema,
        Object::Table(_) => Kind::Table,
        Object::View(_) => Kind::View,
        Object::Sequence(_) => Kind::Sequence,
        Object::Role(_) => Kind::Role,
        Object::Database(_) => Kind::Database,
    }
}

fn body_of(object: &Object) -> Result<String, serde_json::Error> {
    match object {
        Object::Schema(schema) => serde_json::to_string(&**schema),
        Object::Table(table) => serde_json::to_string(&**table),
        Object::View(view) => serde_json::to_string(&**view),
        Object::Sequence(sequence) => serde_json::to_string(&**sequence),
        Object::Role(role) => serde_json::to_string(&**role),
        Object::Database(database) => serde_json::to_string(&**database),
    }
}

/// Reads a row.
pub(crate) fn decode(kind: i32, body: &str) -> Result<Row, SqlError> {
    fn read<T: for<'de> Deserialize<'de>>(body: &str) -> Result<T, SqlError> {
        serde_json::from_str(body)
            .map_err(|error| damaged(format!("a row does not parse: {error}")))
    }
    let is = |known: Kind| known as i32 == kind;
    Ok(match kind {
        _ if is(Kind::Version) => Row::Version(read(body)?),
        _ if is(Kind::Alteration) => Row::Alteration(read(body)?),
        _ if is(Kind::Database) => Row::Object(Object::Database(Arc::new(read(body)?))),
        _ if is(Kind::Role) => Row::Object(Object::Role(Arc::new(read(body)?))),
        _ if is(Kind::Schema) => Row::Object(Object::Schema(Arc::new(read(body)?))),
        _ if is(Kind::Table) => Row::Object(Object::Table(Arc::new(read(body)?))),
        _ if is(Kind::Sequence) => Row::Object(Object::Sequence(Arc::new(read(body)?))),
        _ if is(Kind::View) => Row::Object(Object::View(Arc::new(read(body)?))),
        _ => return Err(damaged(format!("a row is of unknown kind {kind}"))),
    })
}

/// XX001 for the catalog's own table.
pub(crate) fn damaged(what: String) -> SqlError {
    use crate::error::SqlState;
    SqlError::new(SqlState::DATA_CORRUPTED, format!("the stored catalog is damaged: {what}"))
}

fn program(kind: Kind, oid: u32, guard: Guard, action: Action) -> Result<RowProgram, SqlError> {
    let key = catalog_key(kind as i32, oid);
    Ok(RowProgram {
        table: StorageId::CATALOG,
        schema_version: SCHEMA_VERSION,
        key: key.map_err(|error| SqlError::internal(format!("catalog key: {error}")))?,
        guard,
        condition: None,
        action,
        returning: Returning::Nothing,
    })
}

fn put(body: &str) -> Action {
    let mut cells = CellsBuilder::default();
    cells.push(catalog_column::BODY, Some(body.as_bytes()));
    Action::Put { cells: cells.finish() }
}

fn json<T: Serialize>(body: &T) -> Result<String, SqlError> {
    serde_json::to_string(body).map_err(|error| SqlError::internal(format!("catalog row: {error}")))
}

/// Writes the version row, if it is still the one of `previous`.
pub(crate) fn version_program(
    version: u64,
    commit: RequestId,
    previous: CommitTs,
) -> Result<RowProgram, SqlError> {
    let commit = (commit.client, commit.number);
    let body = json(&VersionBody { format: FORMAT, version, commit })?;
    program(Kind::Version, 0, Guard::Version(previous), put(&body))
}

/// Writes an object.
pub(crate) fn upsert_program(object: &Object) -> Result<RowProgram, SqlError> {
    let body = body_of(object).map_err(|e| SqlError::internal(format!("catalog row: {e}")))?;
    program(kind_of(object), object.oid().0, Guard::Any, put(&body))
}

/// Removes an object.
pub(crate) fn delete_program(object: &Object) -> Result<RowProgram, SqlError> {
    program(kind_of(object), object.oid().0, Guard::Any, Action::Delete)
}

/// Notes that a table's tablets are about to get a newer schema.
pub(crate) fn alteration_program(alteration: Alteration) -> Result<RowProgram, SqlError> {
    let body = json(&alteration)?;
    program(Kind::Alteration, alteration.table.0, Guard::Any, put(&body))
}

/// Removes that note.
pub(crate) fn alteration_done_program(table: Oid) -> Result<RowProgram, SqlError> {
    program(Kind::Alteration, table.0, Guard::Any, Action::Delete)
}
