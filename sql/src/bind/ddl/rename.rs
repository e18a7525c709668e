//! RENAME TO, SET SCHEMA and OWNER TO: the same for tables, views, sequences and indexes.

use crate::bind::ddl::constraint::check_constraint_free;
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::names::{
    self, RelationKind, duplicate_column, duplicate_relation, undefined_relation, wrong_kind,
};
use crate::bind::ddl::{Ddl, DdlStatement, QualifiedName};
use crate::catalog::model::{Table, View};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};
use std::sync::Arc;

/// A change of a whole relation.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterRelation {
    /// What the statement calls it. ALTER TABLE does for any relation.
    pub kind: RelationKind,
    /// IF EXISTS.
    pub if_exists: bool,
    /// Its name.
    pub name: QualifiedName,
    /// What changes.
    pub change: RelationChange,
}

/// What changes of a relation.
#[derive(Clone, Debug, PartialEq)]
pub enum RelationChange {
    /// RENAME TO.
    Rename(String),
    /// RENAME COLUMN … TO.
    RenameColumn(String, String),
    /// SET SCHEMA.
    SetSchema(String),
    /// OWNER TO; `None` is the current user.
    Owner(Option<String>),
}

/// After ALTER VIEW and ALTER INDEX.
pub(crate) fn parse(cursor: &mut Cursor<'_, '_>, kind: RelationKind) -> Parsed<DdlStatement> {
    let if_exists = cursor.if_exists();
    let name = cursor.name()?;
    match parse_change(cursor)? {
        Some(change) => {
            let alter = AlterRelation { kind, if_exists, name, change };
            Ok(DdlStatement::AlterRelation(alter))
        }
        None if cursor.at_end() => cursor.fail("RENAME, SET SCHEMA or OWNER TO"),
        None => cursor.unsupported(format!("this form of ALTER {}", kind.name().to_uppercase())),
    }
}

/// The change, if it is one of a whole relation.
pub(crate) fn parse_change(cursor: &mut Cursor<'_, '_>) -> Parsed<Option<RelationChange>> {
    let change = if cursor.take(&["RENAME", "TO"]) {
        RelationChange::Rename(cursor.ident()?)
    } else if cursor.take(&["SET", "SCHEMA"]) {
        RelationChange::SetSchema(cursor.ident()?)
    } else if cursor.take(&["OWNER", "TO"]) {
        RelationChange::Owner(cursor.role()?)
    } else if cursor.sees(&["RENAME"]) && !cursor.is(1, "CONSTRAINT") {
        cursor.take(&["RENAME"]);
        cursor.take(&["COLUMN"]);
        let from = cursor.ident()?;
        cursor.expect(&["TO"])?;
        RelationChange::RenameColumn(from, cursor.ident()?)
    } else {
        return Ok(None);
    };
    Ok(Some(change))
}

