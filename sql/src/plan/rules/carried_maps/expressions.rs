//! Expressions over maps that are carried.

use super::carried::{Form, is_carried, is_map, retyped};
use super::pieces::Pieces;
use crate::functions::map::MapFunction;
use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, IsNotNullExpr, IsNullExpr};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, conjunction, split_conjunction};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Maps in another form: of columns, or of expressions that are evaluated rows by row.
#[derive(Debug)]
pub(super) struct Turned {
    maps: Arc<dyn PhysicalExpr>,
    to: Form,
}

impl Turned {
    pub(super) fn expr(maps: Arc<dyn PhysicalExpr>, to: Form) -> Arc<dyn PhysicalExpr> {
        Arc::new(Self { maps, to })
    }

    /// All columns of a schema, its maps carried.
    pub(super) fn to_carried(schema: &Schema) -> Vec<ProjectionExpr> {
        turned(schema, is_map, Form::Carried)
    }

    /// All columns of a schema, none of them carried.
    pub(super) fn to_cells(schema: &Schema) -> Vec<ProjectionExpr> {
        turned(schema, is_carried, Form::Cells)
    }
}

fn turned(schema: &Schema, which: fn(&DataType) -> bool, to: Form) -> Vec<ProjectionExpr> {
    let of_field = |(at, field): (usize, &FieldRef)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
        let expr = if which(field.data_type()) { Turned::expr(column, to) } else { column };
        ProjectionExpr { expr, alias: field.name().clone() }
    };
    schema.fields().iter().enumerate().map(of_field).collect()
}

impl PartialEq for Turned {
    fn eq(&self, other: &Self) -> bool {
        self.maps.eq(&other.maps) && self.to == other.to
    }
}

impl Eq for Turned {}

impl Hash for Turned {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.maps.hash(state);
        self.to.hash(state);
    }
}

impl fmt::Display for Turned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.maps.fmt(f)
    }
}

impl PhysicalExpr for Turned {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.to.data_type())
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.maps.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        let field = self.maps.return_field(schema)?;
        Ok(Arc::new(field.as_ref().clone().with_data_type(self.to.data_type())))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let maps = self.maps.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(self.to.of(&maps)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.maps]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let maps = children.pop().unwrap_or_else(|| Arc::clone(&self.maps));
        Ok(Self::expr(maps, self.to))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.maps.fmt_sql(f)
    }
}

/// An expression over maps that are cells, where they are carried: it is given some rows at a time.
#[derive(Debug)]
pub(super) struct InPieces {
    inner: Arc<dyn PhysicalExpr>,
    /// The carried columns it looks at.
    columns: Vec<usize>,
    /// True where it takes views of maps as well as cells.
    takes_views: bool,
}

impl InPieces {
    /// The expression over a schema with carried maps; itself where it looks at none.
    pub(super) fn over(inner: Arc<dyn PhysicalExpr>, schema: &Schema) -> Arc<dyn PhysicalExpr> {
        let columns = looked_at(&inner, schema);
        if columns.is_empty() {
            return inner;
        }
        let takes_views = takes_views(&inner, schema);
        Arc::new(Self { inner, columns, takes_views })
    }

    /// A condition over a schema with carried maps. Those of its terms that look at none stay what they are: rows that
    /// they reject are not looked at by the others.
    pub(super) fn condition(of: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Arc<dyn PhysicalExpr> {
        if looked_at(of, schema).is_empty() {
            return Arc::clone(of);
        }
        let terms = split_conjunction(of).into_iter();
        conjunction(terms.map(|term| Self::over(Arc::clone(term), schema)))
    }
}

/// The carried columns that an expression looks at.
pub(super) fn looked_at(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Vec<usize> {
    let columns = collect_columns(expr).into_iter().map(|column| column.index());
    let is =
        |at: &usize| schema.fields().get(*at).is_some_and(|field| is_carried(field.data_type()));
    let mut columns: Vec<usize> = columns.filter(is).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// True where carried columns are arguments of functions of maps, or compared with NULL, and nothing else.
fn takes_views(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let is_function = || {
        let function = expr.downcast_ref::<ScalarFunctionExpr>();
        function.is_some_and(|function| function.fun().inner().is::<MapFunction>())
    };
    let takes = expr.is::<IsNullExpr>() || expr.is::<IsNotNullExpr>() || is_function();
    expr.children().into_iter().all(|child| match child.downcast_ref::<Column>() {
        Some(column) => takes || !is_carried(schema.field(column.index()).data_type()),
        None => takes_views(child, schema),
    })
}

impl PartialEq for InPieces {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner) && self.columns == other.columns
    }
}

impl Eq for InPieces {}

impl Hash for InPieces {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
        self.columns.hash(state);
    }
}

impl fmt::Display for InPieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl PhysicalExpr for InPieces {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(&retyped(schema, &self.columns, Form::Cells))
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(&retyped(schema, &self.columns, Form::Cells))
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(&retyped(schema, &self.columns, Form::Cells))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let form = if self.takes_views { Form::View } else { Form::Cells };
        let mut evaluated: Vec<ArrayRef> = Vec::new();
        for piece in Pieces::of(batch, &self.columns, form)? {
            let piece = piece?;
            evaluated.push(self.inner.evaluate(&piece)?.into_array(piece.num_rows())?);
        }
        let evaluated: Vec<&dyn Array> = evaluated.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(match evaluated.as_slice() {
            [] => arrow::array::new_empty_array(&self.data_type(batch.schema_ref())?),
            pieces => concat(pieces)?,
        }))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let inner = children.pop().unwrap_or_else(|| Arc::clone(&self.inner));
        // Which of other columns are carried is not known here.
        if collect_columns(&inner) != collect_columns(&self.inner) {
            return Err(DataFusionError::Internal("other columns than are carried".to_owned()));
        }
        let takes_views = self.takes_views && inner.eq(&self.inner);
        Ok(Arc::new(Self { inner, columns: self.columns.clone(), takes_views }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
