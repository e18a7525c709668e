//! The extended protocol: pipelines, errors and Sync, portals in parts.

use super::script::*;
use bytes::Bytes;

#[tokio::test]
async fn a_pipeline_is_answered_in_order() {
    let world = World::new();
    let mut client = world.connect().await;
    let all = [
        parse("s", "$1"),
        describe("S", "s"),
        bind("", "s", &[Some("42")]),
        describe("P", ""),
        execute("", 0),
        close("S", "s"),
        close("P", "nothing"),
        sync(),
    ];
    assert_eq!(
        client.ask(&all.concat(), "Z:").await,
        ["1", "t:[23]", "T:[n]", "2", "T:[n]", "D:[42]", "C:SELECT 1", "3", "3", "Z:I"]
    );
    assert_eq!(world.done(), ["bind 1 parameters", "run $1", "sync"]);
}

#[tokio::test]
async fn nothing_is_sent_before_sync_or_flush() {
    let world = World::new();
    let mut client = world.connect().await;
    client.send(&parse("s", "select 1")).await;
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(50), client.word()).await.is_err()
    );
    assert_eq!(client.ask(&flush(), "1").await, ["1"]);
    assert_eq!(client.ask(&sync(), "Z:").await, ["Z:I"]);
}

#[tokio::test]
async fn an_error_skips_to_sync() {
    let world = World::new();
    let mut client = world.connect().await;
    let all = [
        parse("", "insert"),
        bind("", "", &[]),
        execute("", 0),
        parse("", "fail"),
        bind("", "", &[]),
        execute("", 0),
        // All of these are skipped, a simple query too.
        parse("", "select 1"),
        bind("", "", &[]),
        query("select 2"),
        flush(),
        message(b'D', b"nonsense"),
        execute("", 0),
        sync(),
        parse("", "select 3"),
        bind("", "", &[]),
        execute("", 0),
        sync(),
    ];
    client.send(&all.concat()).await;
    assert_eq!(
        client.until("Z:").await,
        ["1", "2", "C:INSERT 0 3", "1", "2", "E:42601 it failed", "Z:I"]
    );
    assert_eq!(client.until("Z:").await, ["1", "2", "D:[3]", "C:SELECT 1", "Z:I"]);
    assert_eq!(
        world.done(),
        [
            "bind 0 parameters",
            "run insert",
            "bind 0 parameters",
            "run fail",
            "failed 42601",
            "sync",
            "bind 0 parameters",
            "run select 3",
            "sync"
        ]
    );
}

#[tokio::test]
async fn a_commit_that_fails_at_sync_is_told() {
    let world = World::new();
    let mut client = world.connect().await;
    let all = [parse("", "failcommit"), bind("", "", &[]), execute("", 0), sync()].concat();
    assert_eq!(
        client.ask(&all, "Z:").await,
        ["1", "2", "C:INSERT 0 1", "E:40001 try again", "Z:I"]
    );
}

#[tokio::test]
async fn a_portal_is_fetched_in_parts() {
    let world = World::new();
    let mut client = world.connect().await;
    client.query("begin").await;
    let open = [parse("", "rows 250"), bind("p", "", &[]), execute("p", 120), sync()].concat();
    let words = client.ask(&open, "Z:").await;
    assert_eq!(words[2], "D:[1]");
    assert_eq!(words[121], "D:[120]");
    assert_eq!(words[122..], ["s", "Z:T"]);
    // Another statement in between does not disturb it.
    assert_eq!(client.query("select 1").await.len(), 4);
    let words = client.ask(&[execute("p", 130), sync()].concat(), "Z:").await;
    assert_eq!((words[0].as_str(), words[129].as_str()), ("D:[121]", "D:[250]"));
    // The limit was reached, so the end is not known yet.
    assert_eq!(words[130..], ["s", "Z:T"]);
    let words = client.ask(&[execute("p", 130), sync()].concat(), "Z:").await;
    assert_eq!(words, ["C:SELECT 0", "Z:T"]);
    let words = client.ask(&[execute("p", 0), sync()].concat(), "Z:").await;
    assert!(words[0].starts_with("E:55000"), "{words:?}");
}

#[tokio::test]
async fn one_row_at_a_time_for_long() {
    let world = World::new();
    let mut client = world.connect().await;
    client.query("begin").await;
    client.send(&[parse("", "rows 5000"), bind("p", "", &[])].concat()).await;
    for i in 1..=5000 {
        let words = client.ask(&[execute("p", 1), flush()].concat(), "s").await;
        assert_eq!(words[words.len() - 2], format!("D:[{i}]"));
    }
    client.ask(&sync(), "Z:T").await;
}

