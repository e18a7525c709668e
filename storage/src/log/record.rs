//! The records of a commit, and their bytes.
//!
//! ```text
//! record := flags u8, kind u8,
//!           [table varint]                      unless SAME_TABLE
//!           [seq varint]                        unless NEXT_SEQ
//!           [commit_ts i64]                     unless SAME_COMMIT_TS
//!           [client u64, number varint]         unless SAME_REQUEST
//!           key length varint, payload length varint, key, payload
//! ```
//! A flag refers to the record before it in the same commit, so the rows of a COPY cost five bytes each.
//! Varints are LEB128; fixed numbers are little-endian.

use bytes::Bytes;
use terrane_client::ids::{CommitTs, RequestId, Seq, StorageId};

const SAME_TABLE: u8 = 1;
const NEXT_SEQ: u8 = 2;
const SAME_COMMIT_TS: u8 = 4;
const SAME_REQUEST: u8 = 8;
const FLAGS_KNOWN: u8 = 15;

/// Bytes of a record before its key, at most.
pub const RECORD_HEADER_BYTES_MAX: usize = 2 + 10 + 10 + 8 + 8 + 10 + 5 + 5;

/// A record to be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// The table; recovery routes by it and the key.
    pub table: StorageId,
    /// Its place in the server's commit order.
    pub seq: Seq,
    /// When it was committed.
    pub commit_ts: CommitTs,
    /// The request it belongs to, for rule 5.
    pub request: RequestId,
    /// What the payload is; the log does not look into it.
    pub kind: u8,
    /// The row's encoded key.
    pub key: &'a [u8],
    /// What was done to the row.
    pub payload: &'a [u8],
}

impl RecordRef<'_> {
    /// Bytes it takes in the log, at most, frame headers not counted.
    pub fn encoded_bytes_max(&self) -> usize {
        RECORD_HEADER_BYTES_MAX + self.key.len() + self.payload.len()
    }
}

/// A record read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The table.
    pub table: StorageId,
    /// Its place in the server's commit order.
    pub seq: Seq,
    /// When it was committed.
    pub commit_ts: CommitTs,
    /// The request it belongs to.
    pub request: RequestId,
    /// What the payload is.
    pub kind: u8,
    /// The row's encoded key.
    pub key: Bytes,
    /// What was done to the row.
    pub payload: Bytes,
}

impl Record {
    /// The same record, borrowed.
    pub fn as_ref(&self) -> RecordRef<'_> {
        RecordRef {
            table: self.table,
            seq: self.seq,
            commit_ts: self.commit_ts,
            request: self.request,
            kind: self.kind,
            key: &self.key,
            payload: &self.payload,
        }
    }
}

/// What a record may leave out because the one before it said it.
#[derive(Clone, Copy)]
struct Context {
    table: StorageId,
    seq: Seq,
    commit_ts: CommitTs,
    request: RequestId,
}

/// Encodes the records of one commit, piece by piece.
#[derive(Default)]
pub(super) struct Encoder {
    previous: Option<Context>,
}

impl Encoder {
    /// Hands the record's bytes to `put`, in order.
    pub(super) fn encode(&mut self, record: &RecordRef<'_>, mut put: impl FnMut(&[u8])) {
        let previous = self.previous;
        let same = |holds: fn(&Context, &RecordRef<'_>) -> bool, flag: u8| match previous {
            Some(previous) if holds(&previous, record) => flag,
            _ => 0,
        };
        let flags = same(|p, r| p.table == r.table, SAME_TABLE)
            | same(|p, r| p.seq.0.checked_add(1) == Some(r.seq.0), NEXT_SEQ)
            | same(|p, r| p.commit_ts == r.commit_ts, SAME_COMMIT_TS)
            | same(|p, r| p.request == r.request, SAME_REQUEST);
        let mut head = Head::default();
        head.put(&[flags, record.kind]);
        if flags & SAME_TABLE == 0 {
            head.varint(record.table.0);
        }
        if flags & NEXT_SEQ == 0 {
            head.varint(record.seq.0);
        }
        if flags & SAME_COMMIT_TS == 0 {
            head.put(&record.commit_ts.0.to_le_bytes());
        }
        if flags & SAME_REQUEST == 0 {
            head.put(&record.request.client.to_le_bytes());
            head.varint(record.request.number);
        }
        head.varint(record.key.len() as u64);
        head.varint(record.payload.len() as u64);
        put(&head.bytes[..head.len]);
        put(record.key);
        put(record.payload);
        self.previous = Some(Context {
            table: record.table,
            seq: record.seq,
            commit_ts: record.commit_ts,
            request: record.request,
        });
    }
}

