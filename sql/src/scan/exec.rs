//! The leaf operator: reads one table's tablets in key order.

use super::as_of::Past;
use super::counts::ScanCounts;
use super::map_range;
use super::overlay::{OverlaidRows, OverlayMerge};
use super::statement::StatementContext;
use super::unread_maps::UnreadMaps;
use super::versions::Showing;
use crate::plan::errors;
use arrow::array::AsArray;
use arrow::compute::SortOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use std::fmt;
use std::sync::Arc;
use terrane_client::columns::{RowBatch, arrow_schema};
use terrane_client::expr::{Expr as Predicate, ranges_of};
use terrane_client::ids::ColumnId;
use terrane_client::map_column::{MapPart, MapParts};
use terrane_client::read::{GroupsOfScan, KeyRange, Projected, ScanRequest, Versions};
use terrane_client::schema::TableSchema;

/// Rows of a batch.
const BATCH_ROWS_MAX: usize = 8192;

/// Reads a table at the statement's timestamp, the block's own rows merged in.
#[derive(Debug)]
pub struct TabletScanExec {
    table: Arc<TableSchema>,
    schema: SchemaRef,
    projection: Vec<Projected>,
    predicates: Vec<Predicate>,
    limit: Option<usize>,
    /// The table is read as it was; `None` is at the statement's own timestamp.
    past: Option<Arc<Past>>,
    /// What is looked at of its maps.
    map_parts: Arc<MapParts>,
    /// How columns are shown; `None` where all are as the tablets give them.
    showing: Option<Arc<Showing>>,
    /// The ranges of each partition; `None` is one partition of all the ranges there are.
    pieces: Option<Vec<Vec<KeyRange>>>,
    properties: Arc<PlanProperties>,
    /// What it did so far.
    counts: Arc<ScanCounts>,
}

impl TabletScanExec {
    /// A scan of `projection`, whose columns have the fields of `schema`.
    pub fn new(
        table: Arc<TableSchema>,
        schema: SchemaRef,
        projection: Vec<Projected>,
        predicates: Vec<Predicate>,
        limit: Option<usize>,
    ) -> Self {
        let ordering = key_ordering(&table, &schema, &projection);
        let equivalence = EquivalenceProperties::new_with_orderings(
            Arc::clone(&schema),
            (!ordering.is_empty()).then_some(ordering),
        );
        let properties = Self::properties(equivalence, 1);
        Self {
            table,
            schema,
            projection,
            predicates,
            limit,
            past: None,
            map_parts: Arc::default(),
            showing: None,
            pieces: None,
            properties,
            counts: Arc::default(),
        }
    }

    /// The same, of the table as it was.
    pub fn reading(self, past: Option<Arc<Past>>) -> Self {
        Self { past, ..self }
    }

    /// The same, of whose maps no more is looked at.
    pub fn with_map_parts(self, map_parts: Arc<MapParts>) -> Self {
        Self { map_parts, ..self }
    }

    /// The same, with columns that are shown otherwise than the tablets give them, or with versions.
    pub fn showing(self, showing: Option<Arc<Showing>>) -> Self {
        Self { showing, ..self }
    }

    /// Which versions of rows are read.
    fn versions(&self) -> Versions {
        self.showing.as_ref().map_or(Versions::Newest, |showing| showing.versions)
    }

