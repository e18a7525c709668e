//! A column of a block as an Arrow array, page bytes to array buffers.
//!
//! The array has [`DataType::arrow`]'s type. Rows without a value are null in it, whether they are
//! explicit NULLs or absent: [`Column::absent_mask`] tells which. Where the page is not of the type's own
//! form (the column was widened since, or it is of a nested type, or it has cells on the exceptions
//! page) cells are decoded one by one.

use super::block::{Block, Column};
use super::error::Result;
use super::ints::{Ints, Lane};
use super::presence::{CellState, Presence};
use super::selection::{Dense, RowSelection, collect};
use super::values::{CellRef, FixedValues, Values};
use super::views;
use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, PrimitiveArray,
    new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, i256,
};
use std::ops::Range;
use std::sync::Arc;
use terrane_client::columns::ColumnBuilder;
use terrane_client::ids::ColumnId;
use terrane_client::types::{DataType, PhysicalType};

impl Block {
    /// Some rows of a column.
    ///
    /// # Panics
    /// When a selected row is not in the block.
    pub fn column_array(
        &self,
        id: ColumnId,
        data_type: &DataType,
        selection: &RowSelection<'_>,
    ) -> Result<ArrayRef> {
        assert!(selection.end() <= self.row_count(), "rows of another block are selected");
        let column = self.column(id)?;
        if column.exceptions.is_some() {
            return self.by_cells(&column, data_type, selection);
        }
        let Some(page) = column.page else {
            return Ok(new_null_array(&data_type.arrow(), selection.len()));
        };
        if !is_readable_as(page.physical, data_type.physical()) {
            let what = format!("stored as {:?}, asked for as {data_type}", page.physical);
            return Err(self.mismatch(id, what));
        }
        let presence = &page.presence;
        let array = match (&page.values, data_type) {
            (Values::Empty, _) => Some(new_null_array(&data_type.arrow(), selection.len())),
            (Values::Ints(ints), _) => integers(presence, ints, data_type, selection),
            (Values::Bits(_), DataType::Bool) => Some(booleans(&column, selection)),
            (Values::Fixed(fixed), _) => fixed_width(presence, fixed, data_type, selection),
            (Values::Strings(strings), DataType::Bytea) => {
                Some(views::bytes_array(presence, strings, selection))
            }
            (Values::Strings(strings), data_type) if data_type.is_text() => {
                let array = views::text_array(presence, strings, selection);
                Some(array.ok_or_else(|| self.page_corruption(id, "text is not UTF-8"))?)
            }
            _ => None,
        };
        match array {
            Some(array) => Ok(array),
            None => self.by_cells(&column, data_type, selection),
        }
    }

    /// One cell after the other: what has no faster way.
    fn by_cells(
        &self,
        column: &Column<'_>,
        data_type: &DataType,
        selection: &RowSelection<'_>,
    ) -> Result<ArrayRef> {
        let mut builder = ColumnBuilder::new(data_type, selection.len());
        let mut failed = None;
        selection.for_each(|row| match column.cell(row) {
            CellRef::Value(bytes) => {
                if let Err(error) = builder.append_cell(&bytes) {
                    failed.get_or_insert(error);
                }
            }
            _ => builder.append_null(),
        });
        match failed {
            None => Ok(builder.finish()),
            Some(error) => Err(self.mismatch(column.id, error.to_string())),
        }
    }
}