/// A record's bytes before its key, on the stack.
struct Head {
    bytes: [u8; RECORD_HEADER_BYTES_MAX],
    len: usize,
}

impl Default for Head {
    fn default() -> Self {
        Self { bytes: [0; RECORD_HEADER_BYTES_MAX], len: 0 }
    }
}

impl Head {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(&[value as u8 | 0x80]);
            value >>= 7;
        }
        self.put(&[value as u8]);
    }
}

/// Where and why a frame's body does not parse although its crc matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedRecord {
    /// Bytes from the body's start.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// Parses records out of the body of a run of frames. Stops after the first error.
pub struct Decoder {
    body: Bytes,
    offset: usize,
    previous: Option<Context>,
}

impl Decoder {
    /// Starts at the body's first byte.
    pub fn new(body: Bytes) -> Self {
        Self { body, offset: 0, previous: None }
    }

    fn take(&mut self, len: usize) -> Option<Bytes> {
        let end = self.offset.checked_add(len)?;
        if end > self.body.len() {
            return None;
        }
        let taken = self.body.slice(self.offset..end);
        self.offset = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.body.get(self.offset)?;
        self.offset += 1;
        Some(byte)
    }

    fn fixed(&mut self) -> Option<u64> {
        let bytes = self.body.get(self.offset..)?.first_chunk::<8>()?;
        self.offset += 8;
        Some(u64::from_le_bytes(*bytes))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn record(&mut self) -> Result<Record, &'static str> {
        const SHORT: &str = "record ends early";
        let flags = self.byte().ok_or(SHORT)?;
        let kind = self.byte().ok_or(SHORT)?;
        if flags & !FLAGS_KNOWN != 0 {
            return Err("unknown record flags");
        }
        let previous = match self.previous {
            Some(previous) => previous,
            None if flags != 0 => return Err("first record refers to one before it"),
            None => Context {
                table: StorageId(0),
                seq: Seq(0),
                commit_ts: CommitTs(0),
                request: RequestId::default(),
            },
        };
        let table = match flags & SAME_TABLE {
            0 => StorageId(self.varint().ok_or(SHORT)?),
            _ => previous.table,
        };
        let seq = match flags & NEXT_SEQ {
            0 => Seq(self.varint().ok_or(SHORT)?),
            _ => Seq(previous.seq.0.checked_add(1).ok_or("seq overflows")?),
        };
        let commit_ts = match flags & SAME_COMMIT_TS {
            0 => CommitTs(self.fixed().ok_or(SHORT)? as i64),
            _ => previous.commit_ts,
        };
        let request = match flags & SAME_REQUEST {
            0 => RequestId {
                client: self.fixed().ok_or(SHORT)?,
                number: self.varint().ok_or(SHORT)?,
            },
            _ => previous.request,
        };
        let key_len = usize::try_from(self.varint().ok_or(SHORT)?).map_err(|_| SHORT)?;
        let payload_len = usize::try_from(self.varint().ok_or(SHORT)?).map_err(|_| SHORT)?;
        let key = self.take(key_len).ok_or(SHORT)?;
        let payload = self.take(payload_len).ok_or(SHORT)?;
        self.previous = Some(Context { table, seq, commit_ts, request });
        Ok(Record { table, seq, commit_ts, request, kind, key, payload })
    }
}

impl Iterator for Decoder {
    type Item = Result<Record, MalformedRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.body.len() {
            return None;
        }
        let offset = self.offset;
        let record = self.record().map_err(|what| {
            self.offset = self.body.len();
            MalformedRecord { offset, what }
        });
        Some(record)
    }
}

#[cfg(test)]
mod tests;
