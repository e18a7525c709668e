//! A session over the in-memory cluster, driven as the wire drives one: statements in, text out.

use bytes::Bytes;
use futures::StreamExt;
use std::sync::Arc;
use terrane_client::columns::value_at;
use terrane_client::model::Model;
use terrane_env::Env;
use terrane_sql::error::{SqlError, SqlState};
use terrane_sql::session::backends::{Backend, Backends};
use terrane_sql::session::cancel::Cancel;
use terrane_sql::session::client::ClientSession;
use terrane_sql::session::format::Formats;
use terrane_sql::session::response::{CommandTag, Response, ResultColumn};
use terrane_sql::session::server::{SqlOptions, SqlServer, SqlSessions};
use terrane_sql::session::service::{Login, Parameters, Session, SessionService};
use terrane_sql::types::{oid, text};
use terrane_sql::wire::encode::RowEncoder;

/// A frontend over a model cluster.
pub struct Frontend {
    sessions: SqlSessions,
    backends: Arc<Backends>,
}

impl Frontend {
    /// A new, empty database.
    pub async fn new() -> Self {
        let model = Model::default();
        let server =
            SqlServer::open(Env::system(), model.tablets(), model.master(), SqlOptions::default())
                .await
                .unwrap();
        Self { sessions: SqlSessions(server), backends: Arc::new(Backends::new()) }
    }

    /// Another session.
    pub async fn connect(&self) -> Client {
        let login = Login {
            user: "terrane".to_owned(),
            database: "terrane".to_owned(),
            settings: Vec::new(),
            peer: None,
        };
        let backend: Arc<Backend> = self
            .backends
            .register(100, vec![0; 4], "terrane".to_owned(), "terrane".to_owned(), None)
            .unwrap();
        let session =
            self.sessions.connect(login, backend, Arc::clone(&self.backends)).await.unwrap();
        Client { session }
    }
}

/// One session.
pub struct Client {
    session: ClientSession,
}

impl Client {
    /// Runs a Query message: per statement its rows, values joined by `|`, then its tag.
    pub async fn run(&mut self, sql: &str) -> Result<Vec<String>, SqlError> {
        let cancel = Cancel::new();
        let result = self.statements(sql, &cancel).await;
        if let Err(error) = &result {
            self.session.failed(error);
            let _ = self.session.sync(&cancel).await;
            return result;
        }
        self.session.sync(&cancel).await.map(|()| result.expect("no error"))
    }

    /// As [`Client::run`], which must succeed.
    pub async fn ok(&mut self, sql: &str) -> Vec<String> {
        self.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The SQLSTATE of what must fail.
    pub async fn fails(&mut self, sql: &str) -> &'static str {
        match self.run(sql).await {
            Err(error) => error.state.0,
            Ok(lines) => panic!("{sql} answered {lines:?}"),
        }
    }

    /// Runs a COPY … FROM STDIN with this data, in pieces of at most `cut` bytes.
    pub async fn copy(&mut self, sql: &str, data: &str, cut: usize) -> Result<String, SqlError> {
        let pieces: Vec<&[u8]> = data.as_bytes().chunks(cut).collect();
        self.copy_pieces(sql, &pieces).await
    }

    async fn copy_pieces(&mut self, sql: &str, pieces: &[&[u8]]) -> Result<String, SqlError> {
        let cancel = Cancel::new();
        let result = match self.start_copy(sql, &cancel).await {
            Ok(()) => self.feed(pieces, &cancel).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(tag) => self.session.sync(&cancel).await.map(|()| tag),
            Err(error) => {
                self.session.failed(&error);
                let _ = self.session.sync(&cancel).await;
                Err(error)
            }
        }
    }

    async fn start_copy(&mut self, sql: &str, cancel: &Cancel) -> Result<(), SqlError> {
        let statement = self.session.split(sql)?.pop().unwrap();
        match self.session.run(statement, true, cancel).await? {
            Response::CopyIn(_) => Ok(()),
            _ => panic!("{sql} wants no data"),
        }
    }

    /// A COPY that the client gives up after this data.
    pub async fn copy_fail(&mut self, sql: &str, data: &str) -> SqlError {
        let cancel = Cancel::new();
        self.start_copy(sql, &cancel).await.unwrap();
        let mut error = SqlError::new(SqlState::QUERY_CANCELED, "COPY from stdin failed");
        if let Err(found) = self.session.copy_data(data.to_owned().into(), &cancel).await {
            error = found;
        }
        self.session.copy_abort(&mut error).await;
        self.session.failed(&error);
        let _ = self.session.sync(&cancel).await;
        error
    }

    /// Data to a COPY that has started; what the wire does with it.
    async fn feed(&mut self, pieces: &[&[u8]], cancel: &Cancel) -> Result<String, SqlError> {
        let mut fed = Ok(());
        for piece in pieces {
            fed = self.session.copy_data(Bytes::copy_from_slice(piece), cancel).await;
            if fed.is_err() {
                break;
            }
        }
        let done = match fed {
            Ok(()) => self.session.copy_done(cancel).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => Ok(tag(&done, 0)),
            Err(mut error) => {
                self.session.copy_abort(&mut error).await;
                Err(error)
            }
        }
    }

