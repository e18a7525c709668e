//! Timestamps of clients in row programs (rules 6 and 40).
//!
//! A program says the timestamp of what it writes as the cell of no column, [`ColumnId::STAMP`]. Cells of families whose
//! timestamps are the client's go apart from the others, with it or without. Of a cell that is there with a newer
//! timestamp the row goes on showing that one; a cell that is written without a timestamp is the newest.

use super::{RowError, ill_typed};
use crate::cell;
use crate::expr::ExprError;
use crate::ids::{ColumnId, CommitTs};
use crate::row::{CellTimes, CellsBuilder, DatedCells, PackedCells, STAMP_AHEAD_MAX_MICROS, Stamp};
use crate::schema::TableSchema;
use crate::types::DataType;
use crate::value::Value;

/// A timestamp as a cell.
pub(super) fn encode_stamp(value: &Value) -> Result<Option<Vec<u8>>, RowError> {
    match value {
        Value::Null | Value::TimestampTz(_) => {
            Ok(cell::encoded(value, &DataType::TimestampTz).map_err(ExprError::from)?)
        }
        _ => Err(ill_typed("a timestamp of another type")),
    }
}

/// Takes the timestamp out of what a program writes. NULL is none.
pub(super) fn split_stamp(
    cells: &PackedCells,
    now: CommitTs,
) -> Result<(Option<CommitTs>, PackedCells), RowError> {
    let Some(stamp) = cells.get(ColumnId::STAMP) else { return Ok((None, cells.clone())) };
    let stamp = match cell::decode_cell(Some(stamp), &DataType::TimestampTz, &Value::Null) {
        Ok(Value::TimestampTz(micros)) => Some(CommitTs(micros)),
        Ok(_) => None,
        Err(error) => return Err(ExprError::from(error).into()),
    };
    let latest = now.0.saturating_add(STAMP_AHEAD_MAX_MICROS);
    if stamp.is_some_and(|stamp| stamp.0 > latest || stamp == CommitTs(i64::MIN)) {
        return Err(RowError::TimestampOutOfRange);
    }
    let mut others = CellsBuilder::default();
    let own = cells.iter().filter(|(id, _)| *id != ColumnId::STAMP);
    own.for_each(|(id, cell)| others.push(id, cell));
    Ok((stamp, others.finish()))
}

/// Cells while they are parted into those with timestamps of the client's and the others.
pub(super) struct Dating<'a> {
    schema: &'a TableSchema,
    stamp: Option<CommitTs>,
    now: CommitTs,
    /// Of the row as it will be.
    pub(super) times: CellTimes,
    /// The cells with timestamps that the row will show.
    pub(super) seen: PackedCells,
}

impl<'a> Dating<'a> {
    /// `times` are those of the row that is there.
    pub(super) fn new(
        schema: &'a TableSchema,
        stamp: Option<CommitTs>,
        now: CommitTs,
        times: CellTimes,
    ) -> Self {
        Self { schema, stamp, now, times, seen: PackedCells::default() }
    }

    /// Parts cells: the others, and those with timestamps.
    pub(super) fn part(&mut self, cells: &PackedCells) -> (PackedCells, DatedCells) {
        let mut dated = DatedCells::default();
        if !self.schema.has_dated() {
            return (cells.clone(), dated);
        }
        let [mut plain, mut own, mut seen] = [(); 3].map(|()| CellsBuilder::default());
        let mut newest = CommitTs(i64::MIN);
        let mut written = Vec::new();
        for (id, cell) in cells.iter() {
            if !self.schema.is_dated(id) {
                plain.push(id, cell);
                continue;
            }
            own.push(id, cell);
            let there = self.times.of(id);
            if self.stamp.is_none_or(|stamp| there.is_none_or(|there| stamp >= there)) {
                seen.push(id, cell);
                written.push(id);
            }
            newest = newest.max(there.unwrap_or(newest));
        }
        let (stamp, at) = match self.stamp {
            Some(at) => (Stamp::At(at), at),
            None => {
                // The commit's time will be after now: only what lies ahead of that is in its way.
                let least = match newest >= self.now {
                    true => CommitTs(newest.0.saturating_add(1)),
                    false => CommitTs(i64::MIN),
                };
                (Stamp::AtLeast(least), least.max(self.now))
            }
        };
        written.into_iter().for_each(|id| self.times.set(id, at));
        self.seen = seen.finish();
        dated.add(stamp, &own.finish());
        (plain.finish(), dated)
    }
}
