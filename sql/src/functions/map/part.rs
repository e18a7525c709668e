//! Some of a map's entries: what a plan puts under each() once it knows which of the rows it makes are looked at.

use crate::plan::errors::external;
use crate::types::map;
use arrow::array::builder::LargeBinaryBuilder;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use terrane_client::cell::MapWriter;
use terrane_client::map_column::MapPart;
use terrane_client::types::MapType;

/// What the function is called.
pub const NAME: &str = "map_part";

/// A part of a map.
pub fn part(map: Expr, of: MapType, part: MapPart) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(Part { of, part, signature }).call(vec![map])
}

#[derive(Debug, PartialEq, Eq)]
struct Part {
    of: MapType,
    part: MapPart,
    signature: Signature,
}

impl Hash for Part {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.of.code().hash(state);
    }
}

impl ScalarUDFImpl for Part {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = matches!(args.args[0], ColumnarValue::Scalar(_));
        let maps = args.args[0].to_array(if is_scalar { 1 } else { args.number_rows })?;
        let Some(maps) = maps.as_binary_opt::<i64>() else {
            return Err(DataFusionError::Internal("maps that are no cells".to_owned()));
        };
        let mut out = LargeBinaryBuilder::new();
        for row in 0..maps.len() {
            if maps.is_null(row) {
                out.append_null();
                continue;
            }
            let map = map::open(maps.value(row), &self.of).map_err(external)?;
            let kept = map.entries().filter(|(key, _)| self.part.contains(key));
            let part = MapWriter::cell_of(&self.of, kept);
            out.append_value(part.map_err(|error| external(map::not_stored(&error)))?);
        }
        let parts = out.finish();
        Ok(match is_scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&parts, 0)?),
            false => ColumnarValue::Array(Arc::new(parts)),
        })
    }
}
