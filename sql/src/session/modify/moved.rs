//! UPDATE of columns of the primary key: each row is deleted and put under its new key, in one commit.
//!
//! All rows of the statement go before the first comes back, so that they may trade keys: PostgreSQL, which
//! looks at each row as it changes it, refuses some such statements with 23505.

use super::apply::{Changed, encode_key};
use super::change::{Change, Found};
use super::violations::lost;
use crate::error::{SqlError, SqlState};
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use bytes::Bytes;
use std::collections::BTreeMap;
use terrane_client::cell;
use terrane_client::ids::ColumnId;
use terrane_client::key;
use terrane_client::program::{Action, Guard, Returning, RowProgram};
use terrane_client::row::{CellsBuilder, PackedCells, merge_cells};
use terrane_client::value::Value;

/// True where a column of the primary key is set.
pub(super) fn is_needed(change: &Change) -> bool {
    let schema = &change.target.schema;
    change.assignments.iter().any(|(column, _)| schema.key_position(column.id).is_some())
}

/// Changes the rows that were found: one answer for each, in their order.
pub(super) async fn apply(
    session: &mut ClientSession,
    change: &Change,
    rows: Vec<Found>,
    cancel: &Cancel,
) -> Result<Vec<Changed>, SqlError> {
    let target = &change.target;
    let keys = rows.iter().map(|row| row.key.clone()).collect();
    let current = session.rows_of(target, keys).await?;
    let (mut gone, mut back) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let Some(before) = current.get(target.schema.storage, &row.key) else {
            return Err(lost(target.schema.storage, &row.key));
        };
        let cells = merge_cells(&[written(change, &row)?, before.cells]);
        let key = new_key(change, &row)?;
        let there = Guard::Version(row.version);
        if key == row.key {
            back.push(program(change, key, there, Action::Put { cells }));
        } else {
            gone.push(program(change, row.key, there, Action::Delete));
            back.push(program(change, key, Guard::Absent, Action::Put { cells }));
        }
    }
    session.apply(target, gone, cancel).await?;
    session.apply(target, back, cancel).await
}

fn program(change: &Change, key: Bytes, guard: Guard, action: Action) -> RowProgram {
    let schema = &change.target.schema;
    RowProgram {
        table: schema.storage,
        schema_version: schema.version,
        key,
        guard,
        condition: None,
        action,
        returning: Returning::Nothing,
    }
}

fn new_key(change: &Change, row: &Found) -> Result<Bytes, SqlError> {
    let schema = &change.target.schema;
    let mut values = key::decode(&row.key, &schema.key_shape())
        .map_err(|error| SqlError::new(SqlState::DATA_CORRUPTED, error.to_string()))?;
    for ((column, _), value) in change.assignments.iter().zip(row.values()) {
        if let Some(position) = schema.key_position(column.id) {
            values[position] = value.clone();
        }
    }
    encode_key(&values, schema)
}

/// The cells of the columns that are set and not of the key.
fn written(change: &Change, row: &Found) -> Result<PackedCells, SqlError> {
    let schema = &change.target.schema;
    let set: BTreeMap<ColumnId, &Value> = change
        .assignments
        .iter()
        .zip(row.values())
        .filter(|((column, _), _)| schema.key_position(column.id).is_none())
        .map(|((column, _), value)| (column.id, value))
        .collect();
    let mut cells = CellsBuilder::default();
    let mut bytes = Vec::new();
    for column in schema.value_columns() {
        let Some(value) = set.get(&column.id) else { continue };
        if value.is_null() {
            cells.push(column.id, None);
            continue;
        }
        bytes.clear();
        cell::encode(value, &column.data_type, &mut bytes)
            .map_err(|error| SqlError::internal(error.to_string()))?;
        cells.push(column.id, Some(&bytes));
    }
    Ok(cells.finish())
}
