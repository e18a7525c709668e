//! The GC policies of one locality group's columns and markers, as reads and merges ask for them.
//!
//! Most groups keep the newest version for ever: such a group is *plain*, and whoever reads it does what it would do if
//! there were no policies. In the others two things differ. A version's marker or newest cell may have *expired*: then
//! the row or the column is as if it had never been written, which takes a look at timestamps. And there may be
//! *older versions* that live: which matters to merges, and to reads that ask for them.
//!
//! [`CellGc::is_live`] decides about each cell.

use crate::sstable::{BlockInfo, block_flags};
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::row::ROW_MARKER;
use terrane_client::schema::{CellGc, TableSchema};

/// See the module's documentation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupGc {
    /// The columns that keep anything else than their newest version for ever, ascending.
    columns: Vec<(ColumnId, CellGc)>,
    marker_ttl: Option<i64>,
    /// Cells have timestamps of the client's: which is the newest is not said by the order of commits.
    is_dated: bool,
}

impl GroupGc {
    /// Those of a group in which everything is kept for ever, and nothing but the newest.
    pub const PLAIN: Self = Self { columns: Vec::new(), marker_ttl: None, is_dated: false };

    /// The policies of a group.
    pub fn new(schema: &TableSchema, group: LocalityGroupId) -> Self {
        let own = schema.value_columns().filter(|column| column.group == group);
        let columns = own.filter(|column| !column.gc.is_default());
        Self {
            columns: columns.map(|column| (column.id, column.gc)).collect(),
            marker_ttl: schema.group(group).and_then(|group| group.marker_gc.newest_ttl()),
            is_dated: schema.group(group).is_some_and(|group| !group.timestamps.is_server()),
        }
    }

    /// True where every column keeps its newest version for ever, and so do markers, and the newest is that of the newest
    /// commit.
    pub fn is_plain(&self) -> bool {
        self.columns.is_empty() && self.marker_ttl.is_none() && !self.is_dated
    }

    /// How long a row lives after its newest marker.
    pub fn marker_ttl(&self) -> Option<i64> {
        self.marker_ttl
    }

    /// A column's policy.
    pub fn of(&self, column: ColumnId) -> CellGc {
        let known = self.columns.binary_search_by_key(&column, |(id, _)| *id);
        known.map_or_else(|_| CellGc::default(), |at| self.columns[at].1)
    }

    /// True where cells have timestamps of the client's. Then all versions of a row are read before it is known what
    /// counts, one by one; nothing is written whole, and merges make no version of several.
    pub fn is_dated(&self) -> bool {
        self.is_dated
    }

    /// True where a column's cells may have older versions that live.
    pub fn keeps_older(&self, column: ColumnId) -> bool {
        self.of(column).keeps_older()
    }

    /// True where some column's newest cell expires.
    pub fn expires_cells(&self) -> bool {
        self.columns.iter().any(|(_, gc)| gc.newest_ttl().is_some())
    }

    /// A version's flags as a read sees them: without its marker, where that has expired.
    #[inline]
    pub fn seen_flags(&self, flags: u8, commit_ts: CommitTs, now: CommitTs) -> u8 {
        match self.marker_ttl {
            Some(ttl) if now.0.saturating_sub(commit_ts.0) >= ttl => flags & !ROW_MARKER,
            _ => flags,
        }
    }

    /// True where a column's newest cell is no longer seen.
    #[inline]
    pub fn has_expired(&self, column: ColumnId, written: CommitTs, now: CommitTs) -> bool {
        !self.columns.is_empty() && !self.of(column).is_live(0, written, now)
    }

    /// The shortest time after which a read of these columns may see less than is stored: `None` where it never does.
    /// `reads_markers` where it asks which rows live.
    pub fn shortest_ttl(&self, columns: &[ColumnId], reads_markers: bool) -> Option<i64> {
        let of_columns = columns.iter().filter_map(|id| self.of(*id).newest_ttl());
        of_columns.chain(self.marker_ttl.filter(|_| reads_markers)).min()
    }

    /// True where anything in the group ends by its age: newest versions, or older ones that are kept for a time.
    pub fn ends_by_age(&self) -> bool {
        self.marker_ttl.is_some() || self.columns.iter().any(|(_, gc)| gc.ttl_micros.is_some())
    }

    /// When a marker ends.
    pub fn marker_end(&self, written: CommitTs) -> Option<CommitTs> {
        self.marker_ttl.map(|ttl| CommitTs(written.0.saturating_add(ttl)))
    }

    /// When a cell may end by its age: the newest of its column, or an older one.
    pub fn cell_end(
        &self,
        column: ColumnId,
        written: CommitTs,
        is_newest: bool,
    ) -> Option<CommitTs> {
        let gc = self.of(column);
        let ttl = if is_newest { gc.newest_ttl() } else { gc.ttl_micros };
        ttl.map(|ttl| CommitTs(written.0.saturating_add(ttl)))
    }

    /// The shortest time after which anything in the group expires.
    pub fn shortest_ttl_of_all(&self) -> Option<i64> {
        let of_columns = self.columns.iter().filter_map(|(_, gc)| gc.newest_ttl());
        of_columns.chain(self.marker_ttl).min()
    }
}

/// True where something in a block may be older than `ttl` at a time.
pub(super) fn may_have_expired(block: &BlockInfo, ttl: Option<i64>, now: CommitTs) -> bool {
    let Some(ttl) = ttl else { return false };
    // The index knows when rows were committed, and not how much older some of their cells are.
    block.flags & block_flags::HAS_CELL_TIMES != 0 || now.0.saturating_sub(block.min_ts.0) >= ttl
}

/// When a read is: which versions there are for it, and by which time they have expired. These are one (rule 7) but where a
/// row is read under its lock, which sees everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadTime {
    /// Versions up to this one are seen.
    pub at: CommitTs,
    /// Ages are counted to here.
    pub now: CommitTs,
}

impl ReadTime {
    /// All that was ever applied, as it is at a time.
    pub fn newest(now: CommitTs) -> Self {
        Self { at: CommitTs::MAX, now }
    }
}

impl From<CommitTs> for ReadTime {
    fn from(at: CommitTs) -> Self {
        Self { at, now: at }
    }
}
