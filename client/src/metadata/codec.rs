//! METADATA's rows as row keys and cells.

use super::{TabletRow, column, schema};
use crate::cell;
use crate::error::TabletError;
use crate::ids::StorageId;
use crate::key::{self, KeyWriter};
use crate::row::{CellsBuilder, PackedCells, Row};
use crate::value::Value;
use bytes::Bytes;

/// The METADATA row key of the tablet of `table` that ends at `end`.
pub fn row_key(table: StorageId, end: Option<&[u8]>) -> Result<Bytes, TabletError> {
    let mut key = KeyWriter::default();
    key.push_i64(table.0 as i64, false);
    key.push_bool(end.is_none(), false);
    key.push_bytes(end.unwrap_or_default(), false);
    key.finish().map_err(|e| key_error(&e))
}

/// The smallest METADATA key that could be of the tablet that holds `row_key`: a tablet ends after each
/// key it holds, so its METADATA row is the first above `(table, false, row_key)`.
pub fn first_key_after(table: StorageId, row_key: &[u8]) -> Result<Bytes, TabletError> {
    let mut key = KeyWriter::default();
    key.push_i64(table.0 as i64, false);
    key.push_bool(false, false);
    key.push_bytes(row_key, false);
    let key = key.finish().map_err(|e| key_error(&e))?;
    Ok(key::single_range(key).end.unwrap_or_default())
}

/// The first key above every METADATA row of `table`.
pub fn table_end(table: StorageId) -> Option<Bytes> {
    let mut key = KeyWriter::default();
    key.push_i64(table.0 as i64, false);
    key::successor(key.as_bytes())
}

fn key_error(error: &key::KeyError) -> TabletError {
    match error {
        key::KeyError::TooLarge { size } => {
            TabletError::TooLarge { what: "METADATA key", size: *size, limit: key::KEY_BYTES_MAX }
        }
        other => TabletError::Internal(other.to_string()),
    }
}

/// The state column of a tablet's METADATA row, and the root's value in the lock service.
pub fn state(row: &TabletRow) -> Result<String, TabletError> {
    serde_json::to_string(row).map_err(|e| TabletError::Internal(e.to_string()))
}

/// The cells of a tablet's METADATA row.
pub fn row_cells(row: &TabletRow) -> Result<PackedCells, TabletError> {
    let state = state(row)?;
    let values = [
        (column::GENERATION, Value::Int8(row.generation.0 as i64)),
        (column::VERSION, Value::Int8(row.version as i64)),
        (column::STATE, Value::Text(state)),
    ];
    let table = schema();
    let mut cells = CellsBuilder::default();
    for (id, value) in values {
        let column = table
            .column(id)
            .ok_or_else(|| TabletError::Internal("METADATA lacks a column".to_owned()))?;
        let bytes = cell::encoded(&value, &column.data_type)
            .map_err(|e| TabletError::Internal(e.to_string()))?;
        cells.push(id, bytes.as_deref());
    }
    Ok(cells.finish())
}

/// Reads a METADATA row.
pub fn tablet_row(row: &Row) -> Result<TabletRow, TabletError> {
    let state = row.cells.get(column::STATE).flatten();
    let state =
        state.ok_or_else(|| TabletError::Internal("METADATA row without state".to_owned()))?;
    parse_state(state)
}

/// Reads the state column of a METADATA row, or the root's value in the lock service.
pub fn parse_state(state: &[u8]) -> Result<TabletRow, TabletError> {
    serde_json::from_slice(state)
        .map_err(|e| TabletError::Internal(format!("METADATA row does not parse: {e}")))
}
