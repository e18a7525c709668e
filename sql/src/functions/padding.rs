//! lpad(), rpad(), repeat(), chr(): text that its caller's numbers make, refused (54000) where it is too long to hold
//! or no text.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;

const INT: Kind = Kind::Int;
const TEXT: Kind = Kind::Text;

/// What PostgreSQL allots at most for one value, bytes: 1 GB.
const VALUE_BYTES_MAX: usize = 0x3fff_ffff;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "lpad",
        &[
            Overload::new(&[TEXT, INT], oid::TEXT, |_, args| padded(args, " ", Side::Left)),
            Overload::new(&[TEXT, INT, TEXT], oid::TEXT, |_, args| {
                padded(args, args[2].text(), Side::Left)
            }),
        ],
    ),
    Definition::new(
        "rpad",
        &[
            Overload::new(&[TEXT, INT], oid::TEXT, |_, args| padded(args, " ", Side::Right)),
            Overload::new(&[TEXT, INT, TEXT], oid::TEXT, |_, args| {
                padded(args, args[2].text(), Side::Right)
            }),
        ],
    ),
    Definition::new("repeat", &[Overload::new(&[TEXT, INT], oid::TEXT, repeated)]),
    Definition::new("chr", &[Overload::new(&[INT], oid::TEXT, character)]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn too_large() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}

/// As many characters as the second argument says: cut, or filled on one side.
fn padded(args: &[Arg], fill: &str, side: Side) -> Result<Cell<'static>, SqlError> {
    let text = args[0].text();
    let wanted = usize::try_from(args[1].int()).unwrap_or(0);
    if let Some((cut, _)) = text.char_indices().nth(wanted) {
        return Ok(text[..cut].to_owned().into());
    }
    let missing = wanted - text.chars().count();
    if fill.is_empty() || missing == 0 {
        return Ok(text.to_owned().into());
    }
    let widest = fill.chars().map(char::len_utf8).max().unwrap_or(1);
    if missing.saturating_mul(widest).saturating_add(text.len()) > VALUE_BYTES_MAX {
        return Err(too_large());
    }
    let filling: String = fill.chars().cycle().take(missing).collect();
    Ok(match side {
        Side::Left => filling + text,
        Side::Right => text.to_owned() + &filling,
    }
    .into())
}

/// The character of a code point.
fn character(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let code = args[0].int();
    let refused = |message: String| Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    match u32::try_from(code).ok().map(char::from_u32) {
        Some(Some('\0')) => refused("null character not permitted".to_owned()),
        Some(Some(character)) => Ok(character.to_string().into()),
        None => refused("character number must be positive".to_owned()),
        Some(None) => refused(format!("requested character not valid for encoding: {code}")),
    }
}

fn repeated(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let text = args[0].text();
    let times = usize::try_from(args[1].int()).unwrap_or(0);
    if text.len().saturating_mul(times) > VALUE_BYTES_MAX {
        return Err(too_large());
    }
    Ok(text.repeat(times).into())
}
