//! obj_description() and its kin: comments.

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::oid::Oid;
use crate::catalog::system::pg_catalog::description::{class, comments, shared_comments};
use crate::catalog::system::rows::Cell;
use crate::catalog::system::{Facts, fixed, relations};
use crate::error::SqlError;
use crate::types::oid;
use hashbrown::HashMap;
use std::sync::LazyLock;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "obj_description",
        &[
            Overload::new(&[Kind::Oid(oid::OID)], oid::TEXT, any_object),
            Overload::new(&[Kind::Oid(oid::OID), Kind::Text], oid::TEXT, object),
        ],
    ),
    Definition::new(
        "col_description",
        &[Overload::new(&[Kind::Oid(oid::OID), Kind::Int], oid::TEXT, column)],
    ),
    Definition::new(
        "shobj_description",
        &[Overload::new(&[Kind::Oid(oid::OID), Kind::Text], oid::TEXT, shared)],
    ),
];

/// The comments on what PostgreSQL ships with, by object.
static SHIPPED: LazyLock<HashMap<u32, Vec<(Oid, String)>>> = LazyLock::new(|| {
    let (_, rows) = fixed::table(include_str!("../../catalog/static/pg_description.csv"));
    let mut shipped: HashMap<u32, Vec<(Oid, String)>> = HashMap::new();
    for row in rows {
        let mut fields = row.into_iter().flatten();
        let mut number = || fields.next()?.parse::<u32>().ok();
        if let (Some(object), Some(class), Some(0)) = (number(), number(), number())
            && let Some(text) = fields.next()
        {
            shipped.entry(object).or_default().push((Oid(class), text));
        }
    }
    shipped
});

/// A comment on an object, in this catalog or in any.
fn comment(facts: &Facts, of: Oid, class: Option<Oid>) -> Option<String> {
    if of < Oid::FIRST_USER
        && let Some(shipped) = SHIPPED.get(&of.0)
        && let Some((_, text)) = shipped.iter().find(|(c, _)| class.is_none_or(|class| *c == class))
    {
        return Some(text.clone());
    }
    let all = comments(facts);
    let found = all.iter().find(|(class_of, object, column, _)| {
        class.is_none_or(|class| *class_of == class) && *object == of && *column == 0
    });
    found.map(|(_, _, _, text)| (*text).to_owned())
}

fn any_object(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(comment(facts, Oid(args[0].oid()), None).into())
}

/// The system catalog of this name.
fn catalog_class(name: &str) -> Option<Oid> {
    relations::by_name(Oid::PG_CATALOG, name).map(|relation| relation.oid)
}

fn object(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Some(class) = catalog_class(args[1].text()) else { return Ok(Cell::Null) };
    Ok(comment(facts, Oid(args[0].oid()), Some(class)).into())
}

fn column(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (of, number) = (Oid(args[0].oid()), args[1].int());
    if number == 0 {
        return Ok(Cell::Null);
    }
    let all = comments(facts);
    let found = all.iter().find(|(class_of, object, column, _)| {
        *class_of == class::PG_CLASS && *object == of && i64::from(*column) == number
    });
    Ok(found.map(|(_, _, _, text)| (*text).to_owned()).into())
}

fn shared(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let of = Oid(args[0].oid());
    let class = catalog_class(args[1].text());
    let all = shared_comments(facts);
    let found =
        all.iter().find(|(class_of, object, _, _)| Some(*class_of) == class && *object == of);
    Ok(found.map(|(_, _, _, text)| (*text).to_owned()).into())
}
