//! pg_type: the row types of tables and views, and their arrays.

use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

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
    rows.finish()
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
