//! One client after login: which message does what, and what follows what.
//!
//! State is small: whether messages are skipped up to a Sync, and the *cycle*, from the first message after
//! a ReadyForQuery to the next one, which has one cancel token. Output is flushed at Sync, at Flush, and
//! whenever there is a lot of it. See [`crate::session::service`] for the order of calls.

use super::backend::{self, Severity};
use super::frontend::{Bind, HEADER_BYTES, Header, Message, Target, frame_header};
use super::socket::{FLUSH_BYTES, Socket};
use crate::error::{SqlError, SqlState};
use crate::session::backends::Backend;
use crate::session::cancel::{Cancel, CancelReason};
use crate::session::format::Formats;
use crate::session::response::{Response, TransactionStatus};
use crate::session::service::{Parameters, Session};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a closing connection waits for the client to take its last message.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a connection ends.
#[derive(Debug)]
pub enum Stop {
    /// The client said so, or is gone.
    Quietly,
    /// The client is told, as FATAL.
    Fatal(SqlError),
}

/// What went wrong in a statement.
#[derive(Debug)]
pub enum Failure {
    /// The statement failed; the connection goes on.
    Statement(SqlError),
    /// The connection ends.
    Connection(Stop),
}

impl From<SqlError> for Failure {
    fn from(error: SqlError) -> Self {
        Self::Statement(error)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Connection(stop)
    }
}

/// A client and its session.
pub struct Connection<S, N> {
    pub(super) socket: Socket<S>,
    pub(super) session: N,
    backend: Arc<Backend>,
    cycle: Option<Cancel>,
    /// When the running statement times out.
    deadline: Option<Instant>,
    /// After an error in the extended protocol: everything up to Sync is skipped.
    skipping: bool,
}

/// Waits for a session's future: reads ahead meanwhile, trips the token when the client goes away or time
/// is up, and then waits on for the session's own answer.
pub(super) async fn drive<S, F>(
    socket: &mut Socket<S>,
    cancel: &Cancel,
    deadline: Option<Instant>,
    future: F,
) -> F::Output
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future,
{
    let on_gone = || cancel.trip(CancelReason::Disconnect);
    // A task of its own: a statement that computes may not let this one run.
    let timer = deadline.map(|deadline| {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            sleep_until(deadline).await;
            cancel.trip(CancelReason::StatementTimeout);
        })
    });
    if timer.is_some() {
        // The runtime keeps the newest task on this thread, behind this one: let it start its clock.
        tokio::task::yield_now().await;
    }
    let output = socket.during(future, on_gone).await;
    if let Some(timer) = timer {
        timer.abort();
    }
    output
}

impl<S, N> Connection<S, N>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    N: Session,
{
    /// A client that has logged in, and has been told everything but ReadyForQuery.
    pub fn new(socket: Socket<S>, session: N, backend: Arc<Backend>) -> Self {
        Self { socket, session, backend, cycle: None, deadline: None, skipping: false }
    }

    /// Serves the client to its end, and closes its session.
    pub async fn run(mut self) {
        let stop = match self.ready().await {
            Ok(()) => self.serve().await,
            Err(stop) => stop,
        };
        if let Stop::Fatal(error) = stop {
            backend::error(Severity::Fatal, &error, self.socket.output());
            // A client that does not read is not waited for.
            let _ = timeout(FAREWELL, self.socket.flush()).await;
        }
        self.backend.end();
        self.session.close().await;
    }

    async fn serve(&mut self) -> Stop {
        loop {
            let (kind, message) = match self.next().await {
                Ok(next) => next,
                Err(stop) => return stop,
            };
            let served = match message {
                Ok(message) => self.dispatch(message).await,
                Err(error) => self.malformed(kind, error).await,
            };
            if let Err(stop) = served {
                return stop;
            }
            if self.backend.is_terminated() {
                return Stop::Fatal(terminated());
            }
        }
    }

    /// The next message that is not skipped, with its type. Its own error is inside.
    async fn next(&mut self) -> Result<(u8, Result<Message, SqlError>), Stop> {
        loop {
            let Some(Header { kind, body }) =
                frame_header(self.socket.input()).map_err(Stop::Fatal)?
            else {
                self.wait(0).await?;
                continue;
            };
            // COPY's data outside of COPY is what a client was still sending when COPY failed.
            let is_copy_data = matches!(kind, b'd' | b'c' | b'f');
            if is_copy_data || (self.skipping && !matches!(kind, b'S' | b'X')) {
                self.socket.skip(HEADER_BYTES);
                self.discard(body).await?;
                continue;
            }
            let whole = HEADER_BYTES + body;
            if self.socket.input().len() < whole {
                self.wait(whole - self.socket.input().len()).await?;
                continue;
            }
            self.socket.skip(HEADER_BYTES);
            return Ok((kind, Message::parse(kind, self.socket.take(body))));
        }
    }

