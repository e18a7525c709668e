//! Rows in pieces: of so few at once that their maps stay within a bound, so that they can be made cells again.

use super::carried::{Form, carried_columns, map_bytes, retyped};
use super::expressions::Turned;
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, stream};
use std::fmt;
use std::sync::Arc;

/// Bytes of the maps of one piece, or one row.
pub(super) const PIECE_BYTES_MAX: usize = 8 << 20;

/// The pieces of a batch, with the maps of some of its columns in a form.
pub(super) struct Pieces {
    batch: RecordBatch,
    schema: SchemaRef,
    /// Those columns, as views.
    maps: Vec<(usize, ArrayRef)>,
    form: Form,
    /// The row that is next.
    row: usize,
}

impl Pieces {
    pub(super) fn of(batch: &RecordBatch, columns: &[usize], form: Form) -> Result<Self> {
        let views = |at: &usize| Ok((*at, Form::View.of(batch.column(*at))?));
        let maps: Vec<_> = columns.iter().map(views).collect::<Result<_>>()?;
        let schema = Arc::new(retyped(batch.schema_ref(), columns, form));
        Ok(Self { batch: batch.clone(), schema, maps, form, row: 0 })
    }

    /// How many rows make the next piece.
    fn rows(&self) -> usize {
        let maps: Vec<_> = self.maps.iter().map(|(_, maps)| maps.as_binary_view()).collect();
        let mut bytes = 0;
        for row in self.row..self.batch.num_rows() {
            bytes += maps.iter().map(|maps| map_bytes(maps, row)).sum::<usize>();
            if bytes > PIECE_BYTES_MAX {
                return (row - self.row).max(1);
            }
        }
        self.batch.num_rows() - self.row
    }

    fn piece(&self, rows: usize) -> Result<RecordBatch> {
        let mut columns = self.batch.slice(self.row, rows).columns().to_vec();
        for (at, maps) in &self.maps {
            let maps = maps.slice(self.row, rows);
            match self.form {
                Form::Carried => {}
                Form::View => columns[*at] = maps,
                Form::Cells => columns[*at] = self.form.of(&maps)?,
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Iterator for Pieces {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.row >= self.batch.num_rows() {
            return None;
        }
        let rows = self.rows();
        let piece = self.piece(rows);
        self.row += rows;
        Some(piece)
    }
}

/// Gives out its input in pieces.
#[derive(Debug)]
pub(super) struct MapPiecesExec {
    input: Arc<dyn ExecutionPlan>,
    /// The carried columns that are counted.
    columns: Vec<usize>,
    /// The form they come out in.
    form: Form,
    properties: Arc<PlanProperties>,
}

impl MapPiecesExec {
    /// A plan without carried maps: the plan itself, if it has none.
    pub(super) fn over(input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = carried_columns(&input.schema());
        match columns.is_empty() {
            true => Ok(input),
            false => Ok(Arc::new(Self::new(input, columns, Form::Cells)?)),
        }
    }

    /// A plan whose maps stay carried, for what is made of the maps of some columns.
    pub(super) fn of_carried(input: Arc<dyn ExecutionPlan>, columns: Vec<usize>) -> Result<Self> {
        Self::new(input, columns, Form::Carried)
    }

    fn new(input: Arc<dyn ExecutionPlan>, columns: Vec<usize>, form: Form) -> Result<Self> {
        // Rows stay in their order and their partitions, as under a projection to the same columns.
        let properties = match form {
            Form::Cells => {
                let cells = Turned::to_cells(&input.schema());
                Arc::clone(ProjectionExec::try_new(cells, Arc::clone(&input))?.properties())
            }
            Form::View | Form::Carried => Arc::clone(input.properties()),
        };
        Ok(Self { input, columns, form, properties })
    }

    /// What has the maps that this makes cells as they are carried.
    pub(super) fn carried(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
        let pieces = plan.downcast_ref::<Self>().filter(|pieces| pieces.form == Form::Cells)?;
        Some(&pieces.input)
    }
}

impl DisplayAs for MapPiecesExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapPiecesExec")
    }
}

impl ExecutionPlan for MapPiecesExec {
    fn name(&self) -> &str {
        "MapPiecesExec"
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
        Ok(Arc::new(Self::new(input, self.columns.clone(), self.form)?))
    }

    fn execute(
        &self,
        partition: usize,
        task: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, task)?;
        let (columns, form) = (self.columns.clone(), self.form);
        let pieces = input.flat_map(move |batch| {
            match batch.and_then(|batch| Pieces::of(&batch, &columns, form)) {
                Ok(pieces) => stream::iter(pieces).left_stream(),
                Err(error) => stream::iter([Err(error)]).right_stream(),
            }
        });
        let pieces = RecordBatchStreamAdapter::new(self.schema(), pieces.boxed());
        // To make pieces takes its time, in which the input is not asked.
        Ok(Box::pin(cooperative(pieces)))
    }
}
