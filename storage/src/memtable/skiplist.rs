//! A skiplist of rows: one writer at a time, any number of readers that take no lock.
//!
//! ```text
//! node    := abbrev u64 | newest version | key length | height | next[height] | key bytes
//! version := next older version | seq | commit_ts | length | flags | mutation bytes
//! ```
//!
//! `abbrev` is the key's first eight bytes, big-endian and padded with zeros: where two differ they order
//! the keys, so that most comparisons touch one cache line.
//!
//! Concurrency, as in LevelDB's db/skiplist.h. Writers exclude one another by a mutex; readers need only
//! that the list is not dropped under them, which the borrow or the [`Arc`] they hold sees to. Two
//! invariants make that enough:
//! 1. Nodes and versions are never freed or moved before the list is dropped.
//! 2. A node's key, abbreviation and height, and all of a version, are never changed once the node or
//!    version is linked. Only the links `next[]` and `newest` change, by release stores, after
//!    everything behind them was written; readers follow them by acquire loads.
//!
//! A node is linked from the bottom level up. A reader that meets it on a higher level therefore
//! finds it on every lower one; a reader that does not meet it yet sees the list as it was before.
//!
//! Raw pointers keep the provenance of the arena's chunk: references are made to single fields, never
//! to a whole node, because the tower and the key lie behind it.

#![allow(unsafe_code)]

use super::arena::{ALIGN_BYTES, Arena};
use parking_lot::Mutex;
use std::cmp::Ordering;
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering as Memory};
use terrane_client::ids::{CommitTs, Seq};

/// Levels at most: with a quarter of the nodes on each next level, enough for 16 million rows.
const HEIGHT_MAX: usize = 12;

#[repr(C)]
struct Node {
    abbrev: u64,
    newest: AtomicPtr<VersionHeader>,
    key_bytes: u32,
    height: u32,
    // Behind it: next: [AtomicPtr<Node>; height], then the key.
}

#[repr(C)]
struct VersionHeader {
    older: *const VersionHeader,
    seq: Seq,
    commit_ts: CommitTs,
    mutation_bytes: u32,
    is_image: bool,
    // Behind it: the mutation.
}

const _: () = assert!(align_of::<Node>() == ALIGN_BYTES);
const _: () = assert!(align_of::<VersionHeader>() == ALIGN_BYTES);
const _: () = assert!(size_of::<Node>().is_multiple_of(align_of::<AtomicPtr<Node>>()));

/// See the module's doc.
pub struct SkipList {
    /// The links of a node before every other.
    head: [AtomicPtr<Node>; HEIGHT_MAX],
    /// Levels in use. Readers may see an old value: they then start lower or on an empty level.
    height: AtomicUsize,
    /// The last node; null in an empty list. Readers may see an earlier one: what is behind that was inserted
    /// after they started.
    last: AtomicPtr<Node>,
    /// Bytes the arena has taken from the system.
    reserved_bytes: AtomicUsize,
    writer: Mutex<Writer>,
}

/// What only the writer touches.
struct Writer {
    arena: Arena,
    /// On each level, the last node before the one found or inserted last, or that one itself where it
    /// reaches this level; `None` is the head. So ascending keys are inserted without a search.
    splice: [Option<NodePtr>; HEIGHT_MAX],
    /// Heights are drawn from this xorshift. A fixed seed does no harm: nobody chooses heights.
    random: u64,
}

/// A linked node of a list that is alive.
#[derive(Clone, Copy, PartialEq, Eq)]
struct NodePtr(NonNull<Node>);

// SAFETY: what is behind the pointer may be read from any thread (invariants 1 and 2).
unsafe impl Send for NodePtr {}
// SAFETY: as above.
unsafe impl Sync for NodePtr {}

fn abbreviate(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    padded[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(padded)
}

/// A key to look for, abbreviated once.
#[derive(Clone, Copy)]
struct Target<'k> {
    abbrev: u64,
    key: &'k [u8],
}

impl<'k> Target<'k> {
    fn new(key: &'k [u8]) -> Self {
        Self { abbrev: abbreviate(key), key }
    }
}

impl NodePtr {
    fn abbrev(self) -> u64 {
        // SAFETY: the node is linked, so it is initialised and alive, and this field never changes.
        unsafe { (*self.0.as_ptr()).abbrev }
    }