impl Column<'_> {
    /// Which selected rows have no cell; `None` where all have one.
    pub fn absent_mask(&self, selection: &RowSelection<'_>) -> Option<BooleanBuffer> {
        if self.absent_count() == 0 {
            return None;
        }
        let rows = self.rows;
        let empty = Presence::absent(rows);
        let presence = self.page.map_or(&empty, |page| &page.presence);
        let is_absent = |row: u32| {
            presence.state(row as usize) == CellState::Absent
                && self.exceptions.is_none_or(|exceptions| {
                    matches!(exceptions.cell(row as usize, self.id.0), CellRef::Absent)
                })
        };
        let mask = match (selection, self.exceptions) {
            (RowSelection::Range(range), None) => {
                let bytes = Buffer::from(presence.absent_rows().bytes().clone());
                BooleanBuffer::new(bytes, range.start as usize, range.len())
            }
            (RowSelection::Range(range), _) => {
                BooleanBuffer::collect_bool(range.len(), |i| is_absent(range.start + i as u32))
            }
            (RowSelection::Rows(rows), _) => {
                BooleanBuffer::collect_bool(rows.len(), |i| is_absent(rows[i]))
            }
        };
        (mask.count_set_bits() > 0).then_some(mask)
    }
}

/// True where cells of one form are cells of the other: the same, or a column of integers that was
/// widened since. Never a decimal out of an integer, whose scale is another.
fn is_readable_as(stored: PhysicalType, wanted: PhysicalType) -> bool {
    use PhysicalType::{Int2, Int4, Int8};
    stored == wanted
        || (matches!(stored, Int2 | Int4 | Int8) && matches!(wanted, Int2 | Int4 | Int8))
}

/// Integers cut to a narrower type, which all of them fit.
struct Lanes<'a, T>(&'a Ints, std::marker::PhantomData<T>);

impl<T: Lane> Dense for Lanes<'_, T> {
    type Item = T;

    fn append(&self, range: Range<usize>, out: &mut Vec<T>) {
        self.0.unpack(range, out);
    }

    fn get(&self, index: usize) -> T {
        T::truncate(self.0.get(index) as u64)
    }
}

/// Integers widened to a decimal's.
struct Widened<'a, T>(&'a Ints, fn(i64) -> T);

impl<T: Copy + Default> Dense for Widened<'_, T> {
    type Item = T;

    fn append(&self, range: Range<usize>, out: &mut Vec<T>) {
        let mut narrow: Vec<i64> = Vec::new();
        self.0.unpack(range, &mut narrow);
        out.extend(narrow.into_iter().map(self.1));
    }

    fn get(&self, index: usize) -> T {
        (self.1)(self.0.get(index))
    }
}

/// Fixed-width values made of their bytes.
struct Fixed<'a, T, const WIDTH: usize>(&'a FixedValues, fn([u8; WIDTH]) -> T);

impl<T: Copy + Default, const WIDTH: usize> Dense for Fixed<'_, T, WIDTH> {
    type Item = T;

    fn append(&self, range: Range<usize>, out: &mut Vec<T>) {
        let decode = |range: Range<usize>| {
            let bytes = &self.0.data[range.start * WIDTH..range.end * WIDTH];
            let (values, _) = bytes.as_chunks::<WIDTH>();
            values.iter().map(|value| (self.1)(*value))
        };
        match &self.0.codes {
            None => out.extend(decode(range)),
            Some(codes) => {
                let entries: Vec<T> = decode(0..self.0.data.len() / WIDTH).collect();
                let mut indexes: Vec<u32> = Vec::new();
                codes.unpack(range, &mut indexes);
                out.extend(indexes.iter().map(|index| entries[*index as usize]));
            }
        }
    }

    fn get(&self, index: usize) -> T {
        let bytes = self.0.get(index);
        (self.1)(bytes.try_into().expect("the page has values of this width"))
    }
}

fn primitive<T: ArrowPrimitiveType>(
    (values, nulls): (Vec<T::Native>, Option<NullBuffer>),
    data_type: &DataType,
) -> Option<ArrayRef> {
    let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls);
    let array = array.with_data_type(data_type.arrow());
    Some(Arc::new(array))
}

