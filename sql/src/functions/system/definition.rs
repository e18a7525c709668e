//! pg_get_viewdef() and its kin: definitions as SQL; and format_type().

use super::function::{Arg, Definition, Kind, Overload};
use super::reg;
use crate::catalog::deparse::{Deparser, tree_text};
use crate::catalog::oid::Oid;
use crate::catalog::quote::{quote_ident, quote_literal, split_names};
use crate::catalog::snapshot::Relation;
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;

const OID: Kind = Kind::Oid(oid::OID);
/// regclass[]
const REGCLASS_ARRAY: u32 = 2210;
const CLASS: Kind = Kind::Oid(oid::REGCLASS);

macro_rules! none_of {
    ($name:literal) => {
        Definition::new(
            $name,
            &[
                Overload::new(&[OID], oid::TEXT, none),
                Overload::new(&[OID, Kind::Bool], oid::TEXT, none),
            ],
        )
    };
}

pub(super) const FUNCTIONS: &[Definition] =
    &[
        Definition::new(
            "format_type",
            &[Overload::of_nulls(&[OID, Kind::Int], oid::TEXT, format_type)],
        ),
        Definition::new(
            "pg_get_expr",
            &[
                Overload::new(&[Kind::Text, OID], oid::TEXT, expression),
                Overload::new(&[Kind::Text, OID, Kind::Bool], oid::TEXT, expression),
            ],
        ),
        Definition::new(
            "pg_get_constraintdef",
            &[
                Overload::new(&[OID], oid::TEXT, constraint),
                Overload::new(&[OID, Kind::Bool], oid::TEXT, constraint),
            ],
        ),
        Definition::new(
            "pg_get_indexdef",
            &[
                Overload::new(&[OID], oid::TEXT, index),
                Overload::new(&[OID, Kind::Int, Kind::Bool], oid::TEXT, index),
            ],
        ),
        Definition::new(
            "pg_get_viewdef",
            &[
                Overload::new(&[CLASS], oid::TEXT, view),
                Overload::new(&[CLASS, Kind::Bool], oid::TEXT, view),
            ],
        ),
        none_of!("pg_get_triggerdef"),
        none_of!("pg_get_function_sqlbody"),
        none_of!("pg_get_ruledef"),
        none_of!("pg_get_statisticsobjdef"),
        none_of!("pg_get_statisticsobjdef_columns"),
        none_of!("pg_get_partkeydef"),
        Definition::new(
            "pg_get_serial_sequence",
            &[Overload::new(&[Kind::Text, Kind::Text], oid::TEXT, serial_sequence)],
        ),
        Definition::new(
            "quote_ident",
            &[Overload::new(&[Kind::Text], oid::TEXT, |_, args| {
                Ok(quote_ident(args[0].text()).into())
            })],
        ),
        Definition::new(
            "quote_literal",
            &[Overload::new(&[Kind::Text], oid::TEXT, |_, args| {
                Ok(quote_literal(args[0].text()).into())
            })],
        ),
        Definition::new(
            "quote_nullable",
            &[Overload::of_nulls(&[Kind::Text], oid::TEXT, |_, args| {
                Ok(match &args[0] {
                    Arg::Text(text) => quote_literal(text),
                    _ => "NULL".to_owned(),
                }
                .into())
            })],
        ),
        Definition::new("pg_get_userbyid", &[Overload::new(&[OID], oid::NAME, user)]),
        Definition::new("pg_tablespace_location", &[Overload::new(&[OID], oid::TEXT, in_data)]),
        Definition::new(
            "pg_relation_is_publishable",
            &[Overload::new(&[CLASS], oid::BOOL, publishable)],
        ),
        Definition::new("pg_relation_filenode", &[Overload::new(&[CLASS], oid::OID, filenode)]),
        Definition::new("pg_size_pretty", &[Overload::new(&[Kind::Int], oid::TEXT, size)]),
        // No table here is a partition or has any.
        Definition::new(
            "pg_partition_ancestors",
            &[Overload::new(&[CLASS], REGCLASS_ARRAY, |_, _| Ok(Cell::Ints(Vec::new())))],
        ),
        Definition::new("pg_partition_root", &[Overload::new(&[CLASS], oid::REGCLASS, none)]),
    ];

