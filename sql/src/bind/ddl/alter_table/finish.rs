//! Putting an altered table in: as a catalog write, behind a fence, or in a new storage.

use crate::bind::ddl::alter_table::Altering;
use crate::bind::ddl::{Ddl, DdlAction};
use crate::catalog::objects::Object;
use crate::catalog::store::Fence;
use crate::error::SqlError;
use std::sync::Arc;
use terrane_client::value::Value;

impl Ddl<'_> {
    /// Lets an action that works on the catalog see the table as it is so far.
    pub(super) async fn put_altered(&mut self, altering: &mut Altering) -> Result<(), SqlError> {
        // Only the catalog: tablets are told at the end.
        self.tx.put(Object::Table(Arc::new(altering.table.clone())));
        Ok(())
    }

    /// Takes the table back after such an action.
    pub(super) fn take_altered(&mut self, altering: &mut Altering) {
        if let Some(table) = self.catalog().table(altering.table.oid) {
            altering.table = (**table).clone();
        }
    }

    /// Puts the table in and notes what is left to do with its rows.
    pub(super) async fn finish_altering(&mut self, altering: Altering) -> Result<(), SqlError> {
        if altering.rewrite {
            return self.finish_rewriting(altering).await;
        }
        let Altering { table, fence, validate, new_unique, .. } = altering;
        for index in table.indexes.iter().filter(|index| new_unique.contains(&index.oid)) {
            self.context.store.create_index_storage(self.tx, &table, index).await?;
        }
        let oid = table.oid;
        // In a block, statements that follow use the table as it is from here on.
        let fence = if fence || self.context.in_block { Fence::Closed } else { Fence::Open };
        self.context.store.put_table(self.tx, table, fence).await?;
        self.actions.extend(validate);
        for index in new_unique {
            self.actions.push(DdlAction::BuildUnique { table: oid, index });
        }
        Ok(())
    }

    /// The rows go into a new storage; the old one is fenced so that none is missed.
    async fn finish_rewriting(&mut self, altering: Altering) -> Result<(), SqlError> {
        let Altering { old, mut table, using, validate, .. } = altering;
        let oid = table.oid;
        self.context.store.put_table(self.tx, (*old).clone(), Fence::Closed).await?;
        let from = self.catalog().table(oid).cloned().unwrap_or(old);
        table.storage = self.context.store.allocate_storage().await?;
        table.schema_version = from.schema_version + 1;
        if table.key_shape() != from.key_shape() {
            table.forget_split_keys();
        }
        table.families.start_over();
        for index in table.indexes.iter_mut().filter(|index| index.unique.is_some()) {
            // Row keys change, so every unique index is built anew.
            index.unique = Some(self.context.store.allocate_storage().await?);
        }
        for column in &mut table.columns {
            column.missing = Value::Null;
        }
        self.create_index_storages(&table).await?;
        let unique: Vec<_> = table.unique_indexes().map(|(index, _)| index.oid).collect();
        self.context.store.create_table_storage(self.tx, table).await?;
        self.actions.push(DdlAction::Rewrite { from, to: oid, using });
        // CHECKs and NOT NULL hold for every row written into the new storage; what tablets cannot
        // evaluate is looked at afterwards.
        self.actions.extend(validate);
        for index in unique {
            self.actions.push(DdlAction::BuildUnique { table: oid, index });
        }
        Ok(())
    }
}