    async fn statements(&mut self, sql: &str, cancel: &Cancel) -> Result<Vec<String>, SqlError> {
        let mut lines = Vec::new();
        let statements = self.session.split(sql)?;
        let alone = statements.len() == 1;
        for statement in statements {
            match self.session.run(statement, alone, cancel).await? {
                Response::Rows(mut rows) => {
                    let mut count = 0;
                    while let Some(batch) = rows.next().await {
                        let batch = batch?;
                        for at in 0..batch.num_rows() {
                            let cells: Vec<String> = rows
                                .columns
                                .iter()
                                .zip(batch.columns())
                                .map(|(column, array)| cell(column.wire_type, array, at))
                                .collect();
                            lines.push(cells.join("|"));
                        }
                        count += batch.num_rows();
                    }
                    lines.push(tag(&rows.tag, count));
                }
                Response::Complete(done) => lines.push(tag(&done, 0)),
                Response::CopyOut(mut out) => {
                    while let Some(data) = out.data.next().await {
                        lines.push(String::from_utf8_lossy(&data?).into_owned());
                    }
                }
                // Without data of the test's, an empty COPY.
                Response::CopyIn(_) => lines.push(self.feed(&[], cancel).await?),
                Response::Packed(packed) => {
                    lines.extend(packed_lines(&packed.data));
                    lines.push(tag(&packed.tag, packed.rows as usize));
                }
                Response::Empty => {}
            }
        }
        Ok(lines)
    }
}

/// What a prepared statement answered, down to its bytes.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The columns' names and types; empty where there are no rows.
    pub columns: Vec<ResultColumn>,
    /// DataRow messages.
    pub rows: Vec<u8>,
    /// The command tag.
    pub tag: String,
}

impl Client {
    /// Prepares, binds and runs a statement, up to Sync, parameters in text form. The second answer tells
    /// whether it was encoded by the session itself.
    pub async fn execute(
        &mut self,
        sql: &str,
        types: &[u32],
        parameters: &[Option<String>],
        formats: Formats,
        alone: bool,
    ) -> (Result<Answer, SqlError>, bool) {
        let cancel = Cancel::new();
        let mut packed = false;
        let result = async {
            self.session.parse("", sql, types, &cancel).await?;
            let values = parameters
                .iter()
                .map(|text| text.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes())))
                .collect();
            let values = Parameters { formats: Formats::TEXT, values };
            self.session.bind("", "", values, formats, &cancel).await?;
            let response = self.session.execute("", 0, alone, &cancel).await?;
            packed = matches!(response, Response::Packed(_));
            self.answer(response).await
        }
        .await;
        if let Err(error) = &result {
            self.session.failed(error);
        }
        match (self.session.sync(&cancel).await, result) {
            (Err(error), Ok(_)) => (Err(error), packed),
            (_, result) => (result, packed),
        }
    }

    async fn answer(&mut self, response: Response) -> Result<Answer, SqlError> {
        match response {
            Response::Packed(packed) => Ok(Answer {
                columns: packed.columns.to_vec(),
                rows: packed.data.to_vec(),
                tag: tag(&packed.tag, packed.rows as usize),
            }),
            Response::Rows(mut rows) => {
                let encoder = RowEncoder::new(
                    Arc::clone(&rows.columns),
                    rows.formats.clone(),
                    self.session.text_style(),
                );
                let (mut bytes, mut count) = (Vec::new(), 0);
                while let Some(batch) = rows.next().await {
                    let batch = encoder.batch(&batch?)?;
                    for at in 0..batch.rows() {
                        batch.write(at, &mut bytes)?;
                        count += 1;
                    }
                }
                let tag = tag(&rows.tag, count);
                Ok(Answer { columns: rows.columns.to_vec(), rows: bytes, tag })
            }
            Response::Complete(done) => {
                Ok(Answer { columns: Vec::new(), rows: Vec::new(), tag: tag(&done, 0) })
            }
            _ => panic!("neither rows nor a tag"),
        }
    }
}

/// DataRow messages in text form as lines.
fn packed_lines(mut data: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let [b'D', rest @ ..] = data {
        let length = i32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let mut body = &rest[6..length];
        let mut cells = Vec::new();
        while !body.is_empty() {
            let size = i32::from_be_bytes(body[..4].try_into().unwrap());
            body = &body[4..];
            let cell = match usize::try_from(size) {
                Err(_) => "NULL".to_owned(),
                Ok(size) => {
                    let (cell, after) = body.split_at(size);
                    body = after;
                    String::from_utf8(cell.to_vec()).unwrap()
                }
            };
            cells.push(cell);
        }
        lines.push(cells.join("|"));
        data = &rest[length..];
    }
    lines
}

fn cell(
    wire_type: terrane_sql::session::response::WireType,
    array: &arrow::array::ArrayRef,
    at: usize,
) -> String {
    use arrow::array::Array;
    use arrow::datatypes::DataType as Arrow;
    use terrane_client::types::DataType;
    if array.is_null(at) || array.data_type().is_null() {
        return "NULL".to_owned();
    }
    let data_type = match array.data_type() {
        Arrow::Decimal256(76, 20) => DataType::Numeric(None),
        Arrow::Decimal128(p, s) | Arrow::Decimal256(p, s) => DataType::Numeric(Some((*p, *s))),
        _ => oid::data_type(wire_type.oid, wire_type.modifier).unwrap(),
    };
    let array = arrow::compute::cast(array, &data_type.arrow()).unwrap();
    let value = value_at(array.as_ref(), at, &data_type).unwrap();
    text::to_string(&value, &data_type, &Default::default())
}

fn tag(tag: &CommandTag, rows: usize) -> String {
    match tag {
        CommandTag::Plain(text) => (*text).to_owned(),
        CommandTag::Count(verb, count) => format!("{verb} {count}"),
        CommandTag::Insert(count) => format!("INSERT 0 {count}"),
        CommandTag::RowsSent(verb) => format!("{verb} {rows}"),
    }
}
