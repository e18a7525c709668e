//! COPY FROM: bytes in, record batches out.

use super::binary::BinaryReader;
use super::fields::Fields;
use super::lines::{Line, Lines, bad};
use super::options::{CopyFormat, CopyHeader, CopyOptions};
use crate::error::SqlError;
use crate::functions::cast::convert;
use crate::types::column::ColumnBuilder;
use crate::types::style::TextStyle;
use crate::types::text::InputContext;
use crate::types::{oid, string};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use std::sync::Arc;
use terrane_client::types::DataType;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of input after which a batch is closed.
const BATCH_BYTES: usize = 1024 * 1024;

/// A column that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Fractional digits of a second that values are rounded to.
    pub precision: Option<u8>,
}

/// Rows read, and where each came from.
#[derive(Clone, Debug)]
pub struct CopyBatch {
    /// The rows, columns as given.
    pub rows: RecordBatch,
    /// The line of each, for CONTEXT; see [`context`].
    pub lines: Vec<u64>,
}

/// The CONTEXT of an error that a row read by COPY causes later: `COPY t, line 3`.
pub fn context(table: &str, line: u64) -> String {
    format!("COPY {table}, line {line}")
}

/// Builds batches.
pub(super) struct Batches {
    pub(super) table: String,
    pub(super) columns: Vec<CopyColumn>,
    pub(super) builders: Vec<ColumnBuilder>,
    schema: SchemaRef,
    lines: Vec<u64>,
    bytes: usize,
    rows: u64,
}

impl Batches {
    fn new(table: &str, columns: Vec<CopyColumn>) -> Self {
        let fields = columns.iter().map(|c| oid::field(&c.name, &c.data_type, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let builders = columns.iter().map(|c| ColumnBuilder::new(&c.data_type, BATCH_ROWS));
        Self {
            table: table.to_owned(),
            builders: builders.collect(),
            columns,
            schema,
            lines: Vec::new(),
            bytes: 0,
            rows: 0,
        }
    }

    /// Counts a row whose cells are all in; closes the batch if it is full.
    pub(super) fn row(
        &mut self,
        line: u64,
        bytes: usize,
        out: &mut Vec<CopyBatch>,
    ) -> Result<(), SqlError> {
        self.lines.push(line);
        self.rows += 1;
        self.bytes += bytes;
        match self.lines.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            true => self.close(out),
            false => Ok(()),
        }
    }

    fn close(&mut self, out: &mut Vec<CopyBatch>) -> Result<(), SqlError> {
        let lines = std::mem::take(&mut self.lines);
        self.bytes = 0;
        if lines.is_empty() {
            return Ok(());
        }
        let finished = self.builders.iter_mut().map(ColumnBuilder::finish);
        let arrays = finished
            .zip(&self.columns)
            .map(|(array, column)| match column.precision {
                Some(digits) => convert::rounded(&array, digits.into()),
                None => Ok(array),
            })
            .collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|e| SqlError::internal(e.to_string()))?;
        out.push(CopyBatch { rows, lines });
        Ok(())
    }

    /// Adds `COPY t, line 3, column a: "x"` to an error.
    #[cold]
    fn in_column(&self, error: SqlError, line: u64, column: usize, text: &str) -> SqlError {
        let name = &self.columns[column].name;
        let shown = limited(text);
        let place = context(&self.table, line);
        with_context(error, format!("{place}, column {name}: \"{shown}\""))
    }
}

/// A message's excerpt of data: 100 bytes, on a character boundary.
fn limited(text: &str) -> String {
    const BYTES_MAX: usize = 100;
    if text.len() <= BYTES_MAX {
        return text.to_owned();
    }
    format!("{}...", &text[..text.floor_char_boundary(BYTES_MAX)])
}

pub(super) fn with_context(mut error: SqlError, context: String) -> SqlError {
    error.context = Some(match error.context.take() {
        Some(inner) => format!("{inner}\n{context}"),
        None => context,
    });
    error
}

enum Format {
    Lines { lines: Lines, fields: Fields, header: CopyHeader },
    Binary(BinaryReader),
}

/// Reads COPY's data. After an error it is of no more use.
pub struct CopyReader {
    format: Format,
    batches: Batches,
    style: Arc<TextStyle>,
    now_micros: i64,
}

impl CopyReader {
    /// For these columns of a table, in the order the data has them.
    pub fn new(
        options: &CopyOptions,
        table: &str,
        columns: Vec<CopyColumn>,
        style: Arc<TextStyle>,
        now_micros: i64,
    ) -> Self {
        let format = match options.format {
            CopyFormat::Binary => Format::Binary(BinaryReader::new()),
            _ => Format::Lines {
                lines: Lines::new(options),
                fields: Fields::new(options),
                header: options.header,
            },
        };
        Self { format, batches: Batches::new(table, columns), style, now_micros }
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.batches.schema
    }

