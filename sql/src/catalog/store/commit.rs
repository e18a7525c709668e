//! A catalog commit: made ready, written by the session together with the block's rows, and published.

use crate::catalog::counters;
use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::rows::{self, Alteration};
use crate::catalog::snapshot::Catalog;
use crate::catalog::store::CatalogStore;
use crate::catalog::transaction::{CatalogChanges, CatalogTransaction};
use crate::error::{SqlError, SqlState};
use crate::plan::errors::of_tablet;
use std::sync::Arc;
use terrane_client::ids::{CommitTs, RequestId, StorageId};
use terrane_client::program::{Atomicity, ModifyRequest, RowError, RowProgram};
use terrane_client::schema::TableSchema;
use tokio::sync::OwnedMutexGuard;

/// A commit that was begun. Finish or abandon it; nobody else can commit DDL until then.
pub struct PendingCommit {
    /// The catalog's row programs: to go, all or none, with the block's own.
    pub programs: Vec<RowProgram>,
    next: Catalog,
    /// Tables whose rows say when they can be read from, by the timestamp this commit gets.
    dated: Vec<Oid>,
    commit: RequestId,
    alterations: Vec<Alteration>,
    /// Schemas that drop columns or locality groups: with the commit that is settled.
    to_settle: Vec<TableSchema>,
    drop_after: Vec<StorageId>,
    _turn: OwnedMutexGuard<()>,
}

impl CatalogStore {
    /// Makes a block's catalog changes ready to be written: merges them with what others published
    /// since (or 40001), and gives altered tables' tablets their new schema. `None` where nothing
    /// permanent changed; storages of temporary tables are then dropped by
    /// [`CatalogStore::drop_storages`] of [`CatalogTransaction::storages_after_commit`].
    pub async fn begin_commit(
        &self,
        tx: &mut CatalogTransaction,
    ) -> Result<Option<PendingCommit>, SqlError> {
        if tx.changes().is_empty() {
            return Ok(None);
        }
        let turn = self.writing.clone().lock_owned().await;
        let current = self.snapshot();
        if current.version != tx.base().version {
            tx.rebase(current.clone())?;
        }
        let changes = tx.changes();
        let mut next = tx.catalog().with_temporary(None);
        next.version = current.version + 1;
        let commit = self.requests.next();
        let mut programs = vec![rows::version_program(next.version, commit, current.version_row)?];
        for object in &changes.upserts {
            programs.push(rows::upsert_program(object)?);
        }
        for object in &changes.deletes {
            programs.push(rows::delete_program(object)?);
        }
        for counter in dead_counters(&current, &changes) {
            programs.push(counters::delete_program(counter)?);
        }
        let altered = altered_tables(tx, &changes);
        let to_settle = self.to_settle(tx, &altered)?;
        let alterations: Vec<_> = altered.iter().map(alteration_of).collect();
        let lazy = alterations.iter().map(|alteration| alteration.table);
        let fenced = tx.held().values().filter(|held| held.fenced).map(|held| held.table.oid);
        for table in lazy.chain(fenced) {
            programs.push(rows::alteration_done_program(table)?);
        }
        let pending = PendingCommit {
            programs,
            next,
            dated: dated_tables(&changes),
            commit,
            alterations,
            to_settle,
            drop_after: tx.storages_after_commit(),
            _turn: turn,
        };
        if let Err(error) = self.alter_tablets(&altered, tx.catalog()).await {
            self.abandon(pending).await?;
            return Err(error);
        }
        Ok(Some(pending))
    }

    /// Notes the alterations, then has the tablets hold the new schemas.
    async fn alter_tablets(
        &self,
        altered: &[Arc<Table>],
        catalog: &Arc<Catalog>,
    ) -> Result<(), SqlError> {
        if altered.is_empty() {
            return Ok(());
        }
        let mut schemas = Vec::new();
        let mut notes = Vec::new();
        for table in altered {
            let mut schema = self.tablet_schema(table, catalog)?;
            schema.is_settled = !self.drops_some(&schema, table.oid)?;
            schemas.push(schema);
            schemas.extend(self.purged_indexes(table));
            notes.push(rows::alteration_program(alteration_of(table))?);
        }
        self.write(notes).await?;
        for schema in schemas {
            self.master.alter_table(schema).await.map_err(of_tablet)?;
        }
        Ok(())
    }

