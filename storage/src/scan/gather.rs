//! Batches out of picked rows: for each column, of each row the newest cell.
//!
//! A column's values come from the columns of the blocks that have picked rows, each decoded once, and from
//! one array of odd cells: those of memtables, and of blocks that few rows were picked from. Which value goes
//! where is one list of places, and Arrow's interleave copies them.

use super::arrays::{Arrays, KeyColumns, bad_cell, batch, places};
use super::error::{Result, ScanError};
use super::picks::{PackedCell, Part, Picks};
use super::plan::Plan;
use crate::sstable::{CellRef, Column, RowSelection, Rows};
use arrow::array::{ArrayRef, BinaryViewBuilder, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::interleave;
use arrow::record_batch::RecordBatch;
use std::ops::Range;
use std::sync::Arc;
use terrane_client::columns::ColumnBuilder;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::read::Projected;

/// A block's column is decoded as a whole where at least one in this many of its rows was picked.
const DENSE_SHARE: usize = 8;

/// The batch of the picked rows that pass the plan's predicate; `None` where none does.
pub(super) fn gather(plan: &Plan, picks: &Picks) -> Result<Option<RecordBatch>> {
    let mut gather = Gather::new(plan, picks)?;
    if !plan.predicate.is_empty() {
        let mut arrays = Arrays::default();
        gather.load(plan.predicate.columns(), &mut arrays)?;
        if let Some(selected) = plan.predicate.select(&arrays)? {
            gather.rows = places(&selected);
            arrays.retain(&selected)?;
        }
        if gather.rows.is_empty() {
            return Ok(None);
        }
        return gather.project(arrays).map(Some);
    }
    gather.project(Arrays::default()).map(Some)
}

struct Gather<'a> {
    plan: &'a Plan,
    picks: &'a Picks,
    blocks: Vec<PickedBlock<'a>>,
    /// The picked rows that are still wanted, in the order of the batch.
    rows: Vec<u32>,
}

/// What was picked of a block.
struct PickedBlock<'a> {
    rows: Rows<'a>,
    /// The smallest range with all picked rows.
    span: Range<u32>,
    is_dense: bool,
}

/// One column of one block.
struct BlockColumn<'a> {
    column: Column<'a>,
    /// Its place among the decoded arrays, and the rows of the span without a cell.
    decoded: Option<(usize, Option<BooleanBuffer>)>,
}

impl<'a> Gather<'a> {
    fn new(plan: &'a Plan, picks: &'a Picks) -> Result<Self> {
        let mut spans: Vec<(Range<u32>, usize)> = vec![(0..0, 0); picks.blocks().len()];
        for part in picks.all_parts() {
            if let Part::Stored { block, row } = part {
                let (span, count) = &mut spans[*block as usize];
                let start = if *count == 0 { *row } else { span.start.min(*row) };
                *span = start..span.end.max(row + 1);
                *count += 1;
            }
        }
        let blocks: Result<Vec<PickedBlock<'a>>> = picks
            .blocks()
            .iter()
            .zip(spans)
            .map(|(block, (span, count))| {
                block.prefetch(&plan.values, true)?;
                // None may be left: the rows it was entered for may not live.
                let is_dense = count > 0 && count * DENSE_SHARE >= span.len();
                Ok(PickedBlock { rows: block.rows()?, span, is_dense })
            })
            .collect();
        Ok(Self { plan, picks, blocks: blocks?, rows: (0..picks.len() as u32).collect() })
    }

    /// Builds these columns, unless they are there.
    fn load(&self, columns: &[ColumnId], arrays: &mut Arrays) -> Result<()> {
        let is_missing = |id: &ColumnId| arrays.get(*id).is_none();
        let missing: Vec<ColumnId> = columns.iter().copied().filter(is_missing).collect();
        let mut keys = KeyColumns::new(self.plan, &|id| missing.contains(&id), self.rows.len());
        if !keys.is_empty() {
            self.each_key(|key| keys.push(key))?;
            keys.finish(arrays);
        }
        for id in missing {
            if self.plan.key_place(id).is_none() {
                arrays.put(id, self.value_column(id)?);
            }
        }
        Ok(())
    }

    fn each_key(&self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut key = Vec::new();
        for row in &self.rows {
            match self.picks.parts(*row as usize).first() {
                Some(Part::Packed(packed)) => each(self.picks.packed_key(*packed))?,
                Some(Part::Stored { block, row }) => {
                    key.clear();
                    self.blocks[*block as usize].rows.append_key(*row, &mut key);
                    each(&key)?;
                }
                None => unreachable!("a row was picked with its newest version"),
            }
        }
        Ok(())
    }

