//! Constraints of tables and columns: their grammar, and how they become part of a table.

use crate::bind::ddl::Ddl;
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::expression::Place;
use crate::bind::ddl::names::{columns_addition, free_name, has_constraint};
use crate::catalog::model::{CheckConstraint, Index, IndexColumn, IndexKey, PrimaryKey, Table};
use crate::catalog::oid::Oid;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::tokenizer::Token;
use terrane_client::ids::ColumnId;
use terrane_client::schema::KeyColumn;

/// Columns of a key at most: PostgreSQL's INDEX_MAX_KEYS.
const KEY_COLUMNS_MAX: usize = 32;

/// A constraint of a table, or of a column written as one of its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name, where one is given.
    pub name: Option<String>,
    /// What it demands.
    pub kind: ConstraintKind,
}

/// What a constraint demands.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintKind {
    /// CHECK.
    Check(Expr),
    /// UNIQUE.
    Unique(Vec<KeyPart>),
    /// PRIMARY KEY.
    PrimaryKey(Vec<KeyPart>),
}

/// A column of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyPart {
    /// Its name.
    pub column: String,
    /// DESC, which PostgreSQL has for indexes only.
    pub descending: bool,
}

/// True where a constraint of the table starts here, rather than a column.
pub(crate) fn starts(cursor: &Cursor<'_, '_>) -> bool {
    let words = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "EXCLUDE"];
    words.iter().any(|word| cursor.is(0, word))
}

/// A constraint of a table.
pub(crate) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<Constraint> {
    let name = parse_name(cursor)?;
    if cursor.take(&["CHECK"]) {
        let kind = ConstraintKind::Check(cursor.parenthesized_expr()?);
        parse_check_attributes(cursor)?;
        return Ok(Constraint { name, kind });
    }
    let kind = if cursor.take(&["PRIMARY", "KEY"]) {
        parse_using_index(cursor)?;
        ConstraintKind::PrimaryKey(cursor.parenthesized(parse_key_part)?)
    } else if cursor.take(&["UNIQUE"]) {
        parse_using_index(cursor)?;
        parse_nulls_distinct(cursor)?;
        ConstraintKind::Unique(cursor.parenthesized(parse_key_part)?)
    } else if cursor.sees(&["FOREIGN", "KEY"]) {
        return cursor.unsupported("FOREIGN KEY");
    } else if cursor.sees(&["EXCLUDE"]) {
        return cursor.unsupported("EXCLUDE");
    } else {
        return cursor.fail("a constraint");
    };
    parse_index_attributes(cursor)?;
    parse_attributes(cursor)?;
    Ok(Constraint { name, kind })
}

/// CONSTRAINT and a name, where they come next.
pub(crate) fn parse_name(cursor: &mut Cursor<'_, '_>) -> Parsed<Option<String>> {
    match cursor.take(&["CONSTRAINT"]) {
        true => cursor.ident().map(Some),
        false => Ok(None),
    }
}

fn parse_using_index(cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
    match cursor.sees(&["USING", "INDEX"]) && !cursor.is(2, "TABLESPACE") {
        true => cursor.unsupported("USING INDEX"),
        false => Ok(()),
    }
}

/// NULLS NOT DISTINCT, which is not built; NULLS DISTINCT is the default.
pub(crate) fn parse_nulls_distinct(cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
    if cursor.sees(&["NULLS", "NOT", "DISTINCT"]) {
        return cursor.unsupported("NULLS NOT DISTINCT");
    }
    cursor.take(&["NULLS", "DISTINCT"]);
    Ok(())
}

fn parse_key_part(cursor: &mut Cursor<'_, '_>) -> Parsed<KeyPart> {
    let column = cursor.ident()?;
    let descending = cursor.take(&["DESC"]);
    if !descending {
        cursor.take(&["ASC"]);
    }
    Ok(KeyPart { column, descending })
}

/// What may follow a key: INCLUDE, WITH, USING INDEX TABLESPACE.
pub(crate) fn parse_index_attributes(cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
    if cursor.sees(&["INCLUDE"]) {
        return cursor.unsupported("INCLUDE of a constraint");
    }
    if cursor.is(0, "WITH") && cursor.nth_is_token(1, &Token::LParen) {
        cursor.take(&["WITH"]);
        cursor.options()?;
    }
    if cursor.take(&["USING", "INDEX", "TABLESPACE"]) {
        cursor.ident()?;
    }
    Ok(())
}

/// What may follow any constraint: [NOT] DEFERRABLE, INITIALLY.
pub(crate) fn parse_attributes(cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
    loop {
        if cursor.sees(&["DEFERRABLE"]) || cursor.sees(&["INITIALLY", "DEFERRED"]) {
            return cursor.unsupported("DEFERRABLE");
        }
        let harmless =
            cursor.take(&["NOT", "DEFERRABLE"]) || cursor.take(&["INITIALLY", "IMMEDIATE"]);
        if !harmless {
            return Ok(());
        }
    }
}

/// What may follow CHECK.
pub(crate) fn parse_check_attributes(cursor: &mut Cursor<'_, '_>) -> Parsed<()> {
    if cursor.sees(&["NO", "INHERIT"]) {
        return cursor.unsupported("NO INHERIT");
    }
    parse_attributes(cursor)
}

