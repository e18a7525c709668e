//! Batches straight from a block: where one source alone has the rows of a window, and each is an answer
//! as it lies ([`super::prune::Window::is_direct`]).
//!
//! Predicate columns are decoded first and the others only for the rows that pass. Arrays of strings point
//! into the block's pages.

use super::arrays::{Arrays, KeyColumns, batch, places};
use super::error::{Result, ScanError};
use super::plan::Plan;
use crate::sstable::{Block, RowSelection, Rows};
use arrow::array::{ArrayRef, BinaryViewBuilder, BooleanArray, Int64Array};
use arrow::compute::kernels::zip::zip;
use arrow::record_batch::RecordBatch;
use std::ops::Range;
use std::sync::Arc;
use terrane_client::columns::ColumnBuilder;
use terrane_client::ids::ColumnId;
use terrane_client::read::Projected;

/// The batch of the rows that pass the plan's predicate; `None` where none does.
pub(super) fn direct(plan: &Plan, block: &Block, rows: Range<u32>) -> Result<Option<RecordBatch>> {
    let whole = Direct { plan, block, selection: RowSelection::Range(rows.clone()) };
    let mut arrays = Arrays::default();
    let mut selected = None;
    if !plan.predicate.is_empty() {
        block.prefetch(plan.predicate.columns(), false)?;
        whole.load(plan.predicate.columns(), &mut arrays)?;
        selected = plan.predicate.select(&arrays)?;
    }
    let Some(selected) = selected else { return whole.project(arrays).map(Some) };
    let mut kept = places(&selected);
    if kept.is_empty() {
        return Ok(None);
    }
    arrays.retain(&selected)?;
    kept.iter_mut().for_each(|row| *row += rows.start);
    Direct { plan, block, selection: RowSelection::Rows(&kept) }.project(arrays).map(Some)
}

struct Direct<'a> {
    plan: &'a Plan,
    block: &'a Block,
    selection: RowSelection<'a>,
}

impl Direct<'_> {
    fn each_row(&self, mut each: impl FnMut(&Rows<'_>, u32) -> Result<()>) -> Result<()> {
        let rows = self.block.rows()?;
        match &self.selection {
            RowSelection::Range(range) => range.clone().try_for_each(|row| each(&rows, row)),
            RowSelection::Rows(list) => list.iter().try_for_each(|row| each(&rows, *row)),
        }
    }

    /// Builds these columns, unless they are there.
    fn load(&self, columns: &[ColumnId], arrays: &mut Arrays) -> Result<()> {
        for id in columns {
            if arrays.get(*id).is_none()
                && let Some(array) = self.stored_column(*id)?
            {
                arrays.put(*id, array);
            }
        }
        // What is left is in the row keys only.
        let is_left = |id: ColumnId| columns.contains(&id) && arrays.get(id).is_none();
        let mut keys = KeyColumns::new(self.plan, &is_left, self.selection.len());
        if !keys.is_empty() {
            let mut key = Vec::new();
            self.each_row(|rows, row| {
                key.clear();
                rows.append_key(row, &mut key);
                keys.push(&key)
            })?;
            keys.finish(arrays);
        }
        Ok(())
    }

    /// A column that has pages; `None` for a key column that has none.
    fn stored_column(&self, id: ColumnId) -> Result<Option<ArrayRef>> {
        let column = self.block.column(id)?;
        let schema = self.plan.column(id)?;
        if self.plan.key_place(id).is_some() && column.absent_count() > 0 {
            return Ok(None);
        }
        let array = self.block.column_array(id, &schema.data_type, &self.selection)?;
        if schema.missing.is_null() {
            return Ok(Some(array));
        }
        let Some(absent) = column.absent_mask(&self.selection) else { return Ok(Some(array)) };
        let mut missing = ColumnBuilder::new(&schema.data_type, 1);
        missing
            .append_value(&schema.missing)
            .map_err(|error| ScanError::Cell { column: id, error })?;
        let missing = arrow::array::Scalar::new(missing.finish());
        Ok(Some(zip(&BooleanArray::new(absent, None), &missing, &array)?))
    }

    fn project(&self, mut arrays: Arrays) -> Result<RecordBatch> {
        let columns: Vec<ColumnId> = self
            .plan
            .projection
            .iter()
            .filter_map(|projected| match projected {
                Projected::Column(id) => Some(*id),
                _ => None,
            })
            .collect();
        let needs_rows = columns.len() < self.plan.projection.len();
        self.block.prefetch(&columns, needs_rows)?;
        self.load(&columns, &mut arrays)?;
        let mut out: Vec<ArrayRef> = Vec::with_capacity(self.plan.projection.len());
        for projected in &self.plan.projection {
            out.push(match projected {
                Projected::Column(id) => {
                    arrays.get(*id).cloned().ok_or(ScanError::NoColumn(*id))?
                }
                Projected::Key => self.keys()?,
                Projected::CellColumn | Projected::CellKey | Projected::CellValue => {
                    return Err(ScanError::Unsupported("a cell of a scan of rows"));
                }
                Projected::Version => self.versions()?,
            });
        }
        batch(self.plan, out, self.selection.len(), self.plan.reverse)
    }

    fn keys(&self) -> Result<ArrayRef> {
        let mut keys = BinaryViewBuilder::with_capacity(self.selection.len());
        let mut key = Vec::new();
        self.each_row(|rows, row| {
            key.clear();
            rows.append_key(row, &mut key);
            keys.append_value(&key);
            Ok(())
        })?;
        Ok(Arc::new(keys.finish()))
    }

    fn versions(&self) -> Result<ArrayRef> {
        let mut versions: Vec<i64> = Vec::with_capacity(self.selection.len());
        match &self.selection {
            RowSelection::Range(range) => {
                self.block.rows()?.append_commit_ts(range.clone(), &mut versions);
            }
            RowSelection::Rows(_) => self.each_row(|rows, row| {
                versions.push(rows.commit_ts(row).0);
                Ok(())
            })?,
        }
        Ok(Arc::new(Int64Array::from(versions)))
    }
}
