//! One client's session with the server under test: its protocol, its schema, its time limit.
//!
//! Contract: [`Session::run`] always returns, at the latest a few seconds after the record's limit. A
//! statement that takes longer is cancelled and its connection given up; a connection that breaks is
//! given up too. The next statement opens a new one, with the same schema, but without whatever the
//! old one held: temporary tables, a transaction, settings.
//!
//! Statements run over the simple protocol (text results) or the extended one (unnamed statement,
//! binary results, which [`binary`] turns into the text PostgreSQL would have sent), so that both
//! halves of a server's wire layer are held to the same expectations.

pub mod binary;
mod error;
mod target;

pub use error::SessionError;
pub use target::Target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{TryStreamExt, pin_mut};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use binary::Binary;

/// How long a cancel request, a reconnect's handshake or a goodbye may take.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// The protocol a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// One `Query` message; results as text.
    Simple,
    /// `Parse`, `Bind`, `Describe`, `Execute`, `Sync`; results in binary.
    Extended,
}

impl Mode {
    /// The mode's name, which is also its label in `skipif` and `onlyif`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
        }
    }
}

/// What a statement answered.
#[derive(Debug, Default)]
pub struct Answer {
    /// The result's column types, where the protocol told them (the extended one does).
    pub types: Option<Vec<Type>>,
    /// The number of columns; `None` if the statement returns no rows at all.
    pub columns: Option<usize>,
    /// All values, row by row; `None` is NULL.
    pub values: Vec<Option<String>>,
    /// The number of rows the command tag names.
    pub affected: u64,
}

impl Answer {
    /// The values of each row. A result without columns has no rows to show.
    pub fn rows(&self) -> impl Iterator<Item = &[Option<String>]> {
        self.values.chunks(self.columns.unwrap_or(1).max(1))
    }
}

/// What a session met on its way that a passed record would hide.
#[derive(Debug, Default)]
pub struct Incidents {
    /// Every error of SQLSTATE class XX: the server admits to a bug, or to corruption.
    pub internal: Vec<Incident>,
    /// Every connection that broke under a statement.
    pub lost: Vec<Incident>,
}

/// One such event.
#[derive(Clone, Debug)]
pub struct Incident {
    /// The line of the record, as [`Session::at_line`] was told.
    pub line: u32,
    /// What happened.
    pub message: String,
    /// The statement.
    pub sql: String,
}

/// What the sessions of one file have in common.
#[derive(Debug)]
pub struct Setting {
    /// The server.
    pub target: Arc<Target>,
    /// The protocol.
    pub mode: Mode,
    /// The schema every connection works in.
    pub schema: String,
    /// The most a statement may take.
    pub limit: Duration,
    /// Whether to ask for the columns of results without rows, at the price of a `Parse` and a
    /// `Describe` of a named statement. Only the extended protocol needs to ask.
    pub describes_empty: bool,
    /// Incidents of all connections, and the line they are noted under.
    pub noted: Mutex<(u32, Incidents)>,
}

impl Setting {
    /// Settings for a file.
    pub fn new(
        target: Arc<Target>,
        mode: Mode,
        schema: String,
        limit: Duration,
        describes_empty: bool,
    ) -> Arc<Self> {
        Arc::new(Self { target, mode, schema, limit, describes_empty, noted: Mutex::default() })
    }

    /// From now on incidents belong to the record at `line`.
    pub fn at_line(&self, line: u32) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).0 = line;
    }

    /// Takes what was noted so far.
    pub fn take_incidents(&self) -> Incidents {
        std::mem::take(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner).1)
    }

    fn note(&self, error: &SessionError, sql: &str) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let incident = Incident { line: noted.0, message: error.to_string(), sql: sql.to_owned() };
        match error {
            SessionError::Server { code, .. } if code.starts_with("XX") => {
                noted.1.internal.push(incident);
            }
            SessionError::Lost { .. } => noted.1.lost.push(incident),
            _ => {}
        }
    }
}

struct Connection {
    client: Client,
    driver: JoinHandle<()>,
}

/// One connection at a time, reopened when it breaks.
pub struct Session {
    setting: Arc<Setting>,
    connection: Option<Connection>,
}

