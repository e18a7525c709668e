//! hstore(): of a key and a value, of an array of both in turn, of arrays of keys and of values.

use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::functions::system::function::{Arg, Definition, Kind, Overload};
use crate::types::map::hstore::first_of_each;
use crate::types::oid;
use terrane_client::value::Value;

const TEXTS: Kind = Kind::Of(oid::TEXT_ARRAY);

/// The functions by name.
pub(in crate::functions) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "hstore",
        &[
            Overload::of_nulls(&[Kind::Text, Kind::Text], oid::HSTORE, of_one),
            Overload::new(&[TEXTS], oid::HSTORE, of_pairs),
            Overload::of_nulls(&[TEXTS, TEXTS], oid::HSTORE, of_arrays),
        ],
    ),
    Definition::new(
        "tconvert",
        &[Overload::of_nulls(&[Kind::Text, Kind::Text], oid::HSTORE, of_one)],
    ),
];

fn map(entries: Vec<(Value, Value)>) -> Cell<'static> {
    Cell::Value(Value::Map(first_of_each(entries)))
}

fn null_key() -> SqlError {
    let message = "null value not allowed for hstore key";
    SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message)
}

fn value(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

/// NULL where the key is.
fn of_one(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    if args[0] == Arg::Null {
        return Ok(Cell::Null);
    }
    let key = Value::Text(args[0].text().to_owned());
    let value = value((args[1] != Arg::Null).then(|| args[1].text().to_owned()));
    Ok(map(vec![(key, value)]))
}

fn of_pairs(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    pairs(args[0].texts()).map(map)
}

/// Keys and values in turn.
pub(super) fn pairs(texts: Vec<Option<String>>) -> Result<Vec<(Value, Value)>, SqlError> {
    if texts.len() % 2 == 1 {
        let message = "array must have even number of elements";
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    }
    let mut entries = Vec::with_capacity(texts.len() / 2);
    let mut texts = texts.into_iter();
    while let (Some(key), Some(of_key)) = (texts.next(), texts.next()) {
        entries.push((Value::Text(key.ok_or_else(null_key)?), value(of_key)));
    }
    Ok(entries)
}

/// NULL where the keys are; without values all are NULL.
fn of_arrays(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    if args[0] == Arg::Null {
        return Ok(Cell::Null);
    }
    let keys = args[0].texts();
    let values = match args[1] == Arg::Null {
        true => vec![None; keys.len()],
        false => args[1].texts(),
    };
    if keys.len() != values.len() {
        let message = "arrays must have same bounds";
        return Err(SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message));
    }
    let entry = |(key, of_key): (Option<String>, _)| {
        Ok((Value::Text(key.ok_or_else(null_key)?), value(of_key)))
    };
    keys.into_iter().zip(values).map(entry).collect::<Result<_, SqlError>>().map(map)
}
