//! The database, its schemas and roles: pg_database, pg_namespace, pg_authid, pg_roles, pg_user.

use super::description::class;
use crate::catalog::model::{Role, Schema};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::fixed;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

/// pg_encoding_to_char's number for UTF8.
const UTF8: i64 = 6;
/// pg_tablespace.oid of pg_default.
const PG_DEFAULT: i64 = 1663;

pub(super) fn databases(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "oid",
        "datname",
        "datdba",
        "encoding",
        "datlocprovider",
        "datallowconn",
        "datconnlimit",
        "dattablespace",
        "datcollate",
        "datctype",
    ];
    let mut rows = Rows::new(relation, &columns);
    if let Some(database) = facts.catalog.database() {
        rows.push(&[
            database.oid.into(),
            (&*database.name).into(),
            database.owner.into(),
            UTF8.into(),
            "c".into(),
            true.into(),
            Cell::Int(-1),
            PG_DEFAULT.into(),
            "C.UTF-8".into(),
            "C.UTF-8".into(),
        ])?;
    }
    rows.finish()
}

pub(super) fn namespaces(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["oid", "nspname", "nspowner", "nspacl"]);
    for object in facts.catalog.objects() {
        if let Object::Schema(schema) = object {
            let acl = initial_acl(schema, facts).map_or(Cell::Null, Cell::Texts);
            rows.push(&[schema.oid.into(), (&*schema.name).into(), schema.owner.into(), acl])?;
        }
    }
    rows.finish()
}

/// What PostgreSQL's initdb grants: everybody may use these schemas, their owner may create in them. So it is with
/// schema `terrane`.
fn initial_acl(schema: &Schema, facts: &Facts) -> Option<Vec<String>> {
    let shipped = [Oid::PG_CATALOG, Oid::INFORMATION_SCHEMA, Oid::PUBLIC, Oid::TERRANE];
    let owner = facts.role_name(schema.owner);
    shipped
        .contains(&schema.oid)
        .then(|| vec![format!("{owner}=UC/{owner}"), format!("=U/{owner}")])
}

/// pg_init_privs: what initdb granted, which pg_dump leaves out.
pub(super) fn initial_privileges(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = ["objoid", "classoid", "objsubid", "privtype", "initprivs"];
    let mut rows = Rows::new(relation, &columns);
    for object in facts.catalog.objects() {
        let Object::Schema(schema) = object else { continue };
        let Some(acl) = initial_acl(schema, facts) else { continue };
        let class = class::PG_NAMESPACE.into();
        rows.push(&[schema.oid.into(), class, 0.into(), "i".into(), Cell::Texts(acl)])?;
    }
    rows.finish()
}

fn roles_of(facts: &Facts) -> impl Iterator<Item = &Role> {
    facts.catalog.objects().filter_map(|object| match object {
        Object::Role(role) => Some(&**role),
        _ => None,
    })
}

const ROLE_COLUMNS: &[&str] = &[
    "oid",
    "rolname",
    "rolsuper",
    "rolinherit",
    "rolcreaterole",
    "rolcreatedb",
    "rolcanlogin",
    "rolreplication",
    "rolbypassrls",
    "rolconnlimit",
];

fn role_cells(role: &Role) -> [Cell<'_>; 10] {
    let superuser = Cell::Bool(role.superuser);
    [
        role.oid.into(),
        (&*role.name).into(),
        superuser.clone(),
        true.into(),
        superuser.clone(),
        superuser.clone(),
        role.login.into(),
        superuser.clone(),
        superuser,
        Cell::Int(-1),
    ]
}

/// pg_authid: the roles besides the predefined ones, which PostgreSQL ships with.
pub(super) fn authid(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, ROLE_COLUMNS);
    for role in roles_of(facts).filter(|role| role.login) {
        rows.push(&role_cells(role))?;
    }
    rows.finish()
}

/// pg_roles: all roles, passwords hidden.
pub(super) fn roles(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut columns = ROLE_COLUMNS.to_vec();
    columns.push("rolpassword");
    let mut rows = Rows::new(relation, &columns);
    let push = |rows: &mut Rows, role: &[Cell<'_>]| {
        let mut cells = role.to_vec();
        cells.push("********".into());
        rows.push(&cells)
    };
    for role in roles_of(facts).filter(|role| role.login) {
        push(&mut rows, &role_cells(role))?;
    }
    let (_, predefined) = fixed::table(include_str!("../../static/pg_authid.csv"));
    for row in &predefined {
        let cells: Vec<_> = row
            .iter()
            .enumerate()
            .map(|(at, text)| match (at, text.as_deref()) {
                (_, None) => Cell::Null,
                (1, Some(name)) => Cell::Text(name),
                (0 | 9, Some(number)) => number.parse().map_or(Cell::Null, Cell::Int),
                (_, Some(flag)) => Cell::Bool(flag == "t"),
            })
            .collect();
        push(&mut rows, &cells)?;
    }
    rows.finish()
}

pub(super) fn users(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns =
        ["usename", "usesysid", "usecreatedb", "usesuper", "userepl", "usebypassrls", "passwd"];
    let mut rows = Rows::new(relation, &columns);
    for role in roles_of(facts).filter(|role| role.login) {
        let superuser = Cell::Bool(role.superuser);
        rows.push(&[
            (&*role.name).into(),
            role.oid.into(),
            superuser.clone(),
            superuser.clone(),
            superuser.clone(),
            superuser,
            "********".into(),
        ])?;
    }
    rows.finish()
}
