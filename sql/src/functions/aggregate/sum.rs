//! `sum(x)`: bigint of the smaller integers, numeric of bigint.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::functions_aggregate::sum;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
    Volatility,
};

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
            DataType::Int16 | DataType::Int32 => DataType::Int64,
            DataType::Int64 => DataType::Decimal128(BIGINT_DIGITS, 0),
            DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Interval(_) => {
                operand.clone()
            }
            _ => return Err(super::undefined("sum", types)),
        }])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
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
