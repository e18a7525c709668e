//! A server that answers every statement with one row it has lying ready: what PostgreSQL's protocol,
//! the kernel and pgbench themselves cost.

use crate::{BenchError, Result};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts it on a free port of loopback; it ends with the runtime.
pub async fn start() -> Result<SocketAddr> {
    let failed = || BenchError::io("the canned server");
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A client that goes away is the end of it.
                let _ = serve(stream).await;
            });
        }
    });
    Ok(address)
}

fn message(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    let length = u32::try_from(body.len() + 4).expect("a canned message is small");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

fn ready(out: &mut Vec<u8>) {
    message(b'Z', b"I", out);
}

/// One column `v`, int4, text.
fn row_description(out: &mut Vec<u8>) {
    let mut body = vec![0, 1, b'v', 0];
    body.extend_from_slice(&[0; 6]);
    body.extend_from_slice(&23_u32.to_be_bytes());
    body.extend_from_slice(&4_u16.to_be_bytes());
    body.extend_from_slice(&(-1_i32).to_be_bytes());
    body.extend_from_slice(&0_u16.to_be_bytes());
    message(b'T', &body, out);
}

fn row(out: &mut Vec<u8>) {
    message(b'D', &[0, 1, 0, 0, 0, 4, b'4', b'2', b'4', b'2'], out);
    message(b'C', b"SELECT 1\0", out);
}

fn answer(kind: u8, out: &mut Vec<u8>) {
    match kind {
        b'P' => message(b'1', b"", out),
        b'B' => message(b'2', b"", out),
        b'C' => message(b'3', b"", out),
        b'D' => row_description(out),
        b'E' => row(out),
        b'S' => ready(out),
        b'Q' => {
            row_description(out);
            row(out);
            ready(out);
        }
        _ => {}
    }
}

/// The startup packet, after any request for encryption.
async fn startup(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let length = stream.read_u32().await?.saturating_sub(4).min(10_000) as usize;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let is_version_3 = body.starts_with(&[0, 3]);
        if is_version_3 {
            return Ok(());
        }
        stream.write_all(b"N").await?;
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    startup(&mut stream).await?;
    let mut out = Vec::new();
    message(b'R', &[0; 4], &mut out);
    message(b'S', b"server_version\x0015.0\0", &mut out);
    message(b'S', b"client_encoding\0UTF8\0", &mut out);
    ready(&mut out);
    stream.write_all(&out).await?;
    let mut input: Vec<u8> = Vec::with_capacity(8192);
    loop {
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        out.clear();
        let mut at = 0;
        while let Some([kind, a, b, c, d]) = input.get(at..at + 5) {
            let end = at + 1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            if end > input.len() {
                break;
            }
            answer(*kind, &mut out);
            at = end;
        }
        input.drain(..at);
        stream.write_all(&out).await?;
    }
}
