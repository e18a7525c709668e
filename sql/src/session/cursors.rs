//! DECLARE, FETCH, MOVE, CLOSE.
//!
//! A cursor is a running query: its rows come as they are fetched, read at the timestamp of DECLARE with the
//! block's own rows of then, so a WITH HOLD cursor goes on after COMMIT where it was. Rows that were
//! fetched are kept for going backward: all of them for SCROLL, the first few thousand where neither SCROLL nor
//! NO SCROLL was said, none for NO SCROLL.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::format::Formats;
use super::response::{CommandTag, Response, ResultColumn, RowsResponse};
use super::select;
use super::statement::complete;
use crate::error::{SqlError, SqlState};
use crate::parse::command::{Declare, Direction};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use std::sync::Arc;

/// Rows kept where neither SCROLL nor NO SCROLL was said.
const KEPT_ROWS_MAX: usize = 10_000;
/// Bytes that a SCROLL cursor may keep.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// An open cursor.
pub struct OpenCursor {
    /// Its query's columns.
    pub columns: Arc<[ResultColumn]>,
    /// How its rows are sent.
    pub formats: Formats,
    /// SCROLL or NO SCROLL.
    pub scroll: Option<bool>,
    /// WITH HOLD.
    pub hold: bool,
    /// True until the block that declared it commits.
    pub of_open_block: bool,
    rows: RowsResponse,
    /// Rows kept, from row `kept_from` on, each batch with the number of its first row.
    kept: Vec<(usize, RecordBatch)>,
    kept_bytes: usize,
    /// False once rows that were passed are gone.
    complete: bool,
    /// Rows read of the query.
    read: usize,
    /// True once the query has no more.
    ended: bool,
    /// The current row, from 1; 0 is before the first, `read + 1` after the last.
    position: usize,
}

/// DECLARE.
pub async fn declare(
    session: &mut ClientSession,
    declare: Declare,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let Declare { name, binary, scroll, hold, query } = declare;
    if !hold && !session.in_explicit_block() {
        return Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            "DECLARE CURSOR can only be used in transaction blocks",
        ));
    }
    if session.cursors.contains_key(&name) || session.portals.contains_key(&name) {
        return Err(SqlError::new(
            SqlState::DUPLICATE_CURSOR,
            format!("cursor \"{name}\" already exists"),
        ));
    }
    let Response::Rows(rows) = select::run(session, *query, cancel).await? else {
        return Err(SqlError::syntax("DECLARE CURSOR must not contain data-modifying statements"));
    };
    let cursor = OpenCursor {
        columns: Arc::clone(&rows.columns),
        formats: if binary { Formats::BINARY } else { Formats::TEXT },
        scroll,
        hold,
        of_open_block: true,
        rows,
        kept: Vec::new(),
        kept_bytes: 0,
        complete: true,
        read: 0,
        ended: false,
        position: 0,
    };
    session.cursors.insert(name, cursor);
    complete("DECLARE CURSOR")
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("cursor \"{name}\" does not exist"))
}

/// The columns FETCH answers.
pub fn columns(session: &ClientSession, name: &str) -> Result<Arc<[ResultColumn]>, SqlError> {
    let cursor = session.cursors.get(name).ok_or_else(|| no_cursor(name))?;
    Ok(Arc::clone(&cursor.columns))
}

/// CLOSE; `None` is ALL.
pub fn close(session: &mut ClientSession, name: Option<&str>) -> Result<Response, SqlError> {
    match name {
        None => {
            session.cursors.clear();
            session.portals.clear();
            complete("CLOSE CURSOR ALL")
        }
        Some(name) => {
            let portal = session.portals.remove(name).is_some();
            match session.cursors.remove(name).is_some() || portal {
                true => complete("CLOSE CURSOR"),
                false => Err(no_cursor(name)),
            }
        }
    }
}

