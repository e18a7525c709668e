//! Cells of Arrow arrays in text or binary form: rows for the wire and for COPY.
//!
//! [`Cells::new`] brings a column's array into the one Arrow type its PostgreSQL type has (dictionaries
//! are resolved, units and widths converted) and remembers which function writes it; per cell there is
//! one match and no allocation.

use super::array::quote_from;
use super::binary::{open_array, open_map, send_interval};
use super::datetime::infinity::{date_to_wire, timestamp_to_wire};
use super::datetime::{interval_output, output};
use super::style::TextStyle;
use super::{boolean, bytea, float, integer, map, numeric, oid, string, uuid};
use crate::error::{SqlError, SqlState};
use crate::session::format::Format;
use crate::session::response::WireType;
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Date32Array,
    Decimal128Array, Decimal256Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeBinaryArray, LargeStringArray,
    ListArray, StringArray, StringViewArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType, UInt32Type, UInt64Type, i256,
};
use std::sync::Arc;
use terrane_client::interval::Interval;
use terrane_client::types::{MapType, NUMERIC_BARE_SCALE};

/// One column of a batch, ready to be written cell by cell.
pub struct Cells {
    nulls: Option<NullBuffer>,
    all_null: bool,
    format: Format,
    style: Arc<TextStyle>,
    values: Values,
}

enum Values {
    Null,
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Oid(UInt32Array),
    UInt8(UInt64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Decimal(Decimal128Array, i8, bool),
    WideDecimal(Decimal256Array, i8, bool),
    Text(Strings, TextKind),
    Bytea(Binaries),
    Uuid(FixedSizeBinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray),
    TimestampTz(TimestampMicrosecondArray),
    Interval(IntervalMonthDayNanoArray),
    Map(LargeBinaryArray, MapType),
    Array(ListArray, Box<Cells>, u32),
    /// int2vector, oidvector: elements between blanks.
    Vector(ListArray, Box<Cells>, u32),
    Record(Vec<(u32, Cells)>),
}

enum Strings {
    Small(StringArray),
    Large(LargeStringArray),
    View(StringViewArray),
}

impl Strings {
    #[inline]
    fn value(&self, row: usize) -> &str {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }
}

enum Binaries {
    Small(BinaryArray),
    Large(LargeBinaryArray),
    View(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
}

impl Binaries {
    #[inline]
    fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
            Self::Fixed(array) => array.value(row),
        }
    }
}

/// What text needs besides its bytes.
#[derive(Clone, Copy)]
enum TextKind {
    Plain,
    /// char(n): blanks up to n characters.
    Padded(u32),
    /// jsonb: a version byte in the binary form.
    Jsonb,
}

/// The array in another Arrow type; a value that does not fit is an error, never NULL.
fn convert(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef, SqlError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options).map_err(|error| {
        SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("a result value does not fit its type: {error}"),
        )
    })
}

/// Resolves dictionaries and runs into plain arrays.
fn plain(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    match array.data_type() {
        ArrowType::Dictionary(_, values) => convert(array, values),
        ArrowType::RunEndEncoded(_, values) => convert(array, values.data_type()),
        _ => Ok(Arc::clone(array)),
    }
}

#[cold]
fn no_form(arrow: &ArrowType, wire: WireType) -> SqlError {
    SqlError::internal(format!(
        "cannot send Arrow type {arrow} as type {}",
        oid::format_type(wire.oid, None)
    ))
}

impl Cells {
    /// A column of this array, sent as this type in this format.
    pub fn new(
        array: &ArrayRef,
        wire: WireType,
        format: Format,
        style: &Arc<TextStyle>,
    ) -> Result<Self, SqlError> {
        let array = plain(array)?;
        let values = match array.data_type() {
            ArrowType::Null => Values::Null,
            _ => Values::new(&array, wire, format, style)?,
        };
        let all_null = matches!(values, Values::Null);
        let nulls = array.logical_nulls().filter(|n| n.null_count() > 0);
        Ok(Self { nulls, all_null, format, style: Arc::clone(style), values })
    }

    /// True for NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.all_null || self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }

