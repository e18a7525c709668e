//! The client's messages, as its session answers them: the contract with the wire.

use super::cancel::Cancel;
use super::client::ClientSession;
use super::copy;
use super::format::Formats;
use super::point::{self, Basis, Execution, Outcome};
use super::prepared::{Portal, PortalState, Prepared};
use super::response::{
    CommandTag, Notice, Response, ResultColumn, RowsResponse, TransactionStatus,
};
use super::service::{Parameters, PortalDescription, Session, StatementDescription};
use super::statement;
use crate::error::{SqlError, SqlState};
use crate::parse::{self, ParsedStatement};
use crate::types::style::TextStyle;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// 26000.
pub(super) fn no_statement(name: &str) -> SqlError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement \"{name}\" does not exist"),
    };
    SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
}

impl ClientSession {
    fn prepared(&self, name: &str) -> Result<Arc<Prepared>, SqlError> {
        self.statements.get(name).cloned().ok_or_else(|| no_statement(name))
    }

    /// For pg_stat_activity.
    fn note(&self, sql: &str) {
        self.backend.note(sql, self.server.env.clock.now_micros());
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
        self.note(sql);
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
        Box::pin(self.run_statement(statement, None, cancel)).await
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

    fn commits_with_sync(&self, name: &str) -> bool {
        let first = self.block.as_ref().is_none_or(|block| !block.explicit && block.is_clean());
        first
            && self.portals.get(name).is_some_and(|portal| {
                matches!(portal.state, PortalState::Ready(_))
                    && portal
                        .prepared
                        .statement
                        .as_ref()
                        .is_some_and(|one| statement::writes(&one.ast))
            })
    }

    async fn execute(
        &mut self,
        name: &str,
        max_rows: u32,
        alone: bool,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        self.alone = alone;
        let portal = self.portal(name)?;
        let prepared = Arc::clone(&portal.prepared);
        let formats = portal.formats.clone();
        match std::mem::replace(&mut portal.state, PortalState::Finished) {
            PortalState::Suspended(rest) => Ok(Response::Rows(rest)),
            PortalState::Finished => finished(name, &prepared),
            PortalState::Ready(values) => {
                self.sole = None;
                if let Some(statement) = &prepared.statement {
                    self.note(&statement.text);
                }
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
