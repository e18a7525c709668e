//! Joins and unnest over carried maps.

use super::carried::{Form, is_carried, is_map, retyped};
use super::expressions::{InPieces, Turned};
use super::pieces::MapPiecesExec;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::JoinSide;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, PhysicalExprRef};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use std::sync::Arc;

/// A join, or unnest, over inputs that hand over their maps; none where there are no maps.
pub(super) fn carrying(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let Some(inputs) = Inputs::of(join.left(), join.right())? else { return Ok(None) };
        let filter = join.filter().map(|filter| inputs.filter(filter));
        let carrying = NestedLoopJoinExecBuilder::new(inputs.left, inputs.right, *join.join_type())
            .with_projection_ref(join.projection().clone())
            .with_filter(filter);
        return Ok(Some(Arc::new(carrying.build()?)));
    }
    if let Some(join) = node.downcast_ref::<CrossJoinExec>() {
        let Some(inputs) = Inputs::of(join.left(), join.right())? else { return Ok(None) };
        return Ok(Some(Arc::new(CrossJoinExec::new(inputs.left, inputs.right))));
    }
    if let Some(unnest) = node.downcast_ref::<UnnestExec>() {
        return unfolding(unnest);
    }
    let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(None) };
    let Some(inputs) = Inputs::of(join.left(), join.right())? else { return Ok(None) };
    let keys = join.on().iter().map(|(left, right)| inputs.keys(left, right));
    let keys: Vec<_> = keys.collect::<Result<_>>()?;
    let mut carrying = HashJoinExecBuilder::from(join);
    if keys != join.on() {
        // What it would tell its right side while it runs is told of the keys it had.
        carrying = carrying.reset_state();
    }
    let filter = join.filter().map(|filter| inputs.filter(filter));
    carrying
        .with_on(keys)
        .with_filter(filter)
        .with_new_children(vec![inputs.left, inputs.right])?
        .recompute_properties()
        .build_exec()
        .map(Some)
}

/// An unnest that repeats carried maps beside the elements of lists.
fn unfolding(unnest: &UnnestExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let lists = unnest.list_column_indices();
    let is_plain = lists.iter().all(|list| list.depth == 1)
        && unnest.struct_column_indices().is_empty()
        && unnest.schema().fields().len() == unnest.input().schema().fields().len();
    if !is_plain || !has_maps(&unnest.input().schema()) {
        return Ok(None);
    }
    let input = handed_over(unnest.input())?;
    let given = input.schema();
    // What a list's column becomes is what it has in it; the others stay what they are.
    let is_repeated = |at: &usize| {
        is_carried(given.field(*at).data_type())
            && lists.iter().all(|list| list.index_in_input_schema != *at)
    };
    let repeated: Vec<usize> = (0..given.fields().len()).filter(is_repeated).collect();
    let schema = Arc::new(retyped(&unnest.schema(), &repeated, Form::Carried));
    let (lists, options) = (lists.to_vec(), unnest.options().clone());
    Ok(Some(Arc::new(UnnestExec::new(input, lists, Vec::new(), schema, options)?)))
}

/// What is joined.
struct Inputs {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
}

impl Inputs {
    fn of(left: &Arc<dyn ExecutionPlan>, right: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        if !has_maps(&left.schema()) && !has_maps(&right.schema()) {
            return Ok(None);
        }
        Ok(Some(Self { left: handed_over(left)?, right: handed_over(right)? }))
    }

    /// The condition over rows of both.
    fn filter(&self, filter: &JoinFilter) -> JoinFilter {
        let [left, right] = [self.left.schema(), self.right.schema()];
        let field = |(field, from): (&FieldRef, &ColumnIndex)| {
            let input = match from.side {
                JoinSide::Left => left.field(from.index),
                JoinSide::Right => right.field(from.index),
                JoinSide::None => return Arc::clone(field),
            };
            let to = input.data_type().clone();
            match is_carried(&to) {
                true => Arc::new(field.as_ref().clone().with_data_type(to)),
                false => Arc::clone(field),
            }
        };
        let fields: Vec<FieldRef> =
            filter.schema().fields().iter().zip(filter.column_indices()).map(field).collect();
        let schema = Schema::new_with_metadata(fields, filter.schema().metadata().clone());
        let condition = InPieces::condition(filter.expression(), &schema);
        JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::new(schema))
    }

    /// A pair of keys.
    fn keys(
        &self,
        left: &PhysicalExprRef,
        right: &PhysicalExprRef,
    ) -> Result<(PhysicalExprRef, PhysicalExprRef)> {
        Ok((key(left, &self.left.schema())?, key(right, &self.right.schema())?))
    }
}

/// A key: views are compared as the maps are.
fn key(of: &PhysicalExprRef, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    if let Some(column) = of.downcast_ref::<Column>() {
        return Ok(match is_carried(schema.field(column.index()).data_type()) {
            true => Turned::expr(Arc::clone(of), Form::View),
            false => Arc::clone(of),
        });
    }
    let over = InPieces::over(Arc::clone(of), schema);
    Ok(match is_map(&over.data_type(schema)?) {
        true => Turned::expr(over, Form::View),
        false => over,
    })
}

fn has_maps(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| is_map(field.data_type()))
}

/// An input whose maps are carried.
fn handed_over(input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    // Those of a join below are carried already.
    let input = MapPiecesExec::carried(input).unwrap_or(input);
    let schema = input.schema();
    match has_maps(&schema) {
        true => {
            let handed = ProjectionExec::try_new(Turned::to_carried(&schema), Arc::clone(input))?;
            Ok(Arc::new(handed))
        }
        false => Ok(Arc::clone(input)),
    }
}
