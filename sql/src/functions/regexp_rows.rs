//! What regexp_matches() makes rows of: for each match the array of its groups.

use super::regexp;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use arrow::array::{Array, ArrayBuilder, AsArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use std::sync::Arc;

/// `regexp_match_rows(text, pattern [, flags])`
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct MatchRows {
    signature: Signature,
}

impl Default for MatchRows {
    fn default() -> Self {
        let texts = |count| TypeSignature::Exact(vec![DataType::Utf8View; count]);
        let signature = Signature::one_of(vec![texts(2), texts(3)], Volatility::Immutable);
        Self { signature }
    }
}

fn groups() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)))
}

impl ScalarUDFImpl for MatchRows {
    fn name(&self) -> &str {
        "regexp_match_rows"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(Arc::new(Field::new_list_field(groups(), true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays: Vec<_> =
            args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<_>>()?;
        let texts: Vec<_> = arrays.iter().map(|array| array.as_string_view()).collect();
        let mut out = ListBuilder::new(ListBuilder::new(StringViewBuilder::new()));
        for row in 0..rows {
            if texts.iter().any(|column| column.is_null(row)) {
                out.append(false);
                continue;
            }
            let flags = texts.get(2).map_or("", |flags| flags.value(row));
            matches(texts[0].value(row), texts[1].value(row), flags, out.values())
                .map_err(external)?;
            out.append(true);
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// Adds the groups of each match, of the first alone where there is no flag `g`; of a pattern without groups what it
/// matches.
fn matches(
    text: &str,
    pattern: &str,
    flags: &str,
    out: &mut ListBuilder<StringViewBuilder>,
) -> std::result::Result<(), SqlError> {
    let regex = regexp::compiled("regexp_matches", pattern, &flags.replace('g', ""))?;
    let count = if flags.contains('g') { usize::MAX } else { 1 };
    for found in regex.captures_iter(text).take(count) {
        let from = usize::from(found.len() > 1);
        for group in from..found.len() {
            out.values().append_option(found.get(group).map(|group| group.as_str()));
        }
        out.append(true);
    }
    if out.values().len() > i32::MAX as usize {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many matches"));
    }
    Ok(())
}
