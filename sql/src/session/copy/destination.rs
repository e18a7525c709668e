//! Where a COPY's row programs go, and what stays of them when it fails (rule 31).
//!
//! - A COPY that is a transaction of its own is held until its end and then applied all or none. Past
//!   [`BUFFER_BYTES_MAX`] it goes on in batches, each all or none, one after the other: rows applied are
//!   always the first ones, and the error of a COPY that fails later says how many.
//! - Rows for a storage that the block made are written into it at once, whatever their number: nobody
//!   sees them before COMMIT, and ROLLBACK drops the storage.
//! - Everything else goes into the block's buffer, which has its limit.
//!
//! One batch is under way at the tablets while the next is read: memory is bounded, and both sides of the
//! boundary are busy. A batch is sent when the one before has been applied; that all of them are durable is waited
//! for at the end, before anyone is told.

use super::rows::Batch;
use crate::copy::reader::context;
use crate::error::SqlError;
use crate::plan::errors;
use crate::session::block::{BUFFER_BYTES_MAX, program_bytes};
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::modify::{Target, violation};
use crate::session::server::SqlServer;
use std::collections::VecDeque;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::program::{Atomicity, ModifyRequest, RowProgram};
use terrane_client::service::{Applied, WhenDurable};
use tokio::task::JoinHandle;

/// Batches whose log is not known to be synced, at most: what a failing disk can leave in doubt.
const SYNCING_MAX: usize = 8;

/// Where rows go.
pub enum Destination {
    /// To the tablets, from here.
    Tablets(Tablets),
    /// Into the block.
    Block,
}

/// Writes batches to the tablets.
pub struct Tablets {
    server: Arc<SqlServer>,
    /// What waits for the end, or for there to be too much of it.
    held: Vec<Batch>,
    held_bytes: usize,
    /// Batches are written as they come.
    streaming: bool,
    /// True where rows that were applied stay when a later one fails.
    stays: bool,
    under_way: Option<UnderWay>,
    /// Rows applied, of batches whose log may not be synced yet.
    syncing: VecDeque<(u64, WhenDurable)>,
    /// Rows applied for good.
    applied: u64,
}

struct UnderWay {
    sent: Sent,
    task: JoinHandle<Result<Applied, TabletError>>,
}

/// What is to be known of programs that were sent, to tell which row was refused.
struct Sent {
    programs: Arc<Vec<RowProgram>>,
    /// Batches, each with the place of its first program.
    batches: Vec<(usize, Batch)>,
}

impl Sent {
    fn line(&self, program: usize) -> u64 {
        let at = self.batches.partition_point(|(start, _)| *start <= program);
        at.checked_sub(1).map_or(0, |at| {
            let (start, batch) = &self.batches[at];
            batch.line(program - start)
        })
    }

    fn rows(&self) -> u64 {
        self.batches.iter().map(|(_, batch)| batch.lines.len() as u64).sum()
    }
}

impl Destination {
    /// Where the rows of a COPY into this table go.
    pub fn of(session: &mut ClientSession, target: &Target) -> Self {
        let server = Arc::clone(&session.server);
        let single = session.message_statements == 1;
        let block = session.block();
        let hidden = target.uniques.iter().map(|(_, schema)| schema.storage);
        let own = std::iter::once(target.schema.storage)
            .chain(hidden)
            .all(|storage| block.is_unbuffered(storage));
        let alone = single && !block.explicit && block.is_untouched();
        match own || alone {
            true => Self::Tablets(Tablets {
                server,
                held: Vec::new(),
                held_bytes: 0,
                streaming: own,
                stays: !own,
                under_way: None,
                syncing: VecDeque::new(),
                applied: 0,
            }),
            false => Self::Block,
        }
    }

    /// True where programs for unique indexes have to come with those of the rows.
    pub fn wants_indexes(&self) -> bool {
        matches!(self, Self::Tablets(_))
    }

    /// Takes a batch of rows.
    pub async fn push(
        &mut self,
        session: &mut ClientSession,
        target: &Target,
        batch: Batch,
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        match self {
            Self::Tablets(tablets) => tablets.push(session, target, batch).await,
            Self::Block => {
                let mut at = 0;
                let Batch { programs, lines, .. } = batch;
                let applied = session.apply_rows(target, programs.into(), &mut at, cancel).await;
                applied.map_err(|error| at_line(error, target, lines[at]))?;
                Ok(())
            }
        }
    }

    /// Nothing more comes.
    pub async fn finish(
        &mut self,
        session: &mut ClientSession,
        target: &Target,
    ) -> Result<(), SqlError> {
        match self {
            Self::Tablets(tablets) => {
                tablets.flush(session, target).await?;
                tablets.wait(session, target).await?;
                tablets.sync(0).await.map_err(|error| failed(target, error))
            }
            Self::Block => Ok(()),
        }
    }

