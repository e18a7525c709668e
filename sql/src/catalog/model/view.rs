//! Views (rule 42).

use crate::catalog::model::Persistence;
use crate::catalog::oid::Oid;
use crate::catalog::stored_sql::StoredSql;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;

/// A view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its identifier.
    pub oid: Oid,
    /// The identifier of its row type.
    pub row_type: Oid,
    /// The identifier of the array of its row type.
    pub row_array_type: Oid,
    /// The schema it is in.
    pub schema: Oid,
    /// Its name.
    pub name: Arc<str>,
    /// The role that owns it.
    pub owner: Oid,
    /// Permanent, or of one session.
    pub persistence: Persistence,
    /// The query: `*` expanded, every output column with AS, every relation and column of another
    /// object referred to by identifier. What it refers to is what the view depends on.
    pub query: StoredSql,
    /// Its columns, as the query gives them.
    pub columns: Vec<ViewColumn>,
    /// Options of WITH, as `name=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// COMMENT ON VIEW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewColumn {
    /// Its attnum, from 1.
    pub id: ColumnId,
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub data_type: DataType,
    /// COMMENT ON COLUMN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
