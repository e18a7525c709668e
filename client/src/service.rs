//! The one interface that matters: what a tablet server answers, in the same process or over RPC.
//!
//! Contract: arguments are owned and could cross a wire. Every answer, errors and empty ones included,
//! reflects durable state only (rule 2), but for the first of the two that `apply_rows` gives. Dropping a
//! future or stream abandons the call; a modify whose future is dropped may or may not have been applied.

use crate::error::TabletError;
use crate::ids::{CommitTs, Generation, StorageId};
use crate::program::{DeleteRangeRequest, ModifyRequest, ModifyResponse};
use crate::read::{GetRequest, GetResponse, ScanRequest, ScanResponse};
use crate::schema::{TableSchema, TableSchemas};
use crate::status::{ServerStatus, TabletStatus};
use async_trait::async_trait;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;

/// What a tablet server answers.
#[async_trait]
pub trait TabletService: Send + Sync {
    /// Reads rows by key.
    async fn get(&self, request: GetRequest) -> Result<GetResponse, TabletError>;

    /// Scans the request's ranges. Every key in them must be in a tablet of this server: where one is not,
    /// the answer is [`TabletError::NotServing`], never a part of the rows.
    async fn read(&self, request: ScanRequest) -> Result<ScanResponse, TabletError>;

    /// Runs row programs under their row locks and answers when the outcome is durable.
    async fn modify_rows(&self, request: ModifyRequest) -> Result<ModifyResponse, TabletError> {
        let Applied { response, durable } = self.apply_rows(request).await?;
        durable.await?;
        Ok(response)
    }

    /// The same, answered twice: when the programs have been applied, and when that is durable. For a caller
    /// with more to send, whose next request has to come behind this one: it need not wait for the log.
    async fn apply_rows(&self, request: ModifyRequest) -> Result<Applied, TabletError>;

    /// Deletes every row of some key ranges without looking at them, and answers with the commit's timestamp when it is
    /// durable; [`CommitTs::ABSENT`] where the ranges are empty. Every key in them must be in a tablet of this server,
    /// as for `read`.
    async fn delete_ranges(&self, request: DeleteRangeRequest) -> Result<CommitTs, TabletError>;

    /// The newest timestamp at which everything committed is visible: what a statement reads at.
    async fn read_timestamp(&self) -> Result<CommitTs, TabletError>;

    /// Keeps a timestamp readable until the answer is dropped (open cursors, REPEATABLE READ; rule 7's
    /// "oldest open read").
    async fn pin_timestamp(&self, at: CommitTs) -> Result<TimestampPin, TabletError>;

    /// Row keys that cut the table into pieces of about equal bytes, ascending.
    async fn sample_keys(&self, table: StorageId) -> Result<Vec<Bytes>, TabletError>;

    /// Starts serving a tablet: reads its METADATA row, opens its files, replays its log.
    async fn load(
        &self,
        tablet: TabletName,
        generation: Generation,
        schemas: TableSchemas,
    ) -> Result<(), TabletError>;

    /// Stops serving a tablet, after a minor compaction.
    async fn unload(&self, tablet: TabletName) -> Result<(), TabletError>;

    /// Holds a newer schema for a table's tablets; the version before it stays acceptable.
    async fn set_schema(&self, schema: Arc<TableSchema>) -> Result<(), TabletError>;

    /// Splits the tablet that holds `key`: the keys from there on become a tablet of their own, which keeps the name.
    /// Reads and writes go on meanwhile, and no data is written again. Where a tablet begins with `key` already there is
    /// nothing to do, so a retry is harmless.
    async fn split(&self, table: StorageId, key: Bytes) -> Result<(), TabletError>;

    /// Merges the two tablets that meet at `key`. Reads and writes go on meanwhile, and but for what is in memtables no data
    /// is written again. Where no tablet begins with `key` there is nothing to do, so a retry is harmless.
    async fn merge(&self, table: StorageId, key: Bytes) -> Result<(), TabletError>;

    /// Minor compaction of a table's tablets (all tables when `None`): memtables become files.
    async fn flush(&self, table: Option<StorageId>) -> Result<(), TabletError>;

    /// Major compaction of a table's tablets.
    async fn compact(&self, table: StorageId) -> Result<(), TabletError>;

    /// What this server serves.
    async fn status(&self) -> Result<Vec<TabletStatus>, TabletError>;

    /// How this server is: one entry. A client that stands for several answers with one a server.
    async fn server_status(&self) -> Result<Vec<ServerStatus>, TabletError>;
}

/// Ready when something is durable.
pub type WhenDurable = Pin<Box<dyn Future<Output = Result<(), TabletError>> + Send + Sync>>;

/// Programs that were applied, and may still be lost with the power.
pub struct Applied {
    /// What happened: nobody else may be told before it is durable (rule 2).
    pub response: ModifyResponse,
    /// Ready when it is. An error means that the outcome is not known. What was applied becomes durable
    /// whether this is polled or not.
    pub durable: WhenDurable,
}

impl Applied {
    /// What is durable already.
    pub fn durable(response: ModifyResponse) -> Self {
        Self { response, durable: Box::pin(std::future::ready(Ok(()))) }
    }
}

/// A tablet by the table and the end of its range: METADATA's key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TabletName {
    /// The table.
    pub table: StorageId,
    /// First key outside; `None` is the table's last tablet.
    pub end: Option<Bytes>,
}

/// Holds a read timestamp open until dropped.
pub struct TimestampPin {
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl TimestampPin {
    /// A pin that calls `release` when dropped.
    pub fn new(release: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { release: Some(Box::new(release)) }
    }
}

impl Drop for TimestampPin {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}
