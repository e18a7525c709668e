//! array_position(), array_positions() and cardinality(): DataFusion's, whose numbers are integers in PostgreSQL.

use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use std::sync::Arc;

/// The functions that are taken over.
pub const NAMES: [&str; 3] = ["array_position", "array_positions", "cardinality"];

/// One of them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ArrayPlaces {
    inner: Arc<ScalarUDF>,
}

impl ArrayPlaces {
    /// Over DataFusion's.
    pub fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner }
    }
}

impl ScalarUDFImpl for ArrayPlaces {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(args)
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(match self.inner.return_type(args)? {
            DataType::List(_) => DataType::new_list(DataType::Int32, true),
            _ => DataType::Int32,
        })
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wanted = args.return_field.data_type().clone();
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let counted = self.inner.return_type(&types)?;
        args.return_field = Arc::new(Field::new(self.name(), counted, true));
        self.inner.invoke_with_args(args)?.cast_to(&wanted, None)
    }
}
