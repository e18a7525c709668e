//! The rows of a batch that is being merged, each known by the versions its cells come from.
//!
//! Keys are compared and versions chosen first, row by row; columns are built after that, column by column
//! ([`super::gather`]). Versions in blocks are referred to; those in memtables are few, and what is read
//! of them is copied.

use super::group_scan::RowSet;
use super::plan::Plan;
use crate::sstable::Block;
use std::ops::Range;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::row::{CellsIter, ROW_MARKER};

/// Blocks of a batch at most: they stay in memory until it is built.
const BLOCKS_MAX: usize = 64;
/// Copied bytes of a batch at most.
const BYTES_MAX: usize = 4 << 20;

/// A version that cells come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// A row of a block, by the block's place in [`Picks::blocks`].
    Stored { block: u32, row: u32 },
    /// A copied version, by its number.
    Packed(u32),
}

/// A cell of a copied version.
#[derive(Clone, Copy, Debug)]
pub(super) enum PackedCell<'a> {
    Absent,
    Null,
    Bytes(&'a [u8]),
}

/// Where a cell lies in [`Picks::bytes`].
#[derive(Clone, Copy, Debug)]
enum CellAt {
    Absent,
    Null,
    Bytes { start: u32, len: u32 },
}

#[derive(Clone, Copy, Debug)]
struct PickedRow {
    version: CommitTs,
    /// The first of its parts, newest first; they end where the next row's begin.
    parts: u32,
}

/// See the module's doc.
#[derive(Debug, Default)]
pub(super) struct Picks {
    blocks: Vec<Arc<Block>>,
    rows: Vec<PickedRow>,
    parts: Vec<Part>,
    /// When each part was committed.
    times: Vec<CommitTs>,
    /// Keys and cells of copied versions.
    bytes: Vec<u8>,
    /// Each copied version's key.
    keys: Vec<Range<u32>>,
    /// Each copied version's cells: one for each of the plan's value columns.
    cells: Vec<CellAt>,
    /// The open row: its newest version's timestamp, and all its versions' flags.
    open: (CommitTs, u8),
    /// Where the open row's parts begin.
    open_parts: usize,
}

impl Picks {
    /// Rows picked.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// True where the batch should be built before more is picked.
    pub(super) fn is_full(&self, plan: &Plan) -> bool {
        self.rows.len() >= plan.batch_rows_max
            || self.blocks.len() >= BLOCKS_MAX
            || self.bytes.len() >= BYTES_MAX
    }

    /// Starts over.
    pub(super) fn clear(&mut self) {
        self.blocks.clear();
        self.rows.clear();
        self.parts.clear();
        self.times.clear();
        self.bytes.clear();
        self.keys.clear();
        self.cells.clear();
        self.open_parts = 0;
    }

    /// The place of a block, added if need be.
    pub(super) fn slot(&mut self, block: &Arc<Block>) -> u32 {
        // The blocks that are being merged are among the last.
        let known = self.blocks.iter().rposition(|known| Arc::ptr_eq(known, block));
        known.unwrap_or_else(|| {
            self.blocks.push(block.clone());
            self.blocks.len() - 1
        }) as u32
    }

    fn note_version(&mut self, commit_ts: CommitTs, flags: u8) {
        if self.parts.len() == self.open_parts {
            self.open = (commit_ts, 0);
        }
        self.open.1 |= flags;
    }

    /// Adds the open row's next older version, which is in a block.
    pub(super) fn push_stored(&mut self, commit_ts: CommitTs, flags: u8, slot: u32, row: u32) {
        self.note_version(commit_ts, flags);
        self.times.push(commit_ts);
        self.parts.push(Part::Stored { block: slot, row });
    }

    /// Adds the open row's next older version, which is in a memtable.
    pub(super) fn push_packed(
        &mut self,
        commit_ts: CommitTs,
        flags: u8,
        key: &[u8],
        cells: &[u8],
        columns: &[ColumnId],
    ) {
        self.note_version(commit_ts, flags);
        self.times.push(commit_ts);
        self.parts.push(Part::Packed(self.keys.len() as u32));
        let key = self.copy(key);
        self.keys.push(key);
        let mut wanted = columns.iter().peekable();
        for (column, cell) in CellsIter::new(cells) {
            while wanted.next_if(|id| **id < column).is_some() {
                self.cells.push(CellAt::Absent);
            }
            if wanted.next_if(|id| **id == column).is_some() {
                let at = match cell {
                    None => CellAt::Null,
                    Some(bytes) => {
                        let Range { start, end } = self.copy(bytes);
                        CellAt::Bytes { start, len: end - start }
                    }
                };
                self.cells.push(at);
            } else if wanted.peek().is_none() {
                break;
            }
        }
        self.cells.extend(wanted.map(|_| CellAt::Absent));
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<u32> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let place = |at: usize| u32::try_from(at).expect("a batch ends long before 4 GiB");
        place(start)..place(self.bytes.len())
    }

    /// Ends the open row: it is picked if it is one of `rows`. Returns whether it is.
    pub(super) fn finish_row(&mut self, rows: RowSet) -> bool {
        let (version, flags) = self.open;
        let is_one = rows == RowSet::Stored || flags & ROW_MARKER != 0;
        let lives = self.parts.len() > self.open_parts && is_one;
        match lives {
            true => self.rows.push(PickedRow { version, parts: self.open_parts as u32 }),
            false => {
                self.parts.truncate(self.open_parts);
                self.times.truncate(self.open_parts);
            }
        }
        self.open_parts = self.parts.len();
        lives
    }

    /// Picks rows of a clean block, each of which is an answer by itself.
    pub(super) fn push_clean(&mut self, slot: u32, rows: impl Iterator<Item = (u32, CommitTs)>) {
        for (row, version) in rows {
            self.rows.push(PickedRow { version, parts: self.parts.len() as u32 });
            self.times.push(version);
            self.parts.push(Part::Stored { block: slot, row });
        }
        self.open_parts = self.parts.len();
    }

    /// The blocks that parts refer to.
    pub(super) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    /// All parts of all rows.
    pub(super) fn all_parts(&self) -> &[Part] {
        &self.parts
    }

    /// A row's version.
    pub(super) fn version(&self, row: usize) -> CommitTs {
        self.rows[row].version
    }

    /// A row's parts, newest first.
    pub(super) fn parts(&self, row: usize) -> &[Part] {
        let end = self.rows.get(row + 1).map_or(self.parts.len(), |next| next.parts as usize);
        &self.parts[self.rows[row].parts as usize..end]
    }

    /// When a row's parts were committed, newest first.
    pub(super) fn times(&self, row: usize) -> &[CommitTs] {
        let end = self.rows.get(row + 1).map_or(self.parts.len(), |next| next.parts as usize);
        &self.times[self.rows[row].parts as usize..end]
    }

    /// A copied version's key.
    pub(super) fn packed_key(&self, packed: u32) -> &[u8] {
        let Range { start, end } = self.keys[packed as usize];
        &self.bytes[start as usize..end as usize]
    }

    /// A copied version's cell of the plan's `place`th of `count` value columns.
    pub(super) fn packed_cell(&self, packed: u32, place: usize, count: usize) -> PackedCell<'_> {
        match self.cells[packed as usize * count + place] {
            CellAt::Absent => PackedCell::Absent,
            CellAt::Null => PackedCell::Null,
            CellAt::Bytes { start, len } => {
                PackedCell::Bytes(&self.bytes[start as usize..(start + len) as usize])
            }
        }
    }
}
