//! A server that speaks just enough of the protocol to misbehave.
//!
//! A statement's text says what it does: `SELECT one` answers a row with 1, `hang` never answers, `drop`
//! closes the connection, `bug` is an XX000, anything else succeeds without rows.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub struct FakeServer {
    pub port: u16,
    /// Cancel requests received.
    pub cancels: Arc<AtomicUsize>,
}

impl FakeServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cancels = Arc::new(AtomicUsize::new(0));
        let counter = cancels.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counter = counter.clone();
                // An error is the client going away.
                std::thread::spawn(move || drop(serve(stream, &counter)));
            }
        });
        Self { port, cancels }
    }

    pub fn url(&self) -> String {
        format!("postgres://u@127.0.0.1:{}/d?sslmode=disable", self.port)
    }
}

fn serve(mut stream: TcpStream, cancels: &AtomicUsize) -> std::io::Result<()> {
    const CANCEL_REQUEST: u32 = 80_877_102;
    let startup = body(&mut stream)?;
    if startup[..4] == CANCEL_REQUEST.to_be_bytes() {
        cancels.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    }
    send(&mut stream, b'R', &0u32.to_be_bytes())?;
    send(&mut stream, b'K', &[0; 8])?;
    send(&mut stream, b'Z', b"I")?;
    loop {
        let mut kind = [0];
        stream.read_exact(&mut kind)?;
        let text = body(&mut stream)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(kind, [b'Q'], "only the simple protocol is spoken here");
        match text.trim_end_matches('\0') {
            "hang" => continue,
            "drop" => return Ok(()),
            "bug" => send(&mut stream, b'E', b"SERROR\0VERROR\0CXX000\0Ma bug\0\0")?,
            "SELECT one" => {
                send(
                    &mut stream,
                    b'T',
                    b"\0\x01one\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
                )?;
                send(&mut stream, b'D', b"\0\x01\0\0\0\x011")?;
                send(&mut stream, b'C', b"SELECT 1\0")?;
            }
            _ => send(&mut stream, b'C', b"DONE\0")?,
        }
        send(&mut stream, b'Z', b"I")?;
    }
}

fn body(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn send(stream: &mut TcpStream, kind: u8, body: &[u8]) -> std::io::Result<()> {
    let mut message = vec![kind];
    message.extend((body.len() as u32 + 4).to_be_bytes());
    message.extend(body);
    stream.write_all(&message)
}
