//! DELETE whose WHERE says which key ranges, and nothing else: one range tombstone each, however many rows are in them
//! (rule 8), where the statement is its whole transaction.
//!
//! The rows are counted behind it, as they were a moment before its commit: what that moment has and the tombstone
//! is newer than was deleted by it. Counting reads keys only, of files that nothing lies over not even those.
//!
//! A few rows are deleted one by one: a tombstone is looked at by every later read near it.

use super::change::{Change, LoweredChange};
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::session::block::Isolation;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::server::SqlServer;
use futures::TryStreamExt;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::expr::exact_ranges_of;
use terrane_client::ids::CommitTs;
use terrane_client::program::DeleteRangeRequest;
use terrane_client::read::{KeyRange, ScanRequest};
use terrane_client::schema::TableSchema;

/// Fewer rows than this are deleted one by one.
const ROWS_MIN: u64 = 10_000;

/// Rows of a batch that is only counted.
const BATCH_ROWS_MAX: usize = 65_536;

/// Deletes by range, and says how many rows; `None` where that is not possible, or not worth it.
pub(super) async fn delete_ranges(
    session: &mut ClientSession,
    change: &Change,
    lowered: &LoweredChange,
    cancel: &Cancel,
) -> Result<Option<u64>, SqlError> {
    let target = &change.target;
    let (assignments, condition) = lowered;
    let is_whole = session.is_whole_transaction(session.alone);
    let repeatable = session.block().isolation == Isolation::RepeatableRead;
    if !assignments.is_empty() || !is_whole || repeatable || !target.uniques.is_empty() {
        return Ok(None);
    }
    let schema = &target.schema;
    let Some(ranges) = exact_ranges_of(schema, condition.as_slice()) else { return Ok(None) };
    if ranges.is_empty() {
        return Ok(None);
    }
    // Holds its timestamp, so that what was there before the commit can be read behind it.
    let context = session.context_of(false, cancel).await?;
    let server = Arc::clone(&session.server);
    let few = count(&server, scan_of(schema, &ranges, context.read_ts, Some(ROWS_MIN))).await;
    if few.map_err(errors::of_tablet)? < ROWS_MIN {
        return Ok(None);
    }
    cancel.check()?;
    let request = DeleteRangeRequest {
        request: server.next_request(),
        table: schema.storage,
        schema_version: schema.version,
        ranges: ranges.clone(),
    };
    let commit_ts = server.tablets.delete_ranges(request).await.map_err(errors::of_tablet)?;
    cancel.settle();
    let before = CommitTs(commit_ts.0 - 1);
    let counted = count(&server, scan_of(schema, &ranges, before, None)).await;
    drop(context);
    counted.map(Some).map_err(|error| {
        let message = format!("the rows were deleted, but could not be counted: {error}");
        SqlError::new(SqlState::STATEMENT_COMPLETION_UNKNOWN, message)
    })
}

fn scan_of(
    schema: &TableSchema,
    ranges: &[KeyRange],
    at: CommitTs,
    limit: Option<u64>,
) -> ScanRequest {
    ScanRequest {
        table: schema.storage,
        schema_version: schema.version,
        read_ts: Some(at),
        ranges: ranges.to_vec(),
        projection: Vec::new(),
        map_parts: Default::default(),
        predicates: Vec::new(),
        versions: Default::default(),
        limit,
        reverse: false,
        batch_rows_max: BATCH_ROWS_MAX,
    }
}

async fn count(server: &SqlServer, request: ScanRequest) -> Result<u64, TabletError> {
    let batches = server.tablets.read(request).await?.batches;
    batches.try_fold(0, |sum, batch| async move { Ok(sum + batch.num_rows() as u64) }).await
}
