//! Evaluates one program against the row it finds: what both the tablet server, under its row locks, and
//! the frontend, in a transaction block's buffer (rule 29), do with it.
//!
//! Contract: pure. Whoever calls holds the row's lock, applies the mutation, and gives the returned row the
//! version of its commit ([`Evaluated::committed_at`]). A failed program has no effect.

mod dated;
mod maps;

use dated::Dating;
use maps::WholeRow;
pub use maps::each_read_of_assignment;

use super::{Action, Guard, OnConflict, Returning, RowError, RowOutcome, RowProgram};
use crate::cell;
use crate::expr::{self, Expr, ExprError, RowView};
use crate::ids::{ColumnId, CommitTs};
use crate::key::KeyReader;
use crate::map_column::MapChanges;
use crate::row::{
    CellTimes, CellsBuilder, PackedCells, ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row, RowChange,
    RowMutation, merge_cells,
};
use crate::schema::{Column, TableSchema};
use crate::types::DataType;
use crate::value::Value;

/// The row a program finds.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// As earlier programs of the same batch left it; `None` where no row lives.
    pub row: Option<&'a Row>,
    /// The version committed before the batch; [`CommitTs::ABSENT`] where no row lived.
    pub committed: CommitTs,
    /// The clock, which timestamps of clients are compared with (rule 40); [`CommitTs::MAX`] where they are not.
    pub now: CommitTs,
}

impl<'a> Current<'a> {
    /// A row no earlier program of the batch has touched.
    pub fn committed(row: Option<&'a Row>) -> Self {
        let committed = row.map_or(CommitTs::ABSENT, |row| row.version);
        Self { row, committed, now: CommitTs::MAX }
    }
}

/// What a program does.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluated {
    /// The answer. A row in it carries the version it was found with, if it was found at all.
    pub outcome: RowOutcome,
    /// What to write; `None` writes nothing.
    pub mutation: Option<RowChange>,
    /// Where something is written: the row as the next program of the batch finds it.
    pub after: Option<Row>,
}

impl Evaluated {
    fn nothing(outcome: RowOutcome) -> Self {
        Self { outcome, mutation: None, after: None }
    }

    /// The answer once the mutation is committed, see [`Answer::committed_at`].
    pub fn committed_at(self, commit_ts: CommitTs) -> RowOutcome {
        self.into_parts().0.committed_at(commit_ts)
    }

    /// The answer, what to write, and the row as it is left.
    pub fn into_parts(self) -> (Answer, Option<RowChange>, Option<Row>) {
        let Self { outcome, mutation, after } = self;
        (Answer { outcome, is_dated_by_commit: after.is_some() }, mutation, after)
    }
}

/// An answer whose row may still lack the version of the commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    outcome: RowOutcome,
    is_dated_by_commit: bool,
}

impl Answer {
    /// The answer once the mutation is committed: the row it returns has the commit's version. The row a
    /// Delete returns is the one that was there and keeps its own, as does a Check's.
    pub fn committed_at(mut self, commit_ts: CommitTs) -> RowOutcome {
        if let RowOutcome::Applied { row: Some(row), .. } = &mut self.outcome
            && self.is_dated_by_commit
        {
            row.version = commit_ts;
        }
        self.outcome
    }
}

/// Runs `program` on the row it finds. `schema` is the one the program was planned with, in whose types
/// its expressions and cells are; `newest` is the table's current one, whose constraints the row must meet.
pub fn evaluate(
    program: &RowProgram,
    schema: &TableSchema,
    newest: &TableSchema,
    current: Current<'_>,
) -> Result<Evaluated, RowError> {
    check_guard(program.guard, current)?;
    let evaluated = run(Run { program, schema, newest, current })?;
    match (program.guard, &evaluated.outcome) {
        (Guard::Matched, RowOutcome::Unmatched) => Err(RowError::NotMatched),
        _ => Ok(evaluated),
    }
}

fn run(run: Run<'_>) -> Result<Evaluated, RowError> {
    let Run { program, current, .. } = run;
    match &program.action {
        Action::Put { cells } => match run.applies(None)? {
            true => run.put(cells),
            false => Ok(Evaluated::nothing(RowOutcome::Unmatched)),
        },
        Action::Upsert { insert, conflict } => match (current.row, conflict) {
            (None, _) => run.put(insert),
            // The proposed row must meet the constraints, though it does not go in.
            (Some(_), OnConflict::DoNothing) => {
                run.check_constraints(insert)?;
                Ok(Evaluated::nothing(RowOutcome::Unmatched))
            }
            (Some(row), OnConflict::DoUpdate { assignments }) => {
                run.check_constraints(insert)?;
                run.update(row, assignments, Some(insert))
            }
        },
        Action::Update { assignments } => match current.row {
            None => Ok(Evaluated::nothing(RowOutcome::Unmatched)),
            Some(row) => run.update(row, assignments, None),
        },
        Action::Delete => run.delete(),
        Action::Check => match current.row {
            Some(row) if run.applies(None)? => Ok(Evaluated::nothing(RowOutcome::Applied {
                inserted: false,
                row: run.returned(row),
            })),
            _ => Ok(Evaluated::nothing(RowOutcome::Unmatched)),
        },
    }
}

