//! Zone maps: what the values of one column in one block are between.
//!
//! ```text
//! section := per block: values u32 | NULLs u32 | min length u8 | max length u8 | flags u8 | zero u8
//!                       | min, padded to 16 bytes | max, padded to 16 bytes
//! flags      1 there is a min, 2 there is a max, 4 min is a value of the block, 8 max is
//! ```
//!
//! Order is the order of the physical type: numbers by value; floats with −0 = 0 and NaN greatest; bytes
//! and 16-byte values as unsigned bytes. Byte strings are cut to 16 bytes: a min by cutting, a max by
//! cutting and adding one. A bound that has no such form is left out, and so are both where a cell of the
//! column is on the block's exceptions page. Counts include those cells.
//!
//! A bound holds for every version in the block, deleted and overwritten ones too.

use super::error::Malformed;
use super::values::WIDTH_MAX;
use bytes::Bytes;
use std::cmp::Ordering;
use terrane_client::types::PhysicalType;

const BOUND_BYTES: usize = 16;
const ZONE_BYTES: usize = 12 + 2 * BOUND_BYTES;

const HAS_MIN: u8 = 1;
const HAS_MAX: u8 = 2;
const MIN_EXACT: u8 = 4;
const MAX_EXACT: u8 = 8;

/// What a column's values in a block are between.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Row versions with a value.
    pub values: u32,
    /// Row versions with an explicit NULL. All others have no cell in this column.
    pub nulls: u32,
    /// No value is less. `None`: not known.
    pub min: Option<ZoneBound>,
    /// No value is greater. `None`: not known.
    pub max: Option<ZoneBound>,
}

/// One end of a zone.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneBound {
    /// The bound.
    pub value: ZoneValue,
    /// True where some row version has this value.
    pub exact: bool,
}

/// A bound's value, by physical type.
#[derive(Clone, Debug, PartialEq)]
pub enum ZoneValue {
    /// Bool (0 or 1), Int2, Int4, Int8.
    Int(i64),
    /// Float4, Float8.
    Float(f64),
    /// Int16, Int32.
    Wide(i128),
    /// Fixed16, Bytes.
    Bytes(Vec<u8>),
}

/// A bound's stored bytes.
#[derive(Clone, Copy, Debug)]
struct Bound {
    bytes: [u8; BOUND_BYTES],
    len: u8,
    exact: bool,
}

impl Bound {
    fn new(bytes: &[u8], exact: bool) -> Self {
        let mut padded = [0; BOUND_BYTES];
        padded[..bytes.len()].copy_from_slice(bytes);
        Self { bytes: padded, len: bytes.len() as u8, exact }
    }
}

/// A zone being found.
#[derive(Debug)]
pub(crate) struct ZoneBuilder {
    physical: PhysicalType,
    values: u32,
    nulls: u32,
    min: Option<Bound>,
    max: Option<Bound>,
}

impl ZoneBuilder {
    pub(crate) fn new(physical: PhysicalType, values: usize, nulls: usize) -> Self {
        Self { physical, values: values as u32, nulls: nulls as u32, min: None, max: None }
    }

    /// The least and greatest integer or truth value.
    pub(crate) fn ints(&mut self, (min, max): (i64, i64)) {
        self.exact(&min.to_le_bytes(), &max.to_le_bytes());
    }

    fn exact(&mut self, min: &[u8], max: &[u8]) {
        self.min = Some(Bound::new(min, true));
        self.max = Some(Bound::new(max, true));
    }

    /// All values of a fixed-width column that is not of 64-bit integers.
    pub(crate) fn fixed(&mut self, data: &[u8], width: usize) {
        let order = match self.physical {
            PhysicalType::Float4 | PhysicalType::Float8 => |a: &[u8], b: &[u8]| {
                let order = |v: &[u8]| float(v).map_or((true, 0.0), |v| (v.is_nan(), v));
                let ((a_nan, a), (b_nan, b)) = (order(a), order(b));
                a_nan.cmp(&b_nan).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
            },
            PhysicalType::Int16 | PhysicalType::Int32 => compare_wide,
            _ => |a: &[u8], b: &[u8]| a.cmp(b),
        };
        let values = || data.chunks_exact(width);
        let (Some(min), Some(max)) =
            (values().min_by(|a, b| order(a, b)), values().max_by(|a, b| order(a, b)))
        else {
            return;
        };
        match (self.physical, narrow(min), narrow(max)) {
            (PhysicalType::Int32, min, max) => {
                self.min = min.map(|min| Bound::new(&min, true));
                self.max = max.map(|max| Bound::new(&max, true));
            }
            _ => self.exact(min, max),
        }
    }

