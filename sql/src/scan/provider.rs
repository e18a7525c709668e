//! A table as DataFusion plans with it.
//!
//! DataFusion's own DML hooks stay unimplemented: they lose predicates (`WHERE x IN (SELECT …)`,
//! `WHERE false`) and then change every row. DML is lowered in [`crate::plan`], on scans that also yield
//! the two system columns [`KEY_COLUMN`] and [`VERSION_COLUMN`].

use super::as_of::{AsOf, Past};
use super::exec::TabletScanExec;
use super::predicate;
use super::statement::StatementContext;
use super::versions::{FamilyNames, Showing, Shown};
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
use terrane_client::read::{Projected, Versions};
use terrane_client::schema::{Column, TableSchema};

/// The encoded row key, of scans that feed a mutation.
pub const KEY_COLUMN: &str = "__terrane_key";
/// The row's version, of scans that feed a mutation.
pub const VERSION_COLUMN: &str = "__terrane_version";

/// A table at one schema version.
#[derive(Clone, Debug)]
pub struct TableSource {
    schema: Arc<TableSchema>,
    arrow: SchemaRef,
    columns: Vec<Shown>,
    versions: Versions,
    families: FamilyNames,
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
        Self { constraints: Constraints::default(), ..self.clone() }
    }

    /// The same, of a table that can be read so far back.
    pub fn with_history(self, history: History) -> Self {
        Self { history, ..self }
    }

    /// The same, as it was.
    pub fn as_of(&self, as_of: AsOf) -> Self {
        Self { as_of: Some(as_of), ..self.clone() }
    }

    /// The same, of whose maps no more is looked at.
    pub fn with_map_parts(&self, parts: MapParts) -> Self {
        Self { map_parts: Arc::new(parts), ..self.clone() }
    }

    /// What of its maps is looked at.
    pub fn map_parts(&self) -> &MapParts {
        &self.map_parts
    }

    /// The same, with the families of its columns.
    pub fn with_families(self, families: FamilyNames) -> Self {
        Self { families, ..self }
    }

    /// The same with the column `_timestamp`, or with versions of its rows, or of their cells, in the place of rows.
    pub fn showing(&self, versions: Versions) -> Self {
        let beside: &[Shown] = match versions {
            Versions::Cells(_) => {
                &[Shown::Family, Shown::Qualifier, Shown::Timestamp, Shown::Value]
            }
            Versions::Newest | Versions::Rows(_) => &[Shown::Timestamp],
        };
        let is_key = |shown: &Shown| match shown {
            Shown::Plain(Projected::Column(id)) => self.schema.key_position(*id).is_some(),
            _ => false,
        };
        // Of a cell the row's key only.
        let is_kept = |shown: &Shown| !matches!(versions, Versions::Cells(_)) || is_key(shown);
        let own = self.arrow.fields().iter().zip(&self.columns).filter(|(_, shown)| is_kept(shown));
        // At an earlier time a column may have none of its cells that still live, NOT NULL or not.
        let is_null = |shown: &Shown| matches!(versions, Versions::Rows(_)) && !is_key(shown);
        let field = |field: &Field, shown: &Shown| {
            field.clone().with_nullable(field.is_nullable() || is_null(shown))
        };
        let (mut fields, mut columns): (Vec<Field>, Vec<Shown>) =
            own.map(|(known, shown)| (field(known, shown), *shown)).unzip();
        fields.extend(beside.iter().filter_map(|shown| shown.field()));
        columns.extend(beside);
        Self {
            arrow: Arc::new(Schema::new(fields)),
            columns,
            versions,
            constraints: match versions {
                Versions::Newest => self.constraints.clone(),
                Versions::Rows(_) | Versions::Cells(_) => Constraints::default(),
            },
            ..self.clone()
        }
    }

    /// True where a column of the table has this name.
    pub fn has_column(&self, name: &str) -> bool {
        self.schema.columns.iter().any(|column| column.name == name)
    }

    /// The time of its own that it is read at.
    pub fn time(&self) -> Option<AsOf> {
        self.as_of
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
        let mut fields: Vec<Field> = schema.columns.iter().map(field).collect();
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
        Self {
            schema,
            arrow,
            columns: projected.into_iter().map(Shown::Plain).collect(),
            versions: Versions::Newest,
            families: FamilyNames::default(),
            constraints,
            history,
            as_of: None,
            map_parts: Arc::default(),
        }
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
        match self.columns[at] {
            Shown::Plain(Projected::Column(id)) => Some(id),
            _ => None,
        }
    }

    /// How some of its columns are shown; `None` where they are as the tablets give them.
    fn shown(&self, columns: &[usize], state: &dyn Session) -> Option<Arc<Showing>> {
        let columns: Vec<Shown> = columns.iter().map(|at| self.columns[*at]).collect();
        let is_plain = |shown: &Shown| matches!(shown, Shown::Plain(_));
        if self.versions == Versions::Newest && columns.iter().all(is_plain) {
            return None;
        }
        Some(Arc::new(Showing {
            columns,
            versions: self.versions,
            families: Arc::clone(&self.families),
            style: info::of(state.config_options()).style,
        }))
    }

    fn predicate(&self, filter: &Expr) -> Option<terrane_client::expr::Expr> {
        let column_of = |name: &str| self.column_of(name);
        predicate::convert(filter, &self.schema, &column_of)
            .or_else(|| predicate::implied(filter, &self.schema, &column_of))
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
                all = (0..self.columns.len()).collect();
                &all
            }
        };
        let predicates = self.predicates(filters);
        // A limit is only pushed where DataFusion does not filter again.
        let limit = limit.filter(|_| filters.is_empty());
        let scan = TabletScanExec::new(
            Arc::clone(&self.schema),
            Arc::new(self.arrow.project(columns)?),
            columns.iter().map(|at| self.columns[*at].projected()).collect(),
            predicates,
            limit,
        )
        .reading(self.past(state).await?)
        .showing(self.shown(columns, state))
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

fn field(column: &Column) -> Field {
    oid::field(&column.name, &column.data_type, !column.not_null)
}

/// The logical schema of a table under an alias, for expressions over its rows.
pub fn logical_schema(source: &TableSource, qualifier: &str) -> Result<DFSchema> {
    DFSchema::try_from_qualified_schema(qualifier, &source.arrow)
}
