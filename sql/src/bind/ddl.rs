//! DDL: read, checked against the catalog, staged in the block's catalog transaction.
//!
//! | module | statements |
//! |---|---|
//! | [`create_table`], [`alter_table`] | CREATE TABLE [AS], ALTER TABLE |
//! | [`create_view`] | CREATE [OR REPLACE] VIEW |
//! | [`create_index`] | CREATE INDEX, REINDEX |
//! | [`sequence`] | CREATE and ALTER SEQUENCE |
//! | [`schema`] | CREATE and ALTER SCHEMA |
//! | [`rename`] | RENAME, SET SCHEMA and OWNER TO of any relation |
//! | [`drop`] | DROP of anything, with what depends on it |
//! | `history` | the options of tables of that name and `purge_within` |
//! | `tablets` | the options of tables that say where they are cut |
//! | [`truncate`], [`comment`] | TRUNCATE, COMMENT ON |
//!
//! [`cursor`] reads the grammar; [`names`], [`expression`] and [`constraint`] are what statements share.
//!
//! A statement changes the transaction's catalog and creates the storages it needs. What has to look at
//! rows comes back as [`DdlAction`]s, in order, for the session to run before the statement is complete.
//! On any error the session rolls the transaction back to where it was before the statement.

pub mod alter_table;
pub mod comment;
pub mod constraint;
pub mod create_index;
pub mod create_table;
pub mod create_view;
pub(crate) mod cursor;
pub mod drop;
pub mod expression;
pub mod family;
mod history;
mod map_column;
pub mod names;
pub mod rename;
pub mod schema;
pub mod sequence;
pub(crate) mod tablets;
pub mod truncate;
mod unsupported;

pub use cursor::QualifiedName;

use crate::catalog::model::Table;
use crate::catalog::oid::Oid;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::Catalog;
use crate::catalog::store::CatalogStore;
use crate::catalog::stored_sql::StoredSql;
use crate::catalog::transaction::CatalogTransaction;
use crate::error::SqlError;
use crate::session::response::{CommandTag, Notice, WireType};
use async_trait::async_trait;
use cursor::Cursor;
use datafusion::sql::sqlparser::ast::{Expr, Query};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// A DDL statement.
#[derive(Clone, Debug, PartialEq)]
pub enum DdlStatement {
    /// CREATE TABLE.
    CreateTable(create_table::CreateTable),
    /// CREATE TABLE … AS.
    CreateTableAs(create_table::CreateTableAs),
    /// ALTER TABLE with changes of columns and constraints.
    AlterTable(alter_table::AlterTable),
    /// CREATE VIEW.
    CreateView(create_view::CreateView),
    /// CREATE INDEX.
    CreateIndex(create_index::CreateIndex),
    /// REINDEX.
    Reindex(create_index::Reindex),
    /// CREATE SEQUENCE.
    CreateSequence(sequence::CreateSequence),
    /// ALTER SEQUENCE.
    AlterSequence(sequence::AlterSequence),
    /// CREATE SCHEMA.
    CreateSchema(schema::CreateSchema),
    /// ALTER SCHEMA.
    AlterSchema(schema::AlterSchema),
    /// RENAME TO, SET SCHEMA, OWNER TO of a relation.
    AlterRelation(rename::AlterRelation),
    /// DROP.
    Drop(drop::Drop),
    /// TRUNCATE.
    Truncate(truncate::Truncate),
    /// COMMENT ON.
    Comment(comment::Comment),
    /// What PostgreSQL has and Terrane has not: 0A000.
    Unsupported(String),
}

/// What a DDL statement answers.
#[derive(Clone, Debug)]
pub struct DdlOutcome {
    /// The command tag. CREATE TABLE AS counts its rows later: `SELECT n`.
    pub tag: CommandTag,
    /// For the client.
    pub notices: Vec<Notice>,
    /// What is left to do, in order.
    pub actions: Vec<DdlAction>,
}

