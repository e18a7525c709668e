//! columns.

use super::yes_or_no;
use crate::catalog::deparse::Deparser;
use crate::catalog::model::{Column, Identity, Table};
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

const COLUMNS: &[&str] = &[
    "table_catalog",
    "table_schema",
    "table_name",
    "column_name",
    "ordinal_position",
    "column_default",
    "is_nullable",
    "data_type",
    "character_maximum_length",
    "character_octet_length",
    "numeric_precision",
    "numeric_precision_radix",
    "numeric_scale",
    "datetime_precision",
    "collation_catalog",
    "collation_schema",
    "collation_name",
    "domain_catalog",
    "domain_schema",
    "domain_name",
    "udt_catalog",
    "udt_schema",
    "udt_name",
    "dtd_identifier",
    "is_self_referencing",
    "is_identity",
    "identity_generation",
    "identity_start",
    "identity_increment",
    "identity_maximum",
    "identity_minimum",
    "identity_cycle",
    "is_generated",
    "is_updatable",
];

/// Bytes of a text without a length at most, as PostgreSQL says it.
const TEXT_BYTES_MAX: i64 = 1 << 30;
/// Bytes of a character in UTF-8 at most.
const CHARACTER_BYTES_MAX: i64 = 4;

/// What the standard says of a type.
#[derive(Default)]
struct Measures {
    characters: Option<i64>,
    octets: Option<i64>,
    precision: Option<i64>,
    radix: Option<i64>,
    scale: Option<i64>,
    datetime: Option<i64>,
}

fn measures(wire_type: WireType) -> Measures {
    let mut measures = Measures::default();
    let mut number = |precision: Option<i64>, radix: i64, scale: Option<i64>| {
        (measures.precision, measures.radix, measures.scale) = (precision, Some(radix), scale);
    };
    match wire_type.oid {
        oid::INT2 => number(Some(16), 2, Some(0)),
        oid::INT4 => number(Some(32), 2, Some(0)),
        oid::INT8 => number(Some(64), 2, Some(0)),
        oid::FLOAT4 => number(Some(24), 2, None),
        oid::FLOAT8 => number(Some(53), 2, None),
        oid::NUMERIC => {
            let shape = oid::numeric_shape(wire_type.modifier);
            number(shape.map(|(p, _)| i64::from(p)), 10, shape.map(|(_, s)| i64::from(s)));
        }
        oid::TEXT => measures.octets = Some(TEXT_BYTES_MAX),
        oid::VARCHAR | oid::BPCHAR => {
            let length = i64::from(wire_type.modifier) - 4;
            measures.characters = (length >= 0).then_some(length);
            let octets = measures.characters.map(|length| length * CHARACTER_BYTES_MAX);
            measures.octets = Some(octets.unwrap_or(TEXT_BYTES_MAX));
        }
        oid::DATE => measures.datetime = Some(0),
        oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ if wire_type.modifier >= 0 => {
            measures.datetime = Some(wire_type.modifier.into());
        }
        oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::INTERVAL => {
            measures.datetime = Some(6);
        }
        _ => {}
    }
    measures
}

/// One column of any relation.
struct Listed<'a> {
    schema: Oid,
    relation: &'a str,
    name: &'a str,
    position: i64,
    wire_type: WireType,
    declared: u32,
    nullable: bool,
    updatable: bool,
    collation: Option<&'a str>,
    default: Option<String>,
    /// Start, increment, maximum and minimum of an identity column.
    identity: [Cell<'a>; 4],
    generation: Option<&'static str>,
    cycle: bool,
}

impl<'a> Listed<'a> {
    fn new(schema: Oid, relation: &'a str, name: &'a str, position: u32, t: WireType) -> Self {
        Self {
            schema,
            relation,
            name,
            position: i64::from(position),
            wire_type: t,
            declared: t.oid,
            nullable: true,
            updatable: true,
            collation: None,
            default: None,
            identity: [const { Cell::Null }; 4],
            generation: None,
            cycle: false,
        }
    }

