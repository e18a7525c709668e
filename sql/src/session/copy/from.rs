//! COPY FROM: the client's bytes to batches of columns, defaults filled in, to row programs.

use super::condition::Condition;
use super::destination::{Destination, at_line};
use super::{relation, rows};
use crate::catalog::model::Column;
use crate::copy::options::CopyFormat;
use crate::copy::reader::{CopyBatch, CopyColumn, CopyReader};
use crate::copy::statement::{CopySource, CopyStatement};
use crate::error::{SqlError, SqlState};
use crate::session::cancel::Cancel;
use crate::session::client::ClientSession;
use crate::session::modify::{Target, missing_values};
use crate::session::response::{CopyInResponse, Response};
use crate::types::oid;
use arrow::array::{Array, ArrayRef, UInt64Array, new_null_array};
use arrow::compute::filter;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use std::sync::Arc;
use terrane_client::columns::ColumnBuilder;
use terrane_client::ids::ColumnId;
use terrane_client::key::HiddenKeys;
use terrane_client::value::Value;

/// A COPY FROM STDIN under way.
pub struct CopyFrom {
    target: Target,
    /// Of each of the tablets' columns its place in the data, or the column whose DEFAULT it gets.
    sources: Vec<Source>,
    /// Where `_timestamp` is in the data.
    stamp: Option<usize>,
    /// The tablets' columns as Arrow's.
    schema: SchemaRef,
    reader: CopyReader,
    filter: Option<Condition>,
    checks: Vec<(String, Condition)>,
    hidden: HiddenKeys,
    destination: Destination,
    /// Batches read and not yet taken.
    ready: Vec<CopyBatch>,
    /// Rows inserted.
    rows: u64,
}

enum Source {
    Data(usize),
    Default(Box<Column>),
}

/// Starts a COPY FROM STDIN.
pub async fn start(
    session: &mut ClientSession,
    statement: CopyStatement,
    _: &Cancel,
) -> Result<Response, SqlError> {
    let CopyStatement { source, from: _, target: _, options: raw, filter } = statement;
    let CopySource::Table(name, names) = source else {
        return Err(SqlError::syntax("COPY FROM takes no query"));
    };
    session.check_writable("COPY FROM")?;
    if let Some(found) = relation::find(session, &name) {
        relation::check_kind(&found, true)?;
    }
    let target = Target::find(session, &name, None)?;
    let columns = relation::columns(&target, &names)?;
    let options = relation::options(&target, &columns, &raw, true)?;
    let filter = match filter {
        None => None,
        Some(condition) => Some(Condition::of_where(session, &target, condition)?),
    };
    let checks = Condition::of_checks(session, &target)?;
    let read = columns
        .iter()
        .map(|c| CopyColumn {
            name: c.name.to_string(),
            data_type: c.data_type.clone(),
            precision: c.precision,
        })
        .collect();
    let info = session.info();
    let table = &target.table.name;
    let reader = CopyReader::new(&options, table, read, info.style, info.now_micros);
    let copy = CopyFrom {
        sources: sources(&target, &columns)?,
        stamp: columns.iter().position(|column| column.id == ColumnId::STAMP),
        schema: arrow_schema(&target),
        reader,
        filter,
        checks,
        hidden: HiddenKeys::new(session.server.client() ^ session.number.rotate_left(32)),
        destination: Destination::of(session, &target),
        ready: Vec::new(),
        rows: 0,
        target,
    };
    session.copying = Some(Box::new(copy));
    let binary = options.format == CopyFormat::Binary;
    Ok(Response::CopyIn(CopyInResponse { columns: columns.len(), binary }))
}

fn sources(target: &Target, copied: &[Column]) -> Result<Vec<Source>, SqlError> {
    let source = |id: ColumnId| match copied.iter().position(|column| column.id == id) {
        Some(at) => Ok(Source::Data(at)),
        None => match target.table.column(id) {
            Some(column) => Ok(Source::Default(Box::new(column.clone()))),
            None => Err(SqlError::internal("tablets have a column that the catalog has not")),
        },
    };
    target.schema.columns.iter().map(|column| source(column.id)).collect()
}

