//! upper() and lower(), letter by letter: `ß` has no upper case that is one letter, and stays.

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Coercion, ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignatureClass,
    Volatility,
};
use std::sync::Arc;

/// One of the two.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct LetterCase {
    upper: bool,
    signature: Signature,
}

impl LetterCase {
    /// Both.
    pub fn all() -> [Self; 2] {
        [true, false].map(|upper| {
            let text = Coercion::new_exact(TypeSignatureClass::Native(
                datafusion::common::types::logical_string(),
            ));
            Self { upper, signature: Signature::coercible(vec![text], Volatility::Immutable) }
        })
    }

    fn change(&self, text: &str) -> String {
        match (self.upper, text.is_ascii()) {
            (true, true) => text.to_ascii_uppercase(),
            (false, true) => text.to_ascii_lowercase(),
            (true, false) => text.chars().map(|c| alone(c, c.to_uppercase())).collect(),
            // Turkish İ is an i with a dot, which the small letter has anyway.
            (false, false) => text
                .chars()
                .map(|c| if c == 'İ' { 'i' } else { alone(c, c.to_lowercase()) })
                .collect(),
        }
    }
}

/// The other case of a letter, if it is one letter.
fn alone(letter: char, mut other: impl Iterator<Item = char>) -> char {
    match (other.next(), other.next()) {
        (Some(other), None) => other,
        _ => letter,
    }
}

impl ScalarUDFImpl for LetterCase {
    fn name(&self) -> &str {
        if self.upper { "upper" } else { "lower" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = cast(&arrays[0], &DataType::Utf8View)?;
        let mut out = StringViewBuilder::with_capacity(texts.len());
        for text in texts.as_string_view() {
            out.append_option(text.map(|text| self.change(text)));
        }
        let changed: ArrayRef = Arc::new(out.finish());
        match &args.args[0] {
            ColumnarValue::Scalar(_) => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&changed, 0)?))
            }
            ColumnarValue::Array(_) => Ok(ColumnarValue::Array(changed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 does it in C.UTF-8.
    #[test]
    fn letters_change_one_by_one() {
        let [upper, lower] = LetterCase::all();
        assert_eq!(upper.change("straße äöü ŉ"), "STRAßE ÄÖÜ ŉ");
        assert_eq!(lower.change("ΣΑΣ ÄÖÜ ABC"), "σασ äöü abc");
    }
}
