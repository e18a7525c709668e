//! What a read reads: a tablet's memtables and runs at one moment.

use super::run_cursor::intersection;
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
    tombstones: Tombstones,
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
        let mut tombstones = Vec::new();
        for file in &files {
            for tombstone in file.table.range_tombstones() {
                let range = KeyRange { start: tombstone.start.clone(), end: tombstone.end.clone() };
                let KeyRange { start, end } = intersection(&range, &file.bounds);
                if end.as_ref().is_none_or(|end| start < *end) {
                    tombstones.push(RangeTombstone { start, end, commit_ts: tombstone.commit_ts });
                }
            }
        }
        Self { files, tombstones: Tombstones(tombstones) }
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
        let all = self.runs.iter().flat_map(|run| &run.tombstones.0);
        let meeting = all.filter(|t| t.meets(&range.start, range.end.as_deref()));
        Tombstones(meeting.cloned().collect())
    }

    /// Versions of a row that are older than this are deleted by a range tombstone visible at `at`.
    pub(super) fn deleted_before(&self, key: &[u8], at: CommitTs) -> CommitTs {
        let covering = self.runs.iter().map(|run| run.tombstones.covering(key, at));
        covering.max().unwrap_or(CommitTs::ABSENT)
    }
}

/// Range tombstones; mostly none. Each deletes what was committed before it, whatever source that is
/// in (rules 6 and 8).
#[derive(Clone, Debug, Default)]
pub(super) struct Tombstones(Vec<RangeTombstone>);

impl Tombstones {
    /// The newest visible at `at` that covers a key; [`CommitTs::ABSENT`] where none does.
    pub(super) fn covering(&self, key: &[u8], at: CommitTs) -> CommitTs {
        let covers = |t: &&RangeTombstone| {
            t.commit_ts <= at
                && key >= &t.start[..]
                && t.end.as_ref().is_none_or(|end| key < &end[..])
        };
        self.0.iter().filter(covers).map(|t| t.commit_ts).max().unwrap_or(CommitTs::ABSENT)
    }

    /// True where one that is visible at `at` meets the keys from `first` to `last`.
    pub(super) fn meet(&self, first: &[u8], last: &[u8], at: CommitTs) -> bool {
        self.0.iter().any(|t| {
            t.commit_ts <= at
                && last >= &t.start[..]
                && t.end.as_ref().is_none_or(|end| first < &end[..])
        })
    }

    /// True where there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
