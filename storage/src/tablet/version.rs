//! What a reader pins: a tablet's memtables and runs at one moment (rule 14).

use crate::memtable::Memtable;
use crate::scan::{Run, Sources};
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, CommitTs, Seq};
use terrane_client::row::Row;

/// A tablet at one moment. Only the active memtable grows; a reader passes over what is newer than its
/// timestamp. Files stay readable while a version names them, removed or not.
#[derive(Clone)]
pub struct Version {
    /// The active memtable, which takes new rows; then the frozen ones, which wait to be flushed; then
    /// the runs. Newest first.
    pub sources: Sources,
    /// Reads below this are refused: what they would need may be gone (rule 7).
    pub gc_floor: CommitTs,
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version")
            .field("active_rows", &self.active().rows())
            .field("frozen", &self.frozen().len())
            .field("runs", &self.sources.runs.len())
            .field("gc_floor", &self.gc_floor)
            .finish()
    }
}

impl Version {
    /// A tablet with these runs, newest first, whose newest rows are in `memtable`.
    pub fn new(gc_floor: CommitTs, memtable: Arc<Memtable>, runs: Vec<Arc<Run>>) -> Self {
        Self { sources: Sources { memtables: vec![memtable], runs }, gc_floor }
    }

    /// The memtable that takes new rows.
    pub fn active(&self) -> &Arc<Memtable> {
        &self.sources.memtables[0]
    }

    /// The memtables that wait to be flushed, newest first.
    pub fn frozen(&self) -> &[Arc<Memtable>] {
        &self.sources.memtables[1..]
    }

    /// Bytes of all memtables.
    pub fn memtable_bytes(&self) -> usize {
        self.sources.memtables.iter().map(|memtable| memtable.bytes()).sum()
    }

    /// The smallest seq that only memtables hold.
    pub fn first_unflushed(&self) -> Option<Seq> {
        self.sources.memtables.iter().filter_map(|memtable| memtable.min_seq()).min()
    }

    /// A row as a read at `at` sees it.
    pub fn get(
        &self,
        key: &[u8],
        at: CommitTs,
        columns: &[ColumnId],
    ) -> Result<Option<Row>, TabletError> {
        Ok(self.sources.get(key, at, columns)?)
    }

    /// The same with the active memtable frozen and an empty one in its place. Under the commit mutex.
    pub fn freeze(&self) -> Self {
        let mut frozen = self.clone();
        frozen.sources.memtables.insert(0, Arc::new(Memtable::new()));
        frozen
    }

    /// The same with `flushed`, the oldest frozen memtables, replaced by their run.
    pub fn flushed(
        &self,
        flushed: &[Arc<Memtable>],
        run: Option<Arc<Run>>,
        gc_floor: CommitTs,
    ) -> Self {
        let mut changed = self.clone();
        let is_flushed =
            |memtable: &Arc<Memtable>| flushed.iter().any(|flushed| Arc::ptr_eq(flushed, memtable));
        changed.sources.memtables.retain(|memtable| !is_flushed(memtable));
        changed.sources.runs.splice(0..0, run);
        changed.gc_floor = changed.gc_floor.max(gc_floor);
        changed
    }

    /// The same with `runs`, adjacent ones, replaced by what they were merged to.
    ///
    /// # Panics
    /// Where `runs` are not all here in this order: a bug in the caller, which would lose rows.
    pub fn merged(&self, runs: &[Arc<Run>], by: Option<Arc<Run>>, gc_floor: CommitTs) -> Self {
        let mut changed = self.clone();
        let here = &mut changed.sources.runs;
        let start = here
            .iter()
            .position(|run| Arc::ptr_eq(run, &runs[0]))
            .expect("one merge of a tablet at a time: what it reads stays until it is done");
        let end = start + runs.len();
        let are_adjacent = here[start..end].iter().zip(runs).all(|(a, b)| Arc::ptr_eq(a, b));
        assert!(are_adjacent, "flushes put runs in front only");
        here.splice(start..end, by);
        changed.gc_floor = changed.gc_floor.max(gc_floor);
        changed
    }
}
