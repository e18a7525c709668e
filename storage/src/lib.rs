//! The tablet server and its engine.
//!
//! | module | what it holds |
//! |---|---|
//! | [`log`] | the commit log |
//! | [`memtable`] | recent row mutations in memory, sorted by key |
//! | [`sstable`] | immutable sorted files, stored by column inside blocks |
//! | [`scan`] | reads over memtables and runs: points, scans into Arrow, what compaction keeps |
//! | [`cache`] | decoded blocks, indexes and filters of SSTables |
//! | [`checksum`] | CRC-32C, the checksum of everything stored |

pub mod cache;
pub mod checksum;
pub mod log;
pub mod memtable;
pub mod scan;
pub mod sstable;
