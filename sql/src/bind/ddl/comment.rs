//! COMMENT ON.

use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::names::{RelationKind, undefined_column, wrong_kind};
use crate::bind::ddl::{Ddl, QualifiedName};
use crate::catalog::model::{Schema, Table, View};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::error::{SqlError, SqlState};
use std::sync::Arc;

/// COMMENT ON.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// On what.
    pub on: Commented,
    /// The text; `None` for NULL and for an empty one.
    pub text: Option<String>,
}

/// What a comment is on.
#[derive(Clone, Debug, PartialEq)]
pub enum Commented {
    /// A relation.
    Relation(RelationKind, QualifiedName),
    /// A column: the relation in front of its name.
    Column(QualifiedName),
    /// A constraint of a table.
    Constraint(String, QualifiedName),
    /// A schema.
    Schema(String),
    /// A role.
    Role(String),
    /// A database.
    Database(String),
}

pub(crate) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<Comment> {
    let relations = [
        ("TABLE", RelationKind::Table),
        ("VIEW", RelationKind::View),
        ("SEQUENCE", RelationKind::Sequence),
        ("INDEX", RelationKind::Index),
    ];
    let on = if let Some((_, kind)) = relations.into_iter().find(|(word, _)| cursor.take(&[word])) {
        Commented::Relation(kind, cursor.name()?)
    } else if cursor.take(&["COLUMN"]) {
        Commented::Column(cursor.name()?)
    } else if cursor.take(&["CONSTRAINT"]) {
        let name = cursor.ident()?;
        cursor.expect(&["ON"])?;
        if cursor.sees(&["DOMAIN"]) {
            return cursor.unsupported("COMMENT ON CONSTRAINT … ON DOMAIN");
        }
        Commented::Constraint(name, cursor.name()?)
    } else if cursor.take(&["SCHEMA"]) {
        Commented::Schema(cursor.ident()?)
    } else if cursor.take(&["ROLE"]) {
        Commented::Role(cursor.ident()?)
    } else if cursor.take(&["DATABASE"]) {
        Commented::Database(cursor.ident()?)
    } else {
        return super::unsupported::after(cursor, "COMMENT ON");
    };
    cursor.expect(&["IS"])?;
    let text = match cursor.take(&["NULL"]) {
        true => None,
        false => Some(cursor.string()?).filter(|text| !text.is_empty()),
    };
    Ok(Comment { on, text })
}

impl Ddl<'_> {
    pub async fn comment(&mut self, statement: Comment) -> Result<&'static str, SqlError> {
        let Comment { on, text } = statement;
        match on {
            Commented::Relation(kind, name) => self.comment_on_relation(kind, &name, text)?,
            Commented::Column(name) => self.comment_on_column(&name, text)?,
            Commented::Constraint(name, table) => {
                self.comment_on_constraint(&name, &table, text)?;
            }
            Commented::Schema(name) => {
                let oid = self.schema(&name)?;
                self.check_user_schema(oid)?;
                if let Some(schema) = self.catalog().schema(oid).cloned() {
                    let changed = Schema { comment: text, ..(*schema).clone() };
                    self.tx.put(Object::Schema(Arc::new(changed)));
                }
            }
            Commented::Role(name) => {
                let oid = self.role(Some(&name))?;
                if let Some(role) = self.catalog().role(oid).cloned() {
                    let mut role = (*role).clone();
                    role.comment = text;
                    self.tx.put(Object::Role(Arc::new(role)));
                }
            }
            Commented::Database(name) => self.comment_on_database(&name, text)?,
        }
        Ok("COMMENT")
    }

    fn comment_on_database(&mut self, name: &str, text: Option<String>) -> Result<(), SqlError> {
        let database = self.catalog().database().filter(|own| *own.name == *name).cloned();
        let Some(database) = database else {
            let message = format!("database \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message));
        };
        let mut database = (*database).clone();
        database.comment = text;
        self.tx.put(Object::Database(Arc::new(database)));
        Ok(())
    }

    fn comment_on_relation(
        &mut self,
        kind: RelationKind,
        name: &QualifiedName,
        text: Option<String>,
    ) -> Result<(), SqlError> {
        let relation = self.relation(name)?;
        if RelationKind::of(&relation) != kind {
            return Err(wrong_kind(&relation, kind.name()));
        }
        self.check_user_schema(relation.schema())?;
        let object = match relation {
            Relation::Table(table) => {
                Object::Table(Arc::new(Table { comment: text, ..(*table).clone() }))
            }
            Relation::View(view) => {
                Object::View(Arc::new(View { comment: text, ..(*view).clone() }))
            }
            Relation::Sequence(sequence) => {
                let mut sequence = (*sequence).clone();
                sequence.comment = text;
                Object::Sequence(Arc::new(sequence))
            }
            Relation::Index(oid, table) => {
                Object::Table(Arc::new(with_index_comment(&table, oid, text)))
            }
            Relation::System(_) => return Err(wrong_kind(&relation, kind.name())),
        };
        self.tx.put(object);
        Ok(())
    }

    fn comment_on_column(
        &mut self,
        name: &QualifiedName,
        text: Option<String>,
    ) -> Result<(), SqlError> {
        let Some(relation) = &name.schema else {
            return Err(SqlError::syntax("column name must be qualified"));
        };
        let relation =
            QualifiedName { database: None, schema: name.database.clone(), name: relation.clone() };
        let relation = self.relation(&relation)?;
        self.check_user_schema(relation.schema())?;
        let undefined = || undefined_column(&name.name, relation.name());
        match &relation {
            Relation::Table(table) => {
                let id = table.column_by_name(&name.name).ok_or_else(undefined)?.id;
                let mut table = (**table).clone();
                if let Some(column) = table.column_mut(id) {
                    column.comment = text;
                }
                self.tx.put(Object::Table(Arc::new(table)));
            }
            Relation::View(view) => {
                let mut view = (**view).clone();
                let column = view.columns.iter_mut().find(|column| *column.name == *name.name);
                column.ok_or_else(undefined)?.comment = text;
                self.tx.put(Object::View(Arc::new(view)));
            }
            other => return Err(wrong_kind(other, "table or view")),
        }
        Ok(())
    }

    fn comment_on_constraint(
        &mut self,
        name: &str,
        table: &QualifiedName,
        text: Option<String>,
    ) -> Result<(), SqlError> {
        let table = self.table(table)?;
        self.check_user_schema(table.schema)?;
        if !table.has_constraint(name) {
            let message =
                format!("constraint \"{name}\" for table \"{}\" does not exist", table.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        let mut table = (*table).clone();
        if let Some(key) = table.primary_key.as_mut().filter(|key| *key.name == *name) {
            key.comment = text;
        } else if let Some(check) = table.checks.iter_mut().find(|check| *check.name == *name) {
            check.comment = text;
        } else if let Some(index) = table.indexes.iter_mut().find(|index| *index.name == *name) {
            index.constraint_comment = text;
        }
        self.tx.put(Object::Table(Arc::new(table)));
        Ok(())
    }
}

fn with_index_comment(table: &Table, oid: Oid, text: Option<String>) -> Table {
    let mut table = table.clone();
    if let Some(key) = table.primary_key.as_mut().filter(|key| key.index_oid == oid) {
        key.index_comment = text;
    } else if let Some(index) = table.indexes.iter_mut().find(|index| index.oid == oid) {
        index.comment = text;
    }
    table
}