/// What needs rows. Tables are as the transaction's catalog has them when all of the statement is staged;
/// others' writes to them wait until the block ends.
#[derive(Clone, Debug)]
pub enum DdlAction {
    /// No row may have NULL in this column: else 23502, `column "c" of relation "t" contains null values`.
    ValidateNotNull {
        /// The table.
        table: Oid,
        /// The column.
        column: ColumnId,
    },
    /// The check may be false for no row: else 23514, `check constraint "c" of relation "t" is violated by
    /// some row`.
    ValidateCheck {
        /// The table.
        table: Oid,
        /// The check.
        constraint: Oid,
    },
    /// Fills the hidden table of a new unique index from all rows: 23505, `could not create unique index
    /// "i"`, where two are equal.
    BuildUnique {
        /// The table.
        table: Oid,
        /// The index.
        index: Oid,
    },
    /// Copies all rows from the table's earlier storage into its new, empty one, under its new key. A
    /// column is what `using` computes from the old row, else the old row's column, else its DEFAULT or
    /// its sequence's next value: 23502, 23505 or a cast's error where a row cannot be taken over.
    Rewrite {
        /// The table as it was, with the storage to read.
        from: Arc<Table>,
        /// The table as it is.
        to: Oid,
        /// Expressions over the columns of `from`, of the new column's type.
        using: BTreeMap<ColumnId, StoredSql>,
    },
    /// Inserts a query's rows: CREATE TABLE … AS.
    InsertQuery {
        /// The new table.
        table: Oid,
        /// The query; its columns are the table's, in order.
        query: Box<Query>,
    },
}

/// What the planner knows about SQL text, for DDL. The catalog given is the transaction's.
#[async_trait]
pub trait Analyzer: Send + Sync {
    /// Names and types of a query's columns.
    async fn query_columns(
        &self,
        query: &Query,
        catalog: &Arc<Catalog>,
    ) -> Result<Vec<(String, WireType)>, SqlError>;

    /// The type of an expression, which may refer to a relation's columns. An untyped literal is `unknown`.
    async fn expression_type(
        &self,
        expr: &Expr,
        over: Option<Over<'_>>,
        catalog: &Arc<Catalog>,
    ) -> Result<WireType, SqlError>;

    /// The value of an expression without columns, cast for assignment to a column of this type. `None`
    /// where it is volatile: not one value for all rows.
    async fn constant(
        &self,
        expr: &Expr,
        data_type: &DataType,
        catalog: &Arc<Catalog>,
    ) -> Result<Option<Value>, SqlError>;

    /// True where a value of type `from` can be assigned to a column of type `to` by itself.
    fn is_assignable(&self, from: WireType, to: &DataType) -> bool;
}

/// The one relation an expression may refer to.
#[derive(Clone, Copy, Debug)]
pub struct Over<'a> {
    /// Its name.
    pub relation: &'a str,
    /// Its columns.
    pub columns: &'a [(String, DataType)],
}

/// What a statement needs of its session.
#[derive(Clone, Copy)]
pub struct DdlContext<'a> {
    /// The stored catalog.
    pub store: &'a CatalogStore,
    /// The session's search path.
    pub path: &'a SearchPath,
    /// Names the session's temporary schema.
    pub session: u64,
    /// The planner.
    pub analyzer: &'a dyn Analyzer,
    /// True between BEGIN and COMMIT.
    pub in_block: bool,
}

/// Reads a DDL statement, if one starts here. Leaves the parser after it.
pub fn parse(parser: &mut Parser<'_>) -> Result<Option<DdlStatement>, ParserError> {
    let mut cursor = Cursor::new(parser);
    match parse_statement(&mut cursor) {
        Ok(statement) => Ok(statement),
        Err(error) => match cursor.take_unsupported() {
            Some(clause) => Ok(Some(DdlStatement::Unsupported(clause))),
            None => Err(error),
        },
    }
}

fn parse_statement(cursor: &mut Cursor<'_, '_>) -> cursor::Parsed<Option<DdlStatement>> {
    if cursor.take(&["CREATE"]) {
        parse_create(cursor).map(Some)
    } else if cursor.take(&["ALTER"]) {
        parse_alter(cursor).map(Some)
    } else if cursor.take(&["DROP"]) {
        drop::parse(cursor).map(DdlStatement::Drop).map(Some)
    } else if cursor.take(&["TRUNCATE"]) {
        truncate::parse(cursor).map(DdlStatement::Truncate).map(Some)
    } else if cursor.take(&["COMMENT", "ON"]) {
        comment::parse(cursor).map(DdlStatement::Comment).map(Some)
    } else if cursor.take(&["REINDEX"]) {
        create_index::parse_reindex(cursor).map(DdlStatement::Reindex).map(Some)
    } else {
        unsupported::parse(cursor)
    }
}

