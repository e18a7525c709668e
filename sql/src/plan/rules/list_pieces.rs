//! How much of a row is unfolded at once where something large is repeated beside its elements.
//!
//! `unnest` takes a row's list whole and copies the row's other columns for each element. Of text and bytea that copies
//! a pointer; a map is copied in full, and a map of 100 MB beside its million keys would be 100 TB. So the rows come to
//! it in pieces: lists of so few elements that what is copied beside them stays within [`PIECE_BYTES_MAX`], or of one.
//! Copying still takes its time, in which the statement can be cancelled.

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// Bytes that are copied beside the elements of one piece.
const PIECE_BYTES_MAX: usize = 8 << 20;
/// Elements of a piece: as many as a batch has rows.
const PIECE_ROWS_MAX: usize = 8192;

/// Puts a [`ListPiecesExec`] under each `unnest` that copies maps.
#[derive(Debug)]
pub struct ListPieces;

impl PhysicalOptimizerRule for ListPieces {
    fn name(&self) -> &str {
        "list_pieces"
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let in_pieces = plan.transform_up(|node| {
            let Some(unnest) = node.downcast_ref::<UnnestExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(pieces) = ListPiecesExec::under(unnest) else {
                return Ok(Transformed::no(node));
            };
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            node.replace_children(vec![Arc::new(pieces)], options).map(Transformed::yes)
        })?;
        Ok(in_pieces.data)
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Gives out its input in pieces.
#[derive(Debug)]
struct ListPiecesExec {
    input: Arc<dyn ExecutionPlan>,
    /// The columns that are unfolded.
    lists: Vec<usize>,
    /// The columns that are copied in full.
    copied: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl ListPiecesExec {
    fn under(unnest: &UnnestExec) -> Option<Self> {
        let input = Arc::clone(unnest.input());
        let schema = input.schema();
        let lists: Vec<usize> =
            unnest.list_column_indices().iter().map(|list| list.index_in_input_schema).collect();
        let is_plain = |at: &usize| matches!(schema.field(*at).data_type(), DataType::List(_));
        let is_deep = unnest.list_column_indices().iter().any(|list| list.depth != 1);
        if lists.is_empty() || is_deep || !lists.iter().all(is_plain) {
            return None;
        }
        let is_map = |at: &usize| *schema.field(*at).data_type() == DataType::LargeBinary;
        let copied: Vec<usize> = (0..schema.fields().len()).filter(is_map).collect();
        if copied.is_empty() {
            return None;
        }
        // Rows stay in their order, and those that are the same in what they have.
        let properties = Arc::clone(input.properties());
        Some(Self { input, lists, copied, properties })
    }
}

impl DisplayAs for ListPiecesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListPiecesExec")
    }
}

impl ExecutionPlan for ListPiecesExec {
    fn name(&self) -> &str {
        "ListPiecesExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        let properties = Arc::clone(input.properties());
        let (lists, copied) = (self.lists.clone(), self.copied.clone());
        Ok(Arc::new(Self { input, lists, copied, properties }))
    }

    fn execute(
        &self,
        partition: usize,
        task: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, task)?;
        let schema = input.schema();
        let (lists, copied) = (self.lists.clone(), self.copied.clone());
        let pieces = input.flat_map(move |batch| match batch {
            Ok(batch) => stream::iter(Pieces::of(batch, &lists, &copied)).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, pieces)))
    }
}

/// The pieces of a batch: some of its rows, or a part of one row's lists.
struct Pieces {
    batch: RecordBatch,
    lists: Vec<usize>,
    copied: Vec<usize>,
    /// The row that is next.
    row: usize,
    /// Its elements that were given out.
    given: usize,
}

impl Pieces {
    fn of(batch: RecordBatch, lists: &[usize], copied: &[usize]) -> Self {
        Self { batch, lists: lists.to_vec(), copied: copied.to_vec(), row: 0, given: 0 }
    }

    fn list(&self, at: usize) -> &ListArray {
        self.batch.column(at).as_list()
    }

    /// Elements of a row's longest list.
    fn length(&self, row: usize) -> usize {
        let lists = self.lists.iter().map(|at| self.list(*at));
        let length = |list: &ListArray| match list.is_null(row) {
            true => 0,
            // An offset is never below the one before it.
            false => usize::try_from(list.value_length(row)).unwrap_or_default(),
        };
        lists.map(length).max().unwrap_or_default()
    }

