//! Parts of JSON: `->`, `->>`, `#>`, `#>>`, `json_typeof()`, `json_array_length()`.
//!
//! A part of a `json` is given as it was written; of a `jsonb` everything is in its normal form already, so
//! the same holds.

use super::{INT, JSON, JSONB, PATH};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::{Arg, Definition, Kind, Overload};
use crate::types::json_tree::{Json, Kind as Node};
use crate::types::oid;

macro_rules! of_both {
    ($kind:expr, $type_oid:expr, $get:literal, $text:literal, $path:literal, $path_text:literal,
     $type_of:literal, $length:literal) => {
        [
            Definition::new(
                $get,
                &[
                    Overload::new(&[$kind, INT], $type_oid, |_, args| part(args, false)),
                    Overload::new(&[$kind, Kind::Text], $type_oid, |_, args| part(args, false)),
                ],
            ),
            Definition::new(
                $text,
                &[
                    Overload::new(&[$kind, INT], oid::TEXT, |_, args| part(args, true)),
                    Overload::new(&[$kind, Kind::Text], oid::TEXT, |_, args| part(args, true)),
                ],
            ),
            Definition::new(
                $path,
                &[Overload::new(&[$kind, PATH], $type_oid, |_, args| along(args, false))],
            ),
            Definition::new(
                $path_text,
                &[Overload::new(&[$kind, PATH], oid::TEXT, |_, args| along(args, true))],
            ),
            Definition::new($type_of, &[Overload::new(&[$kind], oid::TEXT, type_of)]),
            Definition::new($length, &[Overload::new(&[$kind], oid::INT4, length)]),
        ]
    };
}

pub(super) const OF_JSON: &[Definition] = &of_both!(
    JSON,
    oid::JSON,
    "json_object_field",
    "json_object_field_text",
    "json_part",
    "json_part_text",
    "json_typeof",
    "json_array_length"
);

pub(super) const OF_JSONB: &[Definition] = &of_both!(
    JSONB,
    oid::JSONB,
    "jsonb_object_field",
    "jsonb_object_field_text",
    "jsonb_part",
    "jsonb_part_text",
    "jsonb_typeof",
    "jsonb_array_length"
);

/// A part as JSON, or as text: a string without its quotes, null as NULL.
fn shown(found: Option<&Json>, source: &str, as_text: bool) -> Cell<'static> {
    match found {
        None => Cell::Null,
        Some(Json { kind: Node::Null, .. }) if as_text => Cell::Null,
        Some(Json { kind: Node::String(text), .. }) if as_text => text.clone().into(),
        Some(part) => source[part.place.clone()].to_owned().into(),
    }
}

fn part(args: &[Arg], as_text: bool) -> Result<Cell<'static>, SqlError> {
    let source = args[0].text();
    let json = Json::parse(source)?;
    let found = match &args[1] {
        Arg::Int(index) => json.at(*index),
        key => json.get(key.text()),
    };
    Ok(shown(found, source, as_text))
}

fn along(args: &[Arg], as_text: bool) -> Result<Cell<'static>, SqlError> {
    let source = args[0].text();
    let json = Json::parse(source)?;
    let mut found = Some(&json);
    for step in args[1].texts() {
        // A NULL in a path leads nowhere.
        let Some(step) = step else { return Ok(Cell::Null) };
        found = found.and_then(|json| match &json.kind {
            Node::Array(_) => json.at(step.trim().parse().ok()?),
            _ => json.get(&step),
        });
    }
    Ok(shown(found, source, as_text))
}

fn type_of(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(Json::parse(args[0].text())?.type_name().into())
}

fn length(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let wrong = |what: &str| {
        Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("cannot get array length of {what}"),
        ))
    };
    match &Json::parse(args[0].text())?.kind {
        Node::Array(items) => Ok(Cell::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))),
        Node::Object(_) => wrong("a non-array"),
        _ => wrong("a scalar"),
    }
}