impl Session {
    /// A session that connects at its first statement.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self { setting, connection: None }
    }

    /// The settings it shares with the other sessions of its file.
    pub fn setting(&self) -> &Arc<Setting> {
        &self.setting
    }

    /// Runs one record's SQL.
    pub async fn run(&mut self, sql: &str) -> Result<Answer, SessionError> {
        let result = self.run_unnoted(sql).await;
        if let Err(error) = &result {
            self.setting.note(error, sql);
        }
        result
    }

    /// Closes the connection, if there is one, and waits until the server can know.
    pub async fn close(&mut self) {
        if let Some(Connection { client, driver }) = self.connection.take() {
            drop(client);
            let _ = tokio::time::timeout(GRACE, driver).await;
        }
    }

    async fn run_unnoted(&mut self, sql: &str) -> Result<Answer, SessionError> {
        if self.connection.is_none() {
            self.connection = Some(self.open().await?);
        }
        let Some(connection) = &self.connection else {
            unreachable!("opened above");
        };
        let client = &connection.client;
        let work = async {
            match self.setting.mode {
                Mode::Simple => simple(client, sql).await,
                Mode::Extended => {
                    let mut answer = extended(client, sql).await?;
                    if answer.columns.is_none() && self.setting.describes_empty {
                        describe(client, sql, &mut answer).await;
                    }
                    Ok(answer)
                }
            }
        };
        match tokio::time::timeout(self.setting.limit, work).await {
            Err(_) => {
                self.abandon().await;
                Err(SessionError::TimedOut { after: self.setting.limit })
            }
            Ok(Err(error)) if client.is_closed() || error.breaks_connection() => {
                self.close().await;
                Err(error.into_lost())
            }
            Ok(result) => result,
        }
    }

    async fn open(&self) -> Result<Connection, SessionError> {
        let (client, driver) = self.setting.target.connect().await?;
        // Results must not depend on the server's configuration.
        let setup = format!(
            "SET search_path TO {}; SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO, MDY'",
            self.setting.schema
        );
        match tokio::time::timeout(GRACE, client.batch_execute(&setup)).await {
            Ok(Ok(())) => Ok(Connection { client, driver }),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(SessionError::TimedOut { after: GRACE }),
        }
    }

    /// Gives up a connection whose statement takes too long.
    async fn abandon(&mut self) {
        if let Some(Connection { client, driver }) = self.connection.take() {
            let _ = tokio::time::timeout(GRACE, client.cancel_token().cancel_query(NoTls)).await;
            drop(client);
            driver.abort();
        }
    }
}

async fn simple(client: &Client, sql: &str) -> Result<Answer, SessionError> {
    let mut answer = Answer::default();
    let messages = client.simple_query_raw(sql).await?;
    pin_mut!(messages);
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                if answer.columns.is_some_and(|n| n != columns.len()) {
                    return Err(SessionError::Client {
                        message: "several results of different widths in one record".to_owned(),
                    });
                }
                answer.columns = Some(columns.len());
            }
            SimpleQueryMessage::Row(row) => {
                for i in 0..row.len() {
                    answer.values.push(row.try_get(i)?.map(str::to_owned));
                }
            }
            SimpleQueryMessage::CommandComplete(rows) => answer.affected = rows,
            _ => {}
        }
    }
    Ok(answer)
}

async fn extended(client: &Client, sql: &str) -> Result<Answer, SessionError> {
    let no_parameters: [(i32, Type); 0] = [];
    let rows = client.query_typed_raw(sql, no_parameters).await?;
    pin_mut!(rows);
    let mut answer = Answer::default();
    let mut problem = None;
    while let Some(row) = rows.try_next().await? {
        if answer.types.is_none() {
            answer.types = Some(row.columns().iter().map(|c| c.type_().clone()).collect());
            answer.columns = Some(row.len());
        }
        for i in 0..row.len() {
            match row.try_get::<_, Option<Binary>>(i) {
                Ok(value) => answer.values.push(value.map(|v| v.text)),
                // The rest of the result is read all the same: the connection stays usable.
                Err(error) => problem = problem.or(Some(SessionError::from(error))),
            }
        }
    }
    answer.affected = rows.rows_affected().unwrap_or(0);
    match problem {
        Some(problem) => Err(problem),
        None => Ok(answer),
    }
}

/// Adds the columns of a result that had no rows. What can no longer be parsed after it ran (a
/// `DEALLOCATE`, say) stays without.
async fn describe(client: &Client, sql: &str, answer: &mut Answer) {
    if let Ok(statement) = client.prepare(sql).await
        && !statement.columns().is_empty()
    {
        answer.columns = Some(statement.columns().len());
        answer.types = Some(statement.columns().iter().map(|c| c.type_().clone()).collect());
    }
}
