//! Terrane in one process: what `terrane start` runs, and tests and benchmarks embed.
//!
//! | module | what it holds |
//! |---|---|
//! | [`embedded`] | every role below SQL, on one data directory |

pub mod embedded;
