//! Sums of narrow numbers: each batch is widened on its way into a sum of bigints or of float8, and a sum of float4
//! is made one again.
//!
//! The analyser may see a plan more than once, so the aggregate's own type must not change where it looks again:
//! the integer stays what it is in the plan.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// An accumulator of bigints that takes any integers, or of float8 that takes float4.
#[derive(Debug)]
pub struct Widened(pub Box<dyn Accumulator>);

/// The same for groups.
pub struct WidenedGroups(pub Box<dyn GroupsAccumulator>);

/// What a narrow type is added up in.
pub fn wide_type(narrow: &DataType) -> DataType {
    match narrow {
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        _ => DataType::Int64,
    }
}

fn wide(values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
    values.iter().map(|array| Ok(cast(array, &wide_type(array.data_type()))?)).collect()
}

impl Accumulator for Widened {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(&wide(values)?)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.0.evaluate()? {
            ScalarValue::Float64(sum) => ScalarValue::Float32(sum.map(|sum| sum as f32)),
            sum => sum,
        })
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract_batch(&wide(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}

impl GroupsAccumulator for WidenedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.update_batch(&wide(values)?, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.0.evaluate(emit_to)?;
        Ok(match sums.data_type() {
            DataType::Float64 => cast(&sums, &DataType::Float32)?,
            _ => sums,
        })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(&wide(values)?, opt_filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
