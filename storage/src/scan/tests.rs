//! Reads over random sources, against a map of all versions.
//!
//! Every test draws its cases from fixed seeds and names the seed that fails.

mod dated;
mod garbage;
mod hidden;
mod history;
mod points;
mod scans;
mod world;
