//! One client's session: its state, and how a statement runs in it.
//!
//! What a statement does is in a module of its own; here are names, blocks and the order of things.

use super::backends::{Backend, Backends};
use super::block::{Block, Isolation};
use super::cancel::Cancel;
use super::copy::CopyFrom;
use super::cursors::OpenCursor;
use super::format::Formats;
use super::info::SessionInfo;
use super::modify::with::Frozen;
use super::names;
use super::prepared::{Portal, Prepared};
use super::races::Turn;
use super::response::{CommandTag, Notice, Response};
use super::server::SqlServer;
use super::service::Login;
use super::services::{Services, SessionMemory};
use super::setting;
use super::settings::Settings;
use super::statement;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::{Catalog, Temporary};
use crate::catalog::system::{Facts, SessionFacts};
use crate::error::{SqlError, SqlState};
use crate::parse::ParsedStatement;
use crate::parse::place::Place;
use crate::plan::errors;
use crate::scan::statement::StatementContext;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::ids::CommitTs;
use terrane_client::key::HiddenKeys;
use terrane_client::service::TimestampPin;

/// Times a statement is run before it fails with 40001: more than rule 26's ten, since each may lose another row.
pub(super) const TRIES_MAX: usize = 50;

/// The longest wait for the catalog that has the change a tablet knows already.
const NEWER_CATALOG_WAIT: Duration = Duration::from_secs(5);

/// A session.
pub struct ClientSession {
    pub(super) server: Arc<SqlServer>,
    pub(super) login: Login,
    pub(super) backend: Arc<Backend>,
    pub(super) backends: Arc<Backends>,
    pub(super) settings: Settings,
    pub(super) block: Option<Block>,
    /// The session's temporary objects, outside of what the block has staged.
    pub(super) temporary: Option<Arc<Temporary>>,
    pub(super) number: u64,
    pub(super) statements: HashMap<String, Arc<Prepared>>,
    pub(super) portals: HashMap<String, Portal>,
    pub(super) notices: Vec<Notice>,
    /// COPY … FROM STDIN that is under way.
    pub(super) copying: Option<Box<CopyFrom>>,
    /// Statements of the Query message that is being run; 1 in the extended protocol.
    pub(super) message_statements: usize,
    /// Cursors of DECLARE.
    pub(super) cursors: HashMap<String, OpenCursor>,
    /// While a statement runs that changes rows in its WITH: what all of it reads, and has changed.
    pub(super) frozen: Option<Frozen>,
    /// The one statement that has changed rows in an implicit block, and what its client was told.
    pub(super) sole: Option<(ParsedStatement, CommandTag)>,
    /// True while the one statement of a simple Query message runs: nothing follows it in its block.
    pub(super) alone: bool,
    /// When the message came whose block is not open yet: its `now()`.
    pub(super) started: Option<i64>,
    hidden_keys: HiddenKeys,
    /// What functions leave behind.
    pub(super) memory: Arc<SessionMemory>,
    /// When the statement came that is run now, and what ends it.
    statement_micros: i64,
    running: Cancel,
    pub(super) told: Vec<(&'static str, String)>,
    /// The settings that were told.
    pub(super) told_settings: Settings,
}

impl ClientSession {
    /// A session of a client that has logged in.
    pub fn new(
        server: Arc<SqlServer>,
        login: Login,
        backend: Arc<Backend>,
        backends: Arc<Backends>,
        settings: Settings,
    ) -> Self {
        let number = server.next_session();
        let told = settings.reported();
        let told_settings = settings.clone();
        let hidden_keys = HiddenKeys::new(server.client() ^ number.rotate_left(32));
        Self {
            server,
            login,
            backend,
            backends,
            settings,
            block: None,
            temporary: None,
            number,
            statements: HashMap::new(),
            portals: HashMap::new(),
            notices: Vec::new(),
            copying: None,
            message_statements: 1,
            cursors: HashMap::new(),
            frozen: None,
            sole: None,
            alone: false,
            started: None,
            hidden_keys,
            memory: Arc::default(),
            statement_micros: 0,
            running: Cancel::new(),
            told,
            told_settings,
        }
    }

