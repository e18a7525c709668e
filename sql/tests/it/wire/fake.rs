//! A session that does what its statements say, one word each.

use arrow::array::{ArrayRef, Int32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use terrane_sql::error::{SqlError, SqlState};
use terrane_sql::session::backends::{Backend, Backends};
use terrane_sql::session::cancel::Cancel;
use terrane_sql::session::format::Formats;
use terrane_sql::session::response::*;
use terrane_sql::session::service::*;
use terrane_sql::types::oid;
use terrane_sql::types::style::TextStyle;

/// What sessions have done, in order; shared with the test.
pub type Journal = Arc<Mutex<Vec<String>>>;

#[derive(Default)]
pub struct FakeService {
    pub journal: Journal,
    pub verifier: Option<String>,
}

impl SessionService for FakeService {
    type Session = FakeSession;

    async fn credential(&self, _: &Login) -> Result<Credential, SqlError> {
        Ok(self.verifier.clone().map_or(Credential::Trust, Credential::Scram))
    }

    async fn connect(
        &self,
        login: Login,
        _: Arc<Backend>,
        _: Arc<Backends>,
    ) -> Result<FakeSession, SqlError> {
        if login.database != "terrane" {
            let message = format!("database \"{}\" does not exist", login.database);
            return Err(SqlError::new(SqlState::INVALID_CATALOG_NAME, message));
        }
        Ok(FakeSession {
            journal: Arc::clone(&self.journal),
            login,
            status: TransactionStatus::Idle,
            notices: Vec::new(),
            changes: Vec::new(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            timeout: None,
            idle_timeout: None,
            fail_commit: false,
            copied: Vec::new(),
        })
    }
}

pub struct FakeSession {
    journal: Journal,
    login: Login,
    status: TransactionStatus,
    notices: Vec<Notice>,
    changes: Vec<(&'static str, String)>,
    prepared: HashMap<String, String>,
    portals: HashMap<String, Portal>,
    timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    fail_commit: bool,
    copied: Vec<u8>,
}

struct Portal {
    sql: String,
    formats: Formats,
    parameters: Parameters,
    rest: Option<RowsResponse>,
    done: bool,
}

pub fn int_column(name: &str) -> ResultColumn {
    ResultColumn {
        name: name.to_owned(),
        wire_type: oid::wire(oid::INT4, -1),
        table_oid: 0,
        attnum: 0,
    }
}

fn batch(values: Vec<Option<i32>>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, true)]);
    let array: ArrayRef = Arc::new(Int32Array::from(values));
    RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap()
}

fn columns_of(sql: &str) -> Option<Arc<[ResultColumn]>> {
    let first = sql.split(' ').next().unwrap();
    matches!(first, "select" | "rows" | "broken" | "endless" | "slowrows" | "packed" | "$1")
        .then(|| [int_column("n")].into())
}

