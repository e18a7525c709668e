//! PostgreSQL's wire protocol, version 3: the connection loop in front of a [`crate::session`].
//!
//! Of pgwire this layer uses SCRAM only. Its message decoders read past the end of a short message and
//! panic, its portals hold whole results, and it flushes per message; framing, messages and row encoding
//! are therefore our own, and small.
//!
//! | module | what it holds |
//! |---|---|
//! | [`server`] | listening, the limit of connections, shutdown |
//! | [`startup`] | from the first byte to ReadyForQuery: SSL and GSS requests, cancel requests, login |
//! | [`auth`] | SCRAM-SHA-256 |
//! | [`socket`] | buffers on both sides, reading while writing |
//! | [`frontend`] | what clients send: framing and messages |
//! | [`backend`] | what clients are sent |
//! | [`connection`] | the loop: which message may come when, skipping to Sync, flushing |
//! | [`rows`] | results, streamed and limited |
//! | [`copy`] | COPY's sub-protocol |
//! | [`encode`] | record batches to DataRow messages |
//! | [`decode`] | parameters to values |
//! | [`fuzz`] | entry points for fuzzing |
//!
//! # Fault model
//!
//! Nothing a client sends makes the server panic, allocate what the client has not sent, or wait without
//! end while holding more than its buffers: a malformed message is a PostgreSQL error, a broken frame
//! closes the connection, and both leave all other connections alone.

pub mod auth;
pub mod backend;
pub mod connection;
pub mod copy;
pub mod decode;
pub mod encode;
pub mod frontend;
pub mod fuzz;
pub mod rows;
pub mod server;
pub mod socket;
pub mod startup;
