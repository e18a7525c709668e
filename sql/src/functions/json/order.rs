//! What comparisons of jsonb compare.

use crate::plan::errors::external;
use crate::types::json_order;
use arrow::array::{ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// `pg_jsonb_order(jsonb)`: text that compares as the value does.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct JsonbOrder {
    signature: Signature,
}

impl Default for JsonbOrder {
    fn default() -> Self {
        Self { signature: Signature::exact(vec![DataType::Utf8View], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonbOrder {
    fn name(&self) -> &str {
        "pg_jsonb_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = arrow::compute::cast(&arrays[0], &DataType::Utf8View)?;
        let mut keys = StringViewBuilder::new();
        for text in texts.as_string_view() {
            keys.append_option(text.map(json_order::key).transpose().map_err(external)?);
        }
        let keys: ArrayRef = Arc::new(keys.finish());
        match args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?)),
            false => Ok(ColumnarValue::Array(keys)),
        }
    }
}
