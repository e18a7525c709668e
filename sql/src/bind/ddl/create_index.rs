//! CREATE INDEX and REINDEX.
//!
//! A plain index is recorded and shown, and queries do not use it. A unique one is enforced: it is a hidden
//! keyed table (rule 44), so its columns must be of key types.

use crate::bind::ddl::constraint::{KeyPart, key_columns, parse_nulls_distinct};
use crate::bind::ddl::create_table::{INDEX_PARAMETERS, kept_options};
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::expression::{Place, normalized};
use crate::bind::ddl::family::check_expiry;
use crate::bind::ddl::names::{columns_addition, duplicate_relation, wrong_kind};
use crate::bind::ddl::{Ddl, DdlAction, QualifiedName};
use crate::catalog::model::{Index, IndexColumn, IndexKey, Table};
use crate::catalog::snapshot::Relation;
use crate::catalog::store::Fence;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::tokenizer::Token;

/// CREATE INDEX.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIndex {
    /// UNIQUE.
    pub unique: bool,
    /// CONCURRENTLY.
    pub concurrently: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name; it gets its table's schema.
    pub name: Option<QualifiedName>,
    /// The table.
    pub table: QualifiedName,
    /// USING.
    pub method: Option<String>,
    /// The keys.
    pub keys: Vec<IndexPart>,
    /// INCLUDE.
    pub include: Vec<String>,
    /// WITH (…).
    pub options: Vec<(String, Option<String>)>,
    /// TABLESPACE.
    pub tablespace: Option<String>,
    /// WHERE.
    pub predicate: Option<Expr>,
}

/// A key of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexPart {
    /// A column or an expression.
    pub expr: Expr,
    /// COLLATE.
    pub collation: Option<QualifiedName>,
    /// The operator class.
    pub operator_class: Option<String>,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST or LAST.
    pub nulls_first: Option<bool>,
}

/// REINDEX.
#[derive(Clone, Debug, PartialEq)]
pub struct Reindex {
    /// What it names, if that can be missing.
    pub relation: Option<QualifiedName>,
}

/// Access methods of PostgreSQL 15.
const METHODS: &[&str] = &["btree", "hash", "gin", "gist", "spgist", "brin"];

/// Operator classes of PostgreSQL 15 that are not their type's default: what can be worth writing.
const OPERATOR_CLASSES: &[&str] = &[
    "bpchar_pattern_ops",
    "jsonb_path_ops",
    "text_pattern_ops",
    "varchar_ops",
    "varchar_pattern_ops",
];

/// After CREATE.
pub(crate) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<CreateIndex> {
    let unique = cursor.take(&["UNIQUE"]);
    cursor.expect(&["INDEX"])?;
    let concurrently = cursor.take(&["CONCURRENTLY"]);
    let if_not_exists = cursor.if_not_exists();
    let name = match cursor.sees(&["ON"]) {
        true => None,
        false => Some(cursor.name()?),
    };
    cursor.expect(&["ON"])?;
    cursor.take(&["ONLY"]);
    let table = cursor.name()?;
    let method = match cursor.take(&["USING"]) {
        true => Some(cursor.ident()?),
        false => None,
    };
    let keys = cursor.parenthesized(parse_part)?;
    let include = match cursor.take(&["INCLUDE"]) {
        true => cursor.parenthesized(Cursor::ident)?,
        false => Vec::new(),
    };
    parse_nulls_distinct(cursor)?;
    let options = match cursor.take(&["WITH"]) {
        true => cursor.options()?,
        false => Vec::new(),
    };
    let tablespace = match cursor.take(&["TABLESPACE"]) {
        true => Some(cursor.ident()?),
        false => None,
    };
    let predicate = match cursor.take(&["WHERE"]) {
        true => Some(cursor.expr()?),
        false => None,
    };
    Ok(CreateIndex {
        unique,
        concurrently,
        if_not_exists,
        name,
        table,
        method,
        keys,
        include,
        options,
        tablespace,
        predicate,
    })
}

