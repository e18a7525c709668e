//! Every relation of pg_catalog and information_schema, as PostgreSQL 15 has it.

use crate::catalog::oid::Oid;
use crate::catalog::system::csv;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::datatypes::{Field, Schema, SchemaRef};
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock};

/// A system relation.
#[derive(Debug)]
pub struct SystemRelation {
    /// PostgreSQL's identifier of it.
    pub oid: Oid,
    /// Its schema: [`Oid::PG_CATALOG`] or [`Oid::INFORMATION_SCHEMA`].
    pub schema: Oid,
    /// Its name.
    pub name: String,
    /// True for a view.
    pub is_view: bool,
    /// Its columns.
    pub columns: Vec<SystemColumn>,
    /// Its columns as Arrow has them.
    pub arrow: SchemaRef,
}

/// A column of a system relation.
#[derive(Debug)]
pub struct SystemColumn {
    /// Its name.
    pub name: String,
    /// Its type, domains as their base type.
    pub wire_type: WireType,
    /// The type as declared: a domain, in information_schema.
    pub declared: u32,
    /// Never NULL.
    pub not_null: bool,
}

struct All {
    by_oid: HashMap<Oid, &'static SystemRelation>,
    by_name: HashMap<(Oid, &'static str), &'static SystemRelation>,
    ordered: Vec<&'static SystemRelation>,
}

static ALL: LazyLock<All> = LazyLock::new(|| {
    let rows = csv::parse(include_str!("../static/relations.csv"));
    let mut all = All { by_oid: HashMap::new(), by_name: HashMap::new(), ordered: Vec::new() };
    for row in rows.into_iter().skip(1) {
        if let Some(relation) = read(row) {
            // Lives as long as the process: a few hundred of them, made once.
            let relation: &'static SystemRelation = Box::leak(Box::new(relation));
            all.by_oid.insert(relation.oid, relation);
            all.by_name.insert((relation.schema, &relation.name), relation);
            all.ordered.push(relation);
        }
    }
    all
});

fn read(row: Vec<Option<String>>) -> Option<SystemRelation> {
    let [Some(oid), Some(schema), Some(name), Some(kind), _, Some(columns)] =
        <[Option<String>; 6]>::try_from(row).ok()?
    else {
        return None;
    };
    let columns: Option<Vec<SystemColumn>> = columns.split(' ').map(read_column).collect();
    let columns = columns?;
    let fields = columns.iter().map(|column| {
        let WireType { oid, modifier, .. } = column.wire_type;
        let field = Field::new(&column.name, oid::arrow(oid, modifier), !column.not_null);
        oid::with_type(field, column.wire_type)
    });
    Some(SystemRelation {
        oid: Oid(oid.parse().ok()?),
        schema: match schema.as_str() {
            "pg_catalog" => Oid::PG_CATALOG,
            _ => Oid::INFORMATION_SCHEMA,
        },
        arrow: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
        name,
        is_view: kind == "v",
        columns,
    })
}

fn read_column(text: &str) -> Option<SystemColumn> {
    let mut parts = text.split(':');
    let mut next = || parts.next();
    let (name, oid, modifier) = (next()?, next()?.parse().ok()?, next()?.parse().ok()?);
    let (not_null, declared) = (next()? == "t", next()?.parse().ok()?);
    let name = name.to_owned();
    Some(SystemColumn { name, wire_type: oid::wire(oid, modifier), declared, not_null })
}

/// The system relation of this name.
pub fn by_name(schema: Oid, name: &str) -> Option<&'static SystemRelation> {
    ALL.by_name.get(&(schema, name)).copied()
}

/// The system relation with this identifier.
pub fn by_oid(oid: Oid) -> Option<&'static SystemRelation> {
    ALL.by_oid.get(&oid).copied()
}

/// All of them, ascending by identifier.
pub fn all() -> impl Iterator<Item = &'static SystemRelation> {
    ALL.ordered.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresql_15_has_these_relations() {
        let pg_class = by_name(Oid::PG_CATALOG, "pg_class").unwrap();
        assert_eq!(pg_class.oid, Oid(1259));
        assert_eq!(pg_class.columns.len(), 33);
        assert!(!pg_class.is_view && pg_class.columns[0].not_null);
        let tables = by_name(Oid::INFORMATION_SCHEMA, "tables").unwrap();
        assert!(tables.is_view);
        assert_eq!(tables.columns[0].wire_type.oid, oid::NAME);
        assert_eq!(by_oid(tables.oid).unwrap().name, "tables");
        assert_eq!(all().count(), 208);
    }
}