impl Ddl<'_> {
    /// Adds CHECK to a table.
    pub async fn add_check(
        &mut self,
        table: &mut Table,
        name: Option<String>,
        expr: &Expr,
    ) -> Result<Oid, SqlError> {
        let sql = self.condition(expr, table, Place::Check).await?;
        let name = match name {
            Some(name) => {
                check_constraint_free(table, &name)?;
                name
            }
            None => {
                let mut used = sql.references();
                used.retain(|reference| reference.column.is_some());
                let only = match used.as_slice() {
                    [one] => one.column.and_then(|id| table.column(id)),
                    _ => None,
                };
                let column = only.map(|column| column.name.clone());
                self.free_constraint_name(table, column.as_deref(), "check")
            }
        };
        let oid = self.oid().await?;
        let place = table.checks.partition_point(|check| *check.name < *name);
        let check = CheckConstraint { oid, name: name.into(), sql, comment: None };
        table.checks.insert(place, check);
        Ok(oid)
    }

    fn free_constraint_name(&self, table: &Table, column: Option<&str>, label: &str) -> String {
        let catalog = self.catalog();
        free_name(&table.name, column, label, |made| {
            table.has_constraint(made) || has_constraint(catalog, table.schema, made)
        })
    }

    /// A made-up name for an index: free among the schema's relations and this table's own indexes.
    pub fn free_index_name(&self, table: &Table, columns: Option<&str>, label: &str) -> String {
        let catalog = self.catalog();
        free_name(&table.name, columns, label, |made| {
            catalog.relation_in(table.schema, made).is_some() || has_relation(table, made)
        })
    }

    /// Checks the name a constraint with an index is given.
    fn check_index_name(&self, table: &Table, name: &str) -> Result<(), SqlError> {
        if has_relation(table, name) {
            return Err(super::names::duplicate_relation(name));
        }
        self.check_free(table.schema, name)?;
        check_constraint_free(table, name)
    }

    /// Makes PRIMARY KEY part of a table whose storage is still to be made.
    pub async fn set_primary_key(
        &mut self,
        table: &mut Table,
        name: Option<String>,
        parts: &[KeyPart],
    ) -> Result<(), SqlError> {
        if table.primary_key.is_some() {
            let message =
                format!("multiple primary keys for table \"{}\" are not allowed", table.name);
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let columns = key_columns(table, parts, "primary key")?;
        let name = match name {
            Some(name) => {
                self.check_index_name(table, &name)?;
                name
            }
            None => self.free_index_name(table, None, "pkey"),
        };
        for key in &columns {
            if let Some(column) = table.column_mut(key.column) {
                column.not_null = true;
            }
        }
        table.primary_key = Some(PrimaryKey {
            oid: self.oid().await?,
            name: name.into(),
            index_oid: self.oid().await?,
            columns,
            comment: None,
            index_comment: None,
        });
        Ok(())
    }

    /// Makes UNIQUE part of a table; the index's hidden table is still to be made.
    pub async fn add_unique(
        &mut self,
        table: &mut Table,
        name: Option<String>,
        parts: &[KeyPart],
    ) -> Result<Oid, SqlError> {
        let columns = key_columns(table, parts, "unique constraint")?;
        let name = match name {
            Some(name) => {
                self.check_index_name(table, &name)?;
                name
            }
            None => {
                let names = columns_addition(parts.iter().map(|part| part.column.as_str()));
                self.free_index_name(table, Some(&names), "key")
            }
        };
        let keys = columns.iter().map(|key| IndexKey {
            column: IndexColumn::Column(key.column),
            descending: key.descending,
            nulls_first: key.descending,
            operator_class: None,
            collation: None,
        });
        let index = Index {
            oid: self.oid().await?,
            name: name.into(),
            method: None,
            options: Vec::new(),
            keys: keys.collect(),
            include: Vec::new(),
            predicate: None,
            unique: Some(self.context.store.allocate_storage().await?),
            constraint: Some(self.oid().await?),
            comment: None,
            constraint_comment: None,
        };
        let oid = index.oid;
        table.indexes.push(index);
        Ok(oid)
    }
}

fn has_relation(table: &Table, name: &str) -> bool {
    *table.name == *name
        || table.primary_key.as_ref().is_some_and(|key| *key.name == *name)
        || table.indexes.iter().any(|index| *index.name == *name)
}

/// 42710 where a table has a constraint of this name.
pub(crate) fn check_constraint_free(table: &Table, name: &str) -> Result<(), SqlError> {
    if !table.has_constraint(name) {
        return Ok(());
    }
    let message = format!("constraint \"{name}\" for relation \"{}\" already exists", table.name);
    Err(SqlError::new(SqlState::DUPLICATE_OBJECT, message))
}

/// The columns of a key: each there, once, of a type that has an order in keys (rule 38).
pub(crate) fn key_columns(
    table: &Table,
    parts: &[KeyPart],
    what: &str,
) -> Result<Vec<KeyColumn>, SqlError> {
    if parts.len() > KEY_COLUMNS_MAX {
        let message = format!("cannot use more than {KEY_COLUMNS_MAX} columns in an index");
        return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
    }
    let mut columns: Vec<KeyColumn> = Vec::new();
    for part in parts {
        let column = table.column_by_name(&part.column).ok_or_else(|| {
            let message = format!("column \"{}\" named in key does not exist", part.column);
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        })?;
        let id: ColumnId = column.id;
        if columns.iter().any(|key| key.column == id) {
            let message = format!("column \"{}\" appears twice in {what}", part.column);
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        if !column.data_type.is_key_type() {
            let message = format!(
                "column \"{}\" of type {} in a {what} is not supported",
                part.column, column.data_type
            );
            return Err(SqlError::unsupported(message));
        }
        columns.push(KeyColumn { column: id, descending: part.descending });
    }
    Ok(columns)
}
