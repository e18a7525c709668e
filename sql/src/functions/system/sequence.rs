//! nextval() and its kin.

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::model::Sequence;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::session::services::{Services, wait};
use crate::types::oid;
use std::sync::Arc;

const CLASS: Kind = Kind::Oid(oid::REGCLASS);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::volatile("nextval", &[Overload::new(&[CLASS], oid::INT8, next)]),
    Definition::volatile("currval", &[Overload::new(&[CLASS], oid::INT8, current)]),
    Definition::volatile("lastval", &[Overload::new(&[], oid::INT8, last)]),
    Definition::volatile(
        "setval",
        &[
            Overload::new(&[CLASS, Kind::Int], oid::INT8, set),
            Overload::new(&[CLASS, Kind::Int, Kind::Bool], oid::INT8, set),
        ],
    ),
];

fn sequence(facts: &Facts, arg: &Arg) -> Result<Arc<Sequence>, SqlError> {
    let found = facts.catalog.relation(Oid(arg.oid())).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("could not open relation with OID {}", arg.oid()),
        )
    })?;
    match found {
        Relation::Sequence(sequence) => Ok(sequence),
        other => Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("\"{}\" is not a sequence", facts.catalog.shown_name(&facts.path, &other)),
        )),
    }
}

fn writing<'a>(facts: &'a Facts, function: &str) -> Result<&'a Services, SqlError> {
    let services = facts.services()?;
    if services.read_only {
        return Err(SqlError::new(
            SqlState::READ_ONLY_SQL_TRANSACTION,
            format!("cannot execute {function}() in a read-only transaction"),
        ));
    }
    Ok(services)
}

fn next(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let sequence = sequence(facts, &args[0])?;
    let services = writing(facts, "nextval")?;
    let value = wait(services.server.catalog.sequences().next_value(&sequence))?;
    services.memory.took(sequence.oid, value);
    Ok(value.into())
}

fn current(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let sequence = sequence(facts, &args[0])?;
    let value = facts.services()?.memory.current(sequence.oid).ok_or_else(|| {
        SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("currval of sequence \"{}\" is not yet defined in this session", sequence.name),
        )
    })?;
    Ok(value.into())
}

fn last(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let last = facts.services()?.memory.last();
    match last.filter(|(sequence, _)| facts.catalog.relation(*sequence).is_some()) {
        Some((_, value)) => Ok(value.into()),
        None => Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "lastval is not yet defined in this session",
        )),
    }
}

fn set(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let sequence = sequence(facts, &args[0])?;
    let services = writing(facts, "setval")?;
    let (value, called) = (args[1].int(), args.get(2).is_none_or(Arg::is_true));
    wait(services.server.catalog.sequences().set_value(&sequence, value, called))?;
    if called {
        services.memory.placed(sequence.oid, value);
    }
    Ok(value.into())
}
