//! A batch of columns to row programs.

use crate::copy::reader::CopyBatch;
use crate::error::{SqlError, SqlState};
use crate::scan::versions::TIMESTAMP_COLUMN;
use crate::session::modify::{Target, index_cells, key_error};
use arrow::array::ArrayRef;
use bytes::Bytes;
use terrane_client::columns::encode::{self, ColumnView, EncodeError};
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::key::HiddenKeys;
use terrane_client::program::{Action, Guard, Returning, RowProgram};
use terrane_client::row::PackedCells;
use terrane_client::schema::{CellGc, Column, TableSchema};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Programs that insert rows.
pub struct Batch {
    /// One a row, then those of unique indexes.
    pub programs: Vec<RowProgram>,
    /// The line each row came from.
    pub lines: Vec<u64>,
    /// For each program of an index the row it is about.
    pub index_rows: Vec<u32>,
}

impl Batch {
    /// The line that a program is about.
    pub fn line(&self, program: usize) -> u64 {
        let row = match program.checked_sub(self.lines.len()) {
            None => program,
            Some(at) => self.index_rows.get(at).map_or(0, |row| *row as usize),
        };
        self.lines.get(row).copied().unwrap_or(0)
    }
}

fn insert(schema: &TableSchema, key: Bytes, cells: PackedCells) -> RowProgram {
    RowProgram {
        table: schema.storage,
        schema_version: schema.version,
        key,
        guard: Guard::Absent,
        condition: None,
        action: Action::Put { cells },
        returning: Returning::Nothing,
    }
}

/// An error, and the row of the batch it is about.
pub type RowResult<T> = Result<T, (usize, SqlError)>;

/// Makes programs. `columns` are all of the table's, in order, and perhaps the timestamps of their cells; with `indexes` also those of its unique
/// indexes, which a caller that evaluates programs itself leaves to that.
pub fn programs(
    target: &Target,
    batch: &CopyBatch,
    columns: &[ArrayRef],
    hidden: &mut HiddenKeys,
    now_micros: i64,
    indexes: bool,
) -> RowResult<Batch> {
    let schema = &*target.schema;
    let rows = batch.lines.len();
    let keys: Vec<Bytes> = match schema.key.is_empty() {
        true => hidden_keys(hidden, now_micros, rows),
        false => {
            let views: Vec<_> = schema
                .key
                .iter()
                .filter_map(|key| {
                    let at = schema.columns.iter().position(|column| column.id == key.column)?;
                    Some((ColumnView::new(&schema.columns[at], &columns[at]), key.descending))
                })
                .collect();
            let keys = encode::keys(&views, rows, false);
            keys.map_err(|error| encode_error(schema, error))?.into_iter().flatten().collect()
        }
    };
    let stamp = stamp_column();
    let mut values: Vec<ColumnView<'_>> = columns
        .get(schema.columns.len())
        .map(|array| ColumnView::new(&stamp, array))
        .into_iter()
        .collect();
    values.extend(
        schema
            .columns
            .iter()
            .zip(columns)
            .filter(|(column, _)| schema.key_position(column.id).is_none())
            .map(|(column, array)| ColumnView::new(column, array)),
    );
    let cells = encode::cells(&values, rows).map_err(|error| encode_error(schema, error))?;
    let mut index_programs = Vec::new();
    let mut index_rows = Vec::new();
    if indexes {
        index_entries(target, columns, &keys, &mut index_programs, &mut index_rows)?;
    }
    let mut programs = Vec::with_capacity(rows + index_programs.len());
    programs.extend(keys.into_iter().zip(cells).map(|(key, cells)| insert(schema, key, cells)));
    programs.extend(index_programs);
    Ok(Batch { programs, lines: batch.lines.clone(), index_rows })
}

/// `_timestamp`, as programs have it.
fn stamp_column() -> Column {
    Column {
        id: ColumnId::STAMP,
        name: TIMESTAMP_COLUMN.to_owned(),
        data_type: DataType::TimestampTz,
        not_null: false,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: CellGc::default(),
    }
}

fn hidden_keys(hidden: &mut HiddenKeys, now_micros: i64, rows: usize) -> Vec<Bytes> {
    let mut all = Vec::with_capacity(rows * terrane_client::key::HIDDEN_KEY_BYTES);
    for _ in 0..rows {
        all.extend_from_slice(&hidden.next(now_micros));
    }
    let all = Bytes::from(all);
    let size = terrane_client::key::HIDDEN_KEY_BYTES;
    (0..rows).map(|row| all.slice(row * size..(row + 1) * size)).collect()
}

/// The rows' entries in the hidden tables of unique indexes (rule 44).
fn index_entries(
    target: &Target,
    columns: &[ArrayRef],
    row_keys: &[Bytes],
    programs: &mut Vec<RowProgram>,
    rows: &mut Vec<u32>,
) -> RowResult<()> {
    for (index, hidden) in &target.uniques {
        let ids = index
            .key_columns()
            .ok_or_else(|| (0, SqlError::internal("a unique index over an expression")))?;
        let views: Vec<_> = ids
            .iter()
            .zip(&hidden.columns)
            .filter_map(|(id, column)| {
                let at = target.schema.columns.iter().position(|known| known.id == *id)?;
                Some((ColumnView::new(column, &columns[at]), false))
            })
            .collect();
        let keys = encode::keys(&views, row_keys.len(), true);
        let keys = keys.map_err(|error| encode_error(hidden, error))?;
        for (row, key) in keys.into_iter().enumerate() {
            let Some(key) = key else { continue };
            programs.push(insert(hidden, key, index_cells(index, &row_keys[row])));
            rows.push(row as u32);
        }
    }
    Ok(())
}

fn encode_error(schema: &TableSchema, error: EncodeError) -> (usize, SqlError) {
    match error {
        EncodeError::Key(row, error) => (row, key_error(schema, error)),
        EncodeError::Cell(row, error) => {
            (row, SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string()))
        }
    }
}
