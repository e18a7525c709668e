//! Files.
//!
//! What every implementation promises, and nothing more:
//! - Bytes are durable once [`File::sync_data`] or [`File::sync_all`] returned after they were
//!   written. Before that, a power cut keeps, drops or tears them in any order.
//! - A name that was created, renamed or removed is durable once [`FileSystem::sync_dir`] of its directory
//!   returned. Before that a power cut may undo it. A rename inside a directory is atomic.
//! - After a failed write or sync the file's unsynced bytes are unknown for good: a later sync that
//!   succeeds says nothing about them (Linux drops the dirty pages). Write them to another file.
//! - Directories themselves are durable when [`FileSystem::create_dir_all`] returns.
//!
//! Paths are joined with `/` and never cleaned: use one spelling.

pub mod crash;
pub mod open_files;
pub mod system;

use crate::error::{IoError, Operation, Result};
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file system.
pub trait FileSystem: Send + Sync + Debug {
    /// Creates a file, open for reading and writing; fails if the name exists.
    fn create_new(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// Opens an existing file for reading and writing, contents kept.
    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>>;

    /// The names in a directory, ascending. Fails if there is no such directory.
    fn list(&self, directory: &Path) -> Result<Vec<String>>;

    /// Removes a file. Open handles go on working.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Renames a file, replacing `to`. Open handles follow the file.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Creates a directory and its missing parents, durably.
    fn create_dir_all(&self, directory: &Path) -> Result<()>;

    /// Removes an empty directory, durably.
    fn remove_dir(&self, directory: &Path) -> Result<()>;

    /// Makes a directory's entries durable.
    fn sync_dir(&self, directory: &Path) -> Result<()>;

    /// Whether a file or directory of that name exists.
    fn exists(&self, path: &Path) -> Result<bool>;

    /// A file's length in bytes.
    fn file_size(&self, path: &Path) -> Result<u64>;

    /// Takes an exclusive advisory lock on a file, created if missing, until the result is dropped or
    /// the process ends. [`IoError::is_locked`] if someone else has it.
    fn lock_exclusive(&self, path: &Path) -> Result<Box<dyn FileLock>>;

    /// Bytes that may still be written below a directory.
    fn available_bytes(&self, directory: &Path) -> Result<u64>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let file = self.open_read(path)?;
        let len = file.len()?;
        let mut bytes = vec![0; usize::try_from(len).expect("files fit the address space")];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// Creates a file with these contents: file and name are durable when it returns. Fails if the
    /// name exists.
    fn write_new_durable(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = self.create_new(path)?;
        file.write_at(bytes, 0)?;
        file.sync_all()?;
        self.sync_dir(parent(path))
    }
}

/// The directory that holds an entry.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => Path::new("/"),
    }
}

/// An open file; the handle keeps its descriptor. All offsets are in bytes from the start. Calls of
/// several threads may overlap; overlapping writes to the same bytes end in one of them.
#[allow(clippy::len_without_is_empty, reason = "no one asks a file whether it is empty")]
pub trait File: Send + Sync + Debug {
    /// The path it was opened by.
    fn path(&self) -> &Path;

    /// Reads up to `buffer.len()` bytes; fewer only at the file's end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes all bytes; the file grows as needed, gaps read as zeros.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Makes the bytes, and the length where it changed, durable.
    fn sync_data(&self) -> Result<()>;

    /// Makes the bytes and all metadata durable.
    fn sync_all(&self) -> Result<()>;

    /// Writes zeros from the current end to `len`, so that later writes below `len` need no space and
    /// change no metadata (not true of copy-on-write file systems). Not durable until synced. A file
    /// at least that long is left alone.
    fn allocate(&self, len: u64) -> Result<()>;

    /// Cuts or extends the file; new bytes read as zeros and own no space.
    fn set_len(&self, len: u64) -> Result<()>;

    /// The file's length in bytes.
    fn len(&self) -> Result<u64>;

    /// Reads exactly `buffer.len()` bytes; [`IoError::is_unexpected_eof`] if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let read = self.read_at(buffer, offset)?;
        if read < buffer.len() {
            let message = format!("file ends at {}, wanted {}", offset + read as u64, buffer.len());
            let source = io::Error::new(io::ErrorKind::UnexpectedEof, message);
            return Err(IoError::new(Operation::Read, self.path(), source));
        }
        Ok(())
    }
}

/// A held lock; dropping it lets go.
pub trait FileLock: Send + Sync + Debug {}
