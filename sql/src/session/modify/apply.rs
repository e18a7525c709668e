//! Programs evaluated into the block: the answer for the client, the overlay for the block's reads, and the
//! hidden tables of unique indexes kept in step (rule 44).

use super::conflict::{Resolved, Sought, second_time};
use super::rows::Rows;
use super::target::Target;
use super::violations::{failing_row, lost, violation};
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::plan::rows::column_value;
use crate::scan::overlay::Written;
use crate::session::block::Isolation;
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use bytes::Bytes;
use std::collections::HashSet;
use terrane_client::ids::{ColumnId, CommitTs};
use terrane_client::key;
use terrane_client::map_column::{MapChanges, MapParts};
use terrane_client::program::{
    Action, Guard, OnConflict, Returning, RowError, RowOutcome, RowProgram,
};
use terrane_client::program::{Current, Evaluated, evaluate};
use terrane_client::row::{CellsBuilder, PackedCells, Row, RowChange};
use terrane_client::schema::TableSchema;
use terrane_client::value::Value;

/// Rows between two looks at the cancel token.
const CHECKED_EVERY: usize = 1024;

/// What became of one row.
pub struct Changed {
    /// Its key.
    pub key: Bytes,
    /// It, before; `None` where it did not exist.
    pub before: Option<Row>,
    /// It, after; `None` where it does not exist any more.
    pub after: Option<Row>,
    /// False where the program did not apply.
    pub applied: bool,
}

/// What a statement wants done.
pub struct Proposed<'a> {
    /// One program for each row.
    pub programs: Vec<RowProgram>,
    /// ON CONFLICT that looks for the row in the way: the programs are inserts.
    pub sought: Option<&'a Sought>,
    /// Where the rows are shown, by RETURNING: what of their maps.
    pub shown: Option<MapParts>,
}

impl From<Vec<RowProgram>> for Proposed<'_> {
    fn from(programs: Vec<RowProgram>) -> Self {
        Self { programs, sought: None, shown: None }
    }
}

/// A row after a program.
pub(super) struct Left {
    pub(super) row: Option<Row>,
    change: Option<RowChange>,
}

impl ClientSession {
    /// Runs a statement's programs: in the block, and so visible to it, from here on.
    pub(in crate::session) async fn apply(
        &mut self,
        target: &Target,
        proposed: impl Into<Proposed<'_>>,
        cancel: &Cancel,
    ) -> Result<Vec<Changed>, SqlError> {
        self.apply_rows(target, proposed.into(), &mut 0, cancel).await
    }

