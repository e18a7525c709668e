//! Staged changes over a snapshot (rule 32): DDL inside a block sees its own changes, COMMIT publishes
//! them in one conditional write, ROLLBACK forgets them.
//!
//! What changed is the difference between the snapshot the transaction began with and the one it has
//! now, so there is no list to keep in step: a savepoint is a copy of the current snapshot, and objects
//! are compared by identity. Storages are created when a statement needs them and are unreferenced until
//! COMMIT; whatever the outcome does not refer to is dropped after it.

use crate::catalog::model::{Persistence, Schema, Table};
use crate::catalog::objects::{Object, Objects};
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::{Catalog, Temporary};
use crate::catalog::system::relations;
use crate::error::{SqlError, SqlState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use terrane_client::ids::StorageId;

/// Staged changes over a snapshot.
#[derive(Clone, Debug)]
pub struct CatalogTransaction {
    base: Arc<Catalog>,
    current: Arc<Catalog>,
    created: Vec<StorageId>,
    held: BTreeMap<StorageId, Held>,
}

/// A storage whose tablets were given a schema by this block already, ahead of COMMIT: one the block
/// made, or one it fenced.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Held {
    /// The table as its tablets know it; its `schema_version` is the newest they hold.
    pub table: Arc<Table>,
    /// True where others' calls are refused until the block ends; a note in the stored catalog says so.
    pub fenced: bool,
}

/// A place to come back to.
#[derive(Clone, Debug)]
pub struct CatalogSavepoint {
    current: Arc<Catalog>,
}

impl CatalogSavepoint {
    /// True where the catalog of then refers to the storage.
    pub fn has_storage(&self, storage: StorageId) -> bool {
        self.current.storages_with_temporary().contains(&storage)
    }
}

/// What a COMMIT has to write.
#[derive(Clone, Debug, Default)]
pub struct CatalogChanges {
    /// Permanent objects that are new or changed, ascending by identifier.
    pub upserts: Vec<Object>,
    /// Permanent objects that are gone, ascending by identifier.
    pub deletes: Vec<Object>,
}

impl CatalogChanges {
    /// True where nothing permanent changed.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.deletes.is_empty()
    }
}

impl CatalogTransaction {
    /// Begins over a snapshot, which has the session's temporary objects.
    pub fn new(base: Arc<Catalog>) -> Self {
        Self { current: base.clone(), base, created: Vec::new(), held: BTreeMap::new() }
    }

    /// The snapshot it began with.
    pub fn base(&self) -> &Arc<Catalog> {
        &self.base
    }

