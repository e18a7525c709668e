//! METADATA of thousands of tablets is several tablets itself, and comes through kills.

use crate::server::{Server, execute, rows};
use crate::tools::{assert_no_errors, meta_dump};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

const TABLETS: usize = 2_000;
/// Small enough that METADATA is cut several times.
const OPTIONS: [&str; 2] = ["--metadata-tablet-kib", "24"];

async fn one(client: &Client, query: &str) -> String {
    rows(client, query).await.remove(0).remove(0).unwrap_or_default()
}

async fn number(client: &Client, query: &str) -> usize {
    one(client, query).await.parse().unwrap()
}

/// METADATA's tablets, which have every key once; the root is the first, and has its range for ever.
async fn metadata_tablets(client: &Client) -> usize {
    // At one moment: it may be cut meanwhile.
    let tiling = "with m as (select start_key, end_key from terrane.tablets where storage_id = 1) \
                  select count(*), \
                  count(*) filter (where start_key is null and end_key = '\\x8000000000000002'), \
                  count(*) filter (where end_key is null), \
                  count(*) filter (where start_key in (select end_key from m)) from m";
    for _ in 0..100 {
        let found = rows(client, tiling).await.remove(0);
        let found: Vec<usize> = found.iter().flatten().map(|text| text.parse().unwrap()).collect();
        let [count, roots, lasts, followers] = found[..] else { panic!("{found:?}") };
        if (roots, lasts, followers) == (1, 1, count - 1) {
            return count;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("METADATA does not tile: {:?}", rows(client, tiling).await);
}

async fn assert_all_there(client: &Client, tablets: usize) {
    assert_eq!(number(client, "select count(*) from t").await, 2 * TABLETS);
    let count = "select count(*) from terrane.tablets where table_name = 't'";
    assert_eq!(number(client, count).await, tablets);
    for tablet in (0..TABLETS).step_by(37) {
        let k = tablet * 10 + 3;
        assert_eq!(number(client, &format!("select v from t where k = {k}")).await, tablet);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_of_thousands_of_tablets_is_split_and_comes_through_kills() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &OPTIONS);
    let mut client = server.connect().await;
    let keys: Vec<String> = (1..TABLETS).map(|tablet| (tablet * 10).to_string()).collect();
    let create = "create table t (k int primary key, v int) with (split_at = '";
    client.batch_execute(&format!("{create}{}')", keys.join(", "))).await.unwrap();
    let insert = format!(
        "insert into t select i * 10 + j, i from generate_series(0, {}) i, (values (3), (7)) x(j)",
        TABLETS - 1
    );
    assert_eq!(execute(&client, &insert).await.unwrap() as usize, 2 * TABLETS);
    for round in 0..4 {
        let until = Instant::now() + Duration::from_secs(60);
        while metadata_tablets(&client).await < 4 {
            assert!(Instant::now() < until, "METADATA is not split");
            execute(&client, "update t set v = v where k % 10 = 3").await.unwrap();
            client.batch_execute("checkpoint").await.unwrap();
        }
        assert_all_there(&client, TABLETS + round).await;
        // Killed while METADATA is being written.
        execute(&client, "update t set v = v where k % 10 = 7").await.unwrap();
        let busy = server.connect().await;
        let flushing = tokio::spawn(async move { busy.batch_execute("checkpoint").await });
        tokio::time::sleep(Duration::from_millis(30 * round as u64)).await;
        server.kill();
        let _ = flushing.await;
        assert_no_errors(&data);
        let dump = meta_dump(&data);
        let own = dump.lines().take_while(|line| line.starts_with("{\"table\":1,")).count();
        assert!(own >= 4, "{own} tablets of METADATA");
        assert_eq!(
            dump.lines().filter(|line| line.starts_with("{\"table\":1,")).count(),
            own,
            "METADATA's tablets come first"
        );
        server = Server::start(&data, &OPTIONS);
        client = server.connect().await;
        assert!(metadata_tablets(&client).await >= 4);
        assert_all_there(&client, TABLETS + round).await;
        let split = format!("select terrane.split('t', {})", 5_005 + 10 * round);
        client.batch_execute(&split).await.unwrap();
    }
    let events = "select count(distinct event) from terrane.tablet_events \
                  where storage_id = 1 and event in ('load', 'split', 'flush')";
    assert_eq!(number(&client, events).await, 3);
    client.batch_execute("drop table t").await.unwrap();
    assert_eq!(
        number(&client, "select count(*) from terrane.tablets where storage_id >= 1000").await,
        0
    );
    assert!(server.stop());
    assert_no_errors(&data);
    let server = Server::start(&data, &OPTIONS);
    let client = server.connect().await;
    assert!(metadata_tablets(&client).await >= 2);
    client.batch_execute("create table t (k int primary key, v int)").await.unwrap();
}
