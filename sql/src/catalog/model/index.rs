//! Indexes. A plain one is only recorded; a unique one is a hidden keyed table (rule 44).

use crate::catalog::model::Table;
use crate::catalog::oid::Oid;
use crate::catalog::stored_sql::StoredSql;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terrane_client::ids::{ColumnId, LocalityGroupId, StorageId};
use terrane_client::schema::{
    Column as TabletColumn, HISTORY_DEFAULT_MICROS, KeyColumn, LocalityGroup, TableSchema,
};
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// An index of a table, other than its primary key's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Its identifier: the relation's.
    pub oid: Oid,
    /// Its name, unique among its schema's relations.
    pub name: Arc<str>,
    /// The access method it was declared with; `None` is btree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What it is keyed by, in order.
    pub keys: Vec<IndexKey>,
    /// INCLUDE columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<ColumnId>,
    /// WHERE of a partial index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<StoredSql>,
    /// The hidden table of a unique index: its key is the index's columns, its value the row's key.
    /// Rows with a NULL among the columns are not in it. `None` for a plain index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<StorageId>,
    /// The UNIQUE constraint that made it, which has its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Oid>,
    /// Options of WITH, as `name=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// COMMENT ON INDEX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// COMMENT ON CONSTRAINT, of the constraint that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint_comment: Option<String>,
}

/// One key of an index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexKey {
    /// What is indexed.
    pub column: IndexColumn,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST. The default is that of the direction: last ascending, first descending.
    pub nulls_first: bool,
    /// An operator class other than the type's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_class: Option<String>,
    /// A collation other than the column's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
}

/// What an index's key is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexColumn {
    /// A column.
    Column(ColumnId),
    /// An expression: only recorded, never of a unique index.
    Expression(StoredSql),
}

impl Index {
    /// The columns of a unique index, in key order. `None` where a key is an expression.
    pub fn key_columns(&self) -> Option<Vec<ColumnId>> {
        self.keys
            .iter()
            .map(|key| match key.column {
                IndexColumn::Column(column) => Some(column),
                IndexColumn::Expression(_) => None,
            })
            .collect()
    }

    /// Its SQL texts: expressions, then the predicate.
    pub fn stored_sql(&self) -> Vec<&StoredSql> {
        let expressions = self.keys.iter().filter_map(|key| match &key.column {
            IndexColumn::Column(_) => None,
            IndexColumn::Expression(sql) => Some(sql),
        });
        expressions.chain(&self.predicate).collect()
    }

    /// True where the index depends on this column as a key or included column. Columns inside
    /// expressions and predicates are in their [`StoredSql`].
    pub fn uses_column(&self, table: Oid, column: ColumnId) -> bool {
        let key = self.keys.iter().any(|key| match &key.column {
            IndexColumn::Column(id) => *id == column,
            IndexColumn::Expression(sql) => sql.depends_on(table, Some(column)),
        });
        key || self.include.contains(&column)
            || self.predicate.as_ref().is_some_and(|sql| sql.depends_on(table, Some(column)))
    }

    /// The hidden table of a unique index as its tablets know it: key columns 1 to n, ascending, then
    /// the row's encoded key as bytea. `None` for a plain index.
    pub fn tablet_schema(&self, table: &Table) -> Option<TableSchema> {
        let storage = self.unique?;
        let mut columns = Vec::new();
        let mut key = Vec::new();
        for (i, id) in self.key_columns()?.into_iter().enumerate() {
            let indexed = table.column(id)?;
            let id = ColumnId(i as u32 + 1);
            columns.push(hidden_column(id, &indexed.name, indexed.data_type.clone()));
            key.push(KeyColumn { column: id, descending: false });
        }
        columns.push(hidden_column(self.row_key_column(), "row_key", DataType::Bytea));
        Some(TableSchema {
            storage,
            version: 1,
            name: self.name.to_string(),
            columns,
            key,
            groups: vec![LocalityGroup::default_group()],
            checks: Vec::new(),
            history_micros: HISTORY_DEFAULT_MICROS.min(table.history_micros),
            is_settled: true,
            tablet_bytes_max: None,
            purge_within_micros: table.purge_within_micros,
            dropped: Vec::new(),
        })
    }

    /// The column of the hidden table that holds the row's encoded key.
    pub fn row_key_column(&self) -> ColumnId {
        ColumnId(self.keys.len() as u32 + 1)
    }
}

fn hidden_column(id: ColumnId, name: &str, data_type: DataType) -> TabletColumn {
    TabletColumn {
        id,
        name: name.to_owned(),
        data_type,
        not_null: true,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    }
}
