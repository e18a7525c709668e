//! Table schemas in the lock service: the current one of each storage, and the one before.
//!
//! ```text
//! /terrane/schema/<storage id>             TableSchema as JSON
//! /terrane/schema-previous/<storage id>    the one it replaced
//! ```
//! Why the previous one: a schema is published here before the catalog commits to it. After a crash
//! between the two, frontends go on planning with the one before.

use bytes::Bytes;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::StorageId;
use terrane_client::lock::{Change, Compare, LockService, Outcome, Transaction, Versioned};
use terrane_client::metadata::SCHEMA_PREFIX;
use terrane_client::schema::{TableSchema, TableSchemas};

const PREVIOUS_PREFIX: &str = "/terrane/schema-previous/";

/// Reads and writes schemas.
pub struct Schemas {
    lock: Arc<dyn LockService>,
}

impl Schemas {
    /// Schemas in this lock service.
    pub fn new(lock: Arc<dyn LockService>) -> Self {
        Self { lock }
    }

    /// A storage's schemas, if it has any.
    pub async fn get(&self, storage: StorageId) -> Result<Option<TableSchemas>, TabletError> {
        let Some(current) = self.lock.get(&current_key(storage)).await? else {
            return Ok(None);
        };
        let previous = self.lock.get(&previous_key(storage)).await?;
        let previous = previous.map(|stored| decode(storage, &stored.value)).transpose()?;
        Ok(Some(TableSchemas { current: decode(storage, &current.value)?, previous }))
    }

    /// Every storage that has a schema, ascending by key.
    pub async fn list(&self) -> Result<Vec<StorageId>, TabletError> {
        let stored = self.lock.list(SCHEMA_PREFIX).await?;
        stored.into_iter().map(|(key, _)| storage_of(&key)).collect()
    }

    /// Stores a new storage's schema; an existing one is replaced, as a retry of its creation would.
    pub async fn create(&self, schema: &TableSchema) -> Result<(), TabletError> {
        let put = Change::Put { key: current_key(schema.storage), value: encode(schema)? };
        self.commit(Transaction { compares: Vec::new(), changes: vec![put] }).await
    }

    /// Stores a newer schema. The version that is there already may be stored again, with another
    /// content: the DDL that staged it first did not commit.
    pub async fn replace(&self, schema: &TableSchema) -> Result<TableSchemas, TabletError> {
        let storage = schema.storage;
        let key = current_key(storage);
        let stored = self.lock.get(&key).await?;
        let Versioned { value, revision } =
            stored.ok_or(TabletError::NotServing { table: storage })?;
        let current = decode(storage, &value)?;
        if schema.version < current.version {
            return Err(TabletError::SchemaChanged {
                table: storage,
                asked: schema.version,
                current: current.version,
            });
        }
        let mut changes = vec![Change::Put { key: key.clone(), value: encode(schema)? }];
        if schema.version > current.version {
            changes.push(Change::Put { key: previous_key(storage), value });
        }
        let compares = vec![Compare { key, revision }];
        self.commit(Transaction { compares, changes }).await?;
        let stored = self.get(storage).await?;
        stored.ok_or(TabletError::NotServing { table: storage })
    }

    /// Removes a storage's schemas.
    pub async fn remove(&self, storage: StorageId) -> Result<(), TabletError> {
        let changes = vec![
            Change::Delete { key: current_key(storage) },
            Change::Delete { key: previous_key(storage) },
        ];
        self.commit(Transaction { compares: Vec::new(), changes }).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), TabletError> {
        match self.lock.commit(transaction).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Conflict => {
                Err(TabletError::Unavailable("the schema was changed at the same time".to_owned()))
            }
        }
    }
}

fn current_key(storage: StorageId) -> String {
    format!("{SCHEMA_PREFIX}{storage}")
}

fn previous_key(storage: StorageId) -> String {
    format!("{PREVIOUS_PREFIX}{storage}")
}

fn storage_of(key: &str) -> Result<StorageId, TabletError> {
    key.strip_prefix(SCHEMA_PREFIX)
        .and_then(|id| id.parse().ok())
        .map(StorageId)
        .ok_or_else(|| corruption(key, "not a storage id".to_owned()))
}

fn encode(schema: &TableSchema) -> Result<Bytes, TabletError> {
    let json = serde_json::to_vec(schema)
        .map_err(|error| TabletError::Internal(format!("cannot write a schema: {error}")))?;
    Ok(json.into())
}

fn decode(storage: StorageId, value: &[u8]) -> Result<Arc<TableSchema>, TabletError> {
    let schema: TableSchema = serde_json::from_slice(value)
        .map_err(|error| corruption(&current_key(storage), error.to_string()))?;
    if schema.storage != storage {
        return Err(corruption(&current_key(storage), format!("schema of {}", schema.storage)));
    }
    Ok(Arc::new(schema))
}

fn corruption(key: &str, what: String) -> TabletError {
    TabletError::Corruption { file: format!("lock service key {key}"), offset: 0, what }
}