    /// The catalog with the staged changes.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.current
    }

    /// True where something permanent or temporary is staged.
    pub fn is_changed(&self) -> bool {
        !Arc::ptr_eq(&self.base, &self.current)
    }

    /// Puts an object in, or replaces the one with its identifier.
    pub fn put(&mut self, object: Object) {
        let current = Arc::make_mut(&mut self.current);
        let place = match object.is_temporary() {
            false => &mut current.permanent,
            true => {
                let temporary = current.temporary.as_mut();
                let temporary = temporary.expect("temporary objects come after their schema");
                Arc::make_mut(temporary).objects.put(object);
                return;
            }
        };
        Arc::make_mut(place).put(object);
    }

    /// Takes an object out.
    pub fn remove(&mut self, oid: Oid) {
        let current = Arc::make_mut(&mut self.current);
        if current.permanent.get(oid).is_some() {
            Arc::make_mut(&mut current.permanent).remove(oid);
        } else if let Some(temporary) = &mut current.temporary {
            Arc::make_mut(temporary).objects.remove(oid);
        }
    }

    /// Makes the schema of the session's temporary objects, once.
    pub fn create_temporary_schema(&mut self, oid: Oid, session: u64, owner: Oid) {
        let current = Arc::make_mut(&mut self.current);
        if current.temporary.is_some() {
            return;
        }
        let mut objects = Objects::default();
        let name = format!("pg_temp_{session}").into();
        objects.put(Object::Schema(Arc::new(Schema { oid, name, owner, comment: None })));
        current.temporary = Some(Arc::new(Temporary { schema: oid, objects }));
    }

    /// Notes a storage that was created for an object still to be staged.
    pub fn storage_created(&mut self, storage: StorageId) {
        self.created.push(storage);
    }

    /// True where this block made the storage: its rows are invisible to others until COMMIT, and need
    /// no buffer (rule 31).
    pub fn is_own_storage(&self, storage: StorageId) -> bool {
        self.created.contains(&storage)
    }

    /// True where tablets know something of this block: a storage it made, or a schema ahead of COMMIT.
    /// Such a block has to be aborted even if all it staged was taken back.
    pub fn has_storages(&self) -> bool {
        !self.created.is_empty() || !self.held.is_empty()
    }

    /// True where others' calls to this storage are refused until the block ends.
    pub fn is_fenced(&self, storage: StorageId) -> bool {
        self.held.get(&storage).is_some_and(|held| held.fenced)
    }

    /// The table as its tablets know it at this moment: what a read inside the block may ask for. Columns
    /// that a lazy ALTER added since read as their missing value. `None` where the tablets do not know the
    /// table yet.
    pub fn held_table(&self, table: &Table) -> Option<&Arc<Table>> {
        match self.held.get(&table.storage) {
            Some(held) => Some(&held.table),
            None => self.base.table(table.oid).filter(|base| base.storage == table.storage),
        }
    }

    pub(crate) fn held(&self) -> &BTreeMap<StorageId, Held> {
        &self.held
    }

    pub(crate) fn set_held(&mut self, table: Arc<Table>, fenced: bool) {
        self.held.insert(table.storage, Held { table, fenced });
    }

    /// A place to come back to: SAVEPOINT, and the start of each statement.
    pub fn savepoint(&self) -> CatalogSavepoint {
        CatalogSavepoint { current: self.current.clone() }
    }

    /// ROLLBACK TO, or a statement that failed. Storages made since stay until the block ends. The
    /// tablets are to be aligned afterwards: `CatalogStore::align`.
    pub fn rollback_to(&mut self, savepoint: &CatalogSavepoint) {
        self.current = savepoint.current.clone();
    }

    /// What COMMIT has to write.
    pub fn changes(&self) -> CatalogChanges {
        let (old, new) = (&self.base.permanent, &self.current.permanent);
        if Arc::ptr_eq(old, new) {
            return CatalogChanges::default();
        }
        let is_changed =
            |object: &&Object| !old.get(object.oid()).is_some_and(|before| before.is_same(object));
        let is_gone = |object: &&Object| new.get(object.oid()).is_none();
        CatalogChanges {
            upserts: new.iter().filter(is_changed).cloned().collect(),
            deletes: old.iter().filter(is_gone).cloned().collect(),
        }
    }

    /// Storages nothing refers to once COMMIT succeeded.
    pub fn storages_after_commit(&self) -> Vec<StorageId> {
        let live = self.current.storages_with_temporary();
        let mut dead = self.base.storages_with_temporary();
        dead.extend(&self.created);
        dead.difference(&live).copied().collect()
    }

    /// Storages nothing refers to once the block was rolled back.
    pub fn storages_after_rollback(&self) -> Vec<StorageId> {
        self.created.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What COMMIT does to the session's temporary tables: drops those that say so. The storages of
    /// those to be emptied are given back, for the session to do so.
    pub fn apply_on_commit(&mut self) -> Vec<Oid> {
        use crate::catalog::model::OnCommit;
        let Some(temporary) = self.current.temporary.clone() else { return Vec::new() };
        let mut emptied = Vec::new();
        for object in temporary.objects.iter() {
            let Object::Table(table) = object else { continue };
            match table.persistence {
                Persistence::Temporary(OnCommit::Drop) => self.remove(table.oid),
                Persistence::Temporary(OnCommit::DeleteRows) => emptied.push(table.oid),
                Persistence::Temporary(OnCommit::PreserveRows) | Persistence::Permanent => {}
            }
        }
        emptied
    }

    /// Moves the staged changes onto a newer catalog, where that is plainly right: no object that was
    /// changed here was changed there, every name is still free, and every reference still holds.
    /// Otherwise 40001.
    pub fn rebase(&mut self, onto: Arc<Catalog>) -> Result<(), SqlError> {
        let changes = self.changes();
        let onto = Arc::new(onto.with_temporary(self.base.temporary.clone()));
        let mut merged = (*onto).clone();
        let objects = Arc::make_mut(&mut merged.permanent);
        for object in changes.deletes.iter().chain(&changes.upserts) {
            let before = self.base.permanent.get(object.oid());
            let there = objects.get(object.oid());
            let untouched = match (before, there) {
                (Some(before), Some(there)) => before.is_same(there),
                (None, None) => true,
                _ => false,
            };
            if !untouched {
                return Err(concurrent_change());
            }
            objects.remove(object.oid());
        }
        for object in &changes.upserts {
            let taken = object
                .names()
                .iter()
                .any(|(schema, name, _)| objects.relation(*schema, name).is_some());
            let same_name = match object {
                Object::Schema(schema) => objects.schema_by_name(&schema.name).is_some(),
                Object::Role(role) => objects.role_by_name(&role.name).is_some(),
                _ => false,
            };
            if taken || same_name {
                return Err(concurrent_change());
            }
            objects.put(object.clone());
        }
        merged.temporary = self.current.temporary.clone();
        if !merged.dangling().is_empty() || self.reads_changed(&changes, &onto) {
            return Err(concurrent_change());
        }
        (self.base, self.current) = (onto, Arc::new(merged));
        Ok(())
    }

    /// True where an object that a changed one refers to was changed by others.
    fn reads_changed(&self, changes: &CatalogChanges, onto: &Catalog) -> bool {
        let references = changes.upserts.iter().flat_map(|object| object.stored_sql());
        let mut relations = references.flat_map(|sql| sql.references());
        relations.any(|reference| {
            let before = self.base.permanent.get(reference.relation);
            let there = onto.permanent.get(reference.relation);
            match (before, there) {
                (Some(before), Some(there)) => !before.is_same(there),
                // Made here, or temporary.
                (None, None) => false,
                _ => true,
            }
        })
    }
}

