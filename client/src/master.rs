//! What the master does on request: tables come and go, and change.

use crate::error::TabletError;
use crate::ids::StorageId;
use crate::schema::TableSchema;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeSet;

/// The master's requests.
#[async_trait]
pub trait MasterService: Send + Sync {
    /// Creates a table's storage: its schema, its METADATA rows, its tablets loaded. `split_keys`
    /// cut it into tablets from the start. Usable on return.
    async fn create_table(
        &self,
        schema: TableSchema,
        split_keys: Vec<Bytes>,
    ) -> Result<(), TabletError>;

    /// Drops a table's storage; its files go when no reader pins them. Dropping what is not there
    /// is no error, so that a retry is harmless.
    async fn drop_table(&self, storage: StorageId) -> Result<(), TabletError>;

    /// Gives a table a newer schema; on return every server that serves it holds it. The version that it has may come
    /// again, with another content: the DDL that staged it first did not commit.
    /// [`TabletError::SchemaChanged`] for an older one.
    async fn alter_table(&self, schema: TableSchema) -> Result<(), TabletError>;

    /// Drops every user storage that is not in `live`: leftovers of a DDL that never committed.
    async fn retain_tables(&self, live: &BTreeSet<StorageId>) -> Result<(), TabletError>;
}
