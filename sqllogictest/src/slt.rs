//! `.slt` files: the dialect of sqllogictest-rs, parsed and run by that crate.
//!
//! What is ours: the connection behind it ([`database`]), and a stricter comparison. Rows must be equal to
//! the letter, white space within them included; only white space at the end of a row is free. The type
//! letters after `query` must name the types that the extended protocol tells.

pub mod complete;
pub mod database;
pub mod run;
