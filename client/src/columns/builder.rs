//! Builds one Arrow array from one column's cells.

use crate::cell::{self, ArrayCells, CellError, MapCell};
use crate::interval::Interval;
use crate::key::{KeyError, KeyReader};
use crate::types::{DataType, PhysicalType};
use crate::value::Value;
use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Decimal256Builder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, LargeBinaryBuilder, ListArray,
    StringViewBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, IntervalMonthDayNano, i256};
use std::sync::Arc;

/// Nanoseconds of a microsecond: Arrow's intervals count the former.
const MICRO_NANOS: i64 = 1_000;

/// Builds an array of [`DataType::arrow`]'s type.
pub struct ColumnBuilder {
    data_type: DataType,
    kind: Kind,
    /// A key column's bytes while they are unescaped; a value's cell.
    scratch: Vec<u8>,
}

enum Kind {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Decimal128(Decimal128Builder),
    Decimal256(Decimal256Builder),
    Text(StringViewBuilder),
    Bytea(BinaryViewBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Map(LargeBinaryBuilder),
    Array(Box<ListBuilder>),
}

struct ListBuilder {
    elements: ColumnBuilder,
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

/// Runs an expression with the builder inside, whatever its kind.
macro_rules! each_kind {
    ($kind:expr, $builder:ident => $body:expr, $list:ident => $list_body:expr) => {
        match $kind {
            Kind::Bool($builder) => $body,
            Kind::Int2($builder) => $body,
            Kind::Int4($builder) => $body,
            Kind::Int8($builder) => $body,
            Kind::Float4($builder) => $body,
            Kind::Float8($builder) => $body,
            Kind::Decimal128($builder) => $body,
            Kind::Decimal256($builder) => $body,
            Kind::Text($builder) => $body,
            Kind::Bytea($builder) => $body,
            Kind::Date($builder) => $body,
            Kind::Time($builder) => $body,
            Kind::Timestamp($builder) => $body,
            Kind::Interval($builder) => $body,
            Kind::Uuid($builder) => $body,
            Kind::Map($builder) => $body,
            Kind::Array($list) => $list_body,
        }
    };
}

impl ColumnBuilder {
    /// An empty column with room for `capacity` values.
    pub fn new(data_type: &DataType, capacity: usize) -> Self {
        let kind = match data_type {
            DataType::Bool => Kind::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Int2 => Kind::Int2(Int16Builder::with_capacity(capacity)),
            DataType::Int4 => Kind::Int4(Int32Builder::with_capacity(capacity)),
            DataType::Int8 => Kind::Int8(Int64Builder::with_capacity(capacity)),
            DataType::Float4 => Kind::Float4(Float32Builder::with_capacity(capacity)),
            DataType::Float8 => Kind::Float8(Float64Builder::with_capacity(capacity)),
            DataType::Numeric(_) => match data_type.physical() {
                PhysicalType::Int16 => Kind::Decimal128(
                    Decimal128Builder::with_capacity(capacity).with_data_type(data_type.arrow()),
                ),
                _ => Kind::Decimal256(
                    Decimal256Builder::with_capacity(capacity).with_data_type(data_type.arrow()),
                ),
            },
            DataType::Text
            | DataType::Varchar(_)
            | DataType::Char(_)
            | DataType::Json
            | DataType::Jsonb => Kind::Text(StringViewBuilder::with_capacity(capacity)),
            DataType::Bytea => Kind::Bytea(BinaryViewBuilder::with_capacity(capacity)),
            DataType::Date => Kind::Date(Date32Builder::with_capacity(capacity)),
            DataType::Time => Kind::Time(Time64MicrosecondBuilder::with_capacity(capacity)),
            DataType::Timestamp | DataType::TimestampTz => Kind::Timestamp(
                TimestampMicrosecondBuilder::with_capacity(capacity)
                    .with_data_type(data_type.arrow()),
            ),
            DataType::Interval => {
                Kind::Interval(IntervalMonthDayNanoBuilder::with_capacity(capacity))
            }
            DataType::Uuid => Kind::Uuid(FixedSizeBinaryBuilder::with_capacity(capacity, 16)),
            DataType::Map(_) => Kind::Map(LargeBinaryBuilder::with_capacity(capacity, 0)),
            DataType::Array(element) => Kind::Array(Box::new(ListBuilder {
                elements: ColumnBuilder::new(element, capacity),
                offsets: vec![0],
                valid: Vec::with_capacity(capacity),
            })),
        };
        Self { data_type: data_type.clone(), kind, scratch: Vec::new() }
    }

    /// Adds NULL.
    pub fn append_null(&mut self) {
        each_kind!(&mut self.kind, builder => builder.append_null(), list => list.close(false));
    }

    /// Adds a cell's stored bytes.
    pub fn append_cell(&mut self, bytes: &[u8]) -> Result<(), CellError> {
        self.try_append_cell(bytes).unwrap_or_else(|| Err(self.malformed(bytes.len())))
    }

    fn malformed(&self, size: usize) -> CellError {
        CellError::Malformed { data_type: self.data_type.clone(), size }
    }

