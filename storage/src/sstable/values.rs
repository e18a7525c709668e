//! A column page's values, as read: those of the rows that have one, in row order.
//!
//! ```text
//! page   := presence | values                              (presence.rs)
//! values := empty             nothing
//!         | ints              see ints.rs: Int2, Int4, Int8; Int16 and Int32 where all fit 64 bits
//!         | bits              one bit a value, whole 64-bit words
//!         | fixed             values of the type's width
//!         | fixed dictionary  count u32 | distinct values | codes as ints
//!         | bytes             see byte_values.rs
//!         | bytes dictionary  count u32 | distinct values as bytes | codes as ints
//! ```
//!
//! Which of them is said in the block's page directory. Parsing checks all that the accessors rely on:
//! they never fail.

use super::bitmap::Bitmap;
use super::byte_values::ByteValues;
use super::error::Malformed;
use super::format::Encoding;
use super::input::Input;
use super::ints::{Ints, Lane};
use super::presence::{CellState, Presence};
use bytes::Bytes;
use std::ops::Deref;
use terrane_client::types::PhysicalType;

/// The widest fixed-width value.
pub(crate) const WIDTH_MAX: usize = 32;

/// A cell's stored bytes: a part of a page, or made of packed bits.
#[derive(Clone, Copy, Debug)]
pub enum CellBytes<'a> {
    /// Lies in a page.
    Stored(&'a [u8]),
    /// The first `len` bytes count.
    Unpacked {
        /// The value and zeros.
        bytes: [u8; WIDTH_MAX],
        /// The value's width.
        len: u8,
    },
}

impl Deref for CellBytes<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            CellBytes::Stored(bytes) => bytes,
            CellBytes::Unpacked { bytes, len } => &bytes[..usize::from(*len)],
        }
    }
}

/// A cell.
#[derive(Clone, Copy, Debug)]
pub enum CellRef<'a> {
    /// Never written by this row version.
    Absent,
    /// Written as NULL.
    Null,
    /// Written with these bytes.
    Value(CellBytes<'a>),
}

impl CellRef<'_> {
    /// As [`terrane_client::row::PackedCells::get`] gives it.
    pub fn as_option(&self) -> Option<Option<&[u8]>> {
        match self {
            CellRef::Absent => None,
            CellRef::Null => Some(None),
            CellRef::Value(bytes) => Some(Some(bytes)),
        }
    }
}

/// Values of fixed width, or codes into a few of them.
#[derive(Debug)]
pub(crate) struct FixedValues {
    pub(crate) width: usize,
    pub(crate) data: Bytes,
    pub(crate) codes: Option<Ints>,
}

impl FixedValues {
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let index = match &self.codes {
            None => index,
            Some(codes) => codes.get(index) as usize,
        };
        &self.data[index * self.width..(index + 1) * self.width]
    }
}

/// Byte strings, or codes into a few of them.
#[derive(Debug)]
pub(crate) struct StringValues {
    pub(crate) entries: ByteValues,
    pub(crate) codes: Option<Ints>,
}

impl StringValues {
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        self.entries.get(match &self.codes {
            None => index,
            Some(codes) => codes.get(index) as usize,
        })
    }
}

/// The values of a column page.
#[derive(Debug)]
pub(crate) enum Values {
    Empty,
    Ints(Ints),
    Bits(Bitmap),
    Fixed(FixedValues),
    Strings(StringValues),
}

/// A parsed column page.
#[derive(Debug)]
pub(crate) struct ColumnPage {
    pub(crate) presence: Presence,
    pub(crate) values: Values,
    pub(crate) physical: PhysicalType,
    /// Bytes of a value; 0 where it varies.
    width: usize,
}

impl ColumnPage {
    /// Parses a page of a column of this type in a block of `rows` rows.
    pub(crate) fn decode(
        page: Bytes,
        encoding: Encoding,
        physical: PhysicalType,
        rows: usize,
    ) -> Result<Self, Malformed> {
        let mut input = Input::new(page);
        let presence = Presence::decode(&mut input, rows)?;
        let values = Values::decode(&mut input, encoding, physical, presence.value_count())?;
        input.finish()?;
        Ok(Self { presence, values, physical, width: physical.width().unwrap_or(0) })
    }

