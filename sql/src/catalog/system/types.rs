//! pg_type as a lookup table, for what other relations derive from it.

use crate::catalog::oid::Oid;
use crate::catalog::system::fixed;
use hashbrown::HashMap;
use std::sync::LazyLock;

/// What of a pg_type row other relations need.
#[derive(Clone, Debug)]
pub(crate) struct TypeRow {
    pub name: String,
    pub schema: Oid,
    pub length: i16,
    pub by_value: bool,
    pub align: char,
    pub storage: char,
    pub collation: u32,
    pub element: u32,
    pub kind: char,
}

static TYPES: LazyLock<HashMap<u32, TypeRow>> = LazyLock::new(|| {
    let (header, rows) = fixed::table(include_str!("../static/pg_type.csv"));
    let place = |name: &str| header.iter().position(|column| column == name);
    let number = |row: &[Option<String>], name: &str| -> Option<i64> {
        row.get(place(name)?)?.as_ref()?.parse().ok()
    };
    let text = |row: &[Option<String>], name: &str| row.get(place(name)?)?.clone();
    let read = |row: Vec<Option<String>>| -> Option<(u32, TypeRow)> {
        let oid_at = |name: &str| number(&row, name).and_then(|n| u32::try_from(n).ok());
        let char_at = |name: &str| text(&row, name).and_then(|t| t.chars().next());
        let found = TypeRow {
            name: text(&row, "typname")?,
            schema: Oid(oid_at("typnamespace")?),
            length: i16::try_from(number(&row, "typlen")?).ok()?,
            by_value: text(&row, "typbyval")? == "t",
            align: char_at("typalign")?,
            storage: char_at("typstorage")?,
            collation: oid_at("typcollation")?,
            element: oid_at("typelem")?,
            kind: char_at("typtype")?,
        };
        Some((oid_at("oid")?, found))
    };
    rows.into_iter().filter_map(read).collect()
});

/// The type with this identifier, if PostgreSQL ships with it.
pub(crate) fn get(oid: u32) -> Option<&'static TypeRow> {
    TYPES.get(&oid)
}

/// The types of this name PostgreSQL ships with: in pg_catalog first.
pub(crate) fn by_name(name: &str) -> Option<(u32, &'static TypeRow)> {
    let mut found: Vec<_> = TYPES.iter().filter(|(_, row)| row.name == name).collect();
    found.sort_by_key(|(oid, row)| (row.schema, **oid));
    found.first().map(|(oid, row)| (**oid, *row))
}