fn error(message: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl FakeSession {
    fn note(&self, text: impl Into<String>) {
        self.journal.lock().push(text.into());
    }

    fn rows(&self, sql: &str, formats: Formats, parameters: &Parameters) -> RowsResponse {
        let (verb, rest) = sql.split_once(' ').unwrap_or((sql, ""));
        let count = rest.parse::<i32>().ok();
        let batches = match verb {
            "select" => stream::iter([Ok(batch(vec![count]))]).boxed(),
            "$1" => {
                let bytes = parameters.values[0].as_deref().unwrap();
                let value = std::str::from_utf8(bytes).unwrap().parse().ok();
                stream::iter([Ok(batch(vec![value]))]).boxed()
            }
            "rows" => {
                let all: Vec<i32> = (1..=count.unwrap_or(0)).collect();
                let parts: Vec<_> = all
                    .chunks(100)
                    .map(|c| Ok(batch(c.iter().copied().map(Some).collect())))
                    .collect();
                stream::iter(parts).boxed()
            }
            "broken" => {
                stream::iter([Ok(batch(vec![Some(1)])), Err(error("the stream broke"))]).boxed()
            }
            "endless" => stream::repeat_with(|| Ok(batch(vec![Some(7); 1000]))).boxed(),
            _ => stream::pending().boxed(),
        };
        RowsResponse {
            columns: columns_of(sql).unwrap(),
            formats,
            pending: None,
            batches,
            tag: CommandTag::RowsSent("SELECT"),
        }
    }

    async fn answer(
        &mut self,
        sql: &str,
        formats: Formats,
        parameters: &Parameters,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        self.note(format!("run {sql}"));
        if self.status == TransactionStatus::Failed && sql != "rollback" {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        let (verb, rest) = sql.split_once(' ').unwrap_or((sql, ""));
        Ok(match verb {
            "" => Response::Empty,
            "begin" | "START" => {
                self.status = TransactionStatus::InBlock;
                Response::Complete(CommandTag::Plain("BEGIN"))
            }
            "commit" | "COMMIT" | "rollback" => {
                self.status = TransactionStatus::Idle;
                Response::Complete(CommandTag::Plain("COMMIT"))
            }
            "insert" => Response::Complete(CommandTag::Insert(3)),
            "update" => Response::Complete(CommandTag::Count("UPDATE", 2)),
            "fail" => return Err(error("it failed").with_hint("do not").at(3)),
            "failcommit" => {
                self.fail_commit = true;
                Response::Complete(CommandTag::Insert(1))
            }
            "notice" => {
                self.notices.push(Notice {
                    severity: "NOTICE",
                    body: SqlError::new(SqlState("00000"), rest),
                });
                Response::Complete(CommandTag::Plain("NOTICE"))
            }
            "set" => {
                self.changes.push(("TimeZone", rest.to_owned()));
                Response::Complete(CommandTag::Plain("SET"))
            }
            "timeout" => {
                self.timeout = rest.parse().ok().map(Duration::from_millis);
                Response::Complete(CommandTag::Plain("SET"))
            }
            "idletimeout" => {
                self.idle_timeout = rest.parse().ok().map(Duration::from_millis);
                Response::Complete(CommandTag::Plain("SET"))
            }
            "wait" => {
                cancel.tripped().await;
                self.note("cancelled");
                return Err(cancel.error());
            }
            "panic" => panic!("a bug in a session"),
            "copyin" => {
                self.copied.clear();
                Response::CopyIn(CopyInResponse { columns: 2, binary: false })
            }
            "copyout" => {
                let rows = rest.parse().unwrap_or(1);
                let mut data = Vec::new();
                terrane_sql::wire::backend::message(b'd', &mut data, |out| {
                    out.extend_from_slice(b"1\t2\n");
                });
                let data = Bytes::from(data);
                Response::CopyOut(CopyOutResponse {
                    columns: 2,
                    binary: false,
                    data: stream::iter((0..rows).map(move |_| Ok(data.clone()))).boxed(),
                    rows: Arc::new(AtomicU64::new(rows)),
                })
            }
            "packed" => {
                let mut data = Vec::new();
                for _ in 0..2 {
                    terrane_sql::wire::backend::message(b'D', &mut data, |out| {
                        out.extend_from_slice(&[0, 1, 0, 0, 0, 1, b'5']);
                    });
                }
                Response::Packed(PackedResponse {
                    columns: columns_of(sql).unwrap(),
                    formats,
                    data: data.into(),
                    rows: 2,
                    tag: CommandTag::RowsSent("SELECT"),
                })
            }
            _ if columns_of(sql).is_some() => Response::Rows(self.rows(sql, formats, parameters)),
            _ => return Err(error(&format!("syntax error at or near \"{verb}\""))),
        })
    }
}

impl Session for FakeSession {
    type Statement = String;

    fn reported_parameters(&self) -> Vec<(&'static str, String)> {
        vec![("server_version", "15.0".to_owned()), ("user", self.login.user.clone())]
    }

    fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut self.changes)
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    fn text_style(&self) -> Arc<TextStyle> {
        Arc::new(TextStyle::default())
    }

    fn statement_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    fn split(&mut self, sql: &str) -> Result<Vec<String>, SqlError> {
        if sql.contains("unparsable") {
            return Err(error("syntax error"));
        }
        let parts = sql.split(';').map(str::trim).filter(|s| !s.is_empty());
        Ok(parts.map(str::to_owned).collect())
    }

    async fn run(
        &mut self,
        statement: String,
        _: bool,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        let none = Parameters { formats: Formats::TEXT, values: vec![] };
        self.answer(&statement, Formats::TEXT, &none, cancel).await
    }

    async fn parse(
        &mut self,
        name: &str,
        sql: &str,
        _: &[u32],
        _: &Cancel,
    ) -> Result<(), SqlError> {
        if sql.contains("unparsable") {
            return Err(error("syntax error"));
        }
        self.prepared.insert(name.to_owned(), sql.to_owned());
        Ok(())
    }

    async fn describe_statement(
        &mut self,
        name: &str,
        _: &Cancel,
    ) -> Result<StatementDescription, SqlError> {
        let sql = self.prepared.get(name).ok_or_else(|| {
            let message = format!("prepared statement \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })?;
        let parameters: &[u32] = if sql == "$1" { &[oid::INT4] } else { &[] };
        Ok(StatementDescription { parameters: parameters.into(), columns: columns_of(sql) })
    }

    async fn bind(
        &mut self,
        portal: &str,
        statement: &str,
        parameters: Parameters,
        result_formats: Formats,
        _: &Cancel,
    ) -> Result<(), SqlError> {
        let sql = self.prepared.get(statement).cloned().ok_or_else(|| {
            let message = format!("prepared statement \"{statement}\" does not exist");
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })?;
        result_formats.check_result(usize::from(columns_of(&sql).is_some()))?;
        self.note(format!("bind {} parameters", parameters.values.len()));
        let made = Portal { sql, formats: result_formats, parameters, rest: None, done: false };
        self.portals.insert(portal.to_owned(), made);
        Ok(())
    }

    async fn describe_portal(&mut self, portal: &str) -> Result<PortalDescription, SqlError> {
        let found = self.portals.get(portal).ok_or_else(|| no_portal(portal))?;
        let columns = columns_of(&found.sql);
        Ok(PortalDescription { columns, formats: found.formats.clone() })
    }

    fn commits_with_sync(&self, _: &str) -> bool {
        false
    }

    async fn execute(
        &mut self,
        portal: &str,
        _: u32,
        _: bool,
        cancel: &Cancel,
    ) -> Result<Response, SqlError> {
        let found = self.portals.get_mut(portal).ok_or_else(|| no_portal(portal))?;
        if let Some(rest) = found.rest.take() {
            return Ok(Response::Rows(rest));
        }
        if found.done {
            let message = format!("portal \"{portal}\" cannot be run");
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message));
        }
        found.done = true;
        let (sql, formats) = (found.sql.clone(), found.formats.clone());
        let parameters = found.parameters.clone();
        self.answer(&sql, formats, &parameters, cancel).await
    }

    async fn copy_data(&mut self, data: Bytes, _: &Cancel) -> Result<(), SqlError> {
        self.copied.extend_from_slice(&data);
        match self.copied.windows(3).any(|w| w == b"bad") {
            true => Err(error("bad data")),
            false => Ok(()),
        }
    }

    async fn copy_done(&mut self, _: &Cancel) -> Result<CommandTag, SqlError> {
        let text = String::from_utf8_lossy(&self.copied).into_owned();
        let rows = text.matches('\n').count() as u64;
        let shown = if text.len() < 100 { text } else { format!("{} bytes", text.len()) };
        self.note(format!("copied {shown:?}"));
        Ok(CommandTag::Count("COPY", rows))
    }

    async fn copy_abort(&mut self, _: &mut SqlError) {
        self.note("aborted");
    }

    fn suspend(&mut self, portal: &str, rest: RowsResponse) {
        self.portals.get_mut(portal).unwrap().rest = Some(rest);
    }

    fn close_statement(&mut self, name: &str) {
        self.prepared.remove(name);
    }

    fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    fn failed(&mut self, error: &SqlError) {
        self.note(format!("failed {}", error.state.0));
        if self.status == TransactionStatus::InBlock {
            self.status = TransactionStatus::Failed;
        }
    }

    async fn sync(&mut self, _: &Cancel) -> Result<(), SqlError> {
        self.note("sync");
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
        }
        match std::mem::take(&mut self.fail_commit) {
            true => Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, "try again")),
            false => Ok(()),
        }
    }

    async fn close(self) {
        self.note("close");
    }
}

fn no_portal(name: &str) -> SqlError {
    let message = format!("portal \"{name}\" does not exist");
    SqlError::new(SqlState::INVALID_CURSOR_NAME, message)
}
