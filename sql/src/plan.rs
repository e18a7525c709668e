//! From a bound statement to rows: DataFusion's planner under PostgreSQL's rules.
//!
//! | module | what it holds |
//! |---|---|
//! | [`planner`] | a query from its syntax tree to an executable plan |
//! | [`analyzer`] | what the planner knows about SQL text, for DDL |
//! | [`context`] | what the planner asks: tables by search path, functions, types |
//! | [`apply`] | correlated subqueries that DataFusion has no join for |
//! | `as_of` | tables as they were |
//! | [`relations`] | the catalog's tables and views as the planner finds them |
//! | `compute` | the threads that queries compute on |
//! | `interrupt` | plans that a cancel request can end while they compute |
//! | [`lower`] | planned expressions in the tablets' language |
//! | [`rules`] | optimiser rules of our own |
//! | [`result_types`] | the types of a query's columns |
//! | [`errors`] | DataFusion's and the tablets' errors as SQL errors |
//! | [`rows`], [`values`] | stored rows and values in DataFusion's form |

pub mod analyzer;
pub mod apply;
mod as_of;
mod compute;
pub mod context;
pub mod errors;
mod interrupt;
pub mod lower;
pub mod planner;
pub mod relations;
pub mod result_types;
pub mod rows;
pub mod rules;
pub mod values;
mod versions;
