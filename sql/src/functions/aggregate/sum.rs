//! `sum(x)`: bigint of the smaller integers, numeric of bigint, real of real.

use super::replayed::Replayed;
use super::widened::{Widened, WidenedGroups};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::functions_aggregate::sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
    Volatility,
};
use std::sync::Arc;

/// Digits of a bigint.
pub(super) const BIGINT_DIGITS: u8 = 19;

/// DataFusion's sum, given a bigint as numeric(19).
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Sum {
    inner: sum::Sum,
    signature: Signature,
}

impl Default for Sum {
    fn default() -> Self {
        Self { inner: sum::Sum::new(), signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn is_narrow(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Float32)
}

fn takes_narrow(args: &AccumulatorArgs<'_>) -> bool {
    args.expr_fields.first().is_some_and(|field| is_narrow(field.data_type()))
}

/// The field of what is added up: float8 where the sum is a float4.
fn wide_field(sum: FieldRef) -> FieldRef {
    match sum.data_type() {
        DataType::Float32 => Arc::new(sum.as_ref().clone().with_data_type(DataType::Float64)),
        _ => sum,
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [operand] = types else { return Err(super::undefined("sum", types)) };
        Ok(vec![match operand {
            // Not widened here: what is a bigint the next time it is looked at adds up to a numeric.
            DataType::Int16 | DataType::Int32 | DataType::Float32 => operand.clone(),
            DataType::Int64 => DataType::Decimal128(BIGINT_DIGITS, 0),
            // count() and row_number() inside of DataFusion.
            DataType::UInt64 => DataType::Decimal128(BIGINT_DIGITS + 1, 0),
            DataType::Float64 => DataType::Float64,
            DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Interval(_) => {
                operand.clone()
            }
            _ => return Err(super::undefined("sum", types)),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [DataType::Float32] => Ok(DataType::Float32),
            [operand] if is_narrow(operand) => Ok(DataType::Int64),
            types => self.inner.return_type(types),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let narrow = takes_narrow(&args);
        let inner = self
            .inner
            .accumulator(AccumulatorArgs { return_field: wide_field(args.return_field), ..args })?;
        Ok(if narrow { Box::new(Widened(inner)) } else { inner })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner
            .state_fields(StateFieldsArgs { return_field: wide_field(args.return_field), ..args })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(AccumulatorArgs {
            return_field: wide_field(args.return_field),
            ..args
        })
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let narrow = takes_narrow(&args);
        let inner = self.inner.create_groups_accumulator(AccumulatorArgs {
            return_field: wide_field(args.return_field),
            ..args
        })?;
        Ok(if narrow { Box::new(WidenedGroups(inner)) } else { inner })
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        if args.expr_fields.first().is_some_and(|field| field.data_type().is_floating()) {
            return Ok(Replayed::over(&args, |args| Self::default().accumulator(args)));
        }
        let narrow = takes_narrow(&args);
        let inner = self.inner.create_sliding_accumulator(AccumulatorArgs {
            return_field: wide_field(args.return_field),
            ..args
        })?;
        Ok(if narrow { Box::new(Widened(inner)) } else { inner })
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, _: &DataType) -> SetMonotonicity {
        // Summands may be negative.
        SetMonotonicity::NotMonotonic
    }
}