    fn newest(self) -> &'static AtomicPtr<VersionHeader> {
        // SAFETY: as above; an atomic may be shared. 'static is private to this module, whose
        // callers hold the list.
        unsafe { &(*self.0.as_ptr()).newest }
    }

    fn height(self) -> usize {
        // SAFETY: as in `abbrev`.
        unsafe { (*self.0.as_ptr()).height as usize }
    }

    fn next(self, level: usize) -> &'static AtomicPtr<Node> {
        debug_assert!(level < self.height(), "a node has links up to its height only");
        // SAFETY: `height` links lie behind the node in the same chunk, and the level is below it:
        // a node is only ever met on its own levels. 'static as in `newest`.
        unsafe { &*self.0.as_ptr().add(1).cast::<AtomicPtr<Node>>().add(level) }
    }

    /// The key. The caller ties the lifetime to the list's.
    fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the key lies behind `height` links in the same chunk; it never changes.
        unsafe {
            let node = self.0.as_ptr();
            let links = node.add(1).cast::<AtomicPtr<Node>>();
            let key = links.add((*node).height as usize).cast::<u8>();
            std::slice::from_raw_parts(key, (*node).key_bytes as usize)
        }
    }

    fn cmp(self, target: Target<'_>) -> Ordering {
        self.abbrev().cmp(&target.abbrev).then_with(|| {
            let key = self.key();
            // Equal abbreviations of long keys are equal first bytes; short ones may be padding.
            match key.len().min(target.key.len()) {
                8.. => key[8..].cmp(&target.key[8..]),
                _ => key.cmp(target.key),
            }
        })
    }
}

impl SkipList {
    /// An empty list; owns no heap memory.
    pub fn new() -> Self {
        let writer = Writer {
            arena: Arena::new(),
            splice: [None; HEIGHT_MAX],
            random: 0x9e37_79b9_7f4a_7c15,
        };
        Self {
            head: [const { AtomicPtr::new(null_mut()) }; HEIGHT_MAX],
            height: AtomicUsize::new(1),
            last: AtomicPtr::new(null_mut()),
            reserved_bytes: AtomicUsize::new(0),
            writer: Mutex::new(writer),
        }
    }

    fn link(&self, before: Option<NodePtr>, level: usize) -> &AtomicPtr<Node> {
        match before {
            Some(node) => node.next(level),
            None => &self.head[level],
        }
    }

    fn follow(&self, before: Option<NodePtr>, level: usize) -> Option<NodePtr> {
        NonNull::new(self.link(before, level).load(Memory::Acquire)).map(NodePtr)
    }

    /// The last node below `target` and the first at or above it.
    fn search(&self, target: Target<'_>) -> (Option<NodePtr>, Option<NodePtr>) {
        let mut before = None;
        let mut level = self.height.load(Memory::Relaxed) - 1;
        // The node that ended the search one level up need not be compared again.
        let mut bound = None;
        loop {
            let next = self.follow(before, level);
            let is_below =
                next.is_some_and(|node| Some(node) != bound && node.cmp(target) == Ordering::Less);
            if is_below {
                before = next;
            } else if level == 0 {
                return (before, next);
            } else {
                bound = next;
                level -= 1;
            }
        }
    }

    fn first_at_or_above(&self, key: &[u8]) -> Option<NodePtr> {
        self.search(Target::new(key)).1
    }

    fn last_below(&self, key: &[u8]) -> Option<NodePtr> {
        self.search(Target::new(key)).0
    }

    fn last(&self) -> Option<NodePtr> {
        NonNull::new(self.last.load(Memory::Acquire)).map(NodePtr)
    }