    /// The programs were applied at `commit_ts`: publishes the catalog and drops what it no longer
    /// refers to.
    pub async fn finish_commit(&self, pending: PendingCommit, commit_ts: CommitTs) -> Arc<Catalog> {
        let PendingCommit { mut next, dated, to_settle, drop_after, _turn, .. } = pending;
        next.version_row = commit_ts;
        for oid in dated {
            let Some(table) = next.table(oid) else { continue };
            let dated = Object::Table(Arc::new(table.committed(commit_ts)));
            Arc::make_mut(&mut next.permanent).put(dated);
        }
        let published = Arc::new(next);
        self.publish(published.clone());
        self.drop_storages(&drop_after).await;
        for schema in to_settle {
            // Otherwise what was dropped takes room until the table is altered again.
            if let Err(error) = self.master.alter_table(schema).await {
                tracing::warn!("what a table has dropped is kept: {error}");
            }
        }
        published
    }

    /// True where a schema lacks columns or locality groups of the one that is published.
    pub(super) fn drops_some(&self, schema: &TableSchema, table: Oid) -> Result<bool, SqlError> {
        let snapshot = self.snapshot();
        let Some(published) = snapshot.table(table) else { return Ok(false) };
        let published = self.tablet_schema(published, &snapshot)?;
        let mut columns = published.columns.iter();
        let mut groups = published.groups.iter();
        Ok(published.storage == schema.storage
            && (columns.any(|column| schema.column(column.id).is_none())
                || groups.any(|group| schema.group(group.id).is_none())))
    }

    /// The hidden tables of a table's unique indexes, where they have to learn what it promises of its dead bytes. Those of
    /// new indexes know.
    pub(super) fn purged_indexes(&self, table: &Table) -> Vec<TableSchema> {
        let published = self.snapshot().table(table.oid).cloned();
        let before =
            published.as_ref().map(|table| (table.purge_within_micros, table.history_micros));
        let now = (table.purge_within_micros, table.history_micros);
        let promises = now.0.is_some() || before.is_some_and(|before| before.0.is_some());
        match promises && before != Some(now) {
            true => table.index_schemas(),
            false => Vec::new(),
        }
    }

    /// The schemas of altered tables that drop something, as they are once that is committed.
    fn to_settle(
        &self,
        tx: &CatalogTransaction,
        altered: &[Arc<Table>],
    ) -> Result<Vec<TableSchema>, SqlError> {
        let held = tx.held().values().filter_map(|held| tx.catalog().table(held.table.oid));
        let mut schemas = Vec::new();
        for table in altered.iter().chain(held) {
            let schema = self.tablet_schema(table, tx.catalog())?;
            if self.drops_some(&schema, table.oid)? {
                schemas.push(schema);
            }
        }
        Ok(schemas)
    }

    /// The programs were not applied: takes the schemas back that tablets got for this commit. The block
    /// itself is still to be ended with [`CatalogStore::abort`].
    pub async fn abandon(&self, pending: PendingCommit) -> Result<(), SqlError> {
        let PendingCommit { alterations, .. } = &pending;
        if alterations.is_empty() {
            return Ok(());
        }
        // Others may have written meanwhile; their rows are what the tablets have to agree with.
        self.reload().await?;
        self.take_back(alterations).await
    }

    /// It is not known whether the programs were applied: finds out. True where they were. 40003 where
    /// another frontend has written since, and it cannot be told any more.
    pub async fn resolve(&self, pending: PendingCommit) -> Result<bool, SqlError> {
        let reloaded = self.reload().await?;
        if reloaded.catalog.version > pending.next.version {
            return Err(SqlError::new(
                SqlState::STATEMENT_COMPLETION_UNKNOWN,
                "it is unknown whether the transaction was committed",
            ));
        }
        let applied = reloaded.commit == Some((pending.commit.client, pending.commit.number));
        if applied {
            self.drop_storages(&pending.drop_after).await;
        } else {
            self.take_back(&reloaded.alterations).await?;
        }
        Ok(applied)
    }

