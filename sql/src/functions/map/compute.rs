//! What functions of maps make of their arguments. NULL for an argument that is NULL.

use super::Op;
use super::arguments::{Given, Keys, Lists, Maps};
use crate::error::{SqlError, SqlState};
use crate::types::map::not_stored;
use crate::types::oid;
use arrow::array::builder::LargeBinaryBuilder;
use arrow::array::{ArrayRef, BooleanArray, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields};
use std::sync::Arc;
use terrane_client::cell::map::MapEntry;
use terrane_client::cell::{self, MapCell, MapWriter};
use terrane_client::columns::ColumnBuilder;
use terrane_client::key::KeyReader;
use terrane_client::types::{DataType, MapType};
use terrane_client::value::Value;

type Outcome = Result<ArrayRef, SqlError>;

fn wrong(op: Op) -> SqlError {
    SqlError::internal(format!("{op:?} of such arguments"))
}

/// Functions of a map alone.
pub(super) fn of_one(op: Op, maps: &Maps<'_>, given: &Given<'_>) -> Outcome {
    let of = given.of;
    let key = |out: &mut ColumnBuilder, (key, _): MapEntry<'_>| append_key(out, key);
    let value = |out: &mut ColumnBuilder, (_, cell): MapEntry<'_>| append_value(out, cell);
    match op {
        Op::Keys => lists(maps, given, of.key(), key),
        Op::Values => lists(maps, given, of.value(), value),
        Op::Alternating => lists(maps, given, &DataType::Text, |out, entry| {
            key(out, entry)?;
            value(out, entry)
        }),
        Op::Entries => rows_of(maps, given),
        _ => Err(wrong(op)),
    }
}

/// Functions of a map and a key.
pub(super) fn of_key(op: Op, maps: &Maps<'_>, keys: &Keys, given: &Given<'_>) -> Outcome {
    match op {
        Op::Get => {
            let mut out = ColumnBuilder::new(given.of.value(), given.rows);
            for row in 0..given.rows {
                let found = match (maps.get(row)?, keys.get(row)) {
                    (Some(map), Some(key)) => map.get(key).flatten(),
                    _ => None,
                };
                match found {
                    Some(cell) => out.append_cell(cell).map_err(|error| not_stored(&error))?,
                    None => out.append_null(),
                }
            }
            Ok(out.finish())
        }
        Op::Exists => truths(given, |row| {
            Ok(maps.get(row)?.zip(keys.get(row)).map(|(map, key)| map.get(key).is_some()))
        }),
        Op::Defined => truths(given, |row| {
            Ok(maps.get(row)?.zip(keys.get(row)).map(|(map, key)| map.get(key).flatten().is_some()))
        }),
        Op::Delete => maps_of(given, |row| {
            let (Some(map), Some(key)) = (maps.get(row)?, keys.get(row)) else { return Ok(None) };
            Ok(Some(map.entries().filter(|(found, _)| *found != key).collect()))
        }),
        _ => Err(wrong(op)),
    }
}