    /// A row's versions, newest first; none for a row that was never written.
    pub fn get(&self, key: &[u8]) -> Versions<'_> {
        let target = Target::new(key);
        // A load in key order asks for each key before it is there: it need not be searched for.
        if self.last().is_none_or(|last| last.cmp(target) == Ordering::Less) {
            return Versions::of(None);
        }
        let node = self.search(target).1.filter(|node| node.cmp(target) == Ordering::Equal);
        Versions::of(node)
    }

    /// Adds a version. Returns whether its row is new.
    ///
    /// # Panics
    /// In debug builds, where versions of a row do not come in commit order: a bug in the caller.
    pub fn insert(&self, key: &[u8], seq: Seq, commit_ts: CommitTs, mutation: &[u8]) -> bool {
        let writer = &mut *self.writer.lock();
        let target = Target::new(key);
        let found = writer.locate(self, target);
        if let Some(node) = found {
            debug_assert!(
                Versions::of(found).next().is_some_and(|v| v.seq < seq && v.commit_ts < commit_ts),
                "versions of a row come in commit order"
            );
            let older = node.newest().load(Memory::Relaxed);
            let version = writer.new_version(older, seq, commit_ts, mutation, false);
            // Release: whoever loads this link sees the version as written above.
            node.newest().store(version, Memory::Release);
        } else {
            let version = writer.new_version(null(), seq, commit_ts, mutation, false);
            writer.insert_node(self, target, version);
        }
        self.reserved_bytes.store(writer.arena.reserved_bytes(), Memory::Relaxed);
        found.is_none()
    }

    /// Puts an image before version `of` of a row if that is still its newest one; see
    /// [`super::Memtable::insert_image`]. Returns whether it did.
    pub fn insert_image(&self, key: &[u8], of: Seq, mutation: &[u8]) -> bool {
        let writer = &mut *self.writer.lock();
        let Some(node) = writer.locate(self, Target::new(key)) else { return false };
        let newest = Versions::of(Some(node)).next();
        let Some(newest) = newest.filter(|v| v.seq == of && !v.is_image) else { return false };
        let older = node.newest().load(Memory::Relaxed);
        let version = writer.new_version(older, of, newest.commit_ts, mutation, true);
        node.newest().store(version, Memory::Release);
        self.reserved_bytes.store(writer.arena.reserved_bytes(), Memory::Relaxed);
        true
    }

    /// Bytes taken from the system.
    pub fn reserved_bytes(&self) -> usize {
        self.reserved_bytes.load(Memory::Relaxed)
    }
}

impl Writer {
    /// The node with this very key. Otherwise `splice` is where it belongs.
    fn locate(&mut self, list: &SkipList, target: Target<'_>) -> Option<NodePtr> {
        // Does the key belong right behind the last one? Then, because on every level the splice is
        // the last node at or before `splice[0]`, it belongs behind the splice on every level.
        if self.splice[0].is_some_and(|node| node.cmp(target) == Ordering::Less) {
            match list.follow(self.splice[0], 0).map(|node| (node, node.cmp(target))) {
                None | Some((_, Ordering::Greater)) => return None,
                Some((node, Ordering::Equal)) => return Some(node),
                Some((_, Ordering::Less)) => {}
            }
        }
        let mut before = None;
        let mut found = None;
        for level in (0..HEIGHT_MAX).rev() {
            found = list.follow(before, level);
            while let Some(node) = found {
                if node.cmp(target) != Ordering::Less {
                    break;
                }
                before = found;
                found = list.follow(before, level);
            }
            self.splice[level] = before;
        }
        found.filter(|node| node.cmp(target) == Ordering::Equal)
    }

    fn new_version(
        &mut self,
        older: *const VersionHeader,
        seq: Seq,
        commit_ts: CommitTs,
        mutation: &[u8],
        is_image: bool,
    ) -> *mut VersionHeader {
        let mutation_bytes = u32::try_from(mutation.len()).expect("a commit is below 4 GiB");
        let piece = self.arena.alloc(size_of::<VersionHeader>() + mutation.len());
        let version = piece.cast::<VersionHeader>().as_ptr();
        let header = VersionHeader { older, seq, commit_ts, mutation_bytes, is_image };
        // SAFETY: the piece is ours alone, aligned and large enough for the header and the bytes.
        unsafe {
            version.write(header);
            version.add(1).cast::<u8>().copy_from_nonoverlapping(mutation.as_ptr(), mutation.len());
        }
        version
    }

