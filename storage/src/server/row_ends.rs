//! When rows end by their age, asked of the default locality group for groups that do not know it.
//!
//! A row lives as long as a marker of it does. Groups that have the row's markers collect what has ended by themselves. Others have none: the
//! entries of a map are rows of their own, families with the client's timestamps and groups that were added to a table
//! with rows have no markers. What they have of a row that had ended by the floor no read sees again: whoever puts
//! another row in its place removes it first.

use crate::compaction::output::RunWriter;
use crate::scan::ScanError;
use crate::scan::{GroupGc, OutCells, Sources};
use crate::sstable::RowVersion;
use crate::tablet::Tablet;
use crate::tablet::directory::HeldSchemas;
use terrane_client::ids::{CommitTs, LocalityGroupId};
use terrane_client::map_column::entry_key::row_key_length;
use terrane_client::types::DataType;

/// See the module's doc.
pub(super) struct RowEnds {
    /// Of the default group.
    sources: Sources,
    /// Its policies: while it is not settled which one counts, what lives by one of them is kept.
    gc: Vec<GroupGc>,
    floor: CommitTs,
    /// Of the table's key, where keys of the group go on behind it.
    entries_of: Option<Vec<(DataType, bool)>>,
    /// The key of the row that was asked for last.
    row: Option<Vec<u8>>,
    /// When it ends: as a read at the floor sees it, and as the newest does.
    ends: [CommitTs; 2],
}

/// True where rows end by their age, and a group does not know when.
pub(super) fn are_elsewhere(schemas: &HeldSchemas, group: LocalityGroupId) -> bool {
    let default = LocalityGroupId::default();
    let is_without = schemas.group(group).is_some_and(|group| !group.has_markers)
        || schemas.current.map_in(group).is_some();
    let row_ends = || schemas.gc(default).iter().all(|gc| gc.marker_ttl().is_some());
    group != default && is_without && row_ends()
}

impl RowEnds {
    /// `None` where rows do not end by their age, or the group knows it itself.
    pub(super) fn of(
        tablet: &Tablet,
        schemas: &HeldSchemas,
        group: LocalityGroupId,
        floor: CommitTs,
    ) -> Option<Self> {
        if !are_elsewhere(schemas, group) {
            return None;
        }
        let default = LocalityGroupId::default();
        let sources = tablet.version().group(default)?.sources.clone();
        let entries_of =
            schemas.current.map_in(group).map(|_| schemas.current.key_shape().to_vec());
        let ends = [CommitTs::MAX; 2];
        Some(Self { sources, gc: schemas.gc(default), floor, entries_of, row: None, ends })
    }

    /// When the row ends that a key of the group is of; `None` for a version of it, committed then, that no read sees
    /// because the row had ended by the floor.
    pub(super) fn end_of(
        &mut self,
        key: &[u8],
        commit_ts: CommitTs,
    ) -> Result<Option<CommitTs>, ScanError> {
        let row = match &self.entries_of {
            Some(shape) => &key[..row_key_length(key, shape).unwrap_or(key.len())],
            None => key,
        };
        if self.row.as_deref() != Some(row) {
            for (end, at) in self.ends.iter_mut().zip([self.floor, CommitTs::MAX]) {
                *end = CommitTs::ABSENT;
                for gc in &self.gc {
                    *end = (*end).max(self.sources.row_end(row, at, gc)?);
                }
            }
            self.row = Some(row.to_vec());
        }
        let [by_floor, newest] = self.ends;
        let is_over = by_floor <= self.floor && commit_ts <= self.floor;
        Ok((!is_over).then_some(newest.max(by_floor)))
    }
}

/// Adds what a merge of a group gives, but for what has ended with its row.
pub(super) fn add_living(
    ends: &mut Option<RowEnds>,
    writer: &mut RunWriter<'_>,
    row: RowVersion<'_>,
    cells: OutCells<'_>,
) -> Result<(), ScanError> {
    if let Some(ends) = ends {
        let Some(end) = ends.end_of(row.key, row.commit_ts)? else { return Ok(()) };
        writer.note_row_end(end);
    }
    Ok(writer.add(row, cells)?)
}
