//! Running files: all jobs, the bar, the report.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;

use super::{Failure, RunArgs, read_excludes};
use crate::context::{Context, FailureList, progress_bar};
use crate::file_run::FileRun;
use crate::gate::Gates;
use crate::outcome::FileReport;
use crate::report::Report;
use crate::session::Mode;
use crate::source::{Source, Sources};

pub(super) async fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    let sources = Sources::find(&args.paths)?;
    let excludes = read_excludes(&args.exclude)?;
    let failure_list = match &args.list_failures {
        Some(path) => {
            Some(FailureList::create(path).map_err(|e| format!("{}: {e}", path.display()))?)
        }
        None => None,
    };
    let (target, labels) = args.server.open().await?;
    let modes = args.mode.modes();
    let context = Arc::new(Context {
        target,
        labels,
        excludes,
        record_limit: Duration::from_secs(args.record_seconds),
        progress: progress_bar(sources.bytes() * modes.len() as u64),
        failure_list,
    });
    let jobs = match args.jobs {
        Some(jobs) => jobs.max(1),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let mut report = Report::default();
    // One mode after the other: a suite may make schemas of its own, whose names only it knows.
    for mode in modes {
        run_mode(&context, &sources.files, *mode, jobs, &mut report).await;
    }
    report.sort();
    context.progress.finish_and_clear();
    context.target.stop().await;
    if let Some(list) = &context.failure_list {
        list.finish().map_err(|e| format!("the list of failures: {e}"))?;
    }
    print!("{}", report.render());
    Ok(verdict(&context, &report, args.gate.as_ref()))
}

async fn run_mode(
    context: &Arc<Context>,
    sources: &[Source],
    mode: Mode,
    jobs: usize,
    report: &mut Report,
) {
    let mut results = futures::stream::iter(sources)
        .map(|source| async move {
            let context = context.clone();
            let task_source = source.clone();
            let run = async move { FileRun::new(&context, &task_source, mode).run().await };
            let file = tokio::spawn(run).await.unwrap_or_else(|error| {
                // A bug of the runner must not look like a file without records.
                let mut file = FileReport::new();
                file.not_cleaned = Some(format!("the runner failed: {error}"));
                file.tally.statements.failed += 1;
                file
            });
            (source.clone(), file)
        })
        .buffer_unordered(jobs);
    let mut failed = 0;
    while let Some((source, file)) = results.next().await {
        let records = file.tally.records();
        failed += records.total() - records.passed;
        context.progress.set_message(format!("{}: {failed} failed", mode.name()));
        report.add(source, mode, file);
    }
}

fn verdict(context: &Context, report: &Report, gates: Option<&Gates>) -> ExitCode {
    let mut fine = !report.has_incidents();
    for crash in context.target.crashes() {
        println!("the server died: {crash}");
        fine = false;
    }
    if let Some(reason) = context.target.gone() {
        println!("the server is gone: {reason}");
        fine = false;
    }
    match gates {
        None => fine &= report.is_clean(),
        Some(gates) => {
            for failure in gates.failures(report) {
                println!("{failure}");
                fine = false;
            }
        }
    }
    println!("{}", if fine { "passed" } else { "FAILED" });
    if fine { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
