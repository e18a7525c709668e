//! Arrays in catalog queries.

use crate::types::oid;
use arrow::array::{Array, AsArray, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// The name of the function behind `ARRAY(SELECT …)`.
pub const OR_EMPTY: &str = "array_or_empty";

/// An array, and an empty one for NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OrEmpty {
    signature: Signature,
}

impl Default for OrEmpty {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for OrEmpty {
    fn name(&self) -> &str {
        OR_EMPTY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(args.arg_fields[0].as_ref().clone().with_name(OR_EMPTY).with_nullable(false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let Some(list) = array.as_list_opt::<i32>() else {
            return Err(DataFusionError::Internal("array_or_empty of no list".to_owned()));
        };
        if list.null_count() == 0 {
            return Ok(ColumnarValue::Array(array));
        }
        // NULLs may have values behind them: only what is there is taken over.
        let valid: Vec<_> = (0..list.len())
            .map(
                |row| if list.is_null(row) { list.value(row).slice(0, 0) } else { list.value(row) },
            )
            .collect();
        let offsets = OffsetBuffer::from_lengths(valid.iter().map(|values| values.len()));
        let parts: Vec<&dyn Array> = valid.iter().map(|values| values.as_ref()).collect();
        let values = arrow::compute::concat(&parts).map_err(DataFusionError::from)?;
        let DataType::List(field) = list.data_type() else {
            return Err(DataFusionError::Internal("array_or_empty of no list".to_owned()));
        };
        let filled = ListArray::try_new(Arc::clone(field), offsets, values, None)?;
        Ok(ColumnarValue::Array(Arc::new(filled)))
    }
}

/// The subscript of an array's first element: 1, but 0 for int2vector and oidvector.
pub fn first_subscript(array: &Field) -> i32 {
    match oid::of_field(array).oid {
        oid::INT2VECTOR | oid::OIDVECTOR => 0,
        _ => 1,
    }
}

/// array_upper(), array_lower() and array_length(): arrays have one dimension. An empty one has none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Bound {
    name: &'static str,
    signature: Signature,
}

impl Bound {
    /// The last subscript.
    pub fn upper() -> Self {
        Self { name: "array_upper", signature: Signature::any(2, Volatility::Immutable) }
    }

    /// How many elements there are: the last subscript.
    pub fn length() -> Self {
        Self { name: "array_length", signature: Signature::any(2, Volatility::Immutable) }
    }

    /// The first subscript.
    pub fn lower() -> Self {
        Self { name: "array_lower", signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Bound {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (array, dimension) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let dimension = cast(&dimension, &DataType::Int64).map_err(DataFusionError::from)?;
        let dimension = dimension.as_primitive::<Int64Type>();
        let Some(list) = array.as_list_opt::<i32>() else {
            return Err(DataFusionError::Plan(format!("{} of no array", self.name)));
        };
        let first = first_subscript(&args.arg_fields[0]);
        let bound = |row: usize| -> Option<i32> {
            let there = list.is_valid(row) && dimension.is_valid(row) && dimension.value(row) == 1;
            let length = list.value_length(row);
            let last = first + length - 1;
            let bound = match self.name {
                "array_upper" => last,
                "array_lower" => first,
                _ => length,
            };
            (there && length > 0).then_some(bound)
        };
        let bounds: Int32Array = (0..rows).map(bound).collect();
        Ok(ColumnarValue::Array(Arc::new(bounds)))
    }
}
