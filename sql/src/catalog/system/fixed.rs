//! The rows PostgreSQL 15 ships with, and those that Terrane has besides: read from `static/` and `own/` once, when first
//! asked for.

use crate::catalog::oid::Oid;
use crate::catalog::system::csv;
use crate::catalog::system::relations::{SystemRelation, by_name};
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use std::sync::{LazyLock, OnceLock};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../static/", $name, ".csv")))),*]
    };
}

/// The relations that have rows of their own.
const FILES: &[(&str, &str)] = files![
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_authid",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_description",
    "pg_index",
    "pg_language",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_range",
    "pg_tablespace",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
];

/// pg_proc, with the functions of hstore and of schema terrane.
pub(crate) const PG_PROC: &str =
    concat!(include_str!("../static/pg_proc.csv"), include_str!("../own/pg_proc.csv"));

struct File {
    text: &'static str,
    batch: OnceLock<Result<RecordBatch, SqlError>>,
}

static LOADED: LazyLock<HashMap<&'static str, File>> = LazyLock::new(|| {
    let files = FILES.iter().chain([&("pg_proc", PG_PROC)]);
    files.map(|(name, text)| (*name, File { text, batch: OnceLock::new() })).collect()
});

/// The rows a relation of pg_catalog ships with; `None` where it has none.
pub(super) fn rows(name: &str) -> Option<Result<&'static RecordBatch, SqlError>> {
    let (name, file) = LOADED.get_key_value(name)?;
    let batch = file.batch.get_or_init(|| {
        let relation = by_name(Oid::PG_CATALOG, name)
            .ok_or_else(|| SqlError::internal(format!("{name} is not in relations.csv")))?;
        read(relation, file.text)
    });
    Some(batch.as_ref().map_err(Clone::clone))
}

/// The text of each file, parsed: for those who look rows up without Arrow.
pub(crate) fn table(text: &'static str) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    let mut rows = csv::parse(text);
    let header = match rows.is_empty() {
        true => Vec::new(),
        false => rows.remove(0).into_iter().flatten().collect(),
    };
    (header, rows)
}

fn read(relation: &'static SystemRelation, text: &'static str) -> Result<RecordBatch, SqlError> {
    let (header, rows) = table(text);
    let names: Vec<_> = header.iter().map(String::as_str).collect();
    let mut types = Vec::new();
    for name in &names {
        let column = relation.columns.iter().find(|column| column.name == *name);
        let column = column.ok_or_else(|| {
            SqlError::internal(format!("{}.{name} is not in relations.csv", relation.name))
        })?;
        types.push(column.wire_type.oid);
    }
    let mut builder = Rows::new(relation, &names);
    for row in &rows {
        let cells: Option<Vec<_>> =
            row.iter().zip(&types).map(|(text, t)| cell(text.as_deref(), *t)).collect();
        let cells = cells.ok_or_else(|| {
            SqlError::internal(format!("static rows of {}: {row:?}", relation.name))
        })?;
        builder.push(&cells)?;
    }
    builder.finish()
}

/// A field as a cell of a column's type.
fn cell(text: Option<&str>, type_oid: u32) -> Option<Cell<'_>> {
    let Some(text) = text else { return Some(Cell::Null) };
    Some(match type_oid {
        oid::BOOL => Cell::Bool(text == "t"),
        oid::INT2 | oid::INT4 | oid::INT8 | oid::XID => Cell::Int(text.parse().ok()?),
        oid::FLOAT4 | oid::FLOAT8 => Cell::Float(text.parse().ok()?),
        other if oid::is_oid_like(other) => Cell::Int(text.parse().ok()?),
        oid::INT2VECTOR | oid::OIDVECTOR => {
            let numbers: Result<_, _> = text.split_whitespace().map(str::parse).collect();
            Cell::Ints(numbers.ok()?)
        }
        other => match oid::element_of(other) {
            None => Cell::Text(text),
            Some(element) => array(text, element)?,
        },
    })
}

/// `{a,"b c"}`: none of the static rows has NULLs in an array.
fn array(text: &str, element: u32) -> Option<Cell<'_>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let parts: Vec<_> = match inner.is_empty() {
        true => Vec::new(),
        false => inner.split(',').map(|part| part.trim_matches('"')).collect(),
    };
    if matches!(element, oid::INT2 | oid::INT4) || oid::is_oid_like(element) {
        let numbers: Result<_, _> = parts.into_iter().map(str::parse).collect();
        return Some(Cell::Ints(numbers.ok()?));
    }
    Some(Cell::Texts(parts.into_iter().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_fits_its_relation() {
        for (name, text) in FILES {
            let batch = rows(name).unwrap().unwrap();
            assert_eq!(batch.num_rows() + 1, csv::parse(text).len(), "{name}");
            assert!(batch.num_rows() > 0, "{name}");
        }
    }

    #[test]
    fn what_a_file_leaves_out_may_be_left_out() {
        for (name, text) in FILES {
            let relation = by_name(Oid::PG_CATALOG, name).unwrap();
            let (header, _) = table(text);
            let missing: Vec<_> = relation
                .columns
                .iter()
                .filter(|c| c.not_null && !c.name.ends_with("owner") && !header.contains(&c.name))
                .map(|c| c.name.as_str())
                .collect();
            assert!(missing.is_empty(), "{name}: {missing:?}");
        }
    }
}
