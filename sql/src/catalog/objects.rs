//! A set of catalog objects with its lookups: the permanent ones, or one session's temporary ones.
//!
//! Invariants: `names` holds every relation and index exactly once under its schema; `index_tables`,
//! `row_types` and `owned_sequences` follow from the objects. All maps are ordered, so iteration is deterministic.
//! Copying is cheap enough for DDL: objects are shared, only the maps are copied.

use crate::catalog::model::{Database, Role, Schema, Sequence, Table, View};
use crate::catalog::oid::Oid;
use crate::catalog::stored_sql::StoredSql;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a name among a schema's relations stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationRef {
    /// A table.
    Table(Oid),
    /// A view.
    View(Oid),
    /// A sequence.
    Sequence(Oid),
    /// An index of a table.
    Index {
        /// The index.
        index: Oid,
        /// Its table.
        table: Oid,
    },
}

impl RelationRef {
    /// The relation's identifier.
    pub fn oid(self) -> Oid {
        match self {
            Self::Table(oid) | Self::View(oid) | Self::Sequence(oid) => oid,
            Self::Index { index, .. } => index,
        }
    }
}

/// One object, to be put into or found in a set.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A schema.
    Schema(Arc<Schema>),
    /// A table with its indexes and constraints.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
    /// A sequence.
    Sequence(Arc<Sequence>),
    /// A role.
    Role(Arc<Role>),
    /// The database.
    Database(Arc<Database>),
}

impl Object {
    /// Its identifier.
    pub fn oid(&self) -> Oid {
        match self {
            Self::Schema(schema) => schema.oid,
            Self::Table(table) => table.oid,
            Self::View(view) => view.oid,
            Self::Sequence(sequence) => sequence.oid,
            Self::Role(role) => role.oid,
            Self::Database(database) => database.oid,
        }
    }

    /// The schema it is in; none for schemas, roles and the database.
    pub fn schema(&self) -> Option<Oid> {
        match self {
            Self::Table(table) => Some(table.schema),
            Self::View(view) => Some(view.schema),
            Self::Sequence(sequence) => Some(sequence.schema),
            Self::Schema(_) | Self::Role(_) | Self::Database(_) => None,
        }
    }

