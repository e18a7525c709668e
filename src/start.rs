//! `terrane start`: every role in one process, until SIGTERM or Ctrl-C.

use crate::{StartArgs, spilled};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use terrane::embedded::{Embedded, StartError};
use terrane_env::Env;
use terrane_env::files::open_files;
use terrane_sql::error::SqlError;
use terrane_sql::session::server::{SqlOptions, SqlServer, SqlSessions};
use terrane_sql::wire::auth;
use terrane_sql::wire::server::{Server, ServerConfig, listen};
use terrane_storage::server::ServerOptions;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Deep expressions are walked by recursion; stacks are reserved, not used, until then.
const STACK_BYTES: usize = 64 << 20;
/// Files that should be allowed to be open: one a file of a tablet, one a connection. With fewer there is a warning.
const OPEN_FILES_WANTED: u64 = 16_384;
/// Threads at least: a few statements may block on locks or files at once.
const THREADS_MIN: usize = 4;
/// Threads at most beside those: statements that are planned at once while others serve.
const BLOCKING_THREADS_MAX: usize = 64;

/// Why it did not start, or did not stop cleanly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener beyond loopback without a password.
    #[error(
        "refusing to listen on {0} without a password: give --password-file, or listen on 127.0.0.1"
    )]
    NoPassword(SocketAddr),
    /// The password file.
    #[error("cannot read {path}: {error}")]
    PasswordFile {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// An empty password is no password.
    #[error("{0} has no password in its first line")]
    EmptyPassword(String),
    /// The address is taken, or not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The runtime or standard output.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The data directory or a role.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The catalog.
    #[error("cannot open the catalog: {0}")]
    Catalog(#[from] SqlError),
    /// A role did not stop.
    #[error("shutdown: {0}")]
    Stop(#[from] terrane_client::error::TabletError),
}

/// Starts, serves, stops.
pub fn run(args: &StartArgs) -> Result<(), RunError> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("TERRANE_LOG").unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        // What cannot be written, on a full disk for one, is lost: to complain about it would panic.
        .log_internal_errors(false)
        .init();
    if let Some(max) = open_files::raise_limit().filter(|max| *max < OPEN_FILES_WANTED) {
        tracing::warn!(
            max,
            "few files may be open (ulimit -n): tablets beyond that cannot be served"
        );
    }
    let env = Env::system();
    let verifier = password_verifier(args, &env)?;
    if verifier.is_none() && !args.listen.ip().is_loopback() {
        return Err(RunError::NoPassword(args.listen));
    }
    let serving = runtime("serve")?;
    // A query that computes without a pause must not hold up connections.
    let computing = runtime("compute")?;
    let result = serving.block_on(serve(args, env, verifier, computing.handle().clone()));
    // What a client has left behind, be it in the middle of its planning, need not come to its end.
    computing.shutdown_background();
    serving.shutdown_background();
    result
}

fn runtime(name: &str) -> std::io::Result<Runtime> {
    let threads = std::thread::available_parallelism()?.get().max(THREADS_MIN);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name(name)
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .enable_all()
        .build()
}

fn password_verifier(args: &StartArgs, env: &Env) -> Result<Option<String>, RunError> {
    let Some(path) = &args.password_file else { return Ok(None) };
    let text = read_first_line(path)?;
    if text.is_empty() {
        return Err(RunError::EmptyPassword(path.display().to_string()));
    }
    let mut salt = [0; 16];
    salt[..8].copy_from_slice(&env.random.next_u64().to_le_bytes());
    salt[8..].copy_from_slice(&env.random.next_u64().to_le_bytes());
    Ok(Some(auth::verifier(&text, &salt)))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the operator's own file, read once before any role runs"
)]
fn read_first_line(path: &Path) -> Result<String, RunError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| RunError::PasswordFile { path: path.display().to_string(), error })?;
    Ok(text.lines().next().unwrap_or_default().trim_end().to_owned())
}

async fn serve(
    args: &StartArgs,
    env: Env,
    verifier: Option<String>,
    compute: Handle,
) -> Result<(), RunError> {
    // Bind first: a port that is taken is found before a directory is touched.
    let listener = listen(args.listen).map_err(|error| RunError::Listen(args.listen, error))?;
    let defaults = ServerOptions::default();
    let options = ServerOptions {
        memtable_bytes: args.memtable_mib << 20,
        metadata_tablet_bytes_max: args
            .metadata_tablet_kib
            .map_or(defaults.metadata_tablet_bytes_max, |kib| kib << 10),
        ..defaults
    };
    let embedded = Embedded::start(env.clone(), &args.data, options).await?;
    let temporary_dir = args.data.join("tmp");
    if let Err(error) = spilled::remove(&*env.files, &temporary_dir) {
        tracing::warn!(%error, "what killed queries have spilled stays");
    }
    let sql = SqlServer::open(
        env.clone(),
        Arc::clone(&embedded.tablets),
        Arc::clone(&embedded.master),
        SqlOptions {
            query_memory_bytes: args.query_memory_mib << 20,
            temporary_dir,
            temporary_bytes: args.query_temporary_mib.saturating_mul(1 << 20),
            password_verifier: verifier,
            compute: Some(compute),
            ..SqlOptions::default()
        },
    )
    .await?;
    let address = listener.local_addr()?;
    // Before anyone is told that it runs, and so may stop it.
    let mut stops = Stops::install()?;
    announce(args, address)?;
    let stop = CancellationToken::new();
    let server =
        Arc::new(Server::new(SqlSessions(Arc::clone(&sql)), ServerConfig::default(), env.random));
    let serving = tokio::spawn(Arc::clone(&server).serve(listener, stop.clone()));
    stops.wait().await;
    stop.cancel();
    if let Err(error) = serving.await {
        tracing::error!(%error, "the listener ended early");
    }
    if let Err(error) = sql.catalog.sequences().close().await {
        tracing::warn!(%error, "sequences keep a gap");
    }
    embedded.stop().await?;
    Ok(())
}

fn announce(args: &StartArgs, address: SocketAddr) -> Result<(), RunError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "Terrane is ready; its data is in {}.", args.data.display())?;
    writeln!(out, "  psql -h {} -p {} -U terrane terrane", address.ip(), address.port())?;
    writeln!(out, "Ctrl-C or SIGTERM stops it.")?;
    out.flush()?;
    Ok(())
}

/// The signals that end the process in good order.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn install() -> Result<Self, RunError> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
