//! The arrays behind functions that make rows of JSON: json_each(), jsonb_array_elements(), json_object_keys() …
//!
//! They hold text: an array of jsonb would lose its elements' type when `unnest` makes rows of it, so the binder
//! casts what comes out (`bind/set_functions`).

use super::{JSON, JSONB};
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::{Arg, Definition, Overload};
use crate::types::json_tree::{Json, Kind as Node, normal};
use crate::types::oid;
use terrane_client::value::Value;

macro_rules! arrays {
    ($($name:literal of $kind:expr, $called:literal: $rows:expr;)*) => {
        &[$(Definition::new(
            $name,
            &[Overload::new(&[$kind], oid::TEXT_ARRAY, |_, args| {
                let rows: fn(&str, &Document<'_>) -> Rows = $rows;
                texts(args, $kind == JSONB, |document| rows($called, document))
            })],
        )),*]
    };
}

type Rows = Result<Vec<Option<String>>, SqlError>;

pub(super) const FUNCTIONS: &[Definition] = arrays! {
    "json_element_array" of JSON, "json_array_elements": elements;
    "json_element_text_array" of JSON, "json_array_elements_text": element_texts;
    "json_key_array" of JSON, "json_object_keys": keys;
    "json_each_keys" of JSON, "json_each": keys;
    "json_each_values" of JSON, "json_each": values;
    "json_each_text_keys" of JSON, "json_each_text": keys;
    "json_each_texts" of JSON, "json_each_text": value_texts;
    "jsonb_element_array" of JSONB, "jsonb_array_elements": elements;
    "jsonb_element_text_array" of JSONB, "jsonb_array_elements_text": element_texts;
    "jsonb_key_array" of JSONB, "jsonb_object_keys": keys;
    "jsonb_each_keys" of JSONB, "jsonb_each": keys;
    "jsonb_each_values" of JSONB, "jsonb_each": values;
    "jsonb_each_text_keys" of JSONB, "jsonb_each_text": keys;
    "jsonb_each_texts" of JSONB, "jsonb_each_text": value_texts;
};

struct Document<'a> {
    source: &'a str,
    json: Json,
    binary: bool,
}

impl Document<'_> {
    /// A part as it was written.
    fn part(&self, json: &Json) -> Option<String> {
        Some(self.source[json.place.clone()].to_owned())
    }

    /// A part as text: a string without its quotes, null as NULL.
    fn text(&self, json: &Json) -> Option<String> {
        match &json.kind {
            Node::Null => None,
            Node::String(text) => Some(text.clone()),
            // A literal without a type yet is not in jsonb's form.
            _ if self.binary => Some(json.jsonb()),
            _ => self.part(json),
        }
    }

    fn items(&self, called: &str) -> Result<&[Json], SqlError> {
        let what = match (&self.json.kind, self.binary) {
            (Node::Array(items), _) => return Ok(items),
            (Node::Object(_), true) => "cannot extract elements from an object".to_owned(),
            (_, true) => "cannot extract elements from a scalar".to_owned(),
            (Node::Object(_), false) => format!("cannot call {called} on a non-array"),
            (_, false) => format!("cannot call {called} on a scalar"),
        };
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what))
    }

    /// The entries of an object, of a jsonb in its order and each key once.
    fn entries(&self, called: &str) -> Result<Vec<(&str, &Json)>, SqlError> {
        let what = match (&self.json.kind, self.binary) {
            (Node::Object(entries), true) => return Ok(normal(entries)),
            (Node::Object(entries), false) => {
                return Ok(entries.iter().map(|(key, value)| (key.as_str(), value)).collect());
            }
            (_, true) if called == "jsonb_each" || called == "jsonb_each_text" => {
                format!("cannot call {called} on a non-object")
            }
            (Node::Array(_), _) if called.ends_with("keys") => {
                format!("cannot call {called} on an array")
            }
            (_, _) if called.ends_with("keys") => format!("cannot call {called} on a scalar"),
            (Node::Array(_), _) => "cannot deconstruct an array as an object".to_owned(),
            _ => "cannot deconstruct a scalar".to_owned(),
        };
        Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, what))
    }
}

fn texts(
    args: &[Arg],
    binary: bool,
    rows: impl Fn(&Document<'_>) -> Rows,
) -> Result<Cell<'static>, SqlError> {
    let source = args[0].text();
    let document = Document { source, json: Json::parse(source)?, binary };
    let value = |text: Option<String>| text.map_or(Value::Null, Value::Text);
    Ok(Cell::Value(Value::Array(rows(&document)?.into_iter().map(value).collect())))
}

fn elements(called: &str, document: &Document<'_>) -> Rows {
    Ok(document.items(called)?.iter().map(|item| document.part(item)).collect())
}

fn element_texts(called: &str, document: &Document<'_>) -> Rows {
    Ok(document.items(called)?.iter().map(|item| document.text(item)).collect())
}

fn keys(called: &str, document: &Document<'_>) -> Rows {
    let entries = document.entries(called)?;
    Ok(entries.into_iter().map(|(key, _)| Some(key.to_owned())).collect())
}

fn values(called: &str, document: &Document<'_>) -> Rows {
    let entries = document.entries(called)?;
    Ok(entries.into_iter().map(|(_, value)| document.part(value)).collect())
}

fn value_texts(called: &str, document: &Document<'_>) -> Rows {
    let entries = document.entries(called)?;
    Ok(entries.into_iter().map(|(_, value)| document.text(value)).collect())
}
