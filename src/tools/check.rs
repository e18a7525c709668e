//! `terrane check`: a stopped data directory against what METADATA says of it.

use super::{Output, ToolError, Verdict};
use clap::Args;
use std::path::PathBuf;
use terrane_env::Env;
use terrane_storage::inspect::finding::Finding;
use terrane_storage::inspect::{self, Report};
use terrane_storage::server::DataDirectory;
use terrane_storage::sstable::Depth;

/// For the help.
pub const EXAMPLE: &str = "Example:\n  terrane check --deep --data /var/lib/terrane\n\n\
    One line a finding. Exit status 0 if there is none, or only warnings, which the next start sees to; 1 if \
    there is an error. Nothing is changed.";

/// What to check.
#[derive(Args)]
pub struct CheckArgs {
    /// The data directory; no server may have it open.
    #[arg(long, value_name = "DIR", default_value = "./terrane-data")]
    data: PathBuf,
    /// Read every page of every file and every record of the logs, not only sections and frames.
    #[arg(long)]
    deep: bool,
    /// Say below each finding what a repair would do; only with --dry-run.
    #[arg(long)]
    repair: bool,
    /// Change nothing.
    #[arg(long, requires = "repair")]
    dry_run: bool,
}

/// Checks the directory.
pub fn run(env: &Env, args: &CheckArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    if args.repair && !args.dry_run {
        let text = "--repair is not built: --repair --dry-run says what it would do; take the file \
                    system's or the backup's copy";
        return Err(ToolError::Refused(text.to_owned()));
    }
    let directory = DataDirectory::open_existing(env, &args.data)?;
    let depth = if args.deep { Depth::Pages } else { Depth::Sections };
    let report = inspect::check(env, &directory, depth)?;
    for finding in &report.findings {
        out.line(line(&report, finding))?;
        if args.repair {
            out.line(format_args!("  would {}", finding.repair()))?;
        }
    }
    let Report { tablets, files, stopped_early, .. } = &report;
    if *stopped_early {
        out.line("stopped: METADATA itself is damaged, so nothing else can be judged")?;
    }
    let warnings = report.findings.iter().filter(|finding| finding.is_warning()).count();
    let errors = report.findings.len() - warnings;
    out.line(format_args!(
        "{tablets} tablets, {files} files: {errors} errors, {warnings} warnings"
    ))?;
    Ok(if report.is_good() { Verdict::Good } else { Verdict::Bad })
}

fn line(report: &Report, finding: &Finding) -> String {
    let Finding { table, tablet, file, problem } = finding;
    let mut line = finding.severity().to_string();
    let mut separator = ":";
    let mut add = |part: String| {
        line.push_str(&format!("{separator} {part}"));
        separator = ",";
    };
    if let Some(table) = table {
        match report.names.get(table) {
            Some(name) => add(format!("table {table} ({name})")),
            None => add(format!("table {table}")),
        }
    }
    if let Some(tablet) = tablet {
        add(format!("tablet {tablet}"));
    }
    if let Some(file) = file {
        add(format!("file {file}"));
    }
    format!("{line}: {problem}")
}