/// FETCH and MOVE.
pub async fn fetch(
    session: &mut ClientSession,
    name: &str,
    direction: Direction,
    moves: bool,
    cancel: &Cancel,
) -> Result<Response, SqlError> {
    let cursor = session.cursors.get_mut(name).ok_or_else(|| no_cursor(name))?;
    let rows = cursor.fetch(direction, cancel).await?;
    if moves {
        return Ok(Response::Complete(CommandTag::Count("MOVE", rows.count as u64)));
    }
    Ok(Response::Rows(RowsResponse {
        columns: Arc::clone(&cursor.columns),
        formats: cursor.formats.clone(),
        pending: None,
        batches: futures::stream::iter(rows.batches.into_iter().map(Ok)).boxed(),
        tag: CommandTag::RowsSent("FETCH"),
    }))
}

/// What a FETCH found.
#[derive(Default)]
struct Fetched {
    batches: Vec<RecordBatch>,
    count: usize,
}

impl Fetched {
    fn push(&mut self, batch: RecordBatch) {
        self.count += batch.num_rows();
        self.batches.push(batch);
    }
}

impl OpenCursor {
    async fn fetch(&mut self, direction: Direction, cancel: &Cancel) -> Result<Fetched, SqlError> {
        match direction {
            Direction::Forward(0) | Direction::Relative(0) => self.current(),
            Direction::Forward(count) if count > 0 => {
                self.forward(count.unsigned_abs() as usize, cancel).await
            }
            Direction::Forward(count) => self.backward(count.unsigned_abs() as usize),
            Direction::ForwardAll => self.forward(usize::MAX, cancel).await,
            Direction::BackwardAll => self.backward(usize::MAX),
            Direction::Relative(far) => {
                let position = self.position as i64 + far;
                self.to(usize::try_from(position).unwrap_or(0), cancel).await
            }
            Direction::Absolute(row) if row >= 0 => {
                self.to(row.unsigned_abs() as usize, cancel).await
            }
            Direction::Absolute(row) => {
                while self.read_more(cancel).await? {}
                let back = row.unsigned_abs() as usize;
                self.to((self.read + 1).saturating_sub(back), cancel).await
            }
        }
    }

    /// The current row once more.
    fn current(&mut self) -> Result<Fetched, SqlError> {
        let mut found = Fetched::default();
        if self.position >= 1 && self.position <= self.read {
            self.check_backward()?;
            self.kept_row(self.position, &mut found);
        }
        Ok(found)
    }

    /// One row by its number.
    async fn to(&mut self, row: usize, cancel: &Cancel) -> Result<Fetched, SqlError> {
        if row <= self.position {
            self.check_backward()?;
        } else {
            let skipped = row - self.position - 1;
            self.forward(skipped, cancel).await?;
            return self.forward(1, cancel).await;
        }
        self.position = row;
        let mut found = Fetched::default();
        if row >= 1 && row <= self.read {
            self.kept_row(row, &mut found);
        }
        Ok(found)
    }

    async fn forward(&mut self, count: usize, cancel: &Cancel) -> Result<Fetched, SqlError> {
        let mut found = Fetched::default();
        while found.count < count {
            cancel.check()?;
            let next = self.position + 1;
            if next > self.read {
                let read = self.read;
                let Some(batch) = self.next_batch(count - found.count, cancel).await? else {
                    self.position = self.read + 1;
                    break;
                };
                self.position = read + batch.num_rows();
                found.push(batch);
                continue;
            }
            let wanted = (self.read - self.position).min(count - found.count);
            let Some(batch) = self.kept_rows(next, wanted) else {
                return Err(forward_only());
            };
            self.position += batch.num_rows();
            found.push(batch);
        }
        Ok(found)
    }

    fn backward(&mut self, count: usize) -> Result<Fetched, SqlError> {
        self.check_backward()?;
        let mut found = Fetched::default();
        while found.count < count {
            self.position = self.position.min(self.read + 1).saturating_sub(1);
            if self.position == 0 {
                break;
            }
            self.kept_row(self.position, &mut found);
        }
        Ok(found)
    }

