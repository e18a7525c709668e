//! SCRAM-SHA-256, server side. The server keeps a verifier, from which the password cannot be had.

use super::backend;
use super::frontend::{Header, Message, frame_header};
use super::socket::Socket;
use super::startup::Refused;
use crate::error::{SqlError, SqlState};
use bytes::Bytes;
use pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, ScramSecret, ScramServerAuth, gen_salted_password,
};
use tokio::io::{AsyncRead, AsyncWrite};

const MECHANISM: &str = "SCRAM-SHA-256";
/// No SASL message is longer.
const MESSAGE_BYTES_MAX: usize = 4096;

/// A verifier as PostgreSQL stores it, `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
pub fn verifier(password: &str, salt: &[u8; 16]) -> String {
    let salted = gen_salted_password(password, salt, SCRAM_ITERATIONS);
    let secret =
        ScramSecret::verifier_from_salted_password(salt.to_vec(), salted, SCRAM_ITERATIONS);
    match secret {
        ScramSecret::Verifier { salt, iterations, stored_key, server_key } => format!(
            "{MECHANISM}${iterations}:{}${}:{}",
            base64(&salt),
            base64(&stored_key),
            base64(&server_key)
        ),
        ScramSecret::SaltedPassword { .. } => String::new(),
    }
}

/// Takes a verifier apart; `None` where it is not one.
fn parse_verifier(text: &str) -> Option<ScramSecret> {
    let rest = text.strip_prefix(MECHANISM)?.strip_prefix('$')?;
    let (first, keys) = rest.split_once('$')?;
    let (iterations, salt) = first.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some(ScramSecret::Verifier {
        salt: unbase64(salt)?,
        iterations: iterations.parse().ok()?,
        stored_key: unbase64(stored_key)?,
        server_key: unbase64(server_key)?,
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = 0_u32;
        for i in 0..3 {
            word = word << 8 | u32::from(chunk.get(i).copied().unwrap_or(0));
        }
        for i in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = Vec::new();
    for chunk in digits.chunks(4) {
        let mut word = 0;
        for i in 0..4 {
            let digit = match chunk.get(i) {
                Some(byte) => ALPHABET.iter().position(|a| a == byte)? as u32,
                None => 0,
            };
            word = word << 6 | digit;
        }
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}

#[cold]
fn wrong_password(user: &str) -> Refused {
    Refused::Told(SqlError::new(
        SqlState::INVALID_PASSWORD,
        format!("password authentication failed for user \"{user}\""),
    ))
}

#[cold]
fn malformed(detail: &str) -> Refused {
    Refused::Told(
        SqlError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").with_detail(detail),
    )
}

/// Has the client prove that it knows the password.
pub async fn scram<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
    user: &str,
    stored: &str,
) -> Result<(), Refused> {
    let secret = parse_verifier(stored).ok_or_else(|| wrong_password(user))?;
    backend::authentication_sasl(MECHANISM, socket.output());
    let first = read_password(socket).await?;
    let client_first = initial_response(&first)?;
    let (server_first, waiting) = ScramServerAuth::new()
        .on_client_first_message_with_secret(&client_first, secret)
        .map_err(|error| malformed(&error.to_string()))?;
    backend::authentication_continue(&server_first, socket.output());
    let last = read_password(socket).await?;
    // Whatever is wrong with the proof, the client learns no more than that it is wrong.
    let server_final = waiting.on_client_final_message(&last).map_err(|_| wrong_password(user))?;
    backend::authentication_final(&server_final, socket.output());
    Ok(())
}

/// The mechanism's data of a SASLInitialResponse.
fn initial_response(body: &[u8]) -> Result<Bytes, Refused> {
    let end = memchr::memchr(0, body).ok_or_else(|| malformed("The mechanism has no end."))?;
    if &body[..end] != MECHANISM.as_bytes() {
        return Err(Refused::Told(SqlError::new(
            SqlState::PROTOCOL_VIOLATION,
            "client selected an invalid SASL authentication mechanism",
        )));
    }
    let rest = &body[end + 1..];
    let (length, data) =
        rest.split_first_chunk::<4>().ok_or_else(|| malformed("The length is missing."))?;
    match usize::try_from(i32::from_be_bytes(*length)) {
        Ok(length) if length == data.len() => Ok(Bytes::copy_from_slice(data)),
        _ => Err(malformed("The length is wrong.")),
    }
}

/// The next message, which must be a password message.
async fn read_password<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut Socket<S>,
) -> Result<Bytes, Refused> {
    socket.flush().await.map_err(|_| Refused::Silently)?;
    loop {
        let Some(Header { kind, body }) = frame_header(socket.input()).map_err(Refused::Told)?
        else {
            match socket.fill(0).await {
                Ok(true) => continue,
                _ => return Err(Refused::Silently),
            }
        };
        if kind != b'p' || body > MESSAGE_BYTES_MAX {
            return Err(Refused::Told(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!("expected SASL response, got message type {kind}"),
            )));
        }
        let whole = super::frontend::HEADER_BYTES + body;
        if socket.input().len() < whole {
            match socket.fill(whole).await {
                Ok(true) => continue,
                _ => return Err(Refused::Silently),
            }
        }
        socket.skip(super::frontend::HEADER_BYTES);
        return match Message::parse(kind, socket.take(body)) {
            Ok(Message::Password(data)) => Ok(data),
            Ok(_) => Err(malformed("It is not a password message.")),
            Err(error) => Err(Refused::Told(error)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_both_ways() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (&[0xff, 0xfe, 0xfd], "//79"),
        ] {
            assert_eq!(base64(bytes), text);
            assert_eq!(unbase64(text).as_deref(), Some(bytes));
        }
        for bad in ["Z", "Zg=", "Zg===", "Z!==", "===="] {
            assert_eq!(unbase64(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_verifier_reads_back() {
        let text = verifier("secret", b"0123456789abcdef");
        let Some(ScramSecret::Verifier { salt, iterations, stored_key, .. }) =
            parse_verifier(&text)
        else {
            panic!("{text}")
        };
        assert_eq!(
            (salt.as_slice(), iterations, stored_key.len()),
            (&b"0123456789abcdef"[..], 4096, 32)
        );
        assert!(parse_verifier("SCRAM-SHA-256$x").is_none());
    }
}
