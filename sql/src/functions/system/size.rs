//! pg_table_size() and its kin: stored bytes, what memory holds of a table included.

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::catalog::system::rows::Cell;
use crate::catalog::system::{Facts, relations};
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::session::services::wait;
use crate::types::oid;
use terrane_client::ids::StorageId;
use terrane_client::status::stored_bytes;

const CLASS: Kind = Kind::Oid(oid::REGCLASS);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "pg_relation_size",
        &[
            Overload::new(&[CLASS], oid::INT8, own),
            Overload::new(&[CLASS, Kind::Text], oid::INT8, fork),
        ],
    ),
    Definition::new("pg_table_size", &[Overload::new(&[CLASS], oid::INT8, own)]),
    Definition::new("pg_indexes_size", &[Overload::new(&[CLASS], oid::INT8, indexes)]),
    Definition::new("pg_total_relation_size", &[Overload::new(&[CLASS], oid::INT8, total)]),
    Definition::new("pg_database_size", &[Overload::new(&[Kind::Text], oid::INT8, database)]),
];

/// The bytes of all tablets that `counts` takes.
fn bytes(facts: &Facts, counts: impl Fn(StorageId) -> bool) -> Result<i64, SqlError> {
    let status = wait(facts.services()?.server.tablets.status()).map_err(errors::of_tablet)?;
    let bytes = stored_bytes(status.iter().filter(|status| counts(status.row.table)));
    Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The bytes of some of a table's storages; nothing for what has none, NULL for what does not exist.
fn of_relation(
    facts: &Facts,
    arg: &Arg,
    counts: impl Fn(bool) -> bool,
) -> Result<Cell<'static>, SqlError> {
    let class = Oid(arg.oid());
    let storages: Vec<StorageId> = match facts.catalog.relation(class) {
        Some(Relation::Table(table)) => table
            .storages()
            .enumerate()
            .filter(|(at, _)| counts(*at == 0))
            .map(|(_, s)| s)
            .collect(),
        Some(_) => Vec::new(),
        None if relations::by_oid(class).is_some() => Vec::new(),
        None => return Ok(Cell::Null),
    };
    if storages.is_empty() {
        return Ok(Cell::Int(0));
    }
    Ok(bytes(facts, |storage| storages.contains(&storage))?.into())
}

fn own(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    of_relation(facts, &args[0], |is_own| is_own)
}

fn indexes(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    of_relation(facts, &args[0], |is_own| !is_own)
}

fn total(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    of_relation(facts, &args[0], |_| true)
}

/// PostgreSQL's forks beside `main` have no counterpart.
fn fork(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    match args[1].text() {
        "main" => own(facts, args),
        "fsm" | "vm" | "init" => Ok(Cell::Int(0)),
        _ => Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "invalid fork name")
            .with_hint("Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".")),
    }
}

fn database(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let name = args[0].text();
    if name != facts.database_name() && name != Oid::DATABASE.0.to_string() {
        return Err(SqlError::new(
            SqlState::INVALID_CATALOG_NAME,
            format!("database \"{name}\" does not exist"),
        ));
    }
    Ok(bytes(facts, |_| true)?.into())
}
