//! Rows that were updated often: who reads the newest reads as much as if they had been written once, and who reads the past
//! reads more. The tools see both parts of the files.

use crate::damage::largest;
use crate::server::{BINARY, Server, execute, rows};
use std::process::Command;
use tokio_postgres::Client;

/// The rows that a query sums up, and the blocks that its scan reads.
async fn read(client: &Client, query: &str) -> (String, u64) {
    let sum = rows(client, query).await[0][0].clone().unwrap();
    let plan = rows(client, &format!("explain analyze {query}")).await;
    let plan: Vec<String> = plan.into_iter().flatten().flatten().collect();
    let plan = plan.join("\n");
    let (_, count) = plan.split_once("blocks_read=").unwrap();
    let digits = count.split(|letter: char| !letter.is_ascii_digit()).next().unwrap();
    (sum, digits.parse().unwrap())
}

fn tool(arguments: &[&str]) -> String {
    let output = Command::new(BINARY).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_of_the_newest_reads_nothing_that_is_hidden() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start(&data, &[]);
    let client = server.connect().await;
    let ddl = "create table once (id bigint primary key, n bigint);
               create table often (id bigint primary key, n bigint)";
    client.batch_execute(ddl).await.unwrap();
    let fill = |table: &str| {
        format!("insert into {table} select i, 0 from generate_series(1, 3000) as g(i)")
    };
    for table in ["once", "often"] {
        assert_eq!(execute(&client, &fill(table)).await.unwrap(), 3000);
    }
    let then = rows(&client, "select now()::text").await[0][0].clone().unwrap();
    for _ in 0..9 {
        assert_eq!(execute(&client, "update often set n = n + 1").await.unwrap(), 3000);
    }
    client.batch_execute("checkpoint").await.unwrap();

    let (_, of_once) = read(&client, "select sum(n) from once").await;
    let (sum, newest) = read(&client, "select sum(n) from often").await;
    assert_eq!((sum.as_str(), newest), ("27000", of_once));
    let past = format!("select sum(n) from often for system_time as of '{then}'");
    let (sum, past) = read(&client, &past).await;
    assert!(sum == "0" && past > newest + 5, "{sum}, {past} of {newest}");
    drop(client);
    assert!(server.stop());

    let file = largest(&data);
    let path = file.to_str().unwrap();
    let dump = tool(&["sst", "dump", "--blocks", "--rows", "30000", path]);
    assert!(dump.contains("history part: ") && dump.contains(" 27000 rows\n"), "{dump:.900}");
    assert_eq!(dump.lines().filter(|line| line.starts_with("row ")).count(), 3000);
    assert_eq!(dump.lines().filter(|line| line.starts_with("hidden row ")).count(), 27_000);
    assert!(dump.contains("\nhistory block 0: ") && dump.contains("\nhistory partition 0: "));
    let verified = tool(&["sst", "verify", path]);
    assert!(
        verified.starts_with("good ") && verified.contains(" 30000 row versions"),
        "{verified}"
    );
}
