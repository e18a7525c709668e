//! substring() of text by position, which is DataFusion's; of bytea; and of text by a regular expression.

use super::regexp;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::types::oid;
use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

/// Its name.
pub const NAME: &str = "substr";

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Substring {
    inner: Arc<ScalarUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

impl Substring {
    /// Over DataFusion's.
    pub fn new(inner: Arc<ScalarUDF>) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { inner, aliases: vec!["substring".to_owned()], signature }
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::BinaryView | DataType::LargeBinary)
}

impl ScalarUDFImpl for Substring {
    fn name(&self) -> &str {
        NAME
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        match args {
            [bytes, places @ ..] if is_bytes(bytes) && (1..=2).contains(&places.len()) => {
                let mut types = vec![DataType::Binary];
                types.extend(places.iter().map(|_| DataType::Int64));
                Ok(types)
            }
            [text, pattern] if is_text(text) && is_text(pattern) => Ok(vec![DataType::Utf8View; 2]),
            _ => {
                let field = |t: &DataType| -> FieldRef {
                    // DataFusion's knows no smallint, which is what drivers send small numbers as.
                    let t = if t.is_integer() { DataType::Int64 } else { t.clone() };
                    Arc::new(Field::new("", t, true))
                };
                let fields: Vec<FieldRef> = args.iter().map(field).collect();
                let coerced = fields_with_udf(&fields, &*self.inner)?;
                Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
            }
        }
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match args {
            [bytes, ..] if is_bytes(bytes) => Ok(oid::arrow(oid::BYTEA, -1)),
            [_, pattern] if is_text(pattern) => Ok(DataType::Utf8View),
            args => self.inner.return_type(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let by_pattern = matches!(types.as_slice(), [_, pattern] if is_text(pattern));
        if !by_pattern && !types.first().is_some_and(is_bytes) {
            return self.inner.invoke_with_args(args);
        }
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let found = match by_pattern {
            true => matched(&arrays)?,
            false => cut(&arrays)?,
        };
        let found = cast(&found, args.return_field.data_type())?;
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        Ok(match scalar {
            true => {
                ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&found, 0)?)
            }
            false => ColumnarValue::Array(found),
        })
    }
}

/// What the pattern matches, or its first group.
fn matched(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let (texts, patterns) = (arrays[0].as_string_view(), arrays[1].as_string_view());
    let mut out = StringViewBuilder::new();
    let mut last: Option<(String, regex::Regex)> = None;
    for row in 0..texts.len() {
        if texts.is_null(row) || patterns.is_null(row) {
            out.append_null();
            continue;
        }
        let pattern = patterns.value(row);
        if last.as_ref().is_none_or(|(known, _)| known != pattern) {
            let compiled = regexp::compiled("substring", pattern, "").map_err(external)?;
            last = Some((pattern.to_owned(), compiled));
        }
        let found = last.as_ref().and_then(|(_, regex)| regex.captures(texts.value(row)));
        let found = found.and_then(|found| match found.len() {
            1 => found.get(0),
            _ => found.get(1),
        });
        out.append_option(found.map(|found| found.as_str()));
    }
    Ok(Arc::new(out.finish()))
}

fn cut(arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let bytes = cast(&arrays[0], &DataType::Binary)?;
    let bytes = bytes.as_binary::<i32>();
    let places = |at: usize| arrays.get(at).map(|array| array.as_primitive::<Int64Type>());
    let (starts, lengths) = (places(1), places(2));
    let mut out = BinaryBuilder::new();
    for row in 0..bytes.len() {
        let place = |places: Option<&arrow::array::PrimitiveArray<Int64Type>>| {
            places.map(|places| places.is_valid(row).then(|| places.value(row)))
        };
        let (Some(Some(start)), length) = (place(starts), place(lengths)) else {
            out.append_null();
            continue;
        };
        if bytes.is_null(row) || length == Some(None) {
            out.append_null();
            continue;
        }
        let all = bytes.value(row);
        let size = all.len() as i64;
        let end = match length.flatten() {
            None => size,
            Some(length) if length < 0 => {
                let message = "negative substring length not allowed";
                return Err(external(SqlError::new(SqlState::SUBSTRING_ERROR, message)));
            }
            Some(length) => start.saturating_sub(1).saturating_add(length).clamp(0, size),
        };
        let begin = start.saturating_sub(1).clamp(0, end);
        out.append_value(&all[begin as usize..end as usize]);
    }
    Ok(Arc::new(out.finish()))
}
