//! The memtable: recent row mutations, sorted by row key, of one tablet and locality group.
//!
//! Each row is one node with a newest-first chain of versions: one insert a row write, whatever the
//! number of its cells. A version's bytes are the commit log's: those of a
//! [`RowMutation`](terrane_client::row::RowMutation), encoded once.
//!
//! Contract:
//! - Mutations of one row come in commit order: `seq` and `commit_ts` both rise. The commit thread
//!   applies in order, so this costs nothing; the order of different rows does not matter.
//! - Bytes are well-formed mutations. They are not checked here: who decodes them reports them.
//! - A reader sees every mutation inserted before it started, in the sense of happens-before, and
//!   perhaps later ones. It passes over what is newer than the timestamp it reads at.
//! - Nothing is ever removed. Versions are history until compaction says otherwise (rule 7). Freezing is
//!   to stop inserting; the memory goes when the last reader drops its [`Arc`].
//!
//! Long chains: a reader stops at the first version that is a whole row, so only rows that are *updated*
//! many times, column by column, grow slow. When [`Memtable::chain`] says that more than
//! [`CHAIN_MERGE_LENGTH`] versions stand before a whole row, the tablet merges the row with everything older, runs
//! included, and puts the result in front by [`Memtable::insert_image`]. An image has the commit
//! timestamp of the version it was made of and says what that and all older ones say together: reads at or above
//! that timestamp stop there, older reads pass over it, and flush and compaction leave it out.
//!
//! Range tombstones lie beside the rows ([`Memtable::delete_range`]). A reader looks for those that cover its row before it
//! visits versions; where there are none that is one look at a counter.
//!
//! The ids of the requests that wrote to it are kept beside the rows, too ([`Memtable::remember`]): a flush writes them
//! into the run.
//!
//! Memory: about 80 bytes a row and 32 a version beside keys and mutations; an empty one takes none.

mod arena;
mod range_deletes;
mod skiplist;

pub use range_deletes::RangeDelete;
pub use skiplist::{Cursor, Version, Versions};

use crate::fragments::Fragments;
use crate::request_ids::RequestIds;
use parking_lot::Mutex;
use range_deletes::RangeDeletes;
use skiplist::SkipList;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use terrane_client::ids::{CommitTs, RequestId, Seq};
use terrane_client::read::KeyRange;
use terrane_client::row::{DatedIter, ROW_COMPLETE, ROW_DATED, ROW_DELETE};

/// Versions to walk through before a whole row, above which a merged image pays for itself.
pub const CHAIN_MERGE_LENGTH: usize = 8;

/// See the module's doc.
pub struct Memtable {
    list: Arc<SkipList>,
    ranges: RangeDeletes,
    requests: Mutex<Requests>,
    rows: AtomicUsize,
    versions: AtomicUsize,
    min_seq: AtomicU64,
    max_seq: AtomicU64,
    max_commit_ts: AtomicI64,
    /// Tablets that have yet to flush it: several after a split.
    holders: AtomicUsize,
}

/// Who wrote to a memtable.
#[derive(Debug, Default)]
struct Requests {
    ids: RequestIds,
    /// The one that was added last: a request's rows come one after the other.
    last: RequestId,
}

impl std::fmt::Debug for Memtable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memtable")
            .field("rows", &self.rows())
            .field("versions", &self.versions())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl Default for Memtable {
    fn default() -> Self {
        Self::new()
    }
}

impl Memtable {
    /// An empty memtable.
    pub fn new() -> Self {
        Self {
            list: Arc::new(SkipList::new()),
            ranges: RangeDeletes::default(),
            requests: Mutex::default(),
            rows: AtomicUsize::new(0),
            versions: AtomicUsize::new(0),
            min_seq: AtomicU64::new(u64::MAX),
            max_seq: AtomicU64::new(0),
            max_commit_ts: AtomicI64::new(CommitTs::ABSENT.0),
            holders: AtomicUsize::new(1),
        }
    }

    /// Applies one row's mutation. Writers exclude one another; readers are not held up.
    ///
    /// # Panics
    /// In debug builds, where a row's mutations do not come in commit order: a bug in the caller.
    pub fn insert(&self, key: &[u8], seq: Seq, commit_ts: CommitTs, mutation: &[u8]) {
        let is_new = self.list.insert(key, seq, commit_ts, mutation);
        self.rows.fetch_add(usize::from(is_new), Ordering::Relaxed);
        self.versions.fetch_add(1, Ordering::Relaxed);
        self.note(seq, commit_ts);
    }

    fn note(&self, seq: Seq, commit_ts: CommitTs) {
        self.min_seq.fetch_min(seq.0, Ordering::Relaxed);
        self.max_seq.fetch_max(seq.0, Ordering::Relaxed);
        self.max_commit_ts.fetch_max(commit_ts.0, Ordering::Relaxed);
    }

    /// Deletes every row of a range that was committed before this, wherever it is. Writers exclude one another.
    pub fn delete_range(&self, delete: RangeDelete) {
        let RangeDelete { seq, commit_ts, .. } = delete;
        self.ranges.add(delete);
        self.note(seq, commit_ts);
    }

