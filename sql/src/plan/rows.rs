//! Stored rows as values: one column of one row.

use crate::error::SqlError;
use crate::plan::errors;
use datafusion::error::{DataFusionError, Result};
use terrane_client::ids::ColumnId;
use terrane_client::row::Row;
use terrane_client::schema::TableSchema;
use terrane_client::value::Value;
use terrane_client::{cell, key};

/// The value of a column in a stored row: from the key, its cell, or what a missing cell reads as.
pub fn column_value(table: &TableSchema, id: ColumnId, row_key: &[u8], row: &Row) -> Result<Value> {
    let column = table.column(id).ok_or_else(|| {
        DataFusionError::Internal(format!("table {} has no column {}", table.name, id.0))
    })?;
    if let Some(position) = table.key_position(id) {
        let mut values = key::decode(row_key, &table.key_shape())
            .map_err(|error| damaged(format!("row key of table {}: {error}", table.name)))?;
        return Ok(values.swap_remove(position));
    }
    match row.cells.get(id) {
        None => Ok(column.missing.clone()),
        Some(None) => Ok(Value::Null),
        Some(Some(bytes)) => cell::decode(bytes, &column.data_type)
            .map_err(|error| damaged(format!("cell of {}.{}: {error}", table.name, column.name))),
    }
}

fn damaged(message: String) -> DataFusionError {
    errors::external(SqlError::new(crate::error::SqlState::DATA_CORRUPTED, message))
}
