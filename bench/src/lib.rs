//! Side by side with a peer, in one run, on one machine, beside what the machine itself can do: the whole
//! database beside PostgreSQL, and with feature `peers` its storage engine beside RocksDB.
//!
//! | module | what it holds |
//! |---|---|
//! | [`options`] | how much is measured |
//! | [`limits`], [`canned`] | the machine: syncs, memory, checksums, loopback, a reply without a database |
//! | [`peer`] | starting Terrane and a PostgreSQL cluster of its own on one file system |
//! | [`load`] | the tables, and COPY |
//! | [`points`] | point SELECT and UPDATE under pgbench |
//! | [`queries`] | count, GROUP BY, key range |
//! | `engine` | the storage engine and RocksDB in this process; feature `peers` |
//! | [`measure`] | figures, medians, ratios |
//! | [`report`], [`picture`] | Markdown and SVG |
//!
//! Method: peers take turns within each round, so that what else happens on the machine meets both;
//! medians over the rounds are compared. Both acknowledge a commit after syncing it.
//!
//! Non-goals: tuned clients, several machines, anything that needs more than a terminal.

// A measuring tool reads clocks, starts processes and writes files; the rule is for the database.
#![allow(clippy::disallowed_methods)]

pub mod canned;
#[cfg(feature = "peers")]
pub mod engine;
pub mod limits;
pub mod load;
pub mod measure;
pub mod options;
pub mod peer;
pub mod picture;
pub mod points;
pub mod queries;
pub mod report;

/// What went wrong, with what was being done.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A program is missing, did not start, or failed.
    #[error("{0}")]
    Program(String),
    /// A file, a socket.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// An engine in this process said no.
    #[error("{0}: {1}")]
    Engine(String, String),
    /// The machine was not the same at start and end.
    #[error("the machine drifted, so the figures are not kept (--accept-drift keeps them): {0}")]
    Drift(String),
    /// A database said no.
    #[error("{0}: {1}")]
    Sql(String, tokio_postgres::Error),
}

impl BenchError {
    /// For `map_err` around IO.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io(what, error)
    }

    /// For `map_err` around an engine's call.
    pub fn engine<E: std::fmt::Display>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |error| Self::Engine(what, error.to_string())
    }

    /// For `map_err` around a statement.
    pub fn sql(what: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let what = what.into();
        move |error| Self::Sql(what, error)
    }
}

/// Shorthand.
pub type Result<T> = std::result::Result<T, BenchError>;
