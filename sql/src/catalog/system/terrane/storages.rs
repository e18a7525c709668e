//! Which relation's data a storage holds.

use crate::catalog::model::{DEFAULT_NAME, Table};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::Cell;
use hashbrown::HashMap;
use terrane_client::ids::{LocalityGroupId, StorageId};

/// A storage's owner. None of it is known of another session's temporary tables, and of what is about to be dropped.
#[derive(Clone, Copy, Default)]
pub(super) struct Owner<'a> {
    /// NULL for the tables that SQL does not show: METADATA, and those that the catalog is stored in.
    schema: Option<&'a str>,
    /// Of a unique index's storage the index's.
    name: Option<&'a str>,
    oid: Option<Oid>,
    /// The table whose rows, not whose index's entries, these are.
    table: Option<&'a Table>,
}

/// Every storage the session knows.
pub(super) struct Storages<'a> {
    owners: HashMap<StorageId, Owner<'a>>,
}

impl<'a> Storages<'a> {
    pub fn of(facts: &'a Facts) -> Self {
        let mut owners = HashMap::new();
        let internal = [
            (StorageId::METADATA, "metadata"),
            (StorageId::CATALOG, "catalog"),
            (StorageId::SEQUENCES, "counters"),
        ];
        for (storage, name) in internal {
            owners.insert(storage, Owner { name: Some(name), ..Owner::default() });
        }
        for object in facts.catalog.objects() {
            let Object::Table(table) = object else { continue };
            let schema = Some(facts.schema_name(table.schema));
            let (oid, name) = (Some(table.oid), Some(&*table.name));
            owners.insert(table.storage, Owner { schema, name, oid, table: Some(table) });
            for (index, storage) in table.unique_indexes() {
                let (oid, name) = (Some(index.oid), Some(&*index.name));
                owners.insert(storage, Owner { schema, name, oid, table: None });
            }
        }
        Self { owners }
    }

    pub fn owner(&self, storage: StorageId) -> Owner<'a> {
        self.owners.get(&storage).copied().unwrap_or_default()
    }
}

impl<'a> Owner<'a> {
    /// Schema, name and identifier.
    pub fn cells(&self) -> [Cell<'a>; 3] {
        [self.schema.into(), self.name.into(), self.oid.into()]
    }

    /// A locality group's name; NULL for one that is about to be dropped.
    pub fn group_name(&self, group: LocalityGroupId) -> Cell<'a> {
        if group == LocalityGroupId::default() {
            return Cell::Text(DEFAULT_NAME);
        }
        let groups = self.table.map(|table| table.families.groups()).unwrap_or_default();
        groups.into_iter().find(|known| known.id == group).map(|known| known.name).into()
    }
}