    /// All values of a column of byte strings.
    pub(crate) fn strings<'a>(&mut self, mut values: impl Iterator<Item = &'a [u8]>) {
        let Some(first) = values.next() else { return };
        let (min, max) =
            values.fold((first, first), |(min, max), value| (min.min(value), max.max(value)));
        let cut = |value: &'a [u8]| &value[..value.len().min(BOUND_BYTES)];
        self.min = Some(Bound::new(cut(min), min.len() <= BOUND_BYTES));
        self.max = match max.len() {
            0..=BOUND_BYTES => Some(Bound::new(max, true)),
            _ => successor(cut(max)).map(|max| Bound::new(&max, false)),
        };
    }

    /// Counts a cell that is on the exceptions page: its value may be anything.
    pub(crate) fn exception(&mut self, is_null: bool) {
        match is_null {
            true => self.nulls += 1,
            false => {
                self.values += 1;
                self.min = None;
                self.max = None;
            }
        }
    }

    /// Appends the zone.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let flag = |bound: &Option<Bound>, has, exact| match bound {
            None => 0,
            Some(bound) if bound.exact => has | exact,
            Some(_) => has,
        };
        let len = |bound: &Option<Bound>| bound.map_or(0, |bound| bound.len);
        out.extend_from_slice(&self.values.to_le_bytes());
        out.extend_from_slice(&self.nulls.to_le_bytes());
        out.push(len(&self.min));
        out.push(len(&self.max));
        out.push(flag(&self.min, HAS_MIN, MIN_EXACT) | flag(&self.max, HAS_MAX, MAX_EXACT));
        out.push(0);
        for bound in [&self.min, &self.max] {
            out.extend_from_slice(&bound.map_or([0; BOUND_BYTES], |bound| bound.bytes));
        }
    }
}

/// The smallest byte string above every one that starts with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

fn float(bytes: &[u8]) -> Option<f64> {
    match bytes.len() {
        4 => Some(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
        _ => Some(f64::from_le_bytes(bytes.try_into().ok()?)),
    }
}

/// Compares signed little-endian integers of the same width.
fn compare_wide(a: &[u8], b: &[u8]) -> Ordering {
    let sign = |v: &[u8]| v.last().is_some_and(|last| last & 0x80 != 0);
    sign(b).cmp(&sign(a)).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

/// A signed little-endian integer in 16 bytes, if it fits.
fn narrow(bytes: &[u8]) -> Option<[u8; BOUND_BYTES]> {
    debug_assert!(bytes.len() <= WIDTH_MAX);
    let (low, high) = bytes.split_at_checked(BOUND_BYTES)?;
    let sign = if low[BOUND_BYTES - 1] & 0x80 != 0 { 0xff } else { 0 };
    high.iter().all(|byte| *byte == sign).then(|| low.try_into().ok()).flatten()
}

/// One column's zones in all blocks of a file.
#[derive(Debug)]
pub(crate) struct ZoneMap {
    physical: PhysicalType,
    section: Bytes,
}

impl ZoneMap {
    /// Parses a section of `blocks` zones.
    pub(crate) fn decode(
        section: Bytes,
        physical: PhysicalType,
        blocks: usize,
    ) -> Result<Self, Malformed> {
        if section.len() != blocks * ZONE_BYTES {
            return Err(Malformed("zone map has another number of blocks"));
        }
        let map = Self { physical, section };
        let all_valid = (0..blocks).all(|block| map.bounds(block).is_some());
        all_valid.then_some(map).ok_or(Malformed("zone is not of this format"))
    }

    fn bounds(&self, block: usize) -> Option<[Option<ZoneBound>; 2]> {
        let zone = &self.section[block * ZONE_BYTES..(block + 1) * ZONE_BYTES];
        let flags = zone[10];
        let bound = |len: u8, start: usize, has: u8, exact: u8| {
            let bytes = zone[start..start + BOUND_BYTES].get(..usize::from(len))?;
            match flags & has {
                0 => Some(None),
                _ => {
                    let value = self.value(bytes)?;
                    Some(Some(ZoneBound { value, exact: flags & exact != 0 }))
                }
            }
        };
        Some([
            bound(zone[8], 12, HAS_MIN, MIN_EXACT)?,
            bound(zone[9], 12 + BOUND_BYTES, HAS_MAX, MAX_EXACT)?,
        ])
    }

    fn value(&self, bytes: &[u8]) -> Option<ZoneValue> {
        use PhysicalType::{Bool, Bytes, Fixed16, Float4, Float8, Int2, Int4, Int8, Int16, Int32};
        Some(match self.physical {
            Bool | Int2 | Int4 | Int8 => ZoneValue::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
            Float4 => ZoneValue::Float(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
            Float8 => ZoneValue::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Int16 | Int32 => ZoneValue::Wide(i128::from_le_bytes(bytes.try_into().ok()?)),
            Fixed16 | Bytes => ZoneValue::Bytes(bytes.to_vec()),
        })
    }

    /// A block's zone.
    pub(crate) fn zone(&self, block: usize) -> Option<Zone> {
        let count = |at: usize| super::input::u32_at(&self.section[block * ZONE_BYTES..], at);
        if block >= self.section.len() / ZONE_BYTES {
            return None;
        }
        let [min, max] = self.bounds(block)?;
        Some(Zone { values: count(0), nulls: count(1), min, max })
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.section.len()
    }
}

#[cfg(test)]
mod tests;
