//! The cell of a whole map: a value on its way through a query.
//!
//! ```text
//! map   : type code u32, type modifier i32 (MapType::code), count u32, ends, body
//! ends  : for each entry, where its key and where its value ends in the body, u32 each; the value's with its top
//!         bit set: NULL, which has no bytes
//! body  : for each entry its key as row keys encode it (ascending), then its value's cell
//! ```
//!
//! Invariants: keys ascend strictly as bytes, so that a key is found by halving, and equal maps are equal bytes
//! (floats lie canonical: -0 as 0, one NaN; intervals as they were given). A column's entries are stored one by one,
//! never as such a cell. [`MapCell`] checks the shape once and never panics; an entry's value is checked where it is
//! decoded.

use super::{CELL_BYTES_MAX, CellError};
use crate::key::{self, KeyError, KeyReader};
use crate::types::{DataType, MapType};
use crate::value::{Value, canonical_f32, canonical_f64};
use std::borrow::Cow;

/// Type code, modifier, count.
const HEADER_BYTES: usize = 12;
/// The ends of an entry.
const ENDS_BYTES: usize = 8;
/// Set in a value's end: the value is NULL.
const NULL_BIT: u32 = 1 << 31;

/// An entry as it lies: its key's encoding, and its value's cell or `None` for NULL.
pub type MapEntry<'a> = (&'a [u8], Option<&'a [u8]>);

/// Reads a map's cell without making values.
#[derive(Clone, Copy, Debug)]
pub struct MapCell<'a> {
    ends: &'a [u8],
    body: &'a [u8],
}

impl<'a> MapCell<'a> {
    /// The map in these bytes; `None` where they are no map of this type.
    pub fn new(bytes: &'a [u8], of: &MapType) -> Option<Self> {
        (MapType::from_code(code_of(bytes)?.0, code_of(bytes)?.1)? == *of).then_some(())?;
        let count = usize::try_from(number(bytes.get(8..HEADER_BYTES)?)?).ok()?;
        let ends_size = count.checked_mul(ENDS_BYTES)?;
        let (ends, body) = bytes.get(HEADER_BYTES..)?.split_at_checked(ends_size)?;
        let map = Self { ends, body };
        let mut end = 0;
        for at in 0..map.len() {
            let (key_end, value_end, is_null) = map.ends_of(at)?;
            let ascend = end < key_end && key_end <= value_end;
            (ascend && (!is_null || key_end == value_end)).then_some(())?;
            end = value_end;
        }
        (end == body.len()).then_some(map)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.ends.len() / ENDS_BYTES
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The entry at a place below [`MapCell::len`].
    pub fn entry(&self, at: usize) -> Option<MapEntry<'a>> {
        let start = match at.checked_sub(1) {
            None => 0,
            Some(before) => self.ends_of(before)?.1,
        };
        let (key_end, value_end, is_null) = self.ends_of(at)?;
        let value = self.body.get(key_end..value_end)?;
        Some((self.body.get(start..key_end)?, (!is_null).then_some(value)))
    }

    /// The entries, by key.
    pub fn entries(&self) -> impl Iterator<Item = MapEntry<'a>> + use<'a> {
        let map = *self;
        (0..map.len()).map_while(move |at| map.entry(at))
    }

    /// The value of an encoded key: `None` where there is no such key, `Some(None)` where its value is NULL.
    pub fn get(&self, key: &[u8]) -> Option<Option<&'a [u8]>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let (found, value) = self.entry(middle)?;
            match found.cmp(key) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn ends_of(&self, at: usize) -> Option<(usize, usize, bool)> {
        let ends = self.ends.get(at * ENDS_BYTES..(at + 1) * ENDS_BYTES)?;
        let (key, value) = (number(&ends[..4])?, number(&ends[4..])?);
        let place = |end: u32| usize::try_from(end).ok();
        Some((place(key)?, place(value & !NULL_BIT)?, value & NULL_BIT != 0))
    }
}

/// The type of a map's cell, as [`MapType::code`] has it.
pub fn code_of(bytes: &[u8]) -> Option<(u32, i32)> {
    let modifier = bytes.get(4..8)?.try_into().ok()?;
    Some((number(bytes.get(..4)?)?, i32::from_le_bytes(modifier)))
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Builds the cell of one map, entry by entry, ascending.
pub struct MapWriter<'a> {
    of: &'a MapType,
    ends: Vec<u8>,
    body: Vec<u8>,
    last_key: std::ops::Range<usize>,
}

impl<'a> MapWriter<'a> {
    /// An empty map of this type.
    pub fn new(of: &'a MapType) -> Self {
        Self { of, ends: Vec::new(), body: Vec::new(), last_key: 0..0 }
    }

