//! The catalog: what there is in the database, under which names, and since which version.
//!
//! | module | what it holds |
//! |---|---|
//! | [`oid`] | object identifiers, and the fixed ones |
//! | [`model`] | the objects: schemas, tables, indexes, views, sequences, roles |
//! | [`quote`] | quoting of names and literals |
//! | [`stored_sql`] | SQL text that refers to objects by identifier, so that renames follow |
//! | [`objects`] | a set of objects with its lookups |
//! | [`snapshot`] | [`snapshot::Catalog`]: the whole catalog at one version, immutable, shared |
//! | [`search_path`] | which schemas an unqualified name is looked up in |
//! | [`store`] | [`store::CatalogStore`]: where it is stored: read at start, published, committed |
//! | [`sequences`] | nextval and setval |
//! | [`system`] | pg_catalog and information_schema |
//! | [`transaction`] | [`transaction::CatalogTransaction`]: staged changes over a snapshot (rule 32) |

mod allocator;
mod counters;
pub(crate) mod deparse;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod model;
pub mod objects;
pub mod oid;
pub mod quote;
mod requests;
mod rows;
pub mod search_path;
pub mod sequences;
pub mod snapshot;
pub mod store;
pub mod stored_sql;
pub mod system;
pub mod system_tables;
pub mod transaction;

pub use counters::Position;
