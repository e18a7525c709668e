//! Cells with timestamps of the client's (rule 6): of families whose `timestamps` are `'client'`.
//!
//! ```text
//! dated := count varint, part*
//! part  := kind u8 (0 at, 1 at least), timestamp i64 little-endian, size u32 little-endian, cells
//! ```
//!
//! A commit may write one cell with several timestamps: several parts. Which timestamp a part without one of its own
//! has is known with the commit: its time, or what is just above the newest cell there was if that lies ahead of the
//! clock (rule 40), so that a write without a timestamp is always seen.
//!
//! Such a cell is at two times: it was *written* with its timestamp, by which versions are ordered, counted and expire,
//! and *committed* like any other, by which AS OF sees it and deletes hide it.

use super::{CellsBuilder, MalformedCells, PackedCells, merge_cells};
use super::{read_varint, write_varint};
use crate::ids::{ColumnId, CommitTs};
use bytes::Bytes;

/// How far ahead of the clock a client's timestamp may be (rule 40), in microseconds.
pub const STAMP_AHEAD_MAX_MICROS: i64 = 60_000_000;

/// Bytes of a part before its cells.
const PART_HEADER_BYTES: usize = 1 + 8 + 4;

/// The timestamp of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// The client's.
    At(CommitTs),
    /// The commit's, and not less than this.
    AtLeast(CommitTs),
}

impl Stamp {
    /// What it is in a commit.
    pub fn in_commit(self, commit_ts: CommitTs) -> CommitTs {
        match self {
            Self::At(at) => at,
            Self::AtLeast(least) => commit_ts.max(least),
        }
    }
}

/// The cells of one row that one commit writes with timestamps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatedCells(pub Vec<(Stamp, PackedCells)>);

impl DatedCells {
    /// True without cells.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of the cells.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, cells)| PART_HEADER_BYTES + cells.as_bytes().len()).sum()
    }

    /// Adds cells. Of a cell that is there with the same timestamp the new one counts.
    pub fn add(&mut self, stamp: Stamp, cells: &PackedCells) {
        if cells.iter().next().is_none() {
            return;
        }
        let is_same = |known: &Stamp| match (known, stamp) {
            (Stamp::At(known), Stamp::At(at)) => *known == at,
            (Stamp::AtLeast(_), Stamp::AtLeast(_)) => true,
            _ => false,
        };
        match self.0.iter_mut().find(|(known, _)| is_same(known)) {
            None => self.0.push((stamp, cells.clone())),
            Some((known, before)) => {
                if let (Stamp::AtLeast(known), Stamp::AtLeast(least)) = (&mut *known, stamp) {
                    *known = least.max(*known);
                }
                *before = merge_cells(&[cells.clone(), std::mem::take(before)]);
            }
        }
    }

    /// The cells of some columns.
    pub fn of_columns(&self, is_wanted: impl Fn(ColumnId) -> bool) -> Self {
        let mut wanted = Self::default();
        for (stamp, cells) in &self.0 {
            let mut some = CellsBuilder::default();
            let own = cells.iter().filter(|(id, _)| is_wanted(*id));
            own.for_each(|(id, cell)| some.push(id, cell));
            wanted.add(*stamp, &some.finish());
        }
        wanted
    }

    /// Appends the bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let fits = "a row is checked to be under 1 GiB";
        write_varint(out, u32::try_from(self.0.len()).expect(fits));
        for (stamp, cells) in &self.0 {
            let (kind, at) = match stamp {
                Stamp::At(at) => (0, at),
                Stamp::AtLeast(at) => (1, at),
            };
            out.push(kind);
            out.extend_from_slice(&at.0.to_le_bytes());
            let size = u32::try_from(cells.as_bytes().len()).expect(fits);
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(cells.as_bytes());
        }
    }

    /// Reads the bytes.
    pub fn decode(bytes: &Bytes) -> Result<Self, MalformedCells> {
        let mut dated = Self::default();
        let mut parts = DatedIter::new(bytes);
        for (stamp, cells) in parts.by_ref() {
            dated.0.push((stamp, PackedCells::parse(bytes.slice_ref(cells))?));
        }
        match !bytes.is_empty() && parts.left == 0 && parts.offset == bytes.len() {
            true => Ok(dated),
            false => Err(MalformedCells { offset: parts.offset }),
        }
    }
}

