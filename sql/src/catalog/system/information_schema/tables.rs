//! Tables, views, schemas, sequences, and who may use them.

use super::yes_or_no;
use crate::catalog::deparse::Deparser;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::{self, SystemRelation};
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

pub(super) fn no_rows(
    relation: &'static SystemRelation,
    _: &Facts,
) -> Result<RecordBatch, SqlError> {
    Ok(RecordBatch::new_empty(relation.arrow.clone()))
}

pub(super) fn catalog_name(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["catalog_name"]);
    rows.push(&[facts.database.as_str().into()])?;
    rows.finish()
}

pub(super) fn character_sets(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "character_set_name",
        "character_repertoire",
        "form_of_use",
        "default_collate_catalog",
        "default_collate_schema",
        "default_collate_name",
    ];
    let mut rows = Rows::new(relation, &columns);
    rows.push(&[
        "UTF8".into(),
        "UCS".into(),
        "UTF8".into(),
        facts.database.as_str().into(),
        "pg_catalog".into(),
        "C.UTF-8".into(),
    ])?;
    rows.finish()
}

pub(super) fn enabled_roles(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["role_name"]);
    rows.push(&[facts.user.as_str().into()])?;
    rows.finish()
}

pub(super) fn schemata(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["catalog_name", "schema_name", "schema_owner"]);
    for object in facts.catalog.objects() {
        if let Object::Schema(schema) = object {
            rows.push(&[
                facts.database.as_str().into(),
                (&*schema.name).into(),
                facts.role_name(schema.owner).into(),
            ])?;
        }
    }
    rows.finish()
}

/// A table or view: schema, name, kind, and whether rows can be inserted.
type Listed<'a> = (Oid, &'a str, &'static str, bool);

fn listed(facts: &Facts) -> Vec<Listed<'_>> {
    let mut all = Vec::new();
    for object in facts.catalog.objects() {
        match object {
            Object::Table(table) => {
                let kind = match table.persistence.is_temporary() {
                    true => "LOCAL TEMPORARY",
                    false => "BASE TABLE",
                };
                all.push((table.schema, &*table.name, kind, true));
            }
            Object::View(view) => all.push((view.schema, &*view.name, "VIEW", false)),
            _ => {}
        }
    }
    for system in relations::all() {
        let kind = if system.is_view { "VIEW" } else { "BASE TABLE" };
        all.push((system.schema, system.name.as_str(), kind, system.is_updatable()));
    }
    all
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "table_catalog",
        "table_schema",
        "table_name",
        "table_type",
        "is_insertable_into",
        "is_typed",
        "commit_action",
    ];
    let mut rows = Rows::new(relation, &columns);
    for (schema, name, kind, insertable) in listed(facts) {
        rows.push(&[
            facts.database.as_str().into(),
            facts.schema_name(schema).into(),
            name.into(),
            kind.into(),
            yes_or_no(insertable).into(),
            "NO".into(),
            Cell::Null,
        ])?;
    }
    rows.finish()
}

pub(super) fn views(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "table_catalog",
        "table_schema",
        "table_name",
        "view_definition",
        "check_option",
        "is_updatable",
        "is_insertable_into",
        "is_trigger_updatable",
        "is_trigger_deletable",
        "is_trigger_insertable_into",
    ];
    let mut rows = Rows::new(relation, &columns);
    let deparser = Deparser::of(facts);
    let own = facts.catalog.objects().filter_map(|object| match object {
        Object::View(view) => {
            let definition = Cell::from(deparser.view_definition(view, false));
            Some((view.schema, &*view.name, definition))
        }
        _ => None,
    });
    let system = relations::all()
        .filter(|system| system.is_view)
        .map(|system| (system.schema, system.name.as_str(), Cell::Null));
    for (schema, name, definition) in own.chain(system) {
        rows.push(&[
            facts.database.as_str().into(),
            facts.schema_name(schema).into(),
            name.into(),
            definition,
            "NONE".into(),
            "NO".into(),
            "NO".into(),
            "NO".into(),
            "NO".into(),
            "NO".into(),
        ])?;
    }
    rows.finish()
}

pub(super) fn sequences(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "sequence_catalog",
        "sequence_schema",
        "sequence_name",
        "data_type",
        "numeric_precision",
        "numeric_precision_radix",
        "numeric_scale",
        "start_value",
        "minimum_value",
        "maximum_value",
        "increment",
        "cycle_option",
    ];
    let mut rows = Rows::new(relation, &columns);
    for object in facts.catalog.objects() {
        let Object::Sequence(sequence) = object else { continue };
        // The standard has no name for the sequences inside of identity columns.
        if sequence.owned_by.is_some_and(|owner| owner.identity) {
            continue;
        }
        let bits = match sequence.data_type {
            terrane_client::types::DataType::Int2 => 16,
            terrane_client::types::DataType::Int4 => 32,
            _ => 64,
        };
        rows.push(&[
            facts.database.as_str().into(),
            facts.schema_name(sequence.schema).into(),
            (&*sequence.name).into(),
            sequence.data_type.to_string().into(),
            Cell::Int(bits),
            Cell::Int(2),
            Cell::Int(0),
            sequence.start.to_string().into(),
            sequence.min.to_string().into(),
            sequence.max.to_string().into(),
            sequence.increment.to_string().into(),
            yes_or_no(sequence.cycle).into(),
        ])?;
    }
    rows.finish()
}

/// table_privileges: the owner's own.
pub(super) fn grants(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "grantor",
        "grantee",
        "table_catalog",
        "table_schema",
        "table_name",
        "privilege_type",
        "is_grantable",
        "with_hierarchy",
    ];
    let privileges = ["INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];
    let mut rows = Rows::new(relation, &columns);
    let owner = facts.role_name(Oid::SUPERUSER);
    for (schema, name, _, _) in listed(facts) {
        for privilege in privileges {
            rows.push(&[
                owner.into(),
                owner.into(),
                facts.database.as_str().into(),
                facts.schema_name(schema).into(),
                name.into(),
                privilege.into(),
                "YES".into(),
                yes_or_no(privilege == "SELECT").into(),
            ])?;
        }
    }
    rows.finish()
}
