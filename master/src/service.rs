//! What is asked of the master, and what it does when it starts.
//!
//! Creation: schema, METADATA rows, load. Dropping: METADATA rows, unload, schema. A crash in between
//! leaves a table that no catalog names, with at least its schema still listed: [`Master::retain_tables`]
//! finds it there and drops it.

mod tablets;

use crate::schemas::Schemas;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;
use std::sync::Arc;
use tablets::MetadataTable;
use terrane_client::error::TabletError;
use terrane_client::ids::{Generation, StorageId};
use terrane_client::lock::{Lease, LockService};
use terrane_client::master::MasterService;
use terrane_client::metadata::TabletRow;
use terrane_client::schema::{GROUPS_MAX, TableSchema};
use terrane_client::service::{TabletName, TabletService};
use terrane_env::Env;
use tokio::sync::Mutex;

/// The name under which the master holds its lease.
const LEASE_HOLDER: &str = "master";

/// Tablets loaded at the same time: each waits for a synced METADATA edit, and those share syncs.
const LOADS_MAX: usize = 64;

/// The master of one tablet server.
pub struct Master {
    lock: Arc<dyn LockService>,
    tablets: Arc<dyn TabletService>,
    metadata: MetadataTable,
    schemas: Schemas,
    /// The server that tablets are given to.
    server: String,
    lease: Lease,
    /// One change of tables at a time.
    ddl: Mutex<()>,
}

impl Master {
    /// Takes the master's lease and gives every tablet in METADATA to `server`, under a fresh generation.
    ///
    /// A tablet that cannot be loaded is logged and left out: its reads are refused, others go on.
    pub async fn start(
        env: &Env,
        lock: Arc<dyn LockService>,
        tablets: Arc<dyn TabletService>,
        server: &str,
    ) -> Result<Arc<Self>, TabletError> {
        let lease = lock.acquire_lease(LEASE_HOLDER).await?;
        let master = Self {
            metadata: MetadataTable::new(tablets.clone(), env.random.next_u64()),
            schemas: Schemas::new(lock.clone()),
            lock,
            tablets,
            server: server.to_owned(),
            lease,
            ddl: Mutex::new(()),
        };
        master.assign_all().await?;
        Ok(Arc::new(master))
    }

    /// Gives the lease back, so that a successor need not wait.
    pub async fn stop(&self) -> Result<(), TabletError> {
        Ok(self.lock.release_lease(&self.lease).await?)
    }

    fn generation(&self) -> Generation {
        self.lease.generation
    }

    async fn assign_all(&self) -> Result<(), TabletError> {
        let rows = self.metadata.all().await?;
        stream::iter(rows)
            .map(|row| async move {
                let name = name_of(&row);
                if let Err(error) = self.load(name.clone()).await {
                    tracing::error!("cannot load {name:?}: {error}");
                }
            })
            .buffer_unordered(LOADS_MAX)
            .collect::<Vec<()>>()
            .await;
        Ok(())
    }

    /// Loads a tablet with the schemas the lock service has for its table.
    async fn load(&self, name: TabletName) -> Result<(), TabletError> {
        let table = name.table;
        let schemas = self.schemas.get(table).await?.ok_or_else(|| {
            TabletError::Internal(format!(
                "METADATA has tablets of table {table}, which has no schema"
            ))
        })?;
        self.tablets.load(name, self.generation(), schemas).await
    }

    /// True of a storage whose creation a first start did not get to the end of: it has a schema and no tablet, and no user
    /// has a table. Users' storages are taken once, but the catalog's are the same at every start. Where users have tables, a
    /// catalog without tablets was lost, and another in its place would be without them.
    async fn is_cut_off(&self, storage: StorageId) -> Result<bool, TabletError> {
        let has_users = self.schemas.list().await?.iter().any(|id| *id >= StorageId::FIRST_USER);
        Ok(!has_users && self.metadata.of_table(storage).await?.is_empty())
    }

    async fn drop_storage(&self, storage: StorageId) -> Result<(), TabletError> {
        loop {
            let rows = self.metadata.of_table(storage).await?;
            if rows.is_empty() {
                break;
            }
            // Gone from METADATA first: what is gone there is not flushed or split, and its files are garbage.
            self.metadata.remove(&rows).await?;
            for row in &rows {
                match self.tablets.unload(name_of(row)).await {
                    Ok(()) | Err(TabletError::NotServing { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            // A split may have added a tablet since they were listed. Where none is left, none is split.
        }
        self.schemas.remove(storage).await
    }
}

fn name_of(row: &TabletRow) -> TabletName {
    TabletName { table: row.table, end: row.end.clone().map(Bytes::from) }
}

/// The ranges that split keys cut a table into: (start, end), ascending.
fn ranges(split_keys: &[Bytes]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut starts: Vec<Vec<u8>> = split_keys.iter().map(|key| key.to_vec()).collect();
    starts.push(Vec::new());
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
    starts.iter().cloned().zip(ends).collect()
}

#[async_trait]
impl MasterService for Master {
    async fn create_table(
        &self,
        schema: TableSchema,
        split_keys: Vec<Bytes>,
    ) -> Result<(), TabletError> {
        let _ddl = self.ddl.lock().await;
        let storage = schema.storage;
        if schema.groups.len() > GROUPS_MAX {
            let (what, size, limit) = ("list of locality groups", schema.groups.len(), GROUPS_MAX);
            return Err(TabletError::TooLarge { what, size, limit });
        }
        if self.schemas.get(storage).await?.is_some() {
            if !self.is_cut_off(storage).await? {
                return Err(TabletError::Internal(format!("storage {storage} exists")));
            }
            self.schemas.remove(storage).await?;
        }
        self.schemas.create(&schema).await?;
        let rows: Vec<TabletRow> = ranges(&split_keys)
            .into_iter()
            .map(|(start, end)| {
                let is_start_chosen = !start.is_empty();
                let row = TabletRow::empty(&schema, start, end, &self.server, self.generation());
                TabletRow { is_start_chosen, ..row }
            })
            .collect();
        self.metadata.insert(&rows).await?;
        let schema = Arc::new(schema);
        let names: Vec<TabletName> = rows.iter().map(name_of).collect();
        stream::iter(names)
            .map(|name| self.tablets.load(name, self.generation(), schema.clone().into()))
            .buffer_unordered(LOADS_MAX)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    async fn drop_table(&self, storage: StorageId) -> Result<(), TabletError> {
        let _ddl = self.ddl.lock().await;
        self.drop_storage(storage).await
    }

    async fn alter_table(&self, schema: TableSchema) -> Result<(), TabletError> {
        let _ddl = self.ddl.lock().await;
        let stored = self.schemas.replace(&schema).await?;
        self.tablets.set_schema(stored.current).await
    }

    async fn retain_tables(&self, live: &BTreeSet<StorageId>) -> Result<(), TabletError> {
        let _ddl = self.ddl.lock().await;
        for storage in self.schemas.list().await? {
            if storage >= StorageId::FIRST_USER && !live.contains(&storage) {
                self.drop_storage(storage).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