/// Iterates over the parts of dated cells: timestamp, and packed cells. Stops early at malformed bytes.
#[derive(Clone, Copy)]
pub struct DatedIter<'a> {
    bytes: &'a [u8],
    offset: usize,
    left: u32,
}

impl<'a> DatedIter<'a> {
    /// Iterates over `bytes`, as the module's doc spells them.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut offset = 0;
        let left = read_varint(bytes, &mut offset).unwrap_or(0);
        Self { bytes, offset, left }
    }
}

impl<'a> Iterator for DatedIter<'a> {
    type Item = (Stamp, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let rest = self.bytes.get(self.offset..)?;
        let (header, rest) = rest.split_at_checked(PART_HEADER_BYTES)?;
        let at = CommitTs(i64::from_le_bytes(*header[1..].first_chunk()?));
        let stamp = match header[0] {
            0 => Stamp::At(at),
            1 => Stamp::AtLeast(at),
            _ => return None,
        };
        let size = u32::from_le_bytes(*header[9..].first_chunk()?) as usize;
        let cells = rest.get(..size)?;
        self.offset += PART_HEADER_BYTES + size;
        self.left -= 1;
        Some((stamp, cells))
    }
}

/// Of a row's newest cells with timestamps of the client's these timestamps, ascending by column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellTimes(Vec<(ColumnId, CommitTs)>);

impl CellTimes {
    /// A column's; `None` where it has no cell.
    pub fn of(&self, column: ColumnId) -> Option<CommitTs> {
        let known = self.0.binary_search_by_key(&column, |(id, _)| *id);
        known.ok().map(|at| self.0[at].1)
    }

    /// Sets a column's.
    pub fn set(&mut self, column: ColumnId, at: CommitTs) {
        match self.0.binary_search_by_key(&column, |(id, _)| *id) {
            Ok(place) => self.0[place].1 = at,
            Err(place) => self.0.insert(place, (column, at)),
        }
    }

    /// Adds those of other columns.
    pub fn extend(&mut self, others: &Self) {
        others.0.iter().for_each(|(column, at)| self.set(*column, *at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(of: &[(u32, &str)]) -> PackedCells {
        let mut cells = CellsBuilder::default();
        of.iter().for_each(|(id, text)| cells.push(ColumnId(*id), Some(text.as_bytes())));
        cells.finish()
    }

    #[test]
    fn dated_cells_round_trip_and_no_byte_string_panics() {
        let mut dated = DatedCells::default();
        dated.add(Stamp::At(CommitTs(-5)), &cells(&[(2, "a"), (9, "b")]));
        dated.add(Stamp::AtLeast(CommitTs(70)), &cells(&[(2, "c")]));
        let mut bytes = Vec::new();
        dated.encode(&mut bytes);
        assert_eq!(DatedCells::decode(&bytes.clone().into()), Ok(dated));
        for at in 0..bytes.len() {
            assert!(DatedCells::decode(&bytes[..at].to_vec().into()).is_err());
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            let _ = DatedCells::decode(&damaged.into());
        }
    }

    #[test]
    fn of_one_cell_with_one_timestamp_the_last_write_counts() {
        let mut dated = DatedCells::default();
        dated.add(Stamp::At(CommitTs(5)), &cells(&[(1, "a"), (2, "a")]));
        dated.add(Stamp::At(CommitTs(4)), &cells(&[(1, "b")]));
        dated.add(Stamp::At(CommitTs(5)), &cells(&[(2, "c")]));
        dated.add(Stamp::AtLeast(CommitTs(8)), &cells(&[(1, "d")]));
        dated.add(Stamp::AtLeast(CommitTs(6)), &cells(&[(1, "e")]));
        let expected = [
            (Stamp::At(CommitTs(5)), cells(&[(1, "a"), (2, "c")])),
            (Stamp::At(CommitTs(4)), cells(&[(1, "b")])),
            (Stamp::AtLeast(CommitTs(8)), cells(&[(1, "e")])),
        ];
        assert_eq!(dated.0, expected);
        assert_eq!(Stamp::AtLeast(CommitTs(8)).in_commit(CommitTs(7)), CommitTs(8));
        assert_eq!(Stamp::AtLeast(CommitTs(8)).in_commit(CommitTs(9)), CommitTs(9));
        assert_eq!(Stamp::At(CommitTs(8)).in_commit(CommitTs(9)), CommitTs(8));
    }
}