    /// As [`ClientSession::apply`]; `at` tells which program an error is about.
    pub(in crate::session) async fn apply_rows(
        &mut self,
        target: &Target,
        proposed: Proposed<'_>,
        at: &mut usize,
        cancel: &Cancel,
    ) -> Result<Vec<Changed>, SqlError> {
        let Proposed { programs, sought, shown } = proposed;
        let repeatable = self.block().isolation == Isolation::RepeatableRead;
        if repeatable {
            // The snapshot is taken now, if it has not been.
            self.read_timestamp().await?;
        }
        let arbiters = sought.map_or(&[][..], Sought::indexes);
        let mut parts = map_parts(&programs, &target.schema).union(self.open_check_parts(target));
        if let Some(sought) = sought {
            parts = parts.union(sought.map_parts(&target.schema));
        }
        let is_shown = shown.is_some();
        if let Some(shown) = shown {
            parts = parts.union(shown);
        }
        let keys = programs.iter().map(|program| program.key.clone()).collect();
        let mut rows = Rows::default();
        self.read_into(&mut rows, &target.schema, keys, &parts).await?;
        let mut changed = Vec::with_capacity(programs.len());
        let mut kept = Vec::with_capacity(programs.len());
        let mut written = Vec::with_capacity(programs.len());
        let mut touched = self.changed_before(target);
        for (place, mut program) in programs.into_iter().enumerate() {
            *at = place;
            if place % CHECKED_EVERY == 0 {
                cancel.check()?;
            }
            if let Some(sought) = sought {
                let resolved = self
                    .resolve_conflict(target, sought, program, &mut rows, &parts, &touched, cancel)
                    .await?;
                program = match resolved {
                    Resolved::Insert(program) | Resolved::Update(program) => program,
                    Resolved::Nothing(check) | Resolved::Unmatched(check) => {
                        let (key, before) = (check.key.clone(), None);
                        kept.push(check);
                        changed.push(Changed { key, before, after: None, applied: false });
                        continue;
                    }
                };
                touched.insert(program.key.clone());
            }
            let upserts = is_upsert(&program);
            if upserts && touched.contains(&program.key) {
                return Err(second_time());
            }
            if !matches!(program.guard, Guard::Absent) {
                rows.check_snapshot(program.table, &program.key)?;
            }
            let found = rows.get(program.table, &program.key);
            let committed = rows.committed(program.table, &program.key);
            let now = CommitTs(self.server.env.clock.now_micros());
            let current = Current { row: found.as_ref(), committed, now };
            let left = match self.evaluated(target, &mut program, current) {
                Err(_) if rows.is_partly_read(program.table, &program.key) => {
                    // The error shows the row.
                    let whole = self.rows_of(target, vec![program.key.clone()]).await?;
                    let row = whole.get(program.table, &program.key);
                    let current = Current { row: row.as_ref(), committed, now };
                    self.evaluated(target, &mut program, current)?
                }
                left => left?,
            };
            let Some(Left { row: after, change }) = left else {
                let key = program.key.clone();
                changed.push(Changed { key, before: found, after: None, applied: false });
                continue;
            };
            pin(&mut program, committed, is_shown, repeatable);
            let key = program.key.clone();
            if upserts {
                touched.insert(key.clone());
            }
            self.keep_indexes(
                target,
                arbiters,
                &key,
                found.as_ref(),
                after.as_ref(),
                &mut rows,
                &mut kept,
                &mut written,
            )
            .await?;
            let table = program.table;
            let unread = rows.unread_after(table, &key, change.as_ref());
            let row = after.clone();
            rows.set(table, key.clone(), after.clone(), unread.clone());
            written.push(Written { table, key: key.clone(), row, committed, unread });
            kept.push(program);
            changed.push(Changed { key, before: found, after, applied: true });
        }
        self.check_open(target, &changed, &kept, &rows, cancel).await?;
        self.block().append(kept, written)?;
        if let Some(frozen) = &mut self.frozen {
            let applied = changed.iter().filter(|row| row.applied);
            let table = target.schema.storage;
            frozen.changed.extend(applied.map(|row| (table, row.key.clone())));
        }
        Ok(changed)
    }

    /// True for a row that the statement has changed already, in its WITH.
    pub(super) fn has_changed(&self, target: &Target, key: &Bytes) -> bool {
        self.frozen
            .as_ref()
            .is_some_and(|frozen| frozen.changed.contains(&(target.schema.storage, key.clone())))
    }

    /// The target's rows that the statement has changed already, in its WITH.
    fn changed_before(&self, target: &Target) -> HashSet<Bytes> {
        let changed = self.frozen.iter().flat_map(|frozen| &frozen.changed);
        let own = changed.filter(|(table, _)| *table == target.schema.storage);
        own.map(|(_, key)| key.clone()).collect()
    }

    /// 40001 where REPEATABLE READ's snapshot has another version of a row that is to be locked.
    pub(in crate::session) async fn check_lockable(
        &mut self,
        schema: &TableSchema,
        keys: Vec<Bytes>,
    ) -> Result<(), SqlError> {
        if self.block().isolation != Isolation::RepeatableRead {
            return Ok(());
        }
        let mut rows = Rows::default();
        self.read_into(&mut rows, schema, keys.clone(), &MapParts::nothing(schema)).await?;
        keys.iter().try_for_each(|key| rows.check_snapshot(schema.storage, key))
    }

