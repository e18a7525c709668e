//! The `terrane` command line.

mod spilled;
mod start;
mod tools;

use clap::{Args, Parser, Subcommand};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

/// A SQL-fronted wide-column database: Bigtable's tablets underneath, PostgreSQL's wire protocol on top.
#[derive(Parser)]
#[command(
    version,
    about,
    after_help = "Example:\n  terrane --data ./terrane-data --listen 127.0.0.1:5433"
)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    start: StartArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Starts every role in this one process (what `terrane` alone does).
    #[command(
        after_help = "Example:\n  terrane start --data /var/lib/terrane --listen 127.0.0.1:5433"
    )]
    Start(StartArgs),
    #[command(flatten)]
    Tool(tools::Tool),
}

/// How to start.
#[derive(Args, Clone, Debug)]
pub struct StartArgs {
    /// Where the data is; made if it is missing.
    #[arg(long, value_name = "DIR", default_value = "./terrane-data")]
    pub data: PathBuf,
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5433", value_parser = address)]
    pub listen: SocketAddr,
    /// A file whose first line is the password of user terrane. Needed to listen beyond loopback.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Memory of the memtables, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub memtable_mib: usize,
    /// Memory of all running queries together, in MiB; sorts and aggregates spill beyond it.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub query_memory_mib: usize,
    /// Disk space of what all running queries together have spilled, in MiB; beyond it they fail.
    #[arg(long, value_name = "MIB", default_value_t = 16 << 10)]
    pub query_temporary_mib: u64,
    /// Files of METADATA's tablets, in KiB, above which one is split: for tests.
    #[arg(long, value_name = "KIB", hide = true)]
    pub metadata_tablet_kib: Option<u64>,
}

/// An address, or the first that a name like `localhost` stands for.
fn address(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| format!("{text} has no address"))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let args = match cli.command {
        Some(Command::Tool(tool)) => return tools::run(&tool),
        Some(Command::Start(args)) => args,
        None => cli.start,
    };
    match start::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("terrane: {error}");
            ExitCode::FAILURE
        }
    }
}
