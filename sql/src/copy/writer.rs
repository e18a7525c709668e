//! COPY TO: record batches in, CopyData messages out, one per row as clients expect.

use super::binary::SIGNATURE;
use super::options::{CopyFormat, CopyHeader, CopyOptions};
use crate::error::SqlError;
use crate::session::format::Format;
use crate::session::response::{CopyOutResponse, ResultColumn};
use crate::types::cells::Cells;
use crate::types::style::TextStyle;
use crate::wire::backend::message;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes COPY's data.
pub struct CopyWriter {
    options: CopyOptions,
    columns: Arc<[ResultColumn]>,
    style: Arc<TextStyle>,
    /// Bytes that cannot stand as they are.
    special: [bool; 256],
}

impl CopyWriter {
    /// For a result of these columns.
    pub fn new(options: CopyOptions, columns: Arc<[ResultColumn]>, style: Arc<TextStyle>) -> Self {
        let mut special = [false; 256];
        let bytes: &[u8] = match options.format {
            CopyFormat::Csv => &[options.delimiter, options.quote, b'\n', b'\r'],
            _ => &[options.delimiter, b'\\', 8, 9, 10, 11, 12, 13],
        };
        for byte in bytes {
            special[usize::from(*byte)] = true;
        }
        Self { options, columns, style, special }
    }

    /// What comes before the rows.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            message(b'd', out, |out| {
                out.extend_from_slice(SIGNATURE);
                out.extend_from_slice(&[0; 8]);
            });
        } else if self.options.header != CopyHeader::None {
            message(b'd', out, |out| {
                for (i, column) in self.columns.iter().enumerate() {
                    if i > 0 {
                        out.push(self.options.delimiter);
                    }
                    let start = out.len();
                    out.extend_from_slice(column.name.as_bytes());
                    self.escape(start, false, out);
                }
                out.push(b'\n');
            });
        }
    }

    /// One message per row of a batch.
    pub fn rows(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), SqlError> {
        let format = match self.options.format {
            CopyFormat::Binary => Format::Binary,
            _ => Format::Text,
        };
        let columns = batch.columns().iter().zip(self.columns.iter());
        let cells = columns.map(|(a, c)| Cells::new(a, c.wire_type, format, &self.style));
        let cells: Vec<Cells> = cells.collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let mut written = Ok(());
            message(b'd', out, |out| {
                written = match format {
                    Format::Binary => binary_row(&cells, row, out),
                    Format::Text => self.text_row(&cells, row, out),
                };
            });
            written?;
        }
        Ok(())
    }

    /// What comes after the rows.
    pub fn trailer(&self, out: &mut Vec<u8>) {
        if self.options.format == CopyFormat::Binary {
            message(b'd', out, |out| out.extend_from_slice(&(-1_i16).to_be_bytes()));
        }
    }

    fn text_row(&self, cells: &[Cells], row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
        for (i, column) in cells.iter().enumerate() {
            if i > 0 {
                out.push(self.options.delimiter);
            }
            if column.is_null(row) {
                out.extend_from_slice(self.options.null.as_bytes());
                continue;
            }
            let start = out.len();
            column.write(row, out)?;
            self.escape(start, self.options.force_quote.get(i) == Some(&true), out);
        }
        out.push(b'\n');
        Ok(())
    }

    /// Escapes what was written from `start` on.
    fn escape(&self, start: usize, force: bool, out: &mut Vec<u8>) {
        let text = &out[start..];
        let special = text.iter().any(|b| self.special[usize::from(*b)]);
        if self.options.format == CopyFormat::Csv {
            let looks_null = text == self.options.null.as_bytes();
            // Alone on a line it would end the data.
            let looks_done = self.columns.len() == 1 && text == b"\\.";
            if special || force || looks_null || looks_done {
                self.quote(start, out);
            }
        } else if special {
            let text = out.split_off(start);
            for byte in text {
                let letter = match byte {
                    8 => b'b',
                    9 => b't',
                    10 => b'n',
                    11 => b'v',
                    12 => b'f',
                    13 => b'r',
                    b'\\' => b'\\',
                    byte if byte == self.options.delimiter => byte,
                    byte => {
                        out.push(byte);
                        continue;
                    }
                };
                out.extend_from_slice(&[b'\\', letter]);
            }
        }
    }

    fn quote(&self, start: usize, out: &mut Vec<u8>) {
        let CopyOptions { quote, escape, .. } = self.options;
        let text = out.split_off(start);
        out.push(quote);
        for byte in text {
            if byte == quote || byte == escape {
                out.push(escape);
            }
            out.push(byte);
        }
        out.push(quote);
    }

    /// The whole answer of COPY … TO STDOUT.
    pub fn respond(
        self,
        batches: BoxStream<'static, Result<RecordBatch, SqlError>>,
    ) -> CopyOutResponse {
        let rows = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&rows);
        let columns = self.columns.len();
        let binary = self.options.format == CopyFormat::Binary;
        let writer = Arc::new(self);
        let (mut header, mut trailer) = (Vec::new(), Vec::new());
        writer.header(&mut header);
        writer.trailer(&mut trailer);
        let data = batches.map(move |batch| {
            let batch = batch?;
            let mut out = Vec::new();
            writer.rows(&batch, &mut out)?;
            counted.fetch_add(batch.num_rows() as u64, Ordering::Release);
            Ok(Bytes::from(out))
        });
        let one = |bytes: Vec<u8>| futures::stream::iter([Ok(Bytes::from(bytes))]);
        let data = one(header).chain(data).chain(one(trailer)).boxed();
        CopyOutResponse { columns, binary, data, rows }
    }
}

fn binary_row(cells: &[Cells], row: usize, out: &mut Vec<u8>) -> Result<(), SqlError> {
    let count = i16::try_from(cells.len())
        .map_err(|_| SqlError::internal("a COPY of more than 32,767 columns"))?;
    out.extend_from_slice(&count.to_be_bytes());
    cells.iter().try_for_each(|column| column.write_sized(row, out))
}
