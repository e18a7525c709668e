//! now() and its kin: the transaction's time, the statement's, and the clock's; pg_sleep().

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::SqlError;
use crate::session::services::wait;
use crate::types::datetime::{calendar, zone};
use crate::types::oid;
use std::time::Duration;
use terrane_client::value::Value;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("now", &[Overload::new(&[], oid::TIMESTAMPTZ, transaction)]),
    Definition::new("current_timestamp", &[Overload::new(&[], oid::TIMESTAMPTZ, transaction)]),
    Definition::new("transaction_timestamp", &[Overload::new(&[], oid::TIMESTAMPTZ, transaction)]),
    Definition::new("statement_timestamp", &[Overload::new(&[], oid::TIMESTAMPTZ, statement)]),
    Definition::volatile("clock_timestamp", &[Overload::new(&[], oid::TIMESTAMPTZ, clock)]),
    Definition::new("localtimestamp", &[Overload::new(&[], oid::TIMESTAMP, local)]),
    Definition::new("localtime", &[Overload::new(&[], oid::TIME, local_time)]),
    Definition::new("current_date", &[Overload::new(&[], oid::DATE, today)]),
    Definition::volatile("pg_sleep", &[Overload::new(&[Kind::Of(oid::FLOAT8)], oid::VOID, sleep)]),
    Definition::volatile("txid_current", &[Overload::new(&[], oid::INT8, transaction_number)]),
    Definition::volatile(
        "pg_current_xact_id",
        &[Overload::new(&[], oid::XID8, transaction_number)],
    ),
    Definition::volatile(
        "pg_current_xact_id_if_assigned",
        &[Overload::new(&[], oid::XID8, |facts, _| {
            Ok(facts.services()?.memory.assigned_transaction().into())
        })],
    ),
];

fn transaction(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.transaction_micros.into())
}

fn statement(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.statement_micros.into())
}

fn clock(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.services()?.server.env.clock.now_micros().into())
}

/// now() on the session's wall.
fn local_micros(facts: &Facts) -> i64 {
    zone::to_local(&facts.settings.style().time_zone, facts.transaction_micros)
}

fn local(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(local_micros(facts).into())
}

fn local_time(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (_, time) = calendar::split_micros(local_micros(facts));
    Ok(Cell::Value(Value::Time(time)))
}

fn today(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (day, _) = calendar::split_micros(local_micros(facts));
    Ok(Cell::Value(Value::Date(day)))
}

fn sleep(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let services = facts.services()?;
    let seconds = args[0].float().max(0.0);
    // Longer than anybody waits, and within what timers take.
    let duration = Duration::try_from_secs_f64(seconds.min(1e9)).unwrap_or(Duration::ZERO);
    if !duration.is_zero() {
        wait(async {
            tokio::select! {
                () = tokio::time::sleep(duration) => Ok(()),
                () = services.cancel.tripped() => Err(services.cancel.error()),
            }
        })?;
    }
    Ok("".into())
}

/// Commits have timestamps here, not numbers: this one only tells transactions apart.
fn transaction_number(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let services = facts.services()?;
    Ok(services.memory.transaction(|| services.server.next_transaction()).into())
}