    /// Bytes that are copied for each element of a row.
    fn copied_bytes(&self, row: usize) -> usize {
        let columns = self.copied.iter().map(|at| self.batch.column(*at).as_binary::<i64>());
        columns.map(|column| column.value(row).len()).sum()
    }

    /// How many rows make a piece, from the next on; none where that is too much alone.
    fn whole_rows(&self) -> usize {
        let (mut elements, mut bytes) = (0, 0);
        for row in self.row..self.batch.num_rows() {
            let length = self.length(row);
            elements += length.max(1);
            bytes += length.saturating_mul(self.copied_bytes(row));
            if elements > PIECE_ROWS_MAX || bytes > PIECE_BYTES_MAX {
                return row - self.row;
            }
        }
        self.batch.num_rows() - self.row
    }

    /// The next elements of the next row.
    fn part_of_row(&mut self) -> Result<RecordBatch> {
        let at_most = PIECE_BYTES_MAX / self.copied_bytes(self.row).max(1);
        let count = at_most.clamp(1, PIECE_ROWS_MAX);
        let mut columns = self.batch.slice(self.row, 1).columns().to_vec();
        for at in &self.lists {
            columns[*at] = part(self.list(*at), self.row, self.given, count)?;
        }
        self.given += count;
        if self.given >= self.length(self.row) {
            (self.row, self.given) = (self.row + 1, 0);
        }
        Ok(RecordBatch::try_new(self.batch.schema(), columns)?)
    }
}

impl Iterator for Pieces {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.row >= self.batch.num_rows() {
            return None;
        }
        let rows = if self.given == 0 { self.whole_rows() } else { 0 };
        if rows == 0 {
            return Some(self.part_of_row());
        }
        let piece = self.batch.slice(self.row, rows);
        self.row += rows;
        Some(Ok(piece))
    }
}

/// Some of the elements of one list, as a list.
fn part(lists: &ListArray, row: usize, first: usize, count: usize) -> Result<ArrayRef> {
    let elements = lists.value(row);
    let length = if lists.is_null(row) { 0 } else { elements.len() };
    let first = first.min(length);
    let count = count.min(length - first);
    let DataType::List(item) = lists.data_type() else {
        return Err(datafusion::error::DataFusionError::Internal("a list that is none".to_owned()));
    };
    let offsets = OffsetBuffer::from_lengths([count]);
    let part = ListArray::try_new(Arc::clone(item), offsets, elements.slice(first, count), None)?;
    Ok(Arc::new(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, LargeBinaryArray};
    use arrow::datatypes::{Field, Int32Type, Schema};

    /// Elements by piece.
    fn pieces_of(lengths: &[usize], map: &[u8]) -> Vec<Vec<usize>> {
        let elements = Int32Array::from_iter_values(0..lengths.iter().sum::<usize>() as i32);
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
        let lists = ListArray::new(Arc::clone(&item), offsets, Arc::new(elements), None);
        let maps = LargeBinaryArray::from_iter_values(lengths.iter().map(|_| map));
        let schema = Schema::new(vec![
            Field::new("lists", DataType::List(item), true),
            Field::new("maps", DataType::LargeBinary, true),
        ]);
        let columns: Vec<ArrayRef> = vec![Arc::new(lists), Arc::new(maps)];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let mut next = 0;
        let mut pieces = Vec::new();
        for piece in Pieces::of(batch, &[0], &[1]) {
            let piece = piece.unwrap();
            let lists = piece.column(0).as_list::<i32>();
            let mut lengths = Vec::new();
            for list in lists.iter().flatten() {
                let elements = list.as_primitive::<Int32Type>();
                assert!(elements.values().iter().all(|element| {
                    next += 1;
                    *element == next - 1
                }));
                lengths.push(elements.len());
            }
            pieces.push(lengths);
        }
        pieces
    }

    #[test]
    fn rows_that_copy_little_stay_together() {
        assert_eq!(pieces_of(&[2, 0, 3], b"map"), [[2, 0, 3]]);
        assert_eq!(pieces_of(&[5000, 5000, 0], b""), [vec![5000], vec![5000, 0]]);
    }

    #[test]
    fn a_row_that_copies_much_comes_in_parts() {
        let map = vec![0; 3 << 20];
        assert_eq!(
            pieces_of(&[1, 5, 1, 1], &map),
            [vec![1], vec![2], vec![2], vec![1], vec![1, 1]]
        );
        assert_eq!(pieces_of(&[20_000], b""), [[8192], [8192], [3616]]);
        // What is larger than a piece comes with one element.
        assert_eq!(pieces_of(&[2], &vec![0; 9 << 20]), [[1], [1]]);
    }
}
