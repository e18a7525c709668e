//! pg_catalog and information_schema: relations computed from a snapshot, read like tables; and schema `terrane`, which
//! tablet servers are asked for.
//!
//! | module | what it holds |
//! |---|---|
//! | [`relations`] | every system relation of PostgreSQL 15 and its columns |
//! | [`csv`], [`fixed`] | the rows PostgreSQL ships with, from `static/` |
//! | [`rows`] | builds record batches row by row |
//! | [`facts`] | what these relations and the catalog functions know of the session |
//! | [`provider`] | a relation as a DataFusion table |
//! | [`sequence_table`] | a sequence as a DataFusion table |
//! | [`pg_catalog`], [`information_schema`] | the rows that come from the snapshot |
//! | [`terrane`] | the rows that come from the tablet servers |
//!
//! A relation that PostgreSQL has and whose truth is not known here is refused (0A000) when read; one that
//! is truly empty is empty.

mod csv;
pub mod facts;
pub(crate) mod fixed;
mod information_schema;
pub(crate) mod pg_catalog;
pub(crate) mod procs;
pub mod provider;
pub mod relations;
pub(crate) mod rows;
pub mod sequence_table;
pub(crate) mod terrane;
pub(crate) mod types;

pub use facts::{Facts, SessionFacts};
pub use relations::{SystemColumn, SystemRelation};
