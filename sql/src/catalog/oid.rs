//! Object identifiers. Ours are persistent (rule 42): schemas, tables, row types, key indexes,
//! constraints, defaults, sequences, views and roles keep theirs for life, and none is used twice.

use serde::{Deserialize, Serialize};

/// An object identifier: PostgreSQL's `oid`. 0 is "none".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Oid(pub u32);

impl Oid {
    /// No object.
    pub const NONE: Oid = Oid(0);
    /// Schema `pg_catalog`, as in PostgreSQL.
    pub const PG_CATALOG: Oid = Oid(11);
    /// Schema `pg_toast`, as in PostgreSQL. Always empty.
    pub const PG_TOAST: Oid = Oid(99);
    /// Schema `public`, as in PostgreSQL.
    pub const PUBLIC: Oid = Oid(2200);
    /// Schema `information_schema`, as in PostgreSQL 15.
    pub const INFORMATION_SCHEMA: Oid = Oid(13207);
    /// Schema `terrane`, in a range that PostgreSQL leaves free.
    pub const TERRANE: Oid = Oid(8900);
    /// The superuser's role, as in PostgreSQL.
    pub const SUPERUSER: Oid = Oid(10);
    /// Role `pg_database_owner`, which owns schema `public`, as in PostgreSQL.
    pub const DATABASE_OWNER: Oid = Oid(6171);
    /// The one database, which has the identifier of PostgreSQL's `postgres`.
    pub const DATABASE: Oid = Oid(5);
    /// The first identifier a user's object can get, as in PostgreSQL.
    pub const FIRST_USER: Oid = Oid(16384);

    /// True for "no object".
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