fn check_guard(guard: Guard, current: Current<'_>) -> Result<(), RowError> {
    match guard {
        Guard::Any | Guard::Matched => Ok(()),
        Guard::Absent if current.row.is_none() => Ok(()),
        Guard::Absent => Err(RowError::AlreadyExists),
        Guard::Version(wanted) if wanted == current.committed => Ok(()),
        Guard::Version(_) => Err(RowError::VersionChanged { current: current.committed }),
    }
}

#[derive(Clone, Copy)]
struct Run<'a> {
    program: &'a RowProgram,
    schema: &'a TableSchema,
    newest: &'a TableSchema,
    current: Current<'a>,
}

impl<'a> Run<'a> {
    fn reader(&self, cells: Option<&'a PackedCells>) -> RowReader<'a> {
        RowReader { schema: self.schema, key: &self.program.key, cells, excluded: None }
    }

    fn applies(&self, excluded: Option<&'a PackedCells>) -> Result<bool, RowError> {
        let Some(condition) = &self.program.condition else { return Ok(true) };
        let found = self.reader(self.current.row.map(|row| &row.cells));
        Ok(expr::is_true(condition, &RowReader { excluded, ..found })?)
    }

    fn returned(&self, row: &Row) -> Option<Row> {
        match self.program.returning {
            Returning::Nothing => None,
            Returning::Row => Some(row.clone()),
        }
    }

    fn put(&self, cells: &PackedCells) -> Result<Evaluated, RowError> {
        check_cells(cells, self.schema)?;
        self.check_constraints(cells)?;
        let flags = ROW_MARKER | ROW_COMPLETE;
        let (stamp, cells) = dated::split_stamp(cells, self.current.now)?;
        let WholeRow { cells, maps, after } = maps::part_cells(&cells, self.schema)?;
        let mut dating = Dating::new(self.newest, stamp, self.current.now, CellTimes::default());
        let (cells, dated) = dating.part(&cells);
        let change = RowChange { row: RowMutation { flags, cells }, dated, maps };
        Ok(self.wrote(change, after, dating.times, self.current.row.is_none()))
    }

    fn update(
        &self,
        row: &'a Row,
        assignments: &[(ColumnId, Expr)],
        excluded: Option<&'a PackedCells>,
    ) -> Result<Evaluated, RowError> {
        if !self.applies(excluded)? {
            return Ok(Evaluated::nothing(RowOutcome::Unmatched));
        }
        let found = RowReader { excluded, ..self.reader(Some(&row.cells)) };
        let Assigned { cells, maps, map_cells } = assigned(assignments, self.schema, &found)?;
        let (stamp, cells) = dated::split_stamp(&cells, self.current.now)?;
        let mut dating = Dating::new(self.newest, stamp, self.current.now, row.times.clone());
        let (cells, dated) = dating.part(&cells);
        let seen = dating.seen;
        let merged = merge_cells(&[cells.clone(), seen, map_cells, row.cells.clone()]);
        self.check_constraints(&merged)?;
        let change = RowChange { row: RowMutation { flags: 0, cells }, dated, maps };
        Ok(self.wrote(change, merged, dating.times, false))
    }

    fn wrote(
        &self,
        mutation: RowChange,
        cells: PackedCells,
        times: CellTimes,
        inserted: bool,
    ) -> Evaluated {
        let after = Row { version: self.current.committed, cells, times };
        let outcome = RowOutcome::Applied { inserted, row: self.returned(&after) };
        Evaluated { outcome, mutation: Some(mutation), after: Some(after) }
    }

    fn delete(&self) -> Result<Evaluated, RowError> {
        let Some(row) = self.current.row else {
            return Ok(Evaluated::nothing(RowOutcome::Unmatched));
        };
        if !self.applies(None)? {
            return Ok(Evaluated::nothing(RowOutcome::Unmatched));
        }
        Ok(Evaluated {
            outcome: RowOutcome::Applied { inserted: false, row: self.returned(row) },
            mutation: Some(RowMutation { flags: ROW_DELETE, cells: PackedCells::default() }.into()),
            after: None,
        })
    }

    /// NOT NULL and CHECK, on the row as it will be (rule 35).
    fn check_constraints(&self, cells: &PackedCells) -> Result<(), RowError> {
        let mut stored = cells.iter().peekable();
        for column in self.newest.value_columns().filter(|column| column.not_null) {
            while stored.next_if(|(id, _)| *id < column.id).is_some() {}
            let null = match stored.next_if(|(id, _)| *id == column.id) {
                None => column.missing.is_null(),
                Some((_, cell)) => cell.is_none(),
            };
            if null {
                return Err(RowError::NotNull(column.id));
            }
        }
        let row = RowReader { schema: self.newest, ..self.reader(Some(cells)) };
        for check in &self.newest.checks {
            if expr::evaluate(&check.expr, &row)? == Value::Bool(false) {
                return Err(RowError::Check(check.name.clone()));
            }
        }
        Ok(())
    }
}

/// What an UPDATE writes.
struct Assigned {
    cells: PackedCells,
    maps: MapChanges,
    /// The maps that are changed, as they will be.
    map_cells: PackedCells,
}

fn assigned(
    assignments: &[(ColumnId, Expr)],
    schema: &TableSchema,
    found: &RowReader<'_>,
) -> Result<Assigned, RowError> {
    let mut written = CellsBuilder::default();
    let (mut changes, mut map_cells) = (MapChanges::default(), CellsBuilder::default());
    let mut last = None;
    let mut bytes = Vec::new();
    for (id, value) in assignments {
        if last.is_some_and(|last| last >= *id) {
            return Err(ill_typed("assignments do not ascend by column"));
        }
        last = Some(*id);
        if *id == ColumnId::STAMP {
            written.push(*id, dated::encode_stamp(&expr::evaluate(value, found)?)?.as_deref());
            continue;
        }
        let column = value_column(schema, *id)?;
        if let Some(of) = column.map_type() {
            let assigned = maps::assign(column, of, value, found)?;
            changes.0.insert(*id, assigned.change);
            map_cells.push(*id, Some(&assigned.cell));
            continue;
        }
        let value = expr::evaluate(value, found)?;
        if value.is_null() {
            written.push(*id, None);
            continue;
        }
        bytes.clear();
        cell::encode(&value, &column.data_type, &mut bytes).map_err(ExprError::from)?;
        written.push(*id, Some(&bytes));
    }
    Ok(Assigned { cells: written.finish(), maps: changes, map_cells: map_cells.finish() })
}

/// A whole row's cells come from outside: of this table's columns, and of their widths.
fn check_cells(cells: &PackedCells, schema: &TableSchema) -> Result<(), RowError> {
    for (id, cell) in cells.iter().filter(|(id, _)| *id != ColumnId::STAMP) {
        let column = value_column(schema, id)?;
        if cell.is_some_and(|cell| !cell::fits_width(cell.len(), &column.data_type)) {
            return Err(ill_typed(&format!("a cell of column {} has a wrong width", id.0)));
        }
    }
    Ok(())
}

fn value_column(schema: &TableSchema, id: ColumnId) -> Result<&Column, RowError> {
    match schema.column(id) {
        Some(column) if schema.key_position(id).is_none() => Ok(column),
        _ => Err(ill_typed(&format!("table {} has no cells of column {}", schema.name, id.0))),
    }
}

fn ill_typed(what: &str) -> RowError {
    RowError::Expr(ExprError::IllTyped(what.to_owned()))
}

/// Reads a row's columns from its key and cells, one at a time, for expressions.
#[derive(Clone, Copy)]
pub struct RowReader<'a> {
    /// The table.
    pub schema: &'a TableSchema,
    /// The row's encoded key.
    pub key: &'a [u8],
    /// Its cells; `None` is an absent row, all of whose cells read as NULL.
    pub cells: Option<&'a PackedCells>,
    /// The cells of the row proposed by INSERT … ON CONFLICT, which has the same key.
    pub excluded: Option<&'a PackedCells>,
}

