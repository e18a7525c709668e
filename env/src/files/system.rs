//! The operating system's files: positional reads and writes on kept descriptors.
#![allow(clippy::disallowed_methods, reason = "this is the one place that touches real files")]

use super::{File, FileLock, FileSystem, parent};
use crate::error::{IoError, Operation, Result};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Zeros are written in pieces of this size, large enough for the disk's full speed.
const ALLOCATE_CHUNK_BYTES: usize = 1 << 20;
static ZEROS: [u8; ALLOCATE_CHUNK_BYTES] = [0; ALLOCATE_CHUNK_BYTES];

/// The operating system's files.
#[derive(Debug)]
pub struct SystemFileSystem;

#[derive(Debug)]
struct SystemFile {
    file: fs::File,
    path: PathBuf,
}

#[derive(Debug)]
struct SystemLock {
    /// The lock lives as long as this descriptor.
    _file: fs::File,
}

impl FileLock for SystemLock {}

fn open(operation: Operation, path: &Path, options: &OpenOptions) -> Result<Arc<dyn File>> {
    let file = options.open(path).map_err(|error| IoError::new(operation, path, error))?;
    Ok(Arc::new(SystemFile { file, path: path.to_owned() }))
}

impl FileSystem for SystemFileSystem {
    fn create_new(&self, path: &Path) -> Result<Arc<dyn File>> {
        open(Operation::Create, path, OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn File>> {
        open(Operation::Open, path, OpenOptions::new().read(true))
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>> {
        open(Operation::Open, path, OpenOptions::new().read(true).write(true))
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        let error = |error| IoError::new(Operation::List, directory, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(directory).map_err(error)? {
            // A name that is not UTF-8 is not one of ours.
            names.extend(entry.map_err(error)?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|error| IoError::new(Operation::Remove, path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|error| IoError::new(Operation::Rename, from, error))
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        let error = |error| IoError::new(Operation::CreateDir, directory, error);
        let mut missing = Vec::new();
        for ancestor in directory.ancestors().filter(|path| !path.as_os_str().is_empty()) {
            if ancestor.try_exists().map_err(error)? {
                break;
            }
            missing.push(ancestor);
        }
        for ancestor in missing.into_iter().rev() {
            match fs::create_dir(ancestor) {
                // Someone else made it meanwhile.
                Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => {}
                result => result.map_err(error)?,
            }
            self.sync_dir(parent(ancestor))?;
        }
        // What is there must be a directory.
        fs::read_dir(directory).map(drop).map_err(error)
    }

    fn remove_dir(&self, directory: &Path) -> Result<()> {
        fs::remove_dir(directory)
            .map_err(|error| IoError::new(Operation::Remove, directory, error))?;
        self.sync_dir(parent(directory))
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        let error = |error| IoError::new(Operation::SyncDir, directory, error);
        fs::File::open(directory).map_err(error)?.sync_all().map_err(error)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists().map_err(|error| IoError::new(Operation::Stat, path, error))
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        let metadata =
            fs::metadata(path).map_err(|error| IoError::new(Operation::Stat, path, error))?;
        Ok(metadata.len())
    }

    fn lock_exclusive(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        let error = |error: io::Error| IoError::new(Operation::Lock, path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(error)?;
        file.try_lock().map_err(|refused| error(refused.into()))?;
        Ok(Box::new(SystemLock { _file: file }))
    }

    fn available_bytes(&self, directory: &Path) -> Result<u64> {
        let stat = rustix::fs::statvfs(directory)
            .map_err(|error| IoError::new(Operation::Stat, directory, error.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl SystemFile {
    fn error(&self, operation: Operation) -> impl Fn(io::Error) -> IoError + '_ {
        move |error| IoError::new(operation, &self.path, error)
    }
}

impl File for SystemFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(Operation::Read)(error)),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(self.error(Operation::Write))
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data().map_err(self.error(Operation::Sync))
    }

    fn sync_all(&self) -> Result<()> {
        self.file.sync_all().map_err(self.error(Operation::Sync))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let mut end = self.len()?;
        while end < len {
            // A piece never crosses a chunk boundary, so a retry stays aligned.
            let chunk = ALLOCATE_CHUNK_BYTES as u64 - end % ALLOCATE_CHUNK_BYTES as u64;
            let size = chunk.min(len - end);
            let piece = &ZEROS[..usize::try_from(size).expect("a chunk fits")];
            self.file.write_all_at(piece, end).map_err(self.error(Operation::Allocate))?;
            end += size;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(self.error(Operation::SetLen))
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(self.error(Operation::Stat))?.len())
    }
}

#[cfg(test)]
mod tests;
