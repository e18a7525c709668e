//! `avg(x)`: numeric of integers and numerics, with 16 fractional digits at least, rounded half away from
//! zero.
//!
//! DataFusion's average cuts. It is asked for one digit more, and that digit rounds.

use super::interval_avg::{self, IntervalAvg};
use super::replayed::Replayed;
use super::sum::BIGINT_DIGITS;
use arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, Decimal256Array};
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type,
    Field, FieldRef, i256,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::functions_aggregate::average;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use std::sync::Arc;

/// Fractional digits of an average, as PostgreSQL shows of one below 10,000.
const SCALE_MIN: i8 = 16;
/// Digits of an integer.
const INTEGER_DIGITS: u8 = 10;
/// What DataFusion sums up in 128 bits has at most so many digits before the point: 10^11 rows fit.
const NARROW_DIGITS_MAX: u8 = INTEGER_DIGITS;
/// From this precision on it sums up in 256 bits.
const WIDE_SUM_PRECISION: u8 = 26;

/// DataFusion's average, rounded.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Avg {
    inner: average::Avg,
    signature: Signature,
}

impl Default for Avg {
    fn default() -> Self {
        Self {
            inner: average::Avg::new(),
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// A numeric whose sum does not wrap: with zeros behind it, where it has many digits before the point.
fn summable(precision: u8, scale: i8) -> DataType {
    let many = i16::from(precision) - i16::from(scale) > i16::from(NARROW_DIGITS_MAX);
    match WIDE_SUM_PRECISION.checked_sub(precision) {
        Some(zeros) if many => {
            DataType::Decimal128(WIDE_SUM_PRECISION, scale + zeros.cast_signed())
        }
        _ => DataType::Decimal128(precision, scale),
    }
}

/// The type of an average; `None` where it is no numeric.
fn rounded_type(operand: &DataType) -> Option<DataType> {
    match *operand {
        DataType::Decimal128(precision, scale) => {
            let integer_digits = i16::from(precision) - i16::from(scale);
            let room = i16::from(DECIMAL128_MAX_PRECISION) - 1 - integer_digits;
            let scale = i16::from(scale).max(i16::from(SCALE_MIN).min(room));
            Some(DataType::Decimal128(DECIMAL128_MAX_PRECISION, i8::try_from(scale).ok()?))
        }
        DataType::Decimal256(_, scale) => {
            Some(DataType::Decimal256(DECIMAL256_MAX_PRECISION, scale.max(SCALE_MIN)))
        }
        _ => None,
    }
}

fn is_interval(operand: &DataType) -> bool {
    matches!(operand, DataType::Interval(_))
}

/// With the digit that rounds.
fn asked_type(rounded: &DataType) -> DataType {
    match *rounded {
        DataType::Decimal128(precision, scale) => DataType::Decimal128(precision, scale + 1),
        DataType::Decimal256(precision, scale) => DataType::Decimal256(precision, scale + 1),
        ref other => other.clone(),
    }
}

impl Avg {
    /// DataFusion's arguments, and the type to round to.
    fn asking<T>(
        args: AccumulatorArgs<'_>,
        make: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>,
    ) -> Result<(T, Option<DataType>)> {
        let operand = args.expr_fields[0].data_type();
        let Some(rounded) = rounded_type(operand) else { return Ok((make(args)?, None)) };
        let field = Field::new(args.return_field.name(), asked_type(&rounded), true);
        let asking = AccumulatorArgs { return_field: Arc::new(field), ..args };
        Ok((make(asking)?, Some(rounded)))
    }
}

impl AggregateUDFImpl for Avg {
    fn name(&self) -> &str {
        "avg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [operand] = types else { return Err(super::undefined("avg", types)) };
        Ok(vec![match *operand {
            DataType::Int16 | DataType::Int32 => DataType::Decimal128(INTEGER_DIGITS, 0),
            DataType::Int64 => summable(BIGINT_DIGITS, 0),
            DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Decimal128(precision, scale) => summable(precision, scale),
            DataType::Decimal256(..) | DataType::Interval(_) => operand.clone(),
            _ => return Err(super::undefined("avg", types)),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match rounded_type(&types[0]) {
            Some(rounded) => Ok(rounded),
            None if is_interval(&types[0]) => Ok(types[0].clone()),
            None => self.inner.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_interval(args.expr_fields[0].data_type()) {
            return Ok(Box::new(IntervalAvg::default()));
        }
        let (inner, to) = Self::asking(args, |args| self.inner.accumulator(args))?;
        Ok(match to {
            Some(to) => Box::new(Rounded { inner, to }),
            None => inner,
        })
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        if is_interval(args.expr_fields[0].data_type()) {
            return Ok(Box::new(IntervalAvg::default()));
        }
        if args.expr_fields[0].data_type().is_floating() {
            return Ok(Replayed::over(&args, |args| Self::default().accumulator(args)));
        }
        let (inner, to) = Self::asking(args, |args| self.inner.create_sliding_accumulator(args))?;
        Ok(match to {
            Some(to) => Box::new(Rounded { inner, to }),
            None => inner,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        match is_interval(args.input_fields[0].data_type()) {
            true => Ok(interval_avg::state_fields(args.name)),
            false => self.inner.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !is_interval(args.expr_fields[0].data_type())
            && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let (inner, to) = Self::asking(args, |args| self.inner.create_groups_accumulator(args))?;
        Ok(match to {
            Some(to) => Box::new(RoundedGroups { inner, to }),
            None => inner,
        })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Drops the last digit, half away from zero.
fn round(values: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(match *to {
        DataType::Decimal128(precision, scale) => {
            let tenth = |value: i128| (value + 5 * value.signum()) / 10;
            let values: Decimal128Array = values.as_primitive::<Decimal128Type>().unary(tenth);
            Arc::new(values.with_precision_and_scale(precision, scale)?)
        }
        DataType::Decimal256(precision, scale) => {
            let ten = i256::from(10);
            let tenth = |value: i256| {
                let half = if value.is_negative() { i256::from(-5) } else { i256::from(5) };
                value.wrapping_add(half).wrapping_div(ten)
            };
            let values: Decimal256Array = values.as_primitive::<Decimal256Type>().unary(tenth);
            Arc::new(values.with_precision_and_scale(precision, scale)?)
        }
        _ => Arc::clone(values),
    })
}

#[derive(Debug)]
struct Rounded {
    inner: Box<dyn Accumulator>,
    to: DataType,
}

impl Accumulator for Rounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let asked = self.inner.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&round(&asked, &self.to)?, 0)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct RoundedGroups {
    inner: Box<dyn GroupsAccumulator>,
    to: DataType,
}

impl GroupsAccumulator for RoundedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        round(&self.inner.evaluate(emit_to)?, &self.to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_digit_rounds_away_from_zero() {
        let values: ArrayRef = Arc::new(
            Decimal128Array::from(vec![Some(666), Some(-665), Some(664), None])
                .with_precision_and_scale(38, 3)
                .unwrap(),
        );
        let rounded = round(&values, &DataType::Decimal128(38, 2)).unwrap();
        let shown: Vec<Option<i128>> = rounded.as_primitive::<Decimal128Type>().iter().collect();
        assert_eq!(shown, [Some(67), Some(-67), Some(66), None]);
    }

    #[test]
    fn a_bigint_average_is_summed_in_256_bits() {
        let operands = Avg::default().coerce_types(&[DataType::Int64]).unwrap();
        assert_eq!(operands, [DataType::Decimal128(26, 7)]);
        assert_eq!(rounded_type(&operands[0]), Some(DataType::Decimal128(38, 16)));
    }
}
