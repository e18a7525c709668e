//! A scan with map columns: the rows, by a scan of all other columns, and beside each its maps.
//!
//! Whole maps of rows that come in key order are read in one go over the entries, which lie in the same order; where
//! many entries lie between one row and the next, and backwards, each map is looked for by itself. Parts of maps are
//! read row by row.
//!
//! A batch ends early where its maps have become large.

use super::group_scan::{GroupPiece, GroupScan};
use super::map_entries::{EntryBatch, FIRST_ROWS, MapColumn};
use super::scanner::{Piece, Scan, ScanOptions};
use arrow::array::{ArrayRef, AsArray, BinaryViewArray, LargeBinaryBuilder};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::cell::MapWriter;
use terrane_client::columns::arrow_schema;
use terrane_client::error::TabletError;
use terrane_client::expr::Expr;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::map_column::MapPart;
use terrane_client::map_column::entry_key::{entries_of_rows, entry_prefix};
use terrane_client::read::{KeyRange, Projected, ScanMetrics, ScanRequest};
use terrane_client::schema::TableSchema;
use terrane_client::types::DataType;

/// Bytes of maps at which a batch ends.
const MAP_BYTES: usize = 4 << 20;
/// Entries passed over on the way to a row's, above which a scan starts anew there.
const PASSED_MAX: usize = 1024;
/// Entries of a batch when many are read.
const ENTRIES_MAX: usize = 8192;

/// See the module's documentation.
pub(super) struct MapScan {
    rows: Box<Scan>,
    /// What the rows' scan counts: what it reads of files is counted for the whole.
    rows_metrics: Arc<ScanMetrics>,
    /// Where the key is in the rows' batches.
    key_at: usize,
    /// What each column of the answer is.
    columns: Vec<Answer>,
    maps: Vec<Map>,
    /// Rows whose maps were not read yet.
    ahead: Option<(RecordBatch, Range<usize>)>,
    arrow: SchemaRef,
    source: Source,
}

/// A column of the answer.
enum Answer {
    /// A column of the rows' batches.
    Row(usize),
    /// A map, by its place.
    Map(usize),
}

/// A map column that is read.
struct Map {
    column: MapColumn,
    part: MapPart,
    stream: Option<Stream>,
}

/// Where entries come from.
struct Source {
    pieces: Arc<[Piece]>,
    key_shape: Vec<(DataType, bool)>,
    at: CommitTs,
    reverse: bool,
    options: ScanOptions,
    metrics: Arc<ScanMetrics>,
}

/// A scan of entries, on its way.
struct Stream {
    scan: GroupScan,
    metrics: Arc<ScanMetrics>,
    batch: Option<EntryBatch>,
    next: usize,
    /// Entries to look at for the next batch.
    rows: usize,
}

/// True where an answer has map columns.
pub(super) fn has_maps(request: &ScanRequest, schema: &TableSchema) -> bool {
    let is_projected = |projected: &Projected| match projected {
        Projected::Column(id) => is_map(*id, schema),
        _ => false,
    };
    request.projection.iter().any(is_projected)
        || request.predicates.iter().any(|predicate| reads_map(predicate, schema))
}

fn is_map(id: ColumnId, schema: &TableSchema) -> bool {
    schema.column(id).is_some_and(|column| column.is_map())
}

fn map_of(projected: Projected, schema: &TableSchema) -> Option<MapColumn> {
    match projected {
        Projected::Column(id) => MapColumn::new(schema, schema.column(id)?),
        _ => None,
    }
}

fn reads_map(predicate: &Expr, schema: &TableSchema) -> bool {
    let mut reads = false;
    predicate.each_column(&mut |id| reads |= is_map(id, schema));
    reads
}

impl MapScan {
    pub(super) fn new(
        request: &ScanRequest,
        schema: Arc<TableSchema>,
        at: CommitTs,
        pieces: Vec<Piece>,
        options: ScanOptions,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self, TabletError> {
        let arrow = arrow_schema(&schema, &request.projection)?;
        let mut of_rows = ScanRequest { projection: Vec::new(), ..request.clone() };
        // Nobody but the frontend evaluates these.
        of_rows.predicates.retain(|predicate| !reads_map(predicate, &schema));
        let mut columns = Vec::with_capacity(request.projection.len());
        let mut maps = Vec::new();
        for projected in &request.projection {
            columns.push(match map_of(*projected, &schema) {
                Some(column) => {
                    let part = request.map_parts.of(column.column).clone();
                    maps.push(Map { column, part, stream: None });
                    Answer::Map(maps.len() - 1)
                }
                None => {
                    of_rows.projection.push(*projected);
                    Answer::Row(of_rows.projection.len() - 1)
                }
            });
        }
        let has_key = of_rows.projection.iter().position(|known| *known == Projected::Key);
        let key_at = has_key.unwrap_or_else(|| {
            of_rows.projection.push(Projected::Key);
            of_rows.projection.len() - 1
        });
        let source = Source {
            pieces: pieces.clone().into(),
            key_shape: schema.key_shape(),
            at,
            reverse: request.reverse,
            options,
            metrics: metrics.clone(),
        };
        let rows_metrics = Arc::new(ScanMetrics::default());
        let of_rows = Scan::new(&of_rows, schema, at, pieces, options, rows_metrics.clone())?;
        let rows = Box::new(of_rows);
        Ok(Self { rows, rows_metrics, key_at, columns, maps, ahead: None, arrow, source })
    }

    /// The schema of the batches.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.arrow
    }

