//! The whole catalog at one version: immutable, shared, cheap to clone.
//!
//! A snapshot has the permanent objects and, as a session sees it, that session's temporary ones.

use crate::catalog::model::{Database, Index, Role, Schema, Sequence, Table, View};
use crate::catalog::objects::{Object, Objects, RelationRef};
use crate::catalog::oid::Oid;
use crate::catalog::quote::quote_ident;
use crate::catalog::search_path::SearchPath;
use crate::catalog::stored_sql::Names;
use crate::catalog::system::relations::{self, SystemRelation};
use std::collections::BTreeSet;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, StorageId};

/// The catalog at one version.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Counts published changes.
    pub(crate) version: u64,
    /// The commit that wrote the catalog's version row: what the next change is conditional on.
    pub(crate) version_row: CommitTs,
    pub(crate) permanent: Arc<Objects>,
    pub(crate) temporary: Option<Arc<Temporary>>,
}

/// One session's temporary objects.
#[derive(Clone, Debug)]
pub struct Temporary {
    /// Their schema, `pg_temp_n`.
    pub schema: Oid,
    /// The schema itself and what is in it.
    pub objects: Objects,
}

impl Temporary {
    /// As they are once the block that changed them has committed.
    pub fn committed(self: &Arc<Self>, commit: CommitTs) -> Arc<Self> {
        let pending = self.objects.iter().filter_map(|object| match object {
            Object::Table(table) if table.history_start.is_pending() => Some(table),
            _ => None,
        });
        let pending: Vec<_> = pending.map(|table| table.committed(commit)).collect();
        let mut committed = Arc::clone(self);
        for table in pending {
            Arc::make_mut(&mut committed).objects.put(Object::Table(Arc::new(table)));
        }
        committed
    }
}

/// A relation of any kind.
#[derive(Clone, Debug)]
pub enum Relation {
    /// A table.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
    /// A sequence.
    Sequence(Arc<Sequence>),
    /// An index: its own identifier, and its table.
    Index(Oid, Arc<Table>),
    /// A relation of pg_catalog, information_schema or the system's schema `terrane`.
    System(&'static SystemRelation),
}

impl Relation {
    /// Its identifier.
    pub fn oid(&self) -> Oid {
        match self {
            Self::Table(table) => table.oid,
            Self::View(view) => view.oid,
            Self::Sequence(sequence) => sequence.oid,
            Self::Index(oid, _) => *oid,
            Self::System(relation) => relation.oid,
        }
    }

    /// Its schema.
    pub fn schema(&self) -> Oid {
        match self {
            Self::Table(table) | Self::Index(_, table) => table.schema,
            Self::View(view) => view.schema,
            Self::Sequence(sequence) => sequence.schema,
            Self::System(relation) => relation.schema,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Table(table) => &table.name,
            Self::View(view) => &view.name,
            Self::Sequence(sequence) => &sequence.name,
            Self::Index(oid, table) => match table.index(*oid) {
                Some(index) => &index.name,
                None => table.primary_key.as_ref().map_or(&table.name, |key| &key.name),
            },
            Self::System(relation) => &relation.name,
        }
    }

    /// What PostgreSQL's messages call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::View(_) => "view",
            Self::Sequence(_) => "sequence",
            Self::Index(..) => "index",
            Self::System(relation) if relation.is_view => "view",
            Self::System(_) => "table",
        }
    }

    /// True where it lives no longer than its session.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Table(table) | Self::Index(_, table) => table.persistence.is_temporary(),
            Self::View(view) => view.persistence.is_temporary(),
            Self::Sequence(sequence) => sequence.persistence.is_temporary(),
            Self::System(_) => false,
        }
    }
}

impl Catalog {
    /// Counts published changes: part of a plan cache's key.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The database. `None` only before the first start has finished.
    pub fn database(&self) -> Option<&Arc<Database>> {
        match self.object(Oid::DATABASE)? {
            Object::Database(database) => Some(database),
            _ => None,
        }
    }

    /// The same catalog with a session's temporary objects.
    pub fn with_temporary(&self, temporary: Option<Arc<Temporary>>) -> Self {
        Self { temporary, ..self.clone() }
    }

    /// The session's temporary objects.
    pub fn temporary(&self) -> Option<&Arc<Temporary>> {
        self.temporary.as_ref()
    }

    fn sets(&self) -> impl Iterator<Item = &Objects> {
        std::iter::once(&*self.permanent).chain(self.temporary.iter().map(|temp| &temp.objects))
    }

