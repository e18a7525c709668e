//! jsonb changed and compared: `@>`, `?`, `||`, `-`, `#-`, jsonb_set(), jsonb_pretty() …

use super::{INT, JSONB, PATH};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::{Arg, Definition, Kind, Overload};
use crate::types::json_tree::{Json, Kind as Node, normal, position};
use crate::types::jsonb::write_string;
use crate::types::oid;

const TEXT: Kind = Kind::Text;
const BOOL: Kind = Kind::Bool;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "jsonb_contains",
        &[Overload::new(&[JSONB, JSONB], oid::BOOL, |_, args| {
            Ok(contains(&tree(&args[0])?, &tree(&args[1])?, true).into())
        })],
    ),
    Definition::new(
        "jsonb_exists",
        &[Overload::new(&[JSONB, TEXT], oid::BOOL, |_, args| {
            Ok(exists(&tree(&args[0])?, args[1].text()).into())
        })],
    ),
    Definition::new(
        "jsonb_exists_any",
        &[Overload::new(&[JSONB, PATH], oid::BOOL, |_, args| {
            let json = tree(&args[0])?;
            Ok(args[1].texts().into_iter().flatten().any(|key| exists(&json, &key)).into())
        })],
    ),
    Definition::new(
        "jsonb_exists_all",
        &[Overload::new(&[JSONB, PATH], oid::BOOL, |_, args| {
            let json = tree(&args[0])?;
            Ok(args[1].texts().into_iter().flatten().all(|key| exists(&json, &key)).into())
        })],
    ),
    Definition::new("jsonb_concat", &[Overload::new(&[JSONB, JSONB], oid::JSONB, concat)]),
    Definition::new(
        "jsonb_delete",
        &[
            Overload::new(&[JSONB, INT], oid::JSONB, delete_at),
            Overload::new(&[JSONB, TEXT], oid::JSONB, |_, args| {
                delete_keys(&args[0], &[Some(args[1].text().to_owned())])
            }),
            Overload::new(&[JSONB, PATH], oid::JSONB, |_, args| {
                delete_keys(&args[0], &args[1].texts())
            }),
        ],
    ),
    Definition::new("jsonb_delete_path", &[Overload::new(&[JSONB, PATH], oid::JSONB, delete_path)]),
    Definition::new(
        "jsonb_set",
        &[
            Overload::new(&[JSONB, PATH, JSONB], oid::JSONB, set),
            Overload::new(&[JSONB, PATH, JSONB, BOOL], oid::JSONB, set),
        ],
    ),
    Definition::new(
        "jsonb_insert",
        &[
            Overload::new(&[JSONB, PATH, JSONB], oid::JSONB, insert),
            Overload::new(&[JSONB, PATH, JSONB, BOOL], oid::JSONB, insert),
        ],
    ),
    Definition::new(
        "jsonb_strip_nulls",
        &[Overload::new(&[JSONB], oid::JSONB, |_, args| {
            let mut json = tree(&args[0])?;
            strip_nulls(&mut json);
            Ok(json.jsonb().into())
        })],
    ),
    Definition::new(
        "jsonb_pretty",
        &[Overload::new(&[JSONB], oid::TEXT, |_, args| {
            let mut out = String::new();
            pretty(&tree(&args[0])?, 0, &mut out);
            Ok(out.into())
        })],
    ),
];

fn tree(arg: &Arg) -> Result<Json, SqlError> {
    Json::parse(arg.text())
}

fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Numbers are equal by value: 1.0 is 1.
fn same_number(left: &str, right: &str) -> bool {
    let bare = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    bare(left) == bare(right)
}

fn contains(whole: &Json, part: &Json, outermost: bool) -> bool {
    match (&whole.kind, &part.kind) {
        (Node::Object(_), Node::Object(entries)) => normal(entries)
            .into_iter()
            .all(|(key, value)| whole.get(key).is_some_and(|found| contains(found, value, false))),
        (Node::Array(items), Node::Array(wanted)) => {
            wanted.iter().all(|value| items.iter().any(|item| contains(item, value, false)))
        }
        // PostgreSQL's exception: an array contains a scalar.
        (Node::Array(items), scalar)
            if outermost && !matches!(scalar, Node::Object(_) | Node::Array(_)) =>
        {
            items.iter().any(|item| contains(item, part, false))
        }
        (Node::Number(left), Node::Number(right)) => same_number(left, right),
        (left, right) => left == right,
    }
}

fn exists(json: &Json, key: &str) -> bool {
    match &json.kind {
        Node::Object(_) => json.get(key).is_some(),
        Node::Array(items) => {
            items.iter().any(|item| matches!(&item.kind, Node::String(text) if text == key))
        }
        Node::String(text) => text == key,
        _ => false,
    }
}

fn concat(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (left, right) = (tree(&args[0])?, tree(&args[1])?);
    let joined = match (left.kind, right.kind) {
        (Node::Object(mut left), Node::Object(right)) => {
            left.extend(right);
            Node::Object(left)
        }
        (left, right) => {
            let items = |kind: Node| match kind {
                Node::Array(items) => items,
                other => vec![other.into()],
            };
            let mut left = items(left);
            left.extend(items(right));
            Node::Array(left)
        }
    };
    Ok(Json::from(joined).jsonb().into())
}

