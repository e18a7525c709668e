//! A system relation as a DataFusion table.
//!
//! Its rows are computed when it is scanned, from the snapshot of the statement that scans it, or from what the tablet
//! servers say then: a plan can be kept and scanned again.

use crate::catalog::oid::Oid;
use crate::catalog::system::facts::{self, Facts};
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::{fixed, information_schema, pg_catalog, terrane};
use crate::error::SqlError;
use crate::plan::errors;
use crate::scan::statement::StatementContext;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// One system relation.
#[derive(Debug)]
pub struct SystemTable {
    relation: &'static SystemRelation,
}

impl SystemTable {
    /// The relation. Its rows depend on the [`Facts`] of the statement that scans it.
    pub fn new(relation: &'static SystemRelation) -> Self {
        Self { relation }
    }
}

/// A system relation's rows.
async fn batches(
    relation: &'static SystemRelation,
    facts: &Facts,
    context: Option<Arc<StatementContext>>,
) -> std::result::Result<Vec<RecordBatch>, SqlError> {
    if relation.schema != Oid::TERRANE {
        return of_snapshot(relation, facts);
    }
    let context = context.ok_or_else(|| SqlError::internal("a scan outside of a statement"))?;
    Ok(vec![terrane::rows(relation, facts, &*context.tablets).await?])
}

/// The rows of a relation that is computed from the snapshot.
fn of_snapshot(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> std::result::Result<Vec<RecordBatch>, SqlError> {
    if relation.schema == Oid::INFORMATION_SCHEMA {
        return Ok(vec![information_schema::rows(relation, facts)?]);
    }
    let mut batches = Vec::new();
    if let Some(fixed) = fixed::rows(&relation.name) {
        batches.push(fixed?.clone());
    }
    batches.extend(pg_catalog::rows(relation, facts)?);
    Ok(batches)
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.relation.arrow.clone()
    }

    fn table_type(&self) -> TableType {
        match self.relation.is_view {
            true => TableType::View,
            false => TableType::Base,
        }
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let facts = facts::of(state.config_options());
        let context = state.config().get_extension::<StatementContext>();
        let batches = batches(self.relation, &facts, context).await.map_err(errors::external)?;
        let table = MemTable::try_new(self.schema(), vec![batches])?;
        table.scan(state, projection, filters, limit).await
    }
}
