//! A failed file operation.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Creating a file.
    Create,
    /// Opening a file.
    Open,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Making a file's bytes durable.
    Sync,
    /// Filling a file with zeros ahead of use.
    Allocate,
    /// Changing a file's length.
    SetLen,
    /// Asking for a file's length, or whether it exists.
    Stat,
    /// Removing a file or directory.
    Remove,
    /// Renaming a file.
    Rename,
    /// Listing a directory.
    List,
    /// Creating directories.
    CreateDir,
    /// Making a directory's entries durable.
    SyncDir,
    /// Locking a file.
    Lock,
}

impl Operation {
    /// Its name, in the words of an error message.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Sync => "sync",
            Operation::Allocate => "allocate",
            Operation::SetLen => "set length of",
            Operation::Stat => "stat",
            Operation::Remove => "remove",
            Operation::Rename => "rename",
            Operation::List => "list",
            Operation::CreateDir => "create directory",
            Operation::SyncDir => "sync directory",
            Operation::Lock => "lock",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed file operation: what was tried, on what, and what the system said. Cheap to clone, because
/// one failed sync is told to everyone who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct IoError {
    /// What was tried.
    pub operation: Operation,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub source: Arc<io::Error>,
}

impl IoError {
    /// Wraps what the system said.
    pub fn new(operation: Operation, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source: Arc::new(source) }
    }

    /// ENOSPC or EDQUOT: nothing is broken, there is no room (SQLSTATE 53100).
    pub fn is_disk_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// There is no such file.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// The file is there already.
    pub fn is_already_exists(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }

    /// Another process holds the lock.
    pub fn is_locked(&self) -> bool {
        self.operation == Operation::Lock && self.source.kind() == io::ErrorKind::WouldBlock
    }

    /// The file ended before the bytes asked for.
    pub fn is_unexpected_eof(&self) -> bool {
        self.source.kind() == io::ErrorKind::UnexpectedEof
    }
}

/// The result of a file operation.
pub type Result<T, E = IoError> = std::result::Result<T, E>;
