//! Integration tests of the SQL frontend: one binary, one module per scenario.
#![allow(clippy::unwrap_used, missing_docs)]

mod copy;
mod copy_session;
mod explain;
mod harness;
mod map_blocks;
mod point_road;
mod random;
mod rows;
mod select;
mod type_samples;
mod wire;
