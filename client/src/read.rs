//! Reads: point gets and scans, each at one timestamp.

mod groups;
mod versions;

pub use groups::{GroupsOfScan, is_about};
pub use versions::{Selection, Versions};

use crate::error::TabletError;
use crate::expr::Expr;
use crate::ids::{ColumnId, CommitTs, StorageId};
use crate::map_column::MapParts;
use crate::row::Row;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A half-open range of encoded row keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// First key inside.
    pub start: Bytes,
    /// First key outside; `None` is the end of the table.
    pub end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self { start: Bytes::new(), end: None }
    }

    /// True where `key` is inside.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.start[..] && self.end.as_ref().is_none_or(|end| key < &end[..])
    }

    /// True where no key is inside.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// The keys inside both.
    pub fn intersect(&self, other: &KeyRange) -> KeyRange {
        let end = match (&self.end, &other.end) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (a, b) => a.as_ref().or(b.as_ref()).cloned(),
        };
        KeyRange { start: self.start.clone().max(other.start.clone()), end }
    }
}

/// A point read: the fast path, without a record batch.
#[derive(Clone, Debug)]
pub struct GetRequest {
    /// The table.
    pub table: StorageId,
    /// The schema the frontend planned with.
    pub schema_version: u32,
    /// Read at this commit timestamp; `None` is the newest visible one.
    pub read_ts: Option<CommitTs>,
    /// Encoded row keys, in any order.
    pub keys: Vec<Bytes>,
    /// Which non-key columns to return, ascending; `None` is all.
    pub columns: Option<Arc<[ColumnId]>>,
    /// What of the maps among them.
    pub map_parts: Arc<MapParts>,
}

/// A point read's answer.
#[derive(Clone, Debug)]
pub struct GetResponse {
    /// The timestamp that was read at.
    pub read_ts: CommitTs,
    /// One a key, in the order asked; `None` where no row lives.
    pub rows: Vec<Option<Row>>,
}

/// One column of a scan's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Projected {
    /// A column of the table, key or not, in its type's Arrow form. A cell never written reads as the
    /// column's missing value.
    Column(ColumnId),
    /// The encoded row key, as BinaryView.
    Key,
    /// The row's version ([`CommitTs`]), as Int64.
    Version,
    /// Of a scan of cells the cell's column ([`ColumnId`]), as Int64.
    CellColumn,
    /// Of a scan of cells the encoded map key of one that is an entry of a map column, as BinaryView: NULL of others.
    CellKey,
    /// Of a scan of cells what is stored of its value, as BinaryView: NULL is an explicit NULL.
    CellValue,
}

/// A scan.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// The table.
    pub table: StorageId,
    /// The schema the frontend planned with.
    pub schema_version: u32,
    /// Read at this commit timestamp; `None` is the newest visible one.
    pub read_ts: Option<CommitTs>,
    /// Disjoint, ascending. Empty reads nothing.
    pub ranges: Vec<KeyRange>,
    /// The columns of the answer, in order. May be empty: batches then carry only row counts.
    pub projection: Vec<Projected>,
    /// What of the maps among them. More may come, if that is as easy.
    pub map_parts: Arc<MapParts>,
    /// Conjuncts. Rows for which one is false or NULL may be left out; a tablet need not evaluate
    /// them all, so the frontend filters again (rule 11 governs pruning).
    pub predicates: Vec<Expr>,
    /// Each row once, or its versions.
    pub versions: Versions,
    /// At most this many rows, counted before any predicate the frontend filters again by: set only
    /// where `predicates` is empty.
    pub limit: Option<u64>,
    /// Descending key order.
    pub reverse: bool,
    /// Rows of a batch at most; the first may be smaller so that it arrives soon.
    pub batch_rows_max: usize,
}

/// A scan's answer.
pub struct ScanResponse {
    /// The timestamp that is read at.
    pub read_ts: CommitTs,
    /// Batches in key order (descending when asked). Dropping the stream stops the scan.
    pub batches: BoxStream<'static, Result<RecordBatch, TabletError>>,
    /// What the scan did so far, for EXPLAIN ANALYZE.
    pub metrics: Arc<ScanMetrics>,
}

/// What a scan did: counters that only grow.
#[derive(Debug, Default)]
pub struct ScanMetrics {
    /// Tablets visited.
    pub tablets: AtomicU64,
    /// Data blocks read, from cache or file.
    pub blocks_read: AtomicU64,
    /// Data blocks passed over by key range or zone map.
    pub blocks_skipped: AtomicU64,
    /// Files that were not looked into because their filter does not know the row, or none of its columns that are read.
    pub files_skipped: AtomicU64,
    /// Blocks found in the block cache.
    pub cache_hits: AtomicU64,
    /// Bytes read from files.
    pub file_bytes: AtomicU64,
    /// Rows looked at, before predicates.
    pub rows_seen: AtomicU64,
    /// Rows given back.
    pub rows_returned: AtomicU64,
}

impl ScanMetrics {
    /// Adds another scan's counts to these.
    pub fn add(&self, other: &ScanMetrics) {
        let both = [
            (&self.tablets, &other.tablets),
            (&self.blocks_read, &other.blocks_read),
            (&self.blocks_skipped, &other.blocks_skipped),
            (&self.files_skipped, &other.files_skipped),
            (&self.cache_hits, &other.cache_hits),
            (&self.file_bytes, &other.file_bytes),
            (&self.rows_seen, &other.rows_seen),
            (&self.rows_returned, &other.rows_returned),
        ];
        for (sum, part) in both {
            sum.fetch_add(part.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
