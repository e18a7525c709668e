//! Row programs: evaluated under row locks against applied state, then committed as one.
//!
//! What is evaluated holds its locks until its mutations are applied (rule 1) and lets go of them before
//! waiting for the log. Whatever the answer was computed from may be unsynced: every answer, errors and
//! "unmatched" included, waits until that is durable (rule 2).
//!
//! A program of a batch sees what earlier ones did to its row, and the programs on one row end in one
//! mutation: DELETE + INSERT of a key in one commit leave the new row (rule 6).

use super::TabletServer;
use super::line::{CommitLine, Durable, Write};
use super::places::Places;
use super::requests::Seen;
use super::row_locks::{HeldRows, RowLocks};
use crate::tablet::Tablet;
use crate::tablet::directory::{HeldSchemas, ServedTable};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::key::KEY_BYTES_MAX;
use terrane_client::program::{
    Action, Atomicity, Current, Evaluated, ModifyRequest, ModifyResponse, RowError, RowOutcome,
    RowProgram, evaluate,
};
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_MARKER, Row, RowMutation};
use terrane_client::schema::TableSchema;

/// Programs of a batch that are run without telling the runtime that the thread will be busy.
const INLINE_PROGRAMS_MAX: usize = 64;

/// Rows sequenced under the commit mutex in one go, where the batch may be cut,
const CHUNK_ROWS_MAX: usize = 256;
/// and the bytes at which such a piece ends earlier.
const CHUNK_BYTES: usize = 4 << 20;

/// An updated row of at most this many bytes is written whole instead of the changed columns only: reads
/// of a row that is updated again and again then stop at its newest version.
const WHOLE_ROW_BYTES_MAX: usize = 1024;

/// One row's cells together, at most (54000).
const ROW_BYTES_MAX: usize = 256 << 20;

/// An answer, and what must be durable before it may be given.
struct Executed {
    response: ModifyResponse,
    durable: Durable,
}

/// A row that programs of the batch have looked at.
struct Touched {
    place: usize,
    committed: CommitTs,
    row: Option<Row>,
    mutation: Option<RowMutation>,
}

/// A batch, evaluated.
struct Evaluation {
    results: Vec<Result<Evaluated, RowError>>,
    /// For each program the row it is on, as a place in `rows`.
    rows_of: Vec<usize>,
    rows: Vec<Touched>,
}

/// Where a program goes.
struct Routed {
    tablet: Arc<Tablet>,
    /// The schema it was planned with.
    planned: Arc<TableSchema>,
    schemas: Arc<HeldSchemas>,
    stripe: u16,
}

impl TabletServer {
    pub(super) async fn modify(
        &self,
        request: ModifyRequest,
    ) -> Result<ModifyResponse, TabletError> {
        let bytes = request.programs.iter().map(bytes_of).sum();
        let backlog = self.backlog();
        let delay = self.throttle.delay(backlog, bytes, || self.env.clock.monotonic());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.modify_unthrottled(&request).await
    }

    /// METADATA's edits are what ends a backlog: they wait for nothing.
    pub(super) async fn modify_unthrottled(
        &self,
        request: &ModifyRequest,
    ) -> Result<ModifyResponse, TabletError> {
        let executed = match request.programs.len() > INLINE_PROGRAMS_MAX {
            true => blocking::in_place(|| self.execute(request)),
            false => self.execute(request),
        }?;
        executed.durable.wait().await?;
        Ok(executed.response)
    }

    fn execute(&self, request: &ModifyRequest) -> Result<Executed, TabletError> {
        self.check_open()?;
        let line = self.line_of(request)?;
        match self.requests.begin(request.request) {
            Seen::New => {}
            Seen::Answered(response) => {
                return Ok(Executed { response, durable: line.durable_now() });
            }
            Seen::OutcomeUnknown => {
                let text = format!("request {:?} was sent before", request.request);
                return Err(TabletError::OutcomeUnknown(text));
            }
        }
        let executed = self.run(line, request);
        match &executed {
            Ok(Executed { response, .. }) if response.commit_ts != CommitTs::ABSENT => {
                self.requests.done(request.request, response);
            }
            Err(TabletError::OutcomeUnknown(_)) => self.requests.failed_part_way(request.request),
            _ => self.requests.wrote_nothing(request.request),
        }
        executed
    }

