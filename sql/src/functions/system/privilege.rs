//! has_table_privilege() and its kin. The one role that can log in is the superuser, who may do all; the
//! predefined roles may do nothing with what users make.

use super::function::{Arg, Definition, Kind, Overload};
use super::reg;
use crate::catalog::oid::Oid;
use crate::catalog::system::rows::Cell;
use crate::catalog::system::{Facts, procs, types};
use crate::error::{SqlError, SqlState};
use crate::types::oid;

const ROLE: Kind = Kind::Oid(oid::REGROLE);
const CLASS: Kind = Kind::Oid(oid::REGCLASS);
const SCHEMA: Kind = Kind::Oid(oid::REGNAMESPACE);
const TYPE: Kind = Kind::Oid(oid::REGTYPE);
const PROC: Kind = Kind::Oid(oid::REGPROC);

macro_rules! privilege {
    ($name:literal, $kind:expr, $exists:ident) => {
        Definition::new(
            $name,
            &[
                Overload::new(&[$kind, Kind::Text], oid::BOOL, |facts, args| {
                    allowed(facts, None, $exists(facts, &args[0]), args[1].text())
                }),
                Overload::new(&[ROLE, $kind, Kind::Text], oid::BOOL, |facts, args| {
                    allowed(facts, Some(&args[0]), $exists(facts, &args[1]), args[2].text())
                }),
            ],
        )
    };
}

pub(super) const FUNCTIONS: &[Definition] = &[
    privilege!("has_table_privilege", CLASS, is_class),
    privilege!("has_sequence_privilege", CLASS, is_class),
    privilege!("has_any_column_privilege", CLASS, is_class),
    privilege!("has_schema_privilege", SCHEMA, is_schema),
    privilege!("has_type_privilege", TYPE, is_type),
    privilege!("has_function_privilege", PROC, is_function),
    privilege!("has_database_privilege", Kind::Text, is_database),
    privilege!("has_language_privilege", Kind::Text, is_any),
    privilege!("has_tablespace_privilege", Kind::Text, is_any),
    privilege!("pg_has_role", ROLE, is_role),
    Definition::new(
        "has_column_privilege",
        &[
            Overload::new(&[CLASS, Kind::Text, Kind::Text], oid::BOOL, |facts, args| {
                allowed(facts, None, is_class(facts, &args[0]), args[2].text())
            }),
            Overload::new(&[ROLE, CLASS, Kind::Text, Kind::Text], oid::BOOL, |facts, args| {
                allowed(facts, Some(&args[0]), is_class(facts, &args[1]), args[3].text())
            }),
        ],
    ),
    Definition::new(
        "row_security_active",
        &[Overload::new(&[CLASS], oid::BOOL, |_, _| Ok(false.into()))],
    ),
];

fn is_class(facts: &Facts, arg: &Arg) -> bool {
    reg::is_relation(Oid(arg.oid()), facts)
}

fn is_schema(facts: &Facts, arg: &Arg) -> bool {
    facts.catalog.schema(Oid(arg.oid())).is_some()
}

fn is_type(facts: &Facts, arg: &Arg) -> bool {
    types::get(arg.oid()).is_some() || facts.catalog.relation_of_row_type(Oid(arg.oid())).is_some()
}

fn is_function(_: &Facts, arg: &Arg) -> bool {
    procs::get(arg.oid()).is_some()
}

fn is_role(facts: &Facts, arg: &Arg) -> bool {
    facts.catalog.role(Oid(arg.oid())).is_some()
}

fn is_database(facts: &Facts, arg: &Arg) -> bool {
    arg.text() == facts.database_name() || arg.text() == Oid::DATABASE.0.to_string()
}

fn is_any(_: &Facts, _: &Arg) -> bool {
    true
}

const KNOWN: &[&str] = &[
    "select",
    "insert",
    "update",
    "delete",
    "truncate",
    "references",
    "trigger",
    "rule",
    "usage",
    "create",
    "connect",
    "temp",
    "temporary",
    "execute",
    "member",
    "set",
    "alter system",
];

/// NULL where there is no such object; 22023 for a privilege that does not exist.
fn allowed(
    facts: &Facts,
    role: Option<&Arg>,
    exists: bool,
    privileges: &str,
) -> Result<Cell<'static>, SqlError> {
    for privilege in privileges.split(',') {
        let name = privilege.trim().to_ascii_lowercase();
        let name = name.strip_suffix(" with grant option").unwrap_or(&name);
        let name = name.strip_suffix(" with admin option").unwrap_or(name);
        if !KNOWN.contains(&name) {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized privilege type: \"{}\"", privilege.trim()),
            ));
        }
    }
    if !exists {
        return Ok(Cell::Null);
    }
    Ok(match role {
        None => true.into(),
        Some(role) => facts.catalog.role(Oid(role.oid())).is_some_and(|role| role.superuser).into(),
    })
}
