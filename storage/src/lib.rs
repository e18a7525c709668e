//! The tablet server and its engine.
//!
//! | module | what it holds |
//! |---|---|
//! | [`lock_service`] | the embedded lock service |
//! | [`log`] | the commit log |
//! | [`fragments`] | range tombstones, cut so that what covers a key is found by one search |
//! | [`memtable`] | recent row mutations in memory, sorted by key |
//! | [`sstable`] | immutable sorted files, stored by column inside blocks |
//! | [`scan`] | reads over memtables and runs: points, scans into Arrow, what compaction keeps |
//! | [`compaction`] | which runs to merge, and writing what merges and flushes make |
//! | [`tablet`] | a row range: memtables and runs at one moment |
//! | [`server`] | the tablet server: commits, reads, recovery, flushes, merges |
//! | [`inspect`] | looking at a stopped directory: METADATA against what lies there |
//! | [`cache`] | decoded blocks, indexes and filters of SSTables |
//! | [`checksum`] | CRC-32C, the checksum of everything stored |

pub mod cache;
pub mod checksum;
pub mod compaction;
pub mod fragments;
pub mod inspect;
pub mod lock_service;
pub mod log;
pub mod memtable;
pub mod request_ids;
pub mod scan;
pub mod server;
pub mod sstable;
pub mod tablet;
