//! table_constraints, key_column_usage, constraint_column_usage, check_constraints. As in PostgreSQL, NOT
//! NULL columns are CHECK constraints here, under a made-up name.

use crate::catalog::deparse::Deparser;
use crate::catalog::model::{CheckConstraint, Index, IndexColumn, Table};
use crate::catalog::objects::Object;
use crate::catalog::quote::quote_ident;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;
use std::sync::Arc;
use terrane_client::ids::ColumnId;

/// One constraint.
enum Constraint<'a> {
    Key(&'a str, Vec<ColumnId>),
    Unique(&'a str, Vec<ColumnId>),
    Check(&'a CheckConstraint),
    NotNull(String, ColumnId),
}

impl Constraint<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Key(name, _) | Self::Unique(name, _) => name,
            Self::Check(check) => &check.name,
            Self::NotNull(name, _) => name,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Key(..) => "PRIMARY KEY",
            Self::Unique(..) => "UNIQUE",
            Self::Check(_) | Self::NotNull(..) => "CHECK",
        }
    }
}

fn unique_columns(index: &Index) -> Vec<ColumnId> {
    let columns = index.keys.iter().filter_map(|key| match key.column {
        IndexColumn::Column(id) => Some(id),
        IndexColumn::Expression(_) => None,
    });
    columns.collect()
}

fn constraints_of(table: &Table) -> Vec<Constraint<'_>> {
    let mut found = Vec::new();
    if let Some(key) = &table.primary_key {
        let columns = key.columns.iter().map(|part| part.column).collect();
        found.push(Constraint::Key(&key.name, columns));
    }
    for index in table.indexes.iter().filter(|index| index.constraint.is_some()) {
        found.push(Constraint::Unique(&index.name, unique_columns(index)));
    }
    found.extend(table.checks.iter().map(Constraint::Check));
    for column in table.live_columns().filter(|column| column.not_null) {
        let name = format!("{}_{}_{}_not_null", table.schema, table.oid, column.id.0);
        found.push(Constraint::NotNull(name, column.id));
    }
    found
}

fn tables(facts: &Facts) -> impl Iterator<Item = &Arc<Table>> {
    facts.catalog.objects().filter_map(|object| match object {
        Object::Table(table) => Some(table),
        _ => None,
    })
}

/// Catalog, schema and name, as every one of these relations begins with.
fn named<'a>(table: &Table, name: &'a str, facts: &'a Facts) -> [Cell<'a>; 3] {
    [facts.database.as_str().into(), facts.schema_name(table.schema).into(), name.into()]
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
        "table_catalog",
        "table_schema",
        "table_name",
        "constraint_type",
        "is_deferrable",
        "initially_deferred",
        "enforced",
        "nulls_distinct",
    ];
    let mut rows = Rows::new(relation, &columns);
    for table in tables(facts) {
        for constraint in constraints_of(table) {
            let mut cells = named(table, constraint.name(), facts).to_vec();
            cells.extend(named(table, &table.name, facts));
            let nulls = (constraint.kind() == "UNIQUE").then_some("YES");
            cells.extend([constraint.kind().into(), "NO".into(), "NO".into(), "YES".into()]);
            cells.push(nulls.into());
            rows.push(&cells)?;
        }
    }
    rows.finish()
}

pub(super) fn key_columns(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
        "table_catalog",
        "table_schema",
        "table_name",
        "column_name",
        "ordinal_position",
    ];
    let mut rows = Rows::new(relation, &columns);
    for table in tables(facts) {
        for constraint in constraints_of(table) {
            let (Constraint::Key(_, ids) | Constraint::Unique(_, ids)) = &constraint else {
                continue;
            };
            for (position, id) in (1i64..).zip(ids) {
                let column = table.column(*id).map(|column| &*column.name);
                let mut cells = named(table, constraint.name(), facts).to_vec();
                cells.extend(named(table, &table.name, facts));
                cells.extend([column.into(), position.into()]);
                rows.push(&cells)?;
            }
        }
    }
    rows.finish()
}

pub(super) fn columns_used(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "table_catalog",
        "table_schema",
        "table_name",
        "column_name",
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
    ];
    let mut rows = Rows::new(relation, &columns);
    for table in tables(facts) {
        for constraint in constraints_of(table) {
            let ids = match &constraint {
                Constraint::Key(_, ids) | Constraint::Unique(_, ids) => ids.clone(),
                Constraint::Check(check) => {
                    check.sql.references().iter().filter_map(|r| r.column).collect()
                }
                Constraint::NotNull(..) => continue,
            };
            for id in ids {
                let column = table.column(id).map(|column| &*column.name);
                let mut cells = named(table, &table.name, facts).to_vec();
                cells.push(column.into());
                cells.extend(named(table, constraint.name(), facts));
                rows.push(&cells)?;
            }
        }
    }
    rows.finish()
}

pub(super) fn tables_used(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "table_catalog",
        "table_schema",
        "table_name",
        "constraint_catalog",
        "constraint_schema",
        "constraint_name",
    ];
    let mut rows = Rows::new(relation, &columns);
    for table in tables(facts) {
        for constraint in constraints_of(table) {
            if let Constraint::Key(name, _) | Constraint::Unique(name, _) = &constraint {
                let mut cells = named(table, &table.name, facts).to_vec();
                cells.extend(named(table, name, facts));
                rows.push(&cells)?;
            }
        }
    }
    rows.finish()
}

pub(super) fn checks(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = ["constraint_catalog", "constraint_schema", "constraint_name", "check_clause"];
    let mut rows = Rows::new(relation, &columns);
    let deparser = Deparser::of(facts);
    for table in tables(facts) {
        for constraint in constraints_of(table) {
            let clause = match &constraint {
                Constraint::Check(check) => {
                    format!("({})", deparser.check_text(table, check, false))
                }
                Constraint::NotNull(_, id) => {
                    let column = table.column(*id).map_or("", |column| &column.name);
                    format!("{} IS NOT NULL", quote_ident(column))
                }
                Constraint::Key(..) | Constraint::Unique(..) => continue,
            };
            let mut cells = named(table, constraint.name(), facts).to_vec();
            cells.push(clause.into());
            rows.push(&cells)?;
        }
    }
    rows.finish()
}
