//! From syntax to meaning, before DataFusion plans: PostgreSQL's types and names put into the tree.
//!
//! | module | what it holds |
//! |---|---|
//! | [`checks`] | CHECK constraints in the tablets' language |
//! | [`ddl`] | DDL: grammar, checks, staged changes |
//! | [`names`] | the names of result columns |
//! | [`rewrite`] | literals and casts as PostgreSQL types them |
//! | [`type_name`] | type names |

pub mod checks;
pub mod ddl;
pub mod names;
pub mod rewrite;
pub mod type_name;
