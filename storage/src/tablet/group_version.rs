//! One locality group of a tablet at one moment.

use crate::memtable::Memtable;
use crate::scan::{Run, Sources};
use std::sync::Arc;
use terrane_client::ids::{LocalityGroupId, Seq};

/// See the module's documentation. Part of a [`super::version::Version`].
#[derive(Clone)]
pub struct GroupVersion {
    /// Which group.
    pub id: LocalityGroupId,
    /// The active memtable, which takes new rows; then the frozen ones, which wait to be flushed; then
    /// the runs. Newest first.
    pub sources: Sources,
}

impl std::fmt::Debug for GroupVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupVersion")
            .field("id", &self.id)
            .field("active_rows", &self.active().rows())
            .field("frozen", &self.frozen().len())
            .field("runs", &self.sources.runs.len())
            .finish()
    }
}

impl GroupVersion {
    /// A group with these runs, newest first, whose newest rows are in `memtable`.
    pub fn new(id: LocalityGroupId, memtable: Arc<Memtable>, runs: Vec<Arc<Run>>) -> Self {
        Self { id, sources: Sources { memtables: vec![memtable], runs } }
    }

    /// A group without rows.
    pub fn empty(id: LocalityGroupId) -> Self {
        Self::new(id, Arc::new(Memtable::new()), Vec::new())
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

    /// The same with the active memtable frozen and an empty one in its place. Under the commit mutex.
    pub fn freeze(&self) -> Self {
        let mut frozen = self.clone();
        frozen.sources.memtables.insert(0, Arc::new(Memtable::new()));
        frozen
    }

    /// The same with `flushed`, the oldest frozen memtables, replaced by their run.
    pub fn flushed(&self, flushed: &[Arc<Memtable>], run: Option<Arc<Run>>) -> Self {
        let mut changed = self.clone();
        let is_flushed =
            |memtable: &Arc<Memtable>| flushed.iter().any(|flushed| Arc::ptr_eq(flushed, memtable));
        changed.sources.memtables.retain(|memtable| !is_flushed(memtable));
        changed.sources.runs.splice(0..0, run);
        changed
    }

    /// The same with `runs`, adjacent ones, replaced by what they were merged to.
    ///
    /// # Panics
    /// Where `runs` are not all here in this order: a bug in the caller, which would lose rows.
    pub fn merged(&self, runs: &[Arc<Run>], by: Option<Arc<Run>>) -> Self {
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
        changed
    }
}
