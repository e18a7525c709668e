//! The model's master.

use super::FIRST_SERVER;
use super::locks::MemoryLocks;
use super::state::{State, Table};
use crate::error::TabletError;
use crate::ids::StorageId;
use crate::master::MasterService;
use crate::metadata::{SCHEMA_PREFIX, TabletRow};
use crate::schema::TableSchema;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Creates, drops and alters the model's tables.
pub struct ModelMaster {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) locks: Arc<MemoryLocks>,
}

impl ModelMaster {
    fn publish_schema(&self, schema: &TableSchema) -> Result<(), TabletError> {
        let json = serde_json::to_vec(schema).map_err(|e| TabletError::Internal(e.to_string()))?;
        self.locks.put(format!("{SCHEMA_PREFIX}{}", schema.storage), json.into());
        Ok(())
    }
}

fn create(state: &mut State, schema: TableSchema, split_keys: &[Bytes]) -> Result<(), TabletError> {
    if state.tables.contains_key(&schema.storage) {
        return Err(TabletError::Internal(format!("storage {} exists", schema.storage)));
    }
    let mut starts: Vec<Vec<u8>> = split_keys.iter().map(|key| key.to_vec()).collect();
    starts.push(Vec::new());
    starts.sort();
    starts.dedup();
    let generation = state.next_generation();
    let mut tablets = Vec::with_capacity(starts.len());
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).cloned();
        let tablet = TabletRow::empty(&schema, start.clone(), end, FIRST_SERVER, generation);
        state.write_metadata(&tablet)?;
        tablets.push(tablet);
    }
    state.tables.insert(schema.storage, Table::new(Arc::new(schema), tablets));
    Ok(())
}

fn remove(state: &mut State, storage: StorageId) -> Result<(), TabletError> {
    let Some(table) = state.tables.remove(&storage) else { return Ok(()) };
    for tablet in &table.tablets {
        state.remove_metadata(tablet)?;
    }
    state.rows.retain(|(table, _), _| *table != storage);
    Ok(())
}

#[async_trait]
impl MasterService for ModelMaster {
    async fn create_table(
        &self,
        schema: TableSchema,
        split_keys: Vec<Bytes>,
    ) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        self.publish_schema(&schema)?;
        create(&mut state, schema, &split_keys)
    }

    async fn drop_table(&self, storage: StorageId) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        self.locks.delete(format!("{SCHEMA_PREFIX}{storage}"));
        remove(&mut state, storage)
    }

    async fn alter_table(&self, schema: TableSchema) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        let not_serving = TabletError::NotServing { table: schema.storage };
        let table = state.tables.get_mut(&schema.storage).ok_or(not_serving)?;
        if schema.version < table.current.version {
            return Err(TabletError::SchemaChanged {
                table: schema.storage,
                asked: schema.version,
                current: table.current.version,
            });
        }
        self.publish_schema(&schema)?;
        table.hold(Arc::new(schema));
        Ok(())
    }

    async fn retain_tables(&self, live: &BTreeSet<StorageId>) -> Result<(), TabletError> {
        let mut state = self.state.lock();
        let leftovers: Vec<StorageId> = state
            .tables
            .keys()
            .filter(|storage| **storage >= StorageId::FIRST_USER && !live.contains(storage))
            .copied()
            .collect();
        for storage in leftovers {
            self.locks.delete(format!("{SCHEMA_PREFIX}{storage}"));
            remove(&mut state, storage)?;
        }
        Ok(())
    }
}