/// Maps with a key's value. A map that is NULL has no keys yet.
pub(super) fn put(maps: &Maps<'_>, keys: &Keys, values: &Keys, given: &Given<'_>) -> Outcome {
    maps_of(given, |row| {
        let Some(key) = keys.get(row) else {
            let message = format!("{} subscript in assignment must not be null", given.of);
            return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
        };
        if key.is_empty() {
            let message = "a key of a map is longer than a row key can be";
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let map = maps.get(row)?;
        let kept = map.into_iter().flat_map(|map| map.entries()).filter(|(known, _)| *known != key);
        let mut entries: Vec<MapEntry<'_>> = kept.chain([(key, values.get(row))]).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        Ok(Some(entries))
    })
}

/// Functions of a map and an array of keys.
pub(super) fn of_keys(op: Op, maps: &Maps<'_>, all: &Lists, given: &Given<'_>) -> Outcome {
    let of = given.of;
    // NULL is no key, and is not asked for.
    let exist = |row: usize, each: bool| {
        let (Some(map), Some(keys)) = (maps.get(row)?, all.get(row)) else { return Ok(None) };
        let mut found = keys.iter().flatten().map(|key| map.get(key).is_some());
        Ok(Some(if each { found.all(|found| found) } else { found.any(|found| found) }))
    };
    match op {
        Op::ExistsAny => truths(given, |row| exist(row, false)),
        Op::ExistsAll => truths(given, |row| exist(row, true)),
        Op::GetAll => {
            let array = DataType::Array(Box::new(of.value().clone()));
            let mut out = ColumnBuilder::new(&array, given.rows);
            for row in 0..given.rows {
                let (Some(map), Some(keys)) = (maps.get(row)?, all.get(row)) else {
                    out.append_null();
                    continue;
                };
                let cell =
                    |key: &Option<Vec<u8>>| key.as_ref().and_then(|key| map.get(key)).flatten();
                let values = keys.iter().map(|key| value_of(cell(key), of));
                let values = Value::Array(values.collect::<Result<_, _>>()?);
                out.append_value(&values).map_err(|error| not_stored(&error))?;
            }
            Ok(out.finish())
        }
        Op::Delete | Op::Slice => maps_of(given, |row| {
            let (Some(map), Some(keys)) = (maps.get(row)?, all.get(row)) else { return Ok(None) };
            let mut keys: Vec<&[u8]> = keys.iter().flatten().map(Vec::as_slice).collect();
            keys.sort_unstable();
            let keeps = |key: &[u8]| keys.binary_search(&key).is_ok() == (op == Op::Slice);
            Ok(Some(map.entries().filter(|(key, _)| keeps(key)).collect()))
        }),
        _ => Err(wrong(op)),
    }
}

/// Functions of two maps.
pub(super) fn of_two(op: Op, left: &Maps<'_>, right: &Maps<'_>, given: &Given<'_>) -> Outcome {
    let both = |row| Ok::<_, SqlError>(left.get(row)?.zip(right.get(row)?));
    let has_all = |map: MapCell<'_>, other: MapCell<'_>| {
        other.entries().all(|(key, value)| map.get(key) == Some(value))
    };
    match op {
        Op::Contains => truths(given, |row| Ok(both(row)?.map(|(l, r)| has_all(l, r)))),
        Op::Contained => truths(given, |row| Ok(both(row)?.map(|(l, r)| has_all(r, l)))),
        Op::Concat => maps_of(given, |row| {
            let Some((left, right)) = both(row)? else { return Ok(None) };
            let kept = left.entries().filter(|(key, _)| right.get(key).is_none());
            let mut entries: Vec<MapEntry<'_>> = kept.chain(right.entries()).collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            Ok(Some(entries))
        }),
        Op::Delete => maps_of(given, |row| {
            let Some((left, right)) = both(row)? else { return Ok(None) };
            Ok(Some(left.entries().filter(|(key, v)| right.get(key) != Some(*v)).collect()))
        }),
        _ => Err(wrong(op)),
    }
}

fn value_of(cell: Option<&[u8]>, of: &MapType) -> Result<Value, SqlError> {
    match cell {
        None => Ok(Value::Null),
        Some(cell) => cell::decode(cell, of.value()).map_err(|error| not_stored(&error)),
    }
}

fn truths(given: &Given<'_>, truth: impl Fn(usize) -> Result<Option<bool>, SqlError>) -> Outcome {
    let truths: BooleanArray = (0..given.rows).map(truth).collect::<Result<_, _>>()?;
    Ok(Arc::new(truths))
}

/// Maps of entries that ascend.
fn maps_of<'a>(
    given: &Given<'_>,
    entries: impl Fn(usize) -> Result<Option<Vec<MapEntry<'a>>>, SqlError>,
) -> Outcome {
    let mut out = LargeBinaryBuilder::new();
    for row in 0..given.rows {
        let Some(entries) = entries(row)? else {
            out.append_null();
            continue;
        };
        let cell = MapWriter::cell_of(given.of, entries);
        out.append_value(cell.map_err(|error| not_stored(&error))?);
    }
    Ok(Arc::new(out.finish()))
}

