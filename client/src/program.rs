//! Row programs: what happens to one row under its lock.
//!
//! A program names a row, says in which state it must find it ([`Guard`]), may carry a condition, and an
//! action whose expressions see the row as it is under the lock. The tablet evaluates it; nothing is ever
//! written that was computed from an older row (rule 26).

mod delete_range;
mod evaluate;
mod reads;

pub use delete_range::DeleteRangeRequest;
pub use evaluate::{Answer, Current, Evaluated, RowReader, each_read_of_assignment, evaluate};

use crate::expr::Expr;
use crate::ids::{ColumnId, CommitTs, RequestId, StorageId};
use crate::row::{PackedCells, Row};
use bytes::Bytes;
use std::sync::Arc;

/// One row's program.
#[derive(Clone, Debug, PartialEq)]
pub struct RowProgram {
    /// The table.
    pub table: StorageId,
    /// The schema the frontend planned with (rule 10).
    pub schema_version: u32,
    /// The row key, encoded.
    pub key: Bytes,
    /// The state the row must be in; otherwise the program fails with an error.
    pub guard: Guard,
    /// The state in which the program applies: anything but true makes it [`RowOutcome::Unmatched`].
    /// For an Upsert it is asked only of a row that is there. The columns of an absent row read as NULL,
    /// but for the key's. Boxed: a load sends millions of programs, which have none.
    pub condition: Option<Box<Expr>>,
    /// What to do.
    pub action: Action,
    /// What the answer carries back.
    pub returning: Returning,
}

/// The state a row must be in. Failing it is an error, never a silent skip.
///
/// A program sees what earlier programs of its [`Atomicity::AllOrNone`] batch did to the row, so
/// [`Guard::Absent`] passes after a Delete in the same batch. [`Guard::Version`] compares with the version
/// that was committed before the batch: it is the only one a frontend can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Any.
    Any,
    /// The row must not exist: else [`RowError::AlreadyExists`] (23505).
    Absent,
    /// The row's version must be this one ([`CommitTs::ABSENT`]: must not exist): else
    /// [`RowError::VersionChanged`].
    Version(CommitTs),
    /// The program must apply: where it would be [`RowOutcome::Unmatched`] it fails with
    /// [`RowError::NotMatched`]. COMMIT uses it for rows whose client was told that they changed.
    Matched,
}

/// What a program does to its row.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Writes the whole row; what was there is gone. With [`Guard::Absent`] it is INSERT.
    Put {
        /// Every non-key column's cell. A column left out is absent and reads as its missing value, so
        /// INSERT writes an explicit NULL where the column's missing value is not NULL.
        cells: PackedCells,
    },
    /// Writes some columns of an existing row; an absent row is [`RowOutcome::Unmatched`].
    Update {
        /// Column and new value, ascending by column.
        assignments: Vec<(ColumnId, Expr)>,
    },
    /// INSERT … ON CONFLICT: writes `insert` if the row is absent, otherwise does `conflict`.
    Upsert {
        /// The row to insert; [`Expr::Excluded`] reads from it.
        insert: PackedCells,
        /// What to do with an existing row.
        conflict: OnConflict,
    },
    /// Removes an existing row; an absent row is [`RowOutcome::Unmatched`].
    Delete,
    /// Changes nothing: checks the guard, and whether the row exists and meets the condition.
    Check,
}

/// What INSERT … ON CONFLICT does with the row that is there. The program's condition is that of
/// DO UPDATE … WHERE.
#[derive(Clone, Debug, PartialEq)]
pub enum OnConflict {
    /// Leaves it: [`RowOutcome::Unmatched`].
    DoNothing,
    /// Writes these columns.
    DoUpdate {
        /// Column and new value, ascending by column.
        assignments: Vec<(ColumnId, Expr)>,
    },
}

/// Which images of the row the answer carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Returning {
    /// None.
    #[default]
    Nothing,
    /// The row as it is after the program; for a Delete, as it was before.
    Row,
}

/// How a batch of programs stands together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomicity {
    /// Each row by itself: a row's error leaves the others alone.
    EachRow,
    /// All rows or none, in one commit with one timestamp. Programs on one row run in order, each
    /// seeing the one before.
    AllOrNone,
}

/// A batch of programs for the tablets of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct ModifyRequest {
    /// So that a retry is answered, not repeated.
    pub request: RequestId,
    /// The programs. Shared: the same request may be sent again, and whoever sent it tells from them what an
    /// error is about.
    pub programs: Arc<Vec<RowProgram>>,
    /// How they stand together.
    pub atomicity: Atomicity,
}

/// What happened, one result a program, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct ModifyResponse {
    /// The timestamp of the commit; [`CommitTs::ABSENT`] when nothing was written.
    pub commit_ts: CommitTs,
    /// One a program. With [`Atomicity::AllOrNone`] either all are `Ok` or nothing was applied, and
    /// those that did not fail themselves say what they would have done.
    pub results: Vec<Result<RowOutcome, RowError>>,
}

/// What a program did.
#[derive(Clone, Debug, PartialEq)]
pub enum RowOutcome {
    /// It wrote, or for [`Action::Check`] found the row as asked. `inserted` is true where the row
    /// was absent before.
    Applied {
        /// True where the row was absent before.
        inserted: bool,
        /// As [`Returning`] asked.
        row: Option<Row>,
    },
    /// The row is absent, or the condition is not true, or ON CONFLICT DO NOTHING left it.
    Unmatched,
}

/// Why a program failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RowError {
    /// [`Guard::Absent`] found a row (23505).
    #[error("row already exists")]
    AlreadyExists,
    /// [`Guard::Version`] found another version.
    #[error("row version changed")]
    VersionChanged {
        /// What is there now; [`CommitTs::ABSENT`] for no row.
        current: CommitTs,
    },
    /// [`Guard::Matched`] found no row, or one that the condition does not hold for.
    #[error("row no longer matches")]
    NotMatched,
    /// NOT NULL (23502).
    #[error("null value in column {0:?}")]
    NotNull(ColumnId),
    /// CHECK (23514), by its place in the schema's list.
    #[error("check constraint {0} violated")]
    Check(String),
    /// A timestamp of the client's lies too far ahead of the clock, or before all times (22008).
    #[error("timestamp out of range")]
    TimestampOutOfRange,
    /// An expression failed.
    #[error(transparent)]
    Expr(#[from] crate::expr::ExprError),
}
