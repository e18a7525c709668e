//! What can go wrong between a client and a tablet. Each variant has one SQLSTATE; the SQL layer maps
//! by variant, never by text.

use crate::ids::{CommitTs, StorageId};
use crate::lock::LockError;
use crate::program::RowError;

/// A tablet server's error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TabletError {
    /// The tablet is not here (any more): look it up again.
    #[error("table {table}: no tablet of this server holds the key")]
    NotServing {
        /// The table.
        table: StorageId,
    },
    /// METADATA has no tablet of the table: it was dropped, or truncated into a new storage.
    #[error("table {table} does not exist")]
    UnknownTable {
        /// The table.
        table: StorageId,
    },
    /// The table's schema moved on: reload it and try again (rule 32).
    #[error("table {table}: schema version {asked} is not held, the current one is {current}")]
    SchemaChanged {
        /// The table.
        table: StorageId,
        /// What the request was planned with.
        asked: u32,
        /// What the tablet has.
        current: u32,
    },
    /// The read timestamp is older than the table's history (72000, rule 7).
    #[error("table {table}: history before {oldest:?} is gone")]
    HistoryGone {
        /// The table.
        table: StorageId,
        /// The oldest timestamp that can be read.
        oldest: CommitTs,
    },
    /// A row key, cell or row larger than allowed (54000).
    #[error("{what} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Key, cell, row or commit.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// No log or file space; nothing was written (53100).
    #[error("disk full: {0}")]
    DiskFull(String),
    /// The commit may or may not be durable (08007).
    #[error("outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// Rows on several servers: some servers applied theirs, one failed (40003, rule 30).
    #[error("{applied} of {of} rows applied: {cause}")]
    PartlyApplied {
        /// Rows that were applied, for good.
        applied: usize,
        /// Rows of the request.
        of: usize,
        /// Why the others were not.
        cause: String,
    },
    /// The server stopped accepting writes or is shutting down (57P01).
    #[error("not available: {0}")]
    Unavailable(String),
    /// Stored bytes are damaged (XX001).
    #[error("corruption in {file} at offset {offset}: {what}")]
    Corruption {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file operation failed (58030).
    #[error("I/O error: {0}")]
    Io(String),
    /// Not built (0A000).
    #[error("not supported: {0}")]
    Unsupported(String),
    /// A predicate of a scan failed to evaluate, or a program outside an answer that can name its row.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A broken promise inside Terrane (XX000).
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<LockError> for TabletError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::DiskFull(what) => Self::DiskFull(what),
            LockError::OutcomeUnknown(what) => Self::OutcomeUnknown(what),
            LockError::Corruption { file, offset, what } => Self::Corruption { file, offset, what },
            other => Self::Unavailable(other.to_string()),
        }
    }
}
