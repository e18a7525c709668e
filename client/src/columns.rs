//! Arrow columns out of cells and keys, and values out of Arrow columns.
//!
//! [`ColumnBuilder`] takes one column's cells as they are stored, without making a [`Value`] of each;
//! [`RowBatch`] takes whole rows and makes the record batches a [`crate::read::ScanRequest`] asks for. The
//! engine's fast paths make the same arrays straight from column pages. [`encode`] is the way back, for
//! batches that are loaded.

mod builder;
pub mod encode;
mod row_batch;
mod value_at;

pub use builder::ColumnBuilder;
pub use row_batch::{CellVersion, RowBatch, arrow_schema};
pub use value_at::{bytes_at, text_at, value_at};

#[cfg(test)]
mod tests;
