//! The tablet server from outside: one module a scenario.

#![allow(clippy::unwrap_used)]

mod basics;
mod client_timestamps;
mod concurrency;
mod crash;
mod events;
mod faults;
mod groups;
mod hot_row;
mod load;
mod map_versions;
mod maps;
mod merge;
mod metadata;
mod model;
mod purge;
mod quiet;
mod range_deletes;
mod retries;
mod rules;
mod split;
mod takeover;
mod world;
