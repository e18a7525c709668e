//! Reads: point gets, scans, and the timestamps they are at.
//!
//! A read pins the version of each tablet it will touch before its first row, so neither a flush nor a
//! compaction can change its answer (rule 14).

use super::TabletServer;
use super::line::CommitLine;
use crate::scan::{Piece, Scan, ScanOptions};
use crate::tablet::group_version::GroupVersion;
use crate::tablet::version::Version;
use arrow::record_batch::RecordBatch;
use futures::executor::block_on;
use futures::future::{Either, select};
use futures::{Stream, StreamExt};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::read::{
    GetRequest, GetResponse, GroupsOfScan, ScanMetrics, ScanRequest, ScanResponse,
};
use terrane_client::row::Row;
use terrane_client::schema::TableSchema;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Keys of a point read that are looked up without telling the runtime that the thread will be busy.
const INLINE_KEYS_MAX: usize = 64;

/// Rows a scan looks at on its caller's thread before it moves to one of its own: a hop between threads
/// costs about as much as a few hundred rows.
const INLINE_ROWS_MAX: usize = 512;

/// Batches a scan may be ahead of its reader.
const BATCHES_AHEAD: usize = 4;

/// A scan goes through the cache if its files, as they are stored, take at most this part of it.
const CACHE_SHARE: u64 = 4;

impl TabletServer {
    /// The timestamp a read is at.
    async fn read_at(
        &self,
        line: &CommitLine,
        table: StorageId,
        asked: Option<CommitTs>,
    ) -> Result<CommitTs, TabletError> {
        match asked {
            None => Ok(line.read_ts()),
            Some(at) => {
                line.visible_at(table, at).await?;
                Ok(at)
            }
        }
    }

    pub(super) async fn get_rows(&self, request: GetRequest) -> Result<GetResponse, TabletError> {
        self.check_open()?;
        let line = self.line(request.table);
        loop {
            let read_ts = self.read_at(line, request.table, request.read_ts).await?;
            let rows = match request.keys.len() > INLINE_KEYS_MAX {
                true => blocking::in_place(|| self.get_at(&request, read_ts)),
                false => self.get_at(&request, read_ts),
            };
            match rows {
                // The floor has passed the newest timestamp since it was read: there is a newer one.
                Err(TabletError::HistoryGone { .. }) if request.read_ts.is_none() => {}
                rows => return Ok(GetResponse { read_ts, rows: rows? }),
            }
        }
    }

    fn get_at(
        &self,
        request: &GetRequest,
        read_ts: CommitTs,
    ) -> Result<Vec<Option<Row>>, TabletError> {
        let table = self.tablets.table(request.table)?;
        let schemas = table.schemas();
        schemas.at(request.table, request.schema_version)?;
        let columns = request.columns.as_ref().unwrap_or(&schemas.columns);
        let mut rows = Vec::with_capacity(request.keys.len());
        for key in &request.keys {
            let version = table.tablet_of(key)?.version();
            check_floor(request.table, &version, read_ts)?;
            let mut row =
                version.get(key, read_ts.into(), &schemas.layout, columns, &request.map_parts)?;
            if let (Some(columns), Some(row)) = (&request.columns, &mut row) {
                row.cells = row.cells.project(columns);
            }
            rows.push(row);
        }
        Ok(rows)
    }

    pub(super) async fn scan(&self, request: ScanRequest) -> Result<ScanResponse, TabletError> {
        self.check_open()?;
        let line = self.line(request.table);
        let (read_ts, pieces, schema) = loop {
            let read_ts = self.read_at(line, request.table, request.read_ts).await?;
            match self.pin_pieces(&request, read_ts) {
                Err(TabletError::HistoryGone { .. }) if request.read_ts.is_none() => {}
                pinned => {
                    let (pieces, schema) = pinned?;
                    break (read_ts, pieces, schema);
                }
            }
        };
        let metrics = Arc::new(ScanMetrics::default());
        metrics.tablets.fetch_add(pieces.len() as u64, Ordering::Relaxed);
        let groups = GroupsOfScan::choose(&schema, &request.projection, &request.predicates);
        let fill_cache = self.fits_cache(&pieces, &groups);
        let options = ScanOptions { pruning: self.options.pruning, fill_cache };
        let end = schema.purge_within_micros.map(|_| {
            let at = self.purges.ended_reads(request.table);
            ReadEnd { table: request.table, read_ts, at }
        });
        let mut scan = Scan::new(&request, schema, read_ts, pieces, options, metrics.clone())?;
        let first = scan.next_batch(INLINE_ROWS_MAX)?;
        let batches = match scan.is_done() {
            true => futures::stream::iter(first.map(Ok)).boxed(),
            false => {
                let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
                let scanning = tokio::task::spawn_blocking(move || run(scan, &sender, end));
                futures::stream::iter(first.map(Ok)).chain(rest(receiver, scanning)).boxed()
            }
        };
        Ok(ScanResponse { read_ts, batches, metrics })
    }

