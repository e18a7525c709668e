//! Packed rows: the same bytes in the commit log, the memtable and a point read's answer.
//!
//! ```text
//! cells    := count varint, cell*            ascending by column id
//! cell     := column varint, size varint, bytes     size 0: explicit NULL; else bytes + 1
//! mutation := flags u8, cells                 of a row in one locality group
//!           | flags u8 with 0x40 set, dated cells       of one whose timestamps are the client's
//! ```
//!
//! Invariants: column ids ascend strictly; a varint is LEB128 of at most 5 bytes. Decoding never
//! panics: bytes that do not parse end the iteration, and [`PackedCells::parse`] reports them.

mod dated;
mod merge;

pub use dated::{CellTimes, DatedCells, DatedIter, STAMP_AHEAD_MAX_MICROS, Stamp};
pub use merge::{RowMerge, merge_cells};

use crate::ids::{ColumnId, CommitTs};
use crate::map_column::MapChanges;
use bytes::Bytes;

/// Everything older on this row is hidden: DELETE, or the first half of DELETE + INSERT in one COMMIT.
pub const ROW_DELETE: u8 = 1;
/// The row exists from here on (rule 36): INSERT writes it, UPDATE does not need to.
pub const ROW_MARKER: u8 = 2;
/// Columns not in this mutation are absent, whatever is older: a whole-row write (rule 10).
pub const ROW_COMPLETE: u8 = 4;
/// Beside [`ROW_COMPLETE`], and only in files: the newest cell of every column is here, and beneath are older ones that are
/// still among the versions of their columns. Who wants the newest only stops here; who wants more reads on.
pub const ROW_HAS_OLDER: u8 = 8;

/// Cells with timestamps of the client's follow: of a mutation in a group of such, and of a [`RowChange`].
pub const ROW_DATED: u8 = 0x40;

/// Cells of one row, packed. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedCells(Bytes);

/// Packed bytes that are not well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed packed cells at byte {offset}")]
pub struct MalformedCells {
    /// Where parsing stopped.
    pub offset: usize,
}

impl PackedCells {
    /// Takes bytes that [`CellsBuilder`] made, checking that they are well formed.
    pub fn parse(bytes: Bytes) -> Result<Self, MalformedCells> {
        let cells = CellsIter::new(&bytes);
        let mut iter = cells;
        let mut last = None;
        while let Some((column, _)) = iter.next() {
            if last.is_some_and(|last| last >= column) {
                return Err(MalformedCells { offset: iter.offset });
            }
            last = Some(column);
        }
        if iter.remaining > 0 || iter.offset != bytes.len() {
            return Err(MalformedCells { offset: iter.offset });
        }
        Ok(Self(bytes))
    }

    /// Takes bytes already known to be well formed: slices of a checked mutation.
    pub fn from_trusted(bytes: Bytes) -> Self {
        debug_assert!(Self::parse(bytes.clone()).is_ok(), "trusted cells are well formed");
        Self(bytes)
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The cells, ascending by column.
    pub fn iter(&self) -> CellsIter<'_> {
        CellsIter::new(&self.0)
    }

    /// One cell: `None` when absent, `Some(None)` when explicitly NULL.
    pub fn get(&self, column: ColumnId) -> Option<Option<&[u8]>> {
        self.iter().find(|(id, _)| *id == column).map(|(_, cell)| cell)
    }
}

/// Iterates over packed cells. Stops early at malformed bytes.
#[derive(Clone, Copy)]
pub struct CellsIter<'a> {
    bytes: &'a [u8],
    offset: usize,
    remaining: u32,
}

impl<'a> CellsIter<'a> {
    /// Iterates over the cells of `bytes`, which hold `cells` as the module's doc spells it.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut iter = Self { bytes, offset: 0, remaining: 0 };
        // No bytes at all is no cells: the default value.
        if !bytes.is_empty() {
            iter.remaining = iter.varint().unwrap_or(0);
        }
        iter
    }

    fn varint(&mut self) -> Option<u32> {
        read_varint(self.bytes, &mut self.offset)
    }
}

impl<'a> Iterator for CellsIter<'a> {
    type Item = (ColumnId, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.remaining == 0 {
            return None;
        }
        let column = ColumnId(self.varint()?);
        let size = self.varint()? as usize;
        let cell = match size {
            0 => None,
            _ => {
                let end = self.offset.checked_add(size - 1)?;
                let cell = self.bytes.get(self.offset..end)?;
                self.offset = end;
                Some(cell)
            }
        };
        self.remaining -= 1;
        Some((column, cell))
    }
}

/// Packs cells. Columns must come ascending.
#[derive(Default)]
pub struct CellsBuilder {
    body: Vec<u8>,
    count: u32,
    last: Option<ColumnId>,
}

impl CellsBuilder {
    /// Adds a cell; `None` is an explicit NULL.
    ///
    /// # Panics
    /// When columns do not ascend: a bug in the caller, which would lose a cell silently.
    pub fn push(&mut self, column: ColumnId, cell: Option<&[u8]>) {
        assert!(self.last.is_none_or(|last| last < column), "cells are packed ascending by column");
        self.last = Some(column);
        self.count += 1;
        write_varint(&mut self.body, column.0);
        match cell {
            None => self.body.push(0),
            Some(bytes) => {
                let size =
                    u32::try_from(bytes.len() + 1).expect("a cell is checked to be under 1 GiB");
                write_varint(&mut self.body, size);
                self.body.extend_from_slice(bytes);
            }
        }
    }