fn parse_part(cursor: &mut Cursor<'_, '_>) -> Parsed<IndexPart> {
    // `a COLLATE "C" text_pattern_ops DESC`: sqlparser would take COLLATE into the expression.
    let plain = !cursor.is_token(&Token::LParen) && !cursor.nth_is_token(1, &Token::LParen);
    let expr = match plain {
        true => Expr::Identifier(cursor.identifier()?),
        false if cursor.is_token(&Token::LParen) => cursor.parenthesized_expr()?,
        false => cursor.function()?,
    };
    let collation = match cursor.take(&["COLLATE"]) {
        true => Some(cursor.name()?),
        false => None,
    };
    let ends = cursor.is_token(&Token::Comma)
        || cursor.is_token(&Token::RParen)
        || ["ASC", "DESC", "NULLS"].iter().any(|word| cursor.sees(&[word]));
    let operator_class = match ends {
        true => None,
        false => Some(cursor.name()?.name),
    };
    let descending = cursor.take(&["DESC"]);
    if !descending {
        cursor.take(&["ASC"]);
    }
    let nulls_first = match cursor.take(&["NULLS"]) {
        true => Some(cursor.one_of(&["FIRST", "LAST"])? == 0),
        false => None,
    };
    Ok(IndexPart { expr, collation, operator_class, descending, nulls_first })
}

/// After REINDEX.
pub(crate) fn parse_reindex(cursor: &mut Cursor<'_, '_>) -> Parsed<Reindex> {
    if cursor.is_token(&Token::LParen) {
        cursor.options()?;
    }
    let kind = cursor.one_of(&["INDEX", "TABLE", "SCHEMA", "DATABASE", "SYSTEM"])?;
    cursor.take(&["CONCURRENTLY"]);
    if cursor.at_end() && kind >= 3 {
        return Ok(Reindex { relation: None });
    }
    let name = cursor.name()?;
    Ok(Reindex { relation: (kind < 2).then_some(name) })
}

