//! Fewer, larger runs: which ones to merge, and writing what merges and flushes make.
//!
//! | module | what it holds |
//! |---|---|
//! | [`pick`] | which runs to merge, by their sizes |
//! | [`overlap`] | which files of a merge can stay as they are |
//! | [`dead`] | which files may hold what has died |
//! | [`output`] | row versions in, a run's files out |

pub mod covered;
pub mod dead;
pub mod output;
pub mod overlap;
pub mod pick;