    /// Drops the next bytes as they come, without keeping them.
    pub(super) async fn discard(&mut self, mut count: usize) -> Result<(), Stop> {
        while count > 0 {
            let here = self.socket.input().len().min(count);
            self.socket.skip(here);
            count -= here;
            if count > 0 {
                self.wait(0).await?;
            }
        }
        Ok(())
    }

    /// Waits for more input, the connection's end, or the end of the session's patience.
    pub(super) async fn wait(&mut self, missing: usize) -> Result<(), Stop> {
        let idle = self.cycle.is_none();
        let limit = if idle { self.session.idle_timeout() } else { None };
        if idle && self.socket.input().is_empty() {
            self.socket.trim();
        }
        let in_block = self.session.transaction_status() != TransactionStatus::Idle;
        let patience = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.backend.terminated() => Err(Stop::Fatal(terminated())),
            filled = self.socket.fill(missing) => match filled {
                Ok(true) => Ok(()),
                _ => Err(Stop::Quietly),
            },
            () = patience => Err(Stop::Fatal(idle_too_long(in_block))),
        }
    }

    /// The cycle's token; a new cycle if none is open.
    pub(super) fn begin(&mut self) -> Cancel {
        if self.deadline.is_none() {
            self.deadline = self.session.statement_timeout().map(|limit| Instant::now() + limit);
        }
        self.cycle.get_or_insert_with(|| self.backend.begin()).clone()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    async fn dispatch(&mut self, message: Message) -> Result<(), Stop> {
        match message {
            Message::Query(sql) => self.query(&sql).await,
            Message::Parse { .. }
            | Message::Bind(_)
            | Message::Describe(..)
            | Message::Close(..)
            | Message::Execute { .. } => {
                let done = self.extended(message).await;
                self.settle(done).await
            }
            Message::Sync => self.sync().await,
            Message::Flush => self.flush().await,
            Message::Terminate => Err(Stop::Quietly),
            Message::CopyData(_) | Message::CopyDone | Message::CopyFail(_) => Ok(()),
            Message::FunctionCall => {
                self.begin();
                self.report(&SqlError::unsupported(
                    "function calls by the fast-path interface are not supported",
                ))?;
                self.ready().await
            }
            Message::Password(_) => Err(Stop::Fatal(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                "unexpected password message",
            ))),
        }
    }

    /// A message whose frame is whole and whose body is not.
    async fn malformed(&mut self, kind: u8, error: SqlError) -> Result<(), Stop> {
        self.begin();
        self.report(&error)?;
        match kind {
            b'Q' | b'F' | b'S' => {
                self.skipping = false;
                self.ready().await
            }
            b'X' => Err(Stop::Quietly),
            _ => {
                self.skipping = true;
                self.flush().await
            }
        }
    }

    /// Adds what the session has to say beside its answers.
    pub(super) fn notices(&mut self) {
        for notice in self.session.take_notices() {
            backend::notice(&notice, self.socket.output());
        }
    }

    /// Tells the client of an error, and the session that it did.
    fn report(&mut self, error: &SqlError) -> Result<(), Stop> {
        self.session.failed(error);
        if self.backend.is_terminated() {
            return Err(Stop::Fatal(terminated()));
        }
        if self.socket.is_gone() {
            return Err(Stop::Quietly);
        }
        self.notices();
        backend::error(Severity::Error, error, self.socket.output());
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Stop> {
        tokio::select! {
            biased;
            flushed = self.socket.flush() => flushed.map_err(|_| Stop::Quietly),
            () = self.backend.terminated() => Err(Stop::Fatal(terminated())),
        }
    }

    /// Ends the cycle.
    async fn ready(&mut self) -> Result<(), Stop> {
        self.backend.rest(self.session.transaction_status());
        self.cycle = None;
        self.deadline = None;
        self.notices();
        for (name, value) in self.session.take_parameter_changes() {
            backend::parameter_status(name, &value, self.socket.output());
        }
        backend::ready(self.session.transaction_status(), self.socket.output());
        self.flush().await
    }

    async fn sync(&mut self) -> Result<(), Stop> {
        let cancel = self.begin();
        self.skipping = false;
        let committed = self.session.sync(&cancel);
        if let Err(error) = drive(&mut self.socket, &cancel, self.deadline, committed).await {
            self.report(&error)?;
        }
        self.ready().await
    }

    /// A simple Query message.
    async fn query(&mut self, sql: &str) -> Result<(), Stop> {
        let cancel = self.begin();
        match self.statements(sql, &cancel).await {
            Ok(()) => {}
            Err(Failure::Connection(stop)) => return Err(stop),
            Err(Failure::Statement(error)) => {
                self.report(&error)?;
                // Nothing is left to commit; the session only tidies up.
                let tidied = self.session.sync(&cancel);
                let _ = drive(&mut self.socket, &cancel, None, tidied).await;
            }
        }
        self.ready().await
    }

    async fn statements(&mut self, sql: &str, cancel: &Cancel) -> Result<(), Failure> {
        let statements = self.session.split(sql)?;
        if statements.is_empty() {
            backend::empty_query(self.socket.output());
        }
        let count = statements.len();
        for (i, statement) in statements.into_iter().enumerate() {
            let run = self.session.run(statement, count == 1, cancel);
            let response = drive(&mut self.socket, cancel, self.deadline, run).await?;
            self.notices();
            let done = self.answer(response, None, cancel).await?;
            if i + 1 == count {
                let committed = self.session.sync(cancel);
                drive(&mut self.socket, cancel, self.deadline, committed).await?;
                self.notices();
            }
            done.write(self.socket.output());
            // The next statement has its own time.
            self.deadline = None;
            self.begin();
        }
        Ok(())
    }

    /// After a message of the extended protocol.
    async fn settle(&mut self, done: Result<(), Failure>) -> Result<(), Stop> {
        match done {
            Ok(()) => self.notices(),
            Err(Failure::Connection(stop)) => return Err(stop),
            Err(Failure::Statement(error)) => {
                self.report(&error)?;
                self.skipping = true;
                // A client that waits after a Flush hears of it: what comes before a Sync is skipped.
                return self.flush().await;
            }
        }
        match self.socket.unwritten() >= FLUSH_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn extended(&mut self, message: Message) -> Result<(), Failure> {
        let cancel = self.begin();
        match message {
            Message::Parse { name, sql, types } => {
                let parsed = self.session.parse(&name, &sql, &types, &cancel);
                drive(&mut self.socket, &cancel, self.deadline, parsed).await?;
                backend::parse_complete(self.socket.output());
            }
            Message::Bind(bind) => self.bind(bind, &cancel).await?,
            Message::Describe(target, name) => self.describe(target, &name, &cancel).await?,
            Message::Close(target, name) => {
                match target {
                    Target::Statement => self.session.close_statement(&name),
                    Target::Portal => self.session.close_portal(&name),
                }
                backend::close_complete(self.socket.output());
            }
            Message::Execute { portal, max_rows } => {
                self.execute(&portal, u32::try_from(max_rows).unwrap_or(0), &cancel).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn bind(&mut self, bind: Bind, cancel: &Cancel) -> Result<(), SqlError> {
        let formats = Formats::from_codes(&bind.parameter_formats)?;
        let result_formats = Formats::from_codes(&bind.result_formats)?;
        let parameters = Parameters { formats, values: bind.parameters };
        let bound =
            self.session.bind(&bind.portal, &bind.statement, parameters, result_formats, cancel);
        drive(&mut self.socket, cancel, self.deadline, bound).await?;
        backend::bind_complete(self.socket.output());
        Ok(())
    }

    async fn describe(
        &mut self,
        target: Target,
        name: &str,
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        let (columns, formats) = match target {
            Target::Statement => {
                let described = self.session.describe_statement(name, cancel);
                let described = drive(&mut self.socket, cancel, self.deadline, described).await?;
                backend::parameter_description(&described.parameters, self.socket.output());
                (described.columns, Formats::TEXT)
            }
            Target::Portal => {
                let described = self.session.describe_portal(name);
                let described = drive(&mut self.socket, cancel, self.deadline, described).await?;
                (described.columns, described.formats)
            }
        };
        match columns {
            Some(columns) => backend::row_description(&columns, &formats, self.socket.output()),
            None => backend::no_data(self.socket.output()),
        }
        Ok(())
    }

    /// True where a Sync follows. Execute is answered behind a Sync or Flush, so a client does not see that its
    /// statement waited for what follows.
    async fn is_sync_next(&mut self, wait: bool) -> Result<bool, Stop> {
        loop {
            match frame_header(self.socket.input()) {
                Ok(None) if wait => {
                    self.wait(0).await?;
                    // The time that passed is not the statement's.
                    self.deadline = None;
                    self.begin();
                }
                next => return Ok(matches!(next, Ok(Some(Header { kind: b'S', .. })))),
            }
        }
    }

    async fn execute(
        &mut self,
        portal: &str,
        max_rows: u32,
        cancel: &Cancel,
    ) -> Result<(), Failure> {
        let alone = self.is_sync_next(self.session.commits_with_sync(portal)).await?;
        let executed = self.session.execute(portal, max_rows, alone, cancel);
        let response: Response = drive(&mut self.socket, cancel, self.deadline, executed).await?;
        self.notices();
        let mut done = self.answer(response, Some(max_rows), cancel).await?;
        if let Some(rest) = done.take_rest() {
            self.session.suspend(portal, rest);
        }
        done.write(self.socket.output());
        self.deadline = None;
        Ok(())
    }
}

#[cold]
fn terminated() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}

#[cold]
fn idle_too_long(in_block: bool) -> SqlError {
    match in_block {
        true => SqlError::new(
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            "terminating connection due to idle-in-transaction timeout",
        ),
        false => SqlError::new(
            SqlState::IDLE_SESSION_TIMEOUT,
            "terminating connection due to idle-session timeout",
        ),
    }
}