    /// Links a new node behind the splice, which `locate` found for it.
    fn insert_node(&mut self, list: &SkipList, target: Target<'_>, version: *mut VersionHeader) {
        let height = self.draw_height();
        let links_bytes = height * size_of::<AtomicPtr<Node>>();
        let key_bytes = u32::try_from(target.key.len()).expect("row keys are at most 64 KiB");
        let piece = self.arena.alloc(size_of::<Node>() + links_bytes + target.key.len());
        let node = piece.cast::<Node>();
        // SAFETY: the piece is ours alone, aligned, and large enough for header, links and key.
        // The links hold valid pointers or null from the start.
        unsafe {
            node.as_ptr().write(Node {
                abbrev: target.abbrev,
                newest: AtomicPtr::new(version),
                key_bytes,
                height: height as u32,
            });
            let links = node.as_ptr().add(1).cast::<AtomicPtr<Node>>();
            for (level, before) in self.splice.iter().enumerate().take(height) {
                let next = list.link(*before, level).load(Memory::Relaxed);
                links.add(level).write(AtomicPtr::new(next));
            }
            let key = links.add(height).cast::<u8>();
            key.copy_from_nonoverlapping(target.key.as_ptr(), target.key.len());
        }
        if height > list.height.load(Memory::Relaxed) {
            list.height.store(height, Memory::Relaxed);
        }
        for (level, before) in self.splice.iter_mut().enumerate().take(height) {
            // Release: whoever loads this link sees the node as written above.
            list.link(*before, level).store(node.as_ptr(), Memory::Release);
            *before = Some(NodePtr(node));
        }
        if NodePtr(node).next(0).load(Memory::Relaxed).is_null() {
            list.last.store(node.as_ptr(), Memory::Release);
        }
    }

    fn draw_height(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // Two bits a level: one node in four goes higher.
        (1 + self.random.trailing_zeros() as usize / 2).min(HEIGHT_MAX)
    }
}

/// One version of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// Its commit's place in the server's order.
    pub seq: Seq,
    /// Its commit's timestamp.
    pub commit_ts: CommitTs,
    /// The bytes of a [`terrane_client::row::RowMutation`].
    pub mutation: &'a [u8],
    /// True for a merged image of the version behind it and everything older.
    pub is_image: bool,
}

/// A row's versions, newest first.
#[derive(Clone)]
pub struct Versions<'a> {
    next: *const VersionHeader,
    /// The list, which keeps the versions alive.
    list: PhantomData<&'a SkipList>,
}

// SAFETY: versions never change and live as long as the list, which the lifetime borrows.
unsafe impl Send for Versions<'_> {}

impl<'a> Versions<'a> {
    /// The caller ties the lifetime to the list's.
    fn of(node: Option<NodePtr>) -> Self {
        let next = node.map_or(null(), |node| node.newest().load(Memory::Acquire).cast_const());
        Self { next, list: PhantomData }
    }
}

impl<'a> Iterator for Versions<'a> {
    type Item = Version<'a>;

    fn next(&mut self) -> Option<Version<'a>> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: not null, so it was linked: initialised, never changed again, alive as long as the
        // list. The mutation lies behind the header in the same chunk.
        let (header, mutation) = unsafe {
            let header = &*self.next;
            let bytes = self.next.add(1).cast::<u8>();
            (header, std::slice::from_raw_parts(bytes, header.mutation_bytes as usize))
        };
        let VersionHeader { seq, commit_ts, is_image, .. } = *header;
        self.next = header.older;
        Some(Version { seq, commit_ts, mutation, is_image })
    }
}

/// A position in a list that it keeps alive: on a row, or on none.
///
/// Rows that are inserted meanwhile may or may not be met.
#[derive(Clone)]
pub struct Cursor {
    list: Arc<SkipList>,
    node: Option<NodePtr>,
}

impl Cursor {
    /// On no row.
    pub fn new(list: Arc<SkipList>) -> Self {
        Self { list, node: None }
    }

    /// Moves to the first row at or above `key`.
    pub fn seek(&mut self, key: &[u8]) {
        self.node = self.list.first_at_or_above(key);
    }

    /// Moves to the last row below `key`.
    pub fn seek_below(&mut self, key: &[u8]) {
        self.node = self.list.last_below(key);
    }

    /// Moves to the last row.
    pub fn seek_last(&mut self) {
        self.node = self.list.last();
    }

    /// Moves to the next row. On none it stays on none.
    pub fn next(&mut self) {
        self.node = self.node.and_then(|node| self.list.follow(Some(node), 0));
    }

    /// Moves to the row before. On none it stays on none. Costs a search.
    pub fn previous(&mut self) {
        self.node = self.node.and_then(|node| self.list.last_below(node.key()));
    }

    /// The row's key; `None` on no row.
    pub fn key(&self) -> Option<&[u8]> {
        self.node.map(NodePtr::key)
    }

    /// The row's versions, newest first.
    pub fn versions(&self) -> Versions<'_> {
        Versions::of(self.node)
    }
}

#[cfg(test)]
mod tests;
