//! How much a tablet has in files. After a split several tablets name the same files: of those only what lies inside its range is
//! a tablet's own.

use super::TabletServer;
use crate::tablet::Tablet;
use terrane_client::error::TabletError;
use terrane_client::ids::LocalityGroupId;
use terrane_client::metadata::TabletRow;

/// What a tablet has in files, by whole blocks: one that a bound cuts is both neighbours'.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TabletSize {
    /// Bytes of all locality groups.
    pub(super) disk_bytes: u64,
    /// Row versions of the default locality group: it has every version of every row.
    pub(super) rows: u64,
}

impl TabletSize {
    /// All of the files that a tablet names.
    pub(super) fn of_files(row: &TabletRow) -> Self {
        let runs = row.runs_of(LocalityGroupId::default());
        Self {
            disk_bytes: row.files().map(|file| file.size_bytes).sum(),
            rows: runs.iter().flat_map(|run| &run.files).map(|file| file.rows).sum(),
        }
    }
}

impl TabletServer {
    /// What is a tablet's own.
    pub(super) fn size_of(&self, tablet: &Tablet) -> Result<TabletSize, TabletError> {
        let (version, row) = (tablet.version(), tablet.row());
        let is_shared =
            row.files().any(|file| self.files.references.is_shared(row.table, &file.name));
        let mut size = TabletSize::default();
        for group in version.groups() {
            for file in group.sources.runs.iter().flat_map(|run| run.files()) {
                let table = &file.table;
                // The index need not be read where all is the tablet's.
                let (rows, bytes) = match is_shared {
                    true => table.rows_and_bytes_in(&file.bounds)?,
                    false => (table.properties().rows, table.size_bytes()),
                };
                size.disk_bytes += bytes;
                size.rows += if group.id == LocalityGroupId::default() { rows } else { 0 };
            }
        }
        Ok(size)
    }
}
