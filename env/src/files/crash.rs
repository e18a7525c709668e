//! A file system in memory that can lose power.
//!
//! It keeps, for every file, what reads see and what the last sync made durable, and for every
//! directory which names are durable. [`CrashFileSystem::crash_clone`] gives a new file system as a
//! machine would find it after a power cut at that moment; the old one goes on, so a test can cut the
//! power a hundred times in one run. The model, after pebble's `vfs/mem_fs.go`:
//!
//! - Synced bytes and names survive, always.
//! - Of each unsynced write, in [`CrashMode::Random`], all sectors of 512 bytes survive, or none, or some,
//!   or only the length it gave the file. Synced bytes beside it in the same sector stay.
//! - Each unsynced creation, removal and rename survives or not; a rename is atomic.
//! - A sync covers exactly what was written before it. Nothing becomes durable by the passing of time:
//!   a missing sync is found by [`CrashMode::DropUnsynced`] for certain.
//! - [`CrashFileSystem::kill_clone`] is kill -9: everything written is there, and what was unsynced
//!   still is, so that a power cut soon after a restart loses it.
//! - Directories are durable at once ([`super::FileSystem::create_dir_all`] promises it).
//!
//! Faults: [`Fault`] rules make operations fail (EIO, ENOSPC), a capacity makes the disk full,
//! [`CrashFileSystem::flip_bit`] damages what is stored, and a hook sees every operation before it happens and may
//! sleep, block or cut the power there.
//!
//! Everything random comes from seeds: the same operations in the same order end in the same bytes.
//!
//! ```
//! # use terrane_env::files::{FileSystem, crash::{CrashFileSystem, CrashMode}};
//! # use std::path::Path;
//! let disk = CrashFileSystem::new(1);
//! disk.create_dir_all(Path::new("/data"))?;
//! let file = disk.create_new(Path::new("/data/a"))?;
//! file.write_at(b"synced", 0)?;
//! file.sync_all()?;
//! disk.sync_dir(Path::new("/data"))?;
//! file.write_at(b" and not", 6)?;
//! let after = disk.crash_clone(7, CrashMode::DropUnsynced);
//! assert_eq!(after.read(Path::new("/data/a"))?, b"synced");
//! # Ok::<(), terrane_env::IoError>(())
//! ```

mod content;
mod disk;
mod fault;
mod handle;
mod names;

pub use fault::{Fault, FaultKind, Trigger};

use super::File;
use crate::error::{IoError, Operation, Result};
use crate::random::SplitMix64;
use disk::{Disk, InodeId};
use fault::Faults;
use handle::CrashFile;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The unit that a power cut leaves whole: what every disk promises.
pub const SECTOR_BYTES: usize = 512;

/// What a crash keeps of unsynced changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// Nothing.
    DropUnsynced,
    /// A part chosen by the seed.
    Random,
    /// All of it: the process died, the machine did not.
    KeepWritten,
}

/// What was done to files, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Writes, without allocations.
    pub writes: u64,
    /// Bytes written, without allocations.
    pub bytes_written: u64,
    /// Syncs of files that succeeded.
    pub syncs: u64,
    /// Syncs of directories that succeeded.
    pub directory_syncs: u64,
    /// Files created.
    pub creates: u64,
    /// Files removed.
    pub removes: u64,
    /// Operations that a fault or a full disk made fail.
    pub failures: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.bytes_read += other.bytes_read;
        self.writes += other.writes;
        self.bytes_written += other.bytes_written;
        self.syncs += other.syncs;
        self.directory_syncs += other.directory_syncs;
        self.creates += other.creates;
        self.removes += other.removes;
        self.failures += other.failures;
    }
}

/// An operation about to happen, as a hook sees it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// What.
    pub operation: Operation,
    /// On which path.
    pub path: &'a Path,
    /// First byte, for reads and writes.
    pub offset: u64,
    /// Bytes, for reads, writes and allocations.
    pub len: u64,
}

type Hook = Arc<dyn Fn(Access<'_>) + Send + Sync>;

struct State {
    disk: Disk,
    faults: Faults,
    random: SplitMix64,
    hook: Option<Hook>,
    capacity_bytes: Option<u64>,
    counters: BTreeMap<PathBuf, Counters>,
    /// Handles per file.
    open: BTreeMap<InodeId, usize>,
    locked: BTreeSet<PathBuf>,
    halted: bool,
}

/// See the module's documentation. Clones are handles of the same disk.
#[derive(Clone)]
pub struct CrashFileSystem {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for CrashFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashFileSystem").finish_non_exhaustive()
    }
}

impl CrashFileSystem {
    /// An empty disk with the directory `/`. The seed decides faults with a probability and what failed
    /// operations leave behind.
    pub fn new(seed: u64) -> Self {
        let mut disk = Disk::default();
        disk.directories.insert(PathBuf::from("/"));
        Self::with_disk(disk, seed)
    }