    /// The published catalog with the session's temporary objects.
    pub(super) fn published(&self) -> Arc<Catalog> {
        let snapshot = self.server.catalog.snapshot();
        match &self.temporary {
            None => snapshot,
            Some(temporary) => Arc::new(snapshot.with_temporary(Some(Arc::clone(temporary)))),
        }
    }

    /// The block that is open, or a new implicit one.
    pub(super) fn block(&mut self) -> &mut Block {
        if self.block.is_none() {
            let now = self.started_micros();
            self.started = None;
            self.block = Some(Block::new(false, self.published(), now, self.settings.clone()));
        }
        self.block.as_mut().expect("it was just made")
    }

    /// True between BEGIN and COMMIT.
    pub(super) fn in_explicit_block(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.explicit)
    }

    /// When the transaction began: the open block's, or the one the next statement opens.
    pub(super) fn started_micros(&mut self) -> i64 {
        match &self.block {
            Some(block) => block.started_micros,
            None => {
                let clock = &self.server.env.clock;
                *self.started.get_or_insert_with(|| clock.now_micros())
            }
        }
    }

    /// A row key for a table without a primary key.
    pub(super) fn next_hidden_key(&mut self) -> Vec<u8> {
        let now = self.server.env.clock.now_micros();
        self.hidden_keys.next(now).to_vec()
    }

    /// The catalog as the block sees it.
    pub(super) fn catalog(&mut self) -> Arc<Catalog> {
        Arc::clone(self.block().catalog.catalog())
    }

    /// Where unqualified names are looked up.
    pub(super) fn search_path(&self) -> SearchPath {
        let text = self.settings.get("search_path").unwrap_or_default();
        SearchPath::parse(&text, &self.login.user)
            .unwrap_or_else(|| SearchPath::default_for(&self.login.user))
    }

    /// What functions see of the session.
    pub(super) fn info(&mut self) -> SessionInfo {
        let now_micros = self.block().started_micros;
        let style = Arc::clone(self.settings.style());
        SessionInfo { style, now_micros, facts: self.facts() }
    }

    /// What catalog queries see of the session.
    pub(super) fn facts(&mut self) -> Facts {
        let block = self.block();
        let transaction_micros = block.started_micros;
        let read_only = self.is_read_only();
        Facts(Arc::new(SessionFacts {
            catalog: self.current_catalog(),
            path: self.search_path(),
            settings: setting::with_modes(self),
            user: self.login.user.clone(),
            database: self.login.database.clone(),
            pid: self.backend.pid,
            peer: self.login.peer,
            server_started_micros: self.server.started_micros,
            backends: Some(Arc::clone(&self.backends)),
            transaction_micros,
            statement_micros: self.statement_micros.max(transaction_micros),
            services: Some(Arc::new(Services {
                server: Arc::clone(&self.server),
                session: self.number,
                read_only,
                cancel: self.running.clone(),
                memory: Arc::clone(&self.memory),
            })),
        }))
    }

    /// What the scans of one statement share: a timestamp, and what the block has written.
    pub(super) async fn statement_context(
        &mut self,
        cancel: &Cancel,
    ) -> Result<Arc<StatementContext>, SqlError> {
        self.context_of(true, cancel).await
    }

    /// As [`ClientSession::statement_context`]; `shows` is false where nothing that is read is shown or kept.
    pub(super) async fn context_of(
        &mut self,
        shows: bool,
        cancel: &Cancel,
    ) -> Result<Arc<StatementContext>, SqlError> {
        let pushdown = self.settings.is_on("terrane.enable_pushdown");
        self.block().queried = true;
        let as_of = self.settings.read_at();
        let (read_ts, pin, overlay) = match (&self.frozen, as_of) {
            (Some(frozen), _) => (frozen.read_ts, None, Arc::clone(&frozen.overlay)),
            // The block's own rows are not of then.
            (None, Some(at)) => (at, None, Arc::default()),
            (None, None) => {
                let (read_ts, pin) = self.pinned_timestamp().await?;
                (read_ts, pin, Arc::clone(&self.block().overlay))
            }
        };
        Ok(Arc::new(StatementContext {
            tablets: Arc::clone(&self.server.tablets),
            read_ts,
            as_of,
            pin,
            env: self.server.env.clone(),
            overlay,
            shows,
            splits: Arc::clone(&self.server.splits),
            cancel: cancel.clone(),
            pushdown,
            compute: self.server.compute(),
        }))
    }