    /// Rows read so far.
    pub fn rows(&self) -> u64 {
        self.batches.rows
    }

    /// Takes bytes; adds the batches they complete to `out`.
    pub fn feed(&mut self, data: &[u8], out: &mut Vec<CopyBatch>) -> Result<(), SqlError> {
        match &mut self.format {
            Format::Binary(reader) => reader.feed(data, &mut self.batches, out),
            Format::Lines { lines, .. } => {
                lines.feed(data);
                self.read_lines(out)
            }
        }
    }

    /// Says that nothing more comes; adds the last batch to `out`. Answers the number of rows.
    pub fn finish(&mut self, out: &mut Vec<CopyBatch>) -> Result<u64, SqlError> {
        match &mut self.format {
            Format::Binary(reader) => reader.finish(&self.batches)?,
            Format::Lines { lines, .. } => {
                lines.close();
                self.read_lines(out)?;
                self.missing_header()?;
            }
        }
        self.batches.close(out)?;
        Ok(self.batches.rows)
    }

    /// HEADER MATCH of data without a first line.
    fn missing_header(&self) -> Result<(), SqlError> {
        let Format::Lines { header: CopyHeader::Match, .. } = &self.format else { return Ok(()) };
        let expected = self.batches.columns.len();
        let message = format!("wrong number of fields in header line: got 1, expected {expected}");
        Err(with_context(bad(message), format!("{}: \"\"", context(&self.batches.table, 1))))
    }

    fn read_lines(&mut self, out: &mut Vec<CopyBatch>) -> Result<(), SqlError> {
        let Format::Lines { lines, fields, header } = &mut self.format else { return Ok(()) };
        let context_of = InputContext { style: &self.style, now_micros: self.now_micros };
        loop {
            let found = lines.next_line().map_err(|error| {
                with_context(error, context(&self.batches.table, lines.number()))
            })?;
            let Some(line) = found else { return Ok(()) };
            let text = string::utf8(lines.bytes(&line))
                .map_err(|error| with_context(error, context(&self.batches.table, line.number)))?;
            let read = match header {
                CopyHeader::None => read_row(&mut self.batches, fields, text, &line, context_of),
                CopyHeader::Names => Ok(()),
                CopyHeader::Match => match_header(&self.batches, fields, text, &line),
            };
            read.map_err(|error| match error.context {
                Some(_) => error,
                None => {
                    let place = context(&self.batches.table, line.number);
                    with_context(error, format!("{place}: \"{}\"", limited(text)))
                }
            })?;
            if std::mem::take(header) == CopyHeader::None {
                self.batches.row(line.number, text.len(), out)?;
            }
        }
    }
}

fn read_row(
    batches: &mut Batches,
    fields: &mut Fields,
    text: &str,
    line: &Line,
    context_of: InputContext<'_>,
) -> Result<(), SqlError> {
    fields.cut(text, line.special)?;
    let columns = batches.builders.len();
    // A table without columns has empty lines.
    let given = if columns == 0 && text.is_empty() { 0 } else { fields.len() };
    if given > columns {
        return Err(bad("extra data after last expected column"));
    }
    for i in 0..columns {
        // Found out column by column: one before it that does not parse is the error.
        if i >= given {
            let name = &batches.columns[i].name;
            return Err(bad(format!("missing data for column \"{name}\"")));
        }
        match fields.get(text, i)? {
            None => batches.builders[i].append_null(),
            Some(value) => {
                if let Err(error) = batches.builders[i].append_text(value, context_of) {
                    return Err(batches.in_column(error, line.number, i, value));
                }
            }
        }
    }
    Ok(())
}

/// HEADER MATCH: the first line must name the columns.
fn match_header(
    batches: &Batches,
    fields: &mut Fields,
    text: &str,
    line: &Line,
) -> Result<(), SqlError> {
    fields.cut(text, line.special)?;
    let expected = batches.columns.len();
    if fields.len() != expected {
        return Err(bad(format!(
            "wrong number of fields in header line: got {}, expected {expected}",
            fields.len()
        )));
    }
    for (i, column) in batches.columns.iter().enumerate() {
        let name = &column.name;
        let got = match fields.get(text, i)? {
            Some(found) if found == name => continue,
            Some(found) => format!("\"{found}\""),
            None => format!("null value (\"{}\")", fields.null()),
        };
        return Err(bad(format!(
            "column name mismatch in header line field {}: got {got}, expected \"{name}\"",
            i + 1
        )));
    }
    Ok(())
}
