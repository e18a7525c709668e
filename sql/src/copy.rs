//! COPY: its statement, its options, and its three formats both ways.
//!
//! | module | what it holds |
//! |---|---|
//! | [`statement`] | COPY's grammar, which sqlparser reads otherwise |
//! | [`options`] | the options, checked as PostgreSQL checks them |
//! | [`lines`] | a byte stream to lines |
//! | [`fields`] | a line to fields |
//! | [`reader`] | bytes in, record batches out |
//! | [`binary`] | the binary format's reader |
//! | [`writer`] | record batches in, CopyData messages out |
//! | [`fuzz`] | entry points for fuzzing |
//!
//! Bytes come cut anywhere. Nothing is allocated per field: fields are slices of their line, or of one
//! buffer where quotes and escapes had to be taken out, and go straight into column builders.

pub mod binary;
pub mod fields;
pub mod fuzz;
pub mod lines;
pub mod options;
pub mod reader;
pub mod statement;
pub mod writer;
