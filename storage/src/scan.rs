//! Reads: rows of a tablet's memtables and runs at one timestamp.
//!
//! [`Sources`] is what a reader pins. [`Sources::get`] is the point read, [`Scan`] the range read into
//! Arrow, [`GcMerge`] what flush and compaction write.
//!
//! What a read at T sees of a row is decided by one rule, that of [`terrane_client::row::RowMerge`]: over the
//! versions with `commit_ts <= T`, newest first, of each column the newest cell counts, up to and including
//! the first version that is a delete or a whole row; the row exists if a marker was among them. Sources
//! are visited newest first, so nothing is sorted.
//!
//! | module | what it holds |
//! |---|---|
//! | `sources` | memtables and runs, newest first; range tombstones |
//! | `get` | point reads |
//! | `scanner` | scans: of one locality group or of several |
//! | `group_scan` | one group: which rows next, and how their batch is built |
//! | `join`, `join_plan` | several groups side by side |
//! | `merge`, `run_cursor` | sources side by side, in key order |
//! | `prune` | rule 11: when a block's pages are the answer, and its zone maps speak of it |
//! | `direct` | batches straight from a block |
//! | `map_entries`, `map_scan` | map columns: a row's map out of its entries |
//! | `picks`, `gather` | batches out of merged rows |
//! | `group_gc` | the policies of a group: what has expired by when |
//! | `dated_row` | rows whose cells have timestamps of the client's |
//! | `history` | scans of versions |
//! | `gc` | rule 7: what of a row's versions is kept when runs are written |
//! | `plan`, `predicate`, `arrays` | the request worked out, predicates over columns, columns of a batch |
//! | `error` | what can go wrong |

mod arrays;
mod dated_row;
mod direct;
mod error;
mod gather;
mod gc;
mod get;
mod group_gc;
mod group_scan;
mod history;
mod join;
mod join_plan;
mod map_entries;
mod map_scan;
mod merge;
mod picks;
mod plan;
pub mod predicate;
mod prune;
mod run_cursor;
mod scanner;
mod sources;

pub use error::{Result, ScanError};
pub use gc::{Emit, GcCounts, GcMerge, GcPolicy, OutCells};
pub use group_gc::{GroupGc, ReadTime};
pub use map_entries::MapColumn;
pub use scanner::{Piece, Scan, ScanOptions};
pub use sources::{Run, RunFile, Sources};

#[cfg(test)]
mod tests;
