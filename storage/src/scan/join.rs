//! Scans of several locality groups: the lead's rows, with the other groups' columns beside them.
//!
//! All groups come in key order, so each is scanned beside the lead and their batches are cut at the smallest of
//! their last keys. Where the lead passes over most of its rows, or few rows are wanted, the others are asked for
//! the rows that are left one by one: their large values are why they are apart.
//!
//! A group that has no entry of a row gives its columns' missing values.

use super::error::{Result, ScanError};
use super::group_scan::{GroupPiece, GroupScan, RowSet, ScannedGroup};
use super::join_plan::{FollowerPlan, JoinPlan};
use super::scanner::{Piece, ScanOptions};
use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use terrane_client::columns::ColumnBuilder;
use terrane_client::error::TabletError;
use terrane_client::ids::CommitTs;
use terrane_client::read::{GroupsOfScan, KeyRange, ScanMetrics, ScanRequest};
use terrane_client::schema::TableSchema;

/// The lead's rows are looked up one by one where it gives at most one in this many of those it looks at,
const SPARSE_SHARE: u64 = 16;
/// or where a scan wants at most this many.
const FEW_ROWS: u64 = 64;
/// Bytes looked up for one batch at most.
const LOOKUP_BYTES: usize = 4 << 20;

/// See the module's doc.
pub(super) struct JoinScan {
    schema: Arc<TableSchema>,
    plan: JoinPlan,
    at: CommitTs,
    options: ScanOptions,
    pieces: Vec<Piece>,
    metrics: Arc<ScanMetrics>,
    lead: GroupScan,
    /// The lead's rows that are not given out yet.
    ahead: Option<Keyed>,
    /// Those are looked up one by one.
    is_sparse: bool,
    /// The followers' scans, beside the plan's followers; none while rows are looked up.
    streams: Vec<Option<Stream>>,
}

/// Rows with their keys, of which the first were passed.
struct Keyed {
    columns: Vec<ArrayRef>,
    keys: BinaryViewArray,
    rows: Range<usize>,
}

impl Keyed {
    /// Takes a batch whose last column is the row key.
    fn new(batch: &RecordBatch) -> Result<Self> {
        let mut columns = batch.columns().to_vec();
        let keys = columns.pop().and_then(|keys| keys.as_binary_view_opt().cloned());
        let keys = keys.ok_or(ScanError::Unsupported("a batch without row keys"))?;
        Ok(Self { columns, keys, rows: 0..batch.num_rows() })
    }

    fn last_key(&self) -> &[u8] {
        self.keys.value(self.rows.end - 1)
    }

    /// The rows up to and including a key.
    fn through(&self, key: &[u8], reverse: bool) -> Range<usize> {
        let is_through = |row: usize| is_at_or_before(self.keys.value(row), key, reverse);
        let (mut low, mut high) = (self.rows.start, self.rows.end);
        while low < high {
            let middle = low + (high - low) / 2;
            match is_through(middle) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        self.rows.start..low
    }
}

fn is_at_or_before(a: &[u8], b: &[u8], reverse: bool) -> bool {
    if reverse { a >= b } else { a <= b }
}

/// A follower's scan.
struct Stream {
    scan: GroupScan,
    ahead: Option<Keyed>,
    metrics: Arc<ScanMetrics>,
}

impl JoinScan {
    pub(super) fn new(
        request: &ScanRequest,
        schema: Arc<TableSchema>,
        at: CommitTs,
        pieces: Vec<Piece>,
        groups: GroupsOfScan,
        options: ScanOptions,
        metrics: Arc<ScanMetrics>,
    ) -> Result<Self, TabletError> {
        let plan = JoinPlan::new(request, &schema, &groups)?;
        let of_lead = pieces.iter().map(|piece| piece.group(groups.lead)).collect();
        let of_lead = ScannedGroup { id: groups.lead, rows: RowSet::Living, pieces: of_lead };
        let (own, counts) = (schema.clone(), metrics.clone());
        let lead = GroupScan::new(&plan.lead, own, at, of_lead, options, counts)?;
        let streams = plan.followers.iter().map(|_| None).collect();
        Ok(Self {
            schema,
            plan,
            at,
            options,
            pieces,
            metrics,
            lead,
            ahead: None,
            is_sparse: false,
            streams,
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.plan.arrow
    }

    pub(super) fn is_done(&self) -> bool {
        self.ahead.is_none() && self.lead.is_done()
    }

    pub(super) fn end(&mut self) {
        self.lead.end();
        self.ahead = None;
    }

    pub(super) fn next_batch(
        &mut self,
        rows_max: usize,
    ) -> Result<Option<RecordBatch>, TabletError> {
        loop {
            if self.ahead.is_none() {
                let seen = self.metrics.rows_seen.load(Relaxed);
                let Some(batch) = self.lead.next_batch(rows_max)? else { return Ok(None) };
                let seen = self.metrics.rows_seen.load(Relaxed).saturating_sub(seen);
                let is_few = self.plan.lead.limit.is_some_and(|limit| limit <= FEW_ROWS);
                self.is_sparse = is_few || seen >= SPARSE_SHARE * batch.num_rows() as u64;
                self.ahead = Some(Keyed::new(&batch)?);
            }
            let joined = match self.is_sparse {
                true => self.look_up()?,
                false => self.zip()?,
            };
            if self.ahead.as_ref().is_some_and(|ahead| ahead.rows.is_empty()) {
                self.ahead = None;
            }
            if joined.num_rows() > 0 {
                return Ok(Some(joined));
            }
        }
    }

    /// The batch of some of the lead's rows, with the followers' columns for them.
    fn batch(
        &self,
        lead: &Keyed,
        rows: Range<usize>,
        others: &[Vec<ArrayRef>],
    ) -> Result<RecordBatch> {
        let keys: ArrayRef = Arc::new(lead.keys.clone());
        let column = |(source, place): &(usize, usize)| match source {
            0 => lead.columns.get(*place).unwrap_or(&keys).slice(rows.start, rows.len()),
            other => others[other - 1][*place].clone(),
        };
        let columns = self.plan.outputs.iter().map(column).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.plan.arrow.clone(), columns, &options)?)
    }

