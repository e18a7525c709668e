//! Terrane's SQL frontend: PostgreSQL's wire protocol in front, tablets behind, DataFusion between.
//!
//! | module | what it holds |
//! |---|---|
//! | [`catalog`] | what there is in the database: objects, snapshots, staged changes |
//! | [`error`] | the one error type of this layer: SQLSTATE, message, detail, hint, position |
//! | [`session`] | one client's state: settings, transaction block, prepared statements, what a statement answers |
//! | [`types`] | PostgreSQL's types as clients see them: OIDs, text and binary forms |

pub mod catalog;
pub mod error;
pub mod session;
pub mod types;