    /// Every object, the permanent ones first, ascending by identifier.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.sets().flat_map(Objects::iter)
    }

    /// The object with this identifier.
    pub fn object(&self, oid: Oid) -> Option<&Object> {
        self.sets().find_map(|set| set.get(oid))
    }

    /// The schema with this identifier.
    pub fn schema(&self, oid: Oid) -> Option<&Arc<Schema>> {
        match self.object(oid)? {
            Object::Schema(schema) => Some(schema),
            _ => None,
        }
    }

    /// The schema with this name; `pg_temp` is the session's own.
    pub fn schema_by_name(&self, name: &str) -> Option<&Arc<Schema>> {
        if name == "pg_temp" {
            return self.schema(self.temporary.as_ref()?.schema);
        }
        self.sets().find_map(|set| set.schema_by_name(name))
    }

    /// The table with this identifier.
    pub fn table(&self, oid: Oid) -> Option<&Arc<Table>> {
        match self.object(oid)? {
            Object::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The view with this identifier.
    pub fn view(&self, oid: Oid) -> Option<&Arc<View>> {
        match self.object(oid)? {
            Object::View(view) => Some(view),
            _ => None,
        }
    }

    /// The sequence with this identifier.
    pub fn sequence(&self, oid: Oid) -> Option<&Arc<Sequence>> {
        match self.object(oid)? {
            Object::Sequence(sequence) => Some(sequence),
            _ => None,
        }
    }

    /// The role with this identifier.
    pub fn role(&self, oid: Oid) -> Option<&Arc<Role>> {
        match self.object(oid)? {
            Object::Role(role) => Some(role),
            _ => None,
        }
    }

    /// The role with this name.
    pub fn role_by_name(&self, name: &str) -> Option<&Arc<Role>> {
        self.permanent.role_by_name(name)
    }

    /// The index with this identifier and its table. The primary key's has no [`Index`].
    pub fn index(&self, oid: Oid) -> Option<(Option<&Index>, &Arc<Table>)> {
        let table = self.table(self.sets().find_map(|set| set.table_of_index(oid))?)?;
        Some((table.index(oid), table))
    }

    /// The relation with this identifier.
    pub fn relation(&self, oid: Oid) -> Option<Relation> {
        match self.object(oid) {
            Some(Object::Table(table)) => Some(Relation::Table(table.clone())),
            Some(Object::View(view)) => Some(Relation::View(view.clone())),
            Some(Object::Sequence(sequence)) => Some(Relation::Sequence(sequence.clone())),
            Some(Object::Schema(_) | Object::Role(_) | Object::Database(_)) => None,
            None => match self.index(oid) {
                Some((_, table)) => Some(Relation::Index(oid, table.clone())),
                None => relations::by_oid(oid).map(Relation::System),
            },
        }
    }

    /// The relation of this name in this schema.
    pub fn relation_in(&self, schema: Oid, name: &str) -> Option<Relation> {
        if matches!(schema, Oid::PG_CATALOG | Oid::INFORMATION_SCHEMA | Oid::TERRANE) {
            return relations::by_name(schema, name).map(Relation::System);
        }
        let reference = self.sets().find_map(|set| set.relation(schema, name))?;
        self.relation(reference.oid())
    }

    /// The relations and indexes of a schema, ascending by name.
    pub fn relations_of(&self, schema: Oid) -> impl Iterator<Item = (&Arc<str>, RelationRef)> {
        self.sets().flat_map(move |set| set.relations_of(schema))
    }

    /// The relation whose row type, or array of row type, this is.
    pub fn relation_of_row_type(&self, row_type: Oid) -> Option<Oid> {
        self.sets().find_map(|set| set.relation_of_row_type(row_type))
    }

    /// The schemas an unqualified name is looked up in, in order: the temporary one and `pg_catalog`
    /// first, unless the path names them.
    pub fn effective_path(&self, path: &SearchPath) -> Vec<Oid> {
        let mut named = Vec::new();
        for schema in self.schemas_named(path) {
            if !named.contains(&schema.oid) {
                named.push(schema.oid);
            }
        }
        let temporary = self.temporary.as_ref().map(|temp| temp.schema);
        let implicit = temporary.into_iter().chain([Oid::PG_CATALOG]);
        let mut effective: Vec<_> = implicit.filter(|oid| !named.contains(oid)).collect();
        effective.extend(named);
        effective
    }

    /// The schema an unqualified CREATE makes its object in: the first of the path that exists.
    /// `None` where there is none (3F000). A path that names `pg_temp` first makes temporary ones.
    pub fn creation_schema(&self, path: &SearchPath) -> Option<&Arc<Schema>> {
        self.schemas_named(path).next()
    }

    /// The schemas a path names, as far as they exist. The superuser is called like the system's schema `terrane`,
    /// which `"$user"` does not stand for: nobody could create anything by an unqualified name.
    pub fn schemas_named<'a>(&'a self, path: &SearchPath) -> impl Iterator<Item = &'a Arc<Schema>> {
        path.schemas.iter().filter_map(|name| match name.as_str() {
            "$user" => self.schema_by_name(&path.user).filter(|schema| schema.oid != Oid::TERRANE),
            name => self.schema_by_name(name),
        })
    }

    /// What an unqualified relation name stands for.
    pub fn resolve(&self, path: &SearchPath, name: &str) -> Option<Relation> {
        self.effective_path(path).into_iter().find_map(|schema| self.relation_in(schema, name))
    }

    /// True where the unqualified name finds this very relation.
    pub fn is_visible(&self, path: &SearchPath, relation: &Relation) -> bool {
        self.resolve(path, relation.name()).is_some_and(|found| found.oid() == relation.oid())
    }

    /// A relation's name as PostgreSQL shows it: quoted where needed, with its schema where it is not
    /// visible.
    pub fn shown_name(&self, path: &SearchPath, relation: &Relation) -> String {
        let name = quote_ident(relation.name());
        match self.is_visible(path, relation) {
            true => name,
            false => match self.schema(relation.schema()) {
                Some(schema) => format!("{}.{name}", quote_ident(&schema.name)),
                None => name,
            },
        }
    }

    /// The sequences that a table's columns own, ascending by identifier.
    pub fn sequences_of_table(&self, table: Oid) -> impl Iterator<Item = &Arc<Sequence>> {
        self.sets().flat_map(move |set| set.sequences_of_table(table))
    }

    /// The sequence that goes with a column: IDENTITY's, or else SERIAL's.
    pub fn sequence_of_column(&self, table: Oid, column: ColumnId) -> Option<&Arc<Sequence>> {
        let mut owned: Vec<_> = self
            .sequences_of_table(table)
            .filter(|sequence| sequence.owned_by.is_some_and(|owner| owner.column == column))
            .collect();
        owned.sort_by_key(|sequence| !sequence.owned_by.is_some_and(|owner| owner.identity));
        owned.first().copied()
    }

    /// Every storage the catalog's permanent tables have.
    pub fn storages(&self) -> BTreeSet<StorageId> {
        storages_of(&self.permanent)
    }

    /// Every storage of permanent and temporary tables.
    pub fn storages_with_temporary(&self) -> BTreeSet<StorageId> {
        self.sets().flat_map(storages_of).collect()
    }

    /// Names for rendering stored SQL, every relation with its schema.
    pub fn qualified_names(&self) -> QualifiedNames<'_> {
        QualifiedNames { catalog: self, path: None }
    }

    /// Names for rendering stored SQL as PostgreSQL shows it: with a schema only where the relation is
    /// not visible.
    pub fn visible_names<'a>(&'a self, path: &'a SearchPath) -> QualifiedNames<'a> {
        QualifiedNames { catalog: self, path: Some(path) }
    }
}