fn none(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(Cell::Null)
}

fn format_type(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    if args[0] == Arg::Null {
        return Ok(Cell::Null);
    }
    let modifier = match &args[1] {
        Arg::Int(modifier) => i32::try_from(*modifier).ok(),
        _ => None,
    };
    Ok(reg::type_text(args[0].oid(), modifier, facts).into())
}

/// The argument after the object: pretty or not.
fn pretty(args: &[Arg]) -> bool {
    args.last().is_some_and(Arg::is_true)
}

fn expression(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(tree_text(args[0].text(), pretty(args)).to_owned().into())
}

fn constraint(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let definition = Deparser::of(facts).constraint_definition(Oid(args[0].oid()), pretty(args));
    Ok(definition.into())
}

fn index(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (of, deparser) = (Oid(args[0].oid()), Deparser::of(facts));
    Ok(match args.get(1).map_or(0, Arg::int) {
        0 => deparser.index_definition(of, pretty(args)),
        number => usize::try_from(number)
            .ok()
            .and_then(|number| deparser.index_column(of, number, pretty(args))),
    }
    .into())
}

fn view(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let view = facts.catalog.view(Oid(args[0].oid()));
    Ok(view.map(|view| Deparser::of(facts).view_definition(view, pretty(args))).into())
}

fn serial_sequence(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let of = reg::parse(args[0].text(), oid::REGCLASS, facts)?;
    let Some(table) = facts.catalog.table(Oid(of)) else {
        return Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("relation \"{}\" is not a table", args[0].text()),
        ));
    };
    let Some(column) = table.column_by_name(args[1].text()) else {
        let name = split_names(args[0].text(), '.').and_then(|mut names| names.pop());
        return Err(SqlError::new(
            SqlState::UNDEFINED_COLUMN,
            format!(
                "column \"{}\" of relation \"{}\" does not exist",
                args[1].text(),
                name.unwrap_or_default()
            ),
        ));
    };
    let sequence = facts.catalog.sequence_of_column(table.oid, column.id);
    Ok(sequence
        .map(|sequence| {
            let schema = quote_ident(facts.schema_name(sequence.schema));
            format!("{schema}.{}", quote_ident(&sequence.name))
        })
        .into())
}

fn user(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let role = args[0].oid();
    let known = facts.catalog.role(Oid(role)).map(|role| role.name.to_string());
    Ok(known.unwrap_or_else(|| format!("unknown (OID={role})")).into())
}

/// Both tablespaces are in the data directory.
fn in_data(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok("".into())
}

fn publishable(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let relation = facts.catalog.relation(Oid(args[0].oid()));
    Ok(relation
        .map(|relation| matches!(relation, Relation::Table(_)) && !relation.is_temporary())
        .into())
}

fn filenode(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let relation = facts.catalog.relation(Oid(args[0].oid()));
    let stored = relation.filter(|relation| !matches!(relation, Relation::View(_)));
    Ok(stored.map(|relation| relation.oid()).into())
}

/// A size with the largest unit that leaves five digits, rounded half up.
fn size(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let value = args[0].int();
    // All but bytes carry one bit more than shown, for rounding.
    let mut shown = i128::from(value);
    let mut unit = 0;
    while unit + 1 < UNITS.len() {
        let limit = if unit == 0 { 10 * 1024 } else { 20 * 1024 - 1 };
        if shown.abs() < limit {
            break;
        }
        shown /= if unit == 0 { 1 << 9 } else { 1 << 10 };
        unit += 1;
    }
    if unit > 0 {
        shown = (shown + shown.signum()) / 2;
    }
    Ok(format!("{shown} {}", UNITS[unit]).into())
}
