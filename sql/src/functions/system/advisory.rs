//! pg_advisory_lock() and its kin, over the server's [`AdvisoryLocks`].
//!
//! [`AdvisoryLocks`]: crate::session::advisory::AdvisoryLocks

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::session::advisory::{Key, Mode, Scope};
use crate::session::services::wait;
use crate::types::oid;

const SINGLE: &[Kind] = &[Kind::Int];
const PAIR: &[Kind] = &[Kind::Int, Kind::Int];

macro_rules! keyed {
    ($name:literal, $returns:expr, $compute:expr) => {
        Definition::volatile(
            $name,
            &[Overload::new(SINGLE, $returns, $compute), Overload::new(PAIR, $returns, $compute)],
        )
    };
}

pub(super) const FUNCTIONS: &[Definition] = &[
    keyed!("pg_advisory_lock", oid::VOID, |facts, args| {
        lock(facts, args, Mode::Exclusive, Scope::Session)
    }),
    keyed!("pg_advisory_lock_shared", oid::VOID, |facts, args| {
        lock(facts, args, Mode::Shared, Scope::Session)
    }),
    keyed!("pg_advisory_xact_lock", oid::VOID, |facts, args| {
        lock(facts, args, Mode::Exclusive, Scope::Transaction)
    }),
    keyed!("pg_advisory_xact_lock_shared", oid::VOID, |facts, args| {
        lock(facts, args, Mode::Shared, Scope::Transaction)
    }),
    keyed!("pg_try_advisory_lock", oid::BOOL, |facts, args| {
        try_lock(facts, args, Mode::Exclusive, Scope::Session)
    }),
    keyed!("pg_try_advisory_lock_shared", oid::BOOL, |facts, args| {
        try_lock(facts, args, Mode::Shared, Scope::Session)
    }),
    keyed!("pg_try_advisory_xact_lock", oid::BOOL, |facts, args| {
        try_lock(facts, args, Mode::Exclusive, Scope::Transaction)
    }),
    keyed!("pg_try_advisory_xact_lock_shared", oid::BOOL, |facts, args| {
        try_lock(facts, args, Mode::Shared, Scope::Transaction)
    }),
    keyed!("pg_advisory_unlock", oid::BOOL, |facts, args| unlock(facts, args, Mode::Exclusive)),
    keyed!("pg_advisory_unlock_shared", oid::BOOL, |facts, args| {
        unlock(facts, args, Mode::Shared)
    }),
    Definition::volatile(
        "pg_advisory_unlock_all",
        &[Overload::new(&[], oid::VOID, |facts, _| {
            let services = facts.services()?;
            services.server.advisory.unlock_all(services.session);
            Ok("".into())
        })],
    ),
];

fn key(args: &[Arg]) -> Result<Key, SqlError> {
    let int = |arg: &Arg| {
        i32::try_from(arg.int()).map_err(|_| {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range")
        })
    };
    match args {
        [single] => Ok(Key::Single(single.int())),
        [first, second] => Ok(Key::Pair(int(first)?, int(second)?)),
        _ => Err(SqlError::internal("a lock of no key")),
    }
}

fn lock(facts: &Facts, args: &[Arg], mode: Mode, scope: Scope) -> Result<Cell<'static>, SqlError> {
    let services = facts.services()?;
    let locks = &services.server.advisory;
    wait(locks.lock(services.session, key(args)?, mode, scope, &services.cancel))?;
    Ok("".into())
}

fn try_lock(
    facts: &Facts,
    args: &[Arg],
    mode: Mode,
    scope: Scope,
) -> Result<Cell<'static>, SqlError> {
    let services = facts.services()?;
    Ok(services.server.advisory.try_lock(services.session, key(args)?, mode, scope).into())
}

fn unlock(facts: &Facts, args: &[Arg], mode: Mode) -> Result<Cell<'static>, SqlError> {
    let services = facts.services()?;
    let held = services.server.advisory.unlock(services.session, key(args)?, mode);
    if !held {
        let mode = match mode {
            Mode::Exclusive => "ExclusiveLock",
            Mode::Shared => "ShareLock",
        };
        let message = format!("you don't own a lock of type {mode}");
        services.memory.warn(SqlState::WARNING, message);
    }
    Ok(held.into())
}
