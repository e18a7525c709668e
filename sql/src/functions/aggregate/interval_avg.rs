//! `avg(x)` of intervals: the sum of months, days and microseconds, each by itself, and its share.

use crate::error::{SqlError, SqlState};
use crate::functions::temporal::divided;
use crate::plan::errors::external;
use crate::plan::values::{interval_from_arrow, interval_to_arrow};
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type, IntervalMonthDayNanoType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Accumulator;
use std::sync::Arc;
use terrane_client::interval::Interval;

/// The accumulator.
#[derive(Debug, Default)]
pub struct IntervalAvg {
    count: i64,
    months: i64,
    days: i64,
    micros: i64,
}

/// The fields of its state.
pub fn state_fields(name: &str) -> Vec<FieldRef> {
    ["count", "months", "days", "micros"]
        .map(|part| Arc::new(Field::new(format!("{name}[{part}]"), DataType::Int64, true)))
        .to_vec()
}

fn out_of_range() -> DataFusionError {
    external(SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))
}

impl IntervalAvg {
    /// Adds a column's values, `sign` being 1, or takes them away.
    fn add(&mut self, values: &ArrayRef, sign: i64) -> Result<()> {
        for value in values.as_primitive::<IntervalMonthDayNanoType>().iter().flatten() {
            let Interval { months, days, micros } = interval_from_arrow(value);
            self.count += sign;
            self.months += i64::from(months) * sign;
            self.days += i64::from(days) * sign;
            let micros = micros.checked_mul(sign);
            let sum = micros.and_then(|micros| self.micros.checked_add(micros));
            self.micros = sum.ok_or_else(out_of_range)?;
        }
        Ok(())
    }
}

impl Accumulator for IntervalAvg {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(&values[0], -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        let narrow = |part: i64| i32::try_from(part).map_err(|_| out_of_range());
        let (months, days) = (narrow(self.months)?, narrow(self.days)?);
        let sum = Interval { months, days, micros: self.micros };
        let share = divided(sum, self.count as f64).and_then(interval_to_arrow);
        Ok(ScalarValue::IntervalMonthDayNano(Some(share.ok_or_else(out_of_range)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let parts = [self.count, self.months, self.days, self.micros];
        Ok(parts.map(|part| ScalarValue::Int64(Some(part))).to_vec())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let mut parts = [self.count, self.months, self.days, self.micros];
        for (part, column) in parts.iter_mut().zip(states) {
            for value in column.as_primitive::<Int64Type>().iter().flatten() {
                *part = part.checked_add(value).ok_or_else(out_of_range)?;
            }
        }
        [self.count, self.months, self.days, self.micros] = parts;
        Ok(())
    }
}
