//! SQLite's own dialect of sqllogictest: the `.test` files.
//!
//! It is not the dialect of sqllogictest-rs: the result letters *format* the values, values stand one a
//! line, long results are an md5, and words may follow a label. Hence a parser of its own
//! ([`parse`]) and rules of its own for comparing ([`compare`]).

pub mod compare;
pub mod parse;
pub mod run;