    fn value_column(&self, id: ColumnId) -> Result<ArrayRef> {
        let place = self.plan.values.binary_search(&id).map_err(|_| ScanError::NoColumn(id))?;
        let schema = self.plan.column(id)?;
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut columns: Vec<BlockColumn<'_>> = Vec::with_capacity(self.blocks.len());
        for (block, picked) in self.picks.blocks().iter().zip(&self.blocks) {
            let column = block.column(id)?;
            let mut decoded = None;
            if picked.is_dense {
                let selection = RowSelection::Range(picked.span.clone());
                arrays.push(block.column_array(id, &schema.data_type, &selection)?);
                decoded = Some((arrays.len(), column.absent_mask(&selection)));
            }
            columns.push(BlockColumn { column, decoded });
        }
        // Of cells with timestamps of the client's only those that are seen were picked.
        let gc = &self.plan.gc;
        let expires = !gc.is_dated() && gc.of(id).newest_ttl().is_some();
        let odd = ColumnBuilder::new(&schema.data_type, 0);
        let mut cells = OddCells { builder: odd, count: 0, id };
        let mut from: Vec<(usize, usize)> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let parts = self.picks.parts(*row as usize);
            let mut found = None;
            let is_seen = !expires || !self.has_expired(id, *row, place, &columns);
            for part in parts.iter().filter(|_| is_seen) {
                found = self.cell(*part, place, &columns, &mut cells)?;
                if found.is_some() {
                    break;
                }
            }
            from.push(match found {
                Some(place) => place,
                None => cells.push(|builder| builder.append_value(&schema.missing))?,
            });
        }
        let odd = cells.builder.finish();
        if arrays.is_empty() {
            // Every cell is an odd one, in order.
            return Ok(odd);
        }
        let all: Vec<&dyn arrow::array::Array> =
            std::iter::once(&odd).chain(&arrays).map(|array| &**array).collect();
        Ok(interleave(&all, &from)?)
    }

    /// True where a row's newest cell of a column is no longer seen.
    fn has_expired(
        &self,
        id: ColumnId,
        row: u32,
        place: usize,
        columns: &[BlockColumn<'_>],
    ) -> bool {
        let (parts, times) = (self.picks.parts(row as usize), self.picks.times(row as usize));
        let count = self.plan.values.len();
        let newest = parts.iter().zip(times).find_map(|(part, commit_ts)| match *part {
            Part::Packed(packed) => {
                let cell = self.picks.packed_cell(packed, place, count);
                (!matches!(cell, PackedCell::Absent)).then_some(*commit_ts)
            }
            Part::Stored { block, row } => {
                let column = &columns[block as usize].column;
                let is_here = !matches!(column.cell(row), CellRef::Absent);
                is_here.then(|| CommitTs(commit_ts.0.saturating_sub(column.ts_delta(row))))
            }
        });
        newest.is_some_and(|written| self.plan.gc.has_expired(id, written, self.plan.at))
    }

    /// Where a version's cell is to be copied from; `None` where it has none.
    fn cell(
        &self,
        part: Part,
        place: usize,
        columns: &[BlockColumn<'_>],
        odd: &mut OddCells,
    ) -> Result<Option<(usize, usize)>> {
        let null = |builder: &mut ColumnBuilder| {
            builder.append_null();
            Ok(())
        };
        match part {
            Part::Packed(packed) => {
                match self.picks.packed_cell(packed, place, self.plan.values.len()) {
                    PackedCell::Absent => Ok(None),
                    PackedCell::Null => odd.push(null).map(Some),
                    PackedCell::Bytes(bytes) => odd.push(|b| b.append_cell(bytes)).map(Some),
                }
            }
            Part::Stored { block, row } => {
                let BlockColumn { column, decoded } = &columns[block as usize];
                if let Some((array, absent)) = decoded {
                    let row = (row - self.blocks[block as usize].span.start) as usize;
                    let is_absent = absent.as_ref().is_some_and(|absent| absent.value(row));
                    return Ok((!is_absent).then_some((*array, row)));
                }
                match column.cell(row) {
                    CellRef::Absent => Ok(None),
                    CellRef::Null => odd.push(null).map(Some),
                    CellRef::Value(bytes) => odd.push(|b| b.append_cell(&bytes)).map(Some),
                }
            }
        }
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
        self.load(&columns, &mut arrays)?;
        let mut out: Vec<ArrayRef> = Vec::with_capacity(self.plan.projection.len());
        for projected in &self.plan.projection {
            out.push(match projected {
                Projected::Column(id) => {
                    arrays.get(*id).cloned().ok_or(ScanError::NoColumn(*id))?
                }
                Projected::Key => {
                    let mut keys = BinaryViewBuilder::with_capacity(self.rows.len());
                    self.each_key(|key| {
                        keys.append_value(key);
                        Ok(())
                    })?;
                    Arc::new(keys.finish())
                }
                Projected::CellColumn | Projected::CellKey | Projected::CellValue => {
                    return Err(ScanError::Unsupported("a cell of a scan of rows"));
                }
                Projected::Version => {
                    let version = |row: &u32| self.picks.version(*row as usize).0;
                    Arc::new(Int64Array::from_iter_values(self.rows.iter().map(version)))
                }
            });
        }
        batch(self.plan, out, self.rows.len(), false)
    }
}

/// The array of cells that no decoded column has.
struct OddCells {
    builder: ColumnBuilder,
    count: usize,
    id: ColumnId,
}

impl OddCells {
    /// Adds a cell and tells its place.
    fn push(
        &mut self,
        append: impl FnOnce(&mut ColumnBuilder) -> Result<(), terrane_client::cell::CellError>,
    ) -> Result<(usize, usize)> {
        append(&mut self.builder).map_err(bad_cell(self.id))?;
        self.count += 1;
        Ok((0, self.count - 1))
    }
}
