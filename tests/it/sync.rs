//! A commit is acknowledged after its log bytes are synced, and not before: the kernel's word for it.
//!
//! strace sees the statement come in, the log being written, its fdatasync return, and only then the answer go
//! out; for every statement.

use crate::server::{Server, execute, skip};
use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

const STATEMENTS: usize = 50;

/// What strace says about one statement, by line.
#[derive(Debug, Default)]
struct Seen {
    asked: Option<usize>,
    written: Option<usize>,
    synced: Option<usize>,
    answered: Option<usize>,
}

/// Reads strace's lines: `PID call(fd</path>, …) = result`, or in two pieces, `<unfinished ...>` and
/// `<... call resumed>`. Statements come one at a time, so what happens between a statement and its answer is its.
fn read_trace(trace: &str) -> Vec<Seen> {
    let mut statements: Vec<Seen> = Vec::new();
    // The descriptor that each thread's unfinished sync is of.
    let mut syncing: HashMap<&str, bool> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if call.starts_with("fdatasync(") && call.contains("<unfinished") {
            syncing.insert(thread, call.contains("log-users"));
            continue;
        }
        if call.contains("insert into s values") {
            let seen = Seen { asked: Some(number), ..Seen::default() };
            statements.push(seen);
            continue;
        }
        let Some(seen) = statements.last_mut() else { continue };
        let is_sync = match call.starts_with("<... fdatasync resumed>") {
            true => syncing.remove(thread) == Some(true),
            false => call.starts_with("fdatasync(") && call.contains("log-users"),
        };
        if call.starts_with("pwrite") && call.contains("log-users") {
            seen.written = seen.written.or(Some(number));
        } else if is_sync && call.ends_with("= 0") && seen.written.is_some() {
            seen.synced = seen.synced.or(Some(number));
        } else if call.contains("INSERT 0 1") {
            seen.answered = seen.answered.or(Some(number));
        }
    }
    statements
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logs_fdatasync_comes_before_the_answer() {
    if Command::new("strace").arg("--version").output().is_err() {
        skip("strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let client = server.connect().await;
    client.batch_execute("create table s (id int primary key)").await.unwrap();
    let trace = directory.path().join("trace");
    let mut strace = Command::new("strace")
        .args(["-f", "-y", "-s", "128", "-o"])
        .arg(&trace)
        .args(["-e", "trace=pwrite64,pwritev,fdatasync,recvfrom,read,readv,sendto,write,writev"])
        .args(["-p", &server.id().to_string()])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    if let Some(status) = strace.try_wait().unwrap() {
        skip(&format!("strace may not attach: {status}"));
        return;
    }
    for id in 0..STATEMENTS {
        let count = execute(&client, &format!("insert into s values ({id})")).await.unwrap();
        assert_eq!(count, 1);
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&strace),
        rustix::process::Signal::INT,
    )
    .unwrap();
    strace.wait().unwrap();
    let statements = read_trace(&std::fs::read_to_string(&trace).unwrap());
    assert_eq!(statements.len(), STATEMENTS, "strace saw every statement come in");
    for seen in &statements {
        let order = [seen.asked, seen.written, seen.synced, seen.answered];
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{seen:?}");
    }
}
