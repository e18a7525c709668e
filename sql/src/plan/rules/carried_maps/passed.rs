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
    let Some(pieces) = child.downcast_ref::<MapPiecesExec>() else { return Ok(None) };
    let input = Arc::clone(pieces.input());
    let schema = input.schema();
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        let condition = InPieces::condition(filter.predicate(), &schema);
        let filter = FilterExecBuilder::from(filter).with_input(input).with_predicate(condition);
        return Ok(Some(Arc::new(filter.build()?)));
    }
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let columns = projection.expr().iter().map(|column| projected(column, &schema));
        let Some(columns) = columns.collect::<Result<Option<Vec<_>>>>()? else { return Ok(None) };
        return Ok(Some(Arc::new(ProjectionExec::try_new(columns, input)?)));
    }
    if !collects(&**node) || looks_into(&**node, &schema)? {
        return Ok(None);
    }
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(node).replace_children(vec![input], options).map(Some)
}

/// A column over carried maps. None where a map is taken apart, or made into what may be as large: thousands of those
/// are too much.
fn projected(column: &ProjectionExpr, schema: &Schema) -> Result<Option<ProjectionExpr>> {
    if column.expr.is::<Column>() || looked_at(&column.expr, schema).is_empty() {
        return Ok(Some(column.clone()));
    }
    let expr = InPieces::over(Arc::clone(&column.expr), schema);
    let data_type = expr.data_type(schema)?;
    let is_small = data_type.is_primitive() || data_type.is_null() || data_type == DataType::Boolean;
    Ok(is_small.then(|| ProjectionExpr { expr, alias: column.alias.clone() }))
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
