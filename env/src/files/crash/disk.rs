//! The state of a [`super::CrashFileSystem`]: what is in memory, and what the platter has.

use super::content::{Content, PAGE_BYTES};
use super::{CrashMode, SECTOR_BYTES};
use crate::random::SplitMix64;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(super) type InodeId = u64;

/// A change of a file that no sync has covered yet.
#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Allocate { len: u64 },
    SetLen { len: u64 },
}

impl Change {
    fn apply(&self, content: &mut Content) {
        match self {
            Change::Write { offset, bytes } => content.write(bytes, *offset),
            Change::Allocate { len } => content.allocate(*len),
            Change::SetLen { len } => content.set_len(*len),
        }
    }

    /// Applies what a power cut or a failed write might leave of it.
    fn apply_part(&self, content: &mut Content, random: &mut SplitMix64) {
        match (random.below(4), self) {
            (0, _) => self.apply(content),
            (1, _) => {}
            // The length is there, the bytes are not.
            (2, Change::Write { offset, bytes }) => content.grow(offset + bytes.len() as u64),
            (_, Change::Write { offset, bytes }) => apply_sectors(content, *offset, bytes, random),
            (_, Change::Allocate { len }) => {
                let from = content.len();
                if *len > from {
                    content.allocate(from + random.below(*len - from + 1));
                }
            }
            (_, Change::SetLen { .. }) => self.apply(content),
        }
    }
}

/// Writes each sector of a write, or not.
fn apply_sectors(content: &mut Content, offset: u64, bytes: &[u8], random: &mut SplitMix64) {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        let take = (SECTOR_BYTES - (at % SECTOR_BYTES as u64) as usize).min(bytes.len() - done);
        if random.chance(0.5) {
            content.write(&bytes[done..done + take], at);
        }
        done += take;
    }
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What reads see.
    pub(super) current: Content,
    /// What a power cut leaves for certain.
    synced: Content,
    /// How to get from `synced` to `current`, unless `lost`.
    unsynced: Vec<Change>,
    /// A failed sync has thrown changes away: `current` is no longer `synced` + `unsynced`.
    lost: bool,
}

