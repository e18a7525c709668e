//! VACUUM, ANALYZE and CHECKPOINT: the tablets' minor and major compactions, on request.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::response::Response;
use super::statement::complete;
use crate::bind::ddl::QualifiedName;
use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};
use crate::parse::maintenance::Maintenance;
use crate::plan::errors;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;

/// Runs one.
pub async fn run(
    session: &mut ClientSession,
    statement: Maintenance,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    match statement {
        Maintenance::Checkpoint => {
            session.server.tablets.flush(None).await.map_err(errors::of_tablet)?;
            complete("CHECKPOINT")
        }
        Maintenance::Analyze { tables } => {
            named_tables(session, &tables)?;
            complete("ANALYZE")
        }
        Maintenance::Vacuum { tables } => {
            if session.block.as_ref().is_some_and(|block| block.explicit) {
                return Err(SqlError::new(
                    SqlState::ACTIVE_SQL_TRANSACTION,
                    "VACUUM cannot run inside a transaction block",
                ));
            }
            for table in named_tables(session, &tables)? {
                let hidden = table.indexes.iter().filter_map(|index| index.unique);
                for storage in std::iter::once(table.storage).chain(hidden) {
                    cancel.check()?;
                    let tablets = &session.server.tablets;
                    match tablets.compact(storage).await {
                        // Dropped by another session meanwhile.
                        Err(TabletError::NotServing { .. })
                            if !is_there(session, &table, storage) => {}
                        compacted => compacted.map_err(errors::of_tablet)?,
                    }
                }
            }
            complete("VACUUM")
        }
    }
}

/// Whether a table still has a storage, for its rows or for those of a unique index.
fn is_there(session: &ClientSession, table: &Table, storage: StorageId) -> bool {
    session.published().objects().any(|object| match object {
        Object::Table(now) if now.oid == table.oid => {
            now.storage == storage || now.indexes.iter().any(|index| index.unique == Some(storage))
        }
        _ => false,
    })
}

/// The tables of these names; without names, all of them.
fn named_tables(
    session: &ClientSession,
    names: &[QualifiedName],
) -> Result<Vec<Arc<Table>>, SqlError> {
    let catalog = session.current_catalog();
    if names.is_empty() {
        let all = catalog.objects().filter_map(|object| match object {
            Object::Table(table) => Some(Arc::clone(table)),
            _ => None,
        });
        return Ok(all.collect());
    }
    let path = session.search_path();
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let found = match &name.schema {
            None => catalog.resolve(&path, &name.name),
            Some(schema) => catalog
                .schema_by_name(schema)
                .and_then(|schema| catalog.relation_in(schema.oid, &name.name)),
        };
        match found {
            Some(Relation::Table(table)) => tables.push(table),
            Some(other) => {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a table but a {}", name.name, other.kind()),
                ));
            }
            None => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{}\" does not exist", name.name),
                ));
            }
        }
    }
    Ok(tables)
}
