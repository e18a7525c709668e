//! What a scan shows beside a table's columns: when something was written, and the versions of its cells.
//!
//! The tablets give times as numbers, and of a cell the column's number and the stored bytes; here they become what SQL
//! shows.

use crate::plan::errors;
use crate::types::style::TextStyle;
use crate::types::{oid, text};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Int64Array, StringViewArray, StringViewBuilder,
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
/// Of a cell the name of its column, of an entry of a map column its key.
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
    /// True where a row is a cell: its column's number and, of an entry of a map, its key are then asked for as the last.
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
        let cells = self.is_cells().then(|| Cells::of(table, batch, &self.style));
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, shown) in self.columns.iter().enumerate() {
            let given = batch.column(at);
            columns.push(match (shown, &cells) {
                (Shown::Plain(_), _) => Arc::clone(given),
                (Shown::Timestamp, _) => timestamps(given.as_primitive()),
                (Shown::Family, Some(cells)) => cells.families(&self.families),
                (Shown::Qualifier, Some(cells)) => cells.qualifiers()?,
                (Shown::Value, Some(cells)) => cells.values(given)?,
                (Shown::Family | Shown::Qualifier | Shown::Value, None) => {
                    return Err(DataFusionError::Internal("a column of no cell".to_owned()));
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

/// A batch whose rows are cells.
struct Cells<'b> {
    table: &'b TableSchema,
    /// Of each the number of its column.
    numbers: &'b Int64Array,
    /// Of entries of maps the encoded keys.
    map_keys: &'b BinaryViewArray,
    style: &'b TextStyle,
}

impl<'b> Cells<'b> {
    fn of(table: &'b TableSchema, batch: &'b RecordBatch, style: &'b TextStyle) -> Self {
        let last = batch.num_columns() - 1;
        let numbers = batch.column(last - 1).as_primitive::<Int64Type>();
        Self { table, numbers, map_keys: batch.column(last).as_binary_view(), style }
    }

    fn column_id(&self, row: usize) -> ColumnId {
        ColumnId(u32::try_from(self.numbers.value(row)).unwrap_or_default())
    }

    fn families(&self, names: &FamilyNames) -> ArrayRef {
        let name = |row| names.get(&self.column_id(row)).map_or("default", String::as_str);
        Arc::new(StringViewArray::from_iter_values((0..self.numbers.len()).map(name)))
    }

    /// The names of columns, and of entries their keys.
    fn qualifiers(&self) -> Result<ArrayRef> {
        let mut names = StringViewBuilder::with_capacity(self.numbers.len());
        for row in 0..self.numbers.len() {
            let column = self.table.column(self.column_id(row));
            match column.map(|column| (column, column.map_type())) {
                None => names.append_value(""),
                Some((_, Some(of))) if self.map_keys.is_valid(row) => {
                    let key = cell::map::decode_key(self.map_keys.value(row), of);
                    let key = key.map_err(|error| damaged(&error))?;
                    names.append_value(text::to_string(&key, of.key(), self.style));
                }
                Some((column, _)) => names.append_value(&column.name),
            }
        }
        Ok(Arc::new(names.finish()))
    }

    fn values(&self, stored: &ArrayRef) -> Result<ArrayRef> {
        let stored = stored.as_binary_view();
        let mut values = StringViewBuilder::with_capacity(stored.len());
        for row in 0..stored.len() {
            let column = self.table.column(self.column_id(row));
            let Some(column) = column.filter(|_| stored.is_valid(row)) else {
                values.append_null();
                continue;
            };
            let data_type = column.map_type().map_or(&column.data_type, |of| of.value());
            let value = cell::decode(stored.value(row), data_type);
            let value = value.map_err(|error| damaged(&error))?;
            values.append_value(text::to_string(&value, data_type, self.style));
        }
        Ok(Arc::new(values.finish()))
    }
}

fn damaged(error: &dyn std::fmt::Display) -> DataFusionError {
    errors::external(crate::error::SqlError::internal(error.to_string()))
}
