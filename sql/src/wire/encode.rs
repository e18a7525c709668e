//! Record batches to DataRow messages.
//!
//! For a result [`RowEncoder`] is made once; for each of its batches [`RowEncoder::batch`] chooses each
//! column's function once; then a row costs one header and one match per cell, straight into the output
//! buffer.

use crate::error::SqlError;
use crate::session::format::Formats;
use crate::session::response::ResultColumn;
use crate::types::cells::{Cells, write_row};
use crate::types::style::TextStyle;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// Encodes the rows of one result.
pub struct RowEncoder {
    columns: Arc<[ResultColumn]>,
    formats: Formats,
    style: Arc<TextStyle>,
}

/// One batch, its columns' functions chosen.
pub struct BatchRows {
    cells: Vec<Cells>,
    rows: usize,
    width: [u8; 2],
}

impl RowEncoder {
    /// For a result of these columns, in these formats.
    pub fn new(columns: Arc<[ResultColumn]>, formats: Formats, style: Arc<TextStyle>) -> Self {
        Self { columns, formats, style }
    }

    /// Prepares a batch. It has as many columns as the result.
    pub fn batch(&self, batch: &RecordBatch) -> Result<BatchRows, SqlError> {
        if batch.num_columns() != self.columns.len() {
            return Err(SqlError::internal(format!(
                "a batch of {} columns in a result of {}",
                batch.num_columns(),
                self.columns.len()
            )));
        }
        let width = u16::try_from(self.columns.len())
            .map_err(|_| SqlError::internal("a result of more than 65,535 columns"))?;
        let columns = batch.columns().iter().zip(self.columns.iter()).enumerate();
        let cells = columns.map(|(i, (array, column))| {
            Cells::new(array, column.wire_type, self.formats.of(i), &self.style)
        });
        Ok(BatchRows {
            cells: cells.collect::<Result<_, _>>()?,
            rows: batch.num_rows(),
            width: width.to_be_bytes(),
        })
    }
}

impl BatchRows {
    /// Rows of the batch.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds one row's DataRow message. After an error nothing of it is left in `out`.
    #[inline]
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let start = out.len();
        out.push(b'D');
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.width);
        if let Err(error) = write_row(&self.cells, row, out) {
            out.truncate(start);
            return Err(error);
        }
        let length = out.len() - start - 1;
        let Ok(length) = i32::try_from(length) else {
            out.truncate(start);
            return Err(SqlError::new(
                crate::error::SqlState::PROGRAM_LIMIT_EXCEEDED,
                "a row of 2 GB or more cannot be sent",
            ));
        };
        out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}