    fn push(self, rows: &mut Rows, facts: &Facts) -> Result<(), SqlError> {
        let Measures { characters, octets, precision, radix, scale, datetime } =
            measures(self.wire_type);
        let database = || Cell::Text(&facts.database);
        let udt = types::get(self.wire_type.oid);
        let domain = types::get(self.declared).filter(|row| row.kind == 'd');
        let data_type = match oid::element_of(self.wire_type.oid) {
            Some(_) => "ARRAY".to_owned(),
            None => oid::format_type(self.wire_type.oid, None),
        };
        let of_domain = |cell: Cell<'static>| domain.map_or(Cell::Null, |_| cell);
        let of_collation = |cell: Cell<'static>| self.collation.map_or(Cell::Null, |_| cell);
        let [start, increment, max, min] = self.identity;
        rows.push(&[
            database(),
            facts.schema_name(self.schema).into(),
            self.relation.into(),
            self.name.into(),
            self.position.into(),
            self.default.into(),
            yes_or_no(self.nullable).into(),
            data_type.into(),
            characters.into(),
            octets.into(),
            precision.into(),
            radix.into(),
            scale.into(),
            datetime.into(),
            of_collation(Cell::Owned(facts.database.clone())),
            of_collation("pg_catalog".into()),
            self.collation.into(),
            of_domain(Cell::Owned(facts.database.clone())),
            of_domain("information_schema".into()),
            Cell::from(domain.map(|row| row.name.as_str())),
            database(),
            "pg_catalog".into(),
            Cell::from(udt.map(|row| row.name.as_str())),
            self.position.to_string().into(),
            "NO".into(),
            yes_or_no(self.generation.is_some()).into(),
            self.generation.into(),
            start,
            increment,
            max,
            min,
            yes_or_no(self.cycle).into(),
            "NEVER".into(),
            yes_or_no(self.updatable).into(),
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
                for column in table.live_columns() {
                    of_table(table, column, facts).push(&mut rows, facts)?;
                }
            }
            Object::View(view) => {
                for column in &view.columns {
                    let wire_type = oid::of(&column.data_type);
                    let mut listed =
                        Listed::new(view.schema, &view.name, &column.name, column.id.0, wire_type);
                    listed.updatable = false;
                    listed.push(&mut rows, facts)?;
                }
            }
            _ => {}
        }
    }
    for system in relations::all() {
        for (position, column) in (1..).zip(&system.columns) {
            let (name, t) = (&column.name, column.wire_type);
            let mut listed = Listed::new(system.schema, &system.name, name, position, t);
            listed.declared = column.declared;
            listed.nullable = !column.not_null;
            listed.updatable = system.is_updatable();
            listed.push(&mut rows, facts)?;
        }
    }
    rows.finish()
}

fn of_table<'a>(table: &'a Table, column: &'a Column, facts: &Facts) -> Listed<'a> {
    let wire_type = column.wire_type();
    let mut listed = Listed::new(table.schema, &table.name, &column.name, column.id.0, wire_type);
    listed.nullable = !column.not_null;
    listed.collation = column.collation.as_deref();
    listed.default =
        column.default.as_ref().map(|_| Deparser::of(facts).default_text(table, column, false));
    listed.generation = column.identity.map(|identity| match identity {
        Identity::Always => "ALWAYS",
        Identity::ByDefault => "BY DEFAULT",
    });
    if column.identity.is_some()
        && let Some(sequence) = facts.catalog.sequence_of_column(table.oid, column.id)
    {
        let text = |value: i64| Cell::Owned(value.to_string());
        listed.identity = [
            text(sequence.start),
            text(sequence.increment),
            text(sequence.max),
            text(sequence.min),
        ];
        listed.cycle = sequence.cycle;
    }
    listed
}