    pub(super) async fn read_timestamp(&mut self) -> Result<CommitTs, SqlError> {
        Ok(self.pinned_timestamp().await?.0)
    }

    /// What a statement reads at, and what keeps it readable: with the block, where all of it reads at one.
    async fn pinned_timestamp(&mut self) -> Result<(CommitTs, Option<TimestampPin>), SqlError> {
        if let Some((pinned, _)) = &self.block().pinned {
            return Ok((*pinned, None));
        }
        let tablets = Arc::clone(&self.server.tablets);
        let newest = tablets.read_timestamp().await.map_err(errors::of_tablet)?;
        let pin = tablets.pin_timestamp(newest).await.map_err(errors::of_tablet)?;
        // A compaction that had not seen the pin may let go of what is older than the newest timestamp of its
        // time. That is no later than this one.
        let newest = tablets.read_timestamp().await.map_err(errors::of_tablet)?;
        if self.block().isolation == Isolation::RepeatableRead {
            self.block().pinned = Some((newest, pin));
            return Ok((newest, None));
        }
        Ok((newest, Some(pin)))
    }

    /// True where nothing may be written: in a read-only block, and while the past is read.
    pub(super) fn is_read_only(&self) -> bool {
        self.settings.read_at().is_some()
            || match &self.block {
                Some(block) => block.read_only,
                None => self.settings.is_on("default_transaction_read_only"),
            }
    }