    /// The commit line of all of a batch's programs: a batch is on one log.
    fn line_of(&self, request: &ModifyRequest) -> Result<&CommitLine, TabletError> {
        let is_metadata = |program: &RowProgram| program.table == StorageId::METADATA;
        let metadata = request.programs.first().is_some_and(is_metadata);
        if request.programs.iter().any(|program| is_metadata(program) != metadata) {
            let text = "one batch for METADATA and for other tables".to_owned();
            return Err(TabletError::Unsupported(text));
        }
        Ok(self.line(match metadata {
            true => StorageId::METADATA,
            false => StorageId::CATALOG,
        }))
    }

    fn run(&self, line: &CommitLine, request: &ModifyRequest) -> Result<Executed, TabletError> {
        let routed = self.route(&request.programs)?;
        let held = self.lock_rows(&routed);
        let evaluation = self.evaluate_all(&request.programs, &routed)?;
        let failed = evaluation.results.iter().any(Result::is_err);
        let wrote = evaluation.rows.iter().any(|row| row.mutation.is_some());
        if !wrote || (failed && request.atomicity == Atomicity::AllOrNone) {
            // After the reads: what they saw is applied, so it is covered.
            let durable = line.durable_now();
            drop(held);
            let outcome =
                |result: Result<Evaluated, RowError>| Ok(result?.committed_at(CommitTs::ABSENT));
            let results = evaluation.results.into_iter().map(outcome).collect();
            let response = ModifyResponse { commit_ts: CommitTs::ABSENT, results };
            return Ok(Executed { response, durable });
        }
        let executed = self.commit(line, request, &routed, evaluation)?;
        drop(held);
        let of_tablets = routed.chunk_by(|a, b| Arc::ptr_eq(&a.tablet, &b.tablet));
        self.after_commit(line, of_tablets.map(|routed| &routed[0].tablet));
        Ok(executed)
    }

    fn route(&self, programs: &[RowProgram]) -> Result<Vec<Routed>, TabletError> {
        let mut last: Option<(Arc<ServedTable>, Arc<HeldSchemas>)> = None;
        let mut routed: Vec<Routed> = Vec::with_capacity(programs.len());
        for program in programs {
            if program.key.len() > KEY_BYTES_MAX {
                let (size, limit) = (program.key.len(), KEY_BYTES_MAX);
                return Err(TabletError::TooLarge { what: "row key", size, limit });
            }
            let known = last.take().filter(|(table, _)| table.storage == program.table);
            let (table, schemas) = match known {
                Some(known) => known,
                None => {
                    let table = self.tablets.table(program.table)?;
                    let schemas = table.schemas();
                    (table, schemas)
                }
            };
            routed.push(Routed {
                tablet: table.tablet_of(&program.key)?.clone(),
                planned: schemas.at(program.table, program.schema_version)?.clone(),
                schemas: schemas.clone(),
                stripe: RowLocks::stripe(program.table, &program.key),
            });
            last = Some((table, schemas));
        }
        Ok(routed)
    }

