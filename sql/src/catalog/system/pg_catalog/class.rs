//! pg_class: relations and indexes.

use crate::catalog::model::{Index, Persistence, PrimaryKey, Sequence, Table, View};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::{self, SystemRelation};
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

/// pg_am.oid of the ways tables and indexes are stored.
pub(super) const HEAP: u32 = 2;

/// pg_am.oid of an index's access method.
pub(super) fn access_method(index: Option<&Index>) -> u32 {
    match index.and_then(|index| index.method.as_deref()) {
        Some("hash") => 405,
        Some("gist") => 783,
        Some("gin") => 2742,
        Some("spgist") => 4000,
        Some("brin") => 3580,
        _ => 403,
    }
}

const COLUMNS: &[&str] = &[
    "oid",
    "relname",
    "relnamespace",
    "reltype",
    "relowner",
    "relam",
    "relfilenode",
    "reltuples",
    "relhasindex",
    "relpersistence",
    "relkind",
    "relnatts",
    "relchecks",
    "relhasrules",
    "relispopulated",
    "relreplident",
    "reloptions",
];

/// What differs between kinds of relations.
struct Class<'a> {
    oid: Oid,
    name: &'a str,
    schema: Oid,
    row_type: Oid,
    access_method: u32,
    has_index: bool,
    persistence: Persistence,
    kind: &'static str,
    columns: usize,
    checks: usize,
    has_rules: bool,
    replica_identity: &'static str,
    options: &'a [String],
}

impl Class<'_> {
    fn push(&self, rows: &mut Rows) -> Result<(), SqlError> {
        let options = match self.options.is_empty() {
            true => Cell::Null,
            false => Cell::Texts(self.options.to_vec()),
        };
        rows.push(&[
            self.oid.into(),
            self.name.into(),
            self.schema.into(),
            self.row_type.into(),
            Oid::SUPERUSER.into(),
            self.access_method.into(),
            match self.kind {
                "v" => Cell::Int(0),
                _ => self.oid.into(),
            },
            Cell::Float(if self.kind == "r" { -1.0 } else { 0.0 }),
            self.has_index.into(),
            if self.persistence.is_temporary() { "t" } else { "p" }.into(),
            self.kind.into(),
            Cell::Int(self.columns as i64),
            Cell::Int(self.checks as i64),
            self.has_rules.into(),
            true.into(),
            self.replica_identity.into(),
            options,
        ])
    }
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, COLUMNS);
    for object in facts.catalog.objects() {
        match object {
            Object::Table(table) => {
                of_table(table).push(&mut rows)?;
                if let Some(key) = &table.primary_key {
                    of_key(table, key).push(&mut rows)?;
                }
                for index in &table.indexes {
                    of_index(table, index).push(&mut rows)?;
                }
            }
            Object::View(view) => of_view(view).push(&mut rows)?,
            Object::Sequence(sequence) => of_sequence(sequence).push(&mut rows)?,
            Object::Schema(_) | Object::Role(_) | Object::Database(_) => {}
        }
    }
    // PostgreSQL's own are among the rows it ships with.
    for system in relations::all().filter(|system| system.schema == Oid::TERRANE) {
        of_terrane(system).push(&mut rows)?;
    }
    rows.finish()
}

fn of_terrane(relation: &SystemRelation) -> Class<'_> {
    Class {
        oid: relation.oid,
        name: &relation.name,
        schema: relation.schema,
        row_type: Oid::NONE,
        access_method: HEAP,
        has_index: false,
        persistence: Persistence::Permanent,
        kind: "r",
        columns: relation.columns.len(),
        checks: 0,
        has_rules: false,
        replica_identity: "n",
        options: &[],
    }
}

fn of_table(table: &Table) -> Class<'_> {
    Class {
        oid: table.oid,
        name: &table.name,
        schema: table.schema,
        row_type: table.row_type,
        access_method: HEAP,
        has_index: table.primary_key.is_some() || !table.indexes.is_empty(),
        persistence: table.persistence,
        kind: "r",
        columns: table.columns.len(),
        checks: table.checks.len(),
        has_rules: false,
        replica_identity: "d",
        options: &table.options,
    }
}

fn of_key<'a>(table: &'a Table, key: &'a PrimaryKey) -> Class<'a> {
    Class {
        oid: key.index_oid,
        name: &key.name,
        row_type: Oid::NONE,
        access_method: access_method(None),
        has_index: false,
        kind: "i",
        columns: key.columns.len(),
        checks: 0,
        replica_identity: "n",
        options: &[],
        ..of_table(table)
    }
}

fn of_index<'a>(table: &'a Table, index: &'a Index) -> Class<'a> {
    Class {
        oid: index.oid,
        name: &index.name,
        row_type: Oid::NONE,
        access_method: access_method(Some(index)),
        has_index: false,
        kind: "i",
        columns: index.keys.len() + index.include.len(),
        checks: 0,
        replica_identity: "n",
        options: &index.options,
        ..of_table(table)
    }
}

fn of_view(view: &View) -> Class<'_> {
    Class {
        oid: view.oid,
        name: &view.name,
        schema: view.schema,
        row_type: view.row_type,
        access_method: 0,
        has_index: false,
        persistence: view.persistence,
        kind: "v",
        columns: view.columns.len(),
        checks: 0,
        has_rules: true,
        replica_identity: "n",
        options: &view.options,
    }
}

fn of_sequence(sequence: &Sequence) -> Class<'_> {
    Class {
        oid: sequence.oid,
        name: &sequence.name,
        schema: sequence.schema,
        row_type: Oid::NONE,
        access_method: 0,
        has_index: false,
        persistence: sequence.persistence,
        kind: "S",
        columns: 3,
        checks: 0,
        has_rules: false,
        replica_identity: "n",
        options: &[],
    }
}
