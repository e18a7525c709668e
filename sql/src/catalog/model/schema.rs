//! Schemas.

use crate::catalog::oid::Oid;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A schema: pg_namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Its identifier.
    pub oid: Oid,
    /// Its name.
    pub name: Arc<str>,
    /// The role that owns it.
    pub owner: Oid,
    /// COMMENT ON SCHEMA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
