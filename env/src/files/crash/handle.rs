//! What is done to open files: [`File`] for a [`CrashFileSystem`].

use super::disk::InodeId;
use super::{Access, CrashFileSystem, FaultKind, State};
use crate::error::{Operation, Result};
use crate::files::{File, FileLock};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(super) struct CrashLock {
    pub(super) files: CrashFileSystem,
    pub(super) path: PathBuf,
}

impl fmt::Debug for CrashLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashLock").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileLock for CrashLock {}

impl Drop for CrashLock {
    fn drop(&mut self) {
        self.files.state.lock().locked.remove(&self.path);
    }
}

#[derive(Debug)]
pub(super) struct CrashFile {
    pub(super) files: CrashFileSystem,
    pub(super) inode: InodeId,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
}

impl Drop for CrashFile {
    fn drop(&mut self) {
        let mut state = self.files.state.lock();
        let State { open, disk, .. } = &mut *state;
        if let Some(handles) = open.get_mut(&self.inode) {
            *handles -= 1;
            if *handles == 0 {
                open.remove(&self.inode);
                disk.collect(open);
            }
        }
    }
}

impl CrashFile {
    fn access(&self, operation: Operation, offset: u64, len: u64) -> Access<'_> {
        Access { operation, path: &self.path, offset, len }
    }

    fn check_writable(&self) -> Result<(), io::Error> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn sync(&self) -> Result<()> {
        self.files.run(
            self.access(Operation::Sync, 0, 0),
            |state, _| {
                let State { disk, random, .. } = state;
                disk.inode(self.inode).sync_part(random);
            },
            |state| {
                state.disk.inode(self.inode).sync();
                state.count(&self.path).syncs += 1;
                Ok(())
            },
        )
    }
}

impl File for CrashFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let access = self.access(Operation::Read, offset, buffer.len() as u64);
        self.files.run(
            access,
            |_, _| {},
            |state| {
                let read = state.disk.inode(self.inode).current.read(buffer, offset);
                let counters = state.count(&self.path);
                counters.reads += 1;
                counters.bytes_read += read as u64;
                Ok(read)
            },
        )
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.files.run(
            self.access(Operation::Write, offset, bytes.len() as u64),
            |state, kind| {
                if kind == FaultKind::Io && self.writable {
                    let State { disk, random, .. } = state;
                    disk.inode(self.inode).write_part(offset, bytes, random);
                }
            },
            |state| {
                self.check_writable()?;
                state.check_room(self.inode, offset, bytes.len() as u64)?;
                state.disk.inode(self.inode).write(offset, bytes);
                let counters = state.count(&self.path);
                counters.writes += 1;
                counters.bytes_written += bytes.len() as u64;
                Ok(())
            },
        )
    }

    fn sync_data(&self) -> Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> Result<()> {
        self.sync()
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.files.run(
            self.access(Operation::Allocate, 0, len),
            |_, _| {},
            |state| {
                self.check_writable()?;
                let end = state.disk.inode(self.inode).current.len();
                state.check_room(self.inode, end, len.saturating_sub(end))?;
                state.disk.inode(self.inode).allocate(len);
                Ok(())
            },
        )
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.files.run(
            self.access(Operation::SetLen, 0, len),
            |_, _| {},
            |state| {
                self.check_writable()?;
                state.disk.inode(self.inode).set_len(len);
                Ok(())
            },
        )
    }

    fn len(&self) -> Result<u64> {
        self.files.run(
            self.access(Operation::Stat, 0, 0),
            |_, _| {},
            |state| Ok(state.disk.inode(self.inode).current.len()),
        )
    }
}
