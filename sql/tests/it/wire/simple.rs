//! Simple queries: what is sent in which order, and what the session is asked to do.

use super::script::*;

#[tokio::test]
async fn a_query_is_answered_and_committed_before_its_tag() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(client.query("select 1").await, ["T:[n]", "D:[1]", "C:SELECT 1", "Z:I"]);
    assert_eq!(world.done(), ["run select 1", "sync"]);
    assert_eq!(client.query("select x").await, ["T:[n]", "D:[NULL]", "C:SELECT 1", "Z:I"]);
    assert_eq!(client.query("insert").await, ["C:INSERT 0 3", "Z:I"]);
    assert_eq!(client.query("update").await, ["C:UPDATE 2", "Z:I"]);
    assert_eq!(client.query("packed").await, ["T:[n]", "D:[5]", "D:[5]", "C:SELECT 2", "Z:I"]);
}

#[tokio::test]
async fn a_failed_commit_takes_the_place_of_the_tag() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(client.query("failcommit").await, ["E:40001 try again", "Z:I"]);
    assert_eq!(world.done(), ["run failcommit", "sync", "failed 40001", "sync"]);
    // Only the last statement's tag waits for the commit.
    assert_eq!(
        client.query("insert; failcommit").await,
        ["C:INSERT 0 3", "E:40001 try again", "Z:I"]
    );
}

#[tokio::test]
async fn empty_queries() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(client.query("").await, ["I", "Z:I"]);
    assert_eq!(client.query(" ; ;").await, ["I", "Z:I"]);
}

#[tokio::test]
async fn several_statements_stop_at_the_first_error() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(
        client.query("select 1; insert; fail; select 2").await,
        ["T:[n]", "D:[1]", "C:SELECT 1", "C:INSERT 0 3", "E:42601 it failed", "Z:I"]
    );
    assert_eq!(world.done(), ["run select 1", "run insert", "run fail", "failed 42601", "sync"]);
    // What does not parse runs nothing.
    assert_eq!(client.query("insert; unparsable").await, ["E:42601 syntax error", "Z:I"]);
    assert_eq!(world.done(), ["failed 42601", "sync"]);
}

#[tokio::test]
async fn a_stream_that_breaks_fails_the_block() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(client.query("broken").await, ["T:[n]", "D:[1]", "E:42601 the stream broke", "Z:I"]);
    client.query("begin").await;
    world.done();
    let words = client.query("broken").await;
    assert_eq!(words.last().unwrap(), "Z:E");
    assert_eq!(world.done(), ["run broken", "failed 42601", "sync"]);
    let words = client.query("select 1").await;
    assert!(words[0].starts_with("E:25P02"), "{words:?}");
    assert_eq!(client.query("rollback").await.last().unwrap(), "Z:I");
}

#[tokio::test]
async fn notices_and_parameters_come_before_what_follows() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(client.query("notice hello").await, ["N:00000 hello", "C:NOTICE", "Z:I"]);
    assert_eq!(client.query("set UTC").await, ["C:SET", "S:TimeZone=UTC", "Z:I"]);
}

#[tokio::test]
async fn large_results_stream() {
    let world = World::new();
    let mut client = world.connect().await;
    let words = client.query("rows 100000").await;
    assert_eq!(words.len(), 100_003);
    assert_eq!(words[100_000], "D:[100000]");
    assert_eq!(words[100_001], "C:SELECT 100000");
}

#[tokio::test]
async fn the_fast_path_interface_is_refused() {
    let world = World::new();
    let mut client = world.connect().await;
    let words = client.ask(&message(b'F', &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), "Z:").await;
    assert!(words[0].starts_with("E:0A000"), "{words:?}");
    assert_eq!(client.query("select 1").await.len(), 4);
}
