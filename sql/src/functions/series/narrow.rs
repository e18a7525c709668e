//! `generate_series` of int4: DataFusion counts in int8.

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use std::sync::Arc;

/// A series of int8 that are all int4, as those. The bounds are int4, so what lies between is.
#[derive(Debug)]
pub struct Narrow {
    inner: Arc<dyn TableProvider>,
    schema: SchemaRef,
}

impl Narrow {
    /// Over the series of int8.
    pub fn new(inner: Arc<dyn TableProvider>) -> Self {
        let narrow =
            |field: &Arc<Field>| Field::new(field.name(), DataType::Int32, field.is_nullable());
        let fields: Vec<Field> = inner.schema().fields().iter().map(narrow).collect();
        Self { inner, schema: Arc::new(Schema::new(fields)) }
    }
}

#[async_trait]
impl TableProvider for Narrow {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let wide = self.inner.scan(state, projection, filters, limit).await?;
        let schema = wide.schema();
        let narrow = |(at, field): (usize, &Arc<Field>)| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let cast: Arc<dyn PhysicalExpr> =
                Arc::new(CastExpr::new(column, DataType::Int32, Some(options)));
            (cast, field.name().clone())
        };
        let columns: Vec<_> = schema.fields().iter().enumerate().map(narrow).collect();
        match columns.is_empty() {
            true => Ok(wide),
            false => Ok(Arc::new(ProjectionExec::try_new(columns, wide)?)),
        }
    }
}
