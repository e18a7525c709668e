//! What can go wrong in the commit log.

use std::path::PathBuf;
use terrane_client::error::TabletError;
use terrane_env::IoError;

/// A commit-log error. Cheap to clone: one failure is told to everyone who waits.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// No room for the commit; nothing was written (53100).
    #[error("no room for the commit log: {0}")]
    Full(IoError),
    /// A commit larger than the log takes (54000); nothing was written.
    #[error("a commit of {bytes} bytes is over the log's limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The log stopped after a failed write that could not be repeated elsewhere, or was closed; nothing
    /// of this commit was written (57P01).
    #[error("the commit log is stopped: {0}")]
    Stopped(String),
    /// The commit was handed to the disk, and whether it is durable is not known (08007).
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(String),
    /// Stored bytes are damaged (XX001).
    #[error("corruption in {} at offset {offset}: {what}", file.display())]
    Corruption {
        /// The file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file operation failed outside a commit (58030).
    #[error(transparent)]
    Io(#[from] IoError),
    /// A later epoch has written this log: this server was replaced.
    #[error("log written in epoch {found}, this server's epoch is {own}")]
    Fenced {
        /// The epoch found in the log.
        found: u64,
        /// The epoch of who opened it.
        own: u64,
    },
    /// The log is another server's.
    #[error("{} belongs to server {found:?}", file.display())]
    WrongServer {
        /// The segment.
        file: PathBuf,
        /// Whose it is.
        found: String,
    },
    /// A newer Terrane wrote it; nothing was touched.
    #[error("{} has log format {found}, this build knows formats up to {known}", file.display())]
    NewerFormat {
        /// The segment.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A broken promise of the caller (XX000); nothing was written.
    #[error("commit log misused: {0}")]
    Misuse(String),
}

impl From<LogError> for TabletError {
    fn from(error: LogError) -> Self {
        let text = error.to_string();
        match error {
            LogError::Full(_) => TabletError::DiskFull(text),
            LogError::TooLarge { bytes, limit } => TabletError::TooLarge {
                what: "commit",
                size: usize::try_from(bytes).unwrap_or(usize::MAX),
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            },
            LogError::Stopped(_) | LogError::Fenced { .. } => TabletError::Unavailable(text),
            LogError::OutcomeUnknown(_) => TabletError::OutcomeUnknown(text),
            LogError::Corruption { file, offset, what } => {
                TabletError::Corruption { file: file.display().to_string(), offset, what }
            }
            LogError::Io(_) => TabletError::Io(text),
            LogError::WrongServer { .. } | LogError::NewerFormat { .. } => {
                TabletError::Unavailable(text)
            }
            LogError::Misuse(_) => TabletError::Internal(text),
        }
    }
}
