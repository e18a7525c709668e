//! What is done to names: [`FileSystem`] for [`CrashFileSystem`].

use super::disk::parent;
use super::handle::CrashLock;
use super::{CrashFileSystem, State};
use crate::error::{Operation, Result};
use crate::files::{File, FileLock, FileSystem};
use std::io;
use std::path::Path;
use std::sync::Arc;

impl FileSystem for CrashFileSystem {
    fn create_new(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.simple(Operation::Create, path, |state| {
            state.check_directory(parent(path))?;
            if state.disk.names.contains_key(path) || state.disk.directories.contains(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = state.disk.create(path);
            state.count(path).creates += 1;
            Ok(self.open(state, inode, path, true))
        })
    }

    fn open_read(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.simple(Operation::Open, path, |state| {
            let inode = state.inode_of(path)?;
            Ok(self.open(state, inode, path, false))
        })
    }

    fn open_write(&self, path: &Path) -> Result<Arc<dyn File>> {
        self.simple(Operation::Open, path, |state| {
            let inode = state.inode_of(path)?;
            Ok(self.open(state, inode, path, true))
        })
    }

    fn list(&self, directory: &Path) -> Result<Vec<String>> {
        self.simple(Operation::List, directory, |state| {
            state.check_directory(directory)?;
            let paths = state.disk.names.keys().chain(&state.disk.directories);
            let mut names: Vec<String> = paths
                .filter(|path| path.parent() == Some(directory))
                .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
                .collect();
            names.sort_unstable();
            Ok(names)
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        self.simple(Operation::Remove, path, |state| {
            state.inode_of(path)?;
            state.disk.remove(path);
            state.count(path).removes += 1;
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.simple(Operation::Rename, from, |state| {
            state.inode_of(from)?;
            state.check_directory(parent(to))?;
            state.disk.rename(from, to);
            Ok(())
        })
    }

    fn create_dir_all(&self, directory: &Path) -> Result<()> {
        self.simple(Operation::CreateDir, directory, |state| {
            for ancestor in directory.ancestors().filter(|path| !path.as_os_str().is_empty()) {
                if state.disk.names.contains_key(ancestor) {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
            }
            state.disk.directories.extend(directory.ancestors().map(Path::to_owned));
            Ok(())
        })
    }

    fn remove_dir(&self, directory: &Path) -> Result<()> {
        self.simple(Operation::Remove, directory, |state| {
            state.check_directory(directory)?;
            let mut paths = state.disk.names.keys().chain(&state.disk.directories);
            if paths.any(|path| path.parent() == Some(directory)) {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.disk.sync_dir(directory);
            state.disk.directories.remove(directory);
            Ok(())
        })
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        self.simple(Operation::SyncDir, directory, |state| {
            state.check_directory(directory)?;
            state.disk.sync_dir(directory);
            let State { disk, open, .. } = state;
            disk.collect(open);
            state.count(directory).directory_syncs += 1;
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.simple(Operation::Stat, path, |state| {
            Ok(state.disk.names.contains_key(path) || state.disk.directories.contains(path))
        })
    }

    fn file_size(&self, path: &Path) -> Result<u64> {
        self.simple(Operation::Stat, path, |state| {
            let inode = state.inode_of(path)?;
            Ok(state.disk.inode(inode).current.len())
        })
    }

    fn lock_exclusive(&self, path: &Path) -> Result<Box<dyn FileLock>> {
        self.simple(Operation::Lock, path, |state| {
            state.check_directory(parent(path))?;
            if !state.locked.insert(path.to_owned()) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if !state.disk.names.contains_key(path) {
                state.disk.create(path);
            }
            Ok(Box::new(CrashLock { files: self.clone(), path: path.to_owned() })
                as Box<dyn FileLock>)
        })
    }

    fn available_bytes(&self, directory: &Path) -> Result<u64> {
        self.simple(Operation::Stat, directory, |state| {
            state.check_directory(directory)?;
            let used = state.disk.used_bytes();
            Ok(state.capacity_bytes.map_or(u64::MAX, |capacity| capacity.saturating_sub(used)))
        })
    }
}
