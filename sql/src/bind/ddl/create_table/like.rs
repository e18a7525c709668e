//! CREATE TABLE … (LIKE other INCLUDING …).

use crate::bind::ddl::constraint::{Constraint, ConstraintKind, KeyPart};
use crate::bind::ddl::create_table::LikeOption;
use crate::bind::ddl::create_table::column::push_column;
use crate::bind::ddl::names::wrong_kind;
use crate::bind::ddl::{Ddl, QualifiedName};
use crate::catalog::model::{ColumnDefault, Index, IndexColumn, Table};
use crate::catalog::snapshot::Relation;
use crate::catalog::stored_sql::StoredSql;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use std::sync::Arc;
use terrane_client::ids::ColumnId;

impl Ddl<'_> {
    /// Adds the columns of another relation, and what the options ask for.
    pub(super) async fn copy_table(
        &mut self,
        table: &mut Table,
        source: &QualifiedName,
        options: &[LikeOption],
        constraints: &mut Vec<Constraint>,
    ) -> Result<(), SqlError> {
        let includes = |part: &str| {
            let named = |option: &&LikeOption| option.part == part || option.part == "all";
            options.iter().rev().find(named).is_some_and(|option| option.including)
        };
        let source = match self.relation(source)? {
            Relation::Table(source) => source,
            Relation::View(view) => {
                for column in &view.columns {
                    push_column(table, &column.name, column.data_type.clone())?;
                }
                return Ok(());
            }
            other => return Err(wrong_kind(&other, "table or view")),
        };
        for column in source.live_columns() {
            let id = push_column(table, &column.name, column.data_type.clone())?;
            let default = match &column.default {
                Some(default) if includes("defaults") => {
                    Some(ColumnDefault { oid: self.oid().await?, sql: default.sql.clone() })
                }
                _ => None,
            };
            let mut identity = None;
            if column.identity.is_some() && includes("identity") {
                let data_type = column.data_type.clone();
                self.create_column_sequence(table, id, data_type, &[], true).await?;
                identity = column.identity;
            }
            let comment = column.comment.clone().filter(|_| includes("comments"));
            if let Some(copy) = table.column_mut(id) {
                (copy.not_null, copy.default, copy.identity) = (column.not_null, default, identity);
                copy.precision = column.precision;
                (copy.collation, copy.comment) = (column.collation.clone(), comment);
            }
        }
        if includes("constraints") {
            for check in &source.checks {
                let kind = ConstraintKind::Check(self.as_written(&check.sql)?);
                constraints.push(Constraint { name: Some(check.name.to_string()), kind });
            }
        }
        if includes("indexes") {
            self.copy_indexes(table, &source, constraints).await?;
        }
        Ok(())
    }

    /// The primary key and UNIQUE become constraints of the new table; plain indexes are recorded again.
    async fn copy_indexes(
        &mut self,
        table: &mut Table,
        source: &Arc<Table>,
        constraints: &mut Vec<Constraint>,
    ) -> Result<(), SqlError> {
        let part = |column: ColumnId, descending| {
            let column = source.column(column)?.name.to_string();
            Some(KeyPart { column, descending })
        };
        if let Some(key) = &source.primary_key {
            let parts = key.columns.iter().filter_map(|key| part(key.column, key.descending));
            let kind = ConstraintKind::PrimaryKey(parts.collect());
            constraints.push(Constraint { name: None, kind });
        }
        for index in &source.indexes {
            if index.unique.is_some() {
                let parts = index.keys.iter().filter_map(|key| match key.column {
                    IndexColumn::Column(column) => part(column, key.descending),
                    IndexColumn::Expression(_) => None,
                });
                let kind = ConstraintKind::Unique(parts.collect());
                constraints.push(Constraint { name: None, kind });
            } else {
                let copy = self.copy_index(table, source, index).await?;
                table.indexes.push(copy);
            }
        }
        Ok(())
    }

    async fn copy_index(
        &mut self,
        table: &Table,
        source: &Table,
        index: &Index,
    ) -> Result<Index, SqlError> {
        let same = |id: ColumnId| {
            let name = source.column(id).map(|column| column.name.clone())?;
            table.column_by_name(&name).map(|column| column.id)
        };
        let gone = || SqlError::internal("LIKE copied an index without its columns");
        let mut copy = index.clone();
        copy.oid = self.oid().await?;
        for key in &mut copy.keys {
            let column = match &key.column {
                IndexColumn::Column(id) => IndexColumn::Column(same(*id).ok_or_else(gone)?),
                IndexColumn::Expression(sql) => {
                    IndexColumn::Expression(self.moved_sql(sql, table).await?)
                }
            };
            key.column = column;
        }
        copy.include = index.include.iter().filter_map(|id| same(*id)).collect();
        if let Some(predicate) = &index.predicate {
            copy.predicate = Some(self.moved_sql(predicate, table).await?);
        }
        let names: Vec<_> = index
            .keys
            .iter()
            .map(|key| match &key.column {
                IndexColumn::Column(id) => {
                    source.column(*id).map_or_else(String::new, |column| column.name.to_string())
                }
                IndexColumn::Expression(_) => "expr".to_owned(),
            })
            .collect();
        let addition = super::super::names::columns_addition(names.iter().map(String::as_str));
        copy.name = self.free_index_name(table, Some(&addition), "idx").into();
        Ok(copy)
    }

    /// An expression over another table's columns as one over this table's.
    async fn moved_sql(&self, sql: &StoredSql, table: &Table) -> Result<StoredSql, SqlError> {
        use crate::bind::ddl::expression::Place;
        let expr = self.as_written(sql)?;
        Ok(self.table_expression(&expr, table, Place::IndexKey).await?.0)
    }

    /// Stored SQL as an expression with today's names.
    fn as_written(&self, sql: &StoredSql) -> Result<Expr, SqlError> {
        let text = sql
            .render(&self.catalog().qualified_names())
            .map_err(|error| SqlError::internal(error.to_string()))?;
        Parser::new(&PostgreSqlDialect {})
            .try_with_sql(&text)
            .and_then(|mut parser| parser.parse_expr())
            .map_err(|error| SqlError::internal(format!("stored expression: {error}")))
    }
}