    /// One cell.
    #[inline]
    pub(crate) fn cell(&self, row: usize) -> CellRef<'_> {
        match self.presence.state(row) {
            CellState::Absent => CellRef::Absent,
            CellState::Null => CellRef::Null,
            CellState::Value => CellRef::Value(self.value(self.presence.rank(row))),
        }
    }

    /// The bytes of the `index`th value.
    #[inline]
    pub(crate) fn value(&self, index: usize) -> CellBytes<'_> {
        match &self.values {
            Values::Ints(ints) => unpacked(ints.get(index), self.width),
            Values::Bits(bits) => unpacked(i64::from(bits.contains(index)), 1),
            Values::Fixed(fixed) => CellBytes::Stored(fixed.get(index)),
            Values::Strings(strings) => CellBytes::Stored(strings.get(index)),
            Values::Empty => unreachable!("presence has no values: checked when parsed"),
        }
    }

    /// Memory taken beside the page's bytes.
    pub(crate) fn extra_bytes(&self) -> usize {
        size_of::<Self>() + self.presence.resident_bytes()
    }
}

/// A number sign-extended to the type's width.
fn unpacked(value: i64, width: usize) -> CellBytes<'static> {
    let mut bytes = [if value < 0 { 0xff } else { 0 }; WIDTH_MAX];
    bytes[..8].copy_from_slice(&value.to_le_bytes());
    CellBytes::Unpacked { bytes, len: width as u8 }
}

impl Values {
    fn decode(
        input: &mut Input,
        encoding: Encoding,
        physical: PhysicalType,
        len: usize,
    ) -> Result<Self, Malformed> {
        use PhysicalType::{Bool, Int2, Int4, Int8, Int16, Int32};
        let values = match (encoding, physical, physical.width()) {
            (Encoding::Empty, _, _) if len == 0 => Values::Empty,
            (Encoding::Ints, Int2, _) => Values::Ints(bounded::<i16>(Ints::decode(input, len)?)?),
            (Encoding::Ints, Int4, _) => Values::Ints(bounded::<i32>(Ints::decode(input, len)?)?),
            (Encoding::Ints, Int8 | Int16 | Int32, _) => Values::Ints(Ints::decode(input, len)?),
            (Encoding::Bits, Bool, _) => Values::Bits(Bitmap::decode(input, len)?),
            (Encoding::Fixed, _, Some(width)) => {
                let data = input.take(len * width)?;
                Values::Fixed(FixedValues { width, data, codes: None })
            }
            (Encoding::FixedDictionary, _, Some(width)) => {
                let count = input.count(width)?;
                let data = input.take(count * width)?;
                let codes = Some(codes(input, len, count)?);
                Values::Fixed(FixedValues { width, data, codes })
            }
            (Encoding::Bytes, PhysicalType::Bytes, _) => {
                let entries = ByteValues::decode(input, len)?;
                Values::Strings(StringValues { entries, codes: None })
            }
            (Encoding::BytesDictionary, PhysicalType::Bytes, _) => {
                let count = input.u32()? as usize;
                if count > super::format::BLOCK_ROWS_MAX {
                    return Err(Malformed("dictionary is larger than a block"));
                }
                let entries = ByteValues::decode(input, count)?;
                let codes = Some(codes(input, len, count)?);
                Values::Strings(StringValues { entries, codes })
            }
            _ => return Err(Malformed("encoding does not belong to the column's type")),
        };
        Ok(values)
    }
}

/// Dictionary codes, all below the number of entries.
fn codes(input: &mut Input, len: usize, entries: usize) -> Result<Ints, Malformed> {
    let codes = Ints::decode(input, len)?;
    let below = |max: i64| max < entries as i64;
    let mut all: Vec<i64> = Vec::new();
    match codes.bounds() {
        Some((min, max)) if min >= 0 && below(max) => return Ok(codes),
        _ => codes.unpack(0..len, &mut all),
    }
    match all.iter().all(|code| *code >= 0 && below(*code)) {
        true => Ok(codes),
        false => Err(Malformed("dictionary code without an entry")),
    }
}

/// Integers that fit a narrower type.
fn bounded<T: Lane>(ints: Ints) -> Result<Ints, Malformed> {
    match ints.fit::<T>(0..ints.len()) {
        true => Ok(ints),
        false => Err(Malformed("integer does not fit the column's type")),
    }
}