    /// The packed cells; the builder is empty again.
    pub fn finish(&mut self) -> PackedCells {
        let mut bytes = Vec::with_capacity(self.body.len() + 5);
        write_varint(&mut bytes, self.count);
        bytes.extend_from_slice(&self.body);
        self.body.clear();
        self.count = 0;
        self.last = None;
        PackedCells(bytes.into())
    }
}

/// Reads a varint, and moves the offset behind it.
pub(crate) fn read_varint(bytes: &[u8], offset: &mut usize) -> Option<u32> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(*offset)?;
        *offset += 1;
        value |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What one COMMIT does to one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowMutation {
    /// [`ROW_DELETE`], [`ROW_MARKER`], [`ROW_COMPLETE`]. The delete applies first (rule 6).
    pub flags: u8,
    /// The cells written.
    pub cells: PackedCells,
}

impl RowMutation {
    /// Appends the mutation's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.flags);
        out.extend_from_slice(self.cells.as_bytes());
    }

    /// Reads a mutation's bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, MalformedCells> {
        let flags = *bytes.first().ok_or(MalformedCells { offset: 0 })?;
        Ok(Self { flags, cells: PackedCells::parse(bytes.slice(1..))? })
    }
}

/// What one COMMIT does to one row of a table: its cells, and the entries of its map columns. The payload of the
/// commit log's records.
///
/// ```text
/// change := flags u8, cells                                            nothing else
///         | flags u8 with 0x80, 0x40 or both set, size u32 little-endian, cells
///           [ size u32 little-endian, dated cells ] with 0x40         [ map changes ] with 0x80
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The cells.
    pub row: RowMutation,
    /// Those with timestamps of the client's.
    pub dated: DatedCells,
    /// The entries.
    pub maps: MapChanges,
}

/// Map changes follow the cells.
const HAS_MAP_CHANGES: u8 = 0x80;

impl From<RowMutation> for RowChange {
    fn from(row: RowMutation) -> Self {
        Self { row, dated: DatedCells::default(), maps: MapChanges::default() }
    }
}

impl RowChange {
    /// Appends the change's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (has_maps, is_dated) = (!self.maps.is_empty(), !self.dated.is_empty());
        if !has_maps && !is_dated {
            return self.row.encode(out);
        }
        let with = |is_there, flag| if is_there { flag } else { 0 };
        out.push(self.row.flags | with(has_maps, HAS_MAP_CHANGES) | with(is_dated, ROW_DATED));
        let sized = |bytes: &[u8], out: &mut Vec<u8>| {
            let size = u32::try_from(bytes.len()).expect("a row is checked to be under 1 GiB");
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(bytes);
        };
        sized(self.row.cells.as_bytes(), out);
        if is_dated {
            let mut dated = Vec::new();
            self.dated.encode(&mut dated);
            sized(&dated, out);
        }
        if has_maps {
            self.maps.encode(out);
        }
    }

    /// Reads a change's bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, MalformedCells> {
        let has = |flag| bytes.first().is_some_and(|flags| flags & flag != 0);
        if !has(HAS_MAP_CHANGES) && !has(ROW_DATED) {
            return RowMutation::decode(bytes).map(Self::from);
        }
        let mut offset = 1;
        let mut sized = || {
            let short = MalformedCells { offset: bytes.len() };
            let size = bytes.get(offset..).and_then(<[u8]>::first_chunk).ok_or(short)?;
            let start = offset + size_of::<u32>();
            let end = (u32::from_le_bytes(*size) as usize).checked_add(start);
            offset = end.filter(|end| *end <= bytes.len()).ok_or(short)?;
            Ok(bytes.slice(start..offset))
        };
        let cells = PackedCells::parse(sized()?)?;
        let dated = match has(ROW_DATED) {
            true => DatedCells::decode(&sized()?)?,
            false => DatedCells::default(),
        };
        let row = RowMutation { flags: bytes[0] & !(HAS_MAP_CHANGES | ROW_DATED), cells };
        let maps = match has(HAS_MAP_CHANGES) {
            true => MapChanges::decode(&bytes.slice(offset..))?,
            false if offset == bytes.len() => MapChanges::default(),
            false => return Err(MalformedCells { offset }),
        };
        Ok(Self { row, dated, maps })
    }

    /// True for the bytes of a change that has map changes.
    pub fn has_map_changes(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|flags| flags & HAS_MAP_CHANGES != 0)
    }

    /// The one change that does what `self` and then `next` do, in the same commit.
    pub fn then(&self, next: &RowChange) -> RowChange {
        let hides = next.row.flags & (ROW_DELETE | ROW_COMPLETE) != 0;
        let mut maps = self.maps.clone();
        maps.then(&next.maps, hides);
        let mut dated = if hides { DatedCells::default() } else { self.dated.clone() };
        next.dated.0.iter().for_each(|(stamp, cells)| dated.add(*stamp, cells));
        RowChange { row: self.row.then(&next.row), dated, maps }
    }
}

/// A live row as a read sees it: merged, with its version. Key columns are not among the cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The newest commit that wrote the row.
    pub version: CommitTs,
    /// Its live cells. Columns never written are absent and read as their missing value.
    pub cells: PackedCells,
    /// When those of them were written that have timestamps of the client's.
    pub times: CellTimes,
}

#[cfg(test)]
mod tests;