/// `None` where the page cannot be unpacked to the type at once.
fn integers(
    presence: &Presence,
    ints: &Ints,
    data_type: &DataType,
    rows: &RowSelection<'_>,
) -> Option<ArrayRef> {
    fn lanes<'a, T: Lane>(ints: &'a Ints) -> Option<Lanes<'a, T>> {
        ints.fit::<T>(0..ints.len()).then_some(Lanes(ints, std::marker::PhantomData))
    }
    match data_type {
        DataType::Int2 => {
            primitive::<Int16Type>(collect(presence, rows, &lanes::<i16>(ints)?), data_type)
        }
        DataType::Int4 => {
            primitive::<Int32Type>(collect(presence, rows, &lanes::<i32>(ints)?), data_type)
        }
        DataType::Date => {
            primitive::<Date32Type>(collect(presence, rows, &lanes::<i32>(ints)?), data_type)
        }
        DataType::Int8 => {
            primitive::<Int64Type>(collect(presence, rows, &lanes::<i64>(ints)?), data_type)
        }
        DataType::Time => primitive::<Time64MicrosecondType>(
            collect(presence, rows, &lanes::<i64>(ints)?),
            data_type,
        ),
        DataType::Timestamp | DataType::TimestampTz => primitive::<TimestampMicrosecondType>(
            collect(presence, rows, &lanes::<i64>(ints)?),
            data_type,
        ),
        DataType::Numeric(modifier) => match DataType::numeric_shape(*modifier).0 {
            0..=38 => primitive::<Decimal128Type>(
                collect(presence, rows, &Widened(ints, i128::from)),
                data_type,
            ),
            _ => primitive::<Decimal256Type>(
                collect(presence, rows, &Widened(ints, |v| i256::from_i128(v.into()))),
                data_type,
            ),
        },
        _ => None,
    }
}

fn fixed_width(
    presence: &Presence,
    fixed: &FixedValues,
    data_type: &DataType,
    rows: &RowSelection<'_>,
) -> Option<ArrayRef> {
    match (data_type, fixed.width) {
        (DataType::Float4, 4) => primitive::<Float32Type>(
            collect(presence, rows, &Fixed(fixed, f32::from_le_bytes)),
            data_type,
        ),
        (DataType::Float8, 8) => primitive::<Float64Type>(
            collect(presence, rows, &Fixed(fixed, f64::from_le_bytes)),
            data_type,
        ),
        (DataType::Numeric(modifier), width) => {
            match (DataType::numeric_shape(*modifier).0, width) {
                (0..=38, 16) => primitive::<Decimal128Type>(
                    collect(presence, rows, &Fixed(fixed, i128::from_le_bytes)),
                    data_type,
                ),
                (39.., 32) => primitive::<Decimal256Type>(
                    collect(presence, rows, &Fixed(fixed, i256::from_le_bytes)),
                    data_type,
                ),
                _ => None,
            }
        }
        (DataType::Uuid, 16) => {
            let (values, nulls) = collect(presence, rows, &Fixed(fixed, |value: [u8; 16]| value));
            let bytes = Buffer::from_vec(values.into_flattened());
            Some(Arc::new(FixedSizeBinaryArray::new(16, bytes, nulls)))
        }
        _ => None,
    }
}

/// Truth values, one bit each in the page and in the array.
fn booleans(column: &Column<'_>, selection: &RowSelection<'_>) -> ArrayRef {
    let presence = column.page.map(|page| (&page.presence, &page.values));
    let Some((presence, Values::Bits(bits))) = presence else {
        unreachable!("called for pages of bits");
    };
    if let (RowSelection::Range(rows), true) = (selection, presence.is_all()) {
        let bytes = Buffer::from(bits.bytes().clone());
        let values = BooleanBuffer::new(bytes, rows.start as usize, rows.len());
        return Arc::new(BooleanArray::new(values, None));
    }
    let mut values = Vec::with_capacity(selection.len());
    selection.for_each(|row| {
        let row = row as usize;
        values.push(presence.state(row) == CellState::Value && bits.contains(presence.rank(row)));
    });
    let nulls = super::selection::validity(presence, selection);
    Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
}