fn storages_of(objects: &Objects) -> BTreeSet<StorageId> {
    let tables = objects.iter().filter_map(|object| match object {
        Object::Table(table) => Some(table),
        _ => None,
    });
    tables.flat_map(|table| table.storages()).collect()
}

/// The catalog's names for stored SQL.
pub struct QualifiedNames<'a> {
    catalog: &'a Catalog,
    path: Option<&'a SearchPath>,
}

impl Names for QualifiedNames<'_> {
    fn relation_name(&self, oid: Oid) -> Option<(Option<&str>, &str)> {
        let (schema, name) = match self.catalog.object(oid) {
            Some(Object::Table(table)) => (table.schema, &*table.name),
            Some(Object::View(view)) => (view.schema, &*view.name),
            Some(Object::Sequence(sequence)) => (sequence.schema, &*sequence.name),
            Some(Object::Schema(_) | Object::Role(_) | Object::Database(_)) => return None,
            None => relations::by_oid(oid).map(|found| (found.schema, found.name.as_str()))?,
        };
        let visible = self.path.is_some_and(|path| {
            let found = self.catalog.resolve(path, name);
            found.is_some_and(|found| found.oid() == oid)
        });
        let schema = match visible {
            true => None,
            false => Some(&*self.catalog.schema(schema)?.name),
        };
        Some((schema, name))
    }

    fn column_name(&self, oid: Oid, column: ColumnId) -> Option<&str> {
        match self.catalog.object(oid)? {
            Object::Table(table) => table.column(column).map(|column| &*column.name),
            Object::View(view) => {
                view.columns.iter().find(|c| c.id == column).map(|column| &*column.name)
            }
            _ => None,
        }
    }
}
