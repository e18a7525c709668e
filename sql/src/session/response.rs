//! What a statement answers, between the session that computes it and the wire that encodes it.

use super::format::Formats;
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use std::sync::Arc;

/// PostgreSQL's name for a type on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WireType {
    /// pg_type.oid
    pub oid: u32,
    /// The type modifier, -1 for none.
    pub modifier: i32,
    /// pg_type.typlen: bytes, or -1 for variable.
    pub size: i16,
}

/// One column of a result: a line of RowDescription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub wire_type: WireType,
    /// The table it comes from, 0 for none.
    pub table_oid: u32,
    /// The column's attnum there, 0 for none.
    pub attnum: i16,
}

/// What a statement answers.
pub enum Response {
    /// The statement was empty.
    Empty,
    /// Rows, then a command tag.
    Rows(RowsResponse),
    /// Rows that are encoded already, then a command tag: the fast path.
    Packed(PackedResponse),
    /// A command tag only.
    Complete(CommandTag),
    /// COPY … FROM STDIN: the client sends data, which goes to [`super::service::Session::copy_data`].
    CopyIn(CopyInResponse),
    /// COPY … TO STDOUT: bytes for the client, already in COPY's format.
    CopyOut(CopyOutResponse),
}

/// A stream of rows.
pub struct RowsResponse {
    /// The columns; the batches have these, in this order.
    pub columns: Arc<[ResultColumn]>,
    /// How each column is sent: what Bind asked for, text in a simple query.
    pub formats: Formats,
    /// Rows that come before those of `batches`: what a suspended portal had left of a batch.
    pub pending: Option<RecordBatch>,
    /// The rows.
    pub batches: BoxStream<'static, Result<RecordBatch, SqlError>>,
    /// The tag that ends them. Where it counts rows, the wire puts in how many it sent; a portal
    /// fetched in parts counts the rows of the last part, as PostgreSQL does.
    pub tag: CommandTag,
}

impl RowsResponse {
    /// The next batch, which may be empty; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, SqlError>> {
        match self.pending.take() {
            Some(batch) => Some(Ok(batch)),
            None => self.batches.next().await,
        }
    }
}

/// Rows as whole DataRow messages, made with `wire::encode`.
pub struct PackedResponse {
    /// The columns, for RowDescription.
    pub columns: Arc<[ResultColumn]>,
    /// The formats the rows are in.
    pub formats: Formats,
    /// DataRow messages, whole ones.
    pub data: Bytes,
    /// How many.
    pub rows: u64,
    /// The tag that ends them.
    pub tag: CommandTag,
}

/// A CommandComplete tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandTag {
    /// As it is: `CREATE TABLE`, `BEGIN`.
    Plain(&'static str),
    /// With a count known already: `UPDATE 3`.
    Count(&'static str, u64),
    /// `INSERT 0 n`.
    Insert(u64),
    /// The verb, then the number of rows sent: `SELECT 3`, `FETCH 3`.
    RowsSent(&'static str),
}

/// COPY … FROM STDIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyInResponse {
    /// Columns of a row.
    pub columns: usize,
    /// True for the binary format.
    pub binary: bool,
}

/// COPY … TO STDOUT.
pub struct CopyOutResponse {
    /// Columns of a row.
    pub columns: usize,
    /// True for the binary format.
    pub binary: bool,
    /// Whole CopyData messages, one per row, as `crate::copy::writer` makes them.
    pub data: BoxStream<'static, Result<Bytes, SqlError>>,
    /// Rows, to be read once the stream has ended.
    pub rows: Arc<std::sync::atomic::AtomicU64>,
}

/// I, T or E of ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// No block is open.
    Idle,
    /// A block is open.
    InBlock,
    /// A block is open and failed.
    Failed,
}

/// A NOTICE or WARNING.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE` or `WARNING`.
    pub severity: &'static str,
    /// Its code and texts.
    pub body: SqlError,
}
