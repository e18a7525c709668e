//! The offline tools: on a good directory they find nothing and change nothing; each kind of damage is named, with
//! its file and an exit status to go by.

use crate::damage::{flip, frames, largest, with_files};
use crate::server::{BINARY, Server, execute, open, tables};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a tool; exit status, what it printed, what it complained of.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    (output.status.code().unwrap(), out, err)
}

/// `terrane check` with options on a directory.
fn check(data: &Path, options: &[&str]) -> (i32, String) {
    let (code, out, err) = run(&[&["check", "--data", data.to_str().unwrap()], options].concat());
    assert_eq!(err, "", "{out}");
    (code, out)
}

/// A stopped or killed server's directory is such that nothing is lost. What a crash leaves is a warning.
pub fn assert_no_errors(data: &Path) {
    let (code, out) = check(data, &["--deep"]);
    assert_eq!(code, 0, "{out}");
}

/// METADATA's rows, as `meta dump` prints them.
pub fn meta_dump(data: &Path) -> String {
    let (code, out, err) = run(&["meta", "dump", "--data", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    out
}

fn good(data: &Path, options: &[&str]) {
    let (code, out) = check(data, options);
    assert!(code == 0 && out.contains(" 0 errors, 0 warnings"), "{out}");
}

/// Every file of a directory with its contents.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(contents(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

/// A stopped directory with a table in files, and rows in the log.
async fn stopped(directory: &tempfile::TempDir) -> PathBuf {
    let data = directory.path().join("data");
    let mut server = with_files(&data).await;
    assert!(server.stop());
    // A flush or merge may have been under way: the next start sweeps.
    let mut server = Server::start(&data, &["--memtable-mib", "1"]);
    let client = server.connect().await;
    // METADATA has files, too, and the log has rows that no file has.
    execute(&client, "checkpoint").await.unwrap();
    execute(&client, "insert into other values (8)").await.unwrap();
    assert!(server.stop());
    data
}

fn name_of(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_directory_has_no_findings_and_is_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let data = stopped(&directory).await;
    let before = contents(&data);
    good(&data, &[]);
    good(&data, &["--deep"]);
    good(&data, &["--deep", "--repair", "--dry-run"]);
    let text = data.to_str().unwrap();
    let (code, _, err) = run(&["check", "--repair", "--data", text]);
    assert!(code == 1 && err.contains("--repair is not built"), "{err}");

    let files = tables(&data);
    let mut verify = vec!["sst", "verify"];
    verify.extend(files.iter().map(|file| file.to_str().unwrap()));
    let (code, out, _) = run(&verify);
    assert_eq!(code, 0, "{out}");
    assert_eq!(out.lines().filter(|line| line.starts_with("good ")).count(), files.len(), "{out}");

    let file = largest(&data);
    let dump = ["sst", "dump", "--keys", "--blocks", "--rows", "3", file.to_str().unwrap()];
    let (code, out, _) = run(&dump);
    assert_eq!(code, 0, "{out}");
    for expected in [
        "footer: format 1, ",
        "section zone map of column 2: offset ",
        "block 0: offset 0, ",
        "  page keys: own, offset ",
        "column 1: Int8, of the key",
        ", flags marker+complete; 2 = ",
    ] {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    assert_eq!(out.lines().filter(|line| line.starts_with("row ")).count(), 3);

    let log = data.join("servers/embedded/log-users");
    let (code, out, _) = run(&["log", "dump", "--records", "1000000", log.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("server \"embedded\"") && out.contains("log ends after lsn "), "{out}");
    assert!(out.contains("\nrecord: table 1001, seq "), "{out}");
    assert_eq!(contents(&data), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_is_refused_and_one_that_is_none_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &[]);
    let text = data.to_str().unwrap();
    for tool in [&["check"][..], &["meta", "dump"], &["meta", "edit", "--unsafe", "1", "-", "{}"]] {
        let (code, _, err) = run(&[tool, &["--data", text]].concat());
        assert_eq!(code, 1, "{err}");
        let expected = if tool.contains(&"edit") { "not a METADATA row" } else { "in use" };
        assert!(err.contains(expected), "{err}");
    }
    // A single log is looked at while it is written.
    let log = data.join("servers/embedded/log-users");
    assert_eq!(run(&["log", "dump", log.to_str().unwrap()]).0, 0);
    assert!(server.stop());
    good(&data, &["--deep"]);
    let missing = directory.path().join("missing");
    let (code, _, err) = run(&["check", "--data", missing.to_str().unwrap()]);
    assert!(code == 1 && err.contains("there is no such directory"), "{err}");
    assert!(!missing.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_files_is_named_with_file_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let data = stopped(&directory).await;
    let file = largest(&data);
    let (path, name) = (file.to_str().unwrap(), name_of(&file));
    let length = std::fs::metadata(&file).unwrap().len();

    // In a page: the sections are good, so only a deep check reads it.
    flip(&file, length / 3);
    good(&data, &[]);
    let (code, out) = check(&data, &["--deep"]);
    assert!(code == 1 && out.contains(&format!("file {name}: damaged: corruption in ")), "{out}");
    assert!(out.starts_with("error: table 1000 (t), tablet [-, -), "), "{out}");
    let (code, out, _) = run(&["sst", "verify", path]);
    assert!(code == 1 && out.starts_with("bad ") && out.contains(" at offset "), "{out}");
    let (code, out, _) = run(&["sst", "dump", "--rows", "1000000", path]);
    assert!(code == 1 && out.contains("\nbad: corruption in "), "{code}");
    flip(&file, length / 3);

    // In the footer, and an end that is gone.
    flip(&file, length - 20);
    let (code, out) = check(&data, &["--repair", "--dry-run"]);
    assert!(code == 1 && out.contains(&format!("file {name}: unreadable: ")), "{out}");
    assert!(out.contains(&format!("\n  would write {name} again")), "{out}");
    flip(&file, length - 20);
    let whole = std::fs::read(&file).unwrap();
    open(&file).set_len(length / 2).unwrap();
    let (code, out) = check(&data, &[]);
    assert!(code == 1 && out.contains("unreadable: "), "{out}");
    std::fs::write(&file, &whole).unwrap();
    good(&data, &["--deep"]);

    // Gone, and in another table's directory.
    let other = data.join("tables/1001").join(name);
    std::fs::create_dir_all(other.parent().unwrap()).unwrap();
    std::fs::rename(&file, &other).unwrap();
    let (code, out) = check(&data, &["--repair", "--dry-run"]);
    assert!(code == 1 && out.contains(&format!("file {name}: lost: ")), "{out}");
    assert!(
        out.contains(&format!("would drop the reference to {name} from tablet [-, -)")),
        "{out}"
    );
    let orphan = format!("warning: table 1001 (other), file {name}: orphan: ");
    assert!(out.contains(&orphan), "{out}");
    // With the file back, what is left over is only a warning.
    std::fs::copy(&other, &file).unwrap();
    let (code, out) = check(&data, &["--deep"]);
    assert!(code == 0 && out.contains("0 errors, 1 warnings"), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_logs_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &[]);
    let client = server.connect().await;
    client.batch_execute("create table t (id bigint primary key)").await.unwrap();
    for id in 0..60 {
        execute(&client, &format!("insert into t values ({id})")).await.unwrap();
    }
    server.kill();
    let (segment, starts) = frames(&data);
    let log = segment.parent().unwrap().to_str().unwrap();
    let last = starts[starts.len() - 2];
    flip(&segment, last + 60);
    let (code, out, _) = run(&["log", "dump", log]);
    assert!(code == 0 && out.contains(&format!("left out: torn frame at {last} of ")), "{out}");
    let (code, out) = check(&data, &[]);
    assert!(code == 0 && out.contains("warning: log end: torn frame at offset "), "{out}");
    flip(&segment, last + 60);

    let middle = starts[starts.len() / 2];
    flip(&segment, middle + 60);
    let (code, out, _) = run(&["log", "dump", log]);
    assert!(code == 1 && out.contains("log: a start would be refused: "), "{out}");
    let (code, out, _) = run(&["log", "dump", segment.to_str().unwrap()]);
    assert!(code == 0 && out.contains(&format!("ends at {middle}: damaged there")), "{out}");
    let (code, out) = check(&data, &["--repair", "--dry-run"]);
    assert!(code == 1 && out.contains("error: a start would be refused: "), "{out}");
    assert!(out.contains("would cut the log before the damage"), "{out}");
    flip(&segment, middle + 60);
    good(&data, &["--deep"]);

    // METADATA's own log: nothing else can be judged.
    let metadata = data.join("servers/embedded/log-metadata");
    std::fs::rename(&metadata, data.join("kept")).unwrap();
    let (code, out) = check(&data, &[]);
    assert!(code == 1 && out.contains("table 1: server embedded has no log of METADATA"), "{out}");
    assert!(out.contains("stopped: METADATA itself is damaged"), "{out}");
}

/// The METADATA row of the last table, as `meta dump` prints it.
fn last_row(data: &Path) -> String {
    let out = meta_dump(data);
    assert!(out.starts_with("{\"table\":1,"), "{out}");
    out.lines().last().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_metadata_is_named_and_a_row_put_back_is_good_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = stopped(&directory).await;
    let rows = run(&["meta", "dump", "--data", data.to_str().unwrap()]).1;
    let row = rows.lines().find(|line| line.starts_with("{\"table\":1000,")).unwrap();
    let edit = |row: &str| {
        let text = data.to_str().unwrap();
        let (code, _, err) = run(&["meta", "edit", "--data", text, "1000", "-", row]);
        assert!(code == 1 && err.contains("--unsafe"), "{err}");
        let (code, _, err) = run(&["meta", "edit", "--unsafe", "--data", text, "1000", "-", row]);
        assert_eq!(code, 0, "{err}");
    };
    let replaced = |from: &str, to: &str| {
        assert!(row.contains(from), "{from}: {row}");
        row.replacen(from, to, 1)
    };
    edit(&replaced("\"start\":[]", "\"start\":[128,1]"));
    let (code, out) = check(&data, &["--repair", "--dry-run"]);
    assert_eq!(code, 1);
    let expected =
        "error: table 1000 (t), tablet [8001, -): hole: no tablet has the keys [-, 8001)";
    assert!(out.contains(expected), "{out}");
    assert!(out.contains("would extend the start of tablet [8001, -) to -"), "{out}");

    edit(&replaced("\"end\":null", "\"end\":[200]"));
    let (code, out) = check(&data, &[]);
    assert!(code == 1 && out.contains("hole: no tablet has the keys [c8, -)"), "{out}");
    assert!(out.contains("its METADATA row stands under another tablet's key"), "{out}");

    edit(&replaced("\"redo_point\":", "\"redo_point\":9999"));
    let (code, out) = check(&data, &[]);
    assert!(code == 1 && out.contains(" is beyond the log of server embedded"), "{out}");

    edit(&replaced("\"size_bytes\":", "\"size_bytes\":9"));
    let (code, out) = check(&data, &[]);
    assert!(code == 1 && out.contains(": METADATA says 9"), "{out}");

    edit(row);
    good(&data, &["--deep"]);
    // Another tablet beside it, on a copy: there is no way to take it away again.
    let copy = directory.path().join("copy");
    for (path, bytes) in contents(&data) {
        let path = copy.join(path.strip_prefix(&data).unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let other = replaced("\"end\":null", "\"end\":[200]");
    let text = copy.to_str().unwrap();
    assert_eq!(run(&["meta", "edit", "--unsafe", "--data", text, "1000", "c8", &other]).0, 0);
    let (code, out) = check(&copy, &["--repair", "--dry-run"]);
    let overlap = "tablet [-, c8): overlap: tablet [-, -) has some of its keys, too";
    assert!(code == 1 && out.contains(overlap), "{out}");
    assert!(out.contains("would cut the start of tablet [-, -) to c8, "), "{out}");
    let server = Server::start(&data, &[]);
    let client = server.connect().await;
    let count = crate::server::rows(&client, "select count(*) from t").await;
    assert_eq!(count, [[Some("6000".to_owned())]]);
    drop(server);
    assert!(last_row(&data).starts_with("{\"table\":1001,"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_has_seen_enough_ends_a_dump_quietly() {
    let directory = tempfile::tempdir().unwrap();
    let data = stopped(&directory).await;
    let file = largest(&data);
    let mut child = Command::new(BINARY)
        .args(["sst", "dump", "--blocks", "--rows", "1000000"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 7];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"footer:");
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stderr, b"");
}
