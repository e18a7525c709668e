//! A full disk: writes are refused with 53100, nothing acknowledged is lost, reads go on, and so do writes
//! once there is room again.
//!
//! On a small file system of its own, so it needs the right to mount one.

use crate::server::{Server, execute, rows, skip, sqlstate};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A tmpfs, unmounted when dropped.
struct SmallDisk {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl SmallDisk {
    fn mount(mib: u32) -> Option<SmallDisk> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::create_dir(&path).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "terrane-test"])
            .arg(&path)
            .output();
        mounted.ok()?.status.success().then_some(SmallDisk { _directory: directory, path })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).status();
    }
}

/// Takes all the room there is.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[1; 1 << 16]).is_ok() {}
    while file.write_all(&[1; 512]).is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_53100_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount(192) else {
        skip("this user may not mount a file system");
        return;
    };
    let (data, ballast) = (disk.path.join("data"), disk.path.join("ballast"));
    let mut server = Server::start(&data, &["--memtable-mib", "1"]);
    let client = server.connect().await;
    client.batch_execute("create table t (id bigint primary key, text text)").await.unwrap();
    fill(&ballast);
    let text = "x".repeat(20_000);
    let insert = |id: i64| format!("insert into t values ({id}, '{text}')");
    let mut acknowledged = 0;
    let error = loop {
        match execute(&client, &insert(acknowledged)).await {
            Ok(count) => acknowledged += count as i64,
            Err(error) => break error,
        }
        assert!(acknowledged < 20_000, "400 MB on a full disk of 192");
    };
    assert_eq!(sqlstate(&error).as_deref(), Some("53100"), "{error:?}");
    // Still refused, still readable, in the same session.
    let again = execute(&client, &insert(acknowledged)).await.unwrap_err();
    assert_eq!(sqlstate(&again).as_deref(), Some("53100"), "{again:?}");
    let count = rows(&client, "select count(*) from t").await;
    assert_eq!(count[0][0], Some(acknowledged.to_string()));

    // Killed while full: it starts, and everything is there.
    server.kill();
    let mut server = Server::start(&data, &["--memtable-mib", "1"]);
    let client = server.connect().await;
    let count = rows(&client, "select count(*) from t").await;
    assert_eq!(count[0][0], Some(acknowledged.to_string()));

    std::fs::remove_file(&ballast).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while let Err(error) = execute(&client, &insert(acknowledged)).await {
        assert_eq!(sqlstate(&error).as_deref(), Some("53100"), "{error:?}");
        assert!(Instant::now() < until, "there is room, and writes are still refused");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for id in acknowledged + 1..acknowledged + 200 {
        execute(&client, &insert(id)).await.unwrap();
    }
    server.kill();
    let server = Server::start(&data, &["--memtable-mib", "1"]);
    let client = server.connect().await;
    let count = rows(&client, "select count(*), sum(length(text)) from t").await;
    let total = acknowledged + 200;
    assert_eq!(count[0], [Some(total.to_string()), Some((total * 20_000).to_string())]);
}
