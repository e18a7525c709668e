//! Columns of one batch while it is built: those a predicate needed are there already when the projection
//! asks for them.

use super::error::{Result, ScanError};
use super::plan::Plan;
use super::predicate::Columns;
use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use terrane_client::columns::ColumnBuilder;
use terrane_client::ids::ColumnId;
use terrane_client::key::KeyReader;

/// Columns by id, all of one length.
#[derive(Default)]
pub(super) struct Arrays(Vec<(ColumnId, ArrayRef)>);

impl Columns for Arrays {
    fn column(&self, id: ColumnId) -> Result<&ArrayRef, ArrowError> {
        self.get(id)
            .ok_or_else(|| ArrowError::ComputeError(format!("column {} was not read", id.0)))
    }
}

impl Arrays {
    pub(super) fn get(&self, id: ColumnId) -> Option<&ArrayRef> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, array)| array)
    }

    pub(super) fn put(&mut self, id: ColumnId, array: ArrayRef) {
        if self.get(id).is_none() {
            self.0.push((id, array));
        }
    }

    /// Keeps the selected rows.
    pub(super) fn retain(&mut self, selected: &BooleanArray) -> Result<()> {
        for (_, array) in &mut self.0 {
            *array = compute::filter(array, selected)?;
        }
        Ok(())
    }
}

/// The selected rows' places.
pub(super) fn places(selected: &BooleanArray) -> Vec<u32> {
    selected.values().set_indices().map(|place| place as u32).collect()
}

/// A batch of these columns, its rows turned around where the scan is descending and they are not.
pub(super) fn batch(
    plan: &Plan,
    mut columns: Vec<ArrayRef>,
    rows: usize,
    turn: bool,
) -> Result<RecordBatch> {
    if turn {
        let places = UInt32Array::from_iter_values((0..rows as u32).rev());
        for column in &mut columns {
            *column = compute::take(column, &places, None)?;
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(plan.arrow.clone(), columns, &options)?)
}

/// Builds key columns out of row keys.
pub(super) struct KeyColumns<'a> {
    plan: &'a Plan,
    /// Beside each of the plan's key parts.
    builders: Vec<Option<ColumnBuilder>>,
}

impl<'a> KeyColumns<'a> {
    /// Builders for the key columns among `wanted`.
    pub(super) fn new(plan: &'a Plan, wanted: &dyn Fn(ColumnId) -> bool, rows: usize) -> Self {
        let builder =
            |id: ColumnId, data_type| wanted(id).then(|| ColumnBuilder::new(data_type, rows));
        let mut builders: Vec<Option<ColumnBuilder>> =
            plan.key.iter().map(|part| builder(part.column, &part.data_type)).collect();
        let last = builders.iter().rposition(Option::is_some);
        builders.truncate(last.map_or(0, |last| last + 1));
        Self { plan, builders }
    }

    /// True where no column is wanted: keys need not be put together.
    pub(super) fn is_empty(&self) -> bool {
        self.builders.is_empty()
    }

    /// Adds a row.
    pub(super) fn push(&mut self, key: &[u8]) -> Result<()> {
        let mut reader = KeyReader::new(key);
        for (part, builder) in self.plan.key.iter().zip(&mut self.builders) {
            match builder {
                Some(builder) => builder.append_key(&mut reader, part.descending)?,
                None => reader.skip(&part.data_type, part.descending)?,
            }
        }
        Ok(())
    }

    /// Hands the columns over.
    pub(super) fn finish(self, arrays: &mut Arrays) {
        for (part, builder) in self.plan.key.iter().zip(self.builders) {
            if let Some(mut builder) = builder {
                arrays.put(part.column, builder.finish());
            }
        }
    }
}

/// A column's cell that is no cell of its type.
pub(super) fn bad_cell(column: ColumnId) -> impl Fn(terrane_client::cell::CellError) -> ScanError {
    move |error| ScanError::Cell { column, error }
}
