//! The databases that are measured: each started for this run, on its own directory of one file system.

use crate::{BenchError, Result};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// How long a server may take to answer its first query.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// As the project's figures say.
const POSTGRESQL_SETTINGS: &[&str] = &[
    "shared_buffers=2GB",
    "max_wal_size=4GB",
    "synchronous_commit=on",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "log_min_messages=error",
];

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Terrane,
    /// PostgreSQL 15.
    Postgresql,
}

/// A running database.
pub struct Peer {
    /// Which.
    pub kind: Kind,
    /// Where it listens.
    pub port: u16,
    user: &'static str,
    database: &'static str,
    command: Vec<String>,
    child: Child,
}

fn free_port() -> Result<u16> {
    let failed = || BenchError::io("a free port");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    Ok(listener.local_addr().map_err(failed())?.port())
}

/// Runs a program to its end; what it said is in the error.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(BenchError::io(shown.clone()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::Program(format!("{shown}: {}: {said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// PostgreSQL does not run as root: then as the user its packages make.
fn as_ordinary_user(program: &Path) -> Vec<String> {
    let program = program.display().to_string();
    match is_root() {
        true => ["runuser", "-u", "postgres", "--", &program].map(str::to_owned).to_vec(),
        false => vec![program],
    }
}

fn command_of(words: &[String]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

impl Peer {
    /// Starts Terrane on a new directory.
    pub async fn terrane(binary: &Path, directory: &Path) -> Result<Self> {
        let port = free_port()?;
        let command = vec![
            binary.display().to_string(),
            "--data".to_owned(),
            directory.join("terrane").display().to_string(),
            "--listen".to_owned(),
            format!("127.0.0.1:{port}"),
        ];
        Self::start(Kind::Terrane, port, "terrane", "terrane", command).await
    }

    /// Makes a PostgreSQL cluster and starts it.
    pub async fn postgresql(programs: &Path, directory: &Path) -> Result<Self> {
        let data: PathBuf = directory.join("postgresql");
        std::fs::create_dir_all(&data).map_err(BenchError::io("postgresql's directory"))?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&data))?;
            run(Command::new("chmod").arg("a+rx").arg(directory))?;
        }
        let mut init = as_ordinary_user(&programs.join("initdb"));
        init.extend(["-D", &data.display().to_string(), "-U", "postgres"].map(str::to_owned));
        init.extend(["--auth=trust", "--locale=C.UTF-8", "-E", "UTF8"].map(str::to_owned));
        run(&mut command_of(&init))?;
        let port = free_port()?;
        let mut command = as_ordinary_user(&programs.join("postgres"));
        command.extend(["-D".to_owned(), data.display().to_string()]);
        command.extend(["-p".to_owned(), port.to_string()]);
        for setting in POSTGRESQL_SETTINGS {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        Self::start(Kind::Postgresql, port, "postgres", "postgres", command).await
    }

    async fn start(
        kind: Kind,
        port: u16,
        user: &'static str,
        database: &'static str,
        command: Vec<String>,
    ) -> Result<Self> {
        let child = spawn(&command)?;
        let peer = Self { kind, port, user, database, command, child };
        peer.wait().await?;
        Ok(peer)
    }

    /// Until it answers: how long that took.
    async fn wait(&self) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let error = match self.connect().await {
                Ok(client) => match client.simple_query("select 1").await {
                    Ok(_) => return Ok(start.elapsed()),
                    Err(error) => BenchError::Sql("the first query".to_owned(), error),
                },
                Err(error) => error,
            };
            if start.elapsed() > START_PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills it as a crash does, starts it again, and says how long it took from the start of the process to
    /// the answer of `query`.
    pub async fn crash(&mut self, query: &str) -> Result<Duration> {
        self.child.kill().map_err(BenchError::io("kill -9"))?;
        self.child.wait().map_err(BenchError::io("kill -9"))?;
        self.child = spawn(&self.command)?;
        let start = Instant::now();
        self.wait().await?;
        let client = self.connect().await?;
        client.simple_query(query).await.map_err(BenchError::sql(query))?;
        Ok(start.elapsed())
    }

    /// A connection.
    pub async fn connect(&self) -> Result<Client> {
        let text = format!(
            "host=127.0.0.1 port={} user={} dbname={}",
            self.port, self.user, self.database
        );
        let connected = tokio_postgres::connect(&text, NoTls).await;
        let (client, connection) = connected.map_err(BenchError::sql("connect"))?;
        tokio::spawn(async move {
            // Its end is the client's error, too.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// pgbench, told where to connect.
    pub fn pgbench(&self, programs: &Path) -> Command {
        let mut command = Command::new(programs.join("pgbench"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", self.user]);
        command.arg(self.database);
        command
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
    }
}

fn spawn(command: &[String]) -> Result<Child> {
    let shown = command.join(" ");
    command_of(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(BenchError::io(shown))
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SIGTERM, so that PostgreSQL's own children go too; runuser passes it on.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