    /// What the block has written over what is read; nothing of it was there in the past, and it is no version yet.
    fn overlaid<'a>(&self, context: &'a StatementContext) -> Option<&'a Arc<OverlaidRows>> {
        match self.past {
            Some(_) => None,
            None if self.versions() != Versions::Newest => None,
            None => context.overlay.table(self.table.storage),
        }
    }

    /// The map columns it shows.
    fn maps(&self) -> Vec<ColumnId> {
        let map = |projected: &Projected| match projected {
            Projected::Column(id) => self.table.column(*id).filter(|c| c.is_map()).map(|_| *id),
            _ => None,
        };
        self.projection.iter().filter_map(map).collect()
    }

    fn properties(equivalence: EquivalenceProperties, partitions: usize) -> Arc<PlanProperties> {
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::NonCooperative);
        Arc::new(properties)
    }

    /// As several partitions, where the table is large and nothing in the block lies over it.
    pub fn split(mut self, context: &StatementContext) -> Self {
        let storage = self.table.storage;
        if self.overlaid(context).is_some() {
            return self;
        }
        let pieces = context.splits.pieces(storage, &self.ranges(context));
        if pieces.len() > 1 {
            let equivalence = self.properties.eq_properties.clone();
            self.properties = Self::properties(equivalence, pieces.len());
            self.pieces = Some(pieces);
        }
        self
    }

    fn ranges(&self, context: &StatementContext) -> Vec<KeyRange> {
        match self.predicates.is_empty() || !context.pushdown {
            true => vec![KeyRange::all()],
            false => ranges_of(&self.table, &self.predicates),
        }
    }

    /// The locality groups it reads, by name.
    fn group_names(&self) -> Vec<&str> {
        if self.versions() != Versions::Newest {
            return self.table.groups.iter().map(|group| group.name.as_str()).collect();
        }
        let read = GroupsOfScan::choose(&self.table, &self.projection, &self.predicates).all();
        let groups = self.table.groups.iter().filter(|group| read.contains(&group.id));
        groups.map(|group| group.name.as_str()).collect()
    }

    fn request(&self, context: &StatementContext, partition: usize, overlaid: bool) -> ScanRequest {
        let mut projection = self.projection.clone();
        if overlaid {
            projection.push(Projected::Key);
        }
        if self.showing.as_ref().is_some_and(|showing| showing.is_cells()) {
            projection.extend([Projected::CellColumn, Projected::CellKey]);
        }
        let predicates = if context.pushdown { self.predicates.clone() } else { Vec::new() };
        let ranges = match &self.pieces {
            Some(pieces) => pieces.get(partition).cloned().unwrap_or_default(),
            None => self.ranges(context),
        };
        ScanRequest {
            table: self.table.storage,
            schema_version: self.table.version,
            read_ts: Some(self.past.as_ref().map_or(context.read_ts, |past| past.at())),
            ranges,
            projection,
            map_parts: Arc::clone(&self.map_parts),
            predicates,
            versions: self.versions(),
            limit: self.limit.filter(|_| !overlaid).map(|limit| limit as u64),
            reverse: false,
            batch_rows_max: BATCH_ROWS_MAX,
        }
    }
}

/// The key columns the projection starts with, in key order: rows come sorted by them. NULLs cannot be
/// in a key, so where they would stand is free: PostgreSQL's default for the direction.
fn key_ordering(
    table: &TableSchema,
    schema: &SchemaRef,
    projection: &[Projected],
) -> Vec<PhysicalSortExpr> {
    let mut ordering = Vec::new();
    for key in &table.key {
        let wanted = Projected::Column(key.column);
        let Some(at) = projection.iter().position(|projected| *projected == wanted) else { break };
        let column = Arc::new(Column::new(schema.field(at).name(), at));
        let options = SortOptions { descending: key.descending, nulls_first: key.descending };
        ordering.push(PhysicalSortExpr::new(column, options));
    }
    ordering
}

