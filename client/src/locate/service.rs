//! The whole cluster as if it were one tablet server.
//!
//! For a caller that wants one [`TabletService`], wherever the tablets are: in one process there is one
//! server, and this is it with a table lookup in between. What is about one server's own state (load, unload)
//! is refused.
//!
//! `read_timestamp` and `pin_timestamp` have no tables to go by: they ask every server this client has met. A statement that knows its tables asks [`TabletClient::read_timestamp_of`], which is right for
//! servers not met yet, too (rule 24).

use super::TabletClient;
use crate::error::TabletError;
use crate::ids::{CommitTs, Generation, StorageId};
use crate::program::{DeleteRangeRequest, ModifyRequest};
use crate::read::{GetRequest, GetResponse, KeyRange, ScanRequest, ScanResponse};
use crate::schema::{TableSchema, TableSchemas};
use crate::service::{Applied, TabletName, TabletService, TimestampPin};
use crate::status::{ServerStatus, TabletStatus};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

fn one_servers_business(what: &str) -> TabletError {
    TabletError::Unsupported(format!("{what} through a client: it is asked of one server"))
}

impl TabletClient {
    /// Every server met so far. One that is no longer known serves nothing.
    async fn known_servers(&self) -> Result<Vec<Arc<dyn TabletService>>, TabletError> {
        let names = self.inner.cache.servers();
        let known: Vec<_> =
            names.iter().filter_map(|name| self.inner.servers.server(name)).collect();
        if known.is_empty() {
            return self.every_server(&[StorageId::METADATA]).await;
        }
        Ok(known)
    }

    /// Every server that serves anything.
    async fn all_servers(&self) -> Result<Vec<Arc<dyn TabletService>>, TabletError> {
        let mut tables = vec![StorageId::METADATA];
        let all = KeyRange::all();
        for tablet in self.tablets(StorageId::METADATA, &all).await? {
            let rows = self.metadata_rows(&tablet, &tablet.range, None).await?;
            tables.extend(rows.iter().map(|row| row.table));
        }
        tables.sort();
        tables.dedup();
        self.every_server(&tables).await
    }
}

#[async_trait]
impl TabletService for TabletClient {
    async fn get(&self, request: GetRequest) -> Result<GetResponse, TabletError> {
        TabletClient::get(self, request).await
    }

    async fn read(&self, request: ScanRequest) -> Result<ScanResponse, TabletError> {
        TabletClient::read(self, request).await
    }

    async fn apply_rows(&self, request: ModifyRequest) -> Result<Applied, TabletError> {
        TabletClient::apply_rows(self, request).await
    }

    async fn delete_ranges(&self, request: DeleteRangeRequest) -> Result<CommitTs, TabletError> {
        TabletClient::delete_ranges(self, request).await
    }

    async fn read_timestamp(&self) -> Result<CommitTs, TabletError> {
        let mut newest = CommitTs::ABSENT;
        for server in self.known_servers().await? {
            newest = newest.max(server.read_timestamp().await?);
        }
        Ok(newest)
    }

    async fn pin_timestamp(&self, at: CommitTs) -> Result<TimestampPin, TabletError> {
        let mut pins = Vec::new();
        for server in self.known_servers().await? {
            pins.push(server.pin_timestamp(at).await?);
        }
        Ok(TimestampPin::new(move || drop(pins)))
    }

    async fn sample_keys(&self, table: StorageId) -> Result<Vec<Bytes>, TabletError> {
        let mut keys = Vec::new();
        for server in self.every_server(&[table]).await? {
            keys.extend(server.sample_keys(table).await?);
        }
        keys.sort();
        Ok(keys)
    }

    async fn load(
        &self,
        _tablet: TabletName,
        _generation: Generation,
        _schemas: TableSchemas,
    ) -> Result<(), TabletError> {
        Err(one_servers_business("load"))
    }

    async fn unload(&self, _tablet: TabletName) -> Result<(), TabletError> {
        Err(one_servers_business("unload"))
    }

    async fn set_schema(&self, schema: Arc<TableSchema>) -> Result<(), TabletError> {
        for server in self.every_server(&[schema.storage]).await? {
            server.set_schema(schema.clone()).await?;
        }
        Ok(())
    }

    async fn split(&self, table: StorageId, key: Bytes) -> Result<(), TabletError> {
        let mut attempt = 0;
        loop {
            let location = self.locate(table, &key).await?;
            let split = match self.inner.servers.server(&location.server) {
                Some(server) => server.split(table, key.clone()).await,
                None => Err(TabletError::NotServing { table }),
            };
            match split {
                Ok(()) => {
                    // Neighbouring calls are cut at the new edge from now on.
                    self.inner.cache.forget(table);
                    return Ok(());
                }
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    /// Both tablets have to be on the server of the right one.
    async fn merge(&self, table: StorageId, key: Bytes) -> Result<(), TabletError> {
        let mut attempt = 0;
        loop {
            let location = self.locate(table, &key).await?;
            let merged = match self.inner.servers.server(&location.server) {
                Some(server) => server.merge(table, key.clone()).await,
                None => Err(TabletError::NotServing { table }),
            };
            match merged {
                Ok(()) => {
                    self.inner.cache.forget(table);
                    return Ok(());
                }
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    async fn flush(&self, table: Option<StorageId>) -> Result<(), TabletError> {
        let servers = match table {
            Some(table) => self.every_server(&[table]).await?,
            None => self.all_servers().await?,
        };
        for server in servers {
            server.flush(table).await?;
        }
        Ok(())
    }

    async fn compact(&self, table: StorageId) -> Result<(), TabletError> {
        for server in self.every_server(&[table]).await? {
            server.compact(table).await?;
        }
        Ok(())
    }

    async fn status(&self) -> Result<Vec<TabletStatus>, TabletError> {
        let mut tablets = Vec::new();
        for server in self.all_servers().await? {
            tablets.extend(server.status().await?);
        }
        Ok(tablets)
    }

    async fn server_status(&self) -> Result<Vec<ServerStatus>, TabletError> {
        let mut servers = Vec::new();
        for server in self.all_servers().await? {
            servers.extend(server.server_status().await?);
        }
        Ok(servers)
    }
}
