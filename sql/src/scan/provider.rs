//! A table as DataFusion plans with it.
//!
//! DataFusion's own DML hooks stay unimplemented: they lose predicates (`WHERE x IN (SELECT …)`,
//! `WHERE false`) and then change every row. DML is lowered in [`crate::plan`], on scans that also yield
//! the two system columns [`KEY_COLUMN`] and [`VERSION_COLUMN`].

use super::as_of::{AsOf, Past};
use super::exec::TabletScanExec;
use super::predicate;
use super::statement::StatementContext;
use crate::catalog::model::{History, HistoryStart};
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::session::info;
use crate::types::oid;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Constraint, Constraints, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::map_column::MapParts;
use terrane_client::read::Projected;
use terrane_client::schema::TableSchema;

/// The encoded row key, of scans that feed a mutation.
pub const KEY_COLUMN: &str = "__terrane_key";
/// The row's version, of scans that feed a mutation.
pub const VERSION_COLUMN: &str = "__terrane_version";

/// A table at one schema version.
#[derive(Debug)]
pub struct TableSource {
    schema: Arc<TableSchema>,
    arrow: SchemaRef,
    projected: Vec<Projected>,
    constraints: Constraints,
    history: History,
    as_of: Option<AsOf>,
    map_parts: Arc<MapParts>,
}

impl TableSource {
    /// The table as queries see it: its columns, in order of their ids.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        Self::build(schema, false)
    }

    /// The table with its system columns behind its own: what UPDATE and DELETE read.
    pub fn with_system_columns(schema: Arc<TableSchema>) -> Self {
        Self::build(schema, true)
    }

    /// The same without its key, which is none any more where a plan multiplies rows.
    pub fn without_key(&self) -> Self {
        Self { constraints: Constraints::default(), ..self.same() }
    }

    /// The same, of a table that can be read so far back.
    pub fn with_history(self, history: History) -> Self {
        Self { history, ..self }
    }

    /// The same, as it was.
    pub fn as_of(&self, as_of: AsOf) -> Self {
        Self { as_of: Some(as_of), ..self.same() }
    }

    /// The same, of whose maps no more is looked at.
    pub fn with_map_parts(&self, parts: MapParts) -> Self {
        Self { map_parts: Arc::new(parts), ..self.same() }
    }

    /// The same once more.
    pub fn same(&self) -> Self {
        Self {
            schema: Arc::clone(&self.schema),
            arrow: Arc::clone(&self.arrow),
            projected: self.projected.clone(),
            constraints: self.constraints.clone(),
            history: self.history,
            as_of: self.as_of,
            map_parts: Arc::clone(&self.map_parts),
        }
    }

    /// True where what is read is as it was at a time of its own.
    pub fn is_as_of(&self) -> bool {
        self.as_of.is_some()
    }

    /// The time in the past that is read, if it is one, made sure of.
    async fn past(&self, state: &dyn Session) -> Result<Option<Arc<Past>>> {
        let Some(context) = state.config().get_extension::<StatementContext>() else {
            return Ok(None);
        };
        let at = match self.as_of {
            Some(AsOf::Time(at)) => at,
            Some(AsOf::Parameters) => {
                return Err(errors::external(SqlError::new(
                    SqlState::UNDEFINED_PARAMETER,
                    "a parameter of FOR SYSTEM_TIME AS OF has no value in this statement",
                )));
            }
            None => match context.as_of {
                Some(at) => at,
                None => return Ok(None),
            },
        };
        let style = info::of(state.config_options()).style;
        let past = Past::open(&context, &self.schema.name, self.history, at, &style).await;
        past.map(|past| Some(Arc::new(past))).map_err(errors::external)
    }

    fn build(schema: Arc<TableSchema>, system: bool) -> Self {
        let mut fields: Vec<Field> = schema
            .columns
            .iter()
            .map(|column| oid::field(&column.name, &column.data_type, !column.not_null))
            .collect();
        let mut projected: Vec<Projected> =
            schema.columns.iter().map(|column| Projected::Column(column.id)).collect();
        if system {
            fields.push(Field::new(KEY_COLUMN, ArrowType::BinaryView, false));
            fields.push(Field::new(VERSION_COLUMN, ArrowType::Int64, false));
            projected.extend([Projected::Key, Projected::Version]);
        }
        let key = schema
            .key
            .iter()
            .filter_map(|key| schema.columns.iter().position(|column| column.id == key.column));
        let key: Vec<usize> = key.collect();
        let constraints = match key.is_empty() {
            true => Constraints::default(),
            false => Constraints::new_unverified(vec![Constraint::PrimaryKey(key)]),
        };
        let history =
            History { kept_micros: schema.history_micros, start: HistoryStart::default() };
        let arrow = Arc::new(Schema::new(fields));
        let map_parts = Arc::default();
        Self { schema, arrow, projected, constraints, history, as_of: None, map_parts }
    }

    /// The table's schema.
    pub fn table(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// The predicates of a scan that these filters give.
    pub fn predicates(&self, filters: &[Expr]) -> Vec<terrane_client::expr::Expr> {
        filters.iter().filter_map(|filter| self.predicate(filter)).collect()
    }

    /// The column of this name.
    pub fn column_of(&self, name: &str) -> Option<ColumnId> {
        let at = self.arrow.index_of(name).ok()?;
        match self.projected[at] {
            Projected::Column(id) => Some(id),
            _ => None,
        }
    }

    fn predicate(&self, filter: &Expr) -> Option<terrane_client::expr::Expr> {
        predicate::convert(filter, &self.schema, &|name| self.column_of(name))
    }
}

#[async_trait]
impl TableProvider for TableSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
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
        let all: Vec<usize>;
        let columns = match projection {
            Some(columns) => columns,
            None => {
                all = (0..self.projected.len()).collect();
                &all
            }
        };
        let predicates = self.predicates(filters);
        // A limit is only pushed where DataFusion does not filter again.
        let limit = limit.filter(|_| filters.is_empty());
        let scan = TabletScanExec::new(
            Arc::clone(&self.schema),
            Arc::new(self.arrow.project(columns)?),
            columns.iter().map(|at| self.projected[*at]).collect(),
            predicates,
            limit,
        )
        .reading(self.past(state).await?)
        .with_map_parts(Arc::clone(&self.map_parts));
        let pieces = state.config().target_partitions();
        let context = state.config().get_extension::<StatementContext>();
        Ok(Arc::new(match context {
            Some(context) if pieces > 1 && limit.is_none() => scan.split(&context),
            _ => scan,
        }))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match self.predicate(filter) {
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }
}

/// The logical schema of a table under an alias, for expressions over its rows.
pub fn logical_schema(source: &TableSource, qualifier: &str) -> Result<DFSchema> {
    DFSchema::try_from_qualified_schema(qualifier, &source.arrow)
}
