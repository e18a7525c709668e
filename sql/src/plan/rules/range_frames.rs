//! `RANGE BETWEEN x PRECEDING AND …`: which offsets go with which order.
//!
//! DataFusion casts the offset to the type that rows are ordered by, whatever that is, and takes negative intervals.

use crate::error::{SqlError, SqlState};
use crate::functions::mixture::type_of;
use crate::plan::errors::external;
use crate::types::datetime::interval;
use crate::types::oid;
use crate::types::style::IntervalStyle;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use terrane_client::interval::Interval;

/// Refuses what PostgreSQL refuses, and orders by intervals and times of day, which are missing.
pub(super) fn check(call: &WindowFunction, schema: &DFSchema) -> Result<()> {
    let frame = &call.params.window_frame;
    let [order] = call.params.order_by.as_slice() else { return Ok(()) };
    let Some(given) = type_of(&order.expr, schema).filter(|_| has_offsets(frame)) else {
        return Ok(());
    };
    let shown = oid::format_type(given.oid, None);
    let refused = |message: String| Err(external(SqlError::unsupported(message)));
    for offset in offsets(frame) {
        let Some(text) = offset.try_as_str().flatten() else { continue };
        let number: Option<f64> = text.trim().parse().ok();
        let wants_interval = match given.oid {
            oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC => false,
            oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ => true,
            oid::INTERVAL | oid::TIME => {
                return refused(format!("RANGE with offset by {shown} is not supported"));
            }
            _ => {
                return refused(format!(
                    "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {shown}"
                ));
            }
        };
        let is_integer = matches!(given.oid, oid::INT2 | oid::INT4 | oid::INT8);
        let other = match number {
            Some(number) if number.fract() == 0.0 => "integer",
            Some(_) => "numeric",
            None => "interval",
        };
        if wants_interval == number.is_some() || (is_integer && other == "numeric") {
            return refused(format!(
                "RANGE with offset PRECEDING/FOLLOWING is not supported for column type {shown} and \
                 offset type {other}"
            ));
        }
        let negative = match number {
            Some(number) => number < 0.0,
            None => {
                let parsed = interval::parse(text, IntervalStyle::Postgres);
                is_negative(parsed.map_err(external)?)
            }
        };
        if negative {
            let message = "invalid preceding or following size in window function";
            return Err(external(SqlError::new(
                SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE,
                message,
            )));
        }
    }
    Ok(())
}

fn is_negative(interval: Interval) -> bool {
    interval.comparable_micros() < 0
}

/// True for a frame of values that are so far away.
pub(super) fn has_offsets(frame: &WindowFrame) -> bool {
    frame.units == WindowFrameUnits::Range && offsets(frame).next().is_some()
}

fn offsets(frame: &WindowFrame) -> impl Iterator<Item = &ScalarValue> {
    [&frame.start_bound, &frame.end_bound].into_iter().filter_map(|bound| match bound {
        WindowFrameBound::Preceding(by) | WindowFrameBound::Following(by) => {
            (!by.is_null()).then_some(by)
        }
        WindowFrameBound::CurrentRow => None,
    })
}
