//! A value's stored bytes, by the physical form of its type.
//!
//! ```text
//! fixed widths : little-endian, as PhysicalType says
//! numeric      : the unscaled integer at the type's scale
//! text, bytea  : the bytes; char(n) without trailing blanks
//! array        : count u32, null bitmap of ceil(count / 8) bytes (bit set: NULL, least bit first),
//!                the non-NULL elements; elements without a fixed width each after a u32 size
//! map          : as [`map`] says
//! ```
//!
//! NULL has no bytes: a row stores it as an explicit NULL cell. Decoding never panics. An integer's cell
//! is read at any integer width whose value fits: ALTER TYPE to a wider integer rewrites no data (rule
//! 34), and a frontend that has not heard of it yet still writes narrow cells.

use crate::interval::Interval;
use crate::numeric::Numeric;
use crate::types::{DataType, PhysicalType};
use crate::value::Value;
use arrow::datatypes::i256;
use bytes::Bytes;

pub mod map;

pub use map::{MapCell, MapWriter};

/// Bytes of a cell at most: 1 GiB, PostgreSQL's limit for a field.
pub const CELL_BYTES_MAX: usize = (1 << 30) - 1;

/// Why a value has no stored form, or bytes no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CellError {
    /// The value is not of the type: a planner's mistake (XX000).
    #[error("value does not belong to type {0}")]
    Mismatch(DataType),
    /// More digits than the type stores (22003).
    #[error("value out of range for type {0}")]
    OutOfRange(DataType),
    /// Over [`CELL_BYTES_MAX`] (54000).
    #[error("cell of {size} bytes is over the limit of {CELL_BYTES_MAX}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The bytes are no cell of the type: corruption, or a cell of another type.
    #[error("{size} bytes are no cell of type {data_type}")]
    Malformed {
        /// The type asked for.
        data_type: DataType,
        /// How many bytes there were.
        size: usize,
    },
}

/// Appends the stored form of a value that is not NULL. On an error `out` may hold part of it.
pub fn encode(value: &Value, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), CellError> {
    match (value, data_type) {
        (Value::Bool(v), DataType::Bool) => out.push(u8::from(*v)),
        (Value::Int2(v), DataType::Int2) => out.extend_from_slice(&v.to_le_bytes()),
        (Value::Int4(v), DataType::Int4) | (Value::Date(v), DataType::Date) => {
            out.extend_from_slice(&v.to_le_bytes());
        }
        (Value::Int8(v), DataType::Int8)
        | (Value::Time(v), DataType::Time)
        | (Value::Timestamp(v), DataType::Timestamp)
        | (Value::TimestampTz(v), DataType::TimestampTz) => {
            out.extend_from_slice(&v.to_le_bytes());
        }
        (Value::Float4(v), DataType::Float4) => out.extend_from_slice(&v.to_le_bytes()),
        (Value::Float8(v), DataType::Float8) => out.extend_from_slice(&v.to_le_bytes()),
        (Value::Numeric(v), DataType::Numeric(_)) => encode_numeric(*v, data_type, out)?,
        (Value::Text(v), DataType::Char(_)) => append(v.trim_end_matches(' ').as_bytes(), out)?,
        (Value::Text(v), data_type) if data_type.is_text() => append(v.as_bytes(), out)?,
        (Value::Bytea(v), DataType::Bytea) => append(v, out)?,
        (Value::Interval(v), DataType::Interval) => out.extend_from_slice(&v.to_bytes()),
        (Value::Uuid(v), DataType::Uuid) => out.extend_from_slice(v),
        (Value::Array(v), DataType::Array(element)) => encode_array(v, element, out)?,
        (Value::Map(v), DataType::Map(of)) => map::encode(v, of, out)?,
        _ => return Err(CellError::Mismatch(data_type.clone())),
    }
    Ok(())
}

