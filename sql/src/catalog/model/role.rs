//! Roles, and the database.

use crate::catalog::oid::Oid;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A role: pg_authid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its identifier.
    pub oid: Oid,
    /// Its name.
    pub name: Arc<str>,
    /// May do everything.
    pub superuser: bool,
    /// May connect.
    pub login: bool,
    /// COMMENT ON ROLE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The database: there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Its identifier.
    pub oid: Oid,
    /// Its name.
    pub name: Arc<str>,
    /// The role that owns it.
    pub owner: Oid,
    /// COMMENT ON DATABASE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