fn concurrent_change() -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to a concurrent change of the catalog",
    )
    .with_hint("The transaction might succeed if retried.")
}

impl Catalog {
    /// References that do not hold: objects in a schema that is not there, stored SQL and owned sequences
    /// that name what is not there. Empty for a sound catalog.
    pub fn dangling(&self) -> Vec<Oid> {
        let holds = |relation: Oid, column| match (self.object(relation), column) {
            (Some(Object::Table(table)), Some(column)) => table.column(column).is_some(),
            (Some(Object::View(view)), Some(column)) => view.columns.iter().any(|c| c.id == column),
            (Some(Object::Table(_) | Object::View(_) | Object::Sequence(_)), None) => true,
            (None, None) => relations::by_oid(relation).is_some(),
            _ => false,
        };
        let is_dangling = |object: &&Object| {
            let schema = object.schema().is_some_and(|schema| self.schema(schema).is_none());
            let sql = object
                .stored_sql()
                .into_iter()
                .any(|sql| sql.references().into_iter().any(|r| !holds(r.relation, r.column)));
            let owner = match object {
                Object::Sequence(sequence) => sequence.owned_by,
                _ => None,
            };
            schema || sql || owner.is_some_and(|owner| !holds(owner.table, Some(owner.column)))
        };
        self.objects().filter(is_dangling).map(Object::oid).collect()
    }
}

#[cfg(test)]
mod tests;
