//! pg_table_is_visible() and its kin: would the unqualified name find this object?

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::oid::Oid;
use crate::catalog::system::rows::Cell;
use crate::catalog::system::{Facts, procs, types};
use crate::error::SqlError;
use crate::types::oid;

const OID: &[Kind] = &[Kind::Oid(oid::OID)];

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Definition::new($name, &[Overload::new(OID, oid::BOOL, shipped)])),*]
    };
}

/// Functions about objects that only PostgreSQL's own schema has here.
pub(super) const SHIPPED: &[Definition] = shipped![
    "pg_operator_is_visible",
    "pg_opclass_is_visible",
    "pg_opfamily_is_visible",
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
];

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("pg_table_is_visible", &[Overload::new(OID, oid::BOOL, table)]),
    Definition::new("pg_type_is_visible", &[Overload::new(OID, oid::BOOL, of_type)]),
    Definition::new("pg_function_is_visible", &[Overload::new(OID, oid::BOOL, function)]),
];

fn table(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let relation = facts.catalog.relation(Oid(args[0].oid()));
    Ok(relation.map(|relation| facts.catalog.is_visible(&facts.path, &relation)).into())
}

fn of_type(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let type_oid = args[0].oid();
    if let Some(found) = types::get(type_oid) {
        return Ok((found.schema == Oid::PG_CATALOG).into());
    }
    let relation = facts.catalog.relation_of_row_type(Oid(type_oid));
    let relation = relation.and_then(|relation| facts.catalog.relation(relation));
    Ok(relation.map(|relation| facts.catalog.is_visible(&facts.path, &relation)).into())
}

fn function(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(procs::get(args[0].oid()).map(|_| true).into())
}

/// What PostgreSQL ships with is in pg_catalog, which is always on the path.
fn shipped(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok((args[0].oid() < Oid::FIRST_USER.0).into())
}
