//! The catalog's relations as the planner finds them.

use super::context::{PlanContext, Relations};
use super::planner;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::{Catalog, Relation};
use crate::catalog::system::provider::SystemTable;
use crate::catalog::system::sequence_table::SequenceTable;
use crate::error::{SqlError, SqlState};
use crate::scan::provider::TableSource as Table;
use datafusion::datasource::{TableProvider, ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::TableSource;
use std::sync::Arc;

/// The name under which the binder refers to the table that a statement changes.
pub const TARGET: &str = "__terrane_target";
/// The name under which the binder refers to the row images that RETURNING reads.
pub const RETURNED: &str = "__terrane_returned";
/// The name under which the binder refers to the row that an INSERT proposed.
pub const EXCLUDED: &str = "__terrane_excluded";
/// Views may refer to views this deep.
const VIEW_DEPTH_MAX: usize = 64;

/// Tables, views and what the binder adds to them for one statement.
pub struct CatalogRelations<'a> {
    /// The catalog with what the block has staged.
    pub catalog: &'a Arc<Catalog>,
    /// Where unqualified names are looked up.
    pub path: &'a SearchPath,
    /// The functions views are planned with.
    pub state: &'a SessionState,
    /// What [`TARGET`] and [`RETURNED`] stand for.
    pub bound: Vec<(&'static str, Arc<dyn TableProvider>)>,
    /// How many views deep this lookup is.
    pub depth: usize,
}

impl Relations for CatalogRelations<'_> {
    fn relation(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<Arc<dyn TableSource>>, SqlError> {
        if let Some((_, provider)) = self.bound.iter().find(|(bound, _)| *bound == name) {
            return Ok(Some(provider_as_source(Arc::clone(provider))));
        }
        let found = match schema {
            None => self.catalog.resolve(self.path, name),
            Some(schema) => match self.catalog.schema_by_name(schema) {
                Some(schema) => self.catalog.relation_in(schema.oid, name),
                None => return Ok(None),
            },
        };
        match found {
            Some(Relation::Table(table)) => {
                let schema = Arc::new(table.tablet_schema(Vec::new()));
                let source = Table::new(schema).with_history(table.history());
                let source = source.with_families(Arc::new(table.family_names()));
                Ok(Some(provider_as_source(Arc::new(source))))
            }
            Some(Relation::View(view)) => Ok(Some(self.view(&view)?)),
            Some(Relation::System(relation)) => {
                Ok(Some(provider_as_source(Arc::new(SystemTable::new(relation)))))
            }
            Some(Relation::Sequence(sequence)) => {
                Ok(Some(provider_as_source(Arc::new(SequenceTable::new(sequence)))))
            }
            Some(other) => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot read from {} \"{name}\"", other.kind()),
            )),
            None => Ok(None),
        }
    }
}

impl CatalogRelations<'_> {
    fn view(&self, view: &crate::catalog::model::View) -> Result<Arc<dyn TableSource>, SqlError> {
        if self.depth >= VIEW_DEPTH_MAX {
            return Err(SqlError::new(
                SqlState::STATEMENT_TOO_COMPLEX,
                format!("views nest more than {VIEW_DEPTH_MAX} deep"),
            ));
        }
        let sql = view
            .query
            .render(&self.catalog.qualified_names())
            .map_err(|error| SqlError::internal(format!("view \"{}\": {error}", view.name)))?;
        let inner = CatalogRelations {
            catalog: self.catalog,
            path: self.path,
            state: self.state,
            bound: Vec::new(),
            depth: self.depth + 1,
        };
        let context = PlanContext::new(self.state, &inner);
        let plan = planner::plan_text(&sql, &context)?;
        Ok(provider_as_source(Arc::new(ViewTable::new(plan, Some(sql)))))
    }
}
