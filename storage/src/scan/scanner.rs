//! A scan of a table: record batches of the rows of some ranges, from the locality groups that have the columns.
//!
//! Where one group has all that is asked for, and knows which rows there are, it is scanned alone
//! ([`super::group_scan`]). Otherwise several are joined by their keys ([`super::join`]). Map columns are read beside
//! the rows ([`super::map_scan`]).

use super::group_scan::{GroupPiece, GroupScan, RowSet, ScannedGroup};
use super::history::HistoryScan;
use super::join::JoinScan;
use super::map_scan::{MapScan, has_maps};
use super::sources::Sources;
use crate::sstable::ReadCounts;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId};
use terrane_client::read::{GroupsOfScan, KeyRange, ScanMetrics, ScanRequest, Versions};
use terrane_client::schema::TableSchema;

/// How a scan is run; the answer is the same.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// Pass over blocks by their zone maps.
    pub pruning: bool,
    /// Keep blocks that are read in the cache.
    pub fill_cache: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { pruning: true, fill_cache: true }
    }
}

/// One tablet's part of a scan.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The sources of the tablet's locality groups.
    pub groups: Vec<(LocalityGroupId, Sources)>,
    /// A range of its keys.
    pub range: KeyRange,
}

impl Piece {
    /// A group's sources; of one that the tablet does not have, none.
    pub(super) fn group(&self, id: LocalityGroupId) -> GroupPiece {
        let known = self.groups.iter().find(|(known, _)| *known == id);
        let sources = known.map(|(_, sources)| sources.clone()).unwrap_or_default();
        GroupPiece { sources, range: self.range.clone() }
    }
}

/// See the module's documentation. A plain iterator: it reads files and belongs on a thread that may wait.
pub struct Scan {
    kind: Kind,
    metrics: Arc<ScanMetrics>,
}

enum Kind {
    OneGroup(Box<GroupScan>),
    Several(Box<JoinScan>),
    WithMaps(Box<MapScan>),
    History(Box<HistoryScan>),
}

impl Scan {
    /// A scan of these pieces, in the order in which they are to be read: descending for a descending scan.
    /// `schema` is the one the request was planned with. The request's ranges are not looked at.
    pub fn new(
        request: &ScanRequest,
        schema: Arc<TableSchema>,
        at: CommitTs,
        pieces: Vec<Piece>,
        options: ScanOptions,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self, TabletError> {
        if request.versions != Versions::Newest {
            let (own, all) = (metrics.clone(), metrics);
            let scan = HistoryScan::new(request, schema, at, pieces, options, own)?;
            return Ok(Self { kind: Kind::History(Box::new(scan)), metrics: all });
        }
        if has_maps(request, &schema) {
            let own = metrics.clone();
            let scan = MapScan::new(request, schema, at, pieces, options, own)?;
            return Ok(Self { kind: Kind::WithMaps(Box::new(scan)), metrics });
        }
        let GroupsOfScan { lead, followers, .. } =
            GroupsOfScan::choose(&schema, &request.projection, &request.predicates);
        let kind = match followers.is_empty() {
            true => {
                let pieces = pieces.iter().map(|piece| piece.group(lead)).collect();
                let group = ScannedGroup { id: lead, rows: RowSet::Living, pieces };
                let scan = GroupScan::new(request, schema, at, group, options, metrics.clone())?;
                Kind::OneGroup(Box::new(scan))
            }
            false => {
                let (groups, metrics) =
                    (GroupsOfScan { lead, followers, maps: Vec::new() }, metrics.clone());
                let scan = JoinScan::new(request, schema, at, pieces, groups, options, metrics)?;
                Kind::Several(Box::new(scan))
            }
        };
        Ok(Self { kind, metrics })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        match &self.kind {
            Kind::OneGroup(scan) => scan.schema(),
            Kind::Several(scan) => scan.schema(),
            Kind::WithMaps(scan) => scan.schema(),
            Kind::History(scan) => scan.schema(),
        }
    }

    /// True once there are no more batches.
    pub fn is_done(&self) -> bool {
        match &self.kind {
            Kind::OneGroup(scan) => scan.is_done(),
            Kind::Several(scan) => scan.is_done(),
            Kind::WithMaps(scan) => scan.is_done(),
            Kind::History(scan) => scan.is_done(),
        }
    }

    /// Gives out nothing more.
    pub(super) fn end(&mut self) {
        match &mut self.kind {
            Kind::OneGroup(scan) => scan.end(),
            Kind::Several(scan) => scan.end(),
            Kind::WithMaps(scan) => scan.end(),
            Kind::History(scan) => scan.end(),
        }
    }

    /// The next batch, looking at about `rows_max` rows. `None` where none of them was taken, or at the
    /// end: see [`Scan::is_done`].
    pub fn next_batch(&mut self, rows_max: usize) -> Result<Option<RecordBatch>, TabletError> {
        let before = ReadCounts::now();
        let batch = match &mut self.kind {
            Kind::OneGroup(scan) => scan.next_batch(rows_max),
            Kind::Several(scan) => scan.next_batch(rows_max),
            Kind::WithMaps(scan) => scan.next_batch(rows_max),
            Kind::History(scan) => scan.next_batch(rows_max),
        };
        let ReadCounts { file_bytes, cache_hits, files_skipped } = ReadCounts::now().since(before);
        self.metrics.file_bytes.fetch_add(file_bytes, Relaxed);
        self.metrics.cache_hits.fetch_add(cache_hits, Relaxed);
        self.metrics.files_skipped.fetch_add(files_skipped, Relaxed);
        batch
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch, TabletError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch(usize::MAX).transpose();
        if matches!(next, Some(Err(_))) {
            self.end();
        }
        next
    }
}
