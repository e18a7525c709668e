//! The exceptions page: cells that no column page can hold. Columns the file's schema does not know, and
//! bytes that are no value of the column's type, are kept here as they are, never dropped.
//!
//! ```text
//! page := count u32 | flags u8 | zero u8 × 3
//!         | rows u16 × count | columns u32 × count       ascending by (row, column), each once
//!         | NULLs as a bitmap over the cells
//!         | ages as ints, where flag 1 is set            row timestamp − cell timestamp
//!         | bytes                                        empty for NULLs
//! ```
//!
//! A cell is either here or on its column's page, never on both.

use super::bitmap::{Bitmap, BitmapBuilder};
use super::byte_values::{self, ByteValues};
use super::error::Malformed;
use super::input::Input;
use super::ints::{self, Ints};
use super::values::{CellBytes, CellRef};
use bytes::Bytes;

const TIMES: u8 = 1;

/// Exceptions being collected.
#[derive(Default)]
pub(crate) struct ExceptionsBuilder {
    rows: Vec<u16>,
    columns: Vec<u32>,
    nulls: BitmapBuilder,
    times: Vec<i64>,
    ends: Vec<u32>,
    data: Vec<u8>,
}

impl ExceptionsBuilder {
    /// Adds a cell; they come ascending by row and column.
    pub(crate) fn push(&mut self, row: usize, column: u32, cell: Option<&[u8]>, ts_delta: i64) {
        if cell.is_none() {
            self.nulls.set(self.rows.len());
        }
        self.rows.push(row as u16);
        self.columns.push(column);
        self.times.push(ts_delta);
        self.data.extend_from_slice(cell.unwrap_or_default());
        self.ends.push(self.data.len() as u32);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Column, and whether the cell is NULL.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (u32, bool)> + '_ {
        let mut nulls = self.nulls.rows().peekable();
        self.columns
            .iter()
            .enumerate()
            .map(move |(index, column)| (*column, nulls.next_if_eq(&index).is_some()))
    }

    /// True where a cell is older than its row.
    pub(crate) fn has_times(&self) -> bool {
        self.times.iter().any(|delta| *delta != 0)
    }

    /// Appends the page.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let count = self.rows.len();
        let has_times = self.has_times();
        out.extend_from_slice(&(count as u32).to_le_bytes());
        out.extend_from_slice(&[u8::from(has_times) * TIMES, 0, 0, 0]);
        out.extend(self.rows.iter().flat_map(|row| row.to_le_bytes()));
        out.extend(self.columns.iter().flat_map(|column| column.to_le_bytes()));
        self.nulls.encode(count, out);
        if has_times {
            ints::encode(self.times.iter().copied(), ints::bounds(&self.times), out);
        }
        byte_values::encode(&self.ends, &self.data, out);
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.columns.clear();
        self.nulls.clear();
        self.times.clear();
        self.ends.clear();
        self.data.clear();
    }
}

/// A parsed exceptions page.
#[derive(Debug)]
pub(crate) struct Exceptions {
    /// Row and column of each cell.
    places: Box<[(u16, u32)]>,
    /// Columns that occur, ascending.
    columns: Box<[u32]>,
    nulls: Bitmap,
    times: Option<Ints>,
    values: ByteValues,
}

impl Exceptions {
    /// Parses the page of a block of `rows` rows.
    pub(crate) fn decode(page: Bytes, rows: usize) -> Result<Self, Malformed> {
        let malformed = Malformed("exceptions page is not of this format");
        let mut input = Input::new(page);
        let count = input.count(6)?;
        let flags = input.u8()?;
        if flags & !TIMES != 0 || input.take(3)?[..] != [0; 3] {
            return Err(malformed);
        }
        let mut row_list = Input::new(input.take(count * 2)?);
        let mut column_list = Input::new(input.take(count * 4)?);
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            let place = (row_list.u16()?, column_list.u32()?);
            let ascends = places.last().is_none_or(|last| *last < place);
            if !ascends || usize::from(place.0) >= rows {
                return Err(Malformed("exceptions are out of order"));
            }
            places.push(place);
        }
        // Counts cells, not rows: their bits may be more than a block's rows.
        if count > u16::MAX as usize {
            return Err(Malformed("more exceptions than a block can have"));
        }
        let nulls = Bitmap::decode(&mut input, count)?;
        let times = match flags & TIMES {
            0 => None,
            _ => Some(Ints::decode(&mut input, count)?),
        };
        let values = ByteValues::decode(&mut input, count)?;
        input.finish()?;
        let mut columns: Vec<u32> = places.iter().map(|(_, column)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        Ok(Self { places: places.into(), columns: columns.into(), nulls, times, values })
    }

    /// The columns that have cells here, ascending.
    pub(crate) fn columns(&self) -> &[u32] {
        &self.columns
    }

    /// How many cells are here.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn has_column(&self, column: u32) -> bool {
        self.columns.binary_search(&column).is_ok()
    }

    fn find(&self, row: usize, column: u32) -> Option<usize> {
        let place = (u16::try_from(row).ok()?, column);
        self.places.binary_search(&place).ok()
    }

    /// One cell.
    pub(crate) fn cell(&self, row: usize, column: u32) -> CellRef<'_> {
        match self.find(row, column) {
            None => CellRef::Absent,
            Some(index) if self.nulls.contains(index) => CellRef::Null,
            Some(index) => CellRef::Value(CellBytes::Stored(self.values.get(index))),
        }
    }

    /// How much older a cell is than its row.
    pub(crate) fn ts_delta(&self, row: usize, column: u32) -> i64 {
        match (&self.times, self.find(row, column)) {
            (Some(times), Some(index)) => times.get(index),
            _ => 0,
        }
    }

    /// Rows that have a cell of a column here, ascending.
    pub(crate) fn rows_of(&self, column: u32) -> impl Iterator<Item = usize> + '_ {
        self.places.iter().filter(move |place| place.1 == column).map(|place| usize::from(place.0))
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.values.data().len() + self.places.len() * 16
    }
}
