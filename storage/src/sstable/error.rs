//! What can go wrong with an SSTable.

use terrane_client::error::TabletError;
use terrane_env::IoError;

/// An SSTable's error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SstableError {
    /// Stored bytes are damaged.
    #[error("corruption in {file} at offset {offset}: {what}")]
    Corruption {
        /// The file.
        file: String,
        /// Where in the file the damaged structure starts.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The file is whole but written by a newer Terrane.
    #[error("{file} needs a newer version: {what}")]
    Unsupported {
        /// The file.
        file: String,
        /// What is not known here.
        what: String,
    },
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The writer was given rows it cannot store: a bug in the caller.
    #[error("row refused: {0}")]
    Refused(String),
    /// A column was asked for in a type its cells cannot be read as: a bug in the caller.
    #[error("column {column}: {what}")]
    Mismatch {
        /// The column's id.
        column: u32,
        /// What does not fit.
        what: String,
    },
}

/// The result of an operation on an SSTable.
pub type Result<T, E = SstableError> = std::result::Result<T, E>;

impl From<SstableError> for TabletError {
    fn from(error: SstableError) -> Self {
        match error {
            SstableError::Corruption { file, offset, what } => {
                TabletError::Corruption { file, offset, what }
            }
            SstableError::Io(error) if error.is_disk_full() => {
                TabletError::DiskFull(error.to_string())
            }
            SstableError::Io(error) => TabletError::Io(error.to_string()),
            other => TabletError::Internal(other.to_string()),
        }
    }
}

/// Bytes that passed their checksum but do not parse. Whoever knows the file turns it into
/// [`SstableError::Corruption`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);
