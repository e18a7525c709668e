//! Programs evaluated into the block: the answer for the client, the overlay for the block's reads, and the
//! hidden tables of unique indexes kept in step (rule 44).

use super::target::Target;
use super::violations::violation;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::plan::rows::column_value;
use crate::session::client::ClientSession;
use bytes::Bytes;
use std::collections::HashMap;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::key;
use terrane_client::program::{Action, Guard, Returning, RowError, RowOutcome, RowProgram};
use terrane_client::program::{Current, Evaluated, evaluate};
use terrane_client::read::GetRequest;
use terrane_client::row::{CellsBuilder, PackedCells, Row};
use terrane_client::schema::TableSchema;
use terrane_client::value::Value;

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

/// Rows as the statement finds and leaves them.
struct Rows {
    current: HashMap<(StorageId, Bytes), Option<Row>>,
}

impl ClientSession {
    /// Runs a statement's programs: in the block, and so visible to it, from here on.
    pub(super) async fn apply(
        &mut self,
        target: &Target,
        programs: Vec<RowProgram>,
    ) -> Result<Vec<Changed>, SqlError> {
        self.apply_rows(target, programs, &mut 0).await
    }

    /// As [`ClientSession::apply`]; `at` tells which program an error is about.
    pub(in crate::session) async fn apply_rows(
        &mut self,
        target: &Target,
        programs: Vec<RowProgram>,
        at: &mut usize,
    ) -> Result<Vec<Changed>, SqlError> {
        let mut rows = self.read_rows(target, &programs).await?;
        let mut changed = Vec::with_capacity(programs.len());
        let mut kept = Vec::with_capacity(programs.len());
        let mut written = Vec::with_capacity(programs.len());
        for (place, mut program) in programs.into_iter().enumerate() {
            *at = place;
            let found = rows.get(program.table, &program.key);
            if !target.uniques.is_empty() && matches!(program.guard, Guard::Any | Guard::Matched) {
                // What the indexes get depends on this very version of the row.
                program.guard = Guard::Version(version_of(found.as_ref()));
            }
            let evaluated = match self.evaluate(target, &program, found.as_ref()) {
                Err(RowError::NotMatched) => None,
                Err(error) => {
                    let catalog = self.catalog();
                    return Err(violation(&catalog, &program, &error));
                }
                Ok(evaluated) => Some(evaluated),
            };
            let applied = evaluated
                .as_ref()
                .is_some_and(|evaluated| matches!(evaluated.outcome, RowOutcome::Applied { .. }));
            let Some(evaluated) = evaluated.filter(|_| applied) else {
                let key = program.key.clone();
                changed.push(Changed { key, before: found, after: None, applied: false });
                continue;
            };
            let after = evaluated.after;
            let key = program.key.clone();
            self.keep_indexes(
                target,
                &key,
                found.as_ref(),
                after.as_ref(),
                &mut rows,
                &mut kept,
                &mut written,
            )
            .await?;
            rows.set(program.table, key.clone(), after.clone());
            written.push((program.table, key.clone(), after.clone()));
            kept.push(program);
            changed.push(Changed { key, before: found, after, applied: true });
        }
        self.block().append(kept, written)?;
        Ok(changed)
    }

    fn evaluate(
        &self,
        target: &Target,
        program: &RowProgram,
        found: Option<&Row>,
    ) -> Result<Evaluated, RowError> {
        let current = Current { row: found, committed: version_of(found) };
        evaluate(program, &target.schema, &target.schema, current)
    }

    /// The rows the programs are about, as the block sees them.
    async fn read_rows(
        &mut self,
        target: &Target,
        programs: &[RowProgram],
    ) -> Result<Rows, SqlError> {
        let keys: Vec<Bytes> = programs.iter().map(|program| program.key.clone()).collect();
        let mut rows = Rows { current: HashMap::with_capacity(keys.len()) };
        self.read_into(&mut rows, &target.schema, keys).await?;
        Ok(rows)
    }

    async fn read_into(
        &mut self,
        rows: &mut Rows,
        schema: &TableSchema,
        keys: Vec<Bytes>,
    ) -> Result<(), SqlError> {
        let table = schema.storage;
        let mut missing = Vec::new();
        for key in keys {
            if rows.current.contains_key(&(table, key.clone())) {
                continue;
            }
            match self.block().overlay.row(table, &key).cloned() {
                Some(row) => {
                    rows.current.insert((table, key), row);
                }
                None => missing.push(key),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let request = GetRequest {
            table,
            schema_version: schema.version,
            read_ts: None,
            keys: missing.clone(),
            columns: None,
        };
        let response = self.server.tablets.get(request).await.map_err(errors::of_tablet)?;
        for (key, row) in missing.into_iter().zip(response.rows) {
            rows.current.insert((table, key), row);
        }
        Ok(())
    }

    /// Moves a row's entries in the hidden tables of unique indexes.
    #[expect(clippy::too_many_arguments, reason = "the loop's own state, passed through")]
    async fn keep_indexes(
        &mut self,
        target: &Target,
        row_key: &Bytes,
        before: Option<&Row>,
        after: Option<&Row>,
        rows: &mut Rows,
        kept: &mut Vec<RowProgram>,
        written: &mut Vec<(StorageId, Bytes, Option<Row>)>,
    ) -> Result<(), SqlError> {
        for (index, hidden) in &target.uniques {
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
                rows.set(hidden.storage, old.clone(), None);
                written.push((hidden.storage, old.clone(), None));
            }
            if let Some(new) = &new {
                self.read_into(rows, hidden, vec![new.clone()]).await?;
                let cells = index_cells(index, row_key);
                let put = program(new, Guard::Absent, Action::Put { cells: cells.clone() });
                if rows.get(hidden.storage, new).is_some() {
                    let catalog = self.catalog();
                    return Err(violation(&catalog, &put, &RowError::AlreadyExists));
                }
                let row = Some(Row { version: CommitTs::ABSENT, cells });
                kept.push(put);
                rows.set(hidden.storage, new.clone(), row.clone());
                written.push((hidden.storage, new.clone(), row));
            }
        }
        Ok(())
    }
}

impl Rows {
    fn get(&self, table: StorageId, key: &Bytes) -> Option<Row> {
        self.current.get(&(table, key.clone())).cloned().flatten()
    }

    fn set(&mut self, table: StorageId, key: Bytes, row: Option<Row>) {
        self.current.insert((table, key), row);
    }
}

fn version_of(row: Option<&Row>) -> CommitTs {
    row.map_or(CommitTs::ABSENT, |row| row.version)
}

/// A row's key in a unique index's hidden table; `None` where one of its columns is NULL.
fn index_key(
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