    /// True once there are no more batches.
    pub(super) fn is_done(&self) -> bool {
        self.ahead.is_none() && self.rows.is_done()
    }

    /// Gives out nothing more.
    pub(super) fn end(&mut self) {
        self.ahead = None;
        self.rows.end();
    }

    fn hand_over(&self) {
        let (own, all) = (&self.rows_metrics, &self.source.metrics);
        let counts = [
            (&own.blocks_read, &all.blocks_read),
            (&own.blocks_skipped, &all.blocks_skipped),
            (&own.rows_seen, &all.rows_seen),
            (&own.rows_returned, &all.rows_returned),
        ];
        for (own, all) in counts {
            all.fetch_add(own.swap(0, Relaxed), Relaxed);
        }
    }

    /// The next batch, as [`Scan::next_batch`] has it.
    pub(super) fn next_batch(
        &mut self,
        rows_max: usize,
    ) -> Result<Option<RecordBatch>, TabletError> {
        let (batch, rows) = match self.ahead.take() {
            Some(ahead) => ahead,
            None => {
                let batch = self.rows.next_batch(rows_max)?;
                self.hand_over();
                let Some(batch) = batch else { return Ok(None) };
                let rows = 0..batch.num_rows();
                (batch, rows)
            }
        };
        let keys = batch.column(self.key_at).as_binary_view();
        let mut builders: Vec<LargeBinaryBuilder> =
            self.maps.iter().map(|_| LargeBinaryBuilder::new()).collect();
        let (mut end, mut bytes) = (rows.start, 0);
        while end < rows.end && bytes < MAP_BYTES {
            for (map, builder) in self.maps.iter_mut().zip(&mut builders) {
                let cell = map.of_row(&self.source, keys, end)?;
                bytes += cell.len();
                builder.append_value(&cell);
            }
            end += 1;
        }
        let maps: Vec<ArrayRef> =
            builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
        let column = |answer: &Answer| match answer {
            Answer::Row(at) => batch.column(*at).slice(rows.start, end - rows.start),
            Answer::Map(at) => maps[*at].clone(),
        };
        let columns = self.columns.iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(end - rows.start));
        let answer = RecordBatch::try_new_with_options(self.arrow.clone(), columns, &options)
            .map_err(|error| TabletError::Internal(error.to_string()))?;
        if end < rows.end {
            self.ahead = Some((batch, end..rows.end));
        }
        Ok(Some(answer))
    }
}

impl Map {
    /// The map of one of the rows.
    fn of_row(
        &mut self,
        source: &Source,
        keys: &BinaryViewArray,
        row: usize,
    ) -> Result<Vec<u8>, TabletError> {
        let key = keys.value(row);
        let piece = source.pieces.iter().find(|piece| piece.range.contains(key));
        if source.reverse || self.part != MapPart::Whole {
            let sources = piece.map(|piece| piece.group(self.column.group).sources);
            let sources = sources.unwrap_or_default();
            return self.column.read(&sources, key, &self.part, source.at.into());
        }
        let prefix = entry_prefix(key, self.column.column);
        let mut map = MapWriter::new(&self.column.of);
        let mut passed = 0;
        loop {
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(source.stream(&self.column, &prefix)?),
            };
            if !stream.has_next(&self.column, &source.metrics)? {
                break;
            }
            let Some(batch) = &stream.batch else { break };
            let entry = batch.key(stream.next);
            if entry < &prefix[..] {
                stream.next += 1;
                passed += 1;
                if passed > PASSED_MAX {
                    self.stream = None;
                    passed = 0;
                }
                continue;
            }
            let Some(map_key) = entry.strip_prefix(&prefix[..]) else { break };
            map.push(map_key, batch.value(stream.next))
                .map_err(|error| TabletError::Internal(error.to_string()))?;
            stream.next += 1;
        }
        Ok(map.into_cell())
    }
}

impl Source {
    /// A scan of a column's entries from a key on.
    fn stream(&self, column: &MapColumn, from: &[u8]) -> Result<Stream, TabletError> {
        let from = KeyRange { start: Bytes::copy_from_slice(from), end: None };
        let pieces = self.pieces.iter().map(|piece| {
            let GroupPiece { sources, range } = piece.group(column.group);
            let entries = entries_of_rows(&range, &self.key_shape);
            GroupPiece { sources, range: entries.intersect(&from) }
        });
        let pieces = pieces.filter(|piece| !piece.range.is_empty()).collect();
        let metrics = Arc::new(ScanMetrics::default());
        let scan = column.scan(pieces, self.at.into(), self.options, metrics.clone())?;
        Ok(Stream { scan, metrics, batch: None, next: 0, rows: FIRST_ROWS })
    }
}

impl Stream {
    /// Whether there is an entry at `next`.
    fn has_next(&mut self, column: &MapColumn, metrics: &ScanMetrics) -> Result<bool, TabletError> {
        while self.batch.as_ref().is_none_or(|batch| self.next >= batch.len()) {
            if self.scan.is_done() {
                self.batch = None;
                return Ok(false);
            }
            self.batch = column.next_batch(&mut self.scan, self.rows)?;
            // Entries are no rows of the scan; their blocks are its blocks.
            let blocks = self.metrics.blocks_read.swap(0, Relaxed);
            metrics.blocks_read.fetch_add(blocks, Relaxed);
            self.next = 0;
            self.rows = (self.rows * 2).min(ENTRIES_MAX);
        }
        Ok(true)
    }
}
