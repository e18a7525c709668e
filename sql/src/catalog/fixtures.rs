//! Small catalogs for unit tests.

use crate::catalog::model::{Column, HistoryStart, Persistence, Schema, Table, View, ViewColumn};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Catalog;
use crate::catalog::stored_sql::StoredSql;
use crate::catalog::transaction::CatalogTransaction;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, StorageId};
use terrane_client::schema::HISTORY_DEFAULT_MICROS;
use terrane_client::types::DataType;

/// A catalog with schema `public`, as the first start leaves it.
pub fn empty() -> Arc<Catalog> {
    let mut tx = CatalogTransaction::new(Arc::new(Catalog::default()));
    tx.put(Object::Schema(Arc::new(Schema {
        oid: Oid::PUBLIC,
        name: "public".into(),
        owner: Oid::DATABASE_OWNER,
        comment: None,
    })));
    tx.catalog().clone()
}

/// A table of nullable integer columns.
pub fn table(oid: u32, schema: Oid, name: &str, columns: &[&str]) -> Table {
    let column = |(i, name): (usize, &&str)| Column {
        id: ColumnId(i as u32 + 1),
        ..Column::nullable(name, DataType::Int4)
    };
    Table {
        oid: Oid(oid),
        row_type: Oid(oid + 1),
        row_array_type: Oid(oid + 2),
        schema,
        name: name.into(),
        owner: Oid::SUPERUSER,
        persistence: Persistence::Permanent,
        storage: StorageId(u64::from(oid)),
        schema_version: 1,
        columns: columns.iter().enumerate().map(column).collect(),
        primary_key: None,
        indexes: Vec::new(),
        checks: Vec::new(),
        families: Default::default(),
        history_micros: HISTORY_DEFAULT_MICROS,
        history_start: HistoryStart::default(),
        purge_within_micros: None,
        tablet_bytes_max: None,
        split_keys: Vec::new(),
        options: Vec::new(),
        comment: None,
    }
}

/// A view of one column of a table.
pub fn view(oid: u32, schema: Oid, name: &str, over: &Table, column: u32) -> View {
    let of = StoredSql::column(over.oid, ColumnId(column));
    View {
        oid: Oid(oid),
        row_type: Oid(oid + 1),
        row_array_type: Oid(oid + 2),
        schema,
        name: name.into(),
        owner: Oid::SUPERUSER,
        persistence: Persistence::Permanent,
        query: StoredSql::new(format!(
            "SELECT {}.{of} AS x FROM {}",
            StoredSql::qualifier(over.oid),
            StoredSql::relation(over.oid)
        )),
        columns: vec![ViewColumn {
            id: ColumnId(1),
            name: "x".into(),
            data_type: DataType::Int4,
            comment: None,
        }],
        options: Vec::new(),
        comment: None,
    }
}
