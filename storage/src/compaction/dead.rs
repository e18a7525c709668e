//! Which files of a group may hold bytes that are dead: what a purge writes again (rule 13).
//!
//! Told from what is known of a file without reading its rows, so it errs on one side only: a file that is passed over holds
//! nothing that was dead at the floor. Dead are versions that a newer one, a delete or a range tombstone hides, cells and
//! rows that have expired, cells of dropped columns, and rows outside of the bounds that a tablet refers to a file in: after
//! a split those are another tablet's to delete.

use super::output::{first_end, retained_versions};
use super::overlap::Place;
use crate::scan::{GroupGc, Run, RunFile};
use crate::sstable::Result;
use std::sync::Arc;
use terrane_client::ids::CommitTs;
use terrane_client::schema::TableSchema;

/// What files are looked at with.
#[derive(Debug)]
pub struct DeadBytes<'a> {
    /// What was dead by then is looked for.
    pub floor: CommitTs,
    /// The table, as its tablets hold it.
    pub schema: &'a TableSchema,
    /// The group's policies.
    pub gc: &'a [GroupGc],
    /// Rows end by their age, which files of the group say of what they have of them.
    pub rows_end: bool,
}

impl DeadBytes<'_> {
    /// Whether files that meet no others, of runs newest first, may hold some: each of `places`.
    pub fn are_in(&self, runs: &[Arc<Run>], places: &[Place]) -> Result<bool> {
        let file = |place: &Place| &runs[place.run].files()[place.file];
        // A version dies by a newer one: of those that meet here all but the oldest run's.
        let oldest = places.iter().map(|place| place.run).max().unwrap_or_default();
        let newer = places.iter().filter(|place| place.run != oldest);
        if newer.map(file).any(|file| self.has_rows_by_floor(file)) {
            return Ok(true);
        }
        for place in places {
            if self.are_in_file(file(place))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_rows_by_floor(&self, file: &RunFile) -> bool {
        let properties = file.table.properties();
        properties.rows > 0 && properties.commit_ts_range().0 <= self.floor
    }

    /// The same of one file by itself.
    fn are_in_file(&self, file: &RunFile) -> Result<bool> {
        let properties = file.table.properties();
        let older = properties.rows.saturating_sub(properties.keys);
        let is_garbage = properties.deletes > 0 || older > retained_versions(properties);
        Ok(!file.table.range_tombstones().is_empty()
            || reaches_out(file)
            || (is_garbage && self.has_rows_by_floor(file))
            || self.has_expired(file)
            || self.has_dropped(file)?)
    }

    /// True where something may have ended by its age.
    fn has_expired(&self, file: &RunFile) -> bool {
        if !self.rows_end && !self.gc.iter().any(GroupGc::ends_by_age) {
            return false;
        }
        let properties = file.table.properties();
        let is_written_so = properties.schema_version == u64::from(self.schema.version);
        match first_end(properties).filter(|_| is_written_so) {
            Some(first_end) => first_end <= self.floor,
            // Written when nobody asked, or when the policies were others.
            None => true,
        }
    }

    /// True where cells of dropped columns have values.
    fn has_dropped(&self, file: &RunFile) -> Result<bool> {
        if !self.schema.is_settled {
            return Ok(false);
        }
        let columns = file.table.columns().iter().filter(|column| !column.is_key);
        for column in columns.filter(|column| self.schema.column(column.id).is_none()) {
            // There are no zones of what is hidden.
            if !file.table.history_blocks().is_empty() {
                return Ok(true);
            }
            for block in 0..file.table.block_count() {
                if file.table.zone(block, column.id)?.is_some_and(|zone| zone.values > 0) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// True where a file has rows outside of the bounds in which it is referred to.
fn reaches_out(file: &RunFile) -> bool {
    let bounds = file.table.key_bounds();
    bounds
        .is_some_and(|(first, last)| !file.bounds.contains(&first) || !file.bounds.contains(&last))
}
