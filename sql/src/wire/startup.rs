//! From the first byte to the login: SSL and GSS requests, cancel requests, the startup packet.
//!
//! Packets here have no type byte, only a length and a code, and are limited to 10,000 bytes. What does not
//! look like a PostgreSQL client is closed without an answer.

use super::backend;
use super::socket::Socket;
use crate::error::{SqlError, SqlState};
use crate::session::service::Login;
use crate::types::string;
use bytes::{Buf, Bytes};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

const PACKET_BYTES_MAX: usize = 10_000;
const PACKET_BYTES_MIN: usize = 8;
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// The newest protocol there is.
const NEWEST: u32 = 3 << 16 | 2;
/// Bytes of a cancel key in protocol 3.0, which can carry no more, and from 3.2 on.
const SECRET_BYTES: [usize; 2] = [4, 32];

/// Why a client is not let in.
#[derive(Debug)]
pub enum Refused {
    /// It is told, as FATAL.
    Told(SqlError),
    /// It is gone, or not a client.
    Silently,
}

/// What a client wants.
#[derive(Debug)]
pub enum Request {
    /// To log in.
    Login {
        /// Who.
        login: Login,
        /// How long its cancel key is.
        secret_bytes: usize,
    },
    /// To cancel another connection's statement.
    Cancel {
        /// Whose.
        pid: i32,
        /// The key that shows it may.
        secret: Bytes,
    },
}

fn told(state: SqlState, message: impl Into<String>) -> Refused {
    Refused::Told(SqlError::new(state, message))
}

/// Reads packets up to the one that says what the client wants.
pub async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
    peer: Option<SocketAddr>,
) -> Result<Request, Refused> {
    let (mut ssl_asked, mut gss_asked) = (false, false);
    loop {
        let mut packet = read_packet(socket).await?;
        match packet.get_u32() {
            CANCEL => {
                if packet.len() < 5 {
                    return Err(Refused::Silently);
                }
                let pid = packet.get_i32();
                return Ok(Request::Cancel { pid, secret: packet });
            }
            // Once each: a client that asks again is answered no more.
            SSL if !std::mem::replace(&mut ssl_asked, true) => decline(socket).await?,
            GSS if !std::mem::replace(&mut gss_asked, true) => decline(socket).await?,
            version if version >> 16 == 3 => return login(socket, version, &packet, peer),
            version => {
                let (major, minor) = (version >> 16, version & 0xffff);
                return Err(told(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!(
                        "unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"
                    ),
                ));
            }
        }
    }
}

/// Answers `N`: no encryption here. Anything the client sent ahead of the answer could have been put there
/// by someone in between.
async fn decline<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>) -> Result<(), Refused> {
    if !socket.input().is_empty() {
        return Err(told(
            SqlState::PROTOCOL_VIOLATION,
            "received unencrypted data after SSL request",
        ));
    }
    socket.output().push(b'N');
    socket.flush().await.map_err(|_| Refused::Silently)
}

/// A packet without its length.
async fn read_packet<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
) -> Result<Bytes, Refused> {
    loop {
        if let Some(length) = socket.input().first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            if !(PACKET_BYTES_MIN..=PACKET_BYTES_MAX).contains(&length) {
                return Err(Refused::Silently);
            }
            if socket.input().len() >= length {
                let mut packet = socket.take(length);
                packet.advance(4);
                return Ok(packet);
            }
        }
        match socket.fill(0).await {
            Ok(true) => {}
            _ => return Err(Refused::Silently),
        }
    }
}

fn login<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
    version: u32,
    packet: &[u8],
    peer: Option<SocketAddr>,
) -> Result<Request, Refused> {
    let parameters = parameters(packet)?;
    let unknown: Vec<String> =
        parameters.iter().map(|p| p.0.clone()).filter(|name| name.starts_with("_pq_.")).collect();
    if version > NEWEST || !unknown.is_empty() {
        backend::negotiate(NEWEST.min(version), &unknown, socket.output());
    }
    let mut user = String::new();
    let mut database = String::new();
    let mut settings = Vec::new();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => user = value,
            "database" => database = value,
            "options" => settings.extend(options(&value)?),
            "replication" if !matches!(value.as_str(), "false" | "off" | "no" | "0") => {
                return Err(told(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "replication connections are not supported",
                ));
            }
            "replication" => {}
            name if name.starts_with("_pq_.") => {}
            _ => settings.push((name, value)),
        }
    }
    if user.is_empty() {
        return Err(told(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    if database.is_empty() {
        database.clone_from(&user);
    }
    let secret_bytes = SECRET_BYTES[usize::from(version & 0xffff >= 2)];
    Ok(Request::Login { login: Login { user, database, settings, peer }, secret_bytes })
}

/// Names and values, each ended by NUL, the list by another.
fn parameters(packet: &[u8]) -> Result<Vec<(String, String)>, Refused> {
    let malformed = || {
        told(
            SqlState::PROTOCOL_VIOLATION,
            "invalid startup packet layout: expected terminator as last byte",
        )
    };
    let mut rest = packet;
    let mut text = || {
        let end = memchr::memchr(0, rest).ok_or_else(malformed)?;
        let (head, tail) = rest.split_at(end);
        rest = &tail[1..];
        string::utf8(head).map(str::to_owned).map_err(Refused::Told)
    };
    let mut all = Vec::new();
    loop {
        let name = text()?;
        if name.is_empty() {
            break;
        }
        all.push((name, text()?));
    }
    if rest.is_empty() { Ok(all) } else { Err(malformed()) }
}

/// `-c name=value` and `--name=value`, blanks escaped by a backslash.
fn options(text: &str) -> Result<Vec<(String, String)>, Refused> {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().unwrap_or_default(),
            Some(rest) => rest.to_owned(),
            None => {
                return Err(told(
                    SqlState::SYNTAX_ERROR,
                    format!("invalid command-line argument for server process: {word}"),
                ));
            }
        };
        let Some((name, value)) = setting.split_once('=') else {
            return Err(told(SqlState::SYNTAX_ERROR, format!("-c {setting} requires a value")));
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_apart() {
        let pairs = |text| options(text).unwrap_or_default();
        let own = |list: &[(&str, &str)]| {
            list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(pairs(""), own(&[]));
        assert_eq!(
            pairs("-c geqo=off -cwork_mem=1\\ MB --statement-timeout=5min"),
            own(&[("geqo", "off"), ("work_mem", "1 MB"), ("statement_timeout", "5min")])
        );
        assert!(matches!(options("-x"), Err(Refused::Told(_))));
        assert!(matches!(options("-c geqo"), Err(Refused::Told(_))));
    }
}
