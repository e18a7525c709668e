//! A server that hangs, drops its connection, admits to a bug or is not there must cost the runner the
//! record, not the run; and none of it may pass unseen.

use std::process::{Command, Output};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::fake_server::FakeServer;

const GOOD: &str = "query I nosort\nSELECT one\n----\n1\n\n";

fn run(url: &str, file: &str, content: &str, options: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(file);
    std::fs::write(&path, content).unwrap();
    Command::new(env!("CARGO_BIN_EXE_terrane-sqllogictest"))
        .args(["--url", url, "--record-seconds", "1"])
        .args(options)
        .arg(&path)
        .output()
        .unwrap()
}

fn check(content: &str, status: i32, parts: &[&str], options: &[&str]) -> FakeServer {
    let server = FakeServer::start();
    for file in ["x.test", "x.slt"] {
        let output = run(&server.url(), file, content, options);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(status), "{file}: {text}");
        for part in parts {
            assert!(text.contains(part), "{file}: no {part:?} in {text}");
        }
    }
    server
}

#[test]
fn a_good_file_passes() {
    check(GOOD, 0, &["1/1 100.00%", "passed"], &[]);
}

#[test]
fn a_wrong_result_fails_unless_the_gate_is_low() {
    let content = format!("{GOOD}query I nosort\nSELECT one\n----\n2\n\n");
    check(&content, 1, &["1/2  50.00%", "first failures", "FAILED"], &[]);
    check(&content, 0, &["1/2  50.00%", "passed"], &["--gate", "overall=50"]);
    check(&content, 1, &["gate missed"], &["--gate", "overall=50.01"]);
}

#[test]
fn a_hang_is_cancelled_and_costs_one_record() {
    let begun = Instant::now();
    let server =
        check(&format!("statement ok\nhang\n\n{GOOD}"), 1, &["timeout", "1/1 100.00%"], &[]);
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(server.cancels.load(Ordering::SeqCst), 2, "one per file");
}

#[test]
fn a_broken_connection_is_reopened_and_shown_apart() {
    let content = format!("statement ok\ndrop\n\n{GOOD}");
    check(&content, 1, &["broken connections: 1", "1/1 100.00%"], &["--gate", "overall=0"]);
}

#[test]
fn an_internal_error_is_shown_apart_even_where_an_error_is_expected() {
    let content = format!("statement error\nbug\n\n{GOOD}");
    check(&content, 1, &["internal errors (SQLSTATE class XX): 1"], &["--gate", "overall=0"]);
}

#[test]
fn no_server_is_told_and_not_waited_for_forever() {
    let output = run("postgres://u@127.0.0.1:1/d", "x.test", GOOD, &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("the server is gone"), "{text}");
}
