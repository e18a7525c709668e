//! CHECK constraints in the tablets' language, where they can be said in it (rule 35).
//!
//! A constraint that does not lower is enforced by the frontend: it evaluates the constraint on every row
//! it writes, and guards the row by its version.

use crate::catalog::model::Table;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::Catalog;
use crate::catalog::store::CheckCompiler;
use crate::error::SqlError;
use crate::plan::context::PlanContext;
use crate::plan::planner;
use crate::plan::relations::{CatalogRelations, TARGET};
use crate::scan::provider::TableSource;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use std::sync::Arc;
use terrane_client::expr::Expr as Lowered;
use terrane_client::schema::{Check, TableSchema};
use terrane_client::types::DataType;

/// Compiles constraints.
pub struct Checks {
    state: SessionState,
}

impl Checks {
    /// With the functions of `state`.
    pub fn new(state: SessionState) -> Self {
        Self { state }
    }
}

impl CheckCompiler for Checks {
    fn compile(&self, table: &Table, catalog: &Catalog) -> Result<Vec<Check>, SqlError> {
        if table.checks.is_empty() {
            return Ok(Vec::new());
        }
        let catalog = Arc::new(catalog.clone());
        let schema = Arc::new(table.tablet_schema(Vec::new()));
        let mut compiled = Vec::new();
        for check in &table.checks {
            let planned = plan(&self.state, &catalog, &schema, table, &check.sql)?;
            if let Some(expr) = lower(&planned, &schema) {
                compiled.push(Check { name: check.name.to_string(), expr });
            }
        }
        Ok(compiled)
    }
}

/// Plans a stored expression over a table's columns.
pub fn plan(
    state: &SessionState,
    catalog: &Arc<Catalog>,
    schema: &Arc<TableSchema>,
    table: &Table,
    stored: &crate::catalog::stored_sql::StoredSql,
) -> Result<Expr, SqlError> {
    let text = stored.render(&catalog.qualified_names()).map_err(|error| {
        SqlError::internal(format!("stored expression of \"{}\": {error}", table.name))
    })?;
    let path = SearchPath::default_for(crate::session::server::SUPERUSER);
    let relations = CatalogRelations {
        catalog,
        path: &path,
        state,
        bound: vec![(TARGET, Arc::new(TableSource::new(Arc::clone(schema))))],
        depth: 0,
    };
    let name = crate::catalog::quote::quote_ident(&table.name);
    let sql = format!("SELECT ({text}) AS checked FROM \"{TARGET}\" AS {name}");
    let context = PlanContext::new(state, &relations);
    match planner::plan_text(&sql, &context)? {
        LogicalPlan::Projection(mut projection) if projection.expr.len() == 1 => {
            Ok(projection.expr.remove(0))
        }
        _ => Err(SqlError::internal(format!("stored expression of \"{}\"", table.name))),
    }
}

/// A planned boolean over the table's own columns, lowered.
pub fn lower(planned: &Expr, schema: &TableSchema) -> Option<Lowered> {
    let lowered = crate::plan::lower::lower(planned, &|column| {
        let column = schema.columns.iter().find(|known| known.name == column.name)?;
        Some(Lowered::Column(column.id, column.data_type.clone()))
    })?;
    (*lowered.data_type() == DataType::Bool).then_some(lowered)
}
