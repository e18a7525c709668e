//! acldefault(), and the options that foreign-data wrappers keep as `name=value`.

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::oid::Oid;
use crate::catalog::quote::quote_ident;
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;

const TEXTS: Kind = Kind::Of(oid::TEXT_ARRAY);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "acldefault",
        &[Overload::new(&[Kind::Text, Kind::Oid(oid::OID)], oid::ACLITEM_ARRAY, default)],
    ),
    Definition::new(
        "option_names",
        &[Overload::new(&[TEXTS], oid::TEXT_ARRAY, |_, args| options(args, |(name, _)| name))],
    ),
    Definition::new(
        "option_values",
        &[Overload::new(&[TEXTS], oid::TEXT_ARRAY, |_, args| options(args, |(_, value)| value))],
    ),
];

/// What everybody and the owner may do with a new object of a kind.
fn default(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (everybody, owners) = match args[0].text() {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        "p" => ("", "sA"),
        other => {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized object type abbreviation: {other}"),
            ));
        }
    };
    let oid = args[1].oid();
    let owner = match facts.role_name(Oid(oid)) {
        "" => oid.to_string(),
        name => quote_ident(name).to_string(),
    };
    let grants = [("", everybody), (owner.as_str(), owners)];
    let items = grants.iter().filter(|(_, privileges)| !privileges.is_empty());
    Ok(Cell::Texts(items.map(|(to, privileges)| format!("{to}={privileges}/{owner}")).collect()))
}

fn options(
    args: &[Arg],
    part: impl Fn((String, String)) -> String,
) -> Result<Cell<'static>, SqlError> {
    let parts = args[0].texts().into_iter().flatten().map(|option| {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        part((name.to_owned(), value.to_owned()))
    });
    Ok(Cell::Texts(parts.collect()))
}
