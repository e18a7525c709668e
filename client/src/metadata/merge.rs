//! Two tablets' METADATA rows, made one (rule 19).
//!
//! 1. The left one's row gets an intent, which names the right one and its version. It takes no other edit from then
//!    on.
//! 2. The right one's row becomes the union, on condition that it still has that version: that commits the merge.
//!    METADATA is keyed by end keys, so the union keeps the right one's name.
//! 3. The left one's row goes.
//!
//! Whoever finds an intent looks at the right one: where that is the union, only 3 is missing; where not, the merge is
//! taken back. So that it cannot be committed behind the back of who takes it back, the right one's version is moved on
//! first. At every moment [`super::settled`] rows tile what the two held.
//!
//! The left one's row leaves no marker. Rule 19 wants one against a late put; but a left child is put only while its parent's
//! row is as it was ([`super::split::put_left`]), and that row is the right one of this merge or an earlier one, whose version has moved on.
//!
//! Both must be flushed up to one sequence number, up to which nothing of either has to be looked for in the log: one
//! redo point counts for the union. Its runs are made of one run of each, beginning with the oldest: keys are disjoint, so
//! no order is needed between the two. Where both refer to parts of a file that meet, the union refers to the file once.

use super::split::clipped;
use super::{FileRow, GroupRow, RunRow, TabletRow, events};
use crate::ids::{LocalityGroupId, Seq};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// In a tablet's METADATA row: it is being merged into its right neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeIntent {
    /// The end of the right neighbour: its name.
    pub right_end: Option<Vec<u8>>,
    /// The version of the row that the union is to replace.
    pub right_version: u64,
}

/// True where a row that begins at `right_start` is the union of one with a merge intent and its right neighbour.
pub fn reaches(left: &TabletRow, right_start: &[u8]) -> bool {
    *right_start <= left.start[..]
}

/// The union of two neighbours, everything up to `flushed` of which is in files. `None` where they are no neighbours of
/// one table, server and generation, or one of them is being split.
pub fn union(left: &TabletRow, right: &TabletRow, flushed: Seq) -> Option<TabletRow> {
    let meet = left.end.as_deref() == Some(&right.start[..]);
    let same = left.table == right.table
        && left.server == right.server
        && left.generation == right.generation;
    if !meet || !same || left.split.is_some() || right.split.is_some() || right.merge.is_some() {
        return None;
    }
    let ids: BTreeSet<LocalityGroupId> =
        left.groups.iter().chain(&right.groups).map(|group| group.group).collect();
    let group = |id: LocalityGroupId| GroupRow {
        group: id,
        redo_point: [left, right].iter().map(|row| redo_of(row, id)).fold(flushed, Seq::max),
        runs: joined(runs_inside(left, id), runs_inside(right, id)),
    };
    let mut all: Vec<_> = left.events.iter().chain(&right.events).cloned().collect();
    // Children of one split begin with their parent's.
    all.sort_by(|a, b| a.order().cmp(&b.order()));
    all.dedup();
    let mut kept = Vec::new();
    events::add(&mut kept, all);
    Some(TabletRow {
        start: left.start.clone(),
        version: right.version + 1,
        max_seq: left.max_seq.max(right.max_seq),
        max_commit_ts: left.max_commit_ts.max(right.max_commit_ts),
        gc_floor: left.gc_floor.max(right.gc_floor),
        groups: ids.into_iter().map(group).collect(),
        is_start_chosen: left.is_start_chosen,
        // As far as both are; where one never was, neither is their union.
        purged: left.purged.min(right.purged),
        events: kept,
        ..right.clone()
    })
}

fn redo_of(row: &TabletRow, id: LocalityGroupId) -> Seq {
    let known = row.groups.iter().find(|group| group.group == id);
    known.map_or_else(Seq::default, |group| group.redo_point)
}

/// A group's runs within the row's range, oldest first.
fn runs_inside(row: &TabletRow, id: LocalityGroupId) -> Vec<Vec<FileRow>> {
    let inside = |file: &FileRow| clipped(file.clone(), &row.start, row.end.as_deref());
    let runs = row.runs_of(id).iter().rev();
    runs.map(|run| run.files.iter().filter_map(inside).collect()).collect()
}

/// Runs side by side, newest first.
fn joined(left: Vec<Vec<FileRow>>, right: Vec<Vec<FileRow>>) -> Vec<RunRow> {
    let count = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let mut runs: Vec<RunRow> = (0..count)
        .map(|_| {
            let (left, right) = (left.next().unwrap_or_default(), right.next().unwrap_or_default());
            RunRow { files: side_by_side(left, right) }
        })
        .collect();
    runs.retain(|run| !run.files.is_empty());
    runs.reverse();
    runs
}

fn side_by_side(mut files: Vec<FileRow>, right: Vec<FileRow>) -> Vec<FileRow> {
    for file in right {
        match files.last_mut() {
            // What a split has cut.
            Some(last) if last.name == file.name && last.end.as_ref() == Some(&file.start) => {
                last.end = file.end;
            }
            _ => files.push(file),
        }
    }
    files
}

#[cfg(test)]
mod tests;
