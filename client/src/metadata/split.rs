//! A tablet's METADATA row, split in two (rule 19).
//!
//! A split is committed by one edit: the intent in the parent's row. From then on the row stands for its two
//! children, and takes no edit but the one that makes it the right one. Whoever finds an intent puts the left
//! child's row first and then makes the parent's row the right child's; METADATA is keyed by end keys, so the
//! right child keeps the parent's. At every moment [`super::settled`] rows tile what the parent held.
//!
//! Children share the parent's files: each refers to those that may hold keys of its range, within its range.
//! All else they inherit: redo points (the log is routed by key), max_seq, max_commit_ts, gc_floor.

use super::edit::{self, Edit};
use super::{FileRow, RunRow, TabletRow, codec, schema};
use crate::error::TabletError;
use crate::ids::{CommitTs, StorageId};
use crate::program::{Action, Guard, Returning, RowProgram};
use serde::{Deserialize, Serialize};

/// In a tablet's METADATA row: it stands for its two children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitIntent {
    /// First key of the right child, strictly inside the parent.
    pub at: Vec<u8>,
    /// Someone chose it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_chosen: bool,
}

/// The children that an intent makes of a row: left and right. `None` without an intent, or with one that is
/// not inside the row's range.
pub fn children(parent: &TabletRow) -> Option<(TabletRow, TabletRow)> {
    let SplitIntent { at, is_chosen } = parent.split.as_ref()?;
    if *at <= parent.start || !parent.contains(at) {
        return None;
    }
    let left = child(parent, parent.start.clone(), Some(at.clone()));
    let right = child(parent, at.clone(), parent.end.clone());
    Some((left, TabletRow { is_start_chosen: *is_chosen, ..right }))
}

pub(super) fn child(parent: &TabletRow, start: Vec<u8>, end: Option<Vec<u8>>) -> TabletRow {
    let mut row = TabletRow { start, end, split: None, ..parent.clone() };
    row.version = parent.version + 1;
    for group in &mut row.groups {
        for RunRow { files } in &mut group.runs {
            let inside = |file| clipped(file, &row.start, row.end.as_deref());
            *files = std::mem::take(files).into_iter().filter_map(inside).collect();
        }
        group.runs.retain(|run| !run.files.is_empty());
    }
    row
}

/// The reference within a range; `None` where they do not meet.
pub(super) fn clipped(mut file: FileRow, start: &[u8], end: Option<&[u8]>) -> Option<FileRow> {
    if file.start[..] < *start {
        file.start = start.to_vec();
    }
    if let Some(end) = end
        && file.end.as_ref().is_none_or(|own| &own[..] > end)
    {
        file.end = Some(end.to_vec());
    }
    file.end.as_ref().is_none_or(|end| file.start < *end).then_some(file)
}

/// Puts the left child's row, if the parent's is still the one of this version: a table that is dropped
/// meanwhile gets no new row. To be run as all or none.
pub fn put_left(
    parent: &TabletRow,
    left: &TabletRow,
    version: CommitTs,
) -> Result<Vec<RowProgram>, TabletError> {
    let unchanged = RowProgram {
        table: StorageId::METADATA,
        schema_version: schema().version,
        key: codec::row_key(parent.table, parent.end.as_deref())?,
        guard: Guard::Version(version),
        condition: None,
        action: Action::Check,
        returning: Returning::Nothing,
    };
    Ok(vec![unchanged, edit::put(left)?])
}

/// Makes the parent's row the right child's.
pub fn become_right(parent: &TabletRow, right: &TabletRow) -> Result<Edit, TabletError> {
    Edit::new(parent, |row| row.clone_from(right))
}

#[cfg(test)]
mod tests;
