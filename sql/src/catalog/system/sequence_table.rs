//! `SELECT last_value, is_called FROM a_sequence`.
//!
//! A sequence read like a table is one row: where it stands when it is scanned, whatever the snapshot.

use crate::catalog::model::Sequence;
use crate::catalog::system::facts;
use crate::plan::errors::external;
use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::{Arc, LazyLock};

/// PostgreSQL's columns of every sequence. Nothing is logged ahead here: `log_cnt` is 0.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("last_value", DataType::Int64, false),
        Field::new("log_cnt", DataType::Int64, false),
        Field::new("is_called", DataType::Boolean, false),
    ]))
});

/// One sequence.
#[derive(Debug)]
pub struct SequenceTable {
    sequence: Arc<Sequence>,
}

impl SequenceTable {
    /// The sequence, read where the statement that scans it runs.
    pub fn new(sequence: Arc<Sequence>) -> Self {
        Self { sequence }
    }
}

#[async_trait]
impl TableProvider for SequenceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&SCHEMA)
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
        let facts = facts::of(state.config_options());
        let sequences = facts.services().map_err(external)?.server.catalog.sequences();
        let position = sequences.position(&self.sequence).await.map_err(external)?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![position.last])),
            Arc::new(Int64Array::from(vec![0])),
            Arc::new(BooleanArray::from(vec![position.called])),
        ];
        let row = RecordBatch::try_new(self.schema(), columns)?;
        let table = MemTable::try_new(self.schema(), vec![vec![row]])?;
        table.scan(state, projection, filters, limit).await
    }
}
