//! A batch of rows from Arrow columns to keys and packed cells: the way in of a load.
//!
//! Nothing is allocated per cell or row: all keys of a batch share one buffer, all cells another, and each
//! row's are slices of them. The bytes are those of [`crate::key`] and [`crate::cell`], whose encoders
//! stand behind every type that has no shorter way here.

use super::value_at;
use crate::cell::{self, CELL_BYTES_MAX, CellError};
use crate::key::{KeyError, KeyWriter};
use crate::row::{PackedCells, write_varint};
use crate::schema::Column;
use crate::types::DataType;
use crate::value::Value;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, StringViewArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use bytes::Bytes;
use std::ops::Range;

/// A column that does not become cells or a key, by the row at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// In the key of this row.
    #[error("row {0}: {1}")]
    Key(usize, KeyError),
    /// In a cell of this row.
    #[error("row {0}: {1}")]
    Cell(usize, CellError),
}

/// One column of a batch, its kind of array found out once.
pub struct ColumnView<'a> {
    column: &'a Column,
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int2(&'a ScalarBuffer<i16>),
    Int4(&'a ScalarBuffer<i32>),
    Int8(&'a ScalarBuffer<i64>),
    Float4(&'a ScalarBuffer<f32>),
    Float8(&'a ScalarBuffer<f64>),
    Decimal(&'a ScalarBuffer<i128>),
    Text(&'a StringViewArray),
    /// Without trailing blanks.
    Char(&'a StringViewArray),
    Bytea(&'a BinaryViewArray),
    Uuid(&'a FixedSizeBinaryArray),
    /// By way of [`Value`].
    Other(&'a dyn Array),
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<&ScalarBuffer<T::Native>> {
    array.as_primitive_opt::<T>().map(|array| array.values())
}

fn values<'a>(array: &'a ArrayRef, data_type: &DataType) -> Option<Values<'a>> {
    match data_type {
        DataType::Bool => array.as_boolean_opt().map(Values::Bool),
        DataType::Int2 => primitive::<Int16Type>(array).map(Values::Int2),
        DataType::Int4 => primitive::<Int32Type>(array).map(Values::Int4),
        DataType::Int8 => primitive::<Int64Type>(array).map(Values::Int8),
        DataType::Float4 => primitive::<Float32Type>(array).map(Values::Float4),
        DataType::Float8 => primitive::<Float64Type>(array).map(Values::Float8),
        // At the type's own scale only: the stored integer is then the array's.
        DataType::Numeric(_) if *array.data_type() == data_type.arrow() => {
            primitive::<Decimal128Type>(array).map(Values::Decimal)
        }
        DataType::Text | DataType::Varchar(_) | DataType::Json | DataType::Jsonb => {
            array.as_string_view_opt().map(Values::Text)
        }
        DataType::Char(_) => array.as_string_view_opt().map(Values::Char),
        DataType::Bytea => array.as_binary_view_opt().map(Values::Bytea),
        DataType::Date => primitive::<Date32Type>(array).map(Values::Int4),
        DataType::Time => primitive::<Time64MicrosecondType>(array).map(Values::Int8),
        DataType::Timestamp | DataType::TimestampTz => {
            primitive::<TimestampMicrosecondType>(array).map(Values::Int8)
        }
        DataType::Uuid => array.as_fixed_size_binary_opt().map(Values::Uuid),
        DataType::Numeric(_) | DataType::Interval | DataType::Array(_) | DataType::Map(_) => None,
    }
}

impl<'a> ColumnView<'a> {
    /// A column's values, in an array of its type's Arrow form.
    pub fn new(column: &'a Column, array: &'a ArrayRef) -> Self {
        let values = values(array, &column.data_type).unwrap_or(Values::Other(array.as_ref()));
        Self { column, values, nulls: array.nulls().filter(|nulls| nulls.null_count() > 0) }
    }

    /// True where the row's value is NULL.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// True where a NULL is a cell of its own: an absent one would read as something else.
    fn keeps_null(&self) -> bool {
        !self.column.missing.is_null()
    }

    fn push_cell(
        &self,
        row: usize,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), CellError> {
        match &self.values {
            Values::Bool(values) => push(&[u8::from(values.value(row))], out),
            Values::Int2(values) => push(&values[row].to_le_bytes(), out),
            Values::Int4(values) => push(&values[row].to_le_bytes(), out),
            Values::Int8(values) => push(&values[row].to_le_bytes(), out),
            Values::Float4(values) => push(&values[row].to_le_bytes(), out),
            Values::Float8(values) => push(&values[row].to_le_bytes(), out),
            Values::Decimal(values) => push(&values[row].to_le_bytes(), out),
            Values::Text(values) => push_long(values.value(row).as_bytes(), out),
            Values::Char(values) => {
                push_long(values.value(row).trim_end_matches(' ').as_bytes(), out)
            }
            Values::Bytea(values) => push_long(values.value(row), out),
            Values::Uuid(values) => push(values.value(row), out),
            Values::Other(array) => {
                scratch.clear();
                let value = value_at(*array, row, &self.column.data_type)?;
                cell::encode(&value, &self.column.data_type, scratch)?;
                push_long(scratch, out)
            }
        }
    }

    fn push_key(
        &self,
        row: usize,
        descending: bool,
        writer: &mut KeyWriter,
    ) -> Result<(), KeyError> {
        match &self.values {
            Values::Bool(values) => writer.push_bool(values.value(row), descending),
            Values::Int2(values) => writer.push_i16(values[row], descending),
            Values::Int4(values) => writer.push_i32(values[row], descending),
            Values::Int8(values) => writer.push_i64(values[row], descending),
            Values::Float4(values) => writer.push_f32(values[row], descending),
            Values::Float8(values) => writer.push_f64(values[row], descending),
            Values::Decimal(values) => writer.push_i128(values[row], descending),
            Values::Text(values) if self.column.data_type.is_key_type() => {
                writer.push_bytes(values.value(row).as_bytes(), descending);
            }
            Values::Char(values) => {
                writer.push_bytes(values.value(row).trim_end_matches(' ').as_bytes(), descending);
            }
            Values::Bytea(values) => writer.push_bytes(values.value(row), descending),
            Values::Uuid(values) => writer.push_fixed(values.value(row), descending),
            Values::Text(_) | Values::Other(_) => {
                let value = self.value(row)?;
                return writer.push(&value, &self.column.data_type, descending);
            }
        }
        Ok(())
    }

    fn value(&self, row: usize) -> Result<Value, KeyError> {
        match &self.values {
            Values::Other(array) => value_at(*array, row, &self.column.data_type).ok(),
            _ => None,
        }
        .ok_or_else(|| KeyError::Mismatch(self.column.data_type.clone()))
    }
}

/// A cell of a size that is known to be small.
fn push(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CellError> {
    debug_assert!(bytes.len() < 127, "its size is one byte of varint");
    out.push(bytes.len() as u8 + 1);
    out.extend_from_slice(bytes);
    Ok(())
}

fn push_long(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), CellError> {
    let size = bytes.len();
    if size > CELL_BYTES_MAX {
        return Err(CellError::TooLarge { size });
    }
    write_varint(out, size as u32 + 1);
    out.extend_from_slice(bytes);
    Ok(())
}

/// The rows' keys. Columns come in key order, each with its direction. Where `nullable`, a row with a NULL
/// in it has no key; elsewhere that is an error.
pub fn keys(
    columns: &[(ColumnView<'_>, bool)],
    rows: usize,
    nullable: bool,
) -> Result<Vec<Option<Bytes>>, EncodeError> {
    let mut writer = KeyWriter::default();
    let mut ranges: Vec<Option<Range<usize>>> = Vec::with_capacity(rows);
    let mut start = 0;
    for row in 0..rows {
        if let Some(null) = columns.iter().position(|(column, _)| column.is_null(row)) {
            if !nullable {
                return Err(EncodeError::Key(row, KeyError::Null(null)));
            }
            ranges.push(None);
            continue;
        }
        let end = columns
            .iter()
            .try_for_each(|(column, descending)| column.push_key(row, *descending, &mut writer))
            .and_then(|()| writer.end(start))
            .map_err(|error| EncodeError::Key(row, error))?;
        ranges.push(Some(start..end));
        start = end;
    }
    let all = Bytes::from(writer.take());
    Ok(ranges.into_iter().map(|range| range.map(|range| all.slice(range))).collect())
}

/// The rows' cells. Columns come ascending by id, without those of the key.
pub fn cells(columns: &[ColumnView<'_>], rows: usize) -> Result<Vec<PackedCells>, EncodeError> {
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    let mut ends = Vec::with_capacity(rows);
    let nullable = columns.iter().filter(|column| !column.keeps_null() && column.nulls.is_some());
    let nullable: Vec<&ColumnView<'_>> = nullable.collect();
    for row in 0..rows {
        let absent = nullable.iter().filter(|column| column.is_null(row)).count();
        // A table has at most 1,600 columns.
        write_varint(&mut out, (columns.len() - absent) as u32);
        for column in columns {
            if column.is_null(row) {
                if column.keeps_null() {
                    write_varint(&mut out, column.column.id.0);
                    out.push(0);
                }
                continue;
            }
            write_varint(&mut out, column.column.id.0);
            column
                .push_cell(row, &mut scratch, &mut out)
                .map_err(|error| EncodeError::Cell(row, error))?;
        }
        ends.push(out.len());
    }
    let all = Bytes::from(out);
    let mut start = 0;
    let slice = |end: usize| {
        let cells = PackedCells::from_trusted(all.slice(start..end));
        start = end;
        cells
    };
    Ok(ends.into_iter().map(slice).collect())
}

#[cfg(test)]
#[path = "encode/tests.rs"]
mod tests;