fn delete_at(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let mut json = tree(&args[0])?;
    match &mut json.kind {
        Node::Array(items) => {
            if let Some(at) = position(args[1].int(), items.len()) {
                items.remove(at);
            }
        }
        Node::Object(_) => {
            return Err(invalid("cannot delete from object using integer index"));
        }
        _ => return Err(invalid("cannot delete from scalar")),
    }
    Ok(json.jsonb().into())
}

fn delete_keys(json: &Arg, keys: &[Option<String>]) -> Result<Cell<'static>, SqlError> {
    let mut json = tree(json)?;
    let is_named = |name: &str| keys.iter().flatten().any(|key| key == name);
    match &mut json.kind {
        Node::Object(entries) => entries.retain(|(key, _)| !is_named(key)),
        Node::Array(items) => {
            items.retain(|item| !matches!(&item.kind, Node::String(text) if is_named(text)));
        }
        _ => return Err(invalid("cannot delete from scalar")),
    }
    Ok(json.jsonb().into())
}

/// What a path's last step is to do.
enum Change<'a> {
    Delete,
    /// Sets what is there; adds what is not, if told to.
    Set(&'a Json, bool),
    /// Adds beside what is there: after it, or before.
    Insert(&'a Json, bool),
}

/// Applies a change at the end of a path, `number` being the number of its first step here.
fn change(
    json: &mut Json,
    path: &[String],
    number: usize,
    what: &Change<'_>,
) -> Result<(), SqlError> {
    let Some((step, rest)) = path.split_first() else { return Ok(()) };
    match &mut json.kind {
        Node::Object(entries) => {
            let found = entries.iter().rposition(|(key, _)| key == step);
            match (found, what) {
                (Some(at), _) if !rest.is_empty() => {
                    return change(&mut entries[at].1, rest, number + 1, what);
                }
                (Some(_), Change::Delete) => entries.retain(|(key, _)| key != step),
                (Some(at), Change::Set(value, _)) => entries[at].1 = (*value).clone(),
                (Some(_), Change::Insert(..)) => {
                    return Err(invalid("cannot replace existing key")
                        .with_hint("Try using the function jsonb_set to replace key value."));
                }
                (None, Change::Set(value, true) | Change::Insert(value, _)) if rest.is_empty() => {
                    entries.push((step.clone(), (*value).clone()));
                }
                (None, _) => {}
            }
        }
        Node::Array(items) => {
            let index: i64 = step.trim().parse().map_err(|_| {
                SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    format!("path element at position {number} is not an integer: \"{step}\""),
                )
            })?;
            let found = position(index, items.len());
            let end = if index < 0 { 0 } else { items.len() };
            match (found, what) {
                (Some(at), _) if !rest.is_empty() => {
                    return change(&mut items[at], rest, number + 1, what);
                }
                (Some(at), Change::Delete) => drop(items.remove(at)),
                (Some(at), Change::Set(value, _)) => items[at] = (*value).clone(),
                (Some(at), Change::Insert(value, after)) => {
                    items.insert(at + usize::from(*after), (*value).clone());
                }
                (None, Change::Set(value, true) | Change::Insert(value, _)) if rest.is_empty() => {
                    items.insert(end, (*value).clone());
                }
                (None, _) => {}
            }
        }
        _ => {}
    }
    Ok(())
}

/// A path without NULLs, or 22004.
fn steps(path: &Arg) -> Result<Vec<String>, SqlError> {
    let texts = path.texts();
    texts
        .into_iter()
        .enumerate()
        .map(|(at, step)| {
            step.ok_or_else(|| {
                SqlError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    format!("path element at position {} is null", at + 1),
                )
            })
        })
        .collect()
}

fn delete_path(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let mut json = tree(&args[0])?;
    if !matches!(json.kind, Node::Array(_) | Node::Object(_)) {
        return Err(invalid("cannot delete path in scalar"));
    }
    change(&mut json, &steps(&args[1])?, 1, &Change::Delete)?;
    Ok(json.jsonb().into())
}

fn set(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (mut json, value) = (tree(&args[0])?, tree(&args[2])?);
    if !matches!(json.kind, Node::Array(_) | Node::Object(_)) {
        return Err(invalid("cannot set path in scalar"));
    }
    let create = args.get(3).is_none_or(Arg::is_true);
    change(&mut json, &steps(&args[1])?, 1, &Change::Set(&value, create))?;
    Ok(json.jsonb().into())
}

fn insert(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (mut json, value) = (tree(&args[0])?, tree(&args[2])?);
    if !matches!(json.kind, Node::Array(_) | Node::Object(_)) {
        return Err(invalid("cannot set path in scalar"));
    }
    let after = args.get(3).is_some_and(Arg::is_true);
    change(&mut json, &steps(&args[1])?, 1, &Change::Insert(&value, after))?;
    Ok(json.jsonb().into())
}

fn strip_nulls(json: &mut Json) {
    match &mut json.kind {
        Node::Object(entries) => {
            entries.retain(|(_, value)| value.kind != Node::Null);
            entries.iter_mut().for_each(|(_, value)| strip_nulls(value));
        }
        Node::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

fn pretty(json: &Json, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth * 4));
    };
    match &json.kind {
        Node::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                pretty(item, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Node::Object(entries) => {
            out.push('{');
            for (at, (key, value)) in normal(entries).into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                write_string(key, out);
                out.push_str(": ");
                pretty(value, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        _ => out.push_str(&json.jsonb()),
    }
}
