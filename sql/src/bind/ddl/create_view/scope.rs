//! Which names an expression sees, and how each is to be written.

use crate::bind::ddl::expression::{normalized, token_ident};
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{Expr, Ident};

/// One relation of FROM.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// What columns are qualified with: the alias, or the relation's name.
    pub qualifier: Option<String>,
    /// The schema the relation may be qualified with: where it has no alias.
    pub schema: Option<String>,
    /// How the qualifier is written.
    pub written: Option<Ident>,
    /// Its columns.
    pub columns: Vec<ItemColumn>,
}

/// A column of a relation of FROM.
#[derive(Clone, Debug)]
pub(super) struct ItemColumn {
    /// Its name.
    pub name: String,
    /// How it is written after the qualifier.
    pub written: Ident,
}

impl ItemColumn {
    /// A column that is written by its name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), written: Ident::with_quote('"', name) }
    }

    /// A column that is written as a reference by identifier.
    pub fn token(name: &str, token: String) -> Self {
        Self { name: name.to_owned(), written: token_ident(token) }
    }
}

impl Item {
    /// A column of this item as an expression.
    pub fn expr(&self, column: &ItemColumn) -> Expr {
        match &self.written {
            Some(qualifier) => {
                Expr::CompoundIdentifier(vec![qualifier.clone(), column.written.clone()])
            }
            None => Expr::Identifier(column.written.clone()),
        }
    }
}

/// A column that can be referred to without a qualifier, and is part of `*`.
#[derive(Clone, Debug)]
pub(super) struct Visible {
    pub name: String,
    pub expr: Expr,
}

/// What FROM, or one side of a join, brings into scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Namespace {
    pub items: Vec<Item>,
    pub visible: Vec<Visible>,
}

impl Namespace {
    /// One relation.
    pub fn of(item: Item) -> Self {
        let visible = item
            .columns
            .iter()
            .map(|column| Visible { name: column.name.clone(), expr: item.expr(column) })
            .collect();
        Self { items: vec![item], visible }
    }

    /// Puts another one beside it: 42712 where both have a relation of the same name.
    pub fn extend(&mut self, other: Namespace) -> Result<(), SqlError> {
        for item in &other.items {
            let same = |mine: &&Item| mine.qualifier.is_some() && mine.qualifier == item.qualifier;
            if let Some(mine) = self.items.iter().find(same)
                && (mine.schema.is_none() || item.schema.is_none() || mine.schema == item.schema)
            {
                let name = item.qualifier.as_deref().unwrap_or_default();
                let message = format!("table name \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
            }
        }
        self.items.extend(other.items);
        self.visible.extend(other.visible);
        Ok(())
    }

    /// The only visible column of this name.
    pub fn only(&self, name: &str) -> Result<Option<&Visible>, SqlError> {
        let mut found = self.visible.iter().filter(|visible| visible.name == name);
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{name}\" is ambiguous"),
            )),
        }
    }

    /// The relation with this qualifier.
    pub fn item(&self, schema: Option<&str>, qualifier: &str) -> Result<Option<&Item>, SqlError> {
        let matches = |item: &&Item| {
            item.qualifier.as_deref() == Some(qualifier)
                && (schema.is_none() || item.schema.as_deref() == schema)
        };
        let mut found = self.items.iter().filter(matches);
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(SqlError::new(
                SqlState::AMBIGUOUS_ALIAS,
                format!("table reference \"{qualifier}\" is ambiguous"),
            )),
        }
    }
}

/// A namespace and those around it.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub namespace: &'a Namespace,
    pub parent: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    /// The expression an identifier stands for; `None` where nothing has the name.
    pub fn identifier(&self, ident: &Ident) -> Result<Option<Expr>, SqlError> {
        let name = normalized(ident);
        if let Some(found) = self.namespace.only(&name)? {
            return Ok(Some(found.expr.clone()));
        }
        match self.parent {
            Some(parent) => parent.identifier(ident),
            None => Ok(None),
        }
    }

    /// The expression `table.column` or `schema.table.column` stands for.
    pub fn compound(&self, parts: &[Ident]) -> Result<Expr, SqlError> {
        let (schema, table, column) = match parts {
            [table, column] => (None, normalized(table), normalized(column)),
            [schema, table, column] => {
                (Some(normalized(schema)), normalized(table), normalized(column))
            }
            _ => return Err(SqlError::unsupported("names of more than three parts")),
        };
        match self.namespace.item(schema.as_deref(), &table)? {
            Some(item) => {
                let found = item.columns.iter().find(|other| other.name == column);
                found.map(|found| item.expr(found)).ok_or_else(|| {
                    let message = format!("column {table}.{column} does not exist");
                    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
                })
            }
            None => match self.parent {
                Some(parent) => parent.compound(parts),
                None => Err(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("missing FROM-clause entry for table \"{table}\""),
                )),
            },
        }
    }

    /// True where a name is that of a relation in scope.
    pub fn is_relation(&self, name: &str) -> bool {
        self.namespace.items.iter().any(|item| item.qualifier.as_deref() == Some(name))
            || self.parent.is_some_and(|parent| parent.is_relation(name))
    }
}
