//! date_in, time_in, timestamp_in, timestamptz_in.

use super::calendar::{DATE_MAX, DATE_MIN, DAY, SECOND, TIMESTAMP_MIN, WIRE_EPOCH_MICROS};
use super::calendar::{days_from_civil, is_valid_date};
use super::decode::{Context, Moment, date_time, time_only};
use super::infinity::{is_finite, is_finite_date};
use super::{Fault, fields, iso};
use crate::error::{SqlError, SqlState};
use crate::types::invalid;

const TIMESTAMP: &str = "timestamp";
const TIMESTAMPTZ: &str = "timestamp with time zone";

#[cold]
fn out_of_range(what: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("{what} out of range: \"{}\"", invalid::excerpt(text)),
    )
}

fn read(text: &str, context: Context<'_>, type_name: &str) -> Result<Moment, SqlError> {
    let moment = fields::cut(text).and_then(|all| date_time(&all, context));
    moment.map_err(|fault| fault.error(type_name, text))
}

/// date_in: days since 1970-01-01.
#[inline]
pub fn date(text: &str, context: Context<'_>) -> Result<i32, SqlError> {
    match iso::date(text.as_bytes()) {
        Some(days) => Ok(days),
        None => date_slow(text, context),
    }
}

fn date_slow(text: &str, context: Context<'_>) -> Result<i32, SqlError> {
    match read(text, context, "date")? {
        Moment::Civil { year, month, day, .. } => {
            let days = days_from_civil(year, month, day);
            let valid = is_valid_date(year, month) && (DATE_MIN..=DATE_MAX).contains(&days);
            valid.then_some(days).ok_or_else(|| out_of_range("date", text))
        }
        Moment::Epoch => Ok(0),
        Moment::Infinite { late } => Ok(if late { i32::MAX } else { i32::MIN }),
    }
}

/// time_in: microseconds since midnight, up to and including 24:00:00.
#[inline]
pub fn time(text: &str, context: Context<'_>) -> Result<i64, SqlError> {
    if let Some(micros) = iso::time(text.as_bytes()) {
        return Ok(micros);
    }
    let micros = fields::cut(text).and_then(|all| time_only(&all, context));
    micros.map_err(|fault: Fault| fault.error("time", text))
}

/// timestamp_in: local microseconds since 1970-01-01. A zone is read and ignored.
#[inline]
pub fn timestamp(text: &str, context: Context<'_>) -> Result<i64, SqlError> {
    if let Some((local, _)) = iso::timestamp(text.as_bytes()) {
        return Ok(local);
    }
    match read(text, context, TIMESTAMP)? {
        Moment::Civil { year, month, day, micros, .. } => {
            local_micros(year, month, day, micros).ok_or_else(|| out_of_range(TIMESTAMP, text))
        }
        Moment::Epoch => Ok(0),
        Moment::Infinite { late } => Ok(if late { i64::MAX } else { i64::MIN }),
    }
}

/// timestamptz_in: microseconds since 1970-01-01 UTC. Without a zone the session's is meant.
#[inline]
pub fn timestamptz(text: &str, context: Context<'_>) -> Result<i64, SqlError> {
    let local_and_offset = match iso::timestamp(text.as_bytes()) {
        Some((local, Some(offset))) => Some((local, offset)),
        Some((local, None)) => Some((local, super::zone::offset_of_local(context.zone, local))),
        None => match read(text, context, TIMESTAMPTZ)? {
            Moment::Civil { year, month, day, micros, offset } => {
                local_micros(year, month, day, micros).map(|local| (local, offset))
            }
            Moment::Epoch => Some((0, 0)),
            Moment::Infinite { late } => return Ok(if late { i64::MAX } else { i64::MIN }),
        },
    };
    let utc = local_and_offset
        .and_then(|(local, offset)| local.checked_sub(i64::from(offset) * SECOND))
        .filter(|utc| is_valid_timestamp(*utc));
    utc.ok_or_else(|| out_of_range(TIMESTAMP, text))
}

fn local_micros(year: i32, month: i32, day: i32, micros: i64) -> Option<i64> {
    if !is_valid_date(year, month) {
        return None;
    }
    let days = i64::from(days_from_civil(year, month, day));
    let local = days.checked_mul(DAY)?.checked_add(micros)?;
    is_valid_timestamp(local).then_some(local)
}

/// True for finite timestamps that can be stored and sent. PostgreSQL counts from 2000, so its last year, 294276,
/// is 30 years after ours.
pub fn is_valid_timestamp(micros: i64) -> bool {
    (TIMESTAMP_MIN..i64::MAX).contains(&micros)
}

/// date_recv.
pub fn date_from_wire(days: i32) -> Result<i32, SqlError> {
    if !is_finite_date(days) {
        return Ok(days);
    }
    let shifted = days.checked_add(super::calendar::WIRE_EPOCH_DAYS);
    shifted
        .filter(|d| (DATE_MIN..=DATE_MAX).contains(d))
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"))
}

/// time_recv.
pub fn time_from_wire(micros: i64) -> Result<i64, SqlError> {
    (0..=DAY)
        .contains(&micros)
        .then_some(micros)
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"))
}

/// timestamp_recv and timestamptz_recv.
pub fn timestamp_from_wire(micros: i64) -> Result<i64, SqlError> {
    if !is_finite(micros) {
        return Ok(micros);
    }
    let shifted = micros.checked_add(WIRE_EPOCH_MICROS).filter(|m| is_valid_timestamp(*m));
    shifted
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
}