    /// Writes a cell's bytes, without a length. The cell is not NULL.
    #[inline]
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        match self.format {
            Format::Text => self.write_text(row, out),
            Format::Binary => self.write_binary(row, out),
        }
    }

    /// Writes a cell as DataRow has it: its length and bytes, or -1.
    #[inline]
    pub fn write_sized(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        if self.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        self.write(row, out)?;
        let length = i32::try_from(out.len() - at - 4).map_err(|_| {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "a value of 2 GB or more")
        })?;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn write_text(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let style = self.style.as_ref();
        match &self.values {
            Values::Null => {}
            Values::Bool(a) => boolean::write(a.value(row), out),
            Values::Int2(a) => integer::write(a.value(row), out),
            Values::Int4(a) => integer::write(a.value(row), out),
            Values::Int8(a) => integer::write(a.value(row), out),
            Values::Oid(a) => integer::write(a.value(row), out),
            Values::UInt8(a) => integer::write(a.value(row), out),
            Values::Float4(a) => float::write(a.value(row), style.extra_float_digits, out),
            Values::Float8(a) => float::write(a.value(row), style.extra_float_digits, out),
            Values::Decimal(a, scale, trim) => {
                numeric::write_i128(a.value(row), *scale, *trim, out);
            }
            Values::WideDecimal(a, scale, trim) => {
                numeric::write_i256(a.value(row), *scale, *trim, out);
            }
            Values::Text(a, TextKind::Padded(n)) => string::write_bpchar(a.value(row), *n, out),
            Values::Text(a, _) => out.extend_from_slice(a.value(row).as_bytes()),
            Values::Bytea(a) => bytea::write(a.value(row), style.bytea_output, out),
            Values::Uuid(a) => uuid::write(&uuid_bytes(a.value(row)), out),
            Values::Date(a) => output::write_date(a.value(row), style, out),
            Values::Time(a) => output::write_time(a.value(row), out),
            Values::Timestamp(a) => output::write_timestamp(a.value(row), style, out),
            Values::TimestampTz(a) => output::write_timestamptz(a.value(row), style, out),
            Values::Interval(a) => {
                interval_output::write(&interval(a, row), style.interval_style, out);
            }
            Values::Map(a, of) => map::write_cell(a.value(row), of, style, out)?,
            Values::Array(a, elements, _) => {
                write_list(a, elements, row, out, (b"{", b",", b"}"))?;
            }
            Values::Vector(a, elements, _) => {
                write_list(a, elements, row, out, (b"", b" ", b""))?;
            }
            Values::Record(fields) => write_record(fields, row, out)?,
        }
        Ok(())
    }

    fn write_binary(&self, row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        match &self.values {
            Values::Null => {}
            Values::Bool(a) => out.push(u8::from(a.value(row))),
            Values::Int2(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Int4(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Int8(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Oid(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::UInt8(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Float4(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Float8(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Decimal(a, scale, trim) => {
                numeric::send(i256::from_i128(a.value(row)), *scale, *trim, out);
            }
            Values::WideDecimal(a, scale, trim) => {
                numeric::send(a.value(row), *scale, *trim, out);
            }
            Values::Text(a, TextKind::Padded(n)) => string::write_bpchar(a.value(row), *n, out),
            Values::Text(a, TextKind::Plain) => out.extend_from_slice(a.value(row).as_bytes()),
            Values::Text(a, TextKind::Jsonb) => {
                out.push(1);
                out.extend_from_slice(a.value(row).as_bytes());
            }
            Values::Bytea(a) => out.extend_from_slice(a.value(row)),
            Values::Uuid(a) => out.extend_from_slice(a.value(row)),
            Values::Date(a) => {
                let days = date_to_wire(a.value(row));
                out.extend_from_slice(&days.to_be_bytes());
            }
            Values::Time(a) => out.extend_from_slice(&a.value(row).to_be_bytes()),
            Values::Timestamp(a) | Values::TimestampTz(a) => {
                let micros = timestamp_to_wire(a.value(row));
                out.extend_from_slice(&micros.to_be_bytes());
            }
            Values::Interval(a) => send_interval(&interval(a, row), out),
            Values::Map(a, of) => {
                open_map(of.form(), out);
                map::write_cell(a.value(row), of, &self.style, out)?;
            }
            Values::Array(a, elements, element) => {
                let range = list_range(a, row);
                let has_null = range.clone().any(|i| elements.is_null(i));
                open_array(*element, range.len(), has_null, out);
                for i in range {
                    elements.write_sized(i, out)?;
                }
            }
            Values::Vector(a, elements, element) => {
                let range = list_range(a, row);
                // The one array type that counts from 0, and has a dimension when empty.
                for header in [1, 0, *element, range.len() as u32, 0] {
                    out.extend_from_slice(&header.to_be_bytes());
                }
                for i in range {
                    elements.write_sized(i, out)?;
                }
            }
            Values::Record(fields) => {
                out.extend_from_slice(&(fields.len() as u32).to_be_bytes());
                for (type_oid, cells) in fields {
                    out.extend_from_slice(&type_oid.to_be_bytes());
                    cells.write_sized(row, out)?;
                }
            }
        }
        Ok(())
    }
}

fn uuid_bytes(bytes: &[u8]) -> [u8; 16] {
    // The array's type has width 16.
    bytes.try_into().unwrap_or_default()
}

fn interval(array: &IntervalMonthDayNanoArray, row: usize) -> Interval {
    let value = array.value(row);
    Interval { months: value.months, days: value.days, micros: value.nanoseconds / 1000 }
}

fn list_range(array: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = array.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

type Punctuation<'a> = (&'a [u8], &'a [u8], &'a [u8]);

fn write_list(
    array: &ListArray,
    elements: &Cells,
    row: usize,
    out: &mut Vec<u8>,
    (open, between, close): Punctuation<'_>,
) -> Result<(), SqlError> {
    out.extend_from_slice(open);
    let range = list_range(array, row);
    let first = range.start;
    for i in range {
        if i > first {
            out.extend_from_slice(between);
        }
        if elements.is_null(i) {
            out.extend_from_slice(b"NULL");
            continue;
        }
        let start = out.len();
        elements.write(i, out)?;
        // A nested array is not quoted, it is more dimensions.
        if !matches!(elements.values, Values::Array(..)) {
            quote_from(start, out);
        }
    }
    out.extend_from_slice(close);
    Ok(())
}

/// record_out: `(1,"a b",)`.
fn write_record(fields: &[(u32, Cells)], row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
    out.push(b'(');
    let mut text = Vec::new();
    for (i, (_, cells)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if cells.is_null(row) {
            continue;
        }
        text.clear();
        cells.write(row, &mut text)?;
        let special = |b: &u8| b"\"\\(),".contains(b) || super::space::is_space(*b);
        if !text.is_empty() && !text.iter().any(special) {
            out.extend_from_slice(&text);
            continue;
        }
        out.push(b'"');
        for byte in &text {
            // Quotes and backslashes are doubled.
            if matches!(byte, b'"' | b'\\') {
                out.push(*byte);
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
    out.push(b')');
    Ok(())
}

impl Values {
    fn new(
        array: &ArrayRef,
        wire: WireType,
        format: Format,
        style: &Arc<TextStyle>,
    ) -> Result<Self, SqlError> {
        let arrow = array.data_type();
        let is_string =
            matches!(arrow, ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View);
        let same = |good: bool| if good { Ok(()) } else { Err(no_form(arrow, wire)) };
        if is_string {
            return Self::strings(array, wire, format);
        }
        if let ArrowType::Struct(fields) = arrow {
            same(wire.oid == oid::RECORD)?;
            let columns = array.as_struct().columns().iter().zip(fields);
            let cells = columns.map(|(column, field)| {
                let wire = oid::of_field(field);
                Ok((wire.oid, Cells::new(column, wire, format, style)?))
            });
            return Ok(Self::Record(cells.collect::<Result<_, SqlError>>()?));
        }
        if matches!(
            arrow,
            ArrowType::List(_)
                | ArrowType::LargeList(_)
                | ArrowType::FixedSizeList(..)
                | ArrowType::ListView(_)
                | ArrowType::LargeListView(_)
        ) {
            return Self::list(array, wire, format, style);
        }
        match wire.oid {
            oid::BOOL => same(arrow == &ArrowType::Boolean)?,
            oid::INT2 | oid::INT4 | oid::INT8 | oid::XID8 => same(arrow.is_integer())?,
            oid::FLOAT4 | oid::FLOAT8 => same(arrow.is_numeric())?,
            oid::NUMERIC => same(is_decimal(arrow) || arrow.is_integer())?,
            oid if oid::is_oid_like(oid) => same(arrow.is_integer())?,
            oid::DATE | oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ => {
                same(arrow.is_temporal())?;
            }
            _ => {}
        }
        Self::scalar(array, wire)
    }

    fn scalar(array: &ArrayRef, wire: WireType) -> Result<Self, SqlError> {
        let to = |arrow: ArrowType| convert(array, &arrow);
        let micros = |zone| ArrowType::Timestamp(TimeUnit::Microsecond, zone);
        Ok(match wire.oid {
            oid::BOOL => Self::Bool(array.as_boolean().clone()),
            oid::INT2 => Self::Int2(to(ArrowType::Int16)?.as_primitive::<Int16Type>().clone()),
            oid::INT4 => Self::Int4(to(ArrowType::Int32)?.as_primitive::<Int32Type>().clone()),
            oid::INT8 => Self::Int8(to(ArrowType::Int64)?.as_primitive::<Int64Type>().clone()),
            oid::XID8 => Self::UInt8(to(ArrowType::UInt64)?.as_primitive::<UInt64Type>().clone()),
            oid if oid::is_oid_like(oid) => {
                Self::Oid(to(ArrowType::UInt32)?.as_primitive::<UInt32Type>().clone())
            }
            oid::FLOAT4 => {
                Self::Float4(to(ArrowType::Float32)?.as_primitive::<Float32Type>().clone())
            }
            oid::FLOAT8 => {
                Self::Float8(to(ArrowType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            oid::NUMERIC => return Self::decimal(array, wire),
            oid::BYTEA | oid::UUID => return Self::bytes(array, wire),
            oid::DATE => Self::Date(to(ArrowType::Date32)?.as_primitive::<Date32Type>().clone()),
            oid::TIME => {
                let array = to(ArrowType::Time64(TimeUnit::Microsecond))?;
                Self::Time(array.as_primitive::<Time64MicrosecondType>().clone())
            }
            oid::TIMESTAMP => {
                let array = to(micros(None))?;
                Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>().clone())
            }
            oid::TIMESTAMPTZ => {
                // An instant is the same in every zone: only the unit may change.
                let zone = match array.data_type() {
                    ArrowType::Timestamp(_, zone @ Some(_)) => zone.clone(),
                    _ => Some(Arc::from("UTC")),
                };
                let array = to(micros(zone))?;
                Self::TimestampTz(array.as_primitive::<TimestampMicrosecondType>().clone())
            }
            oid::INTERVAL => {
                let array = to(ArrowType::Interval(IntervalUnit::MonthDayNano))?;
                Self::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone())
            }
            _ => match (oid::map_type(wire.oid, wire.modifier), array.as_binary_opt::<i64>()) {
                (Some(of), Some(maps)) => Self::Map(maps.clone(), of),
                _ => return Err(no_form(array.data_type(), wire)),
            },
        })
    }

    fn decimal(array: &ArrayRef, wire: WireType) -> Result<Self, SqlError> {
        let stated = oid::numeric_shape(wire.modifier);
        let array = match array.data_type() {
            ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => Arc::clone(array),
            ArrowType::Decimal32(_, scale) | ArrowType::Decimal64(_, scale) => {
                convert(array, &ArrowType::Decimal128(38, *scale))?
            }
            _ => convert(array, &ArrowType::Decimal128(38, 0))?,
        };
        match array.data_type() {
            ArrowType::Decimal128(_, scale) => {
                let values = array.as_primitive::<Decimal128Type>().clone();
                Ok(Self::Decimal(values, *scale, false))
            }
            ArrowType::Decimal256(_, scale) => {
                // A bare numeric is wide, and is shown without the zeros of its scale (rule 39).
                let values = array.as_primitive::<Decimal256Type>().clone();
                // What round() made has fewer digits, and shows them all.
                let trim = stated.is_none() && *scale >= NUMERIC_BARE_SCALE;
                Ok(Self::WideDecimal(values, *scale, trim))
            }
            other => Err(no_form(other, wire)),
        }
    }

    fn bytes(array: &ArrayRef, wire: WireType) -> Result<Self, SqlError> {
        Ok(match (wire.oid, array.data_type()) {
            (oid::UUID, ArrowType::FixedSizeBinary(16)) => {
                Self::Uuid(array.as_fixed_size_binary().clone())
            }
            (oid::BYTEA, ArrowType::Binary) => {
                Self::Bytea(Binaries::Small(array.as_binary::<i32>().clone()))
            }
            (oid::BYTEA, ArrowType::LargeBinary) => {
                Self::Bytea(Binaries::Large(array.as_binary::<i64>().clone()))
            }
            (oid::BYTEA, ArrowType::BinaryView) => {
                Self::Bytea(Binaries::View(array.as_binary_view().clone()))
            }
            (oid::BYTEA, ArrowType::FixedSizeBinary(_)) => {
                Self::Bytea(Binaries::Fixed(array.as_fixed_size_binary().clone()))
            }
            (_, arrow) => return Err(no_form(arrow, wire)),
        })
    }

    /// Strings are the text form of any type, and the binary form of those whose binary form is text.
    fn strings(array: &ArrayRef, wire: WireType, format: Format) -> Result<Self, SqlError> {
        let strings = match array.data_type() {
            ArrowType::Utf8 => Strings::Small(array.as_string::<i32>().clone()),
            ArrowType::LargeUtf8 => Strings::Large(array.as_string::<i64>().clone()),
            _ => Strings::View(array.as_string_view().clone()),
        };
        let kind = match wire.oid {
            oid::BPCHAR => TextKind::Padded((wire.modifier - 4).max(0) as u32),
            oid::JSONB => TextKind::Jsonb,
            _ => TextKind::Plain,
        };
        let has_text_form =
            matches!(oid::base(wire.oid).map(|t| t.category), Some('S' | 'X' | 'P' | 'Z' | 'E'))
                || matches!(wire.oid, oid::JSON | oid::JSONB | 142);
        if format == Format::Binary && !has_text_form {
            return Err(no_form(array.data_type(), wire));
        }
        Ok(Self::Text(strings, kind))
    }

    fn list(
        array: &ArrayRef,
        wire: WireType,
        format: Format,
        style: &Arc<TextStyle>,
    ) -> Result<Self, SqlError> {
        let field = match array.data_type() {
            ArrowType::List(field)
            | ArrowType::LargeList(field)
            | ArrowType::FixedSizeList(field, _)
            | ArrowType::ListView(field)
            | ArrowType::LargeListView(field) => Arc::clone(field),
            other => return Err(no_form(other, wire)),
        };
        let array = convert(array, &ArrowType::List(Arc::clone(&field)))?;
        let list = array.as_list::<i32>();
        let vector = match wire.oid {
            oid::INT2VECTOR => Some(oid::INT2),
            oid::OIDVECTOR => Some(oid::OID),
            _ => None,
        };
        let element = match (vector, oid::element_of(wire.oid)) {
            (Some(element), _) | (None, Some(element)) => oid::wire(element, wire.modifier),
            (None, None) => oid::of_field(&field),
        };
        // More dimensions have the same type as one.
        let nested = matches!(
            field.data_type(),
            ArrowType::List(_) | ArrowType::LargeList(_) | ArrowType::FixedSizeList(..)
        );
        if nested && format == Format::Binary {
            return Err(SqlError::unsupported("multidimensional arrays have no binary form here"));
        }
        let inner = if nested { wire } else { element };
        let cells = Box::new(Cells::new(list.values(), inner, format, style)?);
        Ok(match vector {
            Some(element) => Self::Vector(list.clone(), cells, element),
            None => Self::Array(list.clone(), cells, oid::told(element).oid),
        })
    }
}

fn is_decimal(arrow: &ArrowType) -> bool {
    matches!(
        arrow,
        ArrowType::Decimal32(..)
            | ArrowType::Decimal64(..)
            | ArrowType::Decimal128(..)
            | ArrowType::Decimal256(..)
    )
}

/// A batch's row as DataRow has it: each cell with its length.
#[inline]
pub fn write_row(cells: &[Cells], row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
    cells.iter().try_for_each(|column| column.write_sized(row, out))
}