impl RowReader<'_> {
    fn read(&self, id: ColumnId, cells: Option<&PackedCells>) -> Result<Value, ExprError> {
        if id == ColumnId::STAMP {
            let cell = cells.and_then(|cells| cells.get(id));
            return Ok(cell::decode_cell(cell, &DataType::TimestampTz, &Value::Null)?);
        }
        let column = self
            .schema
            .column(id)
            .ok_or_else(|| ExprError::IllTyped(format!("no column {}", id.0)))?;
        if let Some(position) = self.schema.key_position(id) {
            return self.key_column(position);
        }
        let Some(cells) = cells else { return Ok(Value::Null) };
        Ok(cell::decode_cell(cells.get(id), &column.data_type, &column.missing)?)
    }

    fn key_column(&self, position: usize) -> Result<Value, ExprError> {
        let mut key = KeyReader::new(self.key);
        for (i, part) in self.schema.key.iter().enumerate() {
            let column = self
                .schema
                .column(part.column)
                .ok_or_else(|| ExprError::IllTyped(format!("no column {}", part.column.0)))?;
            let read = if i == position {
                key.value(&column.data_type, part.descending).map(Some)
            } else {
                key.skip(&column.data_type, part.descending).map(|()| None)
            };
            if let Some(value) = read.map_err(|e| ExprError::IllTyped(e.to_string()))? {
                return Ok(value);
            }
        }
        Err(ExprError::IllTyped(format!("the key has no column at {position}")))
    }
}

impl RowView for RowReader<'_> {
    fn column(&self, id: ColumnId) -> Result<Value, ExprError> {
        self.read(id, self.cells)
    }

    fn excluded(&self, id: ColumnId) -> Result<Value, ExprError> {
        match self.excluded {
            Some(cells) => self.read(id, Some(cells)),
            None => Err(ExprError::IllTyped("no proposed row".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
