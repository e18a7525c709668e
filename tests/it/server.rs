//! A running `terrane`: started, connected to, killed.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// The binary that this build made.
pub const BINARY: &str = env!("CARGO_BIN_EXE_terrane");

/// See the module's documentation. Dropping it kills the process.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// What it has written to standard error, since the first start on this directory.
    pub log: PathBuf,
    /// From starting the process until it said that it is ready.
    pub started_in: Duration,
}

impl Server {
    /// Starts it on a directory; beside that lies its log.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(data: &Path, options: &[&str]) -> Server {
        Self::try_start(data, options).unwrap_or_else(|log| panic!("it did not start: {log}"))
    }

    /// Starts it from a shell that has set a limit of open files which it may raise.
    pub fn start_with_soft_limit(data: &Path, open_files: u32) -> Server {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -Sn {open_files} && exec \"$0\" \"$@\""), BINARY]);
        Self::start_by(shell, data, &[]).unwrap_or_else(|log| panic!("it did not start: {log}"))
    }

    /// Starts it, or gives what it said instead.
    pub fn try_start(data: &Path, options: &[&str]) -> Result<Server, String> {
        Self::start_by(Command::new(BINARY), data, options)
    }

    fn start_by(mut command: Command, data: &Path, options: &[&str]) -> Result<Server, String> {
        let log = data.with_extension("log");
        let errors = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let before = errors.metadata().unwrap().len() as usize;
        let since = Instant::now();
        let mut child = command
            .args(["start", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(options)
            .env("TERRANE_LOG", "warn,terrane_storage=info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(" -p ")?.1.split_whitespace().next()?.parse().ok());
        let Some(port) = port else {
            child.wait().unwrap();
            let text = std::fs::read_to_string(&log).unwrap();
            return Err(text[before..].to_owned());
        };
        let started_in = since.elapsed();
        // What it says later must not find the pipe closed.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Server { child, port, log, started_in })
    }

    /// A connection as user terrane.
    pub async fn connect(&self) -> Client {
        let text = format!("host=127.0.0.1 port={} user=terrane dbname=terrane", self.port);
        let (client, connection) = tokio_postgres::connect(&text, NoTls).await.unwrap();
        tokio::spawn(async move {
            // Ends with an error when the server is killed: whoever waits for an answer sees that.
            let _ = connection.await;
        });
        client
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As `kill -TERM`; true where it ended well.
    pub fn stop(&mut self) -> bool {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rows of a query, each value as text.
pub async fn rows(client: &Client, query: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(query).await.unwrap_or_else(|e| panic!("{query}: {e:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect()
}

/// A statement's number of rows.
pub async fn execute(client: &Client, statement: &str) -> Result<u64, tokio_postgres::Error> {
    let messages = client.simple_query(statement).await?;
    let count = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::CommandComplete(count) => Some(*count),
        _ => None,
    };
    Ok(messages.iter().find_map(count).unwrap_or_default())
}

/// The SQLSTATE of an error; `None` where the connection broke.
pub fn sqlstate(error: &tokio_postgres::Error) -> Option<String> {
    Some(error.as_db_error()?.code().code().to_owned())
}

/// Every SSTable of a data directory.
pub fn tables(data: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    list(&data.join("tables")).iter().flat_map(|table| list(table)).collect()
}

/// Opens a file for reading and writing.
pub fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Says that a test was left out; in CI that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "skipped in CI: {why}");
    println!("skipped: {why}");
}
