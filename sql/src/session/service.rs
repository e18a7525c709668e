//! What the wire asks of a session, and in which order.
//!
//! The wire owns bytes: framing, authentication, flushing, row encoding, COPY's sub-protocol, skipping
//! to Sync after an error. The session owns meaning: settings, transactions, statements, and the **names**
//! of prepared statements and portals, because SQL's PREPARE, EXECUTE, DEALLOCATE, DECLARE, FETCH and CLOSE
//! share them with Parse, Bind, Execute and Close. The name `""` is the unnamed one: `parse` and `bind`
//! replace it silently, and `parse` of it drops it even where parsing then fails.
//!
//! A connection is one task, so no two methods of a session run at once.
//!
//! # A simple Query message
//!
//! 1. [`Session::split`] parses all of it; an error there runs nothing. No statements: EmptyQueryResponse, 5.
//! 2. For each statement [`Session::run`]; the wire sends what it answers, to the end.
//! 3. When the **last** statement's rows are sent and before its CommandComplete, [`Session::sync`]: the
//!    client never reads a tag whose commit has not happened. (The statements of one message are one
//!    implicit block, rule 29.)
//! 4. An error anywhere, be it of the session, of a row stream, of a COPY or of the wire's own, ends the
//!    message: [`Session::failed`], then `sync`, whose own error is then not sent.
//! 5. ReadyForQuery with [`Session::transaction_status`].
//!
//! # The extended protocol
//!
//! [`Session::parse`], [`Session::describe_statement`], [`Session::bind`], [`Session::describe_portal`],
//! [`Session::execute`], [`Session::close_statement`] and [`Session::close_portal`] come as the client sends
//! them. After the first error the wire calls `failed`, skips to Sync and calls none of them. At Sync:
//! `sync`, which commits the implicit block, then ReadyForQuery. An error of that commit is sent after
//! tags that were written before; that is PostgreSQL's order too. Portals of an implicit block end there,
//! those of an explicit block end with it.
//!
//! # Portals
//!
//! `execute` moves the rows out: the session keeps the name and marks the portal as finished. Where the
//! row limit stops the wire earlier, it hands the rest back by [`Session::suspend`], and the next
//! `execute` continues there. A finished portal answers no rows (`SELECT 0`) if it is a query, else
//! 55000 `portal "x" cannot be run`. A limit concerns rows only: a statement without rows ignores it.
//!
//! # COPY … FROM STDIN
//!
//! After [`Response::CopyIn`] the client's bytes go to [`Session::copy_data`], cut anywhere, until
//! [`Session::copy_done`]. Whatever goes wrong on either side ends in [`Session::copy_abort`]. In between
//! the wire calls no other method.
//!
//! # Cancelling
//!
//! Every method that may take long has a [`Cancel`]. The wire does not drop its future; it waits for the
//! answer, also when the client is gone. Row streams it drops.
//!
//! # Notices and parameters
//!
//! [`Session::take_notices`] and [`Session::take_parameter_changes`] are called after every method above
//! and between batches, and sent before the next message.

use super::backends::{Backend, Backends};
use super::cancel::Cancel;
use super::format::Formats;
use super::response::{
    CommandTag, Notice, Response, ResultColumn, RowsResponse, TransactionStatus,
};
use crate::error::SqlError;
use crate::types::style::TextStyle;
use bytes::Bytes;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Who wants in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The database; the user's name where the client gave none.
    pub database: String,
    /// All other parameters of the startup packet in its order, `options` taken apart into settings
    /// (`-c name=value`). They apply as if by SET, and are what RESET goes back to.
    pub settings: Vec<(String, String)>,
    /// Where from; `None` in process.
    pub peer: Option<SocketAddr>,
}

/// What a client has to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Trust,
    /// Knowledge of the password: the verifier as PostgreSQL stores it,
    /// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
    Scram(String),
}

/// Makes sessions. One per server, shared by all connections.
pub trait SessionService: Send + Sync + 'static {
    /// Its sessions.
    type Session: Session;

    /// What this client has to prove. For an unknown user answer a verifier no password fits, so that
    /// the two cannot be told apart.
    fn credential(
        &self,
        login: &Login,
    ) -> impl Future<Output = Result<Credential, SqlError>> + Send;

    /// Opens a session for a client that has proved who it is. An error (3D000, 28000, 57P03, a bad
    /// setting) is told to the client as FATAL.
    fn connect(
        &self,
        login: Login,
        backend: Arc<Backend>,
        backends: Arc<Backends>,
    ) -> impl Future<Output = Result<Self::Session, SqlError>> + Send;
}

/// What Bind gives.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The format of each.
    pub formats: Formats,
    /// Each value's bytes, `None` for NULL. Slices of one buffer.
    pub values: Vec<Option<Bytes>>,
}

/// What Describe tells of a prepared statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementDescription {
    /// Type OIDs of `$1`, `$2`, …
    pub parameters: Arc<[u32]>,
    /// Its result's columns; `None` is NoData.
    pub columns: Option<Arc<[ResultColumn]>>,
}

