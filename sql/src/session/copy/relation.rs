//! The table and the columns a COPY names.

use crate::catalog::model::Column;
use crate::catalog::snapshot::Relation;
use crate::copy::options::{Columns, CopyOptions, RawOption};
use crate::error::{SqlError, SqlState};
use crate::session::client::ClientSession;
use crate::session::modify::{Target, folded};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName};
use std::collections::HashSet;

/// What a name stands for; `None` where the catalog has no such relation.
pub fn find(session: &mut ClientSession, name: &ObjectName) -> Option<Relation> {
    let catalog = session.catalog();
    let path = session.search_path();
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(folded).collect();
    match parts.as_slice() {
        [name] => catalog.resolve(&path, name),
        [schema, name] => {
            let schema = catalog.schema_by_name(schema)?.oid;
            catalog.relation_in(schema, name)
        }
        _ => None,
    }
}

/// 42809 for a relation that COPY cannot read or write as it is.
pub fn check_kind(relation: &Relation, from: bool) -> Result<(), SqlError> {
    if matches!(relation, Relation::Table(_)) {
        return Ok(());
    }
    let direction = if from { "to" } else { "from" };
    let error = SqlError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("cannot copy {direction} {} \"{}\"", relation.kind(), relation.name()),
    );
    Err(match relation {
        Relation::View(_) if !from => error.with_hint("Try the COPY (SELECT ...) TO variant."),
        _ => error,
    })
}

/// The columns that are copied: those named, else all.
pub fn columns(target: &Target, names: &[Ident]) -> Result<Vec<Column>, SqlError> {
    if names.is_empty() {
        return Ok(target.table.live_columns().cloned().collect());
    }
    let mut taken = HashSet::new();
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let column = target.column(name)?;
        if !taken.insert(column.id) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{}\" specified more than once", column.name),
            ));
        }
        columns.push(column.clone());
    }
    Ok(columns)
}

/// The options, checked against a table's columns.
pub fn options(
    target: &Target,
    columns: &[Column],
    raw: &[RawOption],
    from: bool,
) -> Result<CopyOptions, SqlError> {
    let all: Vec<&str> = target.table.live_columns().map(|column| &*column.name).collect();
    let copied: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
    let table = Some(&*target.table.name);
    CopyOptions::check(raw, Columns { table, all: &all, copied: &copied }, from)
}
