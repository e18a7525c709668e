//! Terrane's SQL frontend: PostgreSQL's wire protocol in front, tablets behind, DataFusion between.
//!
//! | module | what it holds |
//! |---|---|
//! | [`error`] | the one error type of this layer: SQLSTATE, message, detail, hint, position |
//! | [`session`] | one client's state: settings, transaction block, prepared statements, what a statement answers |
//! | [`types`] | PostgreSQL's types as clients see them: OIDs, text and binary forms |

pub mod error;
pub mod session;
pub mod types;