    /// The COPY failed: waits for what is under way, and tells in the error what stays.
    pub async fn abort(&mut self, error: &mut SqlError) {
        let Self::Tablets(tablets) = self else { return };
        if let Some(UnderWay { sent, task }) = tablets.under_way.take()
            && let Ok(Ok(Applied { response, durable })) = task.await
            && response.results.iter().all(Result::is_ok)
        {
            tablets.syncing.push_back((sent.rows(), durable));
        }
        // Where the log fails, what is told is what was certain before.
        let _ = tablets.sync(0).await;
        if tablets.stays && tablets.applied > 0 {
            let note = format!(
                "The first {} rows were applied: a COPY of more than {} MB goes on in batches. Into a \
                 table that is created or truncated in the same transaction it is all or nothing.",
                tablets.applied,
                BUFFER_BYTES_MAX >> 20
            );
            error.hint = Some(match error.hint.take() {
                Some(hint) => format!("{hint}\n{note}"),
                None => note,
            });
        }
    }
}

impl Tablets {
    async fn push(
        &mut self,
        session: &mut ClientSession,
        target: &Target,
        batch: Batch,
    ) -> Result<(), SqlError> {
        if !self.streaming {
            self.held_bytes += batch.programs.iter().map(program_bytes).sum::<usize>();
            self.held.push(batch);
            self.streaming = self.held_bytes > BUFFER_BYTES_MAX;
            return Ok(());
        }
        for held in std::mem::take(&mut self.held) {
            self.send(session, target, vec![held]).await?;
        }
        self.send(session, target, vec![batch]).await
    }

    /// Writes what is held: all of it at once where nothing was written before.
    async fn flush(
        &mut self,
        session: &mut ClientSession,
        target: &Target,
    ) -> Result<(), SqlError> {
        let held = std::mem::take(&mut self.held);
        match self.streaming {
            true => {
                for batch in held {
                    self.send(session, target, vec![batch]).await?;
                }
                Ok(())
            }
            false if held.is_empty() => Ok(()),
            false => self.send(session, target, held).await,
        }
    }

    async fn send(
        &mut self,
        session: &mut ClientSession,
        target: &Target,
        mut batches: Vec<Batch>,
    ) -> Result<(), SqlError> {
        let mut programs: Vec<RowProgram> = Vec::new();
        let mut starts = Vec::with_capacity(batches.len());
        for batch in &mut batches {
            starts.push(programs.len());
            match programs.is_empty() {
                true => programs = std::mem::take(&mut batch.programs),
                false => programs.append(&mut batch.programs),
            }
        }
        let programs = Arc::new(programs);
        let batches = starts.into_iter().zip(batches).collect();
        let sent = Sent { programs: Arc::clone(&programs), batches };
        self.wait(session, target).await?;
        let request = ModifyRequest {
            request: self.server.next_request(),
            programs,
            atomicity: Atomicity::AllOrNone,
        };
        let tablets = Arc::clone(&self.server.tablets);
        let task = tokio::spawn(async move { tablets.apply_rows(request).await });
        self.under_way = Some(UnderWay { sent, task });
        // A task waits on the thread that spawned it until that has nothing else to do; this one would read all of
        // the next batch first.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Waits until at most `left` batches are not known to be durable.
    async fn sync(&mut self, left: usize) -> Result<(), TabletError> {
        while self.syncing.len() > left
            && let Some((rows, durable)) = self.syncing.pop_front()
        {
            durable.await?;
            self.applied += rows;
        }
        Ok(())
    }

    /// Waits for the batch under way.
    async fn wait(&mut self, session: &mut ClientSession, target: &Target) -> Result<(), SqlError> {
        let Some(UnderWay { sent, task }) = self.under_way.take() else { return Ok(()) };
        let Applied { response, durable } = task
            .await
            .map_err(|error| SqlError::internal(format!("a write of COPY: {error}")))?
            .map_err(|error| failed(target, error))?;
        let refused = response.results.iter().enumerate();
        let refused = refused.filter_map(|(at, result)| Some((at, result.as_ref().err()?)));
        match refused.min_by_key(|(at, _)| (sent.line(*at), *at)) {
            None => {
                self.syncing.push_back((sent.rows(), durable));
                self.sync(SYNCING_MAX).await.map_err(|error| failed(target, error))
            }
            Some((at, error)) => {
                durable.await.map_err(|error| failed(target, error))?;
                let told = violation(&session.catalog(), &sent.programs[at], error);
                Err(at_line(told, target, sent.line(at)))
            }
        }
    }
}

fn failed(target: &Target, error: TabletError) -> SqlError {
    let mut error = errors::of_tablet(error);
    error.context = Some(format!("COPY {}", target.table.name));
    error
}

/// Adds a row's place to an error about it.
pub fn at_line(mut error: SqlError, target: &Target, line: u64) -> SqlError {
    error.context = Some(context(&target.table.name, line));
    error
}
