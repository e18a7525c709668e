//! The vocabulary of Terrane: what crosses from one role to another, and how anyone reaches data.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | the names of things: storage, column, commit timestamp, sequence number, request |
//! | [`types`] | SQL's column types, and the physical form of each |
//! | [`numeric`], [`interval`] | the two types Rust lacks |
//! | [`value`] | one SQL value of any type |
//! | [`cell`] | a value's stored bytes |
//! | [`key`] | order-preserving row keys |
//! | [`schema`] | a table as its tablets know it |
//! | [`row`] | packed rows and row mutations: the bytes of log, memtable and wire |
//! | [`map_column`] | map columns: the keys of their entries, and what happens to those |
//! | [`expr`] | the one expression language of row programs and pushed predicates |
//! | [`program`] | row programs: what happens to one row under its lock |
//! | [`columns`] | Arrow columns out of cells and keys, and back |
//! | [`read`] | scans: what to read, and at which timestamp |
//! | [`service`] | [`service::TabletService`]: what a tablet server answers |
//! | [`status`] | what servers say of themselves and their tablets |
//! | [`metadata`] | METADATA's rows: where tablets live and which files they have |
//! | [`lock`] | the lock service's contract |
//! | [`master`] | what the master does on request |
//! | [`locate`] | the tablet location cache and routing |
//! | [`model`] | all of the above in memory, as simply as can be: the oracle of tests |
//! | [`blocking`] | long synchronous work inside an asynchronous caller |
//! | [`error`] | what can go wrong between a client and a tablet |
//!
//! Arrows: everything depends on this crate; it depends on `terrane-env` only.

#[cfg(test)]
mod arbitrary;
pub mod blocking;
pub mod cell;
pub mod columns;
pub mod error;
pub mod expr;
pub mod ids;
pub mod interval;
pub mod key;
pub mod locate;
pub mod lock;
pub mod map_column;
pub mod master;
pub mod metadata;
pub mod model;
pub mod numeric;
pub mod program;
pub mod read;
pub mod row;
pub mod schema;
pub mod service;
pub mod status;
pub mod types;
pub mod value;
