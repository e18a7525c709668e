//! Scans over all tablets of a table, in key order.

use super::TabletClient;
use crate::error::TabletError;
use crate::ids::CommitTs;
use crate::read::{KeyRange, ScanMetrics, ScanRequest, ScanResponse};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::Arc;

/// What one server is asked: neighbouring tablets of one server are one piece.
struct Piece {
    server: Arc<str>,
    /// Ascending, also when the scan is descending.
    ranges: Vec<KeyRange>,
}

/// A scan under way: one server at a time, each opened when the one before has ended.
struct Pieces {
    client: TabletClient,
    /// Its ranges are unused; its limit is what is still wanted.
    request: ScanRequest,
    waiting: VecDeque<Piece>,
    open: Option<ScanResponse>,
    metrics: Arc<ScanMetrics>,
}

impl TabletClient {
    /// Scans ranges of a table, as [`crate::service::TabletService::read`], over all its tablets. Rows come
    /// in key order. A tablet that moves before its turn is looked up again; the timestamp stays.
    pub async fn read(&self, mut request: ScanRequest) -> Result<ScanResponse, TabletError> {
        let mut attempt = 0;
        loop {
            match self.try_read(&mut request).await {
                Ok(response) => return Ok(response),
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    async fn try_read(&self, request: &mut ScanRequest) -> Result<ScanResponse, TabletError> {
        let mut waiting = self.pieces(request).await?;
        if let [only] = waiting.make_contiguous() {
            let server = self.server(request.table, &only.server)?;
            return server.read(request.clone()).await;
        }
        let read_ts = match request.read_ts {
            Some(read_ts) => read_ts,
            None => self.timestamp_over(request, &waiting).await?,
        };
        request.read_ts = Some(read_ts);
        let metrics = Arc::new(ScanMetrics::default());
        let mut pieces = Pieces {
            client: self.clone(),
            request: request.clone(),
            waiting,
            open: None,
            metrics: metrics.clone(),
        };
        // The first piece is opened here, so that what is wrong with the request is this call's error.
        pieces.open_next().await?;
        let batches = futures::stream::unfold(Some(pieces), |pieces| async move {
            let mut pieces = pieces?;
            match pieces.next().await {
                Ok(Some(batch)) => Some((Ok(batch), Some(pieces))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(ScanResponse { read_ts, batches: batches.boxed(), metrics })
    }

    /// The scan, cut by server, in the order it is to be read.
    async fn pieces(&self, request: &ScanRequest) -> Result<VecDeque<Piece>, TabletError> {
        let mut pieces: VecDeque<Piece> = VecDeque::new();
        for partition in self.partitions(request.table, &request.ranges).await? {
            match pieces.back_mut() {
                Some(last) if last.server == partition.tablet.server => {
                    last.ranges.extend(partition.ranges);
                }
                _ => pieces.push_back(Piece {
                    server: partition.tablet.server.clone(),
                    ranges: partition.ranges,
                }),
            }
        }
        if request.reverse {
            pieces.make_contiguous().reverse();
        }
        Ok(pieces)
    }

    async fn timestamp_over(
        &self,
        request: &ScanRequest,
        pieces: &VecDeque<Piece>,
    ) -> Result<CommitTs, TabletError> {
        if pieces.is_empty() {
            return self.read_timestamp_of(&[request.table]).await;
        }
        let mut servers: Vec<Arc<str>> = pieces.iter().map(|piece| piece.server.clone()).collect();
        servers.sort();
        servers.dedup();
        self.newest_timestamp(request.table, servers).await
    }
}

impl Pieces {
    /// Opens the next piece, if there is one and rows are still wanted.
    async fn open_next(&mut self) -> Result<(), TabletError> {
        let mut attempt = 0;
        while self.open.is_none() && self.request.limit != Some(0) {
            let Some(piece) = self.waiting.pop_front() else { return Ok(()) };
            let ranges = piece.ranges.clone();
            let request = ScanRequest { ranges, ..self.request.clone() };
            let opened = match self.client.server(request.table, &piece.server) {
                Ok(server) => server.read(request.clone()).await,
                Err(error) => Err(error),
            };
            match opened {
                Ok(response) => self.open = Some(response),
                Err(error) => {
                    self.client.retry(&mut attempt, error).await?;
                    // What was this piece may now be several, on other servers.
                    for piece in self.client.pieces(&request).await?.into_iter().rev() {
                        self.waiting.push_front(piece);
                    }
                }
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, TabletError> {
        loop {
            let Some(open) = &mut self.open else { return Ok(None) };
            match open.batches.next().await {
                Some(batch) => {
                    let batch = batch?;
                    if let Some(limit) = &mut self.request.limit {
                        *limit = limit.saturating_sub(batch.num_rows() as u64);
                    }
                    return Ok(Some(batch));
                }
                None => {
                    self.close();
                    self.open_next().await?;
                }
            }
        }
    }

    fn close(&mut self) {
        if let Some(done) = self.open.take() {
            self.metrics.add(&done.metrics);
        }
    }
}

/// A scan given up half way has done something too.
impl Drop for Pieces {
    fn drop(&mut self) {
        self.close();
    }
}