    /// Whether the files that a scan reads may go through the cache: not if they would drive out all else.
    fn fits_cache(&self, pieces: &[Piece], read: &GroupsOfScan) -> bool {
        let groups = pieces.iter().flat_map(|piece| &piece.groups);
        let read = read.all();
        let groups = groups.filter(|(id, _)| read.contains(id));
        let runs = groups.flat_map(|(_, sources)| &sources.runs);
        let bytes: u64 = runs.flat_map(|run| run.files()).map(|file| file.table.size_bytes()).sum();
        bytes <= self.options.cache.data_bytes / CACHE_SHARE
    }

    /// Pins every tablet a scan will touch, in the order it will touch them.
    fn pin_pieces(
        &self,
        request: &ScanRequest,
        read_ts: CommitTs,
    ) -> Result<(Vec<Piece>, Arc<TableSchema>), TabletError> {
        let table = self.tablets.table(request.table)?;
        let schema = table.schema(request.schema_version)?;
        let mut pieces = Vec::new();
        for range in &request.ranges {
            for tablet in table.tablets_of(range)? {
                let version = tablet.version();
                check_floor(request.table, &version, read_ts)?;
                let range = range.intersect(&tablet.range);
                let group = |group: &GroupVersion| (group.id, group.sources.clone());
                pieces.push(Piece { groups: version.groups().iter().map(group).collect(), range });
            }
        }
        if request.reverse {
            pieces.reverse();
        }
        Ok((pieces, schema))
    }
}

fn check_floor(table: StorageId, version: &Version, read_ts: CommitTs) -> Result<(), TabletError> {
    match read_ts < version.gc_floor {
        true => Err(TabletError::HistoryGone { table, oldest: version.gc_floor }),
        false => Ok(()),
    }
}

/// What a scan's thread sends. A thread that ended in a panic ends the stream in an error: a part of the
/// rows must not pass for all of them.
fn rest(
    receiver: mpsc::Receiver<Result<RecordBatch, TabletError>>,
    scanning: JoinHandle<()>,
) -> impl Stream<Item = Result<RecordBatch, TabletError>> + Send {
    futures::stream::unfold((receiver, Some(scanning)), |(mut receiver, scanning)| async move {
        if let Some(batch) = receiver.recv().await {
            return Some((batch, (receiver, scanning)));
        }
        match scanning?.await {
            Ok(()) => None,
            Err(error) => {
                let error = TabletError::Internal(format!("a scan broke off: {error}"));
                Some((Err(error), (receiver, None)))
            }
        }
    })
}

/// Tells whether a scan is to be ended, so that what it holds open can go (rule 13).
struct ReadEnd {
    table: StorageId,
    read_ts: CommitTs,
    /// Reads below this are ended.
    at: watch::Receiver<CommitTs>,
}

impl ReadEnd {
    /// Why it is ended, if it is.
    fn error(&self) -> Option<TabletError> {
        let oldest = *self.at.borrow();
        (self.read_ts < oldest).then_some(TabletError::HistoryGone { table: self.table, oldest })
    }

    /// Waits until it is to be ended.
    async fn ended(&mut self) -> TabletError {
        let read_ts = self.read_ts;
        // Nobody is there any more who could end it.
        if self.at.wait_for(|oldest| read_ts < *oldest).await.is_err() {
            futures::future::pending::<()>().await;
        }
        TabletError::HistoryGone { table: self.table, oldest: *self.at.borrow() }
    }
}

/// Sends the rest of a scan's batches, until its reader has gone, or the scan is to be ended.
fn run(scan: Scan, sender: &mpsc::Sender<Result<RecordBatch, TabletError>>, end: Option<ReadEnd>) {
    let Some(mut end) = end else {
        for batch in scan {
            if sender.blocking_send(batch).is_err() {
                return;
            }
        }
        return;
    };
    let mut scan = scan;
    let error = loop {
        if let Some(error) = end.error() {
            break error;
        }
        let Some(batch) = scan.next() else { return };
        let sent = pin!(sender.send(batch));
        match block_on(select(sent, pin!(end.ended()))) {
            Either::Left((Ok(()), _)) => {}
            Either::Left((Err(_), _)) => return,
            Either::Right((error, _)) => break error,
        }
    };
    // First the files, then the news, which nobody may ask for.
    drop(scan);
    let _ = sender.blocking_send(Err(error));
}