#[tokio::test]
async fn a_huge_limit_is_not_believed() {
    let world = World::new();
    let mut client = world.connect().await;
    let all = [parse("", "rows 3"), bind("", "", &[]), execute("", i32::MAX), sync()].concat();
    assert_eq!(client.ask(&all, "Z:").await.len(), 2 + 3 + 2);
    let all = [bind("", "", &[]), execute("", -1), sync()].concat();
    assert_eq!(client.ask(&all, "Z:").await.len(), 1 + 3 + 2);
}

#[tokio::test]
async fn sixty_five_thousand_parameters() {
    let world = World::new();
    let mut client = world.connect().await;
    let many: Vec<Option<&str>> = (0..65_535).map(|i| (i % 3 > 0).then_some("7")).collect();
    client.send(&parse("", "insert")).await;
    let words = client.ask(&[bind("", "", &many), execute("", 0), sync()].concat(), "Z:").await;
    assert_eq!(words, ["1", "2", "C:INSERT 0 3", "Z:I"]);
    assert_eq!(world.done()[0], "bind 65535 parameters");
}

#[tokio::test]
async fn binary_results_and_wrong_formats() {
    let world = World::new();
    let mut client = world.connect().await;
    let bind_with = |formats: &[u8]| message(b'B', &[&[0, 0, 0, 0, 0, 0], formats].concat());
    let all = [
        parse("", "select 258"),
        bind_with(&[0, 1, 0, 1]),
        describe("P", ""),
        execute("", 0),
        sync(),
    ];
    let words = client.ask(&all.concat(), "Z:").await;
    assert_eq!(words, ["1", "2", "T:[n binary]", "D:[\0\0\u{1}\u{2}]", "C:SELECT 1", "Z:I"]);
    let words = client.ask(&[bind_with(&[0, 2, 0, 1, 0, 1]), sync()].concat(), "Z:").await;
    assert_eq!(words[0], "E:08P01 bind message has 2 result formats but query has 1 columns");
    let words = client.ask(&[bind_with(&[0, 1, 0, 9]), sync()].concat(), "Z:").await;
    assert_eq!(words[0], "E:22023 unsupported format code: 9");
}

#[tokio::test]
async fn names_that_are_not_there() {
    let world = World::new();
    let mut client = world.connect().await;
    for (bytes, word) in [
        (bind("", "x", &[]), "E:26000 prepared statement \"x\" does not exist"),
        (describe("S", "x"), "E:26000 prepared statement \"x\" does not exist"),
        (describe("P", "x"), "E:34000 portal \"x\" does not exist"),
        (execute("x", 0), "E:34000 portal \"x\" does not exist"),
        (describe("X", "x"), "E:08P01 invalid DESCRIBE message subtype 88"),
    ] {
        assert_eq!(client.ask(&[bytes, sync()].concat(), "Z:").await, [word, "Z:I"]);
    }
}

#[tokio::test]
async fn statements_without_rows_have_no_data() {
    let world = World::new();
    let mut client = world.connect().await;
    let all =
        [parse("", "insert"), describe("S", ""), bind("", "", &[]), describe("P", ""), sync()];
    assert_eq!(client.ask(&all.concat(), "Z:").await, ["1", "t:[]", "n", "2", "n", "Z:I"]);
    let all = [parse("", ""), bind("", "", &[]), execute("", 0), sync()];
    assert_eq!(client.ask(&all.concat(), "Z:").await, ["1", "2", "I", "Z:I"]);
}

/// A client that sends without reading until it is done would wait for us while we wait for it, if we did
/// not read while writing. (npgsql, pgjdbc and psycopg's pipelines all do.)
#[tokio::test]
async fn a_client_that_only_writes_does_not_deadlock() {
    let world = World::new();
    let mut client = world.connect_raw(4096);
    client.send(&startup(0x30000, &[("user", "u"), ("database", "terrane")])).await;
    client.until("Z:I").await;
    let one = [bind("", "s", &[]), execute("", 0)].concat();
    client.send(&parse("s", "rows 300")).await;
    let mut all = one.repeat(2000);
    all.extend(sync());
    // More than the pipe and all buffers hold on the way back.
    client.send(&all).await;
    let words = client.until("Z:").await;
    assert_eq!(words.len(), 1 + 2000 * 302 + 1);
}

#[test]
fn messages_share_their_frame() {
    use terrane_sql::wire::frontend::Message;
    let bytes = Bytes::from(bind("p", "s", &[Some("value")])).slice(5..);
    let Message::Bind(bind) = Message::parse(b'B', bytes.clone()).unwrap() else { panic!() };
    let value = bind.parameters[0].as_ref().unwrap();
    let range = bytes.as_ptr_range();
    assert!(range.contains(&value.as_ptr()));
    assert!(range.contains(&bind.portal.as_ptr()));
}