fn parse_create(cursor: &mut Cursor<'_, '_>) -> cursor::Parsed<DdlStatement> {
    let or_replace = cursor.take(&["OR", "REPLACE"]);
    let temporary = temporary(cursor);
    let unlogged = !temporary && cursor.take(&["UNLOGGED"]);
    if !or_replace && cursor.take(&["TABLE"]) {
        return create_table::parse(cursor, temporary, unlogged);
    }
    if !unlogged && cursor.take(&["VIEW"]) {
        let view = create_view::parse(cursor, or_replace, temporary)?;
        return Ok(DdlStatement::CreateView(view));
    }
    if !or_replace && cursor.take(&["SEQUENCE"]) {
        return sequence::parse_create(cursor, temporary).map(DdlStatement::CreateSequence);
    }
    if !or_replace && !temporary && !unlogged {
        if cursor.sees(&["UNIQUE"]) || cursor.sees(&["INDEX"]) {
            return create_index::parse(cursor).map(DdlStatement::CreateIndex);
        }
        if cursor.take(&["SCHEMA"]) {
            return schema::parse_create(cursor).map(DdlStatement::CreateSchema);
        }
    }
    unsupported::after(cursor, "CREATE")
}

/// TEMP, also as LOCAL or GLOBAL, which mean nothing.
fn temporary(cursor: &mut Cursor<'_, '_>) -> bool {
    if cursor.is(1, "TEMP") || cursor.is(1, "TEMPORARY") {
        let _ = cursor.take(&["LOCAL"]) || cursor.take(&["GLOBAL"]);
    }
    cursor.take(&["TEMP"]) || cursor.take(&["TEMPORARY"])
}

fn parse_alter(cursor: &mut Cursor<'_, '_>) -> cursor::Parsed<DdlStatement> {
    if cursor.take(&["TABLE"]) {
        alter_table::parse(cursor)
    } else if cursor.take(&["SEQUENCE"]) {
        sequence::parse_alter(cursor)
    } else if cursor.take(&["SCHEMA"]) {
        schema::parse_alter(cursor).map(DdlStatement::AlterSchema)
    } else if cursor.take(&["VIEW"]) {
        rename::parse(cursor, names::RelationKind::View)
    } else if cursor.take(&["INDEX"]) {
        rename::parse(cursor, names::RelationKind::Index)
    } else {
        unsupported::after(cursor, "ALTER")
    }
}

/// Runs a statement: stages its changes, creates its storages.
pub async fn execute(
    statement: DdlStatement,
    tx: &mut CatalogTransaction,
    context: DdlContext<'_>,
) -> Result<DdlOutcome, SqlError> {
    let mut ddl = Ddl { tx, context, notices: Vec::new(), actions: Vec::new() };
    let tag = match statement {
        DdlStatement::CreateTable(statement) => ddl.create_table(statement).await?,
        DdlStatement::CreateTableAs(statement) => ddl.create_table_as(statement).await?,
        DdlStatement::AlterTable(statement) => ddl.alter_table(statement).await?,
        DdlStatement::CreateView(statement) => ddl.create_view(statement).await?,
        DdlStatement::CreateIndex(statement) => ddl.create_index(statement).await?,
        DdlStatement::Reindex(statement) => ddl.reindex(statement)?,
        DdlStatement::CreateSequence(statement) => ddl.create_sequence(statement).await?,
        DdlStatement::AlterSequence(statement) => ddl.alter_sequence(statement).await?,
        DdlStatement::CreateSchema(statement) => ddl.create_schema(statement).await?,
        DdlStatement::AlterSchema(statement) => ddl.alter_schema(statement)?,
        DdlStatement::AlterRelation(statement) => ddl.alter_relation(statement).await?,
        DdlStatement::Drop(statement) => ddl.drop(statement).await?,
        DdlStatement::Truncate(statement) => ddl.truncate(statement).await?,
        DdlStatement::Comment(statement) => ddl.comment(statement).await?,
        DdlStatement::Unsupported(clause) => {
            return Err(SqlError::unsupported(format!("{clause} is not supported")));
        }
    };
    Ok(DdlOutcome { tag: CommandTag::Plain(tag), notices: ddl.notices, actions: ddl.actions })
}

/// A statement being run.
pub(crate) struct Ddl<'a> {
    pub tx: &'a mut CatalogTransaction,
    pub context: DdlContext<'a>,
    pub notices: Vec<Notice>,
    pub actions: Vec<DdlAction>,
}

impl Ddl<'_> {
    /// The catalog with everything staged so far.
    pub fn catalog(&self) -> &Arc<Catalog> {
        self.tx.catalog()
    }

    /// A new object identifier.
    pub async fn oid(&self) -> Result<Oid, SqlError> {
        self.context.store.allocate_oid().await
    }

    /// A NOTICE.
    pub fn notice(&mut self, body: SqlError) {
        self.notices.push(Notice { severity: "NOTICE", body });
    }
}
