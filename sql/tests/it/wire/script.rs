//! A client that speaks bytes: it sends messages and reads the answers as short words.
//!
//! `Z:I` is ReadyForQuery, `E:42601 text` an error, `D:[1,NULL]` a row, `T:[n]` columns, `C:SELECT 1` a tag.

use super::fake::{FakeService, Journal};
use std::sync::Arc;
use std::time::Duration;
use terrane_env::random::SeededRandom;
use terrane_sql::wire::server::{Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server in memory.
pub struct World {
    pub server: Arc<Server<FakeService>>,
    pub journal: Journal,
}

impl World {
    pub fn new() -> Self {
        Self::with(FakeService::default(), ServerConfig::default())
    }

    pub fn with(service: FakeService, config: ServerConfig) -> Self {
        let journal = Arc::clone(&service.journal);
        let random = Arc::new(SeededRandom::new(7));
        Self { server: Arc::new(Server::new(service, config, random)), journal }
    }

    /// A new connection, nothing sent yet. The pipe holds `capacity` bytes each way.
    pub fn connect_raw(&self, capacity: usize) -> Client {
        let (near, far) = tokio::io::duplex(capacity);
        let server = Arc::clone(&self.server);
        let task = tokio::spawn(async move { server.serve_stream(far, None).await });
        Client { stream: near, input: Vec::new(), task, key: (0, Vec::new()) }
    }

    /// A connection that has logged in.
    pub async fn connect(&self) -> Client {
        let mut client = self.connect_raw(1 << 16);
        client.send(&startup(0x30000, &[("user", "u"), ("database", "terrane")])).await;
        let words = client.until("Z:I").await;
        assert_eq!(words[0], "R:0");
        client
    }

    pub fn done(&self) -> Vec<String> {
        std::mem::take(&mut self.journal.lock())
    }
}

pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut packet = ((body.len() + 4) as u32).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend_from_slice(&((body.len() + 4) as u32).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn zeroed(parts: &[&str]) -> Vec<u8> {
    parts.iter().flat_map(|p| p.bytes().chain([0])).collect()
}

pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', &zeroed(&[sql]))
}

pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[zeroed(&[name, sql]), vec![0, 0]].concat())
}

pub fn bind(portal: &str, statement: &str, parameters: &[Option<&str>]) -> Vec<u8> {
    let mut body = zeroed(&[portal, statement]);
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
    for parameter in parameters {
        match parameter {
            Some(text) => {
                body.extend_from_slice(&(text.len() as u32).to_be_bytes());
                body.extend_from_slice(text.as_bytes());
            }
            None => body.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
    body.extend_from_slice(&[0, 0]);
    message(b'B', &body)
}

pub fn describe(target: &str, name: &str) -> Vec<u8> {
    message(b'D', &[target.as_bytes(), &zeroed(&[name])].concat())
}

pub fn close(target: &str, name: &str) -> Vec<u8> {
    message(b'C', &[target.as_bytes(), &zeroed(&[name])].concat())
}

pub fn execute(portal: &str, rows: i32) -> Vec<u8> {
    message(b'E', &[zeroed(&[portal]), rows.to_be_bytes().to_vec()].concat())
}

pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

pub fn copy_data(data: &str) -> Vec<u8> {
    message(b'd', data.as_bytes())
}

pub struct Client {
    pub stream: DuplexStream,
    input: Vec<u8>,
    pub task: tokio::task::JoinHandle<()>,
    pub key: (i32, Vec<u8>),
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.unwrap().unwrap();
    }

    /// Sends, and reads up to and with the first word that starts so.
    pub async fn ask(&mut self, bytes: &[u8], until: &str) -> Vec<String> {
        self.send(bytes).await;
        self.until(until).await
    }

    /// One simple query, to ReadyForQuery.
    pub async fn query(&mut self, sql: &str) -> Vec<String> {
        self.ask(&query(sql), "Z:").await
    }

    pub async fn until(&mut self, until: &str) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            let word = self.word().await.unwrap_or_else(|| panic!("closed after {words:?}"));
            let last = word.starts_with(until);
            words.push(word);
            if last {
                return words;
            }
        }
    }

    /// Everything to the end of the connection.
    pub async fn rest(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(word) = self.word().await {
            words.push(word);
        }
        words
    }

    /// The next message; `None` at the end of the connection.
    pub async fn word(&mut self) -> Option<String> {
        loop {
            if self.input.len() >= 5 {
                let length = u32::from_be_bytes(self.input[1..5].try_into().unwrap()) as usize;
                if self.input.len() > length {
                    let rest = self.input.split_off(length + 1);
                    let whole = std::mem::replace(&mut self.input, rest);
                    return Some(self.read(whole[0], &whole[5..]));
                }
            }
            let mut buffer = [0; 4096];
            let count = timeout(PATIENCE, self.stream.read(&mut buffer)).await.unwrap();
            match count {
                Ok(0) | Err(_) => {
                    assert!(self.input.is_empty(), "a message cut short: {:?}", self.input);
                    return None;
                }
                Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn read(&mut self, kind: u8, body: &[u8]) -> String {
        let mut fields = Fields(body);
        let text = match kind {
            b'R' => match fields.u32() {
                10 => format!("10 {}", fields.text()),
                code @ (11 | 12) => format!("{code} {}", String::from_utf8_lossy(fields.0)),
                code => code.to_string(),
            },
            b'K' => {
                self.key = (fields.u32() as i32, fields.0.to_vec());
                String::new()
            }
            b'S' => format!("{}={}", fields.text(), fields.text()),
            b'Z' => char::from(body[0]).to_string(),
            b'C' => fields.text(),
            b'E' | b'N' => {
                let mut parts = std::collections::BTreeMap::new();
                while fields.0[0] != 0 {
                    let code = char::from(fields.0[0]);
                    fields.0 = &fields.0[1..];
                    parts.insert(code, fields.text());
                }
                let fatal = if parts[&'S'] == "FATAL" { "FATAL " } else { "" };
                format!("{fatal}{} {}", parts[&'C'], parts[&'M'])
            }
            b'T' => {
                let count = fields.u16();
                let columns = (0..count).map(|_| {
                    let name = fields.text();
                    let rest = fields.take(18);
                    assert_eq!(rest[6..10], terrane_sql::types::oid::INT4.to_be_bytes());
                    format!("{name}{}", if rest[17] == 1 { " binary" } else { "" })
                });
                format!("[{}]", columns.collect::<Vec<_>>().join(","))
            }
            b't' => {
                let count = fields.u16();
                format!("{:?}", (0..count).map(|_| fields.u32()).collect::<Vec<_>>())
            }
            b'D' => {
                let count = fields.u16();
                let cells = (0..count).map(|_| match fields.u32() as i32 {
                    -1 => "NULL".to_owned(),
                    n => String::from_utf8_lossy(fields.take(n as usize)).into_owned(),
                });
                format!("[{}]", cells.collect::<Vec<_>>().join(","))
            }
            b'G' | b'H' | b'd' | b'v' => format!("{body:?}"),
            _ => {
                assert!(body.is_empty(), "{kind} {body:?}");
                return char::from(kind).to_string();
            }
        };
        format!("{}:{text}", char::from(kind))
    }
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        head
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|b| *b == 0).unwrap();
        let text = String::from_utf8_lossy(self.take(end)).into_owned();
        self.take(1);
        text
    }
}
