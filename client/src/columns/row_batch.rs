//! Record batches out of merged rows: a scan's answer where rows come one by one.

use super::ColumnBuilder;
use crate::error::TabletError;
use crate::ids::{ColumnId, CommitTs};
use crate::key::KeyReader;
use crate::read::Projected;
use crate::row::Row;
use crate::schema::TableSchema;
use crate::types::DataType;
use arrow::array::{ArrayRef, BinaryViewBuilder, Int64Builder};
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use std::sync::Arc;

/// The Arrow schema of a scan's batches. Every value column is nullable, NOT NULL or not: an older
/// version of a row may hold a NULL from before the constraint.
pub fn arrow_schema(
    schema: &TableSchema,
    projection: &[Projected],
) -> Result<SchemaRef, TabletError> {
    let fields: Result<Vec<Field>, TabletError> = projection
        .iter()
        .map(|projected| match projected {
            Projected::Column(id) => {
                let column = schema.column(*id).ok_or_else(|| {
                    TabletError::Internal(format!("table {} has no column {}", schema.name, id.0))
                })?;
                let nullable = schema.key_position(*id).is_none();
                Ok(Field::new(&column.name, column.data_type.arrow(), nullable))
            }
            Projected::Key => Ok(Field::new("_key", ArrowType::BinaryView, false)),
            Projected::Version => Ok(Field::new("_version", ArrowType::Int64, false)),
            Projected::CellColumn => Ok(Field::new("_column", ArrowType::Int64, false)),
            Projected::CellKey => Ok(Field::new("_map_key", ArrowType::BinaryView, true)),
            Projected::CellValue => Ok(Field::new("_value", ArrowType::BinaryView, true)),
        })
        .collect();
    Ok(Arc::new(Schema::new(fields?)))
}

enum Output {
    /// By its place in the key.
    KeyColumn(usize),
    /// By its place among the schema's columns.
    Cell(usize, ColumnBuilder),
    Key(BinaryViewBuilder),
    Version(Int64Builder),
    CellColumn(Int64Builder),
    CellKey(BinaryViewBuilder),
    CellValue(BinaryViewBuilder),
}

/// One version of a cell.
#[derive(Clone, Copy, Debug)]
pub struct CellVersion<'a> {
    /// Of which column.
    pub column: ColumnId,
    /// Of an entry of a map column the encoded key.
    pub map_key: Option<&'a [u8]>,
    /// When it was written.
    pub written: CommitTs,
    /// What is stored; `None` is an explicit NULL.
    pub value: Option<&'a [u8]>,
}

/// Collects rows of one table into record batches of one projection.
pub struct RowBatch {
    table: Arc<TableSchema>,
    arrow: SchemaRef,
    outputs: Vec<Output>,
    /// One a key column, up to the last that is wanted: type, direction, and its builder if wanted.
    key: Vec<(DataType, bool, Option<ColumnBuilder>)>,
    rows: usize,
}

impl RowBatch {
    /// An empty batch with room for `capacity` rows.
    pub fn new(
        table: Arc<TableSchema>,
        projection: &[Projected],
        capacity: usize,
    ) -> Result<Self, TabletError> {
        let arrow = arrow_schema(&table, projection)?;
        let mut key: Vec<(DataType, bool, Option<ColumnBuilder>)> =
            table.key_shape().into_iter().map(|(t, descending)| (t, descending, None)).collect();
        let mut outputs = Vec::with_capacity(projection.len());
        for projected in projection {
            outputs.push(match projected {
                Projected::Key => Output::Key(BinaryViewBuilder::with_capacity(capacity)),
                Projected::Version => Output::Version(Int64Builder::with_capacity(capacity)),
                Projected::CellColumn => Output::CellColumn(Int64Builder::with_capacity(capacity)),
                Projected::CellKey => Output::CellKey(BinaryViewBuilder::with_capacity(capacity)),
                Projected::CellValue => {
                    Output::CellValue(BinaryViewBuilder::with_capacity(capacity))
                }
                Projected::Column(id) => match table.key_position(*id) {
                    Some(position) => {
                        let (data_type, _, builder) = &mut key[position];
                        *builder = Some(ColumnBuilder::new(data_type, capacity));
                        Output::KeyColumn(position)
                    }
                    None => {
                        let found = table.columns.binary_search_by_key(id, |column| column.id);
                        let at = found.map_err(|_| TabletError::Internal("column".to_owned()))?;
                        let data_type = &table.columns[at].data_type;
                        Output::Cell(at, ColumnBuilder::new(data_type, capacity))
                    }
                },
            });
        }
        let wanted = key.iter().rposition(|(_, _, builder)| builder.is_some());
        key.truncate(wanted.map_or(0, |last| last + 1));
        Ok(Self { table, arrow, outputs, key, rows: 0 })
    }

