//! Range deletes, sent to the servers that hold the range's tablets.

use super::{Partition, TabletClient};
use crate::error::TabletError;
use crate::ids::CommitTs;
use crate::program::DeleteRangeRequest;
use crate::read::KeyRange;
use std::sync::Arc;

impl TabletClient {
    /// Deletes ranges, as [`crate::service::TabletService::delete_ranges`]. Where they are on several servers, each
    /// server's part is a commit of its own, and the answer the newest one's timestamp: if one server has done its
    /// part and another has not, the answer is [`TabletError::PartlyApplied`], which counts servers.
    pub async fn delete_ranges(
        &self,
        request: DeleteRangeRequest,
    ) -> Result<CommitTs, TabletError> {
        let mut attempt = 0;
        loop {
            match self.try_delete_ranges(&request).await {
                Ok(commit_ts) => return Ok(commit_ts),
                // NotServing means that nothing was done, so the same request may be sent again.
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    async fn try_delete_ranges(
        &self,
        request: &DeleteRangeRequest,
    ) -> Result<CommitTs, TabletError> {
        let parts = by_server(self.partitions(request.table, &request.ranges).await?);
        if let [(server, _)] = &parts[..] {
            return self.server(request.table, server)?.delete_ranges(request.clone()).await;
        }
        let mut newest = CommitTs::ABSENT;
        let of = parts.len();
        for (applied, (server, ranges)) in parts.into_iter().enumerate() {
            // A server must not take one part of the request for a repetition of another part.
            let request =
                DeleteRangeRequest { request: self.request_id(), ranges, ..request.clone() };
            let deleted = match self.server(request.table, &server) {
                Ok(server) => server.delete_ranges(request).await,
                Err(error) => Err(error),
            };
            newest = newest.max(deleted.map_err(|error| match applied {
                0 => error,
                _ => TabletError::PartlyApplied { applied, of, cause: error.to_string() },
            })?);
        }
        Ok(newest)
    }
}

/// The ranges of each server; those of neighbouring tablets are one.
fn by_server(partitions: Vec<Partition>) -> Vec<(Arc<str>, Vec<KeyRange>)> {
    let mut parts: Vec<(Arc<str>, Vec<KeyRange>)> = Vec::new();
    for Partition { tablet, ranges } in partitions {
        let known = parts.iter().position(|(server, _)| *server == tablet.server);
        let place = known.unwrap_or_else(|| {
            parts.push((tablet.server.clone(), Vec::new()));
            parts.len() - 1
        });
        for range in ranges {
            match parts[place].1.last_mut() {
                Some(last) if last.end.as_ref() == Some(&range.start) => last.end = range.end,
                _ => parts[place].1.push(range),
            }
        }
    }
    parts
}
