//! Every relation of pg_catalog and information_schema, as PostgreSQL 15 has it, and those of schema `terrane`.

use crate::catalog::oid::Oid;
use crate::catalog::system::{csv, terrane};
use crate::session::response::WireType;
use crate::types::oid;
use arrow::datatypes::{Field, Schema, SchemaRef};
use hashbrown::HashMap;
use std::sync::{Arc, LazyLock};

/// A system relation.
#[derive(Debug)]
pub struct SystemRelation {
    /// PostgreSQL's identifier of it; in schema `terrane` one that PostgreSQL does not use.
    pub oid: Oid,
    /// Its schema: [`Oid::PG_CATALOG`], [`Oid::INFORMATION_SCHEMA`] or [`Oid::TERRANE`].
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
    let of_postgresql = rows.into_iter().skip(1).filter_map(read);
    for relation in of_postgresql.chain(terrane::DEFINITIONS.iter().map(of_terrane)) {
        // Lives as long as the process: a few hundred of them, made once.
        let relation: &'static SystemRelation = Box::leak(Box::new(relation));
        all.by_oid.insert(relation.oid, relation);
        all.by_name.insert((relation.schema, &relation.name), relation);
        all.ordered.push(relation);
    }
    all.ordered.sort_by_key(|relation| relation.oid);
    all
});

impl SystemRelation {
    fn new(oid: Oid, schema: Oid, name: &str, is_view: bool, columns: Vec<SystemColumn>) -> Self {
        let fields = columns.iter().map(|column| {
            let WireType { oid, modifier, .. } = column.wire_type;
            let field = Field::new(&column.name, oid::arrow(oid, modifier), !column.not_null);
            oid::with_type(field, column.wire_type)
        });
        let arrow = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { oid, schema, name: name.to_owned(), is_view, columns, arrow }
    }

    /// What information_schema says: PostgreSQL calls the tables of its catalog updatable.
    pub fn is_updatable(&self) -> bool {
        !self.is_view && self.schema != Oid::TERRANE
    }
}

fn of_terrane(definition: &terrane::Definition) -> SystemRelation {
    let columns = definition.columns.iter().map(|(name, oid, not_null)| SystemColumn {
        name: (*name).to_owned(),
        wire_type: oid::wire(*oid, -1),
        declared: *oid,
        not_null: *not_null,
    });
    SystemRelation::new(definition.oid, Oid::TERRANE, definition.name, false, columns.collect())
}

fn read(row: Vec<Option<String>>) -> Option<SystemRelation> {
    let [Some(oid), Some(schema), Some(name), Some(kind), _, Some(columns)] =
        <[Option<String>; 6]>::try_from(row).ok()?
    else {
        return None;
    };
    let columns: Option<Vec<SystemColumn>> = columns.split(' ').map(read_column).collect();
    let schema = match schema.as_str() {
        "pg_catalog" => Oid::PG_CATALOG,
        _ => Oid::INFORMATION_SCHEMA,
    };
    Some(SystemRelation::new(Oid(oid.parse().ok()?), schema, &name, kind == "v", columns?))
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
        assert_eq!(all().filter(|relation| relation.schema != Oid::TERRANE).count(), 208);
    }

    #[test]
    fn schema_terrane_has_identifiers_that_postgresql_does_not_use() {
        let own: Vec<_> = all().filter(|relation| relation.schema == Oid::TERRANE).collect();
        assert_eq!(own.len(), terrane::DEFINITIONS.len());
        assert!(all().is_sorted_by(|a, b| a.oid < b.oid));
        let reserved = Oid(8900)..Oid(9000);
        assert!(reserved.contains(&Oid::TERRANE) && reserved.contains(&terrane::EXTENSION));
        assert!(own.iter().all(|relation| reserved.contains(&relation.oid)));
        let files = [
            include_str!("../static/relations.csv"),
            include_str!("../static/pg_class.csv"),
            include_str!("../static/pg_type.csv"),
            include_str!("../static/pg_proc.csv"),
        ];
        for row in files.into_iter().flat_map(csv::parse) {
            let oid = row[0].as_ref().and_then(|oid| oid.parse().ok()).map(Oid);
            assert!(oid.is_none_or(|oid| !reserved.contains(&oid)), "{row:?}");
        }
    }
}
