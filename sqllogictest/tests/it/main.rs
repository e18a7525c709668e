//! What the runner does with servers that misbehave, seen from outside: exit status and report.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod fake_server;
mod misbehaving_server;