/// Adds an entry's key to a column of keys.
fn append_key(out: &mut ColumnBuilder, key: &[u8]) -> Result<(), SqlError> {
    let mut reader = KeyReader::new(key);
    let read = out.append_key(&mut reader, false).and_then(|()| reader.finish());
    read.map_err(|error| SqlError::internal(error.to_string()))
}

/// Adds an entry's value to a column of values.
fn append_value(out: &mut ColumnBuilder, cell: Option<&[u8]>) -> Result<(), SqlError> {
    match cell {
        Some(cell) => out.append_cell(cell).map_err(|error| not_stored(&error)),
        None => {
            out.append_null();
            Ok(())
        }
    }
}

/// Arrays of what `append` adds of each entry: of a type that holds keys or values.
fn lists(
    maps: &Maps<'_>,
    given: &Given<'_>,
    element: &DataType,
    append: impl Fn(&mut ColumnBuilder, MapEntry<'_>) -> Result<(), SqlError>,
) -> Outcome {
    let mut elements = ColumnBuilder::new(element, given.rows);
    let shape = each_entry(maps, given, |entry| append(&mut elements, entry))?;
    let elements = elements.finish();
    let item = Arc::new(Field::new_list_field(elements.data_type().clone(), true));
    // Of one element an entry, or of two.
    let each = elements.len().checked_div(shape.entries()).unwrap_or(1);
    shape.lists(item, elements, each)
}

/// Arrays of rows of a key and its value.
fn rows_of(maps: &Maps<'_>, given: &Given<'_>) -> Outcome {
    let of = given.of;
    let mut keys = ColumnBuilder::new(of.key(), given.rows);
    let mut values = ColumnBuilder::new(of.value(), given.rows);
    let shape = each_entry(maps, given, |(key, cell)| {
        append_key(&mut keys, key)?;
        append_value(&mut values, cell)
    })?;
    let fields = Fields::from(vec![
        oid::field("key", of.key(), true),
        oid::field("value", of.value(), true),
    ]);
    let rows = StructArray::try_new(fields.clone(), vec![keys.finish(), values.finish()], None);
    let item = Arc::new(Field::new("item", ArrowType::Struct(fields), true));
    shape.lists(item, Arc::new(rows.map_err(internal)?), 1)
}

/// How many entries each row's map has.
struct Shape {
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

/// Visits the entries of all maps.
fn each_entry(
    maps: &Maps<'_>,
    given: &Given<'_>,
    mut visit: impl FnMut(MapEntry<'_>) -> Result<(), SqlError>,
) -> Result<Shape, SqlError> {
    let (mut lengths, mut valid) = (Vec::new(), Vec::new());
    for row in 0..given.rows {
        let map = maps.get(row)?;
        valid.push(map.is_some());
        lengths.push(map.map_or(0, |map| map.len()));
        map.into_iter().flat_map(|map| map.entries()).try_for_each(&mut visit)?;
    }
    Ok(Shape { lengths, valid })
}

impl Shape {
    fn entries(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Lists of `elements`, of which there are `each` an entry.
    fn lists(self, item: FieldRef, elements: ArrayRef, each: usize) -> Outcome {
        if i32::try_from(elements.len()).is_err() {
            let message = "the maps of a batch of rows have more entries than an array can have";
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        let offsets = OffsetBuffer::from_lengths(self.lengths.into_iter().map(|n| n * each));
        let nulls = Some(NullBuffer::from(self.valid));
        Ok(Arc::new(ListArray::try_new(item, offsets, elements, nulls).map_err(internal)?))
    }
}

fn internal(error: arrow::error::ArrowError) -> SqlError {
    SqlError::internal(error.to_string())
}
