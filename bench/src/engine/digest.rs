//! A scan's answer in a few numbers: row count and, of each column, a sum that every value goes into.

use super::rows::{Column, Row};
use crate::{BenchError, Result};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digest {
    rows: u64,
    sums: Vec<u64>,
}

fn of_text(text: &str) -> u64 {
    text.bytes().fold(text.len() as u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte))
}

fn sum(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, u64::wrapping_add)
}

impl Digest {
    /// Of columns of rows that are known.
    pub fn of_rows(rows: &[Row], columns: &[Column]) -> Self {
        let of = |column: &Column| match column {
            Column::K => sum(rows.iter().map(|row| i64::from(row.k).cast_unsigned())),
            Column::V => sum(rows.iter().map(|row| row.v.cast_unsigned())),
            Column::X => sum(rows.iter().map(|row| row.x.to_bits())),
            Column::Note => sum(rows.iter().map(|row| of_text(&row.note))),
        };
        Self { rows: rows.len() as u64, sums: columns.iter().map(of).collect() }
    }

    /// Adds a batch.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.sums.resize(batch.num_columns(), 0);
        for (total, array) in self.sums.iter_mut().zip(batch.columns()) {
            *total = total.wrapping_add(of_array(array)?);
        }
        Ok(())
    }
}

fn of_array(array: &dyn Array) -> Result<u64> {
    let integers = |values: &[i64]| sum(values.iter().map(|value| value.cast_unsigned()));
    match array.data_type() {
        _ if array.null_count() > 0 => Err(wrong("a NULL in a column that has none")),
        DataType::Int64 => Ok(integers(array.as_primitive::<Int64Type>().values())),
        DataType::Int32 => {
            let values = array.as_primitive::<Int32Type>().values();
            Ok(sum(values.iter().map(|value| i64::from(*value).cast_unsigned())))
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Ok(sum(values.iter().map(|value| value.to_bits())))
        }
        DataType::Utf8View => Ok(sum(array.as_string_view().iter().flatten().map(of_text))),
        other => Err(wrong(&format!("a column of type {other}"))),
    }
}

fn wrong(what: &str) -> BenchError {
    BenchError::Engine("a scan's answer".to_owned(), what.to_owned())
}
