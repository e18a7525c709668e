//! Map columns in row programs: a map's cell, as clients send and get it, and the changes of entries that are written.
//!
//! An assignment that puts and removes keys of its own column (`SET m['k'] = v`, `m || …`, `m - 'k'`) changes those
//! entries and reads none. Any other value replaces the whole map. The row may have been read in part
//! ([`crate::map_column::MapParts`]): what is changed is then changed in that part, which is all that the program
//! looks at.

use super::{RowReader, ill_typed};
use crate::cell::map::encode_key;
use crate::cell::{self, MapCell};
use crate::expr::{self, Expr, ExprError};
use crate::ids::ColumnId;
use crate::key::KeyError;
use crate::map_column::{Clear, EntryChange, MapChange, MapChanges};
use crate::program::RowError;
use crate::row::{CellsBuilder, PackedCells};
use crate::schema::{Column, TableSchema};
use crate::types::{DataType, MapType};
use crate::value::Value;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A whole row that is to be written.
pub(super) struct WholeRow {
    /// What is stored as cells.
    pub(super) cells: PackedCells,
    /// The entries of its maps.
    pub(super) maps: MapChanges,
    /// The row as it will be read.
    pub(super) after: PackedCells,
}

/// Parts a whole row's cells into those that are stored as cells and the entries of maps.
pub(super) fn part_cells(cells: &PackedCells, schema: &TableSchema) -> Result<WholeRow, RowError> {
    let mut maps = MapChanges::default();
    if !schema.columns.iter().any(Column::is_map) {
        return Ok(WholeRow { cells: cells.clone(), maps, after: cells.clone() });
    }
    let (mut stored, mut after) = (CellsBuilder::default(), CellsBuilder::default());
    for (id, cell) in cells.iter() {
        let Some(of) = schema.column(id).and_then(Column::map_type) else {
            stored.push(id, cell);
            after.push(id, cell);
            continue;
        };
        // NULL is no map, and a map column without entries is an empty one.
        let Some(cell) = cell else { continue };
        after.push(id, Some(cell));
        let entries = entries_of(cell, of)?;
        if !entries.is_empty() {
            maps.0.insert(id, MapChange { entries, ..MapChange::default() });
        }
    }
    Ok(WholeRow { cells: stored.finish(), maps, after: after.finish() })
}

fn entries_of(cell: &[u8], of: &MapType) -> Result<BTreeMap<Bytes, EntryChange>, RowError> {
    let map = MapCell::new(cell, of).ok_or_else(|| ill_typed(&format!("no cell of {of}")))?;
    let entry = |(key, value): (&[u8], Option<&[u8]>)| {
        let value = value.map(Bytes::copy_from_slice);
        (Bytes::copy_from_slice(key), EntryChange::Put(value))
    };
    Ok(map.entries().map(entry).collect())
}

/// What an assignment to a map column changes.
pub(super) struct Assigned {
    /// The entries.
    pub(super) change: MapChange,
    /// The map as it will be, as far as it was read.
    pub(super) cell: Vec<u8>,
}

/// One step of a chain of puts and removals: a key, and its value if it is put.
type Step = (Value, Option<Value>);

/// Evaluates an assignment to a map column.
pub(super) fn assign(
    column: &Column,
    of: &MapType,
    value: &Expr,
    found: &RowReader<'_>,
) -> Result<Assigned, RowError> {
    let (base, steps) = steps_of(value, found)?;
    let is_own = matches!(base, Expr::Column(id, _) if *id == column.id);
    let mut map = match expr::evaluate(base, found)? {
        Value::Null => Value::Map(Vec::new()),
        map => map,
    };
    let mut change = MapChange::default();
    if !is_own {
        let bytes = encoded(&map, &column.data_type)?;
        change = MapChange {
            clear: Clear::Rest,
            entries: entries_of(&bytes, of)?,
            ..MapChange::default()
        };
    }
    for (key, value) in steps {
        if key.is_null() && value.is_none() {
            // Without NULL is NULL: no entries, as a map column is never NULL.
            map = Value::Map(Vec::new());
            change = MapChange { clear: Clear::Rest, ..MapChange::default() };
            continue;
        }
        if key.is_null() {
            return Err(ExprError::NullMapKey.into());
        }
        let encoded_key = encode_key(&key, of).map_err(of_key)?.into();
        match value {
            Some(value) => {
                let cell = cell::encoded(&value, of.value()).map_err(ExprError::from)?;
                change.entries.insert(encoded_key, EntryChange::Put(cell.map(Bytes::from)));
                map = expr::put_entry(map, key, value)?;
            }
            None => {
                change.entries.insert(encoded_key, EntryChange::Remove);
                map = expr::remove_entry(map, &key)?;
            }
        }
    }
    Ok(Assigned { change, cell: encoded(&map, &column.data_type)? })
}

fn of_key(error: KeyError) -> RowError {
    RowError::Expr(match error {
        KeyError::TooLarge { size } => ExprError::TooLarge(size),
        KeyError::OutOfRange(data_type) => ExprError::OutOfRange(data_type.to_string()),
        other => ExprError::IllTyped(other.to_string()),
    })
}

fn encoded(map: &Value, data_type: &DataType) -> Result<Vec<u8>, RowError> {
    Ok(cell::encoded(map, data_type).map_err(ExprError::from)?.unwrap_or_default())
}

/// The puts and removals at the top of an expression, in the order in which they happen, and what they begin with.
fn steps_of<'e>(value: &'e Expr, found: &RowReader<'_>) -> Result<(&'e Expr, Vec<Step>), RowError> {
    let mut steps = Vec::new();
    let mut base = value;
    loop {
        match base {
            Expr::MapPut { map, key, value } => {
                let (key, value) = (expr::evaluate(key, found)?, expr::evaluate(value, found)?);
                steps.push((key, Some(value)));
                base = map;
            }
            Expr::MapRemove(map, key) => {
                steps.push((expr::evaluate(key, found)?, None));
                base = map;
            }
            Expr::MapConcat(map, other) => match expr::evaluate(other, found)? {
                Value::Map(entries) => {
                    // The last step comes first: they are turned round at the end.
                    let puts = entries.into_iter().rev().map(|(key, value)| (key, Some(value)));
                    steps.extend(puts);
                    base = map;
                }
                // With NULL it is NULL, which is evaluated as it stands.
                _ => break,
            },
            _ => break,
        }
    }
    steps.reverse();
    Ok((base, steps))
}

/// The expressions that an assignment to a map column reads the row with: all but the column itself, where its
/// entries are put and removed.
pub fn each_read_of_assignment(
    column: ColumnId,
    value: &Expr,
    visit: &mut dyn FnMut(ColumnId, Option<&Value>),
) {
    match value {
        Expr::MapPut { map, key, value } => {
            each_read_of_assignment(column, map, visit);
            key.each_read(visit);
            value.each_read(visit);
        }
        Expr::MapRemove(map, other) | Expr::MapConcat(map, other) => {
            each_read_of_assignment(column, map, visit);
            other.each_read(visit);
        }
        Expr::Column(id, DataType::Map(_)) if *id == column => {}
        other => other.each_read(visit),
    }
}
