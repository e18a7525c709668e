//! The real binary from outside: one module a scenario.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a client's files and clock")]

mod damage;
mod directory;
mod disk_full;
mod fuzz;
mod hidden_versions;
mod kill;
mod metadata;
mod open_files;
mod server;
mod sync;
mod tools;
