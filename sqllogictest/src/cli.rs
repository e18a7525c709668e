//! The command line.

mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exclude::Excludes;
use crate::gate::Gates;
use crate::server::{Server, find_binary};
use crate::session::{Mode, SessionError, Target};
use crate::source::Sources;
use crate::{excerpt, slt};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const EXAMPLES: &str = "\
Examples:
  # our own suites against an embedded server, both protocols
  terrane-sqllogictest --mode both sqllogictest/suites

  # SQLite's corpus against a server that runs, without what PostgreSQL 15 does not pass either
  terrane-sqllogictest --url postgres://terrane@127.0.0.1:5433/terrane \\
      --exclude postgres-15-fails.tsv --gate overall=97,dir=95,all=index/delete:select1 \\
      --list-failures /tmp/failures.tsv sqlite-slt.tar.xz

Exit status: 0 if all gates hold (without --gate: if every record passes), 1 if not, or if the
server admitted to a bug (SQLSTATE class XX), broke a connection or died; 2 if nothing could be run.";

/// Runs .slt files and SQLite's .test files against a server, over PostgreSQL's wire protocol.
#[derive(Debug, Parser)]
#[command(name = "terrane-sqllogictest", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write an excerpt of SQLite's corpus
    #[command(
        after_help = "Example:\n  terrane-sqllogictest excerpt --exclude postgres-15-fails.tsv \
                            --every 20 --out sqlite.tar.zst sqlite-slt.tar.xz"
    )]
    Excerpt(ExcerptArgs),
    /// Fill in the expectations of .slt files from a reference server's answers
    #[command(after_help = "Example:\n  terrane-sqllogictest complete \
                            --url postgres://postgres@127.0.0.1:5432/postgres suites/joins.slt")]
    Complete(Box<CompleteArgs>),
}

/// The server to talk to.
#[derive(Debug, Args)]
struct ServerArgs {
    /// A server that runs, as postgres://USER[:PASSWORD]@HOST:PORT/DATABASE; else one is started
    #[arg(long, env = "TERRANE_URL")]
    url: Option<tokio_postgres::Config>,
    /// The terrane binary to start; else the one beside this program, built first under `cargo run`
    #[arg(long, value_name = "BIN", conflicts_with = "url")]
    terrane: Option<PathBuf>,
    /// A label for skipif and onlyif; `postgresql`, the protocol's name and, if the server's version()
    /// says so, `terrane` are given
    #[arg(long, value_name = "LABEL")]
    label: Vec<String>,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Directories, .slt and .test files, .tar.xz and .tar.zst archives of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    /// The protocol: simple (text results), extended (binary results), or each after the other
    #[arg(long, value_enum, default_value = "simple")]
    mode: ModeArg,
    /// How many files are run at a time; default: one per processor
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Leave the records of FILE out of the score: lines of file, tab, line number; may be repeated
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,
    /// Write every failure to FILE: file, line, why, mode, SQLSTATE, message, SQL, tab-separated
    #[arg(long, value_name = "FILE")]
    list_failures: Option<PathBuf>,
    /// What to reach: overall=PERCENT, dir=PERCENT (each folder), all=FOLDER:FOLDER…, comma-separated
    #[arg(long, value_name = "GATES")]
    gate: Option<Gates>,
    /// A record that takes longer has failed
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    record_seconds: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Simple,
    Extended,
    Both,
}

impl ModeArg {
    fn modes(self) -> &'static [Mode] {
        match self {
            Self::Simple => &[Mode::Simple],
            Self::Extended => &[Mode::Extended],
            Self::Both => &[Mode::Simple, Mode::Extended],
        }
    }
}

#[derive(Debug, Args)]
struct ExcerptArgs {
    /// The corpus: a directory or an archive
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Records to leave out
    #[arg(long, value_name = "FILE")]
    exclude: Vec<PathBuf>,
    /// Every how many queries one is kept
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// The .tar.zst to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct CompleteArgs {
    /// The .slt files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command line of this process.
pub async fn main() -> ExitCode {
    let cli = Cli::parse();
    let work = async {
        match cli.command {
            None => run::run(cli.run).await,
            Some(Command::Excerpt(args)) => write_excerpt(&args),
            Some(Command::Complete(args)) => complete(*args).await,
        }
    };
    // Whatever is dropped here takes an embedded server and temporary files with it.
    let result = tokio::select! {
        result = work => result,
        name = interrupted() => Err(format!("ended by {name}").into()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("terrane-sqllogictest: {error}");
        ExitCode::from(2)
    })
}

async fn interrupted() -> &'static str {
    let Ok(mut terminate) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => "Ctrl-C",
        Some(()) = terminate.recv() => "SIGTERM",
    }
}

fn read_excludes(paths: &[PathBuf]) -> Result<Excludes, Failure> {
    let mut excludes = Excludes::default();
    for path in paths {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        excludes.add(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(excludes)
}

impl ServerArgs {
    /// The server, and the labels that go with it.
    async fn open(self) -> Result<(Arc<Target>, Vec<String>), Failure> {
        let target = match (self.url, self.terrane) {
            (Some(config), _) => Target::remote(config),
            (None, Some(binary)) => Target::embedded(Server::start(&binary).await?),
            (None, None) => Target::embedded(Server::start(&find_binary().await?).await?),
        };
        let mut labels = self.label;
        labels.push("postgresql".to_owned());
        let (client, _driver) = target.connect().await?;
        let version = client.simple_query("SELECT version()");
        let version = tokio::time::timeout(Duration::from_secs(20), version).await;
        let version = version.map_err(|_| "no answer to SELECT version() within 20 s")?;
        let is_terrane = version.map_err(SessionError::from)?.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                row.get(0).is_some_and(|text| text.to_ascii_lowercase().contains("terrane"))
            }
            _ => false,
        });
        if is_terrane {
            labels.push("terrane".to_owned());
        }
        Ok((Arc::new(target), labels))
    }
}

fn write_excerpt(args: &ExcerptArgs) -> Result<ExitCode, Failure> {
    let sources = Sources::find(&args.paths)?;
    let excludes = read_excludes(&args.exclude)?;
    let notice = format!(
        "An excerpt of the test corpus of SQLite's sqllogictest (https://www.sqlite.org/sqllogictest/),\n\
         which its author, D. Richard Hipp, placed in the public domain. All statements, and every {}th\n\
         query, of {} files, as far as they are meant for PostgreSQL and PostgreSQL 15 passes them.\n\
         Written by `terrane-sqllogictest excerpt`.\n",
        args.every,
        sources.files.len()
    );
    let file =
        std::fs::File::create(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
    let every = args.every.try_into().unwrap_or(usize::MAX);
    let contents = excerpt::write(&sources.files, &excludes, every, &notice, file)?;
    let bytes = std::fs::metadata(&args.out)?.len();
    println!(
        "{}: {bytes} bytes, {} files, {} statements, {} queries",
        args.out.display(),
        contents.files,
        contents.statements,
        contents.queries
    );
    Ok(ExitCode::SUCCESS)
}

async fn complete(args: CompleteArgs) -> Result<ExitCode, Failure> {
    let (target, labels) = args.server.open().await?;
    let mut remarked = false;
    for path in &args.files {
        let remarks = slt::complete::complete(&target, &labels, path)
            .await
            .map_err(|e| format!("{}: {e}", path.display()))?;
        for remark in remarks {
            remarked = true;
            println!("{}:{remark}", path.display());
        }
    }
    target.stop().await;
    Ok(if remarked { ExitCode::from(1) } else { ExitCode::SUCCESS })
}
