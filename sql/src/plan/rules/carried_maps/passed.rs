//! What carried maps pass through above the joins.
//!
//! Operators put the rows that they keep together into batches of thousands, whatever those weigh. Those that do not
//! look into maps are given the carried ones, so that the maps are taken apart as far up as can be.

use super::expressions::{InPieces, looked_at};
use super::pieces::MapPiecesExec;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use std::sync::Arc;

/// An operator over the carried maps below it; none where it has none, or looks into them.
pub(super) fn through(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let children = node.children();
    let [child] = children.as_slice() else { return Ok(None) };
    let Some(input) = MapPiecesExec::carried(child).map(Arc::clone) else { return Ok(None) };
    let schema = input.schema();
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let condition = InPieces::condition(filter.predicate(), &schema);
        let filter = FilterExecBuilder::from(filter).with_input(input).with_predicate(condition);
        return Ok(Some(Arc::new(filter.build()?)));
    }
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        return projected(projection, input).map(Some);
    }
    if !collects(&**node) || looks_into(&**node, &schema)? {
        return Ok(None);
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(node).replace_children(vec![input], options).map(Some)
}

/// A projection over carried maps. What it makes of them may be as large as they are, and is made of few at once.
fn projected(
    projection: &ProjectionExec,
    mut input: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = input.schema();
    let mut columns = Vec::with_capacity(projection.expr().len());
    let mut taken_apart = Vec::new();
    for column in projection.expr() {
        if column.expr.is::<Column>() {
            columns.push(column.clone());
            continue;
        }
        let expr = InPieces::over(Arc::clone(&column.expr), &schema);
        if !is_small(&expr.data_type(&schema)?) {
            taken_apart.extend(looked_at(&column.expr, &schema));
        }
        columns.push(ProjectionExpr { expr, alias: column.alias.clone() });
    }
    taken_apart.sort_unstable();
    taken_apart.dedup();
    if !taken_apart.is_empty() {
        input = Arc::new(MapPiecesExec::of_carried(input, taken_apart)?);
    }
    Ok(Arc::new(ProjectionExec::try_new(columns, input)?))
}

fn is_small(data_type: &DataType) -> bool {
    data_type.is_primitive() || matches!(data_type, DataType::Boolean | DataType::Null)
}

/// True for operators that answer their input's rows as they are, or with columns behind them.
fn collects(node: &dyn ExecutionPlan) -> bool {
    // All rows in order are written to files where they are too many, each batch with all that its views point into.
    let is_sort = node.downcast_ref::<SortExec>().is_some_and(|sort| sort.fetch().is_some());
    is_sort
        || node.is::<RepartitionExec>()
        || node.is::<CoalescePartitionsExec>()
        || node.is::<SortPreservingMergeExec>()
        || node.is::<LocalLimitExec>()
        || node.is::<GlobalLimitExec>()
        || node.is::<CooperativeExec>()
        || node.is::<WindowAggExec>()
        || node.is::<BoundedWindowAggExec>()
}

fn looks_into(node: &dyn ExecutionPlan, schema: &Schema) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(&mut |expr| {
        found |= !looked_at(expr, schema).is_empty();
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