impl DisplayAs for TabletScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.schema.fields().iter().map(|field| field.name()).collect();
        write!(f, "TabletScanExec: table={}, columns={columns:?}", self.table.name)?;
        if !self.predicates.is_empty() {
            let ranges = ranges_of(&self.table, &self.predicates);
            let whole = ranges.iter().any(|range| *range == KeyRange::all());
            let ranges = if whole { "all".to_owned() } else { ranges.len().to_string() };
            write!(f, ", predicates={}, key ranges={ranges}", self.predicates.len())?;
        }
        if self.table.groups.len() > 1 {
            write!(f, ", locality groups={:?}", self.group_names())?;
        }
        for (id, part) in &self.map_parts.0 {
            let Some(column) = self.table.column(*id) else { continue };
            match (part, column.map_type()) {
                (MapPart::Keys(keys), _) => write!(f, ", keys of {}={}", column.name, keys.len())?,
                (MapPart::Range(range), Some(of)) => {
                    write!(f, ", keys of {} in {}", column.name, map_range::shown(range, of))?;
                }
                _ => {}
            }
        }
        match self.versions() {
            Versions::Newest => {}
            Versions::Rows(_) => write!(f, ", versions=rows")?,
            Versions::Cells(_) => write!(f, ", versions=cells")?,
        }
        if let Some(past) = &self.past {
            write!(f, ", as of={past}")?;
        }
        if let Some(pieces) = &self.pieces {
            write!(f, ", threads={}", pieces.len())?;
        }
        if let Some(limit) = self.limit {
            write!(f, ", limit={limit}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for TabletScanExec {
    fn name(&self) -> &str {
        "TabletScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.counts.metrics())
    }

    fn execute(
        &self,
        partition: usize,
        task: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let context = StatementContext::of(&task)?;
        let overlaid = self.overlaid(&context).cloned();
        if context.shows && self.past.is_none() {
            context.overlay.note_read(self.table.storage);
        }
        let request = self.request(&context, partition, overlaid.is_some());
        let counts = Arc::clone(&self.counts);
        let ranges = request.ranges.clone();
        let stored = stored_batches(Arc::clone(&context), request, self.past.clone(), counts);
        let schema = Arc::clone(&self.schema);
        let given = match &self.showing {
            None => Arc::clone(&schema),
            Some(_) => arrow_schema(&self.table, &self.projection).map_err(errors::from_tablet)?,
        };
        let batches = match overlaid {
            None if self.showing.is_some() => stored,
            None => stored.map(move |batch| restate(&given, &batch?)).boxed(),
            Some(rows) => {
                let (table, projection) = (Arc::clone(&self.table), self.projection.clone());
                let merged = move |rows: Arc<OverlaidRows>| {
                    let live = overlaid_batch(&table, &given, &projection, &rows)?;
                    Ok::<_, DataFusionError>(overlay(stored, OverlayMerge::new(rows, live)))
                };
                let columns = self.maps();
                let unread = context.overlay.unread_of_table(self.table.storage).cloned();
                match unread.filter(|_| !columns.is_empty()) {
                    None => merged(rows)?,
                    Some(unread) => {
                        let (table, parts) = (Arc::clone(&self.table), Arc::clone(&self.map_parts));
                        let opened = async move {
                            let maps = UnreadMaps {
                                tablets: &*context.tablets,
                                schema: &table,
                                read_ts: Some(context.read_ts),
                                columns: Some(&columns),
                                parts: &parts,
                            };
                            let completed = maps.completed(&rows, &unread, &ranges).await;
                            merged(Arc::new(completed.map_err(errors::from_tablet)?))
                        };
                        stream::once(opened).try_flatten().boxed()
                    }
                }
            }
        };
        let batches = match &self.showing {
            None => batches,
            Some(showing) => {
                let (showing, table) = (Arc::clone(showing), Arc::clone(&self.table));
                let schema = Arc::clone(&schema);
                batches.map(move |batch| showing.show(&table, &schema, &batch?)).boxed()
            }
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

type Batches = BoxStream<'static, Result<RecordBatch>>;

fn stored_batches(
    context: Arc<StatementContext>,
    request: ScanRequest,
    past: Option<Arc<Past>>,
    counts: Arc<ScanCounts>,
) -> Batches {
    let told = move |error| match &past {
        Some(past) => errors::external(past.error(error)),
        None => errors::from_tablet(error),
    };
    let opened = async move {
        let response = context.tablets.read(request).await.map_err(&told)?;
        let read = counts.open(response.metrics);
        let batches = response.batches.map_err(move |error| {
            // The read is open as long as its stream is.
            let _ = &read;
            told(error)
        });
        Ok::<_, DataFusionError>(batches)
    };
    stream::once(opened).try_flatten().boxed()
}

/// The batch under the plan's schema, which carries PostgreSQL's types in its metadata.
fn restate(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns()[..schema.fields().len()].to_vec();
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// Batches that end in a key column, merged with the overlay.
fn overlay(stored: Batches, merge: OverlayMerge) -> Batches {
    let state = (stored, merge, false);
    stream::try_unfold(state, |(mut stored, mut merge, done)| async move {
        if done {
            return Ok(None);
        }
        let (batch, done) = match stored.try_next().await? {
            Some(batch) => {
                let last = batch.num_columns() - 1;
                let keys = batch.column(last).as_binary_view().clone();
                let columns: Vec<usize> = (0..last).collect();
                (merge.merge(&batch.project(&columns)?, &keys)?, false)
            }
            None => (merge.rest()?, true),
        };
        Ok(Some((batch, (stored, merge, done))))
    })
    .boxed()
}

/// The overlaid rows that exist, in key order, as a batch of the scan.
fn overlaid_batch(
    table: &Arc<TableSchema>,
    schema: &SchemaRef,
    projection: &[Projected],
    rows: &OverlaidRows,
) -> Result<RecordBatch> {
    let mut batch =
        RowBatch::new(Arc::clone(table), projection, rows.len()).map_err(errors::from_tablet)?;
    for (key, row) in rows {
        if let Some(row) = row {
            batch.push(key, row).map_err(errors::from_tablet)?;
        }
    }
    let batch = batch.finish().map_err(errors::from_tablet)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)?)
}