    /// Gives tables whose alteration did not commit their published schema again, under a version
    /// above any that their tablets may hold.
    pub(super) async fn take_back(&self, alterations: &[Alteration]) -> Result<(), SqlError> {
        if alterations.is_empty() {
            return Ok(());
        }
        let current = self.snapshot();
        let mut next = (*current).clone();
        next.version += 1;
        let commit = self.requests.next();
        let mut programs = vec![rows::version_program(next.version, commit, current.version_row)?];
        let (mut schemas, mut notes) = (Vec::new(), Vec::new());
        for alteration in alterations {
            programs.push(rows::alteration_done_program(alteration.table)?);
            let Some(table) = current.table(alteration.table) else { continue };
            let mut table = (**table).clone();
            table.schema_version = table.schema_version.max(alteration.schema_version) + 1;
            schemas.push(self.tablet_schema(&table, &current)?);
            schemas.extend(table.index_schemas());
            let table = Arc::new(table);
            notes.push(rows::alteration_program(alteration_of(&table))?);
            let object = Object::Table(table);
            programs.push(rows::upsert_program(&object)?);
            Arc::make_mut(&mut next.permanent).put(object);
        }
        self.write(notes).await?;
        for schema in schemas {
            self.master.alter_table(schema).await.map_err(of_tablet)?;
        }
        next.version_row = self.write(programs).await?;
        self.publish(Arc::new(next));
        Ok(())
    }

    pub(super) async fn write(&self, programs: Vec<RowProgram>) -> Result<CommitTs, SqlError> {
        let request = ModifyRequest {
            request: self.requests.next(),
            programs: Arc::new(programs),
            atomicity: Atomicity::AllOrNone,
        };
        let response = self.tablets.modify_rows(request).await.map_err(of_tablet)?;
        match response.results.into_iter().find_map(Result::err) {
            None => Ok(response.commit_ts),
            Some(error) => Err(commit_error(&error)),
        }
    }
}

/// What a failed program of a catalog commit means.
pub fn commit_error(error: &RowError) -> SqlError {
    match error {
        RowError::VersionChanged { .. } => {
            let mut told = SqlError::new(
                SqlState::SERIALIZATION_FAILURE,
                "could not serialize access due to a concurrent change of the catalog",
            )
            .with_hint("The transaction might succeed if retried.");
            told.stale_catalog = true;
            told
        }
        error => SqlError::internal(format!("catalog write: {error}")),
    }
}

pub(super) fn alteration_of(table: &Arc<Table>) -> Alteration {
    Alteration { table: table.oid, schema_version: table.schema_version }
}

/// Tables whose tablets have to be given the schema that is to be published, and have not been yet.
fn altered_tables(tx: &CatalogTransaction, changes: &CatalogChanges) -> Vec<Arc<Table>> {
    let tables = changes.upserts.iter().filter_map(|object| match object {
        Object::Table(table) => Some(table),
        _ => None,
    });
    let is_altered = |table: &&Arc<Table>| {
        tx.held_table(table).is_some_and(|held| held.schema_version != table.schema_version)
    };
    tables.filter(is_altered).cloned().collect()
}

/// Tables whose history begins with, or depends on, the commit that writes them.
fn dated_tables(changes: &CatalogChanges) -> Vec<Oid> {
    let dated = changes.upserts.iter().filter_map(|object| match object {
        Object::Table(table) if table.history_start.is_pending() => Some(table.oid),
        _ => None,
    });
    dated.collect()
}

/// Counters of sequences that are gone, or that got another.
fn dead_counters(current: &Catalog, changes: &CatalogChanges) -> Vec<StorageId> {
    let replaced = changes.upserts.iter().filter_map(|object| match object {
        Object::Sequence(sequence) => {
            let before = current.sequence(sequence.oid)?;
            (before.counter != sequence.counter).then_some(before.counter)
        }
        _ => None,
    });
    let dropped = changes.deletes.iter().filter_map(|object| match object {
        Object::Sequence(sequence) => Some(sequence.counter),
        _ => None,
    });
    replaced.chain(dropped).collect()
}
