//! Columns built from text or binary values straight into Arrow builders: COPY's way in.
//!
//! One [`ColumnBuilder`] per column, chosen once. Nothing is allocated per cell; what is not yet of the
//! stored form (bytea, jsonb) passes through a buffer of the builder's own. After an error the rows
//! built so far are of no use: the batch is given up.

use super::array::{Element, Elements};
use super::binary::{self, ArrayItems, fixed};
use super::datetime::{input, interval};
use super::text::InputContext;
use super::{boolean, bytea, float, integer, json, jsonb, map, numeric, oid, string, uuid};
use crate::error::{SqlError, SqlState};
use arrow::array::builder::{
    BinaryViewBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder,
    FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder,
    Int64Builder, IntervalMonthDayNanoBuilder, LargeBinaryBuilder, NullBufferBuilder,
    StringViewBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::array::{ArrayBuilder, ArrayRef, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, IntervalMonthDayNano};
use bytes::Bytes;
use std::sync::Arc;
use terrane_client::interval::Interval;
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;

/// Builds the Arrow array of one column.
pub struct ColumnBuilder {
    data_type: DataType,
    values: Values,
    scratch: Vec<u8>,
    text: String,
}

enum Values {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Numeric(Decimal128Builder, u8, i8),
    WideNumeric(Decimal256Builder, Option<(u8, i8)>),
    Text(StringViewBuilder),
    Varchar(StringViewBuilder, Option<u32>),
    Char(StringViewBuilder, u32),
    Bytea(BinaryViewBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampTz(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Json(StringViewBuilder),
    Jsonb(StringViewBuilder),
    Map(LargeBinaryBuilder, MapType),
    Array(Box<List>),
}

struct List {
    elements: ColumnBuilder,
    element: u32,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl List {
    fn close(&mut self, valid: bool) -> Result<(), SqlError> {
        let end = i32::try_from(self.elements.len()).map_err(|_| {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many array elements in a batch")
        })?;
        self.offsets.push(end);
        self.nulls.append(valid);
        Ok(())
    }
}

/// An interval as Arrow has it: nanoseconds bound it to 292 years of time beside its days and months.
pub fn arrow_interval(value: Interval) -> Result<IntervalMonthDayNano, SqlError> {
    let nanos = value
        .micros
        .checked_mul(1000)
        .ok_or_else(|| SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"))?;
    Ok(IntervalMonthDayNano::new(value.months, value.days, nanos))
}

#[cold]
fn mismatch(data_type: &DataType) -> SqlError {
    SqlError::internal(format!("a value that is not of its column's type {data_type:?}"))
}

impl ColumnBuilder {
    /// A builder for a column of this type, with room for `rows`.
    pub fn new(data_type: &DataType, rows: usize) -> Self {
        let strings = || StringViewBuilder::with_capacity(rows).with_fixed_block_size(BLOCK);
        let values = match data_type {
            DataType::Bool => Values::Bool(BooleanBuilder::with_capacity(rows)),
            DataType::Int2 => Values::Int2(Int16Builder::with_capacity(rows)),
            DataType::Int4 => Values::Int4(Int32Builder::with_capacity(rows)),
            DataType::Int8 => Values::Int8(Int64Builder::with_capacity(rows)),
            DataType::Float4 => Values::Float4(Float32Builder::with_capacity(rows)),
            DataType::Float8 => Values::Float8(Float64Builder::with_capacity(rows)),
            DataType::Numeric(modifier) => match DataType::numeric_shape(*modifier) {
                (precision @ 0..=38, scale) => {
                    let builder = Decimal128Builder::with_capacity(rows);
                    let builder = builder.with_data_type(data_type.arrow());
                    Values::Numeric(builder, precision, scale)
                }
                _ => {
                    let builder = Decimal256Builder::with_capacity(rows);
                    Values::WideNumeric(builder.with_data_type(data_type.arrow()), *modifier)
                }
            },
            DataType::Text => Values::Text(strings()),
            DataType::Varchar(limit) => Values::Varchar(strings(), *limit),
            DataType::Char(length) => Values::Char(strings(), *length),
            DataType::Bytea => {
                Values::Bytea(BinaryViewBuilder::with_capacity(rows).with_fixed_block_size(BLOCK))
            }
            DataType::Date => Values::Date(Date32Builder::with_capacity(rows)),
            DataType::Time => Values::Time(Time64MicrosecondBuilder::with_capacity(rows)),
            DataType::Timestamp => {
                Values::Timestamp(TimestampMicrosecondBuilder::with_capacity(rows))
            }
            DataType::TimestampTz => {
                let builder = TimestampMicrosecondBuilder::with_capacity(rows);
                Values::TimestampTz(builder.with_data_type(data_type.arrow()))
            }
            DataType::Interval => {
                Values::Interval(IntervalMonthDayNanoBuilder::with_capacity(rows))
            }
            DataType::Uuid => Values::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            DataType::Json => Values::Json(strings()),
            DataType::Jsonb => Values::Jsonb(strings()),
            DataType::Map(of) => {
                Values::Map(LargeBinaryBuilder::with_capacity(rows, 0), of.as_ref().clone())
            }
            DataType::Array(element) => Values::Array(Box::new(List {
                elements: ColumnBuilder::new(element, rows),
                element: oid::told(oid::of(element)).oid,
                offsets: vec![0],
                nulls: NullBufferBuilder::new(rows),
            })),
        };
        Self { data_type: data_type.clone(), values, scratch: Vec::new(), text: String::new() }
    }

    /// The column's type.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Bool(b) => b.len(),
            Values::Int2(b) => b.len(),
            Values::Int4(b) => b.len(),
            Values::Int8(b) => b.len(),
            Values::Float4(b) => b.len(),
            Values::Float8(b) => b.len(),
            Values::Numeric(b, ..) => b.len(),
            Values::WideNumeric(b, _) => b.len(),
            Values::Text(b) | Values::Varchar(b, _) | Values::Char(b, _) => b.len(),
            Values::Json(b) | Values::Jsonb(b) => b.len(),
            Values::Bytea(b) => b.len(),
            Values::Date(b) => b.len(),
            Values::Time(b) => b.len(),
            Values::Timestamp(b) | Values::TimestampTz(b) => b.len(),
            Values::Interval(b) => b.len(),
            Values::Uuid(b) => b.len(),
            Values::Map(b, _) => b.len(),
            Values::Array(list) => list.offsets.len() - 1,
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds NULL.
    pub fn append_null(&mut self) {
        match &mut self.values {
            Values::Bool(b) => b.append_null(),
            Values::Int2(b) => b.append_null(),
            Values::Int4(b) => b.append_null(),
            Values::Int8(b) => b.append_null(),
            Values::Float4(b) => b.append_null(),
            Values::Float8(b) => b.append_null(),
            Values::Numeric(b, ..) => b.append_null(),
            Values::WideNumeric(b, _) => b.append_null(),
            Values::Text(b) | Values::Varchar(b, _) | Values::Char(b, _) => b.append_null(),
            Values::Json(b) | Values::Jsonb(b) => b.append_null(),
            Values::Bytea(b) => b.append_null(),
            Values::Date(b) => b.append_null(),
            Values::Time(b) => b.append_null(),
            Values::Timestamp(b) | Values::TimestampTz(b) => b.append_null(),
            Values::Interval(b) => b.append_null(),
            Values::Uuid(b) => b.append_null(),
            Values::Map(b, _) => b.append_null(),
            Values::Array(list) => {
                let end = list.offsets.last().copied().unwrap_or(0);
                list.offsets.push(end);
                list.nulls.append_null();
            }
        }
    }

    /// Adds what the type's input function reads.
    #[inline]
    pub fn append_text(&mut self, text: &str, context: InputContext<'_>) -> Result<(), SqlError> {
        match &mut self.values {
            Values::Bool(b) => b.append_value(boolean::parse(text)?),
            Values::Int2(b) => b.append_value(integer::parse(text)?),
            Values::Int4(b) => b.append_value(integer::parse(text)?),
            Values::Int8(b) => b.append_value(integer::parse(text)?),
            Values::Float4(b) => b.append_value(float::parse(text)?),
            Values::Float8(b) => b.append_value(float::parse(text)?),
            Values::Numeric(b, precision, scale) => {
                b.append_value(numeric::parse_i128(text, *precision, *scale)?);
            }
            Values::WideNumeric(b, modifier) => {
                b.append_value(numeric::parse_unscaled(text, *modifier)?);
            }
            Values::Text(b) => push_str(b, text)?,
            Values::Varchar(b, limit) => push_str(b, string::varchar(text, *limit)?)?,
            Values::Char(b, length) => push_str(b, string::bpchar(text, *length)?)?,
            Values::Bytea(b) => {
                self.scratch.clear();
                bytea::parse(text.as_bytes(), &mut self.scratch)?;
                push_bytes(b, &self.scratch)?;
            }
            Values::Date(b) => b.append_value(input::date(text, context.date())?),
            Values::Time(b) => b.append_value(input::time(text, context.date())?),
            Values::Timestamp(b) => b.append_value(input::timestamp(text, context.date())?),
            Values::TimestampTz(b) => b.append_value(input::timestamptz(text, context.date())?),
            Values::Interval(b) => {
                let value = interval::parse(text, context.style.interval_style)?;
                b.append_value(arrow_interval(value)?);
            }
            Values::Uuid(b) => push_fixed(b, &uuid::parse(text)?)?,
            Values::Json(b) => {
                json::validate(text)?;
                push_str(b, text)?;
            }
            Values::Jsonb(b) => {
                self.text.clear();
                jsonb::normalize(text, &mut self.text)?;
                push_str(b, &self.text)?;
            }
            Values::Map(b, of) => {
                b.append_value(map::to_cell(&map::parse(text, of, context)?, of)?);
            }
            Values::Array(list) => {
                let mut items = Elements::new(text)?;
                while let Some(item) = items.next(&mut self.scratch)? {
                    match item {
                        Element::Null => list.elements.append_null(),
                        Element::Text(text) => list.elements.append_text(text, context)?,
                    }
                }
                list.close(true)?;
            }
        }
        Ok(())
    }

    /// Adds what the type's receive function reads.
    #[inline]
    pub fn append_binary(&mut self, bytes: &[u8]) -> Result<(), SqlError> {
        match &mut self.values {
            Values::Bool(b) => b.append_value(binary::receive_bool(bytes)?),
            Values::Int2(b) => b.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Values::Int4(b) => b.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Values::Int8(b) => b.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Values::Float4(b) => b.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Values::Float8(b) => b.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Values::Numeric(b, precision, scale) => {
                let wide = numeric::receive(bytes, Some((*precision, *scale)))?;
                b.append_value(wide.as_i128());
            }
            Values::WideNumeric(b, modifier) => {
                b.append_value(numeric::receive(bytes, *modifier)?);
            }
            Values::Text(b) => push_str(b, string::utf8(bytes)?)?,
            Values::Varchar(b, limit) => {
                push_str(b, string::varchar(string::utf8(bytes)?, *limit)?)?;
            }
            Values::Char(b, length) => {
                push_str(b, string::bpchar(string::utf8(bytes)?, *length)?)?;
            }
            Values::Bytea(b) => push_bytes(b, bytes)?,
            Values::Date(b) => {
                b.append_value(input::date_from_wire(i32::from_be_bytes(fixed(bytes)?))?);
            }
            Values::Time(b) => {
                b.append_value(input::time_from_wire(i64::from_be_bytes(fixed(bytes)?))?);
            }
            Values::Timestamp(b) | Values::TimestampTz(b) => {
                b.append_value(input::timestamp_from_wire(i64::from_be_bytes(fixed(bytes)?))?);
            }
            Values::Interval(b) => {
                b.append_value(arrow_interval(binary::receive_interval(bytes)?)?);
            }
            Values::Uuid(b) => push_fixed(b, &fixed::<16>(bytes)?)?,
            Values::Json(b) => {
                let text = string::utf8(bytes)?;
                json::validate(text)?;
                push_str(b, text)?;
            }
            Values::Jsonb(b) => {
                self.text.clear();
                jsonb::normalize(binary::jsonb_text(bytes)?, &mut self.text)?;
                push_str(b, &self.text)?;
            }
            Values::Map(b, of) => {
                let data_type = DataType::Map(Box::new(of.clone()));
                let value = binary::receive(&Bytes::copy_from_slice(bytes), &data_type)?;
                b.append_value(map::to_cell(&value, of)?);
            }
            Values::Array(list) => {
                let mut items = ArrayItems::open(bytes, list.element)?;
                while let Some(item) = items.next()? {
                    match item {
                        Some(bytes) => list.elements.append_binary(bytes)?,
                        None => list.elements.append_null(),
                    }
                }
                list.close(true)?;
            }
        }
        Ok(())
    }

    /// Adds a value, which must be of the column's type already.
    pub fn append_value(&mut self, value: &Value) -> Result<(), SqlError> {
        match (&mut self.values, value) {
            (_, Value::Null) => self.append_null(),
            (Values::Bool(b), Value::Bool(v)) => b.append_value(*v),
            (Values::Int2(b), Value::Int2(v)) => b.append_value(*v),
            (Values::Int4(b), Value::Int4(v)) => b.append_value(*v),
            (Values::Int8(b), Value::Int8(v)) => b.append_value(*v),
            (Values::Float4(b), Value::Float4(v)) => b.append_value(*v),
            (Values::Float8(b), Value::Float8(v)) => b.append_value(*v),
            (Values::Numeric(b, _, scale), Value::Numeric(v)) if v.scale == *scale => {
                b.append_value(v.unscaled.as_i128());
            }
            (Values::WideNumeric(b, modifier), Value::Numeric(v))
                if v.scale == DataType::numeric_shape(*modifier).1 =>
            {
                b.append_value(v.unscaled);
            }
            (Values::Text(b) | Values::Json(b) | Values::Jsonb(b), Value::Text(v)) => {
                push_str(b, v)?;
            }
            (Values::Varchar(b, _) | Values::Char(b, _), Value::Text(v)) => push_str(b, v)?,
            (Values::Bytea(b), Value::Bytea(v)) => push_bytes(b, v)?,
            (Values::Date(b), Value::Date(v)) => b.append_value(*v),
            (Values::Time(b), Value::Time(v)) => b.append_value(*v),
            (Values::Timestamp(b), Value::Timestamp(v)) => b.append_value(*v),
            (Values::TimestampTz(b), Value::TimestampTz(v)) => b.append_value(*v),
            (Values::Interval(b), Value::Interval(v)) => b.append_value(arrow_interval(*v)?),
            (Values::Uuid(b), Value::Uuid(v)) => push_fixed(b, v)?,
            (Values::Map(b, of), value @ Value::Map(_)) => b.append_value(map::to_cell(value, of)?),
            (Values::Array(list), Value::Array(values)) => {
                for value in values {
                    list.elements.append_value(value)?;
                }
                list.close(true)?;
            }
            _ => return Err(mismatch(&self.data_type)),
        }
        Ok(())
    }

    /// The array, of type [`DataType::arrow`]; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.values {
            Values::Bool(b) => Arc::new(b.finish()),
            Values::Int2(b) => Arc::new(b.finish()),
            Values::Int4(b) => Arc::new(b.finish()),
            Values::Int8(b) => Arc::new(b.finish()),
            Values::Float4(b) => Arc::new(b.finish()),
            Values::Float8(b) => Arc::new(b.finish()),
            Values::Numeric(b, ..) => Arc::new(b.finish()),
            Values::WideNumeric(b, _) => Arc::new(b.finish()),
            Values::Text(b) | Values::Varchar(b, _) | Values::Char(b, _) => Arc::new(b.finish()),
            Values::Json(b) | Values::Jsonb(b) => Arc::new(b.finish()),
            Values::Bytea(b) => Arc::new(b.finish()),
            Values::Date(b) => Arc::new(b.finish()),
            Values::Time(b) => Arc::new(b.finish()),
            Values::Timestamp(b) | Values::TimestampTz(b) => Arc::new(b.finish()),
            Values::Interval(b) => Arc::new(b.finish()),
            Values::Uuid(b) => Arc::new(b.finish()),
            Values::Map(b, _) => Arc::new(b.finish()),
            Values::Array(list) => {
                let elements = list.elements.finish();
                let offsets = std::mem::replace(&mut list.offsets, vec![0]);
                let field = Field::new_list_field(elements.data_type().clone(), true);
                let offsets = OffsetBuffer::new(offsets.into());
                let nulls = list.nulls.finish();
                Arc::new(ListArray::new(Arc::new(field), offsets, elements, nulls))
            }
        }
    }
}

/// Bytes of the blocks that long strings are copied into.
const BLOCK: u32 = 64 * 1024;

#[inline]
fn push_str(builder: &mut StringViewBuilder, text: &str) -> Result<(), SqlError> {
    builder.try_append_value(text).map_err(too_long)
}

#[inline]
fn push_bytes(builder: &mut BinaryViewBuilder, bytes: &[u8]) -> Result<(), SqlError> {
    builder.try_append_value(bytes).map_err(too_long)
}

#[inline]
fn push_fixed(builder: &mut FixedSizeBinaryBuilder, bytes: &[u8; 16]) -> Result<(), SqlError> {
    builder.append_value(bytes).map_err(|e| SqlError::internal(e.to_string()))
}

#[cold]
fn too_long(error: arrow::error::ArrowError) -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("value too long: {error}"))
}
