//! pg_index.

use crate::catalog::deparse::Deparser;
use crate::catalog::model::{Index, IndexColumn, Table};
use crate::catalog::objects::Object;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::pg_catalog::class::access_method;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::catalog::system::{fixed, types};
use crate::error::SqlError;
use crate::types::oid;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use std::sync::LazyLock;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;

/// Each type's default operator class in btree, and those by name.
struct Classes {
    default: HashMap<(u32, u32), u32>,
    by_name: HashMap<(u32, String), u32>,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let (header, rows) = fixed::table(include_str!("../../static/pg_opclass.csv"));
    let mut classes = Classes { default: HashMap::new(), by_name: HashMap::new() };
    let place = |name: &str| header.iter().position(|column| column == name).unwrap_or(0);
    let (id, method) = (place("oid"), place("opcmethod"));
    let (name, input, default) = (place("opcname"), place("opcintype"), place("opcdefault"));
    for row in rows {
        let number = |at: usize| row.get(at)?.as_ref()?.parse::<u32>().ok();
        let text = |at: usize| row.get(at)?.clone();
        let (Some(oid), Some(of), Some(takes)) = (number(id), number(method), number(input)) else {
            continue;
        };
        if text(default).as_deref() == Some("t") {
            classes.default.insert((of, takes), oid);
        }
        if let Some(name) = text(name) {
            classes.by_name.insert((of, name), oid);
        }
    }
    classes
});

/// The operator class of an index's key.
fn class_of(method: u32, data_type: Option<&DataType>, named: Option<&str>) -> u32 {
    if let Some(name) = named {
        let found = CLASSES.by_name.get(&(method, name.to_owned()));
        return found.copied().unwrap_or(0);
    }
    let type_oid = data_type.map_or(oid::TEXT, |data_type| oid::of(data_type).oid);
    // varchar has no class of its own.
    let type_oid = if type_oid == oid::VARCHAR { oid::TEXT } else { type_oid };
    let array = oid::element_of(type_oid).map(|_| 2277);
    let found = CLASSES.default.get(&(method, array.unwrap_or(type_oid)));
    found.copied().unwrap_or(0)
}

fn collation_of(data_type: Option<&DataType>, named: Option<&str>) -> i64 {
    match named {
        Some("C") => 950,
        Some("POSIX") => 951,
        _ => data_type
            .and_then(|data_type| types::get(oid::of(data_type).oid))
            .map_or(0, |row| i64::from(row.collation)),
    }
}

const COLUMNS: &[&str] = &[
    "indexrelid",
    "indrelid",
    "indnatts",
    "indnkeyatts",
    "indisunique",
    "indisprimary",
    "indimmediate",
    "indisvalid",
    "indisready",
    "indislive",
    "indkey",
    "indcollation",
    "indclass",
    "indoption",
    "indexprs",
    "indpred",
];

/// One key column as pg_index lists it.
struct Part {
    column: i64,
    collation: i64,
    class: i64,
    option: i64,
}

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, COLUMNS);
    for object in facts.catalog.objects() {
        let Object::Table(table) = object else { continue };
        if let Some(key) = &table.primary_key {
            let parts: Vec<_> = key
                .columns
                .iter()
                .map(|part| {
                    let data_type = type_of(table, part.column);
                    Part {
                        column: i64::from(part.column.0),
                        collation: collation_of(data_type, None),
                        class: i64::from(class_of(access_method(None), data_type, None)),
                        // Keys have no NULLs: which come first does not matter.
                        option: if part.descending { 3 } else { 0 },
                    }
                })
                .collect();
            let oid = Cell::from(key.index_oid);
            push(&mut rows, oid, table, &parts, &[], [true, true], [Cell::Null, Cell::Null])?;
        }
        for index in &table.indexes {
            of_index(table, index, facts, &mut rows)?;
        }
    }
    rows.finish()
}

fn type_of(table: &Table, column: ColumnId) -> Option<&DataType> {
    table.column(column).map(|column| &column.data_type)
}

fn of_index(table: &Table, index: &Index, facts: &Facts, rows: &mut Rows) -> Result<(), SqlError> {
    let method = access_method(Some(index));
    let parts: Vec<_> = index
        .keys
        .iter()
        .map(|key| {
            let (column, data_type) = match &key.column {
                IndexColumn::Column(id) => (i64::from(id.0), type_of(table, *id)),
                IndexColumn::Expression(_) => (0, None),
            };
            let class = class_of(method, data_type, key.operator_class.as_deref());
            Part {
                column,
                collation: collation_of(data_type, key.collation.as_deref()),
                class: i64::from(class),
                option: i64::from(key.descending) + 2 * i64::from(key.nulls_first),
            }
        })
        .collect();
    let deparser = Deparser::of(facts);
    let texts = [
        Cell::from(deparser.index_expressions_tree(table, index)),
        Cell::from(deparser.index_predicate_tree(table, index)),
    ];
    let unique = [index.unique.is_some(), false];
    push(rows, index.oid.into(), table, &parts, &index.include, unique, texts)
}

fn push(
    rows: &mut Rows,
    index: Cell<'_>,
    table: &Table,
    parts: &[Part],
    include: &[ColumnId],
    [unique, primary]: [bool; 2],
    [expressions, predicate]: [Cell<'_>; 2],
) -> Result<(), SqlError> {
    let included = include.iter().map(|column| i64::from(column.0));
    rows.push(&[
        index,
        table.oid.into(),
        Cell::Int((parts.len() + include.len()) as i64),
        Cell::Int(parts.len() as i64),
        unique.into(),
        primary.into(),
        true.into(),
        true.into(),
        true.into(),
        true.into(),
        Cell::Ints(parts.iter().map(|part| part.column).chain(included).collect()),
        Cell::Ints(parts.iter().map(|part| part.collation).collect()),
        Cell::Ints(parts.iter().map(|part| part.class).collect()),
        Cell::Ints(parts.iter().map(|part| part.option).collect()),
        expressions,
        predicate,
    ])
}