fn arrow_schema(target: &Target) -> SchemaRef {
    let columns = target.schema.columns.iter();
    let fields = columns.map(|column| oid::field(&column.name, &column.data_type, true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl CopyFrom {
    /// Takes the next bytes.
    pub async fn data(
        &mut self,
        session: &mut ClientSession,
        data: &[u8],
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        self.reader.feed(data, &mut self.ready)?;
        self.take_ready(session, cancel).await
    }

    /// Takes the end of the data; answers the number of rows.
    pub async fn finish(
        &mut self,
        session: &mut ClientSession,
        cancel: &Cancel,
    ) -> Result<u64, SqlError> {
        self.reader.finish(&mut self.ready)?;
        self.take_ready(session, cancel).await?;
        self.destination.finish(session, &self.target).await?;
        Ok(self.rows)
    }

    /// Gives up; adds to the error what stays.
    pub async fn abort(&mut self, error: &mut SqlError) {
        self.destination.abort(error).await;
    }

    async fn take_ready(
        &mut self,
        session: &mut ClientSession,
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        for batch in std::mem::take(&mut self.ready) {
            cancel.check()?;
            self.take(session, batch, cancel).await?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        session: &mut ClientSession,
        mut batch: CopyBatch,
        cancel: &Cancel,
    ) -> Result<(), SqlError> {
        let mut columns = Vec::with_capacity(self.sources.len());
        for (at, source) in self.sources.iter().enumerate() {
            columns.push(match source {
                Source::Data(at) => Arc::clone(batch.rows.column(*at)),
                Source::Default(column) => {
                    let rows = batch.lines.len();
                    self.defaults(session, column, at, rows, cancel).await?
                }
            });
        }
        // Behind the tablets' own.
        columns.extend(self.stamp.map(|at| Arc::clone(batch.rows.column(at))));
        if let Some(condition) = &self.filter {
            let kept = condition.evaluate(&self.record_batch(&columns, batch.lines.len())?)?;
            for column in &mut columns {
                *column = filter(column, &kept).map_err(internal)?;
            }
            let lines = UInt64Array::from(std::mem::take(&mut batch.lines));
            let lines = filter(&lines, &kept).map_err(internal)?.to_data();
            batch.lines = UInt64Array::from(lines).values().to_vec();
        }
        if batch.lines.is_empty() {
            return Ok(());
        }
        self.check(&columns, &batch.lines)?;
        let now = session.server.env.clock.now_micros();
        let indexes = self.destination.wants_indexes();
        let programs =
            rows::programs(&self.target, &batch, &columns, &mut self.hidden, now, indexes);
        let programs =
            programs.map_err(|(row, error)| at_line(error, &self.target, batch.lines[row]))?;
        self.rows += batch.lines.len() as u64;
        self.destination.push(session, &self.target, programs, cancel).await
    }

    /// What rows get in a column that the data has not.
    async fn defaults(
        &self,
        session: &mut ClientSession,
        column: &Column,
        at: usize,
        rows: usize,
        cancel: &Cancel,
    ) -> Result<ArrayRef, SqlError> {
        let data_type = &self.target.schema.columns[at].data_type;
        if column.default.is_none() && column.identity.is_none() {
            return Ok(new_null_array(&data_type.arrow(), rows));
        }
        let values: Vec<Value> =
            missing_values(session, &self.target.table, column, rows, cancel).await?;
        let mut builder = ColumnBuilder::new(data_type, rows);
        for value in &values {
            builder.append_value(value).map_err(|error| SqlError::internal(error.to_string()))?;
        }
        Ok(builder.finish())
    }

    fn record_batch(&self, columns: &[ArrayRef], rows: usize) -> Result<RecordBatch, SqlError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = columns[..self.sources.len()].to_vec();
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(internal)
    }

    /// CHECK constraints that the tablets do not evaluate.
    fn check(&self, columns: &[ArrayRef], lines: &[u64]) -> Result<(), SqlError> {
        if self.checks.is_empty() {
            return Ok(());
        }
        let batch = self.record_batch(columns, lines.len())?;
        for (name, condition) in &self.checks {
            let holds = condition.evaluate(&batch)?;
            let broken = holds.iter().position(|holds| holds == Some(false));
            if let Some(row) = broken {
                let table = &self.target.table.name;
                let mut error = SqlError::new(
                    SqlState::CHECK_VIOLATION,
                    format!(
                        "new row for relation \"{table}\" violates check constraint \"{name}\""
                    ),
                );
                error.table = Some(table.to_string());
                error.constraint = Some(name.clone());
                return Err(at_line(error, &self.target, lines[row]));
            }
        }
        Ok(())
    }
}

fn internal(error: arrow::error::ArrowError) -> SqlError {
    SqlError::internal(error.to_string())
}