    /// The row after a program; `None` where the program does not apply.
    pub(super) fn evaluated(
        &mut self,
        target: &Target,
        program: &mut RowProgram,
        current: Current<'_>,
    ) -> Result<Option<Left>, SqlError> {
        let looked_at = !target.open_checks.is_empty() || changes_indexes(target, program);
        if looked_at && matches!(program.guard, Guard::Any | Guard::Matched) {
            // What the indexes get, and what was checked here, is of this very version of the row.
            program.guard = Guard::Version(current.committed);
        }
        match evaluate(program, &target.schema, &target.schema, current) {
            Err(RowError::NotMatched) => Ok(None),
            Err(error) => {
                let catalog = self.catalog();
                let mut told = violation(&catalog, program, &error);
                if matches!(error, RowError::NotNull(_) | RowError::Check(_)) {
                    told.detail = failing_row(target, program, current.row);
                }
                Err(told)
            }
            Ok(evaluated) => {
                let applied = matches!(evaluated.outcome, RowOutcome::Applied { .. });
                let Evaluated { mutation, after, .. } = evaluated;
                Ok(applied.then_some(Left { row: after, change: mutation }))
            }
        }
    }

    /// Moves a row's entries in the hidden tables of unique indexes.
    #[expect(clippy::too_many_arguments, reason = "the loop's own state, passed through")]
    async fn keep_indexes(
        &mut self,
        target: &Target,
        arbiters: &[usize],
        row_key: &Bytes,
        before: Option<&Row>,
        after: Option<&Row>,
        rows: &mut Rows,
        kept: &mut Vec<RowProgram>,
        written: &mut Vec<Written>,
    ) -> Result<(), SqlError> {
        for (at, (index, hidden)) in target.uniques.iter().enumerate() {
            let entry = |row: Option<&Row>| -> Result<Option<Bytes>, SqlError> {
                row.map_or(Ok(None), |row| index_key(target, index, hidden, row_key, row))
            };
            let (old, new) = (entry(before)?, entry(after)?);
            if old == new {
                continue;
            }
            let program = |key: &Bytes, guard, action| RowProgram {
                table: hidden.storage,
                schema_version: hidden.version,
                key: key.clone(),
                guard,
                condition: None,
                action,
                returning: Returning::Nothing,
            };
            if let Some(old) = &old {
                kept.push(program(old, Guard::Any, Action::Delete));
                let committed = rows.committed(hidden.storage, old);
                rows.set(hidden.storage, old.clone(), None, MapChanges::default());
                let (table, unread) = (hidden.storage, MapChanges::default());
                written.push(Written { table, key: old.clone(), row: None, committed, unread });
            }
            if let Some(new) = &new {
                self.read_into(rows, hidden, vec![new.clone()], &MapParts::default()).await?;
                let cells = index_cells(index, row_key);
                // An entry that ON CONFLICT has looked for and another commit makes first is no violation: the
                // statement is to look again.
                let guard = match arbiters.contains(&at) {
                    true => Guard::Version(rows.committed(hidden.storage, new)),
                    false => Guard::Absent,
                };
                let put = program(new, guard, Action::Put { cells: cells.clone() });
                if let Some(entry) = rows.get(hidden.storage, new) {
                    let owner = entry.cells.get(index.row_key_column()).flatten();
                    if owner == Some(&row_key[..]) {
                        // Another commit has just given this very row the value.
                        return Err(lost(target.schema.storage, row_key));
                    }
                    let catalog = self.catalog();
                    return Err(violation(&catalog, &put, &RowError::AlreadyExists));
                }
                let committed = rows.committed(hidden.storage, new);
                let row = Some(Row { version: committed, cells, ..Row::default() });
                kept.push(put);
                rows.set(hidden.storage, new.clone(), row.clone(), MapChanges::default());
                let (table, unread) = (hidden.storage, MapChanges::default());
                written.push(Written { table, key: new.clone(), row, committed, unread });
            }
        }
        Ok(())
    }
}

