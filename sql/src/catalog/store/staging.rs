//! Storages and tablet schemas while a block is open.

use crate::catalog::model::{HistoryStart, Index, Table};
use crate::catalog::objects::Object;
use crate::catalog::rows::{self, Alteration};
use crate::catalog::snapshot::{Catalog, Temporary};
use crate::catalog::store::CatalogStore;
use crate::catalog::store::commit::alteration_of;
use crate::catalog::transaction::CatalogTransaction;
use crate::error::SqlError;
use crate::plan::errors::of_tablet;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::schema::TableSchema;

/// Whether others may use a table while a block that changes it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// They may, under the published schema.
    Open,
    /// They wait until the block ends.
    Closed,
}

impl CatalogStore {
    /// Creates the storage of a table that is being made or gets a new one, and puts the table in.
    pub async fn create_table_storage(
        &self,
        tx: &mut CatalogTransaction,
        mut table: Table,
    ) -> Result<(), SqlError> {
        table.history_start = HistoryStart::NEW_STORAGE;
        tx.storage_created(table.storage);
        let schema = self.tablet_schema(&table, tx.catalog())?;
        self.create_storage(schema, &table.split_keys).await?;
        let table = Arc::new(table);
        tx.set_held(table.clone(), false);
        tx.put(Object::Table(table));
        Ok(())
    }

    /// Creates the hidden table of a unique index. The index itself is put in with its table.
    pub async fn create_index_storage(
        &self,
        tx: &mut CatalogTransaction,
        table: &Table,
        index: &Index,
    ) -> Result<(), SqlError> {
        let Some(schema) = index.tablet_schema(table) else { return Ok(()) };
        tx.storage_created(schema.storage);
        self.create_storage(schema, &[]).await
    }

    /// Gives a table new, empty storages.
    pub async fn empty_table(
        &self,
        tx: &mut CatalogTransaction,
        table: &Table,
    ) -> Result<(), SqlError> {
        let mut emptied = table.clone();
        emptied.storage = self.allocate_storage().await?;
        emptied.families.start_over();
        for index in emptied.indexes.iter_mut().filter(|index| index.unique.is_some()) {
            index.unique = Some(self.allocate_storage().await?);
        }
        for column in &mut emptied.columns {
            // No row is left that was written before the column was added.
            column.missing = terrane_client::value::Value::Null;
        }
        for index in &emptied.indexes {
            self.create_index_storage(tx, &emptied, index).await?;
        }
        self.create_table_storage(tx, emptied).await
    }

    /// Puts a changed table in. Its tablets get the new schema now where nobody else uses the storage, or
    /// where it has to be fenced, and with the commit otherwise.
    pub async fn put_table(
        &self,
        tx: &mut CatalogTransaction,
        mut table: Table,
        fence: Fence,
    ) -> Result<(), SqlError> {
        let own = tx.held().contains_key(&table.storage) || table.persistence.is_temporary();
        let held = tx.held_table(&table).cloned();
        let Some(held) = held else {
            // A storage of this block whose creation is still to come sees the final table.
            tx.put(Object::Table(Arc::new(table)));
            return Ok(());
        };
        let same = self.same_for_tablets(&held, &table, tx.catalog())?;
        if own && !same {
            table.schema_version = held.schema_version + 1;
            let fenced = tx.held().get(&table.storage).is_some_and(|held| held.fenced);
            self.give(tx, &table, &[table.schema_version], fenced).await?;
        } else if !own && fence == Fence::Closed {
            table.schema_version = held.schema_version + 2;
            let versions = [held.schema_version + 1, held.schema_version + 2];
            self.give(tx, &table, &versions, true).await?;
        } else {
            table.schema_version = held.schema_version + u32::from(!same);
        }
        tx.put(Object::Table(Arc::new(table)));
        Ok(())
    }

    fn same_for_tablets(
        &self,
        held: &Table,
        table: &Table,
        catalog: &Arc<Catalog>,
    ) -> Result<bool, SqlError> {
        let comparable = |table: &Table| -> Result<TableSchema, SqlError> {
            let mut schema = self.tablet_schema(table, catalog)?;
            schema.version = 0;
            schema.name.clear();
            schema.columns.iter_mut().for_each(|column| column.name.clear());
            Ok(schema)
        };
        Ok(comparable(held)? == comparable(table)?)
    }

    /// Gives a table's tablets its schema, under these versions one after the other.
    async fn give(
        &self,
        tx: &mut CatalogTransaction,
        table: &Table,
        versions: &[u32],
        fenced: bool,
    ) -> Result<(), SqlError> {
        let table = Arc::new(table.clone());
        if fenced {
            let note = rows::alteration_program(alteration_of(&table))?;
            self.write(vec![note]).await?;
        }
        // From here on the tablets may hold it, whatever happens.
        tx.set_held(table.clone(), fenced);
        let mut schema = self.tablet_schema(&table, tx.catalog())?;
        schema.is_settled = !self.drops_some(&schema, table.oid)?;
        for version in versions {
            schema.version = *version;
            self.master.alter_table(schema.clone()).await.map_err(of_tablet)?;
        }
        for schema in self.purged_indexes(&table) {
            match self.master.alter_table(schema).await {
                // An index of this block, whose storage is still to come.
                Ok(()) | Err(TabletError::NotServing { .. }) => {}
                Err(error) => return Err(of_tablet(error)),
            }
        }
        Ok(())
    }

    /// After [`CatalogTransaction::rollback_to`]: tablets that were given schemas the block took back are
    /// given the ones it came back to.
    pub async fn align(&self, tx: &mut CatalogTransaction) -> Result<(), SqlError> {
        let held: Vec<_> = tx.held().values().cloned().collect();
        for held in held {
            let Some(table) = tx.catalog().table(held.table.oid).cloned() else { continue };
            let differs = table.schema_version != held.table.schema_version;
            if table.storage == held.table.storage && differs {
                let mut table = (*table).clone();
                table.schema_version = held.table.schema_version + 1;
                let version = table.schema_version;
                self.give(tx, &table, &[version], held.fenced).await?;
                tx.put(Object::Table(Arc::new(table)));
            }
        }
        Ok(())
    }

    /// After ROLLBACK, or a COMMIT that failed: lifts the block's fences and drops its storages. The
    /// answer is the session's temporary objects from then on.
    pub async fn abort(&self, tx: CatalogTransaction) -> Result<Option<Arc<Temporary>>, SqlError> {
        let fenced: Vec<Alteration> = tx
            .held()
            .values()
            .filter(|held| held.fenced)
            .map(|held| alteration_of(&held.table))
            .collect();
        if !fenced.is_empty() {
            let _turn = self.writing.lock().await;
            self.take_back(&fenced).await?;
        }
        let dead = tx.storages_after_rollback();
        let mut base = CatalogTransaction::new(tx.base().clone());
        for held in tx.held().values() {
            let Some(table) = base.base().table(held.table.oid).cloned() else { continue };
            if table.persistence.is_temporary() && table.storage == held.table.storage {
                let mut table = (*table).clone();
                table.schema_version = held.table.schema_version + 1;
                let version = table.schema_version;
                self.give(&mut base, &table, &[version], false).await?;
                base.put(Object::Table(Arc::new(table)));
            }
        }
        self.drop_storages(&dead).await;
        Ok(base.catalog().temporary().cloned())
    }
}
