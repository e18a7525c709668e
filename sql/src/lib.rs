//! Terrane's SQL frontend: PostgreSQL's wire protocol in front, tablets behind, DataFusion between.
//!
//! | module | what it holds |
//! |---|---|
//! | [`bind`] | PostgreSQL's types and names put into the syntax tree |
//! | [`catalog`] | what there is in the database: objects, snapshots, staged changes |
//! | [`error`] | the one error type of this layer: SQLSTATE, message, detail, hint, position |
//! | [`copy`] | COPY: statement, options, formats |
//! | [`functions`] | operators and functions where DataFusion's differ |
//! | [`parse`] | text to statements |
//! | [`plan`] | statements to rows |
//! | [`scan`] | tables inside DataFusion |
//! | [`session`] | one client's state: settings, transaction block, prepared statements, what a statement answers |
//! | [`types`] | PostgreSQL's types as clients see them: OIDs, text and binary forms |
//! | [`wire`] | the protocol: connections, messages, rows, COPY |

pub mod bind;
pub mod catalog;
pub mod copy;
pub mod error;
pub mod functions;
pub mod parse;
pub mod plan;
pub mod scan;
pub mod session;
pub mod types;
pub mod wire;