/// What programs of a table read of its maps: all are named.
fn map_parts(programs: &[RowProgram], schema: &TableSchema) -> MapParts {
    let nothing = MapParts::nothing(schema);
    match nothing.0.is_empty() {
        true => nothing,
        false => {
            programs.iter().fold(nothing, |parts, program| parts.union(program.map_parts(schema)))
        }
    }
}

/// True where what is in the hidden tables of unique indexes depends on what a program finds or leaves.
pub fn changes_indexes(target: &Target, program: &RowProgram) -> bool {
    let Action::Update { assignments } = &program.action else { return !target.uniques.is_empty() };
    target.uniques.iter().any(|(index, _)| {
        let sets = |id: &ColumnId| assignments.iter().any(|(set, _)| set == id);
        index.key_columns().is_none_or(|columns| columns.iter().any(sets))
    })
}

/// True for INSERT … ON CONFLICT DO UPDATE as one program.
fn is_upsert(program: &RowProgram) -> bool {
    matches!(program.action, Action::Upsert { conflict: OnConflict::DoUpdate { .. }, .. })
}

/// Makes COMMIT refuse a program that would do otherwise than the client was told (rule 30).
fn pin(program: &mut RowProgram, committed: CommitTs, shown: bool, repeatable: bool) {
    let exactly = match &program.action {
        // Of a row that was there the client is told nothing.
        Action::Upsert { conflict: OnConflict::DoNothing, .. } => true,
        _ => shown || repeatable,
    };
    program.guard = match (program.guard, &program.action) {
        (Guard::Any | Guard::Matched, _) if exactly => Guard::Version(committed),
        // DO UPDATE's WHERE.
        (Guard::Any, Action::Upsert { .. }) => Guard::Matched,
        (guard, _) => guard,
    };
}

/// A row's key in a unique index's hidden table; `None` where one of its columns is NULL.
pub fn index_key(
    target: &Target,
    index: &crate::catalog::model::Index,
    hidden: &TableSchema,
    row_key: &Bytes,
    row: &Row,
) -> Result<Option<Bytes>, SqlError> {
    let columns = index
        .key_columns()
        .ok_or_else(|| SqlError::internal("a unique index over an expression"))?;
    let mut values = Vec::with_capacity(columns.len());
    for id in columns {
        let value =
            column_value(&target.schema, id, row_key, row).map_err(errors::of_datafusion)?;
        if value == Value::Null {
            return Ok(None);
        }
        values.push(value);
    }
    encode_key(&values, hidden).map(Some)
}

/// The cells of an entry in a unique index's hidden table.
pub fn index_cells(index: &crate::catalog::model::Index, row_key: &Bytes) -> PackedCells {
    let mut cells = CellsBuilder::default();
    cells.push(index.row_key_column(), Some(row_key));
    cells.finish()
}

/// An encoded row key; 54000 where it is too long.
pub fn encode_key(values: &[Value], schema: &TableSchema) -> Result<Bytes, SqlError> {
    key::encode(values, &schema.key_shape()).map_err(|error| key_error(schema, error))
}

/// Why a row has no key, as PostgreSQL says it.
pub fn key_error(schema: &TableSchema, error: key::KeyError) -> SqlError {
    match error {
        key::KeyError::Null(column) => {
            let name = schema
                .key
                .get(column)
                .and_then(|key| schema.column(key.column))
                .map_or("", |column| column.name.as_str());
            let mut violation = SqlError::new(
                SqlState::NOT_NULL_VIOLATION,
                format!(
                    "null value in column \"{name}\" of relation \"{}\" violates not-null constraint",
                    schema.name
                ),
            );
            violation.column = Some(name.to_owned());
            violation
        }
        key::KeyError::TooLarge { .. } => {
            SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, error.to_string())
        }
        other => SqlError::internal(other.to_string()),
    }
}
