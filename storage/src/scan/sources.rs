//! What a read reads: a tablet's memtables and runs at one moment.

use crate::fragments::Fragments;
use crate::memtable::Memtable;
use crate::sstable::{RangeTombstone, Sstable};
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::read::KeyRange;

/// The sources of one locality group of one tablet, pinned.
///
/// Newest first, memtables before runs: for any row, all versions in one source are newer than all
/// versions in the next (rule 14). So the first source that has a row has its newest version.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The active memtable, then the frozen ones.
    pub memtables: Vec<Arc<Memtable>>,
    /// The runs.
    pub runs: Vec<Arc<Run>>,
}

/// A run: files with disjoint key ranges that share an age.
#[derive(Debug, Default)]
pub struct Run {
    /// Ascending by bounds, which do not meet.
    files: Vec<RunFile>,
    /// Deleted ranges of all files, inside their bounds.
    tombstones: Arc<Fragments>,
}

/// A file of a run.
#[derive(Clone, Debug)]
pub struct RunFile {
    /// The file.
    pub table: Sstable,
    /// Of its rows only those with keys in this range count: after a split a file has two owners.
    pub bounds: KeyRange,
}

impl Run {
    /// A run of these files, ascending by bounds.
    ///
    /// # Panics
    /// Where bounds meet: reads would miss rows.
    pub fn new(files: Vec<RunFile>) -> Self {
        for pair in files.windows(2) {
            let end = pair[0].bounds.end.as_ref();
            assert!(
                end.is_some_and(|end| *end <= pair[1].bounds.start),
                "files of a run are ascending and disjoint"
            );
        }
        let mut tombstones = Fragments::default();
        for file in &files {
            for RangeTombstone { start, end, commit_ts } in file.table.range_tombstones() {
                let range = KeyRange { start: start.clone(), end: end.clone() };
                tombstones.insert(&range.intersect(&file.bounds), *commit_ts);
            }
        }
        Self { files, tombstones: Arc::new(tombstones) }
    }

    /// Its range tombstones.
    pub fn tombstones(&self) -> &Fragments {
        &self.tombstones
    }

    /// Its files, ascending.
    pub fn files(&self) -> &[RunFile] {
        &self.files
    }

    /// The first file that may hold a key at or above `key`.
    pub(super) fn first_file_at(&self, key: &[u8]) -> usize {
        self.files
            .partition_point(|file| file.bounds.end.as_ref().is_some_and(|end| &end[..] <= key))
    }

    /// The number of files that may hold keys below `key`.
    pub(super) fn files_below(&self, key: &[u8]) -> usize {
        self.files.partition_point(|file| &file.bounds.start[..] < key)
    }

    /// The file whose bounds contain `key`.
    pub(super) fn file_of(&self, key: &[u8]) -> Option<&RunFile> {
        self.files.get(self.first_file_at(key)).filter(|file| file.bounds.contains(key))
    }
}

impl Sources {
    /// The range tombstones that meet a range.
    pub(super) fn tombstones_in(&self, range: &KeyRange) -> Tombstones {
        let of_memtables = self.memtables.iter().map(|memtable| memtable.tombstones_in(range));
        let of_memtables = of_memtables.filter(|own| !own.is_empty()).map(Arc::new);
        // A run's are shared, not copied: they may be many, and a scan of a short range is common.
        let of_runs =
            self.runs.iter().map(|run| &run.tombstones).filter(|own| own.meet_range(range));
        Tombstones(of_memtables.chain(of_runs.cloned()).collect())
    }

    /// Versions of a row that are older than this are deleted by a range tombstone visible at `at`.
    pub(super) fn deleted_before(&self, key: &[u8], at: CommitTs) -> CommitTs {
        let in_memtables = self.memtables.iter().map(|memtable| memtable.covering(key, at));
        let in_runs = self.runs.iter().map(|run| run.tombstones.covering(key, at));
        in_memtables.chain(in_runs).max().unwrap_or(CommitTs::ABSENT)
    }
}

/// Range tombstones of several sources; mostly none.
#[derive(Clone, Debug, Default)]
pub(super) struct Tombstones(Vec<Arc<Fragments>>);

impl Tombstones {
    /// The newest visible at `at` that covers a key; [`CommitTs::ABSENT`] where none does.
    pub(super) fn covering(&self, key: &[u8], at: CommitTs) -> CommitTs {
        let covering = self.0.iter().map(|own| own.covering(key, at));
        covering.max().unwrap_or(CommitTs::ABSENT)
    }

    /// The newest visible at `at` that covers all keys from `first` to `last` by itself.
    pub(super) fn covering_all(&self, first: &[u8], last: &[u8], at: CommitTs) -> CommitTs {
        let covering = self.0.iter().map(|own| own.covering_all(first, last, at));
        covering.max().unwrap_or(CommitTs::ABSENT)
    }

    /// True where one that is visible at `at`, and newer than `than`, meets the keys from `first` to `last`.
    pub(super) fn meet(&self, first: &[u8], last: &[u8], at: CommitTs, than: CommitTs) -> bool {
        self.0.iter().any(|own| own.meet(first, last, at, than))
    }

    /// All of them, inside a range, together.
    pub(super) fn joined(&self, range: &KeyRange) -> Fragments {
        let mut joined = Fragments::default();
        self.0.iter().for_each(|own| joined.add_all(&own.within(range)));
        joined
    }

    /// True where there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
