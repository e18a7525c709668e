//! Terrane's tables inside DataFusion: the provider, what of a filter goes to the tablets, and the leaf
//! operator that reads them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`statement`] | what every scan of one statement shares: tablets, timestamp, the block's own rows |
//! | [`as_of`] | reads of tables as they were |
//! | [`versions`] | what a scan shows beside a table's columns: times and versions |
//! | [`provider`] | a table as DataFusion plans with it |
//! | [`predicate`] | DataFusion filters as predicates of the tablets' language |
//! | [`exec`], [`counts`] | the leaf operator; what it did |
//! | [`map_range`] | a range of a map's keys, as EXPLAIN shows it |
//! | [`split`] | where large tables are cut for several threads |
//! | [`overlay`] | the rows a transaction block has written, merged over a scan |
//! | [`unread_maps`] | the maps of such rows that the block has not read |
//!
//! Filters are always reported as inexact, so DataFusion filters again: what a tablet leaves out can
//! only be rows that do not count.

pub mod as_of;
pub mod counts;
pub mod exec;
pub mod map_range;
pub mod overlay;
pub mod predicate;
pub mod provider;
pub mod split;
pub mod statement;
pub mod unread_maps;
pub mod versions;
