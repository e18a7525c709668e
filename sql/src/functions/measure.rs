//! length(), octet_length(), bit_length() of text and bytea.
//!
//! DataFusion's read bytea as text. A char(n) is stored without its trailing blanks: length() does not
//! count them, octet_length() does.

use super::undefined;
use crate::plan::errors::external;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::array::{ArrayRef, AsArray, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    /// Characters of text, bytes of bytea.
    Characters,
    Bytes,
    Bits,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Measure {
    name: &'static str,
    unit: Unit,
    signature: Signature,
}

impl Measure {
    /// All of them.
    pub fn all() -> [Self; 3] {
        let of = |name, unit| Self {
            name,
            unit,
            signature: Signature::user_defined(Volatility::Immutable),
        };
        [
            of("length", Unit::Characters),
            of("octet_length", Unit::Bytes),
            of("bit_length", Unit::Bits),
        ]
    }
}

impl ScalarUDFImpl for Measure {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        match args {
            [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null] => {
                Ok(vec![DataType::Utf8View])
            }
            [DataType::Binary | DataType::BinaryView] => Ok(vec![DataType::BinaryView]),
            _ => Err(external(undefined::function(self.name, args))),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wire_type = oid::of_field(&args.arg_fields[0]);
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let counted: ArrayRef = Arc::new(self.counts(&arrays[0], wire_type)?);
        match &args.args[0] {
            ColumnarValue::Scalar(_) => {
                let scalar = datafusion::common::ScalarValue::try_from_array(&counted, 0)?;
                Ok(ColumnarValue::Scalar(scalar))
            }
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(counted)),
        }
    }
}

impl Measure {
    fn counts(&self, array: &ArrayRef, wire_type: WireType) -> Result<Int32Array> {
        let scale = if self.unit == Unit::Bits { 8 } else { 1 };
        let count = |count: usize| i32::try_from(count * scale).unwrap_or(i32::MAX);
        if let Some(bytes) = array.as_binary_view_opt() {
            return Ok(bytes.iter().map(|bytes| bytes.map(|bytes| count(bytes.len()))).collect());
        }
        let array = cast(array, &DataType::Utf8View)?;
        let texts = array.as_string_view().iter();
        let width = match wire_type.oid {
            // The modifier counts four bytes of header.
            oid::BPCHAR => usize::try_from(wire_type.modifier - 4).unwrap_or(0),
            _ => 0,
        };
        Ok(match self.unit {
            Unit::Characters => texts.map(|text| text.map(|t| count(t.chars().count()))).collect(),
            Unit::Bytes | Unit::Bits => texts
                .map(|text| {
                    text.map(|text| match width {
                        0 => count(text.len()),
                        width => count(text.len() + width.saturating_sub(text.chars().count())),
                    })
                })
                .collect(),
        })
    }
}
