//! A large value in a plan, out of the optimiser's sight.
//!
//! A literal is written into names of columns, compared, hashed and computed with while a plan is made, over and over: a
//! map of a million entries takes minutes so. A call of a function without arguments that answers it takes nothing, and
//! is computed with when the plan runs.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Bytes from which on a value is held.
const HELD_FROM: usize = 4096;

/// The value as a call, if it is a large map.
pub(super) fn held(value: &ScalarValue, field: &FieldRef) -> Option<Expr> {
    match value {
        ScalarValue::LargeBinary(Some(bytes)) if bytes.len() >= HELD_FROM => {
            let held = Held {
                value: value.clone(),
                field: Arc::clone(field),
                // What does not vary is computed while the plan is made.
                signature: Signature::nullary(Volatility::Volatile),
            };
            Some(ScalarUDF::new_from_impl(held).call(Vec::new()))
        }
        _ => None,
    }
}

#[derive(Debug)]
struct Held {
    value: ScalarValue,
    field: FieldRef,
    signature: Signature,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.field == other.field
    }
}

impl Eq for Held {}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.field.hash(state);
    }
}

impl ScalarUDFImpl for Held {
    fn name(&self) -> &str {
        "outer_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}