    /// The cell of these entries, which ascend.
    pub fn cell_of<'e>(
        of: &'a MapType,
        entries: impl IntoIterator<Item = MapEntry<'e>>,
    ) -> Result<Vec<u8>, CellError> {
        let mut writer = Self::new(of);
        entries.into_iter().try_for_each(|(key, value)| writer.push(key, value))?;
        Ok(writer.into_cell())
    }

    /// Adds an entry whose key's encoding is above those before, and whose value is a cell of the value type.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), CellError> {
        assert!(!key.is_empty(), "no key of a map has no bytes");
        assert!(self.ends.is_empty() || self.body[self.last_key.clone()] < *key, "keys ascend");
        let start = self.body.len();
        self.body.extend_from_slice(key);
        self.last_key = start..self.body.len();
        let key_end = self.end()?;
        if let Some(value) = value {
            self.body.extend_from_slice(&canonical(value, self.of.value()));
        }
        let value_end = self.end()? | if value.is_none() { NULL_BIT } else { 0 };
        self.ends.extend_from_slice(&key_end.to_le_bytes());
        self.ends.extend_from_slice(&value_end.to_le_bytes());
        Ok(())
    }

    fn end(&self) -> Result<u32, CellError> {
        let size = HEADER_BYTES + self.ends.len() + ENDS_BYTES + self.body.len();
        match u32::try_from(self.body.len()) {
            Ok(end) if size <= CELL_BYTES_MAX => Ok(end),
            _ => Err(CellError::TooLarge { size }),
        }
    }

    /// The cell.
    pub fn into_cell(self) -> Vec<u8> {
        let mut cell = Vec::new();
        self.finish(&mut cell);
        cell
    }

    /// Appends the cell.
    pub fn finish(self, out: &mut Vec<u8>) {
        let (code, modifier) = self.of.code();
        // Every entry took part in `end`, which bounds their number.
        let count = (self.ends.len() / ENDS_BYTES) as u32;
        out.reserve(HEADER_BYTES + self.ends.len() + self.body.len());
        out.extend_from_slice(&code.to_le_bytes());
        out.extend_from_slice(&modifier.to_le_bytes());
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&self.ends);
        out.extend_from_slice(&self.body);
    }
}

/// A value's cell so that equal values are equal bytes.
fn canonical<'a>(cell: &'a [u8], data_type: &DataType) -> Cow<'a, [u8]> {
    match data_type {
        DataType::Float4 => match cell.try_into().map(f32::from_le_bytes) {
            Ok(value) => canonical_f32(value).to_le_bytes().to_vec().into(),
            Err(_) => cell.into(),
        },
        DataType::Float8 => match cell.try_into().map(f64::from_le_bytes) {
            Ok(value) => canonical_f64(value).to_le_bytes().to_vec().into(),
            Err(_) => cell.into(),
        },
        // An integer's cell may be narrower than its type: ALTER TYPE widens.
        DataType::Int2 | DataType::Int4 | DataType::Int8
            if Some(cell.len()) != data_type.physical().width() =>
        {
            let width = data_type.physical().width().unwrap_or_default();
            match super::integer(cell) {
                Some(value) => value.to_le_bytes()[..width].to_vec().into(),
                None => cell.into(),
            }
        }
        _ => cell.into(),
    }
}

/// A key as a map's cell holds it.
pub fn encode_key(key: &Value, of: &MapType) -> Result<Vec<u8>, KeyError> {
    key::encode(std::slice::from_ref(key), &[(of.key().clone(), false)]).map(Vec::from)
}

/// The key in a map's cell.
pub fn decode_key(key: &[u8], of: &MapType) -> Result<Value, KeyError> {
    let mut reader = KeyReader::new(key);
    let value = reader.value(of.key(), false)?;
    reader.finish()?;
    Ok(value)
}

/// Entries as [`Value::Map`] has them: ascending, of equal keys the last.
pub fn in_order(mut entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    // A stable sort keeps the order of equal keys.
    entries.sort_by(|(a, _), (b, _)| a.compare(b));
    entries.dedup_by(|later, earlier| {
        let same = later.0.same(&earlier.0);
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
    entries
}

pub(super) fn encode(
    entries: &[(Value, Value)],
    of: &MapType,
    out: &mut Vec<u8>,
) -> Result<(), CellError> {
    let mut writer = MapWriter::new(of);
    let mut cell = Vec::new();
    for (key, value) in entries {
        let key = encode_key(key, of).map_err(|error| of_key(error, of))?;
        cell.clear();
        let value = match value {
            Value::Null => None,
            value => {
                super::encode(value, of.value(), &mut cell)?;
                Some(cell.as_slice())
            }
        };
        writer.push(&key, value)?;
    }
    writer.finish(out);
    Ok(())
}

/// What is wrong with a map's key, said of the map.
fn of_key(error: KeyError, of: &MapType) -> CellError {
    match error {
        KeyError::TooLarge { size } => CellError::TooLarge { size },
        KeyError::OutOfRange(data_type) => CellError::OutOfRange(data_type),
        _ => CellError::Mismatch(of.key().clone()),
    }
}

pub(super) fn decode(bytes: &[u8], of: &MapType) -> Option<Value> {
    let map = MapCell::new(bytes, of)?;
    let mut entries = Vec::with_capacity(map.len());
    for (key, value) in map.entries() {
        let value = match value {
            None => Value::Null,
            Some(cell) => super::decode_opt(cell, of.value())?,
        };
        entries.push((decode_key(key, of).ok()?, value));
    }
    let ascend = entries.windows(2).all(|pair| pair[0].0.compare(&pair[1].0).is_lt());
    ascend.then_some(Value::Map(entries))
}

#[cfg(test)]
mod tests;
