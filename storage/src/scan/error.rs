//! What can go wrong while reading.

use crate::sstable::SstableError;
use arrow::error::ArrowError;
use terrane_client::cell::CellError;
use terrane_client::error::TabletError;
use terrane_client::ids::ColumnId;
use terrane_client::key::KeyError;
use terrane_client::row::MalformedCells;

/// A read's error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A file cannot be read.
    #[error(transparent)]
    Sstable(#[from] SstableError),
    /// A row key is none of its table.
    #[error("row key: {0}")]
    Key(#[from] KeyError),
    /// A cell's bytes are none of its column's type.
    #[error("column {}: {error}", column.0)]
    Cell {
        /// The column.
        column: ColumnId,
        /// What is wrong.
        error: CellError,
    },
    /// A memtable holds bytes that are no mutation.
    #[error(transparent)]
    Mutation(#[from] MalformedCells),
    /// A column that the schema does not have: a bug in the caller.
    #[error("no column {}", .0.0)]
    NoColumn(ColumnId),
    /// Not built yet.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
    /// Arrays that do not fit together: a bug here.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// The result of a read.
pub type Result<T, E = ScanError> = std::result::Result<T, E>;

impl From<ScanError> for TabletError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Sstable(error) => error.into(),
            ScanError::Unsupported(_) => TabletError::Unsupported(error.to_string()),
            other => TabletError::Internal(other.to_string()),
        }
    }
}
