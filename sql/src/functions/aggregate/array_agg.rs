//! array_agg() that differs from DataFusion's in three ways:
//!
//! - It remembers which of PostgreSQL's types its values have, where Arrow has no such type.
//! - It is not turned round: DataFusion reads a window of descending order from its end, and gathers the values in
//!   that order.
//! - It counts the bytes of the texts it holds against the memory cap, not only the 16 by which Arrow knows each.

use super::replayed::Replayed;
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};
use std::sync::Arc;

/// The aggregate, over DataFusion's.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ArrayAgg {
    inner: Arc<AggregateUDF>,
}

impl ArrayAgg {
    /// Over DataFusion's.
    pub fn new(inner: Arc<AggregateUDF>) -> Self {
        Self { inner }
    }
}

impl AggregateUDFImpl for ArrayAgg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.return_type(args)
    }

    fn return_field(&self, args: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner.return_field(args)?;
        let element = args.first().map(|arg| oid::of_field(arg));
        let array = element.and_then(|element| oid::array_of(element.oid));
        let array = array.map(|array| oid::wire(array, -1));
        Ok(match array.filter(|array| oid::arrow(array.oid, -1) == *field.data_type()) {
            Some(array) => Arc::new(oid::with_type(field.as_ref().clone(), array)),
            None => field,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Counted { inner: self.inner.accumulator(args)?, text_bytes: 0 }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let inner = Arc::clone(&self.inner);
        Ok(Replayed::over(&args, move |args| inner.accumulator(args)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let inner = self.inner.create_groups_accumulator(args)?;
        Ok(Box::new(CountedGroups { inner, text_bytes: 0 }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        _: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        // It sorts in either case: DataFusion's would trust an order that was asked for and is not there.
        Ok(Some(self))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}

/// The bytes of the texts in gathered values, or in the arrays of a state.
fn text_bytes(values: &[ArrayRef]) -> usize {
    let of = |array: &ArrayRef| match array.data_type() {
        DataType::Utf8View => array.as_string_view().lengths().map(|length| length as usize).sum(),
        DataType::BinaryView => {
            array.as_binary_view().lengths().map(|length| length as usize).sum()
        }
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let offsets = lists.value_offsets();
            let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return 0 };
            text_bytes(&[lists.values().slice(*first as usize, (last - first) as usize)])
        }
        _ => 0,
    };
    values.iter().map(of).sum()
}

#[derive(Debug)]
struct Counted {
    inner: Box<dyn Accumulator>,
    text_bytes: usize,
}

impl Accumulator for Counted {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.text_bytes += text_bytes(values);
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()
    }

    fn size(&self) -> usize {
        self.inner.size() + self.text_bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.text_bytes += text_bytes(states);
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.text_bytes = self.text_bytes.saturating_sub(text_bytes(values));
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct CountedGroups {
    inner: Box<dyn GroupsAccumulator>,
    text_bytes: usize,
}

impl CountedGroups {
    /// What is left after groups were emitted.
    fn emitted(&mut self, emit_to: EmitTo, emitted: &[ArrayRef]) {
        self.text_bytes = match emit_to {
            EmitTo::All => 0,
            EmitTo::First(_) => self.text_bytes.saturating_sub(text_bytes(emitted)),
        };
    }
}

impl GroupsAccumulator for CountedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.text_bytes += text_bytes(values);
        self.inner.update_batch(values, group_indices, filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let emitted = self.inner.evaluate(emit_to)?;
        self.emitted(emit_to, std::slice::from_ref(&emitted));
        Ok(emitted)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let emitted = self.inner.state(emit_to)?;
        self.emitted(emit_to, &emitted);
        Ok(emitted)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.text_bytes += text_bytes(values);
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size() + self.text_bytes
    }
}