impl Ddl<'_> {
    pub async fn create_index(&mut self, statement: CreateIndex) -> Result<&'static str, SqlError> {
        let tag = "CREATE INDEX";
        if statement.concurrently && self.context.in_block {
            let message = "CREATE INDEX CONCURRENTLY cannot run inside a transaction block";
            return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        }
        let table = match self.relation(&statement.table)? {
            Relation::Table(table) => table,
            other => {
                let message = format!("cannot create index on relation \"{}\"", other.name());
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
            }
        };
        self.check_user_schema(table.schema)?;
        if let Some(name) = &statement.name
            && self.catalog().relation_in(table.schema, &name.name).is_some()
        {
            let error = duplicate_relation(&name.name);
            return match statement.if_not_exists {
                true => self.skipping(error).map(|()| tag),
                false => Err(error),
            };
        }
        let mut table = (*table).clone();
        let unique = statement.unique;
        let index = self.new_index(&table, statement).await?;
        let (index_oid, name) = (index.oid, index.name.clone());
        if unique {
            self.context.store.create_index_storage(self.tx, &table, &index).await?;
            self.actions.push(DdlAction::BuildUnique { table: table.oid, index: index_oid });
        } else {
            let message = format!("index \"{name}\" is recorded; queries do not use it yet");
            self.notice(SqlError::new(SqlState("00000"), message));
        }
        table.indexes.push(index);
        table.indexes.sort_by_key(|index| index.oid);
        check_expiry(&table)?;
        let fence = if unique { Fence::Closed } else { Fence::Open };
        self.context.store.put_table(self.tx, table, fence).await?;
        Ok(tag)
    }

    async fn new_index(&mut self, table: &Table, made: CreateIndex) -> Result<Index, SqlError> {
        let CreateIndex {
            unique,
            concurrently: _,
            if_not_exists: _,
            name,
            table: _,
            method,
            keys,
            include,
            options,
            tablespace,
            predicate,
        } = made;
        let method = self.index_method(method, unique)?;
        if let Some(tablespace) = tablespace {
            self.check_tablespace(&tablespace)?;
        }
        let options = kept_options(self, options, |name| INDEX_PARAMETERS.contains(&name))?;
        let addition = columns_addition(
            keys.iter()
                .map(|key| part_name(&key.expr))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str),
        );
        if unique {
            check_unique_keys(table, &keys, predicate.is_some())?;
        }
        let mut made = Vec::new();
        for key in keys {
            made.push(self.index_key(table, key).await?);
        }
        let mut included = Vec::new();
        for name in include {
            let column = table.column_by_name(&name).ok_or_else(|| undefined(&name))?;
            included.push(column.id);
        }
        let predicate = match predicate {
            Some(expr) => Some(self.condition(&expr, table, Place::IndexPredicate).await?),
            None => None,
        };
        let name = match name {
            Some(name) => name.name,
            None => self.free_index_name(table, Some(&addition), "idx"),
        };
        Ok(Index {
            oid: self.oid().await?,
            name: name.into(),
            method,
            keys: made,
            include: included,
            predicate,
            unique: match unique {
                true => Some(self.context.store.allocate_storage().await?),
                false => None,
            },
            constraint: None,
            options,
            comment: None,
            constraint_comment: None,
        })
    }

    fn index_method(
        &mut self,
        method: Option<String>,
        unique: bool,
    ) -> Result<Option<String>, SqlError> {
        let Some(method) = method.filter(|method| method != "btree") else { return Ok(None) };
        if !METHODS.contains(&method.as_str()) {
            let message = format!("access method \"{method}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        if unique {
            let message = format!("access method \"{method}\" does not support unique indexes");
            return Err(SqlError::unsupported(message));
        }
        Ok(Some(method))
    }

    async fn index_key(&self, table: &Table, part: IndexPart) -> Result<IndexKey, SqlError> {
        let IndexPart { expr, collation, operator_class, descending, nulls_first } = part;
        let column = match &expr {
            Expr::Identifier(ident) => {
                let name = normalized(ident);
                let column = table.column_by_name(&name).ok_or_else(|| undefined(&name))?;
                IndexColumn::Column(column.id)
            }
            expr => {
                let (sql, _) = self.table_expression(expr, table, Place::IndexKey).await?;
                IndexColumn::Expression(sql)
            }
        };
        let collation = match collation.map(|name| name.name) {
            Some(name) if name == "default" => None,
            Some(name) if name == "C" || name == "POSIX" => Some(name),
            Some(name) => {
                let message = format!("collation \"{name}\" is not supported");
                return Err(SqlError::unsupported(message));
            }
            None => None,
        };
        if let Some(class) = operator_class.as_ref()
            && !OPERATOR_CLASSES.contains(&class.as_str())
            && !class.ends_with("_ops")
        {
            let message =
                format!("operator class \"{class}\" does not exist for access method \"btree\"");
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        Ok(IndexKey {
            column,
            descending,
            nulls_first: nulls_first.unwrap_or(descending),
            operator_class: operator_class
                .filter(|class| OPERATOR_CLASSES.contains(&class.as_str())),
            collation,
        })
    }

    pub fn reindex(&mut self, statement: Reindex) -> Result<&'static str, SqlError> {
        if let Some(name) = statement.relation {
            let relation = self.relation(&name)?;
            if matches!(relation, Relation::View(_) | Relation::Sequence(_)) {
                return Err(wrong_kind(&relation, "table or index"));
            }
        }
        self.ignored("REINDEX", "indexes are always complete");
        Ok("REINDEX")
    }
}

fn undefined(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
}

/// What a key adds to a made-up name: the column, the function, or `expr`.
fn part_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => normalized(ident),
        Expr::Function(function) => {
            let last = function.name.0.last().and_then(|part| part.as_ident());
            last.map_or_else(|| "expr".to_owned(), normalized)
        }
        _ => "expr".to_owned(),
    }
}

/// What a hidden keyed table cannot be made of.
fn check_unique_keys(table: &Table, keys: &[IndexPart], partial: bool) -> Result<(), SqlError> {
    if partial {
        return Err(SqlError::unsupported("unique indexes with WHERE are not supported"));
    }
    let mut parts = Vec::new();
    for key in keys {
        let Expr::Identifier(ident) = &key.expr else {
            return Err(SqlError::unsupported("unique indexes on expressions are not supported"));
        };
        let column = normalized(ident);
        if table.column_by_name(&column).is_none() {
            return Err(undefined(&column));
        }
        parts.push(KeyPart { column, descending: key.descending });
    }
    key_columns(table, &parts, "unique index").map(|_| ())
}
