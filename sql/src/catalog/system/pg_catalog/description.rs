//! pg_description and pg_shdescription: comments.

use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::Rows;
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;
use terrane_client::ids::ColumnId;

/// pg_class.oid of the catalogs that commented objects are in.
pub(crate) mod class {
    use crate::catalog::oid::Oid;

    pub const PG_CLASS: Oid = Oid(1259);
    pub const PG_CONSTRAINT: Oid = Oid(2606);
    pub const PG_NAMESPACE: Oid = Oid(2615);
    pub const PG_DATABASE: Oid = Oid(1262);
    pub const PG_AUTHID: Oid = Oid(1260);
}

/// A comment: the object's catalog, the object, its column (0 for none), the text.
pub(crate) type Comment<'a> = (Oid, Oid, u32, &'a str);

/// Every comment on an object of the database.
pub(crate) fn comments(facts: &Facts) -> Vec<Comment<'_>> {
    let mut found = Vec::new();
    for object in facts.catalog.objects() {
        match object {
            Object::Schema(schema) => {
                add(&mut found, class::PG_NAMESPACE, schema.oid, schema.comment.as_deref());
            }
            Object::Table(table) => of_table(table, &mut found),
            Object::View(view) => {
                add(&mut found, class::PG_CLASS, view.oid, view.comment.as_deref());
                for column in &view.columns {
                    add_column(&mut found, view.oid, column.id, column.comment.as_deref());
                }
            }
            Object::Sequence(sequence) => {
                add(&mut found, class::PG_CLASS, sequence.oid, sequence.comment.as_deref());
            }
            Object::Role(_) | Object::Database(_) => {}
        }
    }
    found
}

fn add<'a>(found: &mut Vec<Comment<'a>>, class: Oid, object: Oid, text: Option<&'a str>) {
    found.extend(text.map(|text| (class, object, 0, text)));
}

fn add_column<'a>(
    found: &mut Vec<Comment<'a>>,
    relation: Oid,
    column: ColumnId,
    text: Option<&'a str>,
) {
    found.extend(text.map(|text| (class::PG_CLASS, relation, column.0, text)));
}

fn of_table<'a>(table: &'a Table, found: &mut Vec<Comment<'a>>) {
    add(found, class::PG_CLASS, table.oid, table.comment.as_deref());
    for column in table.live_columns() {
        add_column(found, table.oid, column.id, column.comment.as_deref());
    }
    if let Some(key) = &table.primary_key {
        add(found, class::PG_CLASS, key.index_oid, key.index_comment.as_deref());
        add(found, class::PG_CONSTRAINT, key.oid, key.comment.as_deref());
    }
    for index in &table.indexes {
        add(found, class::PG_CLASS, index.oid, index.comment.as_deref());
        if let Some(constraint) = index.constraint {
            add(found, class::PG_CONSTRAINT, constraint, index.constraint_comment.as_deref());
        }
    }
    for check in &table.checks {
        add(found, class::PG_CONSTRAINT, check.oid, check.comment.as_deref());
    }
}

/// Every comment on a shared object: databases and roles.
pub(crate) fn shared_comments(facts: &Facts) -> Vec<Comment<'_>> {
    let mut found = Vec::new();
    for object in facts.catalog.objects() {
        match object {
            Object::Role(role) => {
                add(&mut found, class::PG_AUTHID, role.oid, role.comment.as_deref());
            }
            Object::Database(database) => {
                add(&mut found, class::PG_DATABASE, database.oid, database.comment.as_deref());
            }
            _ => {}
        }
    }
    found
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["objoid", "classoid", "objsubid", "description"]);
    for (class, object, column, text) in comments(facts) {
        rows.push(&[object.into(), class.into(), column.into(), text.into()])?;
    }
    rows.finish()
}

pub(super) fn shared(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["objoid", "classoid", "description"]);
    for (class, object, _, text) in shared_comments(facts) {
        rows.push(&[object.into(), class.into(), text.into()])?;
    }
    rows.finish()
}
