//! pg_constraint.

use crate::catalog::deparse::Deparser;
use crate::catalog::model::{Index, IndexColumn, Table};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

const COLUMNS: &[&str] = &[
    "oid",
    "conname",
    "connamespace",
    "contype",
    "convalidated",
    "conrelid",
    "conindid",
    "confupdtype",
    "confdeltype",
    "confmatchtype",
    "conislocal",
    "connoinherit",
    "conkey",
    "conbin",
];

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, COLUMNS);
    let deparser = Deparser::of(facts);
    for object in facts.catalog.objects() {
        let Object::Table(table) = object else { continue };
        if let Some(key) = &table.primary_key {
            let columns = key.columns.iter().map(|part| i64::from(part.column.0)).collect();
            push(&mut rows, table, "p", (key.oid, &key.name), key.index_oid, columns, Cell::Null)?;
        }
        for index in &table.indexes {
            let Some(oid) = index.constraint else { continue };
            let columns = columns_of(index);
            push(&mut rows, table, "u", (oid, &index.name), index.oid, columns, Cell::Null)?;
        }
        for check in &table.checks {
            let references = check.sql.references();
            let columns = references.iter().filter_map(|r| r.column).map(|id| i64::from(id.0));
            let text = deparser.check_tree(table, check);
            let named = (check.oid, &*check.name);
            push(&mut rows, table, "c", named, Oid::NONE, columns.collect(), text.into())?;
        }
    }
    rows.finish()
}

fn columns_of(index: &Index) -> Vec<i64> {
    let columns = index.keys.iter().map(|key| match &key.column {
        IndexColumn::Column(id) => i64::from(id.0),
        IndexColumn::Expression(_) => 0,
    });
    columns.collect()
}

fn push(
    rows: &mut Rows,
    table: &Table,
    kind: &str,
    (oid, name): (Oid, &str),
    index: Oid,
    columns: Vec<i64>,
    expression: Cell<'_>,
) -> Result<(), SqlError> {
    rows.push(&[
        oid.into(),
        name.into(),
        table.schema.into(),
        kind.into(),
        true.into(),
        table.oid.into(),
        index.into(),
        " ".into(),
        " ".into(),
        " ".into(),
        true.into(),
        (kind != "c").into(),
        Cell::Ints(columns),
        expression,
    ])
}
