//! COPY's binary format, in: a signature, then rows of sized fields, then -1.

use super::lines::bad;
use super::reader::{Batches, CopyBatch, context, with_context};
use crate::error::SqlError;

/// What the data starts with.
pub const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Flags that a reader must know; it knows none.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
/// The longest field PostgreSQL takes.
const FIELD_BYTES_MAX: i32 = 0x3fff_ffff;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Done,
}

/// Reads the binary format.
pub struct BinaryReader {
    state: State,
    buffer: Vec<u8>,
    used: usize,
    line: u64,
}

/// The bytes of a row that is whole, walked field by field.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn i16(&mut self) -> Option<i16> {
        let bytes = self.bytes.get(self.at..self.at + 2)?;
        self.at += 2;
        Some(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn i32(&mut self) -> Option<i32> {
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

/// What a look at the buffer found.
enum Row {
    /// A row of this many bytes.
    Whole(usize),
    /// The end mark, of this many bytes.
    End(usize),
    /// Not all of it is there.
    More,
}

impl BinaryReader {
    /// Before the first byte.
    pub fn new() -> Self {
        Self { state: State::Header, buffer: Vec::new(), used: 0, line: 0 }
    }

    pub(super) fn feed(
        &mut self,
        data: &[u8],
        batches: &mut Batches,
        out: &mut Vec<CopyBatch>,
    ) -> Result<(), SqlError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.extend_from_slice(data);
        if self.state == State::Header && !self.header()? {
            return Ok(());
        }
        while self.state == State::Rows {
            match self.row(batches)? {
                Row::More => return Ok(()),
                Row::End(length) => {
                    self.used += length;
                    self.state = State::Done;
                }
                Row::Whole(length) => {
                    self.line += 1;
                    self.append(length, batches)?;
                    batches.row(self.line, length, out)?;
                    self.used += length;
                }
            }
        }
        match self.buffer.len() > self.used {
            true => Err(self.placed(bad("received copy data after EOF marker"), batches, None)),
            false => Ok(()),
        }
    }

    pub(super) fn finish(&self, batches: &Batches) -> Result<(), SqlError> {
        match self.state {
            State::Header => Err(bad("COPY file signature not recognized")),
            // PostgreSQL takes the end of the data for the end mark, between rows.
            State::Rows if self.buffer.len() > self.used => {
                let error = bad("unexpected EOF in COPY data");
                Err(self.placed(error, batches, self.fields_before_end(batches)))
            }
            State::Rows | State::Done => Ok(()),
        }
    }

    /// Adds the row in progress to an error, and the column it is about.
    #[cold]
    fn placed(&self, error: SqlError, batches: &Batches, column: Option<usize>) -> SqlError {
        let place = context(&batches.table, self.line + 1);
        with_context(
            error,
            match column.and_then(|i| batches.columns.get(i)) {
                Some(column) => format!("{place}, column {}", column.name),
                None => place,
            },
        )
    }

    /// Where a row that is cut off ends: fields that are whole.
    fn fields_before_end(&self, batches: &Batches) -> Option<usize> {
        let mut cursor = Cursor { bytes: &self.buffer[self.used..], at: 0 };
        cursor.i16()?;
        let whole = (0..batches.builders.len()).take_while(|_| {
            let length = cursor.i32().map(|n| usize::try_from(n).unwrap_or(0));
            cursor.at += length.unwrap_or(0);
            length.is_some() && cursor.at <= cursor.bytes.len()
        });
        Some(whole.count())
    }

    /// Reads the header; false where it is not whole.
    fn header(&mut self) -> Result<bool, SqlError> {
        let start = self.buffer.len().min(SIGNATURE.len());
        if self.buffer[..start] != SIGNATURE[..start] {
            return Err(bad("COPY file signature not recognized"));
        }
        let mut cursor = Cursor { bytes: &self.buffer, at: SIGNATURE.len() };
        let Some(flags) = cursor.i32() else { return Ok(false) };
        if flags as u32 & (1 << 16) != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        if flags as u32 & CRITICAL_FLAGS != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        let Some(extension) = cursor.i32() else { return Ok(false) };
        let length = usize::try_from(extension)
            .map_err(|_| bad("invalid COPY file header (missing length)"))?;
        let whole = cursor.at.saturating_add(length);
        if self.buffer.len() < whole {
            return Ok(false);
        }
        self.used = whole;
        self.state = State::Rows;
        Ok(true)
    }

    /// Looks whether the next row is whole.
    fn row(&self, batches: &Batches) -> Result<Row, SqlError> {
        let mut cursor = Cursor { bytes: &self.buffer[self.used..], at: 0 };
        let columns = batches.builders.len();
        let Some(count) = cursor.i16() else { return Ok(Row::More) };
        if count == -1 {
            return Ok(Row::End(cursor.at));
        }
        if usize::try_from(count) != Ok(columns) {
            let error = bad(format!("row field count is {count}, expected {columns}"));
            return Err(self.placed(error, batches, None));
        }
        for i in 0..columns {
            let Some(length) = cursor.i32() else { return Ok(Row::More) };
            if !(-1..=FIELD_BYTES_MAX).contains(&length) {
                return Err(self.placed(bad("invalid field size"), batches, Some(i)));
            }
            cursor.at += usize::try_from(length).unwrap_or(0);
        }
        match cursor.at <= cursor.bytes.len() {
            true => Ok(Row::Whole(cursor.at)),
            false => Ok(Row::More),
        }
    }

    fn append(&self, length: usize, batches: &mut Batches) -> Result<(), SqlError> {
        let bytes = &self.buffer[self.used..self.used + length];
        let mut cursor = Cursor { bytes, at: 2 };
        for i in 0..batches.builders.len() {
            // A whole row has all its lengths.
            let length = cursor.i32().unwrap_or(-1);
            let Ok(length) = usize::try_from(length) else {
                batches.builders[i].append_null();
                continue;
            };
            let field = &bytes[cursor.at..cursor.at + length];
            cursor.at += length;
            if let Err(error) = batches.builders[i].append_binary(field) {
                let name = &batches.columns[i].name;
                let place = context(&batches.table, self.line);
                return Err(with_context(error, format!("{place}, column {name}")));
            }
        }
        Ok(())
    }
}

impl Default for BinaryReader {
    fn default() -> Self {
        Self::new()
    }
}