    fn check_backward(&self) -> Result<(), SqlError> {
        match self.scroll == Some(false) || !self.complete {
            true => Err(forward_only()),
            false => Ok(()),
        }
    }

    fn kept_row(&self, row: usize, found: &mut Fetched) {
        found.batches.extend(self.kept_rows(row, 1));
        found.count += 1;
    }

    /// Up to `count` rows from `row` on, out of one batch.
    fn kept_rows(&self, row: usize, count: usize) -> Option<RecordBatch> {
        let at = self.kept.partition_point(|(first, _)| *first <= row).checked_sub(1)?;
        let (first, batch) = &self.kept[at];
        let offset = row - first;
        let left = batch.num_rows().checked_sub(offset).filter(|left| *left > 0)?;
        Some(batch.slice(offset, left.min(count)))
    }

    /// Reads the query on, for SCROLL's sake: false at its end.
    async fn read_more(&mut self, cancel: &Cancel) -> Result<bool, SqlError> {
        Ok(self.next_batch(usize::MAX, cancel).await?.is_some())
    }

    /// The next rows of the query, up to `count`; `None` at its end.
    async fn next_batch(
        &mut self,
        count: usize,
        cancel: &Cancel,
    ) -> Result<Option<RecordBatch>, SqlError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let next = tokio::select! {
                biased;
                () = cancel.tripped() => return Err(cancel.error()),
                next = self.rows.next() => next,
            };
            let Some(batch) = next.transpose()? else {
                self.ended = true;
                return Ok(None);
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let taken = batch.num_rows().min(count);
            if taken < batch.num_rows() {
                self.rows.pending = Some(batch.slice(taken, batch.num_rows() - taken));
            }
            let batch = batch.slice(0, taken);
            self.keep(&batch)?;
            self.read += taken;
            return Ok(Some(batch));
        }
    }

    fn keep(&mut self, batch: &RecordBatch) -> Result<(), SqlError> {
        let few = self.read + batch.num_rows() <= KEPT_ROWS_MAX;
        match self.scroll {
            Some(true) => {
                self.kept_bytes +=
                    batch.get_array_memory_size() * batch.num_rows() / self.rows_of(batch).max(1);
                if self.kept_bytes > KEPT_BYTES_MAX {
                    return Err(SqlError::new(
                        SqlState::PROGRAM_LIMIT_EXCEEDED,
                        format!(
                            "a SCROLL cursor may keep at most {} MB of rows",
                            KEPT_BYTES_MAX >> 20
                        ),
                    ));
                }
                self.kept.push((self.read + 1, batch.clone()));
            }
            None if self.complete && few => self.kept.push((self.read + 1, batch.clone())),
            _ => {
                self.kept.clear();
                self.complete = false;
            }
        }
        Ok(())
    }

    /// Rows that share the batch's memory: slices of one batch count it once between them.
    fn rows_of(&self, batch: &RecordBatch) -> usize {
        let pending = self.rows.pending.as_ref().map_or(0, RecordBatch::num_rows);
        batch.num_rows() + pending
    }
}

fn forward_only() -> SqlError {
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, "cursor can only scan forward")
        .with_hint("Declare it with SCROLL option to enable backward scan.")
}

impl ClientSession {
    /// The block has committed: its cursors go, those WITH HOLD stay.
    pub(super) fn keep_held_cursors(&mut self) {
        self.cursors.retain(|_, cursor| cursor.hold);
        self.cursors.values_mut().for_each(|cursor| cursor.of_open_block = false);
    }

    /// The block was rolled back: cursors it declared go.
    pub(super) fn drop_cursors_of_block(&mut self) {
        self.cursors.retain(|_, cursor| !cursor.of_open_block);
    }
}
