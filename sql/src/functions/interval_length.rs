//! How long an interval is: what `=`, `<` and ORDER BY compare.

use arrow::array::{ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;
use terrane_client::interval::Interval;

const LENGTH: DataType = DataType::Decimal128(38, 0);

/// `pg_interval_length(interval)`: microseconds, with months of 30 days.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct IntervalLength {
    signature: Signature,
}

impl Default for IntervalLength {
    fn default() -> Self {
        let operand = DataType::Interval(IntervalUnit::MonthDayNano);
        Self { signature: Signature::exact(vec![operand], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for IntervalLength {
    fn name(&self) -> &str {
        "pg_interval_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(LENGTH)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let lengths: Decimal128Array = arrays[0]
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .map(|interval| {
                let interval = interval?;
                let micros = interval.nanoseconds / 1_000;
                let (months, days) = (interval.months, interval.days);
                Some(Interval { months, days, micros }.comparable_micros())
            })
            .collect();
        let lengths: ArrayRef = Arc::new(lengths.with_precision_and_scale(38, 0)?);
        match args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            true => Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(
                &lengths, 0,
            )?)),
            false => Ok(ColumnarValue::Array(lengths)),
        }
    }
}
