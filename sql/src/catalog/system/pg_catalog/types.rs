//! pg_type: the row types of tables and views, hstore and the types of maps that columns have, and the arrays of all these.

use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use arrow::record_batch::RecordBatch;
use std::collections::BTreeSet;
use terrane_client::types::DataType;

const COLUMNS: &[&str] = &[
    "oid",
    "typname",
    "typnamespace",
    "typlen",
    "typtype",
    "typcategory",
    "typisdefined",
    "typdelim",
    "typrelid",
    "typsubscript",
    "typelem",
    "typarray",
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typalign",
    "typstorage",
    "typtypmod",
];

/// pg_proc.oid of record_in, record_out, record_recv, record_send; of array_in and its kin.
const RECORD_IO: [u32; 4] = [2290, 2291, 2402, 2403];
const ARRAY_IO: [u32; 4] = [750, 751, 2400, 2401];
/// pg_proc.oid of array_subscript_handler.
const ARRAY_SUBSCRIPT: u32 = 6179;

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, COLUMNS);
    for object in facts.catalog.objects() {
        let (oid, schema, name, row, array) = match object {
            Object::Table(t) => (t.oid, t.schema, &t.name, t.row_type, t.row_array_type),
            Object::View(v) => (v.oid, v.schema, &v.name, v.row_type, v.row_array_type),
            _ => continue,
        };
        push(&mut rows, row, schema, name, ["c", "C"], oid, [0, 0, array.0], RECORD_IO)?;
        let array_name = format!("_{name}");
        let element = [ARRAY_SUBSCRIPT, row.0, 0];
        push(&mut rows, array, schema, &array_name, ["b", "A"], Oid::NONE, element, ARRAY_IO)?;
    }
    for map in maps(facts) {
        let name = oid::format_type(map, None);
        let array = Oid(oid::array_of(map).unwrap_or(0));
        let [of_map, of_array] = [[0, 0, array.0], [ARRAY_SUBSCRIPT, map, 0]];
        push(&mut rows, Oid(map), Oid::PG_CATALOG, &name, ["b", "U"], Oid::NONE, of_map, [0; 4])?;
        let array_name = format!("_{name}");
        let kind = ["b", "A"];
        push(&mut rows, array, Oid::PG_CATALOG, &array_name, kind, Oid::NONE, of_array, ARRAY_IO)?;
    }
    rows.finish()
}

/// hstore, and each `map(k, v)` that a column has, ascending. A value's modifier is the column's, not the type's.
fn maps(facts: &Facts) -> BTreeSet<u32> {
    let mut found = BTreeSet::from([oid::HSTORE]);
    let mut note = |data_type: &DataType| {
        let stated = oid::of(data_type).oid;
        let element = oid::element_of(stated).unwrap_or(stated);
        if oid::is_map(element) {
            found.insert(element);
        }
    };
    for object in facts.catalog.objects() {
        match object {
            Object::Table(t) => t.live_columns().for_each(|column| note(&column.data_type)),
            Object::View(v) => v.columns.iter().for_each(|column| note(&column.data_type)),
            _ => {}
        }
    }
    found
}

#[allow(clippy::too_many_arguments, reason = "two kinds of rows of one relation")]
fn push(
    rows: &mut Rows,
    oid: Oid,
    schema: Oid,
    name: &str,
    [kind, category]: [&str; 2],
    relation: Oid,
    [subscript, element, array]: [u32; 3],
    [input, output, receive, send]: [u32; 4],
) -> Result<(), SqlError> {
    rows.push(&[
        oid.into(),
        name.into(),
        schema.into(),
        Cell::Int(-1),
        kind.into(),
        category.into(),
        true.into(),
        ",".into(),
        relation.into(),
        subscript.into(),
        element.into(),
        array.into(),
        input.into(),
        output.into(),
        receive.into(),
        send.into(),
        "d".into(),
        "x".into(),
        Cell::Int(-1),
    ])
}
