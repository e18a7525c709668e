//! A stored row as a DataRow message, from its key and packed cells.

use super::read::damaged;
use crate::error::{SqlError, SqlState};
use crate::session::format::{Format, Formats};
use crate::types::style::TextStyle;
use crate::types::{binary, integer, text};
use terrane_client::expr::RowView;
use terrane_client::ids::ColumnId;
use terrane_client::program::RowReader;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Adds the row's message.
pub fn data_row(
    row: &RowReader<'_>,
    output: &[ColumnId],
    formats: &Formats,
    style: &TextStyle,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let width = u16::try_from(output.len())
        .map_err(|_| SqlError::internal("a result of more than 65,535 columns"))?;
    let start = out.len();
    out.push(b'D');
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&width.to_be_bytes());
    for (place, id) in output.iter().enumerate() {
        cell(row, *id, formats.of(place), style, out)?;
    }
    let length = i32::try_from(out.len() - start - 1).map_err(|_| {
        SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a row of 2 GB or more cannot be sent")
    })?;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Adds a value's length and bytes, -1 for NULL.
fn cell(
    row: &RowReader<'_>,
    id: ColumnId,
    format: Format,
    style: &TextStyle,
    out: &mut Vec<u8>,
) -> Result<(), SqlError> {
    let column = row
        .schema
        .column(id)
        .ok_or_else(|| SqlError::internal(format!("no column {} to send", id.0)))?;
    if let Some(bytes) = stored_text(row, id, &column.data_type) {
        let length = i32::try_from(bytes.len()).map_err(|_| too_long())?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let value = row.column(id).map_err(|error| damaged(row.schema, &error))?;
    let at = out.len();
    match (value, format) {
        (Value::Null, _) => {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        (Value::Int4(value), Format::Text) => {
            out.extend_from_slice(&[0; 4]);
            integer::write(value, out);
        }
        (value, Format::Text) => {
            out.extend_from_slice(&[0; 4]);
            text::write(&value, &column.data_type, style, out);
        }
        (value, Format::Binary) => {
            out.extend_from_slice(&[0; 4]);
            binary::send(&value, &column.data_type, out);
        }
    }
    let length = i32::try_from(out.len() - at - 4).map_err(|_| too_long())?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Text whose stored bytes are what is sent, in either format.
fn stored_text<'a>(row: &RowReader<'a>, id: ColumnId, data_type: &DataType) -> Option<&'a [u8]> {
    match data_type {
        DataType::Text | DataType::Varchar(_) if row.schema.key_position(id).is_none() => {
            row.cells?.get(id)?
        }
        _ => None,
    }
}

#[cold]
fn too_long() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a value of 2 GB or more")
}