    fn with_disk(disk: Disk, seed: u64) -> Self {
        let state = State {
            disk,
            faults: Faults::default(),
            random: SplitMix64::new(seed),
            hook: None,
            capacity_bytes: None,
            counters: BTreeMap::new(),
            open: BTreeMap::new(),
            locked: BTreeSet::new(),
            halted: false,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The disk as it would be found after a crash now. The new one has no faults, no capacity, no
    /// hook, no locks and no open files.
    pub fn crash_clone(&self, seed: u64, mode: CrashMode) -> CrashFileSystem {
        let mut random = SplitMix64::new(seed);
        let disk = self.state.lock().disk.after_crash(mode, &mut random);
        Self::with_disk(disk, random.next_u64())
    }

    /// The disk after kill -9 now: [`CrashMode::KeepWritten`].
    pub fn kill_clone(&self) -> CrashFileSystem {
        self.crash_clone(0, CrashMode::KeepWritten)
    }

    /// Makes every later operation fail with EIO: what is still running on this disk stops.
    pub fn halt(&self) {
        self.state.lock().halted = true;
    }

    /// Adds a fault rule.
    pub fn add_fault(&self, fault: Fault) {
        self.state.lock().faults.add(fault);
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Limits the disk to this many bytes, counted in pages of 4096; `None` is no limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity_bytes = bytes;
    }

    /// Bytes taken by files, counted in pages of 4096.
    pub fn used_bytes(&self) -> u64 {
        self.state.lock().disk.used_bytes()
    }

    /// Calls `hook` before every operation, without holding the disk's lock.
    pub fn set_hook(&self, hook: impl Fn(Access<'_>) + Send + Sync + 'static) {
        self.state.lock().hook = Some(Arc::new(hook));
    }

    /// Removes the hook. A thread inside it stays there until it returns.
    pub fn clear_hook(&self) {
        self.state.lock().hook = None;
    }

    /// Inverts one bit of a file, in memory and on the platter. Past the end it does nothing.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> Result<()> {
        let mut state = self.state.lock();
        let inode = state.find(Operation::Write, path)?;
        state.disk.inode(inode).flip_bit(offset, bit);
        Ok(())
    }

    /// Bytes written to a file since its last sync.
    pub fn unsynced_bytes(&self, path: &Path) -> Result<u64> {
        let mut state = self.state.lock();
        let inode = state.find(Operation::Stat, path)?;
        Ok(state.disk.inode(inode).unsynced_bytes())
    }

    /// What was done below a path prefix (`/` is everything), since the disk was made or cloned.
    pub fn counters(&self, prefix: &Path) -> Counters {
        let state = self.state.lock();
        let mut sum = Counters::default();
        for (_, counters) in state.counters.iter().filter(|(path, _)| path.starts_with(prefix)) {
            sum += *counters;
        }
        sum
    }

    fn open(
        &self,
        state: &mut State,
        inode: InodeId,
        path: &Path,
        writable: bool,
    ) -> Arc<dyn File> {
        *state.open.entry(inode).or_default() += 1;
        Arc::new(CrashFile { files: self.clone(), inode, path: path.to_owned(), writable })
    }

    /// Runs one operation: hook, halt, faults, then `act` under the lock.
    fn run<T>(
        &self,
        access: Access<'_>,
        on_fault: impl FnOnce(&mut State, FaultKind),
        act: impl FnOnce(&mut State) -> Result<T, io::Error>,
    ) -> Result<T> {
        let hook = self.state.lock().hook.clone();
        if let Some(hook) = hook {
            hook(access);
        }
        let mut state = self.state.lock();
        let State { faults, random, halted, .. } = &mut *state;
        let fault = if *halted {
            Some(FaultKind::Io)
        } else {
            faults.check(access.operation, access.path, random)
        };
        let result = match fault {
            Some(kind) => {
                if !state.halted {
                    on_fault(&mut state, kind);
                }
                state.count(access.path).failures += 1;
                Err(kind.error())
            }
            None => act(&mut state),
        };
        result.map_err(|error| IoError::new(access.operation, access.path, error))
    }

    /// Runs an operation whose failure leaves everything as it was.
    fn simple<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce(&mut State) -> Result<T, io::Error>,
    ) -> Result<T> {
        self.run(Access { operation, path, offset: 0, len: 0 }, |_, _| {}, act)
    }
}

impl State {
    fn count(&mut self, path: &Path) -> &mut Counters {
        self.counters.entry(path.to_owned()).or_default()
    }

    fn inode_of(&self, path: &Path) -> Result<InodeId, io::Error> {
        self.disk.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find(&self, operation: Operation, path: &Path) -> Result<InodeId> {
        self.inode_of(path).map_err(|error| IoError::new(operation, path, error))
    }

    fn check_directory(&self, directory: &Path) -> Result<(), io::Error> {
        match self.disk.directories.contains(directory) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Refuses a write that the disk has no room for.
    fn check_room(&mut self, inode: InodeId, offset: u64, len: u64) -> Result<(), io::Error> {
        let Some(capacity) = self.capacity_bytes else { return Ok(()) };
        let missing = self.disk.inode(inode).current.missing_pages(offset, len);
        let wanted = missing * content::PAGE_BYTES as u64;
        if missing > 0 && self.disk.used_bytes() + wanted > capacity {
            return Err(FaultKind::DiskFull.error());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
