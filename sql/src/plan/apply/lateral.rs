//! LATERAL: relations in FROM that mention columns of the relations to their left.
//!
//! `left JOIN LATERAL (query) AS l ON condition` becomes the left rows, each with the list of the rows that the
//! query answers for it and the condition lets through; `unnest` makes rows of the list. LEFT JOIN keeps
//! a left row whose list is empty.

use super::{Kind, Lowering, free};
use arrow::array::{Array, ArrayRef, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, ScalarValue, Spans, UnnestOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Expr, ExprSchemable, Join, LogicalPlan, LogicalPlanBuilder, Subquery,
};
use std::sync::Arc;

/// The column of lists.
const ROWS: &str = "__terrane_rows";

/// True for a relation that mentions columns to its left.
pub(super) fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Subquery(subquery) => !subquery.outer_ref_columns.is_empty(),
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        _ => false,
    }
}

/// True for a join whose right side mentions columns of the left. Where only a subquery within it does, DataFusion's
/// plan does not say that it is LATERAL.
pub(super) fn looks_left(join: &Join) -> bool {
    let left = join.left.schema();
    let within = |columns: Vec<Column>| columns.iter().any(|column| left.has_column(column));
    is_lateral(&join.right) || free::columns(&join.right).is_ok_and(within)
}

/// The relation as a plain query.
fn plain(plan: &LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Subquery(subquery) => Ok((*subquery.subquery).clone()),
        LogicalPlan::SubqueryAlias(alias) => {
            LogicalPlanBuilder::from(plain(&alias.input)?).alias(alias.alias.clone())?.build()
        }
        other => Ok(other.clone()),
    }
}

impl Lowering {
    pub(super) fn lateral_join(&mut self, join: Join) -> Result<LogicalPlan> {
        let preserve_nulls = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            other => {
                return Err(DataFusionError::NotImplemented(format!(
                    "a LATERAL relation in a {other} JOIN is not supported"
                )));
            }
        };
        let left = Arc::clone(&join.left);
        let mut query = plain(&join.right)?;
        if let Some(condition) = condition(&join)? {
            query = LogicalPlanBuilder::from(query).filter(condition)?.build()?;
        }
        let kept: Vec<Expr> = left.schema().columns().into_iter().map(Expr::Column).collect();
        let names: Vec<_> = query
            .schema()
            .iter()
            .map(|(relation, field)| (relation.cloned(), field.name().clone()))
            .collect();
        let subquery = Subquery {
            subquery: Arc::new(query),
            outer_ref_columns: Vec::new(),
            spans: Spans::new(),
        };
        let rows = self.call(Kind::Rows, None, subquery, left.schema())?;
        let mut listed = kept.clone();
        listed.push(rows.alias(ROWS));
        let column = Column::new_unqualified(ROWS);
        let mut shown = kept;
        for (at, (relation, name)) in names.into_iter().enumerate() {
            let value = get_field(Expr::Column(column.clone()), field_name(at));
            shown.push(value.alias_qualified(relation, name));
        }
        let options = UnnestOptions::new().with_preserve_nulls(preserve_nulls);
        LogicalPlanBuilder::from(left)
            .project(listed)?
            .unnest_columns_with_options(vec![column], options)?
            .project(shown)?
            .build()
    }
}

/// The join's condition as the query's own: columns of the left side are outer ones to it.
fn condition(join: &Join) -> Result<Option<Expr>> {
    let pairs = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let Some(condition) = conjunction(pairs.chain(join.filter.clone())) else { return Ok(None) };
    let schema = join.left.schema();
    let outer = condition.transform_up(|part| {
        Ok(match part {
            Expr::Column(column) if schema.has_column(&column) => {
                let (_, field) = Expr::Column(column.clone()).to_field(schema)?;
                Transformed::yes(Expr::OuterReferenceColumn(field, column))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(Some(outer.data))
}

fn field_name(at: usize) -> String {
    format!("c{at}")
}

/// A list of the query's rows; NULL where there are none.
pub(super) fn rows_field(query: &LogicalPlan) -> FieldRef {
    let columns = query.schema().fields().iter().enumerate();
    let fields: Fields = columns
        .map(|(at, field)| field.as_ref().clone().with_name(field_name(at)).with_nullable(true))
        .collect();
    let item = Arc::new(Field::new_list_field(DataType::Struct(fields), true));
    Arc::new(Field::new(ROWS, DataType::List(item), true))
}

/// The answer for one left row.
pub(super) fn rows(batches: Vec<RecordBatch>, field: &FieldRef) -> Result<ScalarValue> {
    let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let DataType::List(item) = field.data_type() else {
        return Err(DataFusionError::Internal("a LATERAL query answers a list".to_owned()));
    };
    let DataType::Struct(fields) = item.data_type() else {
        return Err(DataFusionError::Internal("a list of rows".to_owned()));
    };
    let Some(first) = batches.first().filter(|_| count > 0) else {
        return ScalarValue::try_from(field.data_type());
    };
    let all = concat_batches(&first.schema(), &batches)?;
    let columns: Vec<ArrayRef> = all
        .columns()
        .iter()
        .zip(fields)
        .map(|(column, field)| Ok(cast(column, field.data_type())?))
        .collect::<Result<_>>()?;
    let rows = match fields.is_empty() {
        true => StructArray::new_empty_fields(count, None),
        false => StructArray::try_new(fields.clone(), columns, None)?,
    };
    let offsets = OffsetBuffer::from_lengths([rows.len()]);
    let list = ListArray::try_new(Arc::clone(item), offsets, Arc::new(rows), None)?;
    Ok(ScalarValue::List(Arc::new(list)))
}
