//! Record batches of a system relation, built row by row.
//!
//! A builder is told once which columns it is given; the others are NULL or, where PostgreSQL says NOT NULL,
//! the type's zero (0, false, empty) or the superuser, for an owner.

use crate::catalog::oid::Oid;
use crate::catalog::system::relations::{SystemColumn, SystemRelation};
use crate::error::SqlError;
use crate::types::oid;
use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, ListBuilder, NullArray, StringViewBuilder,
    TimestampMicrosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use std::sync::Arc;
use terrane_client::value::Value;

/// A value of a cell. Numbers of all widths are [`Cell::Int`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Owned(String),
    Bytes(&'a [u8]),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    /// What functions give and no column here has.
    Value(Value),
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Oid> for Cell<'_> {
    fn from(value: Oid) -> Self {
        Self::Int(i64::from(value.0))
    }
}

impl From<u32> for Cell<'_> {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<i32> for Cell<'_> {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<i64> for Cell<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

/// A count, or a number of bytes. Columns have no room past the largest bigint.
impl From<u64> for Cell<'_> {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell<'_> {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl From<String> for Cell<'_> {
    fn from(value: String) -> Self {
        Self::Owned(value)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Builds rows of one relation.
pub(super) struct Rows {
    relation: &'static SystemRelation,
    /// For each column of the relation, its place among the cells given.
    given: Vec<Option<usize>>,
    builders: Vec<Builder>,
    count: usize,
}

pub(crate) enum Builder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Oid(UInt32Builder),
    Xid8(UInt64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Int2s(ListBuilder<Int16Builder>),
    Int4s(ListBuilder<Int32Builder>),
    Oids(ListBuilder<UInt32Builder>),
    Texts(ListBuilder<StringViewBuilder>),
    /// A column whose type no row here has a value of.
    Nulls(DataType, usize),
}

impl Builder {
    /// For a column of this Arrow type.
    pub fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Int16 => Self::Int2(Int16Builder::new()),
            DataType::Int32 => Self::Int4(Int32Builder::new()),
            DataType::Int64 => Self::Int8(Int64Builder::new()),
            DataType::UInt32 => Self::Oid(UInt32Builder::new()),
            DataType::UInt64 => Self::Xid8(UInt64Builder::new()),
            DataType::Float32 => Self::Float4(Float32Builder::new()),
            DataType::Float64 => Self::Float8(Float64Builder::new()),
            DataType::Utf8View => Self::Text(StringViewBuilder::new()),
            DataType::BinaryView => Self::Bytes(BinaryViewBuilder::new()),
            DataType::Timestamp(..) => Self::Timestamp(
                TimestampMicrosecondBuilder::new().with_data_type(data_type.clone()),
            ),
            DataType::List(element) => Self::list(element),
            other => Self::Nulls(other.clone(), 0),
        }
    }

    fn list(element: &Arc<Field>) -> Self {
        let field = Arc::clone(element);
        match element.data_type() {
            DataType::Int16 => Self::Int2s(ListBuilder::new(Int16Builder::new()).with_field(field)),
            DataType::Int32 => Self::Int4s(ListBuilder::new(Int32Builder::new()).with_field(field)),
            DataType::UInt32 => {
                Self::Oids(ListBuilder::new(UInt32Builder::new()).with_field(field))
            }
            DataType::Utf8View => {
                Self::Texts(ListBuilder::new(StringViewBuilder::new()).with_field(field))
            }
            _ => Self::Nulls(DataType::List(field), 0),
        }
    }

    /// Adds a value; `None` where it is not of the column's type.
    pub fn push(&mut self, cell: &Cell<'_>) -> Option<()> {
        let int = || match cell {
            Cell::Int(value) => Some(Some(*value)),
            Cell::Null => Some(None),
            _ => None,
        };
        let float = || match cell {
            Cell::Float(value) => Some(Some(*value)),
            Cell::Int(value) => Some(Some(*value as f64)),
            Cell::Null => Some(None),
            _ => None,
        };
        match self {
            Self::Bool(builder) => builder.append_option(match cell {
                Cell::Bool(value) => Some(*value),
                Cell::Null => None,
                _ => return None,
            }),
            Self::Int2(builder) => builder.append_option(narrow(int()?)?),
            Self::Int4(builder) => builder.append_option(narrow(int()?)?),
            Self::Int8(builder) => builder.append_option(int()?),
            Self::Oid(builder) => builder.append_option(narrow(int()?)?),
            Self::Xid8(builder) => builder.append_option(narrow(int()?)?),
            Self::Timestamp(builder) => builder.append_option(int()?),
            Self::Float4(builder) => builder.append_option(float()?.map(|value| value as f32)),
            Self::Float8(builder) => builder.append_option(float()?),
            Self::Text(builder) => builder.append_option(match cell {
                Cell::Text(text) => Some(*text),
                Cell::Owned(text) => Some(text.as_str()),
                Cell::Null => None,
                _ => return None,
            }),
            Self::Bytes(builder) => builder.append_option(match cell {
                Cell::Bytes(bytes) => Some(*bytes),
                Cell::Value(Value::Bytea(bytes)) => Some(&bytes[..]),
                Cell::Null | Cell::Value(Value::Null) => None,
                _ => return None,
            }),
            Self::Int2s(builder) => builder.append_option(numbers(cell)?),
            Self::Int4s(builder) => builder.append_option(numbers(cell)?),
            Self::Oids(builder) => builder.append_option(numbers(cell)?),
            Self::Texts(builder) => builder.append_option(texts(cell)?),
            Self::Nulls(_, count) => match cell {
                Cell::Null => *count += 1,
                _ => return None,
            },
        }
        Some(())
    }

