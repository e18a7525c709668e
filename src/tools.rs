//! Tools that look into files: of a stopped data directory, or single ones of a running one.
//!
//! All but `meta edit` change nothing. What they print goes to standard output; a reader that closes it early
//! ends the printing, not the checking, so that the exit status is the same.

mod check;
mod log_dump;
mod meta_dump;
mod meta_edit;
mod output;
mod sst_dump;
mod sst_verify;

use clap::Subcommand;
use output::Output;
use std::path::PathBuf;
use std::process::ExitCode;
use terrane_env::Env;
use terrane_env::IoError;
use terrane_storage::inspect::InspectError;
use terrane_storage::log::LogError;
use terrane_storage::server::DirectoryError;
use terrane_storage::sstable::SstableError;

/// The tools' subcommands.
#[derive(Subcommand)]
pub enum Tool {
    /// Looks into SSTables.
    #[command(subcommand)]
    Sst(Sst),
    /// Looks into commit logs.
    #[command(subcommand)]
    Log(Log),
    /// Compares a stopped data directory with what METADATA says of it.
    #[command(after_help = check::EXAMPLE)]
    Check(check::CheckArgs),
    /// Looks at METADATA's rows in a stopped data directory.
    #[command(subcommand)]
    Meta(Meta),
}

/// What there is to do with SSTables.
#[derive(Subcommand)]
pub enum Sst {
    /// Prints how a file is laid out, and its rows if asked for.
    #[command(after_help = sst_dump::EXAMPLE)]
    Dump(sst_dump::SstDumpArgs),
    /// Reads every byte of files and checks what they say of themselves.
    #[command(after_help = sst_verify::EXAMPLE)]
    Verify(sst_verify::SstVerifyArgs),
}

/// What there is to do with commit logs.
#[derive(Subcommand)]
pub enum Log {
    /// Prints the segments, frames and, if asked for, records of a log, and where and why it ends.
    #[command(after_help = log_dump::EXAMPLE)]
    Dump(log_dump::LogDumpArgs),
}

/// What there is to do with METADATA.
#[derive(Subcommand)]
pub enum Meta {
    /// Prints METADATA's rows, one line of JSON a tablet.
    #[command(after_help = meta_dump::EXAMPLE)]
    Dump(meta_dump::MetaDumpArgs),
    /// Replaces a METADATA row, past every rule: to inject damage for tests.
    #[command(after_help = meta_edit::EXAMPLE)]
    Edit(meta_edit::MetaEditArgs),
}

/// Why a tool could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A server has the data directory open.
    #[error("{0}: stop it first; `sst` and `log` look into single files of a running one")]
    InUse(DirectoryError),
    /// The data directory is none, or of a newer format.
    #[error(transparent)]
    Directory(DirectoryError),
    /// The directory cannot be looked at.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The log cannot be looked at.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The table cannot be read.
    #[error(transparent)]
    Sstable(#[from] SstableError),
    /// A file or directory.
    #[error(transparent)]
    File(#[from] IoError),
    /// Standard output.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
    /// Arguments that parse, and ask for what there is not.
    #[error("{0}")]
    Refused(String),
    /// A row that is none.
    #[error("not a METADATA row: {0}")]
    Row(terrane_client::error::TabletError),
    /// What was asked for is not there.
    #[error("{} holds no log segment", .0.display())]
    NoSegments(PathBuf),
}

impl From<DirectoryError> for ToolError {
    fn from(error: DirectoryError) -> Self {
        match error {
            error @ DirectoryError::InUse(_) => Self::InUse(error),
            error => Self::Directory(error),
        }
    }
}

/// Whether what was looked at is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Exit status 0.
    Good,
    /// Exit status 1.
    Bad,
}

/// Runs a tool.
pub fn run(tool: &Tool) -> ExitCode {
    let env = Env::system();
    let mut out = Output::new();
    let done = match tool {
        Tool::Sst(Sst::Dump(args)) => sst_dump::run(&env, args, &mut out),
        Tool::Sst(Sst::Verify(args)) => sst_verify::run(&env, args, &mut out),
        Tool::Log(Log::Dump(args)) => log_dump::run(&env, args, &mut out),
        Tool::Check(args) => check::run(&env, args, &mut out),
        Tool::Meta(Meta::Dump(args)) => meta_dump::run(&env, args, &mut out),
        Tool::Meta(Meta::Edit(args)) => meta_edit::run(&env, args, &mut out),
    };
    match done.and_then(|verdict| Ok(out.finish().map(|()| verdict)?)) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) => {
            // What was printed before explains what could not be.
            let _ = out.finish();
            eprintln!("terrane: {error}");
            ExitCode::FAILURE
        }
    }
}
