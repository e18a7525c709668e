//! An embedded server: the `terrane` binary on a temporary data directory and a port of its choosing.
//!
//! The port is learnt from the line that `terrane start` prints for people to paste,
//! `psql -h 127.0.0.1 -p PORT -U terrane terrane`. The process is killed when the [`Server`] goes,
//! however that comes about; its data directory goes with it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_postgres::Config;

/// How long it may take to print its line. Recovery after a crash is part of it.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How many of its last lines are kept for the report of a crash.
const TAIL_LINES: usize = 20;

/// Why there is no embedded server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No such program.
    #[error("no server to start at {}; `cargo build` makes it, --terrane names another, --url uses one that runs", .path.display())]
    NoBinary {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// `cargo build` failed.
    #[error("cargo build -p terrane failed ({status})")]
    Build {
        /// Its exit status.
        status: std::process::ExitStatus,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It ended, or said nothing of use in time.
    #[error("the server did not start: {how}\n{output}")]
    NotStarted {
        /// How that was noticed.
        how: String,
        /// Its last lines.
        output: String,
    },
}

/// A running server process.
#[derive(Debug)]
pub struct Server {
    binary: PathBuf,
    // Before `data`: it must be dead before its files go.
    child: Child,
    data: tempfile::TempDir,
    config: Config,
    tail: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    /// Starts `binary` on a fresh data directory and waits until it listens.
    pub async fn start(binary: &Path) -> Result<Self, ServerError> {
        let data = tempfile::Builder::new()
            .prefix("terrane-slt-")
            .tempdir()
            .map_err(|source| io("no temporary directory", source))?;
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (child, config) = launch(binary, data.path(), &tail).await?;
        Ok(Self { binary: binary.to_owned(), data, child, config, tail })
    }

    /// How to reach it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it died, if it did as far as the operating system has told.
    pub fn death(&mut self) -> Option<String> {
        let how = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => format!("the server ended: {status}"),
            Err(error) => format!("the server's state is unknown: {error}"),
        };
        Some(format!("{how}\n{}", last_lines(&self.tail)))
    }

    /// Starts it anew on the same data.
    pub async fn restart(&mut self) -> Result<(), ServerError> {
        self.kill().await;
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (child, config) = launch(&self.binary, self.data.path(), &self.tail).await?;
        self.child = child;
        self.config = config;
        Ok(())
    }

    /// Ends it at once. Its data is temporary, there is nothing to save.
    pub async fn kill(&mut self) {
        let _ = self.child.kill().await;
    }
}

/// The binary to start when none is named: `terrane` beside this program. Under `cargo run` it is built
/// first, in the same profile, so that it is never older than the sources.
pub async fn find_binary() -> Result<PathBuf, ServerError> {
    let own = std::env::current_exe().map_err(|e| io("no path of this program", e))?;
    let directory = own.parent().unwrap_or(Path::new("."));
    let path = directory.join(format!("terrane{}", std::env::consts::EXE_SUFFIX));
    if let Some(cargo) = std::env::var_os("CARGO") {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let profile = match directory.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => "dev",
            Some(profile) => profile,
        };
        let status = Command::new(cargo)
            .args(["build", "--quiet", "-p", "terrane", "--bin", "terrane", "--profile", profile])
            .arg("--manifest-path")
            .arg(&manifest)
            .status()
            .await
            .map_err(|e| io("cargo could not be run", e))?;
        if !status.success() {
            return Err(ServerError::Build { status });
        }
    }
    if !path.is_file() {
        return Err(ServerError::NoBinary { path });
    }
    Ok(path)
}

async fn launch(
    binary: &Path,
    data: &Path,
    tail: &Arc<Mutex<VecDeque<String>>>,
) -> Result<(Child, Config), ServerError> {
    let mut child = Command::new(binary)
        .arg("start")
        .arg("--data")
        .arg(data)
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal is for the runner, which then ends the server itself.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| io(&format!("{} could not be started", binary.display()), source))?;
    let (found, mut address) = mpsc::channel(1);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(drain(stdout, tail.clone(), Some(found)));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(drain(stderr, tail.clone(), None));
    }
    match tokio::time::timeout(START_LIMIT, address.recv()).await {
        Ok(Some(config)) => Ok((child, config)),
        Ok(None) => {
            let how = match tokio::time::timeout(Duration::from_secs(1), child.wait()).await {
                Ok(Ok(status)) => status.to_string(),
                _ => "it closed its standard output without saying where it listens".to_owned(),
            };
            Err(ServerError::NotStarted { how, output: last_lines(tail) })
        }
        Err(_) => {
            let how = format!("nothing on where it listens within {} s", START_LIMIT.as_secs());
            Err(ServerError::NotStarted { how, output: last_lines(tail) })
        }
    }
}

/// Reads a pipe to its end, so that the server never blocks on it.
async fn drain(
    pipe: impl AsyncRead + Unpin,
    tail: Arc<Mutex<VecDeque<String>>>,
    mut found: Option<mpsc::Sender<Config>>,
) {
    let mut lines = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(sender) = &found
            && let Some(config) = psql_line(&line)
        {
            let _ = sender.send(config).await;
            found = None;
        }
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(line);
    }
}

fn last_lines(tail: &Mutex<VecDeque<String>>) -> String {
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    tail.iter().map(|line| format!("    | {line}")).collect::<Vec<_>>().join("\n")
}

/// What `psql -h HOST -p PORT -U USER DATABASE`, somewhere in a line, connects to.
fn psql_line(line: &str) -> Option<Config> {
    let mut words = line.split_whitespace().skip_while(|word| *word != "psql").skip(1);
    let mut config = Config::new();
    let mut port = None;
    while let Some(word) = words.next() {
        match word {
            "-h" => drop(config.host(words.next()?)),
            "-p" => port = words.next()?.parse::<u16>().ok(),
            "-U" => drop(config.user(words.next()?)),
            database => {
                config.dbname(database);
                break;
            }
        }
    }
    config.port(port?);
    Some(config)
}

fn io(what: &str, source: std::io::Error) -> ServerError {
    ServerError::Io { what: what.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::Host;

    #[test]
    fn the_line_to_paste_says_where_it_listens() {
        let config = psql_line("  psql -h 127.0.0.1 -p 40123 -U terrane terrane").unwrap();
        assert_eq!(config.get_hosts(), [Host::Tcp("127.0.0.1".to_owned())]);
        assert_eq!(config.get_ports(), [40123]);
        assert_eq!(config.get_user(), Some("terrane"));
        assert_eq!(config.get_dbname(), Some("terrane"));
    }

    #[test]
    fn other_lines_say_nothing() {
        assert!(psql_line("listening on 127.0.0.1:40123").is_none());
        assert!(psql_line("stop it with Ctrl-C; psql is PostgreSQL's client").is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_server_that_dies_at_once_is_told_with_its_last_words() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("terrane");
        std::fs::write(&path, "#!/bin/sh\necho 'format 99 is too new' >&2\nexit 3\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let text = Server::start(&path).await.unwrap_err().to_string();
        assert!(text.contains("exit status: 3") && text.contains("format 99"), "{text}");
    }
}
