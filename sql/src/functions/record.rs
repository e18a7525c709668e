//! The record behind `ROW (a, b)` and whole-row references: pairs of a field's name and its value.
//!
//! DataFusion's named_struct() forgets which of PostgreSQL's types a field has, where Arrow has no such type, and
//! makes no record without fields.

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, FieldRef, Fields};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use std::sync::Arc;

/// Its name: not one that clients write.
pub const NAME: &str = "__record";

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Record {
    signature: Signature,
}

impl Default for Record {
    fn default() -> Self {
        let anything = vec![TypeSignature::VariadicAny, TypeSignature::Nullary];
        Self { signature: Signature::one_of(anything, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Record {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("a record's type is told by its fields".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let pairs = args.scalar_arguments.chunks_exact(2).zip(args.arg_fields.chunks_exact(2));
        let fields = pairs.map(|(scalars, fields)| {
            let name = scalars[0].and_then(|name| name.try_as_str().flatten());
            let name = name.ok_or_else(|| {
                DataFusionError::Internal("a record's field without a name".to_owned())
            })?;
            Ok(Arc::new(fields[1].as_ref().clone().with_name(name).with_nullable(true)))
        });
        let fields: Fields = fields.collect::<Result<Vec<FieldRef>>>()?.into();
        Ok(Arc::new(arrow::datatypes::Field::new(NAME, DataType::Struct(fields), false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return Err(DataFusionError::Internal("a record that is none".to_owned()));
        };
        let values = args.args.chunks_exact(2).map(|pair| pair[1].to_array(args.number_rows));
        let values: Vec<ArrayRef> = values.collect::<Result<_>>()?;
        let record = match fields.is_empty() {
            true => StructArray::new_empty_fields(args.number_rows, None),
            false => StructArray::try_new(fields.clone(), values, None)?,
        };
        Ok(ColumnarValue::Array(Arc::new(record)))
    }
}