    /// Joins the rows up to the smallest of the last keys at hand.
    fn zip(&mut self) -> Result<RecordBatch, TabletError> {
        let reverse = self.plan.lead.reverse;
        let Some(mut lead) = self.ahead.take() else { return Ok(self.nothing()) };
        for place in 0..self.streams.len() {
            self.fill(place, lead.keys.value(lead.rows.start))?;
        }
        let followers = self.streams.iter().flatten().filter_map(|stream| stream.ahead.as_ref());
        let mut cut = lead.last_key();
        for key in followers.map(Keyed::last_key) {
            if is_at_or_before(key, cut, reverse) {
                cut = key;
            }
        }
        let cut = Bytes::copy_from_slice(cut);
        let rows = lead.through(&cut, reverse);
        let mut others = Vec::with_capacity(self.streams.len());
        for (stream, plan) in self.streams.iter_mut().zip(&self.plan.followers) {
            let ahead = stream.as_mut().and_then(|stream| stream.ahead.as_mut());
            others.push(beside(&lead, rows.clone(), ahead, &cut, plan, reverse)?);
        }
        let joined = self.batch(&lead, rows.clone(), &others)?;
        lead.rows.start = rows.end;
        self.ahead = Some(lead);
        Ok(joined)
    }

    fn nothing(&self) -> RecordBatch {
        RecordBatch::new_empty(self.plan.arrow.clone())
    }

    /// Sees to it that a follower has rows at hand, unless it has none left at or behind `key`.
    fn fill(&mut self, place: usize, key: &[u8]) -> Result<(), TabletError> {
        if self.streams[place].is_none() {
            self.streams[place] = Some(self.open(place, key)?);
        }
        let Some(stream) = &mut self.streams[place] else { return Ok(()) };
        while stream.ahead.as_ref().is_none_or(|ahead| ahead.rows.is_empty()) {
            stream.ahead = match stream.scan.next_batch(usize::MAX)? {
                Some(batch) => Some(Keyed::new(&batch)?),
                None if stream.scan.is_done() => {
                    stream.ahead = None;
                    break;
                }
                None => None,
            };
        }
        stream.hand_over(&self.metrics);
        Ok(())
    }

    /// Starts a follower's scan at a key.
    fn open(&self, place: usize, key: &[u8]) -> Result<Stream, TabletError> {
        let plan = &self.plan.followers[place];
        let from = match plan.request.reverse {
            false => KeyRange { start: Bytes::copy_from_slice(key), end: None },
            true => KeyRange { start: Bytes::new(), end: Some([key, &[0]].concat().into()) },
        };
        let clipped = |piece: &Piece| {
            let GroupPiece { sources, range } = piece.group(plan.group);
            GroupPiece { sources, range: range.intersect(&from) }
        };
        let pieces = self.pieces.iter().map(clipped);
        let pieces = pieces.filter(|piece| !piece.range.is_empty()).collect();
        let rows = if plan.has_markers { RowSet::Living } else { RowSet::Stored };
        let metrics = Arc::new(ScanMetrics::default());
        let (schema, options) = (self.schema.clone(), self.options);
        let group = ScannedGroup { id: plan.group, rows, pieces };
        let scan = GroupScan::new(&plan.request, schema, self.at, group, options, metrics.clone())?;
        Ok(Stream { scan, ahead: None, metrics })
    }

