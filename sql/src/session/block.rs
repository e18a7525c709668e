//! A transaction block (rules 3, 26, 29–31): row programs buffered until COMMIT, overlaid on the
//! session's own reads, forgotten by ROLLBACK.
//!
//! The buffer is an append-only list of row programs. Each was evaluated when its statement ran, on the row
//! as the block sees it, so that the statement could answer; COMMIT sends them all to be evaluated again under
//! the row locks, all or none. A program whose client was told that its row changed must apply again
//! ([`Guard::Matched`]); one whose values were computed from the row's content by the frontend carries the
//! version it was computed from. SAVEPOINT is a length of the list.

use super::settings::Settings;
use crate::catalog::snapshot::Catalog;
use crate::catalog::transaction::{CatalogSavepoint, CatalogTransaction};
use crate::error::{SqlError, SqlState};
use crate::scan::overlay::{Overlay, Written};
use std::collections::HashMap;
use std::sync::Arc;
use terrane_client::ids::{CommitTs, StorageId};
use terrane_client::program::RowProgram;
use terrane_client::service::TimestampPin;

/// What an explicit block may buffer, in bytes of its programs.
pub const BUFFER_BYTES_MAX: usize = 64 << 20;

/// The isolation of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Every statement reads at its own timestamp.
    #[default]
    ReadCommitted,
    /// Every statement reads at the first one's.
    RepeatableRead,
}

/// A savepoint.
pub struct Savepoint {
    name: String,
    programs: usize,
    bytes: usize,
    overlay: Arc<Overlay>,
    catalog: CatalogSavepoint,
    settings: Settings,
}

/// What a block has done so far.
pub struct Block {
    /// True between BEGIN and COMMIT; false for the implicit block of a message.
    pub explicit: bool,
    /// True after an error in an explicit block.
    pub failed: bool,
    /// READ ONLY: writes are 25006.
    pub read_only: bool,
    /// Which timestamp its statements read at.
    pub isolation: Isolation,
    /// True once a statement has read: the isolation cannot change any more.
    pub queried: bool,
    /// The timestamp REPEATABLE READ pinned.
    pub pinned: Option<(CommitTs, TimestampPin)>,
    /// now(): microseconds since 1970-01-01 UTC.
    pub started_micros: i64,
    /// Staged DDL.
    pub catalog: CatalogTransaction,
    /// What the session's reads see over the tablets.
    pub overlay: Arc<Overlay>,
    programs: Vec<RowProgram>,
    bytes: usize,
    savepoints: Vec<Savepoint>,
    /// The settings at the block's start: what ROLLBACK goes back to.
    pub settings: Settings,
    /// Settings of SET LOCAL, by name, with what they were before.
    pub local_settings: HashMap<String, Option<String>>,
}

impl Block {
    /// A block over a catalog.
    pub fn new(
        explicit: bool,
        catalog: Arc<Catalog>,
        started_micros: i64,
        settings: Settings,
    ) -> Self {
        Self {
            explicit,
            failed: false,
            read_only: settings.is_on("default_transaction_read_only"),
            isolation: Isolation::default(),
            queried: false,
            pinned: None,
            started_micros,
            catalog: CatalogTransaction::new(catalog),
            overlay: Arc::default(),
            programs: Vec::new(),
            bytes: 0,
            savepoints: Vec::new(),
            settings,
            local_settings: HashMap::new(),
        }
    }

    /// True where nothing has been written or staged.
    pub fn is_clean(&self) -> bool {
        self.programs.is_empty() && !self.catalog.is_changed() && !self.catalog.has_storages()
    }

    /// Goes on with a newer catalog, where the block has staged nothing to be merged with it.
    pub fn refresh(&mut self, published: Arc<Catalog>) {
        let staged = self.catalog.is_changed() || self.catalog.has_storages();
        if !staged && self.savepoints.is_empty() && published.version > self.catalog.base().version
        {
            self.catalog = CatalogTransaction::new(published);
        }
    }

    /// The programs so far.
    pub fn programs(&self) -> &[RowProgram] {
        &self.programs
    }

    /// Takes the programs out: to commit them.
    pub fn take_programs(&mut self) -> Vec<RowProgram> {
        self.bytes = 0;
        std::mem::take(&mut self.programs)
    }

    /// Appends a statement's programs and the rows as they are after them.
    pub fn append(
        &mut self,
        programs: Vec<RowProgram>,
        rows: Vec<Written>,
    ) -> Result<(), SqlError> {
        let bytes: usize = programs.iter().map(program_bytes).sum();
        if self.explicit && self.bytes + bytes > BUFFER_BYTES_MAX {
            return Err(SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a transaction block may write at most {} MB", BUFFER_BYTES_MAX >> 20),
            )
            .with_hint(
                "Commit more often, or load the rows with one statement outside of a block.",
            ));
        }
        self.bytes += bytes;
        self.programs.extend(programs);
        let overlay = Arc::make_mut(&mut self.overlay);
        rows.into_iter().for_each(|row| overlay.write(row));
        Ok(())
    }

    /// Bytes of the programs so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True where this block made the storage and nothing but the block's end, or a ROLLBACK TO that drops
    /// the storage with its table, can take its rows back: they need no buffer (rule 31).
    pub fn is_unbuffered(&self, storage: StorageId) -> bool {
        self.catalog.is_own_storage(storage)
            && self.overlay.table(storage).is_none()
            && self.isolation == Isolation::ReadCommitted
            && self.savepoints.iter().all(|savepoint| !savepoint.catalog.has_storage(storage))
    }

    /// True where the block has done nothing yet.
    pub fn is_untouched(&self) -> bool {
        self.programs.is_empty() && !self.catalog.is_changed() && self.savepoints.is_empty()
    }

    /// SAVEPOINT.
    pub fn savepoint(&mut self, name: String, settings: &Settings) {
        self.savepoints.push(Savepoint {
            name,
            programs: self.programs.len(),
            bytes: self.bytes,
            overlay: Arc::clone(&self.overlay),
            catalog: self.catalog.savepoint(),
            settings: settings.clone(),
        });
    }

    /// RELEASE: forgets the savepoint and those after it.
    pub fn release(&mut self, name: &str) -> Result<(), SqlError> {
        let at = self.find(name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// ROLLBACK TO: forgets what came after the savepoint, which stays. Answers the settings of then.
    pub fn rollback_to(&mut self, name: &str) -> Result<Settings, SqlError> {
        let at = self.find(name)?;
        self.savepoints.truncate(at + 1);
        let savepoint = &self.savepoints[at];
        self.programs.truncate(savepoint.programs);
        self.bytes = savepoint.bytes;
        self.overlay = Arc::clone(&savepoint.overlay);
        self.catalog.rollback_to(&savepoint.catalog);
        self.failed = false;
        Ok(savepoint.settings.clone())
    }

    fn find(&self, name: &str) -> Result<usize, SqlError> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_SAVEPOINT_SPECIFICATION,
                format!("savepoint \"{name}\" does not exist"),
            )
        })
    }
}

/// About how much a program takes.
pub fn program_bytes(program: &RowProgram) -> usize {
    use terrane_client::program::Action;
    let action = match &program.action {
        Action::Put { cells } => cells.as_bytes().len(),
        Action::Upsert { insert, conflict: _ } => insert.as_bytes().len(),
        Action::Update { assignments } => assignments.len() * std::mem::size_of::<RowProgram>(),
        Action::Delete | Action::Check => 0,
    };
    std::mem::size_of::<RowProgram>() + program.key.len() + action
}
