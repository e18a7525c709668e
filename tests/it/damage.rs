//! Damaged files: what a power cut may tear is cut away, what it may not is reported with file and offset.

use crate::server::{Server, execute, open, rows, sqlstate, tables};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tokio_postgres::Client;

/// docs/format-log.md: where frames begin, and a frame's header.
const SEGMENT_HEADER: u64 = 512;
const FRAME_HEADER: u64 = 48;

async fn fill(client: &Client, from: i64, to: i64) {
    for id in from..to {
        let text = format!("insert into t values ({id}, 'row {id}')");
        assert_eq!(execute(client, &text).await.unwrap(), 1);
    }
}

async fn with_rows(data: &Path, count: i64) -> Server {
    let server = Server::start(data, &[]);
    let client = server.connect().await;
    client.batch_execute("create table t (id bigint primary key, text text)").await.unwrap();
    fill(&client, 0, count).await;
    server
}

async fn count(server: &Server) -> String {
    let client = server.connect().await;
    rows(&client, "select count(*) from t").await[0][0].clone().unwrap()
}

/// The segment of the users' log that was being written, where its frames start, and behind them its end.
pub fn frames(data: &Path) -> (PathBuf, Vec<u64>) {
    let log = data.join("servers/embedded/log-users");
    let entries = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let segments = entries.filter(|path| path.extension().is_some_and(|e| e == "log"));
    // The next one is prepared already, and empty.
    let read = segments.map(|segment| {
        let starts = frames_of(&std::fs::read(&segment).unwrap());
        (segment, starts)
    });
    let (segment, starts) = read.max_by_key(|(_, starts)| starts.len()).unwrap();
    assert!(starts.len() > 20, "a frame a commit");
    (segment, starts)
}

fn frames_of(segment: &[u8]) -> Vec<u64> {
    let mut starts = vec![SEGMENT_HEADER];
    loop {
        let at = *starts.last().unwrap() as usize;
        // A new segment is zeros behind its last frame, so the length is 0 there.
        let length = u32::from_le_bytes(segment[at + 4..at + 8].try_into().unwrap());
        if length == 0 {
            return starts;
        }
        starts.push((at as u64 + FRAME_HEADER + u64::from(length)).next_multiple_of(8));
    }
}

/// Turns a bit.
pub fn flip(path: &Path, offset: u64) {
    let file = open(path);
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_log_tail_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = with_rows(&data, 100).await;
    server.kill();
    let (segment, starts) = frames(&data);
    let last = starts.len() - 1;
    // The first bytes of another frame, as a write that the power cut tore leaves them.
    let mut torn = [0; 40];
    let file = open(&segment);
    file.read_exact_at(&mut torn, starts[last - 1]).unwrap();
    file.write_all_at(&torn, starts[last]).unwrap();
    let mut server = Server::start(&data, &[]);
    assert_eq!(count(&server).await, "100");
    fill(&server.connect().await, 100, 120).await;
    server.kill();
    let server = Server::start(&data, &[]);
    assert_eq!(count(&server).await, "120");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_the_logs_middle_is_reported_and_nothing_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = with_rows(&data, 100).await;
    server.kill();
    let (segment, starts) = frames(&data);
    let frame = starts[starts.len() / 2];
    flip(&segment, frame + FRAME_HEADER + 3);
    let Err(said) = Server::try_start(&data, &[]) else { panic!("it served a damaged log") };
    let name = segment.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(name), "{said}");
    assert!(said.contains(&format!("offset {frame}")), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // Nothing was changed: with the bit as it was, everything is there.
    flip(&segment, frame + FRAME_HEADER + 3);
    let server = Server::start(&data, &[]);
    assert_eq!(count(&server).await, "100");
}

/// A table with files: more rows than its memtable may hold.
pub async fn with_files(data: &Path) -> Server {
    let server = Server::start(data, &["--memtable-mib", "1"]);
    let client = server.connect().await;
    let ddl = "create table t (id bigint primary key, text text);
               create table other (id bigint primary key); insert into other values (7)";
    client.batch_execute(ddl).await.unwrap();
    for batch in 0..60 {
        // Of many digits, so that most of a file is what the query reads.
        let words = |id: i64| (0..60).map(move |i| (id * 7_919 + i * 104_729) % 999_983);
        let text = |id: i64| words(id).map(|word| format!("{word} ")).collect::<String>();
        let tuple = |id: i64| format!("({id}, '{}')", text(id));
        let tuples: Vec<String> = (0..100).map(|i| tuple(batch * 100 + i)).collect();
        let text = format!("insert into t values {}", tuples.join(", "));
        assert_eq!(execute(&client, &text).await.unwrap(), 100);
    }
    server
}

/// The largest file, which is the loaded table's.
pub fn largest(data: &Path) -> PathBuf {
    let files = tables(data).into_iter();
    files.max_by_key(|file| std::fs::metadata(file).unwrap().len()).unwrap()
}

async fn assert_reported(server: &Server, file: &Path) {
    let client = server.connect().await;
    // All of its columns: what a query does not ask for, keys too, is not read.
    let error = client.simple_query("select sum(id), sum(length(text)) from t").await.unwrap_err();
    assert_eq!(sqlstate(&error).as_deref(), Some("XX001"), "{error:?}");
    let message = error.as_db_error().unwrap().message();
    assert!(message.contains(file.file_name().unwrap().to_str().unwrap()), "{message}");
    assert!(message.contains("offset"), "{message}");
    // The session, the server and the other table live on.
    assert_eq!(rows(&client, "select id from other").await, [[Some("7".to_owned())]]);
    let said = std::fs::read_to_string(&server.log).unwrap();
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_in_a_table_is_xx001_with_file_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = with_files(&data).await;
    assert!(server.stop());
    let file = largest(&data);
    let length = std::fs::metadata(&file).unwrap().len();
    // In the data, in the middle; then in what is read when the file is opened.
    for offset in [length / 3, length - 20] {
        flip(&file, offset);
        let mut server = Server::start(&data, &["--memtable-mib", "1"]);
        assert_reported(&server, &file).await;
        server.kill();
        flip(&file, offset);
    }
    let server = Server::start(&data, &["--memtable-mib", "1"]);
    assert_eq!(count(&server).await, "6000");
}
