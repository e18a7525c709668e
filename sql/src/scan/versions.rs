//! What a scan shows beside a table's columns: when something was written, and the versions of its cells.
//!
//! The tablets give times as numbers, and of a cell the column's number and the stored bytes; here they become what SQL
//! shows.

use crate::plan::errors;
use crate::types::style::TextStyle;
use crate::types::{oid, text};
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, StringViewArray, StringViewBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int64Type, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::{DataFusionError, Result};
use std::collections::HashMap;
use std::sync::Arc;
use terrane_client::cell;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::read::{Projected, Versions};
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;

/// The system column with the time at which a row, or a cell, was written.
pub const TIMESTAMP_COLUMN: &str = "_timestamp";
/// Of a cell the name of its family.
pub const FAMILY_COLUMN: &str = "_family";
/// Of a cell the name of its column.
pub const QUALIFIER_COLUMN: &str = "_qualifier";
/// Of a cell its value as text.
pub const VALUE_COLUMN: &str = "_value";

/// The families of a table's columns, by column.
pub type FamilyNames = Arc<HashMap<ColumnId, String>>;

/// A column of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As the tablets give it.
    Plain(Projected),
    /// [`TIMESTAMP_COLUMN`].
    Timestamp,
    /// [`FAMILY_COLUMN`].
    Family,
    /// [`QUALIFIER_COLUMN`].
    Qualifier,
    /// [`VALUE_COLUMN`].
    Value,
}

impl Shown {
    /// What the tablets are asked for.
    pub fn projected(self) -> Projected {
        match self {
            Self::Plain(projected) => projected,
            Self::Timestamp => Projected::Version,
            Self::Family | Self::Qualifier => Projected::CellColumn,
            Self::Value => Projected::CellValue,
        }
    }

    /// A column that no table has, as a plan sees it.
    pub fn field(self) -> Option<Field> {
        let (name, data_type, nullable) = match self {
            Self::Plain(_) => return None,
            Self::Timestamp => (TIMESTAMP_COLUMN, DataType::TimestampTz, true),
            Self::Family => (FAMILY_COLUMN, DataType::Text, false),
            Self::Qualifier => (QUALIFIER_COLUMN, DataType::Text, false),
            Self::Value => (VALUE_COLUMN, DataType::Text, true),
        };
        Some(oid::field(name, &data_type, nullable))
    }
}

/// What a scan shows.
#[derive(Clone, Debug)]
pub struct Showing {
    /// Its columns.
    pub columns: Vec<Shown>,
    /// Rows as they are, or their versions.
    pub versions: Versions,
    /// The families of columns.
    pub families: FamilyNames,
    /// How values are written.
    pub style: Arc<TextStyle>,
}

impl Showing {
    /// True where a row is a cell: its column's number is then asked for as the last.
    pub fn is_cells(&self) -> bool {
        matches!(self.versions, Versions::Cells(_))
    }

    /// What the tablets gave, as it is shown.
    pub fn show(
        &self,
        table: &TableSchema,
        schema: &SchemaRef,
        batch: &RecordBatch,
    ) -> Result<RecordBatch> {
        let numbers = match self.is_cells() {
            true => Some(batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>()),
            false => None,
        };
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, shown) in self.columns.iter().enumerate() {
            let given = batch.column(at);
            columns.push(match (shown, numbers) {
                (Shown::Plain(_), _) => Arc::clone(given),
                (Shown::Timestamp, _) => timestamps(given.as_primitive()),
                (Shown::Family, _) => names(given.as_primitive(), &|id| {
                    self.families.get(&id).map_or("default", String::as_str)
                }),
                (Shown::Qualifier, _) => names(given.as_primitive(), &|id| {
                    table.column(id).map_or("", |column| column.name.as_str())
                }),
                (Shown::Value, Some(numbers)) => values(table, numbers, given, &self.style)?,
                (Shown::Value, None) => {
                    return Err(DataFusionError::Internal("a value of no cell".to_owned()));
                }
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
    }
}

/// Times; NULL where a row was not committed yet.
fn timestamps(numbers: &Int64Array) -> ArrayRef {
    let time = |micros: Option<i64>| micros.filter(|micros| *micros != CommitTs::ABSENT.0);
    let times: TimestampMicrosecondArray = numbers.iter().map(time).collect();
    Arc::new(times.with_timezone("UTC"))
}

fn column_of(number: i64) -> ColumnId {
    ColumnId(u32::try_from(number).unwrap_or_default())
}

fn names<'n>(numbers: &Int64Array, name: &dyn Fn(ColumnId) -> &'n str) -> ArrayRef {
    let names = numbers.values().iter().map(|number| name(column_of(*number)));
    Arc::new(StringViewArray::from_iter_values(names))
}

fn values(
    table: &TableSchema,
    numbers: &Int64Array,
    stored: &ArrayRef,
    style: &TextStyle,
) -> Result<ArrayRef> {
    let stored = stored.as_binary_view();
    let mut values = StringViewBuilder::with_capacity(stored.len());
    for row in 0..stored.len() {
        let column = table.column(column_of(numbers.value(row)));
        let Some(column) = column.filter(|_| stored.is_valid(row)) else {
            values.append_null();
            continue;
        };
        let value = cell::decode(stored.value(row), &column.data_type).map_err(|error| {
            errors::external(crate::error::SqlError::internal(error.to_string()))
        })?;
        values.append_value(text::to_string(&value, &column.data_type, style));
    }
    Ok(Arc::new(values.finish()))
}