    /// Looks the followers' columns up for the lead's next rows.
    fn look_up(&mut self) -> Result<RecordBatch, TabletError> {
        self.streams.iter_mut().for_each(|stream| *stream = None);
        let Some(mut lead) = self.ahead.take() else { return Ok(self.nothing()) };
        let builders = |plan: &FollowerPlan| -> Result<Vec<ColumnBuilder>> {
            let builder = |id| {
                let column = self.schema.column(id).ok_or(ScanError::NoColumn(id))?;
                Ok(ColumnBuilder::new(&column.data_type, 0))
            };
            plan.columns.iter().map(|id| builder(*id)).collect()
        };
        let mut columns: Vec<Vec<ColumnBuilder>> =
            self.plan.followers.iter().map(builders).collect::<Result<_>>()?;
        let (mut bytes, start) = (0, lead.rows.start);
        while !lead.rows.is_empty() && bytes < LOOKUP_BYTES {
            let key = lead.keys.value(lead.rows.start);
            for (plan, columns) in self.plan.followers.iter().zip(&mut columns) {
                bytes += self.look_up_row(key, plan, columns)?;
            }
            lead.rows.start += 1;
        }
        let others: Vec<Vec<ArrayRef>> = columns
            .into_iter()
            .map(|columns| columns.into_iter().map(|mut column| column.finish()).collect())
            .collect();
        let joined = self.batch(&lead, start..lead.rows.start, &others)?;
        self.ahead = Some(lead);
        Ok(joined)
    }

    /// Adds one row's columns of a follower; the answer is about how many bytes they have.
    fn look_up_row(
        &self,
        key: &[u8],
        plan: &FollowerPlan,
        columns: &mut [ColumnBuilder],
    ) -> Result<usize> {
        let piece = self.pieces.iter().find(|piece| piece.range.contains(key));
        let sources = piece.map(|piece| piece.group(plan.group).sources).unwrap_or_default();
        let (cells, _) = sources.cells(key, self.at.into(), &plan.gc, &plan.columns)?;
        for (id, column) in plan.columns.iter().zip(columns) {
            let schema = self.schema.column(*id).ok_or(ScanError::NoColumn(*id))?;
            match cells.get(*id) {
                None => column.append_value(&schema.missing),
                Some(None) => {
                    column.append_null();
                    Ok(())
                }
                Some(Some(bytes)) => column.append_cell(bytes),
            }
            .map_err(|error| ScanError::Cell { column: *id, error })?;
        }
        Ok(cells.as_bytes().len())
    }
}

impl Stream {
    /// Counts what was read for the whole scan: the blocks. The rows are the lead's.
    fn hand_over(&self, metrics: &ScanMetrics) {
        let counts = [
            (&self.metrics.blocks_read, &metrics.blocks_read),
            (&self.metrics.blocks_skipped, &metrics.blocks_skipped),
        ];
        for (own, all) in counts {
            all.fetch_add(own.swap(0, Relaxed), Relaxed);
        }
    }
}

/// A follower's columns for some of the lead's rows, which go up to the key `cut`. The follower's rows up to there
/// are passed.
fn beside(
    lead: &Keyed,
    rows: Range<usize>,
    ahead: Option<&mut Keyed>,
    cut: &[u8],
    plan: &FollowerPlan,
    reverse: bool,
) -> Result<Vec<ArrayRef>> {
    const MISSING: (usize, usize) = (1, 0);
    let Some(ahead) = ahead else {
        let places = vec![(0, 0); rows.len()];
        let repeated = plan.missing.iter().map(|missing| Ok(interleave(&[&**missing], &places)?));
        return repeated.collect();
    };
    let own = ahead.through(cut, reverse);
    ahead.rows.start = own.end;
    let are_equal = own.len() == rows.len()
        && own.clone().zip(rows.clone()).all(|(a, b)| ahead.keys.value(a) == lead.keys.value(b));
    if are_equal {
        return Ok(ahead.columns.iter().map(|c| c.slice(own.start, own.len())).collect());
    }
    let mut at = own.start;
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        let key = lead.keys.value(row);
        while at < own.end
            && ahead.keys.value(at) != key
            && is_at_or_before(ahead.keys.value(at), key, reverse)
        {
            at += 1;
        }
        let is_here = at < own.end && ahead.keys.value(at) == key;
        places.push(if is_here { (0, at) } else { MISSING });
    }
    let columns = ahead.columns.iter().zip(&plan.missing);
    columns.map(|(column, missing)| Ok(interleave(&[&**column, &**missing], &places)?)).collect()
}
