//! See the library's documentation.
#![allow(clippy::disallowed_methods)]

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use terrane_bench::limits::{self, Limit};
use terrane_bench::options::Options;
use terrane_bench::peer::Peer;
use terrane_bench::report::{Findings, Subject, publish};
use terrane_bench::{BenchError, Result, load, points, queries};

/// The project's figure: resident memory so long after the load.
const MEMORY_AFTER: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match measure(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("terrane-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The server beside this program.
fn terrane_binary(options: &Options) -> Result<PathBuf> {
    if let Some(binary) = &options.terrane {
        return Ok(binary.clone());
    }
    let own = std::env::current_exe().map_err(BenchError::io("this program's path"))?;
    let beside = own.with_file_name("terrane");
    match beside.exists() {
        true => Ok(beside),
        false => Err(BenchError::Program(format!(
            "there is no {}: build it first, with cargo build --release -p terrane, or give --terrane",
            beside.display()
        ))),
    }
}

async fn measure(options: &Options) -> Result<()> {
    let base = options.directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = base.join(format!("terrane-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(BenchError::io("the run's directory"))?;
    let findings = run(options, &directory).await;
    let removed = std::fs::remove_dir_all(&directory);
    let findings = findings?;
    removed.map_err(BenchError::io("removing the run's directory"))?;
    publish(&findings, &subject(options), &options.out, options.accept_drift)
}

fn subject(options: &Options) -> Subject {
    let (rounds, seconds) = (options.round_count(), options.run_seconds());
    let (processors, build) = (limits::processors(), limits::build());
    Subject {
        peer: "PostgreSQL 15",
        method: format!(
            "One machine of {processors} processors that clients and servers share; both on one file \
             system, both acknowledging a commit after its sync. PostgreSQL: shared_buffers 2 GB, \
             max_wal_size 4 GB, synchronous_commit on, VACUUM ANALYZE. Medians of {rounds} rounds in which \
             the two take turns; pgbench runs of {seconds} s, `-M prepared`. Build: {build}."
        ),
        command: "cargo run --release -p terrane-bench",
        name: options.name.clone(),
    }
}

async fn run(options: &Options, directory: &Path) -> Result<Findings> {
    let mut findings = Findings { limits: limits::measure(directory)?, ..Findings::default() };
    let binary = terrane_binary(options)?;
    let mut peers = vec![
        Peer::terrane(&binary, directory).await?,
        Peer::postgresql(&options.postgresql, directory).await?,
    ];
    if !options.scans_only {
        for (clients, rate) in points::canned(options, directory).await? {
            let name = format!("pgbench and a canned reply, {clients} clients");
            findings.limits.push(Limit { name, figure: rate, unit: "1/s" });
        }
        for peer in &peers {
            load::point_table(peer).await?;
        }
        findings.measurements.extend(points::measure(&peers, options, directory).await?);
    }
    if !options.points_only {
        big_table(options, &mut peers, &mut findings).await?;
    }
    drop(peers);
    findings.limits_after = limits::measure(directory)?;
    Ok(findings)
}

async fn big_table(options: &Options, peers: &mut [Peer], findings: &mut Findings) -> Result<()> {
    let copied = load::big_table(peers, options).await?;
    eprintln!("{}: {:.2?} {:.2?}", copied.name, copied.terrane, copied.peer);
    findings.measurements.push(copied);
    // What was just written is in the log and a memtable.
    let restarted = peers[0].crash("select k from big where id = 1").await?;
    let name = "first query after kill -9 behind the load".to_owned();
    findings.ours.push((name, format!("{:.2} s", restarted.as_secs_f64())));
    for peer in &*peers {
        load::settle(peer, "big").await?;
    }
    findings.measurements.extend(queries::measure(peers, options).await?);
    if !options.quick {
        tokio::time::sleep(MEMORY_AFTER).await;
    }
    if let Some(bytes) = peers[0].resident_bytes() {
        let name = "resident memory after load and queries".to_owned();
        findings.ours.push((name, format!("{} MB", bytes >> 20)));
    }
    Ok(())
}
