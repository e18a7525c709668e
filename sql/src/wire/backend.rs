//! What clients are sent: each function adds one whole message to the output buffer.

use crate::error::SqlError;
use crate::session::format::Formats;
use crate::session::response::{CommandTag, Notice, ResultColumn, TransactionStatus};
use crate::types::oid;

/// How bad an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed.
    Error,
    /// The connection ends.
    Fatal,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// Adds a message: its type, its length, what `body` writes.
#[inline]
pub fn message(kind: u8, out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// A message without a body.
#[inline]
fn empty(kind: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind, 0, 0, 0, 4]);
}

/// A string up to its first NUL, which the protocol cannot carry, and a NUL.
fn cstring(text: &str, out: &mut Vec<u8>) {
    let end = memchr::memchr(0, text.as_bytes()).unwrap_or(text.len());
    out.extend_from_slice(&text.as_bytes()[..end]);
    out.push(0);
}

fn u16_of(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
}

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    message(b'R', out, |out| out.extend_from_slice(&0_u32.to_be_bytes()));
}

/// AuthenticationSASL, with one mechanism.
pub fn authentication_sasl(mechanism: &str, out: &mut Vec<u8>) {
    message(b'R', out, |out| {
        out.extend_from_slice(&10_u32.to_be_bytes());
        cstring(mechanism, out);
        out.push(0);
    });
}

/// AuthenticationSASLContinue.
pub fn authentication_continue(data: &str, out: &mut Vec<u8>) {
    message(b'R', out, |out| {
        out.extend_from_slice(&11_u32.to_be_bytes());
        out.extend_from_slice(data.as_bytes());
    });
}

/// AuthenticationSASLFinal.
pub fn authentication_final(data: &str, out: &mut Vec<u8>) {
    message(b'R', out, |out| {
        out.extend_from_slice(&12_u32.to_be_bytes());
        out.extend_from_slice(data.as_bytes());
    });
}

/// NegotiateProtocolVersion: the newest version there is, and the options that are not known.
pub fn negotiate(version: u32, unknown: &[String], out: &mut Vec<u8>) {
    message(b'v', out, |out| {
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&(unknown.len() as u32).to_be_bytes());
        for option in unknown {
            cstring(option, out);
        }
    });
}

/// BackendKeyData.
pub fn key_data(pid: i32, secret: &[u8], out: &mut Vec<u8>) {
    message(b'K', out, |out| {
        out.extend_from_slice(&pid.to_be_bytes());
        out.extend_from_slice(secret);
    });
}

/// ParameterStatus.
pub fn parameter_status(name: &str, value: &str, out: &mut Vec<u8>) {
    message(b'S', out, |out| {
        cstring(name, out);
        cstring(value, out);
    });
}

/// ReadyForQuery.
pub fn ready(status: TransactionStatus, out: &mut Vec<u8>) {
    let status = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InBlock => b'T',
        TransactionStatus::Failed => b'E',
    };
    out.extend_from_slice(&[b'Z', 0, 0, 0, 5, status]);
}

/// ErrorResponse.
pub fn error(severity: Severity, error: &SqlError, out: &mut Vec<u8>) {
    message(b'E', out, |out| fields(severity.name(), error, out));
}

/// NoticeResponse.
pub fn notice(notice: &Notice, out: &mut Vec<u8>) {
    message(b'N', out, |out| fields(notice.severity, &notice.body, out));
}

fn fields(severity: &str, error: &SqlError, out: &mut Vec<u8>) {
    let position = error.position.map(|p| p.to_string());
    let all = [
        (b'S', Some(severity)),
        (b'V', Some(severity)),
        (b'C', Some(error.state.0)),
        (b'M', Some(error.message.as_str())),
        (b'D', error.detail.as_deref()),
        (b'H', error.hint.as_deref()),
        (b'P', position.as_deref()),
        (b'W', error.context.as_deref()),
        (b's', error.schema.as_deref()),
        (b't', error.table.as_deref()),
        (b'c', error.column.as_deref()),
        (b'n', error.constraint.as_deref()),
    ];
    for (code, text) in all {
        if let Some(text) = text {
            out.push(code);
            cstring(text, out);
        }
    }
    out.push(0);
}

/// RowDescription.
pub fn row_description(columns: &[ResultColumn], formats: &Formats, out: &mut Vec<u8>) {
    message(b'T', out, |out| {
        out.extend_from_slice(&u16_of(columns.len()));
        for (i, column) in columns.iter().enumerate() {
            cstring(&column.name, out);
            out.extend_from_slice(&column.table_oid.to_be_bytes());
            out.extend_from_slice(&column.attnum.to_be_bytes());
            let told = oid::told(column.wire_type);
            out.extend_from_slice(&told.oid.to_be_bytes());
            out.extend_from_slice(&told.size.to_be_bytes());
            out.extend_from_slice(&told.modifier.to_be_bytes());
            out.extend_from_slice(&formats.of(i).code().to_be_bytes());
        }
    });
}

/// ParameterDescription.
pub fn parameter_description(types: &[u32], out: &mut Vec<u8>) {
    message(b't', out, |out| {
        out.extend_from_slice(&u16_of(types.len()));
        for stated in types {
            let told = oid::told(oid::wire(*stated, -1));
            out.extend_from_slice(&told.oid.to_be_bytes());
        }
    });
}

/// NoData.
pub fn no_data(out: &mut Vec<u8>) {
    empty(b'n', out);
}

/// ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    empty(b'1', out);
}

/// BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    empty(b'2', out);
}

/// CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    empty(b'3', out);
}

/// PortalSuspended.
pub fn portal_suspended(out: &mut Vec<u8>) {
    empty(b's', out);
}

/// EmptyQueryResponse.
pub fn empty_query(out: &mut Vec<u8>) {
    empty(b'I', out);
}

/// CopyInResponse (`G`) or CopyOutResponse (`H`).
fn copy_response(kind: u8, columns: usize, binary: bool, out: &mut Vec<u8>) {
    message(kind, out, |out| {
        out.push(u8::from(binary));
        out.extend_from_slice(&u16_of(columns));
        for _ in 0..columns.min(usize::from(u16::MAX)) {
            out.extend_from_slice(&u16::from(binary).to_be_bytes());
        }
    });
}

/// CopyInResponse.
pub fn copy_in(columns: usize, binary: bool, out: &mut Vec<u8>) {
    copy_response(b'G', columns, binary, out);
}

/// CopyOutResponse.
pub fn copy_out(columns: usize, binary: bool, out: &mut Vec<u8>) {
    copy_response(b'H', columns, binary, out);
}

/// CopyDone.
pub fn copy_done(out: &mut Vec<u8>) {
    empty(b'c', out);
}

/// CommandComplete. `sent` is how many rows were sent, for tags that count those.
pub fn command_complete(tag: &CommandTag, sent: Option<u64>, out: &mut Vec<u8>) {
    message(b'C', out, |out| {
        let (verb, count) = match tag {
            CommandTag::Plain(verb) => (*verb, None),
            CommandTag::Count(verb, count) => (*verb, Some(sent.unwrap_or(*count))),
            CommandTag::RowsSent(verb) => (*verb, Some(sent.unwrap_or(0))),
            CommandTag::Insert(count) => ("INSERT 0", Some(sent.unwrap_or(*count))),
        };
        out.extend_from_slice(verb.as_bytes());
        if let Some(count) = count {
            out.push(b' ');
            crate::types::integer::write(count, out);
        }
        out.push(0);
    });
}
