//! pg_tables, pg_views and pg_indexes.

use crate::catalog::deparse::Deparser;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::{self, SystemRelation};
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

pub(super) fn tables(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "schemaname",
        "tablename",
        "tableowner",
        "hasindexes",
        "hasrules",
        "hastriggers",
        "rowsecurity",
    ];
    let mut rows = Rows::new(relation, &columns);
    let mut push = |schema: Oid, name: &str, indexed: bool| {
        rows.push(&[
            facts.schema_name(schema).into(),
            name.into(),
            facts.role_name(Oid::SUPERUSER).into(),
            indexed.into(),
            false.into(),
            false.into(),
            false.into(),
        ])
    };
    for object in facts.catalog.objects() {
        if let Object::Table(table) = object {
            let indexed = table.primary_key.is_some() || !table.indexes.is_empty();
            push(table.schema, &table.name, indexed)?;
        }
    }
    for system in relations::all().filter(|system| !system.is_view) {
        push(system.schema, &system.name, system.schema == Oid::PG_CATALOG)?;
    }
    rows.finish()
}

pub(super) fn views(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = ["schemaname", "viewname", "viewowner", "definition"];
    let mut rows = Rows::new(relation, &columns);
    let deparser = Deparser::of(facts);
    for object in facts.catalog.objects() {
        if let Object::View(view) = object {
            rows.push(&[
                facts.schema_name(view.schema).into(),
                (&*view.name).into(),
                facts.role_name(view.owner).into(),
                deparser.view_definition(view, false).into(),
            ])?;
        }
    }
    for system in relations::all().filter(|system| system.is_view) {
        let schema = facts.schema_name(system.schema);
        let owner = facts.role_name(Oid::SUPERUSER);
        rows.push(&[schema.into(), system.name.as_str().into(), owner.into(), Cell::Null])?;
    }
    rows.finish()
}

pub(super) fn indexes(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["schemaname", "tablename", "indexname", "indexdef"]);
    let deparser = Deparser::of(facts);
    for object in facts.catalog.objects() {
        let Object::Table(table) = object else { continue };
        let key = table.primary_key.iter().map(|key| (key.index_oid, &key.name));
        let others = table.indexes.iter().map(|index| (index.oid, &index.name));
        for (oid, name) in key.chain(others) {
            rows.push(&[
                facts.schema_name(table.schema).into(),
                (&*table.name).into(),
                (&**name).into(),
                deparser.index_definition(oid, false).into(),
            ])?;
        }
    }
    rows.finish()
}
