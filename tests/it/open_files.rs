//! More files than a shell lets a process open.

use crate::server::{Server, execute, rows};

/// A thousand tablets of three locality groups, in a process that was started with room for 256 files.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tablets_open_more_files_than_the_soft_limit() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_with_soft_limit(&data, 256);
    let client = server.connect().await;
    let keys: Vec<String> = (1..1000).map(|tablet| (tablet * 10).to_string()).collect();
    let create = format!(
        "create table t (k int primary key, a int, b text, c text, \
         family f (b) with (compression = 'lz4'), family g (c) with (compression = 'zstd')) \
         with (split_at = '{}')",
        keys.join(", ")
    );
    client.batch_execute(&create).await.unwrap();
    let insert = "insert into t select k, k, k, k from generate_series(0, 9999) k";
    assert_eq!(execute(&client, insert).await.unwrap(), 10_000);
    client.batch_execute("checkpoint").await.unwrap();
    drop(client);
    assert!(server.stop());
    let server = Server::start_with_soft_limit(&data, 256);
    let client = server.connect().await;
    let files = "select count(*), sum(files) from terrane.tablets where table_name = 't'";
    assert_eq!(rows(&client, files).await, [[Some("1000".to_owned()), Some("3000".to_owned())]]);
    let sum = "select count(*), sum(a), count(b), count(c) from t";
    let sum = rows(&client, sum).await.remove(0);
    assert_eq!(sum.iter().flatten().collect::<Vec<_>>(), ["10000", "49995000", "10000", "10000"]);
}