    /// Rows added since the last [`RowBatch::finish`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row. After an error the batch is of no use.
    pub fn push(&mut self, key: &[u8], row: &Row) -> Result<(), TabletError> {
        self.push_key(key)?;
        for output in &mut self.outputs {
            match output {
                Output::KeyColumn(_) => {}
                Output::Key(builder) => builder.append_value(key),
                Output::Version(builder) => builder.append_value(row.version.0),
                Output::CellColumn(_) | Output::CellKey(_) | Output::CellValue(_) => {
                    return Err(TabletError::Internal("a cell of a whole row".to_owned()));
                }
                Output::Cell(at, builder) => {
                    let column = &self.table.columns[*at];
                    match row.cells.get(column.id) {
                        Some(Some(bytes)) => builder.append_cell(bytes),
                        Some(None) => {
                            builder.append_null();
                            Ok(())
                        }
                        None => builder.append_value(&column.missing),
                    }
                    .map_err(|e| damaged(&self.table, &e))?;
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Adds one version of a row's cell. Of columns the projection has those of the key only.
    pub fn push_cell(&mut self, key: &[u8], cell: CellVersion<'_>) -> Result<(), TabletError> {
        let CellVersion { column, map_key, written, value } = cell;
        self.push_key(key)?;
        for output in &mut self.outputs {
            match output {
                Output::KeyColumn(_) => {}
                Output::Key(builder) => builder.append_value(key),
                Output::Version(builder) => builder.append_value(written.0),
                Output::CellColumn(builder) => builder.append_value(i64::from(column.0)),
                Output::CellKey(builder) => builder.append_option(map_key),
                Output::CellValue(builder) => builder.append_option(value),
                Output::Cell(..) => {
                    return Err(TabletError::Internal("a column of a scan of cells".to_owned()));
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn push_key(&mut self, key: &[u8]) -> Result<(), TabletError> {
        let mut reader = KeyReader::new(key);
        for (data_type, descending, builder) in &mut self.key {
            match builder {
                Some(builder) => builder.append_key(&mut reader, *descending),
                None => reader.skip(data_type, *descending),
            }
            .map_err(|e| damaged(&self.table, &e))?;
        }
        Ok(())
    }

    /// The rows so far as a record batch; the collector is empty again.
    pub fn finish(&mut self) -> Result<RecordBatch, TabletError> {
        let mut key_arrays: Vec<Option<ArrayRef>> = self
            .key
            .iter_mut()
            .map(|(_, _, builder)| builder.as_mut().map(ColumnBuilder::finish))
            .collect();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.outputs.len());
        for output in &mut self.outputs {
            columns.push(match output {
                // A column asked for twice is the same array twice.
                Output::KeyColumn(position) => key_arrays[*position]
                    .as_mut()
                    .map(|array| array.clone())
                    .ok_or_else(|| TabletError::Internal("key column not built".to_owned()))?,
                Output::Cell(_, builder) => builder.finish(),
                Output::Key(builder) | Output::CellKey(builder) | Output::CellValue(builder) => {
                    Arc::new(builder.finish())
                }
                Output::Version(builder) | Output::CellColumn(builder) => {
                    Arc::new(builder.finish())
                }
            });
        }
        let rows = std::mem::take(&mut self.rows);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.arrow.clone(), columns, &options)
            .map_err(|e| TabletError::Internal(format!("record batch: {e}")))
    }
}

fn damaged(table: &TableSchema, error: &dyn std::fmt::Display) -> TabletError {
    TabletError::Internal(format!("table {}: {error}", table.name))
}
