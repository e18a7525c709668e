//! Conformance over the wire: runs `.slt` suites and SQLite's `.test` corpus against a server that speaks
//! PostgreSQL's protocol, and says how much of them passes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line: run, `excerpt`, `complete` |
//! | [`source`] | which files are run |
//! | [`archive`] | `.tar.xz` and `.tar.zst` |
//! | [`server`] | an embedded server: the `terrane` binary on a temporary directory |
//! | [`session`] | a connection with a time limit that is reopened when it breaks; binary values as text |
//! | [`context`] | what all files share: server, labels, progress bar, list of failures |
//! | [`file_run`] | one file in one mode, in a schema of its own |
//! | [`sqlite`] | SQLite's dialect: parser, comparison, runner |
//! | [`slt`] | the dialect of sqllogictest-rs |
//! | [`condition`] | `skipif` and `onlyif` |
//! | [`exclude`] | records left out of the score |
//! | [`outcome`] | what became of records |
//! | [`report`], [`gate`] | the table, and what it has to reach |
//! | [`excerpt`] | making an excerpt of the corpus |

// A client of the server from outside: nothing here runs in a simulated world.
#![allow(clippy::disallowed_methods)]

pub mod archive;
pub mod cli;
pub mod condition;
pub mod context;
pub mod excerpt;
pub mod exclude;
pub mod file_run;
pub mod gate;
pub mod outcome;
pub mod report;
pub mod server;
pub mod session;
pub mod slt;
pub mod source;
pub mod sqlite;
