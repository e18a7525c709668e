//! One client's session: its state, and the contract with the wire.
//!
//! What a statement does is in a module of its own; here are names, blocks and the order of things.

use super::backends::{Backend, Backends};
use super::block::Block;
use super::cancel::Cancel;
use super::copy::{self, CopyFrom};
use super::cursors::OpenCursor;
use super::format::Formats;
use super::info::SessionInfo;
use super::names;
use super::point::{self, Basis, Execution, Outcome};
use super::prepared::{Portal, PortalState, Prepared};
use super::response::{
    CommandTag, Notice, Response, ResultColumn, RowsResponse, TransactionStatus,
};
use super::server::SqlServer;
use super::service::{Login, Parameters, PortalDescription, Session, StatementDescription};
use super::services::{Services, SessionMemory};
use super::settings::Settings;
use super::statement;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::{Catalog, Temporary};
use crate::catalog::system::{Facts, SessionFacts};
use crate::error::{SqlError, SqlState};
use crate::parse::place::Place;
use crate::parse::{self, ParsedStatement};
use crate::plan::errors;
use crate::scan::overlay::Overlay;
use crate::scan::statement::StatementContext;
use crate::types::style::TextStyle;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::ids::CommitTs;
use terrane_client::key::HiddenKeys;

/// Times a statement is run before it fails with 40001 (rule 26).
const TRIES_MAX: usize = 10;

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
    /// While a statement runs that changes rows in its WITH: what all of it reads.
    pub(super) frozen: Option<(CommitTs, Arc<Overlay>)>,
    /// The one statement that has changed rows in an implicit block, and what its client was told.
    sole: Option<(ParsedStatement, CommandTag)>,
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
    told: Vec<(&'static str, String)>,
    /// The settings that were told.
    told_settings: Settings,
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
        let (transaction_micros, read_only) = (block.started_micros, block.read_only);
        Facts(Arc::new(SessionFacts {
            catalog: self.current_catalog(),
            path: self.search_path(),
            settings: self.settings.clone(),
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
        let pushdown = self.settings.is_on("terrane.enable_pushdown");
        self.block().queried = true;
        let (read_ts, overlay) = match &self.frozen {
            Some((read_ts, overlay)) => (*read_ts, Arc::clone(overlay)),
            None => (self.read_timestamp().await?, Arc::clone(&self.block().overlay)),
        };
        Ok(Arc::new(StatementContext {
            tablets: Arc::clone(&self.server.tablets),
            read_ts,
            overlay,
            splits: Arc::clone(&self.server.splits),
            cancel: cancel.clone(),
            pushdown,
            compute: self.server.compute(),
        }))
    }

    pub(super) async fn read_timestamp(&mut self) -> Result<CommitTs, SqlError> {
        if let Some((pinned, _)) = &self.block().pinned {
            return Ok(*pinned);
        }
        let tablets = Arc::clone(&self.server.tablets);
        let newest = tablets.read_timestamp().await.map_err(errors::of_tablet)?;
        if self.block().isolation == super::block::Isolation::RepeatableRead {
            let pin = tablets.pin_timestamp(newest).await.map_err(errors::of_tablet)?;
            self.block().pinned = Some((newest, pin));
        }
        Ok(newest)
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

    /// Runs a statement; again where its catalog was out of date, or where another's commit came before its
    /// own (rule 26).
    pub(super) async fn run_statement(
        &mut self,
        statement: ParsedStatement,
        formats: Formats,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        self.check_block(&statement)?;
        // The statement before has been read to its end by now.
        self.take_over()?;
        self.statement_micros = self.server.env.clock.now_micros();
        self.running = cancel.clone();
        let own_formats = statement::has_own_formats(&statement.ast);
        let place = Place::of(&statement);
        let result = self.tried(statement, cancel).await;
        Ok(match result.map_err(|error| place.told(error))? {
            Response::Rows(mut rows) if !own_formats => {
                rows.formats = formats;
                let facts = || self.facts();
                Response::Rows(names::shown(rows, facts))
            }
            other => other,
        })
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
        let commits = self.alone && !self.in_explicit_block();
        let mut tries = 0;
        loop {
            tries += 1;
            let published = self.published();
            let block = self.block();
            block.refresh(published);
            let version = block.catalog.base().version;
            let fresh = block.is_clean();
            let mut result = statement::run(self, statement.clone(), cancel).await;
            if commits
                && result.is_ok()
                && statement::changes_rows(&statement.ast)
                && let Err(error) = self.commit().await
            {
                result = Err(error);
            }
            let Err(error) = result else { return result };
            let lost = commits && error.state == SqlState::SERIALIZATION_FAILURE;
            if !fresh || tries >= TRIES_MAX || !(error.stale_catalog || lost) {
                return Err(error);
            }
            if !self.in_explicit_block() {
                self.rollback().await?;
            }
            if error.stale_catalog {
                newer_catalog(&self.server, version, cancel).await?;
            }
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
        let response = self.run_statement(statement, formats, cancel).await?;
        if let (Some(statement), Response::Complete(tag)) = (sole, &response) {
            self.sole = Some((statement, tag.clone()));
        }
        Ok(response)
    }

    /// Commits the implicit block of one statement; where another's commit came before, runs the statement
    /// again, as long as it answers what the client was told.
    async fn commit_implicit(&mut self, cancel: &Cancel) -> Result<(), SqlError> {
        let sole = self.sole.take();
        let mut tries = 0;
        loop {
            let Err(error) = self.commit().await else { return Ok(()) };
            tries += 1;
            let again = error.state == SqlState::SERIALIZATION_FAILURE && tries < TRIES_MAX;
            let Some((statement, told)) = sole.as_ref().filter(|_| again) else {
                return Err(error);
            };
            match statement::run(self, statement.clone(), cancel).await? {
                Response::Complete(tag) if tag == *told => {}
                _ => {
                    self.rollback().await?;
                    return Err(error);
                }
            }
        }
    }

    fn prepared(&self, name: &str) -> Result<Arc<Prepared>, SqlError> {
        self.statements.get(name).cloned().ok_or_else(|| no_statement(name))
    }

    fn portal(&mut self, name: &str) -> Result<&mut Portal, SqlError> {
        self.portals.get_mut(name).ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_CURSOR_NAME,
                format!("portal \"{name}\" does not exist"),
            )
        })
    }
}

/// Waits for a catalog that others are about to publish.
async fn newer_catalog(server: &SqlServer, version: u64, cancel: &Cancel) -> Result<(), SqlError> {
    tokio::select! {
        biased;
        () = cancel.tripped() => Err(cancel.error()),
        () = server.catalog.changed_since(version) => Ok(()),
    }
}

/// 26000.
pub(super) fn no_statement(name: &str) -> SqlError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

impl Session for ClientSession {
    type Statement = ParsedStatement;

    fn reported_parameters(&self) -> Vec<(&'static str, String)> {
        self.settings.reported()
    }

    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        if self.settings.is_unchanged(&self.told_settings) {
            return Vec::new();
        }
        self.told_settings = self.settings.clone();
        let now = self.settings.reported();
        let changed = now.iter().filter(|entry| !self.told.contains(entry)).cloned().collect();
        self.told = now;
        changed
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        let warnings = self.memory.take_warnings().into_iter();
        self.notices.extend(warnings.map(|body| Notice { severity: "WARNING", body }));
        std::mem::take(&mut self.notices)
    }

    fn transaction_status(&self) -> TransactionStatus {
        match &self.block {
            Some(block) if block.explicit && block.failed => TransactionStatus::Failed,
            Some(block) if block.explicit => TransactionStatus::InBlock,
            _ => TransactionStatus::Idle,
        }
    }

    fn text_style(&self) -> Arc<TextStyle> {
        Arc::clone(self.settings.style())
    }

    fn statement_timeout(&self) -> Option<Duration> {
        self.settings.timeouts().statement
    }

    fn idle_timeout(&self) -> Option<Duration> {
        let timeouts = self.settings.timeouts();
        match self.transaction_status() {
            TransactionStatus::Idle => timeouts.idle,
            _ => timeouts.idle_in_transaction,
        }
    }

    fn split(&mut self, sql: &str) -> Result<Vec<ParsedStatement>, SqlError> {
        let statements = parse::statements(sql)?;
        self.message_statements = statements.len();
        self.alone = statements.len() == 1;
        self.sole = None;
        Ok(statements)
    }

    async fn run(
        &mut self,
        statement: ParsedStatement,
        alone: bool,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        self.check_block(&statement)?;
        if let Some(plan) = point::recognise(self, &statement.ast, &[]) {
            let execution = Execution { values: &[], formats: Formats::TEXT, alone, cancel };
            // A schema that has changed since is the general road's to tell.
            if let Some(response) = plan.run(self, execution).await.answer()? {
                return Ok(response);
            }
        }
        // Boxed, so that the fast road does not carry the general one's state about.
        Box::pin(self.run_statement(statement, Formats::TEXT, cancel)).await
    }

    async fn parse(
        &mut self,
        name: &str,
        sql: &str,
        parameter_types: &[u32],
        _: &Cancel,
    ) -> Result<(), SqlError> {
        self.alone = false;
        if name.is_empty() {
            self.statements.remove("");
        } else if self.statements.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        self.message_statements = 1;
        let basis = Basis::of(self);
        if let Some(known) = self.server.plans.get(sql, parameter_types, &basis) {
            if let Some(statement) = &known.statement {
                self.check_block(statement)?;
            }
            self.statements.insert(name.to_owned(), known);
            return Ok(());
        }
        let mut parsed = parse::statements(sql)?;
        if parsed.len() > 1 {
            return Err(SqlError::syntax(
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let statement = parsed.pop();
        if let Some(statement) = &statement {
            self.check_block(statement)?;
        }
        let prepared = Arc::new(Prepared::new(self, statement, parameter_types)?);
        if basis.is_shared(self) {
            self.server.plans.put(sql, parameter_types, basis, &prepared);
        }
        self.statements.insert(name.to_owned(), prepared);
        Ok(())
    }

    async fn describe_statement(
        &mut self,
        name: &str,
        _: &Cancel,
    ) -> Result<StatementDescription, SqlError> {
        let prepared = self.prepared(name)?;
        Ok(StatementDescription {
            parameters: Arc::clone(&prepared.parameters),
            columns: prepared.columns.clone(),
        })
    }

    async fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        parameters: Parameters,
        result_formats: Formats,
        _: &Cancel,
    ) -> Result<(), SqlError> {
        let prepared = self.prepared(statement)?;
        if !portal.is_empty() && self.portals.contains_key(portal) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{portal}\" already exists"),
            ));
        }
        result_formats
            .check_result(prepared.columns.as_ref().map_or(0, |columns| columns.len()))?;
        let info = self.early_info();
        let values = prepared.decode(statement, &parameters, &info)?;
        let state = PortalState::Ready(values);
        let portal_made = Portal { prepared, formats: result_formats, state, with_hold: false };
        self.portals.insert(portal.to_owned(), portal_made);
        Ok(())
    }

    async fn describe_portal(&mut self, name: &str) -> Result<PortalDescription, SqlError> {
        // What DECLARE opened is a portal too: drivers ask for its columns so.
        if let Some(cursor) = self.cursors.get(name).filter(|_| !self.portals.contains_key(name)) {
            return Ok(PortalDescription {
                columns: Some(Arc::clone(&cursor.columns)),
                formats: cursor.formats.clone(),
            });
        }
        let portal = self.portal(name)?;
        Ok(PortalDescription {
            columns: portal.prepared.columns.clone(),
            formats: portal.formats.clone(),
        })
    }

    async fn execute(
        &mut self,
        name: &str,
        max_rows: u32,
        alone: bool,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        self.alone = false;
        let portal = self.portal(name)?;
        let prepared = Arc::clone(&portal.prepared);
        let formats = portal.formats.clone();
        match std::mem::replace(&mut portal.state, PortalState::Finished) {
            PortalState::Suspended(rest) => Ok(Response::Rows(rest)),
            PortalState::Finished => finished(name, &prepared),
            PortalState::Ready(values) => {
                self.sole = None;
                let execution = Execution { values: &values, formats, alone, cancel };
                self.run_prepared(&prepared, execution, max_rows).await
            }
        }
    }

    async fn copy_data(&mut self, data: Bytes, cancel: &Cancel) -> Result<(), SqlError> {
        copy::data(self, &data, cancel).await
    }

    async fn copy_done(&mut self, cancel: &Cancel) -> Result<CommandTag, SqlError> {
        copy::done(self, cancel).await
    }

    async fn copy_abort(&mut self, error: &mut SqlError) {
        copy::abort(self, error).await;
    }

    fn suspend(&mut self, name: &str, rest: RowsResponse) {
        if let Some(portal) = self.portals.get_mut(name) {
            portal.state = PortalState::Suspended(rest);
        }
    }

    fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    fn failed(&mut self, _: &SqlError) {
        self.memory.take_assigned();
        if let Some(block) = &mut self.block {
            block.failed = true;
        }
    }

    async fn sync(&mut self, cancel: &Cancel) -> Result<(), SqlError> {
        self.take_over()?;
        self.started = None;
        match &self.block {
            Some(block) if block.explicit => Ok(()),
            None => {
                self.portals.retain(|_, portal| portal.with_hold);
                Ok(())
            }
            Some(block) => {
                let failed = block.failed;
                self.portals.retain(|_, portal| portal.with_hold);
                match failed {
                    true => Box::pin(self.rollback()).await,
                    false => Box::pin(self.commit_implicit(cancel)).await,
                }
            }
        }
    }

    async fn close(mut self) {
        if let Err(error) = self.rollback().await {
            tracing::warn!(%error, "rollback of a closed session");
        }
        self.drop_temporary().await;
        self.server.advisory.end_session(self.number);
        tracing::debug!(pid = self.backend.pid, "session closed");
    }
}

/// A portal that ran to its end: a query has no more rows; anything else cannot run twice.
fn finished(name: &str, prepared: &Prepared) -> Result<Response, SqlError> {
    match &prepared.columns {
        Some(columns) => Ok(Response::Rows(no_rows(Arc::clone(columns)))),
        None => Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("portal \"{name}\" cannot be run"),
        )),
    }
}

fn no_rows(columns: Arc<[ResultColumn]>) -> RowsResponse {
    RowsResponse {
        columns,
        formats: Formats::TEXT,
        pending: None,
        batches: Box::pin(futures::stream::empty()),
        tag: CommandTag::RowsSent("SELECT"),
    }
}