    /// True where it lives no longer than its session.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Table(table) => table.persistence.is_temporary(),
            Self::View(view) => view.persistence.is_temporary(),
            Self::Sequence(sequence) => sequence.persistence.is_temporary(),
            Self::Schema(_) | Self::Role(_) | Self::Database(_) => false,
        }
    }

    /// The SQL texts of it that refer to other objects.
    pub fn stored_sql(&self) -> Vec<&StoredSql> {
        match self {
            Self::View(view) => vec![&view.query],
            Self::Table(table) => table.stored_sql(),
            _ => Vec::new(),
        }
    }

    /// True where both are the very same object, not just an equal one.
    pub fn is_same(&self, other: &Object) -> bool {
        match (self, other) {
            (Self::Schema(a), Self::Schema(b)) => Arc::ptr_eq(a, b),
            (Self::Table(a), Self::Table(b)) => Arc::ptr_eq(a, b),
            (Self::View(a), Self::View(b)) => Arc::ptr_eq(a, b),
            (Self::Sequence(a), Self::Sequence(b)) => Arc::ptr_eq(a, b),
            (Self::Role(a), Self::Role(b)) => Arc::ptr_eq(a, b),
            (Self::Database(a), Self::Database(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The names it takes among its schema's relations: its own, and its indexes'.
    pub(crate) fn names(&self) -> Vec<(Oid, Arc<str>, RelationRef)> {
        match self {
            Self::Schema(_) | Self::Role(_) | Self::Database(_) => Vec::new(),
            Self::View(view) => {
                vec![(view.schema, view.name.clone(), RelationRef::View(view.oid))]
            }
            Self::Sequence(sequence) => {
                let oid = sequence.oid;
                vec![(sequence.schema, sequence.name.clone(), RelationRef::Sequence(oid))]
            }
            Self::Table(table) => {
                let own = (table.schema, table.name.clone(), RelationRef::Table(table.oid));
                let index = |name: &Arc<str>, index| {
                    let reference = RelationRef::Index { index, table: table.oid };
                    (table.schema, name.clone(), reference)
                };
                let key = table.primary_key.iter().map(|key| index(&key.name, key.index_oid));
                let others = table.indexes.iter().map(|i| index(&i.name, i.oid));
                std::iter::once(own).chain(key).chain(others).collect()
            }
        }
    }

    fn row_types(&self) -> Option<[Oid; 2]> {
        match self {
            Self::Table(table) => Some([table.row_type, table.row_array_type]),
            Self::View(view) => Some([view.row_type, view.row_array_type]),
            _ => None,
        }
    }
}

/// A set of objects.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: BTreeMap<Oid, Object>,
    schemas: BTreeMap<Arc<str>, Oid>,
    roles: BTreeMap<Arc<str>, Oid>,
    names: BTreeMap<Oid, BTreeMap<Arc<str>, RelationRef>>,
    index_tables: BTreeMap<Oid, Oid>,
    row_types: BTreeMap<Oid, Oid>,
    owned_sequences: BTreeMap<Oid, BTreeSet<Oid>>,
}

impl Objects {
    /// Puts an object in, replacing the one with its identifier.
    pub(crate) fn put(&mut self, object: Object) {
        self.remove(object.oid());
        for (schema, name, reference) in object.names() {
            if let RelationRef::Index { index, table } = reference {
                self.index_tables.insert(index, table);
            }
            let taken = self.names.entry(schema).or_default().insert(name, reference);
            debug_assert!(taken.is_none(), "DDL checks that a relation's name is free");
        }
        for row_type in object.row_types().into_iter().flatten() {
            self.row_types.insert(row_type, object.oid());
        }
        match &object {
            Object::Schema(schema) => {
                self.schemas.insert(schema.name.clone(), schema.oid);
            }
            Object::Role(role) => {
                self.roles.insert(role.name.clone(), role.oid);
            }
            Object::Sequence(sequence) => {
                if let Some(owner) = sequence.owned_by {
                    self.owned_sequences.entry(owner.table).or_default().insert(sequence.oid);
                }
            }
            _ => {}
        }
        self.all.insert(object.oid(), object);
    }

    /// Takes an object out.
    pub(crate) fn remove(&mut self, oid: Oid) -> Option<Object> {
        let object = self.all.remove(&oid)?;
        for (schema, name, reference) in object.names() {
            if let RelationRef::Index { index, .. } = reference {
                self.index_tables.remove(&index);
            }
            if let Some(names) = self.names.get_mut(&schema) {
                names.remove(&name);
                if names.is_empty() {
                    self.names.remove(&schema);
                }
            }
        }
        for row_type in object.row_types().into_iter().flatten() {
            self.row_types.remove(&row_type);
        }
        match &object {
            Object::Schema(schema) => {
                self.schemas.remove(&schema.name);
            }
            Object::Role(role) => {
                self.roles.remove(&role.name);
            }
            Object::Sequence(sequence) => {
                if let Some(owner) = sequence.owned_by
                    && let Some(owned) = self.owned_sequences.get_mut(&owner.table)
                {
                    owned.remove(&oid);
                }
            }
            _ => {}
        }
        Some(object)
    }

    /// Every object, ascending by identifier.
    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.all.values()
    }

    /// The object with this identifier.
    pub fn get(&self, oid: Oid) -> Option<&Object> {
        self.all.get(&oid)
    }

    /// What a relation's name stands for in a schema.
    pub fn relation(&self, schema: Oid, name: &str) -> Option<RelationRef> {
        self.names.get(&schema)?.get(name).copied()
    }

    /// The relations of a schema, ascending by name.
    pub fn relations_of(&self, schema: Oid) -> impl Iterator<Item = (&Arc<str>, RelationRef)> {
        self.names.get(&schema).into_iter().flatten().map(|(name, reference)| (name, *reference))
    }

    /// The schema with this name.
    pub fn schema_by_name(&self, name: &str) -> Option<&Arc<Schema>> {
        match self.all.get(self.schemas.get(name)?)? {
            Object::Schema(schema) => Some(schema),
            _ => None,
        }
    }

    /// The role with this name.
    pub fn role_by_name(&self, name: &str) -> Option<&Arc<Role>> {
        match self.all.get(self.roles.get(name)?)? {
            Object::Role(role) => Some(role),
            _ => None,
        }
    }

    /// The table an index belongs to.
    pub fn table_of_index(&self, index: Oid) -> Option<Oid> {
        self.index_tables.get(&index).copied()
    }

    /// The relation whose row type, or array of row type, this is.
    pub fn relation_of_row_type(&self, row_type: Oid) -> Option<Oid> {
        self.row_types.get(&row_type).copied()
    }

    /// The sequences that a table's columns own, ascending by identifier.
    pub fn sequences_of_table(&self, table: Oid) -> impl Iterator<Item = &Arc<Sequence>> {
        let owned = self.owned_sequences.get(&table).into_iter().flatten();
        owned.filter_map(|oid| match self.all.get(oid)? {
            Object::Sequence(sequence) => Some(sequence),
            _ => None,
        })
    }

    /// True where nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
