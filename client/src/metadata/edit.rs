//! Edits of METADATA's rows, as row programs and lock-service transactions (rule 18).
//!
//! Contract: an edit is made by whoever read `before` and applies only while that is still the row: its
//! condition is the row's generation and version, and it raises the version by one. An answer of
//! [`crate::program::RowOutcome::Unmatched`], or [`crate::lock::Outcome::Conflict`] for the root, means
//! that someone else was first and nothing was done: read the row again. After an unknown outcome the owner
//! re-reads until it knows, and makes no other edit meanwhile.

use super::{ROOT_KEY, TabletRow, codec, column, schema};
use crate::error::TabletError;
use crate::expr::{BinaryOp, Expr};
use crate::ids::{ColumnId, Generation, StorageId};
use crate::lock::{Change, Compare, Transaction};
use crate::program::{Action, Guard, OnConflict, Returning, RowProgram};
use crate::types::DataType;
use crate::value::Value;

/// A conditional change of one tablet's METADATA row.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The row once the edit is made.
    pub row: TabletRow,
    before: (Generation, u64),
}

impl Edit {
    /// Changes `before`, which was read from METADATA or is what the last edit left. The version is raised
    /// here; table and end key must stay, since they are the row's name.
    pub fn new(
        before: &TabletRow,
        change: impl FnOnce(&mut TabletRow),
    ) -> Result<Self, TabletError> {
        let mut row = before.clone();
        change(&mut row);
        if row.table != before.table || row.end != before.end {
            return Err(TabletError::Internal("an edit cannot rename a tablet".to_owned()));
        }
        row.version = before.version + 1;
        Ok(Self { row, before: (before.generation, before.version) })
    }

    /// The edit of an ordinary tablet's row, in METADATA.
    pub fn program(&self) -> Result<RowProgram, TabletError> {
        let (generation, version) = self.before;
        let unchanged = Expr::And(vec![
            compare(BinaryOp::Eq, column::GENERATION, generation.0),
            compare(BinaryOp::Eq, column::VERSION, version),
        ]);
        program(&self.row, Some(unchanged), Action::Update { assignments: assignments(&self.row)? })
    }

    /// The edit of the root tablet's row, in the lock service, where `before` stood at `revision`.
    pub fn transaction(&self, revision: u64) -> Result<Transaction, TabletError> {
        root_transaction(&self.row, revision)
    }
}

/// Puts the root tablet's row into the lock service, if what is there still stands at `revision`.
pub fn root_transaction(row: &TabletRow, revision: u64) -> Result<Transaction, TabletError> {
    let value = codec::state(row)?.into();
    let compares = vec![Compare { key: ROOT_KEY.to_owned(), revision }];
    Ok(Transaction { compares, changes: vec![Change::Put { key: ROOT_KEY.to_owned(), value }] })
}

/// Writes a tablet's row, whatever stands there.
pub fn overwrite(row: &TabletRow) -> Result<RowProgram, TabletError> {
    program(row, None, Action::Put { cells: codec::row_cells(row)? })
}

/// Writes a tablet's row where there is none, or only one of a smaller generation: what is left of a
/// tablet that was retired (rule 19).
pub fn put(row: &TabletRow) -> Result<RowProgram, TabletError> {
    let older = compare(BinaryOp::Lt, column::GENERATION, row.generation.0);
    let insert = codec::row_cells(row)?;
    let conflict = OnConflict::DoUpdate { assignments: assignments(row)? };
    program(row, Some(older), Action::Upsert { insert, conflict })
}

/// Removes a tablet's row, if it is still as `before`: the table was dropped.
pub fn remove(before: &TabletRow) -> Result<RowProgram, TabletError> {
    let unchanged = Expr::And(vec![
        compare(BinaryOp::Eq, column::GENERATION, before.generation.0),
        compare(BinaryOp::Eq, column::VERSION, before.version),
    ]);
    program(before, Some(unchanged), Action::Delete)
}

fn program(
    row: &TabletRow,
    condition: Option<Expr>,
    action: Action,
) -> Result<RowProgram, TabletError> {
    Ok(RowProgram {
        table: StorageId::METADATA,
        schema_version: schema().version,
        key: codec::row_key(row.table, row.end.as_deref())?,
        guard: Guard::Any,
        condition: condition.map(Box::new),
        action,
        returning: Returning::Nothing,
    })
}

fn compare(op: BinaryOp, id: ColumnId, value: u64) -> Expr {
    Expr::Binary {
        op,
        left: Box::new(Expr::Column(id, DataType::Int8)),
        right: Box::new(int8(value)),
        result: DataType::Bool,
    }
}

fn int8(value: u64) -> Expr {
    Expr::Literal(Value::Int8(value as i64), DataType::Int8)
}

fn assignments(row: &TabletRow) -> Result<Vec<(ColumnId, Expr)>, TabletError> {
    let state = Expr::Literal(Value::Text(codec::state(row)?), DataType::Jsonb);
    Ok(vec![
        (column::GENERATION, int8(row.generation.0)),
        (column::VERSION, int8(row.version)),
        (column::STATE, state),
    ])
}

#[cfg(test)]
mod tests;
