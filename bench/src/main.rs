//! See the library's documentation.
#![allow(clippy::disallowed_methods)]

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use terrane_bench::limits::{self, Limit};
use terrane_bench::options::Options;
use terrane_bench::peer::Peer;
use terrane_bench::report::{Findings, markdown};
use terrane_bench::{BenchError, Result, load, picture, points, queries};

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
    let text = markdown(&findings, options);
    println!("{text}");
    std::fs::create_dir_all(&options.out).map_err(BenchError::io("the report's directory"))?;
    let path = |ending: &str| options.out.join(format!("{}.{ending}", options.name));
    std::fs::write(path("md"), text).map_err(BenchError::io("the report"))?;
    std::fs::write(path("svg"), picture::svg(&findings.measurements))
        .map_err(BenchError::io("the picture"))
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
    Ok(findings)
}

async fn big_table(options: &Options, peers: &mut [Peer], findings: &mut Findings) -> Result<()> {
    let copied = load::big_table(peers, options).await?;
    eprintln!("{}: {:.2?} {:.2?}", copied.name, copied.terrane, copied.postgresql);
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
