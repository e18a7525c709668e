//! The table a statement changes.

use crate::catalog::model::{Column, Index, Table};
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};
use crate::scan::provider::TableSource;
use crate::scan::versions::TIMESTAMP_COLUMN;
use crate::session::client::ClientSession;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;

/// A table with what changing it needs.
pub struct Target {
    /// The catalog's object.
    pub table: Arc<Table>,
    /// Its tablets' schema, with the CHECK constraints they evaluate.
    pub schema: Arc<TableSchema>,
    /// Its unique indexes and their hidden tables.
    pub uniques: Vec<(Index, Arc<TableSchema>)>,
    /// CHECK constraints the tablets cannot evaluate, by name, as SQL: the frontend looks at every row.
    pub open_checks: Vec<(String, String)>,
    /// What the statement calls it.
    pub alias: String,
    /// `_timestamp` as a column that can be written: of tables with families whose timestamps are the client's.
    stamp: Option<Column>,
}

impl Target {
    /// Finds a table by name.
    pub fn find(
        session: &mut ClientSession,
        name: &ObjectName,
        alias: Option<&Ident>,
    ) -> Result<Self, SqlError> {
        let catalog = session.current_catalog();
        let path = session.search_path();
        let parts: Vec<String> =
            name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
        let found = match parts.as_slice() {
            [name] => catalog.resolve(&path, name),
            [schema, name] => catalog
                .schema_by_name(schema)
                .and_then(|schema| catalog.relation_in(schema.oid, name)),
            _ => None,
        };
        let table = match found {
            Some(Relation::Table(table)) => table,
            Some(Relation::System(relation)) if !relation.is_view => {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("permission denied: \"{}\" is a system catalog", relation.name),
                ));
            }
            Some(other) => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("cannot change {} \"{}\"", other.kind(), other.name()),
                ));
            }
            None => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{}\" does not exist", parts.join(".")),
                ));
            }
        };
        let mut target = Self::of(session, &table)?;
        if let Some(alias) = alias {
            target.alias = folded(alias);
        }
        Ok(target)
    }

    /// A table of the block's catalog.
    pub fn of(session: &mut ClientSession, table: &Arc<Table>) -> Result<Self, SqlError> {
        let catalog = session.current_catalog();
        let schema = Arc::new(session.server.catalog.tablet_schema(table, &catalog)?);
        let uniques = table
            .indexes
            .iter()
            .filter_map(|index| Some((index.clone(), Arc::new(index.tablet_schema(table)?))))
            .collect();
        let names = catalog.qualified_names();
        let is_open = |name: &str| !schema.checks.iter().any(|check| check.name == name);
        let open_checks = table
            .checks
            .iter()
            .filter(|check| is_open(&check.name))
            .map(|check| {
                let sql = check.sql.render(&names);
                let sql = sql.map_err(|error| SqlError::internal(error.to_string()))?;
                Ok((check.name.to_string(), sql))
            })
            .collect::<Result<_, SqlError>>()?;
        let alias = table.name.to_string();
        let stamp = table.families.has_dated().then(stamp_column);
        Ok(Self { table: Arc::clone(table), schema, uniques, open_checks, alias, stamp })
    }

    /// The table for a scan that feeds a mutation.
    pub fn source(&self) -> Arc<TableSource> {
        Arc::new(TableSource::with_system_columns(Arc::clone(&self.schema)))
    }

    /// A live column by name: 42703 where there is none.
    pub fn column(&self, name: &Ident) -> Result<&Column, SqlError> {
        let name = folded(name);
        let stamp = self.stamp.as_ref().filter(|_| name == TIMESTAMP_COLUMN);
        let mut columns = self.table.live_columns();
        columns.find(|column| *column.name == *name).or(stamp).ok_or_else(|| {
            if name == TIMESTAMP_COLUMN {
                let message = format!("cannot assign to system column \"{name}\"");
                return SqlError::unsupported(message)
                    .with_detail("The server says when a row was written.")
                    .with_hint("A client does where a family has timestamps = 'client'.");
            }
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" of relation \"{}\" does not exist", self.table.name),
            )
        })
    }
}

/// `_timestamp`, as what is written has it.
fn stamp_column() -> Column {
    Column { id: ColumnId::STAMP, ..Column::nullable(TIMESTAMP_COLUMN, DataType::TimestampTz) }
}

/// A name as SQL folds it.
pub fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}