/// What Describe tells of a portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalDescription {
    /// Its result's columns; `None` is NoData.
    pub columns: Option<Arc<[ResultColumn]>>,
    /// The formats Bind asked for.
    pub formats: Formats,
}

/// One client's session.
pub trait Session: Send + 'static {
    /// One parsed statement of a simple Query message.
    type Statement: Send;

    /// All settings that clients are told of (`server_version`, `TimeZone`, …), once after login.
    fn reported_parameters(&self) -> Vec<(&'static str, String)>;

    /// Those among them that changed since the last call.
    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)>;

    /// Notices since the last call.
    fn take_notices(&mut self) -> Vec<Notice>;

    /// I, T or E.
    fn transaction_status(&self) -> TransactionStatus;

    /// The settings that text output depends on, as they are now.
    fn text_style(&self) -> Arc<TextStyle>;

    /// statement_timeout; the wire keeps the clock. `None` is no limit.
    fn statement_timeout(&self) -> Option<Duration>;

    /// How long the client may leave this session idle in its present state:
    /// idle_in_transaction_session_timeout in a block, idle_session_timeout outside. `None` is no limit.
    fn idle_timeout(&self) -> Option<Duration>;

    /// Parses a simple Query message into its statements.
    fn split(&mut self, sql: &str) -> Result<Vec<Self::Statement>, SqlError>;

    /// Runs one statement of it. `alone` is true where it is the message's only one: where no block is open
    /// the session may commit it at once.
    fn run(
        &mut self,
        statement: Self::Statement,
        alone: bool,
        cancel: &Cancel,
    ) -> impl Future<Output = Result<Response, SqlError>> + Send;

    /// Parse: prepares a statement. `parameter_types` may be shorter than its parameters; 0 is unknown.
    fn parse(
        &mut self,
        name: &str,
        sql: &str,
        parameter_types: &[u32],
        cancel: &Cancel,
    ) -> impl Future<Output = Result<(), SqlError>> + Send;

    /// Describe of a prepared statement; 26000 where there is none.
    fn describe_statement(
        &mut self,
        name: &str,
        cancel: &Cancel,
    ) -> impl Future<Output = Result<StatementDescription, SqlError>> + Send;

    /// Bind: makes a portal. The session checks the number of parameters (08P01) and of result formats
    /// ([`Formats::check_result`]).
    fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        parameters: Parameters,
        result_formats: Formats,
        cancel: &Cancel,
    ) -> impl Future<Output = Result<(), SqlError>> + Send;

    /// Describe of a portal; 34000 where there is none.
    fn describe_portal(
        &mut self,
        portal: &str,
    ) -> impl Future<Output = Result<PortalDescription, SqlError>> + Send;

    /// True where Execute of this portal does better with its Sync in sight: it would commit at once.
    fn commits_with_sync(&self, portal: &str) -> bool;

    /// Execute. `max_rows` is 0 for no limit. The wire stops [`Response::Rows`] there by itself;
    /// [`Response::Packed`] is sent as it is, so it must not have as many. `alone` is true where the next
    /// message is known to be a Sync: with nothing before it in the implicit block the session may commit
    /// it at once. False where the next message is not here yet, unless [`Session::commits_with_sync`].
    fn execute(
        &mut self,
        portal: &str,
        max_rows: u32,
        alone: bool,
        cancel: &Cancel,
    ) -> impl Future<Output = Result<Response, SqlError>> + Send;

    /// Takes the next bytes of a COPY. Awaits while the tablets are behind: back-pressure to the socket.
    fn copy_data(
        &mut self,
        data: Bytes,
        cancel: &Cancel,
    ) -> impl Future<Output = Result<(), SqlError>> + Send;

    /// The client has sent all of a COPY: `COPY n`.
    fn copy_done(
        &mut self,
        cancel: &Cancel,
    ) -> impl Future<Output = Result<CommandTag, SqlError>> + Send;

    /// A COPY ends in this error: one of this session's, CopyFail, a cancel, or a client that is gone. What
    /// is known of rows that stay is added to it.
    fn copy_abort(&mut self, error: &mut SqlError) -> impl Future<Output = ()> + Send;

    /// Takes back the rows of a portal that were not sent yet.
    fn suspend(&mut self, portal: &str, rest: RowsResponse);

    /// Close of a prepared statement. No such name is no error.
    fn close_statement(&mut self, name: &str);

    /// Close of a portal. No such name is no error.
    fn close_portal(&mut self, name: &str);

    /// An error is being told to the client, from whatever source: an explicit block is failed from here,
    /// an implicit one is forgotten.
    fn failed(&mut self, error: &SqlError);

    /// Ends the implicit block of a Query message or up to a Sync: commits it, or forgets it if it failed.
    /// No-op in an explicit block.
    fn sync(&mut self, cancel: &Cancel) -> impl Future<Output = Result<(), SqlError>> + Send;

    /// The client is gone: rolls back, drops temporary tables, releases locks.
    fn close(self) -> impl Future<Output = ()> + Send;
}
