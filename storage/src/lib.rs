//! The tablet server and its engine.
//!
//! | module | what it holds |
//! |---|---|
//! | [`memtable`] | recent row mutations in memory, sorted by key |

pub mod memtable;