    /// `None`: the bytes are no cell of the type.
    fn try_append_cell(&mut self, bytes: &[u8]) -> Option<Result<(), CellError>> {
        match &mut self.kind {
            Kind::Bool(b) => match bytes {
                [v @ (0 | 1)] => b.append_value(*v == 1),
                _ => return None,
            },
            Kind::Int2(b) => b.append_value(cell::integer(bytes)?.try_into().ok()?),
            Kind::Int4(b) => b.append_value(cell::integer(bytes)?.try_into().ok()?),
            Kind::Int8(b) => b.append_value(cell::integer(bytes)?),
            Kind::Float4(b) => b.append_value(f32::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Float8(b) => b.append_value(f64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Decimal128(b) => b.append_value(i128::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Decimal256(b) => b.append_value(i256::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Text(b) => b.append_value(std::str::from_utf8(bytes).ok()?),
            Kind::Bytea(b) => b.append_value(bytes),
            Kind::Date(b) => b.append_value(i32::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Time(b) => b.append_value(i64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Timestamp(b) => b.append_value(i64::from_le_bytes(bytes.try_into().ok()?)),
            Kind::Uuid(b) => b.append_value(bytes).ok()?,
            Kind::Interval(b) => match to_arrow(Interval::from_bytes(bytes.try_into().ok()?)) {
                Some(interval) => b.append_value(interval),
                None => return Some(Err(CellError::OutOfRange(DataType::Interval))),
            },
            Kind::Map(b) => {
                let DataType::Map(of) = &self.data_type else { return None };
                MapCell::new(bytes, of)?;
                b.append_value(bytes);
            }
            Kind::Array(list) => return list.append_cell(bytes),
        }
        Some(Ok(()))
    }

    /// Adds a value: slower than [`ColumnBuilder::append_cell`].
    pub fn append_value(&mut self, value: &Value) -> Result<(), CellError> {
        if value.is_null() {
            self.append_null();
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        let appended = cell::encode(value, &self.data_type, &mut bytes)
            .and_then(|()| self.append_cell(&bytes));
        self.scratch = bytes;
        appended
    }

    /// Adds the key's next column, which has this builder's type.
    pub fn append_key(
        &mut self,
        key: &mut KeyReader<'_>,
        descending: bool,
    ) -> Result<(), KeyError> {
        let offset = key.offset();
        match &mut self.kind {
            Kind::Bool(b) => b.append_value(key.read_bool(descending)?),
            Kind::Int2(b) => b.append_value(key.read_i16(descending)?),
            Kind::Int4(b) => b.append_value(key.read_i32(descending)?),
            Kind::Int8(b) => b.append_value(key.read_i64(descending)?),
            Kind::Float4(b) => b.append_value(key.read_f32(descending)?),
            Kind::Float8(b) => b.append_value(key.read_f64(descending)?),
            Kind::Decimal128(b) => b.append_value(key.read_i128(descending)?),
            Kind::Text(b) => {
                let text = std::str::from_utf8(key.read_bytes(descending, &mut self.scratch)?);
                b.append_value(text.map_err(|_| KeyError::Malformed { offset })?);
            }
            Kind::Bytea(b) => b.append_value(key.read_bytes(descending, &mut self.scratch)?),
            Kind::Date(b) => b.append_value(key.read_i32(descending)?),
            Kind::Time(b) => b.append_value(key.read_i64(descending)?),
            Kind::Timestamp(b) => b.append_value(key.read_i64(descending)?),
            Kind::Uuid(b) => {
                let uuid = key.read_fixed::<16>(descending)?;
                b.append_value(uuid).map_err(|_| KeyError::Malformed { offset })?;
            }
            Kind::Decimal256(_) | Kind::Interval(_) | Kind::Map(_) | Kind::Array(_) => {
                return Err(KeyError::Mismatch(self.data_type.clone()));
            }
        }
        Ok(())
    }

    /// The column so far; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        each_kind!(&mut self.kind, builder => Arc::new(builder.finish()), list => list.finish())
    }
}

/// An interval in Arrow's nanoseconds; `None` beyond 292 years of time.
fn to_arrow(interval: Interval) -> Option<IntervalMonthDayNano> {
    let nanos = interval.micros.checked_mul(MICRO_NANOS)?;
    Some(IntervalMonthDayNano::new(interval.months, interval.days, nanos))
}

impl ListBuilder {
    fn append_cell(&mut self, bytes: &[u8]) -> Option<Result<(), CellError>> {
        // A list is all there or not at all: check before the first element is added.
        if ArrayCells::new(bytes, &self.elements.data_type)?.any(|cell| cell.is_none()) {
            return None;
        }
        for cell in ArrayCells::new(bytes, &self.elements.data_type)?.flatten() {
            match cell {
                None => self.elements.append_null(),
                Some(bytes) => match self.elements.try_append_cell(bytes)? {
                    Ok(()) => {}
                    error => return Some(error),
                },
            }
        }
        self.close(true);
        Some(Ok(()))
    }

    fn close(&mut self, valid: bool) {
        let end = each_kind!(&self.elements.kind,
            builder => arrow::array::ArrayBuilder::len(builder), list => list.valid.len());
        // Arrow's offsets are 32 bits; a batch's rows are bounded long before.
        self.offsets.push(i32::try_from(end).unwrap_or(i32::MAX));
        self.valid.push(valid);
    }

    fn finish(&mut self) -> ArrayRef {
        let elements = self.elements.finish();
        let field = Field::new_list_field(elements.data_type().clone(), true);
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        let nulls = NullBuffer::from(std::mem::take(&mut self.valid));
        Arc::new(ListArray::new(Arc::new(field), offsets, elements, Some(nulls)))
    }
}
