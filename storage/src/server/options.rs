//! Everything that can be tuned about a tablet server, with its unit and its reason.

use crate::cache::CacheOptions;
use crate::log::LogOptions;
use crate::sstable::Codec;
use std::time::Duration;

/// See the fields. The defaults suit a machine of a few cores and gigabytes.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Bytes of all memtables together, active and frozen, before writers are slowed. The largest is
    /// frozen and flushed when seven eighths are used.
    pub memtable_bytes: usize,
    /// The users' commit log.
    pub users_log: LogOptions,
    /// METADATA's commit log.
    pub metadata_log: LogOptions,
    /// Log segments kept before the oldest memtable is flushed to let them go: bounds the time a
    /// restart takes.
    pub log_segments_max: usize,
    /// The block cache.
    pub cache: CacheOptions,
    /// A merged run is cut into files of about this many bytes.
    pub file_bytes: u64,
    /// A data block closes at this many raw bytes, if it has this many rows.
    pub block_bytes: usize,
    /// See `block_bytes`.
    pub block_rows: usize,
    /// A tablet whose files take more bytes than this is split in the middle, unless its table says otherwise. Large enough that METADATA stays
    /// small, small enough that one is moved or recovered quickly.
    pub tablet_bytes_max: u64,
    /// The same for METADATA's tablets, but for the root. Small, since they are kept in memory and each edit of a row writes the whole
    /// row: a compaction of one of them goes through as much.
    pub metadata_tablet_bytes_max: u64,
    /// Merge runs in the background; off only in tests that want their runs to stay.
    pub compaction: bool,
    /// Without being woken the compaction thread looks again after this long: what may be dropped grows with
    /// time alone, and what can wait for quiet times is done then.
    pub quiet_after: Duration,
    /// Use zone maps and filters to pass over blocks and files; off only to check that they change no
    /// answer.
    pub pruning: bool,
    /// Codec of pages that flushes write.
    pub flush_codec: Codec,
    /// Codec of pages that compactions write.
    pub compaction_codec: Codec,
    /// Longest delay a single write is given when background work is behind.
    pub delay_max: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            memtable_bytes: 256 << 20,
            users_log: LogOptions::default(),
            metadata_log: LogOptions::metadata(),
            log_segments_max: 8,
            cache: CacheOptions::default(),
            file_bytes: 96 << 20,
            block_bytes: 64 << 10,
            block_rows: 1024,
            tablet_bytes_max: 1 << 30,
            metadata_tablet_bytes_max: 8 << 20,
            compaction: true,
            quiet_after: Duration::from_secs(60),
            pruning: true,
            flush_codec: Codec::Lz4,
            compaction_codec: Codec::Zstd(1),
            delay_max: Duration::from_millis(100),
        }
    }
}

impl ServerOptions {
    /// Small enough that a test of a few thousand rows flushes, merges and recycles segments.
    pub fn small() -> Self {
        Self {
            memtable_bytes: 1 << 20,
            users_log: small_log(1 << 20),
            metadata_log: small_log(256 << 10),
            log_segments_max: 4,
            cache: CacheOptions {
                data_bytes: 4 << 20,
                meta_bytes: 1 << 20,
                ..CacheOptions::default()
            },
            file_bytes: 1 << 20,
            block_bytes: 4 << 10,
            block_rows: 16,
            ..Self::default()
        }
    }
}

fn small_log(segment_bytes: u64) -> LogOptions {
    LogOptions {
        segment_bytes,
        first_segment_bytes: segment_bytes / 2,
        frame_bytes: 32 << 10,
        group_bytes: 32 << 10,
        ..LogOptions::default()
    }
}
