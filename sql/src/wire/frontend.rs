//! What clients send after login: framing, and messages out of frames.
//!
//! A frame is a type byte, a length that counts itself, and a body. [`frame_header`] checks type and length
//! before anything of the body is read, so that what a client announces is never allocated; [`Message::parse`]
//! reads a body within its bounds. Texts and parameter values are slices of the frame: no copies.

use crate::error::{SqlError, SqlState};
use crate::types::string;
use bytes::{Buf, Bytes};
use std::ops::Deref;

/// Bytes of a type and length.
pub const HEADER_BYTES: usize = 5;
/// The longest frame of a kind that carries statements or data: PostgreSQL's limit.
pub const LARGE_BYTES_MAX: usize = 0x3fff_ffff;
/// The longest frame of any other kind.
pub const SMALL_BYTES_MAX: usize = 10_000;

/// UTF-8 text that is a slice of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    fn new(bytes: Bytes) -> Result<Self, SqlError> {
        string::utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // Checked when it was made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What Describe and Close are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

/// Bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The portal to make.
    pub portal: Text,
    /// The prepared statement.
    pub statement: Text,
    /// Format codes of the parameters.
    pub parameter_formats: Vec<i16>,
    /// Their values.
    pub parameters: Vec<Option<Bytes>>,
    /// Format codes of the result.
    pub result_formats: Vec<i16>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `Q`
    Query(Text),
    /// `P`
    Parse {
        /// The prepared statement to make.
        name: Text,
        /// Its text.
        sql: Text,
        /// Types of its parameters, as far as the client says.
        types: Vec<u32>,
    },
    /// `B`
    Bind(Bind),
    /// `D`
    Describe(Target, Text),
    /// `C`
    Close(Target, Text),
    /// `E`
    Execute {
        /// The portal.
        portal: Text,
        /// Most rows to send; 0 and less is all.
        max_rows: i32,
    },
    /// `S`
    Sync,
    /// `H`
    Flush,
    /// `X`
    Terminate,
    /// `d`
    CopyData(Bytes),
    /// `c`
    CopyDone,
    /// `f`
    CopyFail(String),
    /// `p`
    Password(Bytes),
    /// `F`
    FunctionCall,
}

/// The type and body length of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub kind: u8,
    /// Bytes of the body.
    pub body: usize,
}

/// Reads a frame's header, if five bytes are there. An error ends the connection: the stream's sense is lost.
pub fn frame_header(input: &[u8]) -> Result<Option<Header>, SqlError> {
    let Some(kind) = input.first().copied() else { return Ok(None) };
    let limit = match kind {
        b'Q' | b'P' | b'B' | b'd' | b'F' | b'p' => LARGE_BYTES_MAX,
        b'D' | b'C' | b'E' | b'S' | b'H' | b'X' | b'c' | b'f' => SMALL_BYTES_MAX,
        other => return Err(violation(format!("invalid frontend message type {other}"))),
    };
    let Some(length) = input.get(1..HEADER_BYTES) else { return Ok(None) };
    let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
    let body = usize::try_from(length).ok().and_then(|n| n.checked_sub(4));
    match body.filter(|body| *body <= limit) {
        Some(body) => Ok(Some(Header { kind, body })),
        None => Err(violation("invalid message length")),
    }
}

#[cold]
fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// A frame's body, read from its front.
struct Body(Bytes);

impl Body {
    fn take(&mut self, count: usize) -> Result<Bytes, SqlError> {
        match self.0.len() >= count {
            true => Ok(self.0.split_to(count)),
            false => Err(violation("insufficient data left in message")),
        }
    }

    fn u8(&mut self) -> Result<u8, SqlError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, SqlError> {
        Ok(self.take(2)?.get_u16())
    }

    fn i32(&mut self) -> Result<i32, SqlError> {
        Ok(self.take(4)?.get_i32())
    }

    fn text(&mut self) -> Result<Text, SqlError> {
        let end =
            memchr::memchr(0, &self.0).ok_or_else(|| violation("invalid string in message"))?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        Text::new(text)
    }

    /// A count and that many of `width` bytes: the count is believed only as far as the body goes.
    fn list<T>(&mut self, width: usize, read: fn(&mut Bytes) -> T) -> Result<Vec<T>, SqlError> {
        let count = usize::from(self.u16()?);
        let mut items = self.take(count * width)?;
        Ok((0..count).map(|_| read(&mut items)).collect())
    }

    fn end(self) -> Result<(), SqlError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(violation("invalid message format")),
        }
    }

    fn bind(&mut self) -> Result<Bind, SqlError> {
        let portal = self.text()?;
        let statement = self.text()?;
        let parameter_formats = self.list(2, Buf::get_i16)?;
        let count = usize::from(self.u16()?);
        let formats = parameter_formats.len();
        if formats > 1 && formats != count {
            return Err(violation(format!(
                "bind message has {formats} parameter formats but {count} parameters"
            )));
        }
        // Each value takes at least four bytes.
        let mut parameters = Vec::with_capacity(count.min(self.0.len() / 4));
        for _ in 0..count {
            parameters.push(match self.i32()? {
                -1 => None,
                length => {
                    let length = usize::try_from(length)
                        .map_err(|_| violation("insufficient data left in message"))?;
                    Some(self.take(length)?)
                }
            });
        }
        let result_formats = self.list(2, Buf::get_i16)?;
        Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
    }

    fn target(&mut self, verb: &str) -> Result<(Target, Text), SqlError> {
        let target = match self.u8()? {
            b'S' => Target::Statement,
            b'P' => Target::Portal,
            other => {
                return Err(violation(format!("invalid {verb} message subtype {other}")));
            }
        };
        Ok((target, self.text()?))
    }
}

impl Message {
    /// Reads a body. An error concerns this message only: the next frame starts where this one ends.
    pub fn parse(kind: u8, body: Bytes) -> Result<Self, SqlError> {
        let mut body = Body(body);
        let message = match kind {
            b'Q' => Self::Query(body.text()?),
            b'P' => {
                let name = body.text()?;
                let sql = body.text()?;
                Self::Parse { name, sql, types: body.list(4, Buf::get_u32)? }
            }
            b'B' => Self::Bind(body.bind()?),
            b'D' => {
                let (target, name) = body.target("DESCRIBE")?;
                Self::Describe(target, name)
            }
            b'C' => {
                let (target, name) = body.target("CLOSE")?;
                Self::Close(target, name)
            }
            b'E' => Self::Execute { portal: body.text()?, max_rows: body.i32()? },
            b'S' => Self::Sync,
            b'H' => Self::Flush,
            b'X' => Self::Terminate,
            b'd' => Self::CopyData(body.0.split_to(body.0.len())),
            b'c' => Self::CopyDone,
            b'f' => Self::CopyFail(body.text()?.to_string()),
            b'p' => Self::Password(body.0.split_to(body.0.len())),
            b'F' => {
                body.0.clear();
                Self::FunctionCall
            }
            other => return Err(violation(format!("invalid frontend message type {other}"))),
        };
        body.end()?;
        Ok(message)
    }
}
