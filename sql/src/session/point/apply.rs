//! Row programs of a point statement: committed at once where the statement is alone in its implicit block,
//! otherwise left to the block.

use super::Execution;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::session::cancel::Cancel;
use crate::session::client::{ClientSession, TRIES_MAX};
use crate::session::modify::{self, Changed, Target};
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::program::{Atomicity, Guard, ModifyRequest, RowError, RowOutcome, RowProgram};

/// Why a point statement gave no answer.
#[derive(Debug)]
pub enum PointError {
    /// The table's schema is another one than it was planned with; nothing was done (rule 32).
    Stale,
    /// What the client is told.
    Sql(SqlError),
}

/// A point statement's outcome.
pub trait Outcome<T> {
    /// The answer; `None` where the plan was stale.
    fn answer(self) -> Result<Option<T>, SqlError>;
}

impl<T> Outcome<T> for Result<T, PointError> {
    fn answer(self) -> Result<Option<T>, SqlError> {
        match self {
            Ok(answer) => Ok(Some(answer)),
            Err(PointError::Stale) => Ok(None),
            Err(PointError::Sql(error)) => Err(error),
        }
    }
}

impl From<SqlError> for PointError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<TabletError> for PointError {
    fn from(error: TabletError) -> Self {
        match error {
            TabletError::SchemaChanged { .. } | TabletError::UnknownTable { .. } => Self::Stale,
            other => Self::Sql(errors::of_tablet(other)),
        }
    }
}

impl ClientSession {
    /// True where the running statement is all its transaction does: no block is open, or an implicit one
    /// that has done nothing yet.
    pub(in crate::session) fn is_whole_transaction(&self, alone: bool) -> bool {
        alone
            && self.block.as_ref().is_none_or(|block| {
                !block.explicit
                    && !block.failed
                    && !block.read_only
                    && block.programs().is_empty()
                    && !block.catalog.is_changed()
            })
    }

    /// Runs programs and says how many rows they changed.
    pub(super) async fn apply_point(
        &mut self,
        target: &Target,
        programs: Vec<RowProgram>,
        execution: &Execution<'_>,
    ) -> Result<u64, PointError> {
        if programs.is_empty() {
            return Ok(0);
        }
        let whole = self.is_whole_transaction(execution.alone);
        if whole && !programs.iter().any(|program| modify::changes_indexes(target, program)) {
            return self.commit_point(target, programs).await;
        }
        let programs: Vec<RowProgram> = programs.into_iter().map(matched).collect();
        match whole {
            true => Box::pin(self.commit_with_indexes(target, programs, execution.cancel)).await,
            false => match Box::pin(self.apply(target, programs, execution.cancel)).await {
                Ok(changed) => Ok(count(&changed)),
                // The general road looks at the row again.
                Err(error) if error.lost_row.is_some() => Err(PointError::Stale),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Runs and commits programs that move entries of unique indexes, which are looked up before: again where
    /// another commit came between (rule 26).
    async fn commit_with_indexes(
        &mut self,
        target: &Target,
        programs: Vec<RowProgram>,
        cancel: &Cancel,
    ) -> Result<u64, PointError> {
        let mut turn = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let changed = match self.apply(target, programs.clone(), cancel).await {
                Ok(changed) => self.commit().await.map(|()| count(&changed)),
                Err(error) => Err(error),
            };
            let Err(error) = changed else { return Ok(changed?) };
            if error.state != SqlState::SERIALIZATION_FAILURE || tries >= TRIES_MAX {
                return Err(error.into());
            }
            self.rollback().await?;
            if error.stale_catalog {
                return Err(PointError::Stale);
            }
            if let Some(place) = error.lost_row {
                turn = self.server.races.next(turn, place, cancel).await?;
            }
        }
    }

    async fn commit_point(
        &mut self,
        target: &Target,
        programs: Vec<RowProgram>,
    ) -> Result<u64, PointError> {
        let programs = Arc::new(programs);
        let request = ModifyRequest {
            request: self.server.next_request(),
            programs: Arc::clone(&programs),
            atomicity: Atomicity::AllOrNone,
        };
        let response = self.server.tablets.modify_rows(request).await?;
        let mut changed = 0;
        for (program, result) in programs.iter().zip(response.results) {
            match result {
                Ok(RowOutcome::Applied { .. }) => changed += 1,
                Ok(RowOutcome::Unmatched) => {}
                Err(error) => {
                    return Err(self.refused_point(target, program, &error).await.into());
                }
            }
        }
        Ok(changed)
    }

    /// The error of a program that a tablet refused.
    async fn refused_point(
        &mut self,
        target: &Target,
        program: &RowProgram,
        error: &RowError,
    ) -> SqlError {
        let catalog = self.current_catalog();
        let mut told = modify::violation(&catalog, program, error);
        // The tablet does not answer the row, which another may have changed since: a DETAIL may lack.
        if matches!(error, RowError::NotNull(_) | RowError::Check(_))
            && let Ok(rows) = self.rows_of(target, vec![program.key.clone()]).await
        {
            let found = rows.get(program.table, &program.key);
            told.detail = modify::failing_row(target, program, found.as_ref());
        }
        told
    }
}

/// How many rows were changed.
fn count(changed: &[Changed]) -> u64 {
    changed.iter().filter(|row| row.applied).count() as u64
}

/// In a block the client is told now what COMMIT must find again.
fn matched(program: RowProgram) -> RowProgram {
    match program.guard {
        Guard::Any => RowProgram { guard: Guard::Matched, ..program },
        _ => program,
    }
}
