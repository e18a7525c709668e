//! From syntax to meaning, before DataFusion plans: PostgreSQL's types and names put into the tree.
//!
//! | module | what it holds |
//! |---|---|
//! | [`checks`] | CHECK constraints in the tablets' language |
//! | [`ddl`] | DDL: grammar, checks, staged changes |
//! | [`membership`] | IN and EXISTS of subqueries as values |
//! | [`multiset`] | INTERSECT ALL and EXCEPT ALL |
//! | [`names`] | the names of result columns |
//! | [`rewrite`] | literals and casts as PostgreSQL types them |
//! | [`set_returning`] | functions in a select list that return several rows |
//! | [`template`] | syntax written as SQL text |
//! | [`type_name`] | type names |
//! | [`windows`] | windows that build on named ones |

pub mod checks;
pub mod ddl;
pub mod membership;
pub mod multiset;
pub mod names;
pub mod rewrite;
pub mod set_returning;
pub mod template;
pub mod type_name;
pub mod windows;