    fn lock_rows(&self, routed: &[Routed]) -> HeldRows<'_> {
        match routed {
            [one] => self.row_locks.lock_one(one.stripe),
            many => self.row_locks.lock_many(many.iter().map(|routed| routed.stripe).collect()),
        }
    }

    /// Runs the programs in order, each on its row as the ones before left it.
    fn evaluate_all(
        &self,
        programs: &[RowProgram],
        routed: &[Routed],
    ) -> Result<Evaluation, TabletError> {
        let mut evaluation = Evaluation {
            results: Vec::with_capacity(programs.len()),
            rows_of: Vec::with_capacity(programs.len()),
            rows: Vec::with_capacity(programs.len()),
        };
        let mut known = Places::default();
        for (place, (program, routed)) in programs.iter().zip(routed).enumerate() {
            let at = match known.find(programs, place) {
                Some(at) => at,
                None => {
                    let row = applied_row(routed, &program.key)?;
                    let committed = row.as_ref().map_or(CommitTs::ABSENT, |row| row.version);
                    evaluation.rows.push(Touched { place, committed, row, mutation: None });
                    known.add(programs, place, evaluation.rows.len() - 1);
                    evaluation.rows.len() - 1
                }
            };
            let touched = &mut evaluation.rows[at];
            let current = Current { row: touched.row.as_ref(), committed: touched.committed };
            let result = evaluate(program, &routed.planned, &routed.schemas.current, current);
            if let Ok(evaluated) = &result
                && let Some(mutation) = &evaluated.mutation
            {
                touched.mutation = Some(match &touched.mutation {
                    None => mutation.clone(),
                    Some(before) => before.then(mutation),
                });
                touched.row = evaluated.after.clone();
            }
            evaluation.results.push(result);
            evaluation.rows_of.push(at);
        }
        Ok(evaluation)
    }

    fn commit(
        &self,
        line: &CommitLine,
        request: &ModifyRequest,
        routed: &[Routed],
        evaluation: Evaluation,
    ) -> Result<Executed, TabletError> {
        let Evaluation { results, rows_of, rows } = evaluation;
        // Row -> its place among the writes.
        let mut write_of = vec![None; rows.len()];
        let mut writes = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            if let Some(mutation) = row.mutation {
                write_of[at] = Some(writes.len());
                let key = request.programs[row.place].key.clone();
                writes.push(to_write(&routed[row.place].tablet, key, mutation, row.row)?);
            }
        }
        let chunks = chunks_of(&writes, request.atomicity);
        // All space before the first row is written: a full disk refuses the batch, not a part of it.
        let reservations: Vec<_> = chunks
            .iter()
            .map(|chunk| line.reserve(&writes[chunk.clone()]))
            .collect::<Result<_, _>>()?;
        let mut durable = line.durable_now();
        let mut commit_ts = CommitTs::ABSENT;
        let mut written_at: Vec<CommitTs> = Vec::with_capacity(writes.len());
        for (chunk, reservation) in chunks.iter().zip(reservations) {
            match line.commit(reservation, request.request, &writes[chunk.clone()]) {
                Ok(written) => (commit_ts, durable) = written,
                Err(error) if written_at.is_empty() => return Err(error),
                // Earlier chunks are in the log: to say "failed" would be wrong.
                Err(error) => return Err(TabletError::OutcomeUnknown(error.to_string())),
            }
            written_at.resize(chunk.end, commit_ts);
        }
        let results = results
            .into_iter()
            .zip(rows_of)
            .map(|(result, at)| -> Result<RowOutcome, RowError> {
                let evaluated = result?;
                Ok(match write_of[at] {
                    Some(write) => evaluated.committed_at(written_at[write]),
                    None => evaluated.outcome,
                })
            })
            .collect();
        Ok(Executed { response: ModifyResponse { commit_ts, results }, durable })
    }
}

/// About what a program adds to log and memtable.
fn bytes_of(program: &RowProgram) -> usize {
    const EACH: usize = 64;
    let cells = match &program.action {
        Action::Put { cells } | Action::Upsert { insert: cells, .. } => cells.as_bytes().len(),
        Action::Update { assignments } => assignments.len() * EACH,
        Action::Delete | Action::Check => 0,
    };
    EACH + program.key.len() + cells
}

/// The pieces in which rows are sequenced: one, where they stand or fall together.
fn chunks_of(writes: &[Write], atomicity: Atomicity) -> Vec<Range<usize>> {
    if atomicity == Atomicity::AllOrNone {
        return std::iter::once(0..writes.len()).collect();
    }
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, write) in writes.iter().enumerate() {
        if place - start == CHUNK_ROWS_MAX || bytes >= CHUNK_BYTES {
            chunks.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += write.log_bytes_max();
    }
    chunks.push(start..writes.len());
    chunks
}

/// A row's newest applied state.
fn applied_row(routed: &Routed, key: &[u8]) -> Result<Option<Row>, TabletError> {
    routed.tablet.version().get(key, CommitTs::MAX, &routed.schemas.columns)
}

/// A row's mutation as it is logged. `after` is the row as it will be.
fn to_write(
    tablet: &Arc<Tablet>,
    key: Bytes,
    mutation: RowMutation,
    after: Option<Row>,
) -> Result<Write, TabletError> {
    let mut mutation = mutation;
    let mut whole = None;
    if let Some(after) = after
        && mutation.flags & (ROW_COMPLETE | ROW_DELETE) == 0
    {
        if after.cells.as_bytes().len() <= WHOLE_ROW_BYTES_MAX {
            mutation = RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: after.cells };
        } else {
            whole = Some(after.cells);
        }
    }
    let size = mutation.cells.as_bytes().len();
    if size > ROW_BYTES_MAX {
        return Err(TabletError::TooLarge { what: "row", size, limit: ROW_BYTES_MAX });
    }
    let mut bytes = Vec::with_capacity(size + 1);
    mutation.encode(&mut bytes);
    Ok(Write { tablet: tablet.clone(), key, mutation: bytes, whole })
}
