//! Entry points for fuzzing: whatever the bytes, these return.

use super::options::{CopyFormat, CopyOptions};
use super::reader::{CopyColumn, CopyReader};
use crate::types::style::TextStyle;
use std::sync::Arc;
use terrane_client::types::DataType;

fn columns(types: &[DataType]) -> Vec<CopyColumn> {
    let named = types.iter().enumerate();
    named
        .map(|(i, data_type)| CopyColumn {
            name: format!("c{i}"),
            data_type: data_type.clone(),
            precision: None,
        })
        .collect()
}

/// All three formats. The first byte chooses format and options, the second where the data is cut.
pub fn fuzz_copy(data: &[u8]) {
    let [choice, cut, data @ ..] = data else { return };
    let types = match choice >> 4 & 3 {
        0 => vec![DataType::Text, DataType::Text],
        1 => vec![DataType::Int4],
        2 => vec![DataType::Bytea, DataType::Numeric(None), DataType::Jsonb],
        _ => vec![DataType::Array(Box::new(DataType::Text)), DataType::Timestamp],
    };
    let format = match choice & 3 {
        0 | 1 => CopyFormat::Csv,
        2 => CopyFormat::Text,
        _ => CopyFormat::Binary,
    };
    let mut options = CopyOptions::new(format, types.len());
    if choice & 4 != 0 && format == CopyFormat::Csv {
        options.escape = b'\\';
    }
    let style = Arc::new(TextStyle::default());
    let mut reader = CopyReader::new(&options, "t", columns(&types), style, 0);
    let mut batches = Vec::new();
    for part in data.chunks(usize::from(*cut).max(1)) {
        if reader.feed(part, &mut batches).is_err() {
            return;
        }
    }
    let _ = reader.finish(&mut batches);
}
