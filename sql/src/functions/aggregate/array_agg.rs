//! array_agg() that remembers which of PostgreSQL's types its values have, where Arrow has no such type, and that is
//! not turned round: DataFusion reads a window of descending order from its end, and gathers the values in that order.

use crate::types::oid;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The aggregate, over DataFusion's.
#[derive(Debug)]
pub struct ArrayAgg {
    inner: Arc<dyn AggregateUDFImpl>,
}

impl ArrayAgg {
    /// Over DataFusion's.
    pub fn new(inner: &AggregateUDF) -> Self {
        Self { inner: Arc::clone(inner.inner()) }
    }
}

impl PartialEq for ArrayAgg {
    fn eq(&self, other: &Self) -> bool {
        self.inner.dyn_eq(other.inner.as_ref())
    }
}

impl Eq for ArrayAgg {}

impl Hash for ArrayAgg {
    fn hash<H: Hasher>(&self, mut state: &mut H) {
        self.inner.dyn_hash(&mut state);
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
        self.inner.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
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