    /// The column.
    pub fn finish(self) -> Result<ArrayRef, SqlError> {
        Ok(match self {
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Int2(mut builder) => Arc::new(builder.finish()),
            Self::Int4(mut builder) => Arc::new(builder.finish()),
            Self::Int8(mut builder) => Arc::new(builder.finish()),
            Self::Oid(mut builder) => Arc::new(builder.finish()),
            Self::Xid8(mut builder) => Arc::new(builder.finish()),
            Self::Float4(mut builder) => Arc::new(builder.finish()),
            Self::Float8(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Bytes(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::Int2s(mut builder) => Arc::new(builder.finish()),
            Self::Int4s(mut builder) => Arc::new(builder.finish()),
            Self::Oids(mut builder) => Arc::new(builder.finish()),
            Self::Texts(mut builder) => Arc::new(builder.finish()),
            Self::Nulls(data_type, count) => {
                arrow::compute::cast(&(Arc::new(NullArray::new(count)) as ArrayRef), &data_type)
                    .map_err(|error| SqlError::internal(error.to_string()))?
            }
        })
    }
}

/// The elements of an array of text; the outer `None` where the cell is none.
fn texts<'a>(cell: &'a Cell<'_>) -> Option<Option<Vec<Option<&'a str>>>> {
    let text = |value: &'a Value| match value {
        Value::Text(text) => Some(Some(text.as_str())),
        Value::Null => Some(None),
        _ => None,
    };
    match cell {
        Cell::Texts(texts) => Some(Some(texts.iter().map(|text| Some(text.as_str())).collect())),
        Cell::Value(Value::Array(values)) => {
            values.iter().map(text).collect::<Option<_>>().map(Some)
        }
        Cell::Null => Some(None),
        _ => None,
    }
}

/// A number in its column's width; the outer `None` where it does not fit.
fn narrow<T: TryFrom<i64>>(value: Option<i64>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => T::try_from(value).ok().map(Some),
    }
}

/// A list of numbers in its column's width; the outer `None` where one does not fit.
#[allow(clippy::type_complexity, reason = "what ListBuilder takes")]
fn numbers<T: TryFrom<i64>>(cell: &Cell<'_>) -> Option<Option<std::vec::IntoIter<Option<T>>>> {
    match cell {
        Cell::Null => Some(None),
        Cell::Ints(values) => {
            let all: Option<Vec<_>> =
                values.iter().map(|value| T::try_from(*value).ok().map(Some)).collect();
            Some(Some(all?.into_iter()))
        }
        _ => None,
    }
}

/// What a column is where nothing says.
fn default_of(column: &SystemColumn) -> Cell<'static> {
    if !column.not_null {
        return Cell::Null;
    }
    match oid::arrow(column.wire_type.oid, column.wire_type.modifier) {
        DataType::Boolean => Cell::Bool(false),
        DataType::Utf8View => Cell::Text(""),
        DataType::List(_) => Cell::Ints(Vec::new()),
        DataType::UInt32 if column.name.ends_with("owner") => Cell::from(Oid::SUPERUSER),
        _ => Cell::Int(0),
    }
}

impl Rows {
    /// Builds rows of `relation` out of these columns.
    pub fn new(relation: &'static SystemRelation, columns: &[&str]) -> Self {
        debug_assert!(
            columns.iter().all(|name| relation.columns.iter().any(|column| column.name == *name)),
            "{}: {columns:?}",
            relation.name
        );
        let place = |column: &SystemColumn| columns.iter().position(|name| *name == column.name);
        Self::given(relation, relation.columns.iter().map(place).collect())
    }

    /// Builds rows of `relation` out of a cell for each of its columns.
    pub fn of_all_columns(relation: &'static SystemRelation) -> Self {
        Self::given(relation, (0..relation.columns.len()).map(Some).collect())
    }

    fn given(relation: &'static SystemRelation, given: Vec<Option<usize>>) -> Self {
        Self {
            relation,
            given,
            builders: relation.arrow.fields().iter().map(|f| Builder::new(f.data_type())).collect(),
            count: 0,
        }
    }

    /// Adds a row: a cell for each column given, in order.
    pub fn push(&mut self, cells: &[Cell<'_>]) -> Result<(), SqlError> {
        let columns = self.relation.columns.iter().zip(&self.given);
        for ((column, given), builder) in columns.zip(&mut self.builders) {
            let pushed = match given.and_then(|place| cells.get(place)) {
                Some(Cell::Null) if column.not_null => None,
                Some(cell) => builder.push(cell),
                None => builder.push(&default_of(column)),
            };
            if pushed.is_none() {
                return Err(SqlError::internal(format!(
                    "a value of {}.{} is not of its type",
                    self.relation.name, column.name
                )));
            }
        }
        self.count += 1;
        Ok(())
    }

    /// The rows.
    pub fn finish(self) -> Result<RecordBatch, SqlError> {
        let columns: Result<Vec<_>, _> = self.builders.into_iter().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.count));
        RecordBatch::try_new_with_options(self.relation.arrow.clone(), columns?, &options)
            .map_err(|error| SqlError::internal(format!("{}: {error}", self.relation.name)))
    }
}
