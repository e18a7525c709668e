//! The catalog where it is stored: read at start, published from, written to by commits.
//!
//! Contract: one commit is one all-or-none write of the changed objects' rows and the version row, which
//! the session puts into the same request as the block's data rows. [`CatalogStore::begin_commit`] makes
//! the programs and holds the writer's turn until [`PendingCommit`] is finished or abandoned, so commits
//! of one frontend follow each other; another frontend's is seen by the condition on the version row
//! (40001).
//!
//! A table's tablets must hold a newer schema before rows of that schema arrive, so they get it before
//! the commit. A note in the catalog table says so: if the commit does not happen, or the process dies in
//! between, the note leads back ([`CatalogStore::open`], [`CatalogStore::abandon`]).
//!
//! What has to look at all rows (SET NOT NULL, ADD PRIMARY KEY, a new unique index) *fences* the table
//! first: its tablets get two schema versions at once, so that calls made under the published one are
//! refused until the block ends. Others wait for that ([`CatalogStore::changed_since`]), as they would
//! for PostgreSQL's ACCESS EXCLUSIVE lock.

mod commit;
mod load;
mod staging;

pub use commit::{PendingCommit, commit_error};
pub use staging::Fence;

use crate::catalog::allocator::Allocator;
use crate::catalog::counters::Counters;
use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::requests::Requests;
use crate::catalog::sequences::Sequences;
use crate::catalog::snapshot::Catalog;
use crate::catalog::transaction::CatalogTransaction;
use crate::error::SqlError;
use crate::plan::errors::of_tablet;
use bytes::Bytes;
use parking_lot::RwLock;
use std::sync::Arc;
use terrane_client::ids::StorageId;
use terrane_client::master::MasterService;
use terrane_client::schema::{Check, TableSchema};
use terrane_client::service::TabletService;
use terrane_env::Env;

/// Compiles a table's CHECK constraints into the tablets' expression language, as far as it reaches.
pub trait CheckCompiler: Send + Sync {
    /// The checks tablets can evaluate; those that are left out are the frontend's to enforce.
    fn compile(&self, table: &Table, catalog: &Catalog) -> Result<Vec<Check>, SqlError>;
}

/// The stored catalog.
pub struct CatalogStore {
    tablets: Arc<dyn TabletService>,
    master: Arc<dyn MasterService>,
    checks: Arc<dyn CheckCompiler>,
    requests: Arc<Requests>,
    allocator: Allocator,
    sequences: Sequences,
    current: RwLock<Arc<Catalog>>,
    published: tokio::sync::watch::Sender<u64>,
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl CatalogStore {
    fn new(
        tablets: Arc<dyn TabletService>,
        master: Arc<dyn MasterService>,
        checks: Arc<dyn CheckCompiler>,
        env: &Env,
    ) -> Self {
        let requests = Arc::new(Requests::new(env));
        let counters = Counters::new(tablets.clone(), requests.clone());
        Self {
            tablets,
            master,
            checks,
            requests,
            allocator: Allocator::new(counters.clone()),
            sequences: Sequences::new(counters),
            current: RwLock::new(Arc::new(Catalog::default())),
            published: tokio::sync::watch::Sender::new(0),
            writing: Arc::default(),
        }
    }

    /// The newest published catalog, without temporary objects.
    pub fn snapshot(&self) -> Arc<Catalog> {
        self.current.read().clone()
    }

    /// Resolves once a catalog newer than `version` is published: what a statement waits for whose call a
    /// tablet refused for its schema version.
    pub async fn changed_since(&self, version: u64) {
        let mut published = self.published.subscribe();
        // The sender lives as long as the store.
        let _ = published.wait_for(|newest| *newest > version).await;
    }

    fn publish(&self, catalog: Arc<Catalog>) {
        let version = catalog.version;
        *self.current.write() = catalog;
        self.published.send_replace(version);
    }

    /// nextval and setval.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// A new object identifier.
    pub async fn allocate_oid(&self) -> Result<Oid, SqlError> {
        self.allocator.oid().await
    }

    /// A new storage identifier, or a sequence's counter.
    pub async fn allocate_storage(&self) -> Result<StorageId, SqlError> {
        self.allocator.storage().await
    }

    /// A table as its tablets are to know it. The catalog need not have it yet, or may have an earlier one.
    pub fn tablet_schema(
        &self,
        table: &Table,
        catalog: &Arc<Catalog>,
    ) -> Result<TableSchema, SqlError> {
        let known = catalog.table(table.oid).is_some_and(|known| **known == *table);
        if table.checks.is_empty() || known {
            return Ok(table.tablet_schema(self.checks.compile(table, catalog)?));
        }
        let mut with_table = CatalogTransaction::new(catalog.clone());
        with_table.put(Object::Table(Arc::new(table.clone())));
        Ok(table.tablet_schema(self.checks.compile(table, with_table.catalog())?))
    }

    /// Creates a table's storage, cut into tablets at these keys: usable on return, referred to by nobody yet.
    pub async fn create_storage(
        &self,
        schema: TableSchema,
        split_keys: &[Vec<u8>],
    ) -> Result<(), SqlError> {
        let split_keys = split_keys.iter().cloned().map(Bytes::from).collect();
        self.master.create_table(schema, split_keys).await.map_err(of_tablet)
    }

    /// Drops storages that nothing refers to any more. A failure leaves files behind until the next
    /// start drops them, and is no error of the statement.
    pub async fn drop_storages(&self, storages: &[StorageId]) {
        for storage in storages {
            if let Err(error) = self.master.drop_table(*storage).await {
                tracing::warn!(%storage, %error, "storage not dropped; the next start will");
            }
        }
    }
}

#[cfg(test)]
mod tests;
