//! Whose a data directory is: one process's, of a format that this build knows.

use crate::server::{BINARY, Server};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Every file with its contents, but for logs that a running server writes.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push((path.clone(), std::fs::read(path).unwrap())),
            }
        }
    }
    found.sort();
    found
}

/// Whatever a first start was doing when it was killed, the next one does it.
#[test]
fn a_first_start_killed_at_any_moment_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    for wait_ms in (0..160).step_by(8) {
        let data = directory.path().join(wait_ms.to_string());
        let mut first = Command::new(BINARY)
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        first.kill().unwrap();
        first.wait().unwrap();
        let mut again = Server::start(&data, &[]);
        assert!(again.stop(), "killed after {wait_ms} ms");
    }
}

#[test]
fn a_second_process_is_refused_and_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &[]);
    let before = contents(&data);
    let Err(said) = Server::try_start(&data, &[]) else { panic!("two processes on one directory") };
    assert!(said.contains("in use by another process"), "{said}");
    assert!(contents(&data) == before, "the second process changed something");
    assert!(server.stop());
    let mut server = Server::start(&data, &[]);
    assert!(server.stop());
}

#[test]
fn a_newer_format_is_refused_and_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    assert!(Server::start(&data, &[]).stop());
    std::fs::write(data.join("FORMAT"), "terrane data directory, format 3\n").unwrap();
    let before = contents(&data);
    let Err(said) = Server::try_start(&data, &[]) else { panic!("a newer format was opened") };
    assert!(said.contains("format 3"), "{said}");
    assert!(contents(&data) == before, "a directory of a newer format was changed");
}

#[test]
fn a_directory_of_something_else_is_refused_and_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("letter.txt"), "not ours").unwrap();
    let Err(said) = Server::try_start(&data, &[]) else { panic!("a foreign directory was taken") };
    assert!(said.contains("letter.txt"), "{said}");
    assert_eq!(contents(&data), [(data.join("letter.txt"), b"not ours".to_vec())]);
}
