//! Order-preserving row keys: bytes whose order is SQL's order of the key columns (rule 38).
//! docs/format-key.md is the byte-exact description.
//!
//! Invariants: for two values of one key type, `encode(a) < encode(b)` exactly where SQL sorts a before
//! b, and they are the same bytes exactly where SQL says they are equal. No encoding of a value is a
//! prefix of another's, so encodings of several columns can be put side by side, and the keys that start
//! with given leading columns are one range, [`prefix_range`]. DESC inverts every byte of its column.
//!
//! Decoding never panics: bytes that are no key of the shape are [`KeyError::Malformed`].

#[cfg(test)]
mod golden;
mod hidden;
mod reader;
mod writer;

pub use hidden::{HIDDEN_KEY_BYTES, HiddenKeys};
pub use reader::KeyReader;
pub use writer::KeyWriter;

use crate::read::KeyRange;
use crate::types::DataType;
use crate::value::Value;
use bytes::Bytes;

/// Encoded bytes of a row key at most (rule 38).
pub const KEY_BYTES_MAX: usize = 64 * 1024;

/// The type and direction of each key column: [`crate::schema::TableSchema::key_shape`].
pub type KeyShape = [(DataType, bool)];

/// Why values are no key, or bytes hold none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key column is NULL (23502), by its place in the key.
    #[error("null value in key column {0}")]
    Null(usize),
    /// Over [`KEY_BYTES_MAX`] (54000).
    #[error("row key of {size} bytes is over the limit of {KEY_BYTES_MAX}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// More digits than the column has (22003).
    #[error("value out of range for type {0}")]
    OutOfRange(DataType),
    /// The value is not of the type, or the type is no key type: a planner's mistake (XX000).
    #[error("value does not belong to key type {0}")]
    Mismatch(DataType),
    /// More values than key columns, or fewer for a whole key (XX000).
    #[error("{given} values for a key of {columns} columns")]
    Count {
        /// Values given.
        given: usize,
        /// Columns of the key.
        columns: usize,
    },
    /// The bytes are no key of the shape: corruption, or a key of another table.
    #[error("malformed row key at byte {offset}")]
    Malformed {
        /// Where parsing stopped.
        offset: usize,
    },
}

/// A whole key.
pub fn encode(values: &[Value], shape: &KeyShape) -> Result<Bytes, KeyError> {
    if values.len() != shape.len() {
        return Err(KeyError::Count { given: values.len(), columns: shape.len() });
    }
    encode_prefix(values, shape)
}

/// The leading columns of a key: what every key with these values starts with.
pub fn encode_prefix(values: &[Value], shape: &KeyShape) -> Result<Bytes, KeyError> {
    if values.len() > shape.len() {
        return Err(KeyError::Count { given: values.len(), columns: shape.len() });
    }
    let mut writer = KeyWriter::default();
    for (value, (data_type, descending)) in values.iter().zip(shape) {
        writer.push(value, data_type, *descending)?;
    }
    writer.finish()
}

/// The values of a whole key. Text of char(n) comes without trailing blanks, and -0 as 0.
pub fn decode(key: &[u8], shape: &KeyShape) -> Result<Vec<Value>, KeyError> {
    let mut reader = KeyReader::new(key);
    let values: Result<Vec<Value>, KeyError> =
        shape.iter().map(|(data_type, descending)| reader.value(data_type, *descending)).collect();
    let values = values?;
    reader.finish()?;
    Ok(values)
}

/// The smallest byte string above every one that starts with `prefix`; `None` where there is none.
pub fn successor(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next.into())
}

/// Every key that starts with `prefix`: the rows with these leading key columns.
pub fn prefix_range(prefix: Bytes) -> KeyRange {
    let end = successor(&prefix);
    KeyRange { start: prefix, end }
}

/// The range that holds one key only.
pub fn single_range(key: Bytes) -> KeyRange {
    let mut end = Vec::with_capacity(key.len() + 1);
    end.extend_from_slice(&key);
    end.push(0);
    KeyRange { start: key, end: Some(end.into()) }
}

/// The only whole key that a range can hold, where it is the range of one: [`single_range`]'s, or the
/// [`prefix_range`] of all of its columns.
pub fn sole_key<'r>(range: &'r KeyRange, shape: &KeyShape) -> Option<&'r [u8]> {
    let KeyRange { start, end: Some(end) } = range else { return None };
    let is_single = end.strip_prefix(&start[..]) == Some(&[0]);
    if !is_single && successor(start).as_ref() != Some(end) {
        return None;
    }
    let mut reader = KeyReader::new(start);
    let skipped =
        shape.iter().try_for_each(|(data_type, descending)| reader.skip(data_type, *descending));
    skipped.and_then(|()| reader.finish()).is_ok().then_some(&start[..])
}

// How each type lies in a key; the writer and the reader are built on these alone.

/// Inside text and bytea, 0x00 is written as these two bytes.
const ESCAPED_ZERO: [u8; 2] = [0x00, 0xff];
/// Ends text and bytea; smaller than any byte that could follow instead.
const TERMINATOR: [u8; 2] = [0x00, 0x01];

/// The bits of a canonical float such that unsigned order is SQL's.
fn ordered_f64(value: f64) -> u64 {
    let bits = crate::value::canonical_f64(value).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn unordered_f64(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

fn ordered_f32(value: f32) -> u32 {
    let bits = crate::value::canonical_f32(value).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn unordered_f32(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

#[cfg(test)]
mod tests;
