//! Point statements under pgbench, prepared.

use crate::load::POINT_ROWS;
use crate::measure::{Better, Measurement};
use crate::options::Options;
use crate::peer::{Kind, Peer, run};
use crate::{BenchError, Result, canned};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One script.
struct Script {
    name: &'static str,
    sql: &'static str,
    /// The ratio wanted, with so many clients or more.
    target: (u32, f64),
}

const SCRIPTS: &[Script] = &[
    Script {
        name: "point SELECT by key",
        sql: "select v, note from point where id = :id;",
        target: (16, 0.8),
    },
    Script {
        name: "single-row durable UPDATE by key",
        sql: "update point set v = v + 1 where id = :id;",
        target: (16, 1.0),
    },
];

fn script_file(directory: &Path, script: &Script) -> Result<PathBuf> {
    let path = directory.join(format!("{}.sql", script.name.replace(' ', "-")));
    let text = format!("\\set id random(0, {})\n{}\n", POINT_ROWS - 1, script.sql);
    std::fs::write(&path, text).map_err(BenchError::io("a pgbench script"))?;
    Ok(path)
}

fn arguments(command: &mut Command, file: &Path, clients: u32, seconds: u64) {
    let threads = clients.min(2);
    command
        .args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", &threads.to_string()])
        .args(["-T", &seconds.to_string(), "-f"])
        .arg(file);
}

/// Transactions a second, without the time to connect.
async fn rate(mut command: Command) -> Result<f64> {
    // pgbench is waited for on another thread: servers of this process go on answering.
    let said = tokio::task::spawn_blocking(move || run(&mut command)).await;
    let said = said.map_err(|error| BenchError::Program(error.to_string()))??;
    let failed = said.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
    if let Some(failed) = failed.filter(|failed| !failed.starts_with("0 ")) {
        return Err(BenchError::Program(format!("pgbench: {failed} transactions failed")));
    }
    let rate = said.lines().find_map(|line| {
        line.strip_prefix("tps = ")?.split_whitespace().next()?.parse::<f64>().ok()
    });
    rate.ok_or_else(|| BenchError::Program(format!("pgbench said no rate: {said}")))
}

/// Measures every script with every number of clients.
pub async fn measure(
    peers: &[Peer],
    options: &Options,
    directory: &Path,
) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for script in SCRIPTS {
        let file = script_file(directory, script)?;
        for clients in options.clients.iter().copied() {
            let plural = if clients == 1 { "" } else { "s" };
            let name = format!("{}, {clients} client{plural}", script.name);
            let mut figures = Measurement::new(name, "1/s", Better::Higher);
            if clients >= script.target.0 {
                figures = figures.wanting(script.target.1);
            }
            for _ in 0..options.round_count() {
                for peer in peers {
                    let mut command = peer.pgbench(&options.postgresql);
                    arguments(&mut command, &file, clients, options.run_seconds());
                    let rate = rate(command).await?;
                    match peer.kind {
                        Kind::Terrane => figures.terrane.push(rate),
                        Kind::Postgresql => figures.peer.push(rate),
                    }
                }
            }
            eprintln!("{}: {:.0?} {:.0?}", figures.name, figures.terrane, figures.peer);
            measured.push(figures);
        }
    }
    Ok(measured)
}

/// What pgbench gets out of a server that does nothing, by clients.
pub async fn canned(options: &Options, directory: &Path) -> Result<Vec<(u32, f64)>> {
    let address = canned::start().await?;
    let file = script_file(directory, &SCRIPTS[0])?;
    let mut rates = Vec::new();
    for clients in options.clients.iter().copied() {
        let mut command = Command::new(options.postgresql.join("pgbench"));
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-U",
            "bench",
            "bench",
        ]);
        arguments(&mut command, &file, clients, options.run_seconds());
        rates.push((clients, rate(command).await?));
    }
    Ok(rates)
}