    /// A request has written to it.
    pub fn remember(&self, request: RequestId) {
        let Requests { ids, last } = &mut *self.requests.lock();
        if *last != request {
            ids.insert(request);
            *last = request;
        }
    }

    /// These requests have written to it.
    pub fn remember_all(&self, requests: &RequestIds) {
        self.requests.lock().ids.extend(requests);
    }

    /// The requests that have written to it.
    pub fn request_ids(&self) -> RequestIds {
        self.requests.lock().ids.clone()
    }

    /// The range deletes, in commit order.
    pub fn range_deletes(&self) -> Vec<RangeDelete> {
        self.ranges.all()
    }

    /// The newest range tombstone visible at `at` that covers a key; [`CommitTs::ABSENT`] where none does.
    pub fn covering(&self, key: &[u8], at: CommitTs) -> CommitTs {
        self.ranges.covering(key, at)
    }

    /// The range tombstones inside a range, as they are now.
    pub fn tombstones_in(&self, range: &KeyRange) -> Fragments {
        self.ranges.within(range)
    }

    /// Puts a merged image of the row in front of version `of`, if that is still the newest one and not an
    /// image itself; returns whether it did. `mutation` has [`ROW_COMPLETE`] and must say what version `of`
    /// and all older ones, in this memtable and elsewhere, say together.
    pub fn insert_image(&self, key: &[u8], of: Seq, mutation: &[u8]) -> bool {
        debug_assert!(mutation.first().is_some_and(|flags| flags & ROW_COMPLETE != 0));
        self.list.insert_image(key, of, mutation)
    }

    /// A row's versions, newest first; none for a row that is not here.
    pub fn get(&self, key: &[u8]) -> Versions<'_> {
        self.list.get(key)
    }

    /// How many versions a newest read of the row walks through: up to and including the first that
    /// hides everything older.
    pub fn chain(&self, key: &[u8]) -> usize {
        let mut length = 0;
        for version in self.get(key) {
            length += 1;
            if version.flags() & (ROW_COMPLETE | ROW_DELETE) != 0 {
                break;
            }
        }
        length
    }

    /// A position on no row yet, which keeps the rows alive.
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.list.clone())
    }

    /// Bytes taken from the system.
    pub fn bytes(&self) -> usize {
        self.list.reserved_bytes() + self.ranges.bytes()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Versions of all rows, images not counted.
    pub fn versions(&self) -> usize {
        self.versions.load(Ordering::Relaxed)
    }

    /// One more tablet has to flush it.
    pub fn share(&self) {
        self.holders.fetch_add(1, Ordering::Relaxed);
    }

    /// One tablet has flushed it, or was dropped; true where it was the last.
    pub fn let_go(&self) -> bool {
        self.holders.fetch_sub(1, Ordering::Relaxed) == 1
    }

    /// True before the first insert.
    pub fn is_empty(&self) -> bool {
        self.versions() == 0 && self.ranges.is_empty()
    }

    /// The smallest sequence number inserted; `None` while empty.
    pub fn min_seq(&self) -> Option<Seq> {
        (!self.is_empty()).then(|| Seq(self.min_seq.load(Ordering::Relaxed)))
    }

    /// The largest sequence number inserted; `None` while empty.
    pub fn max_seq(&self) -> Option<Seq> {
        (!self.is_empty()).then(|| Seq(self.max_seq.load(Ordering::Relaxed)))
    }

    /// The newest commit inserted; [`CommitTs::ABSENT`] while empty.
    pub fn max_commit_ts(&self) -> CommitTs {
        CommitTs(self.max_commit_ts.load(Ordering::Relaxed))
    }
}

impl<'a> Version<'a> {
    /// The mutation's flags; of bytes that are no mutation, none.
    pub fn flags(&self) -> u8 {
        self.mutation.first().copied().unwrap_or_default() & !ROW_DATED
    }

    /// The mutation's packed cells; none where they have timestamps of the client's.
    pub fn cells(&self) -> &'a [u8] {
        match self.is_dated() {
            true => &[],
            false => self.mutation.get(1..).unwrap_or_default(),
        }
    }

    /// Visits the mutation's cells in parts, as if each part were a version: its flags, when its cells were written, and
    /// they themselves. Of a mutation that hides what is older the last part does: deletes apply first (rule 6).
    pub fn try_each_part<B>(
        &self,
        visit: &mut dyn FnMut(u8, CommitTs, &'a [u8]) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let flags = self.flags();
        if !self.is_dated() {
            return visit(flags, self.commit_ts, self.cells());
        }
        let dated = self.mutation.get(1..).unwrap_or_default();
        let mut parts = DatedIter::new(dated).peekable();
        while let Some((stamp, cells)) = parts.next() {
            let hides = ROW_DELETE | ROW_COMPLETE;
            let flags = if parts.peek().is_some() { flags & !hides } else { flags };
            visit(flags, stamp.in_commit(self.commit_ts), cells)?;
        }
        ControlFlow::Continue(())
    }

    fn is_dated(&self) -> bool {
        self.mutation.first().is_some_and(|flags| flags & ROW_DATED != 0)
    }
}

#[cfg(test)]
mod tests;