    /// 25006 where nothing may be written.
    pub(super) fn check_writable(&self, verb: &str) -> Result<(), SqlError> {
        if !self.is_read_only() {
            return Ok(());
        }
        let message = format!("cannot execute {verb} in a read-only transaction");
        let error = SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message);
        Err(match self.settings.read_at() {
            Some(_) => error.with_hint("RESET terrane.read_timestamp ends reading the past."),
            None => error,
        })
    }

    /// Takes over what set_config() assigned.
    pub(super) fn take_over(&mut self) -> Result<(), SqlError> {
        for assigned in self.memory.take_assigned() {
            if assigned.local {
                let before = self.settings.get(&assigned.name).ok();
                let saved = &mut self.block().local_settings;
                saved.entry(assigned.name.to_lowercase()).or_insert(before);
            }
            assigned.apply(&mut self.settings)?;
        }
        Ok(())
    }

    /// A WARNING for the client.
    pub(super) fn warn(&mut self, state: SqlState, message: &str) {
        self.notices.push(Notice { severity: "WARNING", body: SqlError::new(state, message) });
    }

    /// Refuses everything but the end of a failed block.
    pub(super) fn check_block(&self, statement: &ParsedStatement) -> Result<(), SqlError> {
        let failed = self.block.as_ref().is_some_and(|block| block.failed);
        if failed && !statement::ends_failed_block(&statement.ast) {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// Runs a statement and answers rows as the client takes them: in `formats`, or for a simple query in text,
    /// or as a binary cursor says.
    pub(super) async fn run_statement(
        &mut self,
        statement: ParsedStatement,
        formats: Option<Formats>,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        Ok(match self.answer(statement, cancel).await? {
            Response::Rows(mut rows) => {
                rows.formats = formats.unwrap_or(rows.formats);
                let facts = || self.facts();
                Response::Rows(names::shown(rows, facts))
            }
            other => other,
        })
    }

    /// Runs a statement; again where its catalog was out of date, or where another's commit came before its
    /// own (rule 26).
    pub(super) async fn answer(
        &mut self,
        statement: ParsedStatement,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        self.check_block(&statement)?;
        // The statement before has been read to its end by now.
        self.take_over()?;
        self.statement_micros = self.server.env.clock.now_micros();
        self.running = cancel.clone();
        let place = Place::of(&statement);
        let result = self.tried(statement, cancel).await;
        result.map_err(|error| place.told(error))
    }

    async fn tried(
        &mut self,
        statement: ParsedStatement,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        if !statement::may_run_again(&statement.ast) {
            return statement::run(self, statement, cancel).await;
        }
        // The block of this statement alone is ended with it, so that losing a race starts it anew.
        let commits = self.alone && !self.in_explicit_block() && statement::writes(&statement.ast);
        let mut turn = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let published = self.published();
            let notices = self.notices.len();
            let block = self.block();
            block.refresh(published);
            let version = block.catalog.base().version;
            let (fresh, written) = (block.is_clean(), block.programs().len());
            let mut result = statement::run(self, statement.clone(), cancel).await;
            if commits && result.is_ok() {
                match self.commit().await {
                    Ok(()) => cancel.settle(),
                    Err(error) => result = Err(error),
                }
            }
            let Err(error) = result else { return result };
            let lost = error.state == SqlState::SERIALIZATION_FAILURE;
            let again = fresh && (error.stale_catalog || commits && lost)
                || self.may_look_again(&error, written);
            if !again || tries >= TRIES_MAX {
                return Err(error);
            }
            if fresh && !self.in_explicit_block() {
                self.rollback().await?;
            }
            self.notices.truncate(notices);
            turn = self.before_next_try(&error, version, turn, cancel).await?;
        }
    }

    /// True where a block's statement found a row that another has just changed, and has done nothing itself:
    /// READ COMMITTED looks at the row again (rule 26).
    fn may_look_again(&self, error: &SqlError, written: usize) -> bool {
        error.lost_row.is_some()
            && self.block.as_ref().is_some_and(|block| {
                block.isolation == Isolation::ReadCommitted && block.programs().len() == written
            })
    }

    /// Waits until a statement that failed so has a chance: for the catalog that is newer than `version`, for
    /// the turn of the row it lost.
    async fn before_next_try(
        &mut self,
        error: &SqlError,
        version: u64,
        turn: Option<Turn>,
        cancel: &Cancel,
    ) -> Result<Option<Turn>, SqlError> {
        if error.stale_catalog {
            newer_catalog(&self.server, version, cancel).await?;
        }
        match error.lost_row {
            None => Ok(turn),
            Some(place) => self.server.races.next(turn, place, cancel).await,
        }
    }

    /// Runs a statement of the extended protocol so that its Sync can run it again.
    pub(super) async fn run_repeatable(
        &mut self,
        statement: ParsedStatement,
        formats: Formats,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        let first = self.block.as_ref().is_none_or(|block| !block.explicit && block.is_clean());
        let sole = (first && statement::changes_rows(&statement.ast)).then(|| statement.clone());
        let response = self.run_statement(statement, Some(formats), cancel).await?;
        if let (Some(statement), Response::Complete(tag)) = (sole, &response) {
            self.sole = Some((statement, tag.clone()));
        }
        Ok(response)
    }

    /// Commits the implicit block of one statement; where another's commit came before, runs the statement
    /// again, as long as it answers what the client was told.
    pub(super) async fn commit_implicit(&mut self, cancel: &Cancel) -> Result<(), SqlError> {
        let sole = self.sole.take();
        let mut version = self.block().catalog.base().version;
        let mut done = self.commit().await;
        let mut turn = None;
        for _ in 1..TRIES_MAX {
            let Err(error) = done else { return Ok(()) };
            let again = error.state == SqlState::SERIALIZATION_FAILURE;
            let Some((statement, told)) = sole.as_ref().filter(|_| again) else {
                return Err(error);
            };
            self.rollback().await?;
            turn = self.before_next_try(&error, version, turn, cancel).await?;
            let published = self.published();
            let block = self.block();
            block.refresh(published);
            version = block.catalog.base().version;
            done = match statement::run(self, statement.clone(), cancel).await {
                Ok(Response::Complete(tag)) if tag == *told => self.commit().await,
                Ok(_) => {
                    self.rollback().await?;
                    return Err(error);
                }
                Err(error) => Err(error),
            };
        }
        if done.is_err() {
            self.rollback().await?;
        }
        done
    }
}

/// Waits for a catalog that others are about to publish; not for ever, should they have failed half way.
async fn newer_catalog(server: &SqlServer, version: u64, cancel: &Cancel) -> Result<(), SqlError> {
    tokio::select! {
        biased;
        () = cancel.tripped() => Err(cancel.error()),
        () = server.catalog.changed_since(version) => Ok(()),
        () = tokio::time::sleep(NEWER_CATALOG_WAIT) => Ok(()),
    }
}