impl Inode {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.change(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn allocate(&mut self, len: u64) {
        if len > self.current.len() {
            self.change(Change::Allocate { len });
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.change(Change::SetLen { len });
    }

    /// A write that failed half way.
    pub(super) fn write_part(&mut self, offset: u64, bytes: &[u8], random: &mut SplitMix64) {
        let mut after = self.current.clone();
        apply_sectors(&mut after, offset, bytes, random);
        let mut left = vec![0; bytes.len()];
        let read = after.read(&mut left, offset);
        self.write(offset, &left[..read]);
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        if self.lost {
            for change in self.unsynced.drain(..) {
                change.apply(&mut self.synced);
            }
        } else {
            self.unsynced.clear();
            self.synced = self.current.clone();
        }
    }

    /// A sync that failed: some of the changes are durable, and no later sync will write the others.
    pub(super) fn sync_part(&mut self, random: &mut SplitMix64) {
        for change in self.unsynced.drain(..) {
            change.apply_part(&mut self.synced, random);
        }
        self.lost = true;
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        let bytes = |change: &Change| match change {
            Change::Write { bytes, .. } => bytes.len() as u64,
            Change::Allocate { .. } | Change::SetLen { .. } => 0,
        };
        self.unsynced.iter().map(bytes).sum()
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) {
        self.current.flip_bit(offset, bit);
        self.synced.flip_bit(offset, bit);
    }

    fn after_power_cut(&self, mode: CrashMode, random: &mut SplitMix64) -> Content {
        let mut content = self.synced.clone();
        match mode {
            CrashMode::DropUnsynced => {}
            CrashMode::Random => {
                for change in &self.unsynced {
                    change.apply_part(&mut content, random);
                }
            }
            CrashMode::KeepWritten => return self.current.clone(),
        }
        content
    }
}

/// A change of names that no sync of its directory has covered yet.
#[derive(Clone, Debug)]
enum NameChange {
    Create { path: PathBuf, inode: InodeId },
    Remove { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, InodeId>) {
        match self {
            NameChange::Create { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Remove { path } => {
                names.remove(path);
            }
            NameChange::Rename { from, to } => {
                // The source may be missing in a power cut that dropped its creation.
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }

    /// The directory whose sync makes it durable.
    fn directory(&self) -> &Path {
        let path = match self {
            NameChange::Create { path, .. } | NameChange::Remove { path } => path,
            NameChange::Rename { to, .. } => to,
        };
        parent(path)
    }
}

/// The directory of an entry.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Names, files and what of both is durable.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) directories: BTreeSet<PathBuf>,
    pub(super) names: BTreeMap<PathBuf, InodeId>,
    synced_names: BTreeMap<PathBuf, InodeId>,
    unsynced_names: Vec<NameChange>,
    inodes: BTreeMap<InodeId, Inode>,
    next_inode: InodeId,
}

impl Disk {
    pub(super) fn inode(&mut self, id: InodeId) -> &mut Inode {
        self.inodes.get_mut(&id).expect("an inode lives as long as a name or a handle may reach it")
    }

    pub(super) fn create(&mut self, path: &Path) -> InodeId {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        self.change(NameChange::Create { path: path.to_owned(), inode });
        inode
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.change(NameChange::Remove { path: path.to_owned() });
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.change(NameChange::Rename { from: from.to_owned(), to: to.to_owned() });
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    pub(super) fn sync_dir(&mut self, directory: &Path) {
        let (now, later) = std::mem::take(&mut self.unsynced_names)
            .into_iter()
            .partition(|change: &NameChange| change.directory() == directory);
        self.unsynced_names = later;
        for change in now {
            change.apply(&mut self.synced_names);
        }
    }

    /// Drops the files that no name, past or present, and no handle in `open` refers to.
    pub(super) fn collect(&mut self, open: &BTreeMap<InodeId, usize>) {
        let pending: BTreeSet<InodeId> = (self.unsynced_names.iter())
            .filter_map(|change| match change {
                NameChange::Create { inode, .. } => Some(*inode),
                _ => None,
            })
            .chain(self.names.values().copied())
            .chain(self.synced_names.values().copied())
            .collect();
        self.inodes.retain(|id, _| pending.contains(id) || open.contains_key(id));
    }

    /// Space taken by files that have a name.
    pub(super) fn used_bytes(&self) -> u64 {
        let pages = |id: &InodeId| self.inodes[id].current.allocated_pages();
        self.names.values().map(pages).sum::<u64>() * PAGE_BYTES as u64
    }

    /// What a power cut, or the process's death, leaves.
    pub(super) fn after_crash(&self, mode: CrashMode, random: &mut SplitMix64) -> Disk {
        let mut names = self.synced_names.clone();
        for change in &self.unsynced_names {
            let kept = match mode {
                CrashMode::DropUnsynced => false,
                CrashMode::Random => random.chance(0.5),
                CrashMode::KeepWritten => true,
            };
            if kept {
                change.apply(&mut names);
            }
        }
        let mut inodes = BTreeMap::new();
        for id in names.values() {
            let inode = &self.inodes[id];
            let crashed = match mode {
                // The page cache survives the process: what is unsynced stays unsynced.
                CrashMode::KeepWritten => inode.clone(),
                _ => {
                    let content = inode.after_power_cut(mode, random);
                    Inode { current: content.clone(), synced: content, ..Inode::default() }
                }
            };
            inodes.insert(*id, crashed);
        }
        let keep = mode == CrashMode::KeepWritten;
        Disk {
            directories: self.directories.clone(),
            synced_names: if keep { self.synced_names.clone() } else { names.clone() },
            unsynced_names: if keep { self.unsynced_names.clone() } else { Vec::new() },
            inodes: if keep { self.inodes.clone() } else { inodes },
            names,
            next_inode: self.next_inode,
        }
    }
}
