//! EXPLAIN tells which locality groups a scan reads; with ANALYZE, what it did.

use crate::harness::{Client, Frontend};

async fn tables() -> Client {
    let mut client = Frontend::new().await.connect().await;
    let family = "FAMILY wide (b) WITH (compression = 'zstd')";
    client.ok(&format!("CREATE TABLE t (id int PRIMARY KEY, a int, b text, {family})")).await;
    client.ok("INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y'), (3, 3, 'z')").await;
    client.ok("CREATE TABLE plain (id int PRIMARY KEY, a int)").await;
    client
}

/// The line of the plan that is about the scan.
async fn scan_line(client: &mut Client, explain: &str) -> String {
    let lines = client.ok(explain).await;
    let found = lines.iter().find(|line| line.contains("TabletScanExec"));
    found.unwrap_or_else(|| panic!("{explain}: {lines:?}")).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_names_the_locality_groups_it_reads() {
    let mut client = tables().await;
    for (columns, groups) in [
        ("id", r#"locality groups=["default"]"#),
        ("a", r#"locality groups=["default"]"#),
        ("b", r#"locality groups=["wide"]"#),
        ("id, b", r#"locality groups=["wide"]"#),
        ("a, b", r#"locality groups=["default", "wide"]"#),
    ] {
        let line = scan_line(&mut client, &format!("EXPLAIN SELECT {columns} FROM t")).await;
        assert!(line.contains(groups), "{columns}: {line}");
    }
    // A predicate's columns are read, too.
    let line = scan_line(&mut client, "EXPLAIN SELECT b FROM t WHERE a = 1").await;
    assert!(line.contains(r#"["default", "wide"]"#), "{line}");
    let line = scan_line(&mut client, "EXPLAIN SELECT * FROM plain").await;
    assert!(!line.contains("locality groups"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn analyze_tells_what_each_scan_did() {
    let mut client = tables().await;
    let line = scan_line(&mut client, "EXPLAIN SELECT a FROM t").await;
    assert!(!line.contains("rows_seen"), "{line}");
    let line = scan_line(&mut client, "EXPLAIN ANALYZE SELECT a FROM t").await;
    for count in ["tablets=1", "rows_seen=3", "rows_returned=3", "blocks_read=0", "file_bytes=0"] {
        assert!(line.contains(count), "{count}: {line}");
    }
    let line = scan_line(&mut client, "EXPLAIN ANALYZE SELECT a FROM t WHERE a > 2").await;
    assert!(line.contains("rows_seen=3") && line.contains("rows_returned=1"), "{line}");
    // Both sides of a join, each its own.
    let join = "EXPLAIN ANALYZE SELECT t.a FROM t JOIN plain ON plain.a = t.a";
    let lines = client.ok(join).await;
    let scans: Vec<_> = lines.iter().filter(|line| line.contains("TabletScanExec")).collect();
    assert_eq!(scans.len(), 2, "{lines:?}");
    assert!(scans.iter().any(|line| line.contains("rows_seen=3")), "{scans:?}");
    assert!(scans.iter().any(|line| line.contains("rows_seen=0")), "{scans:?}");
    let json = client.ok("EXPLAIN (ANALYZE, FORMAT JSON) SELECT a FROM t").await.join("\n");
    assert!(json.contains(r#""rows_seen": 3"#), "{json}");
    let json = client.ok("EXPLAIN (FORMAT JSON) SELECT a FROM t").await.join("\n");
    assert!(!json.contains("rows_seen"), "{json}");
}
