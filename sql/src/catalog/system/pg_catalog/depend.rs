//! pg_depend and pg_rewrite: what depends on what, as far as it can be dropped or dumped.

use super::extension;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::pg_catalog::description::class;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

const PG_REWRITE: Oid = Oid(2618);
const PG_ATTRDEF: Oid = Oid(2604);

/// The identifier of a view's _RETURN rule: its row type's array, which pg_rewrite does not use otherwise.
fn rule_of(view: &crate::catalog::model::View) -> Oid {
    view.row_array_type
}

/// One object, and its column.
pub(super) type Place = (Oid, Oid, u32);

fn push(rows: &mut Rows, object: Place, on: Place, kind: &str) -> Result<(), SqlError> {
    rows.push(&[
        object.0.into(),
        object.1.into(),
        object.2.into(),
        on.0.into(),
        on.1.into(),
        on.2.into(),
        kind.into(),
    ])
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns =
        ["classid", "objid", "objsubid", "refclassid", "refobjid", "refobjsubid", "deptype"];
    let mut rows = Rows::new(relation, &columns);
    for object in facts.catalog.objects() {
        if let (Some(schema), false) = (object.schema(), object.is_temporary()) {
            let on = (class::PG_NAMESPACE, schema, 0);
            push(&mut rows, (class::PG_CLASS, object.oid(), 0), on, "n")?;
        }
        match object {
            Object::Table(table) => {
                for column in table.live_columns() {
                    let Some(default) = &column.default else { continue };
                    let of = (PG_ATTRDEF, default.oid, 0);
                    push(&mut rows, of, (class::PG_CLASS, table.oid, column.id.0), "a")?;
                    for reference in default.sql.references() {
                        push(&mut rows, of, (class::PG_CLASS, reference.relation, 0), "n")?;
                    }
                }
                if let Some(key) = &table.primary_key {
                    let index = (class::PG_CLASS, key.index_oid, 0);
                    let constraint = (class::PG_CONSTRAINT, key.oid, 0);
                    push(&mut rows, index, constraint, "i")?;
                    for part in &key.columns {
                        let on = (class::PG_CLASS, table.oid, part.column.0);
                        push(&mut rows, constraint, on, "a")?;
                    }
                }
                for index in &table.indexes {
                    let of = (class::PG_CLASS, index.oid, 0);
                    match index.constraint {
                        Some(oid) => {
                            push(&mut rows, of, (class::PG_CONSTRAINT, oid, 0), "i")?;
                        }
                        None => push(&mut rows, of, (class::PG_CLASS, table.oid, 0), "a")?,
                    }
                }
            }
            Object::Sequence(sequence) => {
                if let Some(owner) = &sequence.owned_by {
                    let kind = if owner.identity { "i" } else { "a" };
                    let on = (class::PG_CLASS, owner.table, owner.column.0);
                    push(&mut rows, (class::PG_CLASS, sequence.oid, 0), on, kind)?;
                }
            }
            Object::View(view) => {
                let rule = (PG_REWRITE, rule_of(view), 0);
                push(&mut rows, rule, (class::PG_CLASS, view.oid, 0), "i")?;
                for reference in view.query.references() {
                    if reference.relation != view.oid {
                        let column = reference.column.map_or(0, |column| column.0);
                        let on = (class::PG_CLASS, reference.relation, column);
                        push(&mut rows, rule, on, "n")?;
                    }
                }
            }
            Object::Schema(_) | Object::Role(_) | Object::Database(_) => {}
        }
    }
    for member in extension::members() {
        push(&mut rows, member, extension::PLACE, "e")?;
    }
    rows.finish()
}

pub(super) fn rewrites(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = ["oid", "rulename", "ev_class", "ev_type", "ev_enabled", "is_instead"];
    let mut rows = Rows::new(relation, &columns);
    for object in facts.catalog.objects() {
        if let Object::View(view) = object {
            rows.push(&[
                rule_of(view).into(),
                "_RETURN".into(),
                view.oid.into(),
                "1".into(),
                "O".into(),
                Cell::Bool(true),
            ])?;
        }
    }
    rows.finish()
}
