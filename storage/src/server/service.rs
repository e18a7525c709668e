//! [`TabletService`], answered.

use super::TabletServer;
use super::background::Job;
use super::split::Why;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Generation, StorageId};
use terrane_client::program::{DeleteRangeRequest, ModifyRequest};
use terrane_client::read::{GetRequest, GetResponse, ScanRequest, ScanResponse};
use terrane_client::schema::{TableSchema, TableSchemas};
use terrane_client::service::{Applied, TabletName, TabletService, TimestampPin};
use terrane_client::status::{ServerStatus, TabletStatus};

#[async_trait]
impl TabletService for TabletServer {
    async fn get(&self, request: GetRequest) -> Result<GetResponse, TabletError> {
        self.get_rows(request).await
    }

    async fn read(&self, request: ScanRequest) -> Result<ScanResponse, TabletError> {
        self.scan(request).await
    }

    async fn apply_rows(&self, request: ModifyRequest) -> Result<Applied, TabletError> {
        self.apply(request).await
    }

    async fn delete_ranges(&self, request: DeleteRangeRequest) -> Result<CommitTs, TabletError> {
        self.delete(request).await
    }

    async fn read_timestamp(&self) -> Result<CommitTs, TabletError> {
        self.check_open()?;
        Ok(self.users_line.read_ts())
    }

    async fn pin_timestamp(&self, at: CommitTs) -> Result<TimestampPin, TabletError> {
        self.check_open()?;
        self.pins.pin(at);
        let pins = self.pins.clone();
        Ok(TimestampPin::new(move || pins.release(at)))
    }

    async fn sample_keys(&self, table: StorageId) -> Result<Vec<Bytes>, TabletError> {
        self.sample(table)
    }

    async fn load(
        &self,
        tablet: TabletName,
        generation: Generation,
        schemas: TableSchemas,
    ) -> Result<(), TabletError> {
        self.load_tablet(tablet, generation, schemas).await
    }

    async fn unload(&self, tablet: TabletName) -> Result<(), TabletError> {
        blocking::in_place(|| self.unload_tablet(&tablet))
    }

    async fn set_schema(&self, schema: Arc<TableSchema>) -> Result<(), TabletError> {
        self.check_open()?;
        let purged = self.purges.expect(&schema, &*self.lock, &self.name).await?;
        let line = self.line(schema.storage);
        {
            // A commit holds a schema that was its program's, or comes after and is refused.
            let _no_commits = line.stop_commits();
            self.tablets.set_schema(schema)?;
        }
        // It may have dropped a locality group.
        self.background.wake(Job::Compact);
        if purged.is_some() {
            self.background.wake(Job::Purge);
        }
        // Whoever has closed a version reads next, and has to see all that was committed under it.
        line.durable_now().wait().await
    }

    async fn split(&self, table: StorageId, key: Bytes) -> Result<(), TabletError> {
        blocking::in_place(|| self.split_tablet(table, &key, Why::Asked))
    }

    async fn merge(&self, table: StorageId, key: Bytes) -> Result<(), TabletError> {
        blocking::in_place(|| self.merge_tablets(table, &key))
    }

    async fn flush(&self, table: Option<StorageId>) -> Result<(), TabletError> {
        self.check_open()?;
        blocking::in_place(|| self.flush_tables(table))
    }

    async fn compact(&self, table: StorageId) -> Result<(), TabletError> {
        self.check_open()?;
        blocking::in_place(|| self.compact_table(table))
    }

    async fn status(&self) -> Result<Vec<TabletStatus>, TabletError> {
        Ok(self.tablet_statuses())
    }

    async fn server_status(&self) -> Result<Vec<ServerStatus>, TabletError> {
        Ok(vec![self.own_status()])
    }
}
