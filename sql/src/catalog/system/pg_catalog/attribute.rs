//! pg_attribute and pg_attrdef. System columns (ctid, xmin, …) have no rows here: there are none.

use crate::catalog::deparse::Deparser;
use crate::catalog::model::{Column, Identity, Index, IndexColumn, Table};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::{self, SystemRelation};
use crate::catalog::system::rows::{Cell, Rows};
use crate::catalog::system::types;
use crate::error::SqlError;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::record_batch::RecordBatch;
use terrane_client::ids::ColumnId;

const COLUMNS: &[&str] = &[
    "attrelid",
    "attname",
    "atttypid",
    "attstattarget",
    "attlen",
    "attnum",
    "attndims",
    "attcacheoff",
    "atttypmod",
    "attbyval",
    "attalign",
    "attstorage",
    "attnotnull",
    "atthasdef",
    "attidentity",
    "attisdropped",
    "attislocal",
    "attcollation",
];

/// One column.
struct Attribute<'a> {
    relation: Oid,
    name: &'a str,
    number: i64,
    wire_type: WireType,
    /// The declared type, where it is a domain.
    declared: u32,
    not_null: bool,
    has_default: bool,
    identity: &'static str,
    dropped: bool,
    collation: Option<u32>,
}

impl<'a> Attribute<'a> {
    fn new(relation: Oid, name: &'a str, number: i64, wire_type: WireType) -> Self {
        Self {
            relation,
            name,
            number,
            wire_type,
            declared: wire_type.oid,
            not_null: false,
            has_default: false,
            identity: "",
            dropped: false,
            collation: None,
        }
    }

    fn push(&self, rows: &mut Rows) -> Result<(), SqlError> {
        let found = types::get(self.declared).or_else(|| types::get(oid::TEXT));
        let Some(found) = found else {
            return Err(SqlError::internal("pg_type has no text"));
        };
        let mut align = [0; 4];
        let mut storage = [0; 4];
        let is_array = oid::element_of(self.declared).is_some();
        rows.push(&[
            self.relation.into(),
            self.name.into(),
            if self.dropped { 0 } else { self.declared }.into(),
            Cell::Int(if self.dropped { 0 } else { -1 }),
            Cell::Int(i64::from(found.length)),
            self.number.into(),
            Cell::Int(i64::from(is_array && !self.dropped)),
            Cell::Int(-1),
            self.wire_type.modifier.into(),
            found.by_value.into(),
            Cell::Text(found.align.encode_utf8(&mut align)),
            Cell::Text(found.storage.encode_utf8(&mut storage)),
            self.not_null.into(),
            self.has_default.into(),
            self.identity.into(),
            self.dropped.into(),
            true.into(),
            self.collation.unwrap_or(found.collation).into(),
        ])
    }
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, COLUMNS);
    for system in relations::all() {
        for (i, column) in system.columns.iter().enumerate() {
            let name = &column.name;
            let mut attribute = Attribute::new(system.oid, name, i as i64 + 1, column.wire_type);
            attribute.declared = column.declared;
            attribute.not_null = column.not_null;
            // The texts of PostgreSQL's own catalogs are in collation "C".
            if column.declared == oid::TEXT && system.schema != Oid::TERRANE {
                attribute.collation = Some(950);
            }
            attribute.push(&mut rows)?;
        }
    }
    for object in facts.catalog.objects() {
        match object {
            Object::Table(table) => of_table(table, &mut rows)?,
            Object::View(view) => {
                for column in &view.columns {
                    let number = i64::from(column.id.0);
                    let wire_type = oid::of(&column.data_type);
                    Attribute::new(view.oid, &column.name, number, wire_type).push(&mut rows)?;
                }
            }
            Object::Sequence(sequence) => {
                let columns =
                    [("last_value", oid::INT8), ("log_cnt", oid::INT8), ("is_called", oid::BOOL)];
                for (i, (name, type_oid)) in columns.into_iter().enumerate() {
                    let wire_type = oid::wire(type_oid, -1);
                    let mut column = Attribute::new(sequence.oid, name, i as i64 + 1, wire_type);
                    column.not_null = true;
                    column.push(&mut rows)?;
                }
            }
            Object::Schema(_) | Object::Role(_) | Object::Database(_) => {}
        }
    }
    rows.finish()
}

fn of_table(table: &Table, rows: &mut Rows) -> Result<(), SqlError> {
    for column in &table.columns {
        of_column(table.oid, column).push(rows)?;
    }
    if let Some(key) = &table.primary_key {
        for (i, part) in key.columns.iter().enumerate() {
            of_indexed(table, key.index_oid, i, part.column).push(rows)?;
        }
    }
    for index in &table.indexes {
        of_index(table, index, rows)?;
    }
    Ok(())
}

fn of_column(relation: Oid, column: &Column) -> Attribute<'_> {
    let wire_type = column.wire_type();
    let number = i64::from(column.id.0);
    Attribute {
        not_null: column.not_null,
        has_default: column.default.is_some(),
        identity: match column.identity {
            Some(Identity::Always) => "a",
            Some(Identity::ByDefault) => "d",
            None => "",
        },
        dropped: column.dropped,
        collation: match column.collation.as_deref() {
            Some("C") => Some(950),
            Some("POSIX") => Some(951),
            _ if column.data_type.is_map() => Some(0),
            _ => None,
        },
        ..Attribute::new(relation, &column.name, number, wire_type)
    }
}

fn of_indexed(table: &Table, index: Oid, at: usize, column: ColumnId) -> Attribute<'_> {
    let column = table.column(column);
    let name = column.map_or("expr", |column| &*column.name);
    let wire_type = column.map_or(oid::wire(oid::TEXT, -1), |column| oid::of(&column.data_type));
    Attribute::new(index, name, at as i64 + 1, wire_type)
}

fn of_index(table: &Table, index: &Index, rows: &mut Rows) -> Result<(), SqlError> {
    let mut at = 0;
    for key in &index.keys {
        match &key.column {
            IndexColumn::Column(column) => of_indexed(table, index.oid, at, *column).push(rows)?,
            IndexColumn::Expression(_) => {
                let wire_type = oid::wire(oid::TEXT, -1);
                Attribute::new(index.oid, "expr", at as i64 + 1, wire_type).push(rows)?;
            }
        }
        at += 1;
    }
    for column in &index.include {
        of_indexed(table, index.oid, at, *column).push(rows)?;
        at += 1;
    }
    Ok(())
}

/// pg_attrdef; adbin is the expression as text, which pg_get_expr gives back.
pub(super) fn defaults(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["oid", "adrelid", "adnum", "adbin"]);
    for object in facts.catalog.objects() {
        let Object::Table(table) = object else { continue };
        for column in table.live_columns() {
            if let Some(default) = &column.default {
                let text = Deparser::of(facts).default_tree(table, column);
                let number = i64::from(column.id.0);
                rows.push(&[default.oid.into(), table.oid.into(), number.into(), text.into()])?;
            }
        }
    }
    rows.finish()
}
