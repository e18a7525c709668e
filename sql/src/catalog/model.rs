//! The catalog's objects. Plain data: built by DDL, stored as JSON, shared behind `Arc`s.
//!
//! Every relation (table, index, view, sequence) of one schema has a name of its own, as in PostgreSQL.

mod family;
mod history;
mod index;
mod role;
mod schema;
mod sequence;
mod table;
mod view;

pub use family::{DEFAULT_NAME, FAMILIES_MAX, Families, Family, FamilyId, TooMany};
pub use history::{History, HistoryStart};
pub use index::{Index, IndexColumn, IndexKey};
pub use role::{Database, Role};
pub use schema::Schema;
pub use sequence::{Sequence, SequenceOwner};
pub use table::{
    CheckConstraint, Column, ColumnDefault, Identity, OnCommit, Persistence, PrimaryKey, Table,
};
pub use view::{View, ViewColumn};