impl Ddl<'_> {
    pub async fn alter_relation(
        &mut self,
        statement: AlterRelation,
    ) -> Result<&'static str, SqlError> {
        let AlterRelation { kind, if_exists, name, change } = statement;
        let tag = match kind {
            RelationKind::Table => "ALTER TABLE",
            RelationKind::View => "ALTER VIEW",
            RelationKind::Sequence => "ALTER SEQUENCE",
            RelationKind::Index => "ALTER INDEX",
        };
        let Some(relation) = self.find(&name)? else {
            let error = undefined_relation(&name);
            return if if_exists { self.skipping(error).map(|()| tag) } else { Err(error) };
        };
        if kind != RelationKind::Table && RelationKind::of(&relation) != kind {
            return Err(wrong_kind(&relation, kind.name()));
        }
        self.check_user_schema(relation.schema())?;
        match change {
            RelationChange::Rename(to) => self.rename_relation(&relation, &to)?,
            RelationChange::RenameColumn(from, to) => self.rename_column(relation, &from, &to)?,
            RelationChange::SetSchema(to) => self.move_relation(&relation, &to)?,
            RelationChange::Owner(role) => {
                // There is one role that can own anything.
                self.role(role.as_deref())?;
            }
        }
        Ok(tag)
    }

    fn rename_relation(&mut self, relation: &Relation, to: &str) -> Result<(), SqlError> {
        self.check_free(relation.schema(), to)?;
        match relation {
            Relation::Table(table) => {
                let renamed = Table { name: to.into(), ..(**table).clone() };
                self.tx.put(Object::Table(Arc::new(renamed)));
            }
            Relation::View(view) => {
                let renamed = View { name: to.into(), ..(**view).clone() };
                self.tx.put(Object::View(Arc::new(renamed)));
            }
            Relation::Sequence(sequence) => {
                let mut renamed = (**sequence).clone();
                renamed.name = to.into();
                self.tx.put(Object::Sequence(Arc::new(renamed)));
            }
            Relation::Index(index, table) => self.rename_index(table, *index, to)?,
            Relation::System(_) => return Err(names::wrong_kind(relation, "table")),
        }
        Ok(())
    }

    /// Renames an index, and with it the constraint that made it.
    fn rename_index(&mut self, table: &Table, index: Oid, to: &str) -> Result<(), SqlError> {
        let mut table = table.clone();
        let is_constraint = table.index(index).is_none_or(|index| index.constraint.is_some());
        if is_constraint {
            check_constraint_free(&table, to)?;
        }
        if let Some(key) = table.primary_key.as_mut().filter(|key| key.index_oid == index) {
            key.name = to.into();
        }
        if let Some(index) = table.indexes.iter_mut().find(|other| other.oid == index) {
            index.name = to.into();
        }
        self.tx.put(Object::Table(Arc::new(table)));
        Ok(())
    }

    /// Renames a constraint, and with it the index it made.
    pub fn rename_constraint(
        &mut self,
        table: &Table,
        from: &str,
        to: &str,
    ) -> Result<(), SqlError> {
        if !table.has_constraint(from) {
            return Err(super::alter_table::undefined_constraint(from, &table.name));
        }
        let key = table.primary_key.as_ref().filter(|key| *key.name == *from);
        let unique = table.indexes.iter().find(|i| i.constraint.is_some() && *i.name == *from);
        let index = key.map(|key| key.index_oid).or(unique.map(|index| index.oid));
        if let Some(index) = index {
            if self.catalog().relation_in(table.schema, to).is_some() {
                return Err(duplicate_relation(to));
            }
            return self.rename_index(table, index, to);
        }
        check_constraint_free(table, to)?;
        let mut table = table.clone();
        for check in table.checks.iter_mut().filter(|check| *check.name == *from) {
            check.name = to.into();
        }
        table.checks.sort_by(|a, b| a.name.cmp(&b.name));
        self.tx.put(Object::Table(Arc::new(table)));
        Ok(())
    }

    fn rename_column(&mut self, relation: Relation, from: &str, to: &str) -> Result<(), SqlError> {
        let undefined = || {
            let message = format!("column \"{from}\" does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        };
        match relation {
            Relation::Table(table) => {
                let id = table.column_by_name(from).ok_or_else(undefined)?.id;
                super::create_table::check_system_column(to)?;
                if table.column_by_name(to).is_some() {
                    return Err(duplicate_column(to, &table.name));
                }
                let mut table = (*table).clone();
                if let Some(column) = table.column_mut(id) {
                    column.name = to.into();
                }
                self.tx.put(Object::Table(Arc::new(table)));
            }
            Relation::View(view) => {
                let at = view.columns.iter().position(|column| *column.name == *from);
                let at = at.ok_or_else(undefined)?;
                if view.columns.iter().any(|column| *column.name == *to) {
                    return Err(duplicate_column(to, &view.name));
                }
                let mut view = (*view).clone();
                view.columns[at].name = to.into();
                self.tx.put(Object::View(Arc::new(view)));
            }
            other => return Err(wrong_kind(&other, "table")),
        }
        Ok(())
    }

    fn move_relation(&mut self, relation: &Relation, to: &str) -> Result<(), SqlError> {
        let schema = self.schema(to)?;
        self.check_user_schema(schema)?;
        let temporary = self.catalog().temporary().is_some_and(|temp| temp.schema == schema);
        if temporary || relation.is_temporary() {
            return Err(SqlError::unsupported(
                "cannot move objects into or out of temporary schemas",
            ));
        }
        if schema == relation.schema() {
            return Ok(());
        }
        self.check_free(schema, relation.name())?;
        match relation {
            Relation::Table(table) => self.move_table(table, schema)?,
            Relation::View(view) => {
                let moved = View { schema, ..(**view).clone() };
                self.tx.put(Object::View(Arc::new(moved)));
            }
            Relation::Sequence(sequence) => {
                if let Some(owner) = &sequence.owned_by {
                    let table = self.catalog().table(owner.table);
                    let table = table.map_or("", |table| &*table.name);
                    let message = "cannot move an owned sequence into another schema";
                    return Err(SqlError::unsupported(message).with_detail(format!(
                        "Sequence \"{}\" is linked to table \"{table}\".",
                        sequence.name
                    )));
                }
                let mut moved = (**sequence).clone();
                moved.schema = schema;
                self.tx.put(Object::Sequence(Arc::new(moved)));
            }
            Relation::Index(..) | Relation::System(_) => {
                return Err(names::wrong_kind(relation, "table, view or sequence"));
            }
        }
        Ok(())
    }

    /// Moves a table with its indexes and the sequences its columns own.
    fn move_table(&mut self, table: &Arc<Table>, schema: Oid) -> Result<(), SqlError> {
        let key = table.primary_key.iter().map(|key| &key.name);
        let indexes = table.indexes.iter().map(|index| &index.name);
        for name in key.chain(indexes) {
            self.check_free(schema, name)?;
        }
        let owned: Vec<_> = self.catalog().sequences_of_table(table.oid).cloned().collect();
        for sequence in owned {
            self.check_free(schema, &sequence.name)?;
            let mut moved = (*sequence).clone();
            moved.schema = schema;
            self.tx.put(Object::Sequence(Arc::new(moved)));
        }
        let moved = Table { schema, ..(**table).clone() };
        self.tx.put(Object::Table(Arc::new(moved)));
        Ok(())
    }
}