fn append(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CellError> {
    if bytes.len() > CELL_BYTES_MAX {
        return Err(CellError::TooLarge { size: bytes.len() });
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// A numeric at its type's scale: `None` where digits would be lost or there are too many.
pub(crate) fn numeric_at(value: Numeric, modifier: Option<(u8, i8)>) -> Option<Numeric> {
    let (precision, scale) = DataType::numeric_shape(modifier);
    value.rescale_exact(scale).filter(|stored| stored.digits() <= precision)
}

fn encode_numeric(
    value: Numeric,
    data_type: &DataType,
    out: &mut Vec<u8>,
) -> Result<(), CellError> {
    let out_of_range = || CellError::OutOfRange(data_type.clone());
    let DataType::Numeric(modifier) = data_type else {
        return Err(CellError::Mismatch(data_type.clone()));
    };
    let stored = numeric_at(value, *modifier).ok_or_else(out_of_range)?.unscaled;
    match data_type.physical() {
        PhysicalType::Int16 => {
            let small = stored.to_i128().ok_or_else(out_of_range)?;
            out.extend_from_slice(&small.to_le_bytes());
        }
        _ => out.extend_from_slice(&stored.to_le_bytes()),
    }
    Ok(())
}

fn encode_array(values: &[Value], element: &DataType, out: &mut Vec<u8>) -> Result<(), CellError> {
    let start = out.len();
    let count = u32::try_from(values.len())
        .map_err(|_| CellError::TooLarge { size: values.len().saturating_mul(4) })?;
    out.extend_from_slice(&count.to_le_bytes());
    let bitmap = out.len();
    out.resize(bitmap + values.len().div_ceil(8), 0);
    for (i, value) in values.iter().enumerate() {
        if value.is_null() {
            out[bitmap + i / 8] |= 1 << (i % 8);
            continue;
        }
        let at = out.len();
        if element.physical().width().is_none() {
            out.extend_from_slice(&[0; 4]);
            encode(value, element, out)?;
            let size = u32::try_from(out.len() - at - 4)
                .map_err(|_| CellError::TooLarge { size: out.len() - at })?;
            out[at..at + 4].copy_from_slice(&size.to_le_bytes());
        } else {
            encode(value, element, out)?;
        }
    }
    match out.len() - start {
        size if size > CELL_BYTES_MAX => Err(CellError::TooLarge { size }),
        _ => Ok(()),
    }
}

/// The stored form of a value, `None` for NULL: what [`crate::row::CellsBuilder::push`] takes.
pub fn encoded(value: &Value, data_type: &DataType) -> Result<Option<Vec<u8>>, CellError> {
    if value.is_null() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    encode(value, data_type, &mut bytes)?;
    Ok(Some(bytes))
}

/// Reads a stored form. Never yields NULL, but for elements of arrays.
pub fn decode(bytes: &[u8], data_type: &DataType) -> Result<Value, CellError> {
    decode_opt(bytes, data_type)
        .ok_or_else(|| CellError::Malformed { data_type: data_type.clone(), size: bytes.len() })
}

/// A cell as [`crate::row::PackedCells::get`] gives it: absent reads as `missing`.
pub fn decode_cell(
    cell: Option<Option<&[u8]>>,
    data_type: &DataType,
    missing: &Value,
) -> Result<Value, CellError> {
    match cell {
        None => Ok(missing.clone()),
        Some(None) => Ok(Value::Null),
        Some(Some(bytes)) => decode(bytes, data_type),
    }
}

/// An integer's cell, of any of the integer types' widths.
pub(crate) fn integer(bytes: &[u8]) -> Option<i64> {
    Some(match bytes.len() {
        4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        2 => i64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
        _ => i64::from_le_bytes(bytes.try_into().ok()?),
    })
}

/// True where `size` bytes can be a cell of the type.
pub fn fits_width(size: usize, data_type: &DataType) -> bool {
    match data_type {
        DataType::Int2 | DataType::Int4 | DataType::Int8 => matches!(size, 2 | 4 | 8),
        _ => data_type.physical().width().is_none_or(|width| width == size),
    }
}

fn decode_opt(bytes: &[u8], data_type: &DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Bool => match bytes {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
        DataType::Int2 => Value::Int2(integer(bytes)?.try_into().ok()?),
        DataType::Int4 => Value::Int4(integer(bytes)?.try_into().ok()?),
        DataType::Date => Value::Date(i32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Int8 => Value::Int8(integer(bytes)?),
        DataType::Time => Value::Time(i64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Timestamp => Value::Timestamp(i64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::TimestampTz => Value::TimestampTz(i64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Float4 => Value::Float4(f32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Float8 => Value::Float8(f64::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Numeric(modifier) => {
            let unscaled = match data_type.physical() {
                PhysicalType::Int16 => i256::from_i128(i128::from_le_bytes(bytes.try_into().ok()?)),
                _ => i256::from_le_bytes(bytes.try_into().ok()?),
            };
            let (_, scale) = DataType::numeric_shape(*modifier);
            Value::Numeric(Numeric::new(unscaled, scale).ok()?)
        }
        DataType::Bytea => Value::Bytea(Bytes::copy_from_slice(bytes)),
        DataType::Interval => Value::Interval(Interval::from_bytes(bytes.try_into().ok()?)),
        DataType::Uuid => Value::Uuid(bytes.try_into().ok()?),
        DataType::Array(element) => return decode_array(bytes, element),
        DataType::Map(of) => return map::decode(bytes, of),
        DataType::Text
        | DataType::Varchar(_)
        | DataType::Char(_)
        | DataType::Json
        | DataType::Jsonb => Value::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
    })
}

fn decode_array(bytes: &[u8], element: &DataType) -> Option<Value> {
    let cells = ArrayCells::new(bytes, element)?;
    let mut values = Vec::with_capacity(cells.remaining().min(bytes.len()));
    for cell in cells {
        values.push(match cell? {
            None => Value::Null,
            Some(bytes) => decode_opt(bytes, element)?,
        });
    }
    Some(Value::Array(values))
}

/// Walks over an array cell's elements without making values. Yields `None` once, and then ends, where
/// the bytes are malformed.
pub struct ArrayCells<'a> {
    bitmap: &'a [u8],
    body: &'a [u8],
    width: Option<usize>,
    next: usize,
    count: usize,
}

impl<'a> ArrayCells<'a> {
    /// Walks over `bytes`, a cell of an array of `element`. `None` where the head is malformed.
    pub fn new(bytes: &'a [u8], element: &DataType) -> Option<Self> {
        let (count, rest) = bytes.split_first_chunk()?;
        let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (bitmap, body) = rest.split_at_checked(count.div_ceil(8))?;
        Some(Self { bitmap, body, width: element.physical().width(), next: 0, count })
    }

    /// Elements not yet yielded.
    pub fn remaining(&self) -> usize {
        self.count - self.next
    }

    fn element(&mut self) -> Option<&'a [u8]> {
        let width = match self.width {
            Some(width) => width,
            None => {
                let (size, rest) = self.body.split_first_chunk()?;
                self.body = rest;
                usize::try_from(u32::from_le_bytes(*size)).ok()?
            }
        };
        let (element, rest) = self.body.split_at_checked(width)?;
        self.body = rest;
        Some(element)
    }
}

impl<'a> Iterator for ArrayCells<'a> {
    type Item = Option<Option<&'a [u8]>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.count {
            // Bytes after the last element are damage too; reported once.
            let trailing = !self.body.is_empty();
            self.body = &[];
            return trailing.then_some(None);
        }
        let i = self.next;
        self.next += 1;
        if self.bitmap[i / 8] >> (i % 8) & 1 == 1 {
            return Some(Some(None));
        }
        let element = self.element();
        if element.is_none() {
            self.next = self.count;
            self.body = &[];
        }
        Some(element.map(Some))
    }
}

#[cfg(test)]
mod tests;
