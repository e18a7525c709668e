//! How blocks begin and end.

use super::altered;
use super::block::{Block, Isolation};
use super::client::ClientSession;
use crate::catalog::snapshot::Temporary;
use crate::catalog::store::PendingCommit;
use crate::error::{SqlError, SqlState};
use crate::plan::errors;
use crate::scan::overlay::Overlay;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::CommitTs;
use terrane_client::program::{Atomicity, Guard, ModifyRequest, RowError, RowProgram};

fn not_applied() -> SqlError {
    SqlError::new(SqlState::SERIALIZATION_FAILURE, "the commit was not applied")
        .with_hint("Nothing of the transaction was applied; it might succeed if retried.")
}

/// True where another commit came first.
fn is_lost(error: &RowError) -> bool {
    matches!(error, RowError::VersionChanged { .. } | RowError::NotMatched)
}

/// What the block has read of its own rows must be what it commits (rule 3).
fn pin_what_was_read(programs: &mut [RowProgram], overlay: &Overlay) {
    for program in programs {
        let (table, key) = (program.table, &program.key);
        if matches!(program.guard, Guard::Any | Guard::Matched) && overlay.is_read(table, key) {
            program.guard = Guard::Version(overlay.committed(table, key));
        }
    }
}

impl ClientSession {
    /// What SET TRANSACTION says of the block, and BEGIN in one that is open.
    pub(super) fn set_modes(
        &mut self,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    ) -> Result<(), SqlError> {
        let block = self.block();
        let refused = |message| Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
        if block.queried && isolation.is_some_and(|isolation| isolation != block.isolation) {
            return refused("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }
        if block.queried && block.read_only && read_only == Some(false) {
            return refused("transaction read-write mode must be set before any query");
        }
        block.isolation = isolation.unwrap_or(block.isolation);
        block.read_only = read_only.unwrap_or(block.read_only);
        Ok(())
    }

    /// BEGIN. An implicit block that has done something already becomes explicit, as in PostgreSQL.
    pub(super) fn begin(
        &mut self,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    ) -> Result<(), SqlError> {
        if self.block.as_ref().is_some_and(|block| block.explicit) {
            self.warn(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            );
            return self.set_modes(isolation, read_only);
        }
        let default_isolation = self.settings.get("default_transaction_isolation");
        let repeatable = default_isolation.is_ok_and(|level| level == "repeatable read");
        let read_only_default = self.settings.is_on("default_transaction_read_only");
        let block = self.block();
        block.explicit = true;
        block.isolation = isolation.unwrap_or(match repeatable {
            true => Isolation::RepeatableRead,
            false => Isolation::ReadCommitted,
        });
        block.read_only = read_only.unwrap_or(read_only_default);
        Ok(())
    }

    /// AND CHAIN: a block like the one that ended.
    pub(super) fn chain(&mut self, next: Option<(Isolation, bool)>) -> Result<(), SqlError> {
        next.map_or(Ok(()), |(isolation, read_only)| self.begin(Some(isolation), Some(read_only)))
    }

    /// COMMIT: writes all rows and staged DDL at once, or nothing. True where it committed; false where the
    /// block had failed and was rolled back.
    pub(super) async fn end_block(&mut self) -> Result<bool, SqlError> {
        match &self.block {
            Some(block) if block.failed => {
                self.rollback().await?;
                Ok(false)
            }
            _ => {
                self.commit().await?;
                Ok(true)
            }
        }
    }

    /// Commits the open block, whatever its kind. After an error nothing of it was applied, unless the error
    /// says otherwise.
    pub(super) async fn commit(&mut self) -> Result<(), SqlError> {
        let Some(mut block) = self.block.take() else { return Ok(()) };
        self.portals.retain(|_, portal| portal.with_hold);
        self.restore_local(&mut block);
        let result = match self.apply_on_commit(&mut block).await {
            Ok(()) => self.write(&mut block).await,
            Err(error) => Err(error),
        };
        self.forget_transaction();
        match result {
            Ok(()) => {
                self.keep_held_cursors();
                self.temporary = self.committed_temporary(&block).await;
                let dropped = block.catalog.storages_after_commit();
                self.server.catalog.drop_storages(&dropped).await;
                Ok(())
            }
            Err(error) => {
                self.drop_cursors_of_block();
                self.settings = block.settings.clone();
                self.temporary = self.server.catalog.abort(block.catalog).await?;
                Err(error)
            }
        }
    }

    /// The session's temporary objects behind a COMMIT, which says when tables can be read from.
    async fn committed_temporary(&mut self, block: &Block) -> Option<Arc<Temporary>> {
        let temporary = block.catalog.catalog().temporary()?;
        if !block.catalog.is_changed() {
            return Some(Arc::clone(temporary));
        }
        // Not before the commit, which has no timestamp of its own where no row was written.
        let newest = self.server.tablets.read_timestamp().await.unwrap_or_default();
        let now = CommitTs(self.server.env.clock.now_micros());
        Some(temporary.committed(now.max(newest)))
    }

    /// ON COMMIT DROP and ON COMMIT DELETE ROWS of the session's temporary tables.
    async fn apply_on_commit(&mut self, block: &mut Block) -> Result<(), SqlError> {
        for table in block.catalog.apply_on_commit() {
            let Some(table) = block.catalog.catalog().table(table).cloned() else { continue };
            let own = block.catalog.is_own_storage(table.storage);
            if own || block.programs().iter().any(|program| program.table == table.storage) {
                self.server.catalog.empty_table(&mut block.catalog, &table).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, block: &mut Block) -> Result<(), SqlError> {
        let mut programs = block.take_programs();
        pin_what_was_read(&mut programs, &block.overlay);
        let mut programs = altered::programs(block, programs);
        let own = programs.len();
        let pending = match block.catalog.is_changed() {
            true => self.server.catalog.begin_commit(&mut block.catalog).await?,
            false => None,
        };
        if let Some(pending) = &pending {
            programs.extend(pending.programs.iter().cloned());
        }
        if programs.is_empty() {
            return Ok(());
        }
        match self.modify(programs).await {
            Ok(Ok(commit_ts)) => {
                if let Some(pending) = pending {
                    self.server.catalog.finish_commit(pending, commit_ts).await;
                }
                Ok(())
            }
            Ok(Err((at, program, error))) => {
                self.abandon(pending).await?;
                match at < own {
                    true => Err(self.refused(block, &program, &error)),
                    false => Err(crate::catalog::store::commit_error(&error)),
                }
            }
            Err(TabletError::OutcomeUnknown(message)) => match pending {
                // The catalog's version row tells whether this commit wrote it.
                Some(pending) => match self.server.catalog.resolve(pending).await? {
                    true => Ok(()),
                    false => Err(not_applied()),
                },
                None => Err(errors::of_tablet(TabletError::OutcomeUnknown(message))),
            },
            Err(error) => {
                self.abandon(pending).await?;
                Err(errors::of_tablet(error))
            }
        }
    }

    async fn abandon(&mut self, pending: Option<PendingCommit>) -> Result<(), SqlError> {
        match pending {
            Some(pending) => self.server.catalog.abandon(pending).await,
            None => Ok(()),
        }
    }

    /// Applies programs, all or none: the commit's timestamp, or the first that refused.
    async fn modify(
        &mut self,
        programs: Vec<RowProgram>,
    ) -> Result<Result<CommitTs, (usize, RowProgram, RowError)>, TabletError> {
        let request = ModifyRequest {
            request: self.server.next_request(),
            programs: Arc::new(programs),
            atomicity: Atomicity::AllOrNone,
        };
        // Kept for the error's sake: which row refused.
        let sent = Arc::clone(&request.programs);
        let response = self.server.tablets.modify_rows(request).await?;
        let refused = response
            .results
            .into_iter()
            .enumerate()
            .filter_map(|(at, result)| result.err().map(|error| (at, error)))
            // What stands in a unique index may be the row's own, where another commit has changed the row.
            .min_by_key(|(at, error)| (!is_lost(error), *at));
        Ok(match refused {
            None => Ok(response.commit_ts),
            Some((at, error)) => Err((at, sent[at].clone(), error)),
        })
    }

    /// What a program that COMMIT refused means to the client.
    fn refused(&self, block: &Block, program: &RowProgram, error: &RowError) -> SqlError {
        match error {
            error if is_lost(error) => super::modify::lost(program.table, &program.key)
                .with_hint("Nothing of the transaction was applied; it might succeed if retried."),
            other => super::modify::violation(block.catalog.catalog(), program, other),
        }
    }

    /// ROLLBACK.
    pub(super) async fn rollback(&mut self) -> Result<(), SqlError> {
        self.memory.take_assigned();
        let Some(block) = self.block.take() else { return Ok(()) };
        self.forget_transaction();
        self.portals.retain(|_, portal| portal.with_hold);
        self.drop_cursors_of_block();
        self.settings = block.settings;
        if block.catalog.is_changed() || block.catalog.has_storages() {
            self.temporary = self.server.catalog.abort(block.catalog).await?;
        }
        Ok(())
    }

    /// Gives back what lives as long as a transaction.
    fn forget_transaction(&self) {
        self.memory.end_transaction();
        self.server.advisory.end_transaction(self.number);
    }

    fn restore_local(&mut self, block: &mut Block) {
        for (name, value) in block.local_settings.drain() {
            // A value that was valid before is valid again.
            let _ = match value {
                Some(value) => self.settings.set(&name, &value),
                None => self.settings.reset(&name),
            };
        }
    }

    /// The session ends: its temporary objects go.
    pub(super) async fn drop_temporary(&mut self) {
        let Some(temporary) = self.temporary.take() else { return };
        let empty = self.server.catalog.snapshot();
        let with = Arc::new(empty.with_temporary(Some(temporary)));
        let permanent = with.storages();
        let own: Vec<_> = with.storages_with_temporary().difference(&permanent).copied().collect();
        self.server.catalog.drop_storages(&own).await;
    }
}
