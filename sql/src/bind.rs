//! From syntax to meaning, before DataFusion plans: PostgreSQL's types and names put into the tree.
//!
//! | module | what it holds |
//! |---|---|
//! | [`aliases`] | tables that go by another name |
//! | [`as_of`] | FOR SYSTEM_TIME AS OF |
//! | [`checks`] | CHECK constraints in the tablets' language |
//! | [`ddl`] | DDL: grammar, checks, staged changes |
//! | [`expanded_rows`] | `(each(m)).*` |
//! | [`function_values`] | functions in FROM by whose name their value is meant |
//! | [`join_subqueries`] | subqueries in the condition of a join |
//! | [`limits`] | FETCH FIRST |
//! | [`membership`] | IN and EXISTS of subqueries as values |
//! | [`multiset`] | INTERSECT ALL and EXCEPT ALL |
//! | [`names`] | the names of result columns |
//! | [`order_by`] | columns to sort by that outputs hide |
//! | [`ordered_sets`] | percentile_disc(), mode() |
//! | [`recursion`] | what WITH RECURSIVE may say |
//! | [`relation_columns`] | the names of a relation's columns |
//! | [`rewrite`] | literals and casts as PostgreSQL types them |
//! | [`row_values`] | comparisons of rows |
//! | [`set_functions`] | functions that return a set, and the arrays behind them |
//! | [`set_returning`] | functions in a select list that return several rows |
//! | [`table_functions`] | functions in FROM |
//! | [`tableoid`] | the system column of that name |
//! | [`template`] | syntax written as SQL text |
//! | [`ties`] | FETCH FIRST … WITH TIES |
//! | [`timestamp`] | the system column `_timestamp` |
//! | [`type_name`] | type names |
//! | [`using`] | columns that joins merge |
//! | [`values`] | the types of VALUES lists |
//! | [`versions`] | tables with the versions of their rows |
//! | [`walk`] | visits of the nodes of one kind |
//! | [`whole_rows`] | rows as values |
//! | [`windows`] | windows that build on named ones |

pub mod aliases;
pub mod as_of;
pub mod checks;
pub mod ddl;
pub mod expanded_rows;
pub mod function_values;
pub mod join_subqueries;
pub mod limits;
pub mod membership;
pub mod multiset;
pub mod names;
pub mod order_by;
pub mod ordered_sets;
pub mod recursion;
pub mod relation_columns;
pub mod rewrite;
pub mod row_values;
pub mod set_functions;
pub mod set_returning;
pub mod table_functions;
pub mod tableoid;
pub mod template;
pub mod ties;
pub mod timestamp;
pub mod type_name;
pub mod using;
pub mod values;
pub mod versions;
mod walk;
pub mod whole_rows;
pub mod windows;
