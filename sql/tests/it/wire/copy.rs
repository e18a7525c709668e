//! COPY's sub-protocol: data in any cut, failures on either side, in both protocols.

use super::script::*;

#[tokio::test]
async fn data_in_any_cut() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(client.ask(&query("copyin"), "G:").await, ["G:[0, 0, 2, 0, 0, 0, 0]"]);
    let all = [
        copy_data("1\t"),
        copy_data("2\n3"),
        copy_data(""),
        flush(),
        sync(),
        copy_data("\t4\n"),
        message(b'c', &[]),
    ]
    .concat();
    for byte in all {
        client.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.until("Z:").await, ["C:COPY 2", "Z:I"]);
    assert_eq!(world.done(), ["run copyin", "copied \"1\\t2\\n3\\t4\\n\"", "sync"]);
}

#[tokio::test]
async fn the_client_gives_up() {
    let world = World::new();
    let mut client = world.connect().await;
    client.ask(&query("copyin"), "G:").await;
    client.send(&copy_data("1\t2\n")).await;
    let words = client.ask(&message(b'f', b"no more\0"), "Z:").await;
    assert_eq!(words, ["E:57014 COPY from stdin failed: no more", "Z:I"]);
    assert_eq!(world.done(), ["run copyin", "aborted", "failed 57014", "sync"]);
    assert_eq!(client.query("select 1").await.len(), 4);
}

#[tokio::test]
async fn data_that_does_not_parse_ends_it_and_the_rest_is_dropped() {
    let world = World::new();
    let mut client = world.connect().await;
    client.ask(&query("copyin"), "G:").await;
    // The client does not know yet that it failed, and sends on; one message is cut by the failure.
    let bad = format!("1\tbad\n{}", "x".repeat(200_000));
    let rest = [copy_data(&bad), copy_data("3\t4\n"), message(b'c', &[]), query("select 5")];
    client.send(&rest.concat()).await;
    assert_eq!(client.until("Z:").await, ["E:42601 bad data", "Z:I"]);
    assert_eq!(client.until("Z:").await, ["T:[n]", "D:[5]", "C:SELECT 1", "Z:I"]);
    assert_eq!(
        world.done(),
        ["run copyin", "aborted", "failed 42601", "sync", "run select 5", "sync"]
    );
}

#[tokio::test]
async fn in_the_extended_protocol_an_error_skips_to_sync() {
    let world = World::new();
    let mut client = world.connect().await;
    let open = [parse("", "copyin"), bind("", "", &[]), execute("", 0), sync()].concat();
    client.ask(&open, "G:").await;
    let rest = [copy_data("1\tbad\n"), copy_data("x"), message(b'c', &[]), sync()].concat();
    client.send(&rest).await;
    assert_eq!(client.until("Z:").await, ["E:42601 bad data", "Z:I"]);
    client.ask(&open, "G:").await;
    let rest = [copy_data("1\t2\n"), message(b'c', &[]), sync()].concat();
    assert_eq!(client.ask(&rest, "Z:").await, ["C:COPY 1", "Z:I"]);
}

#[tokio::test]
async fn another_message_in_between_is_an_error() {
    let world = World::new();
    let mut client = world.connect().await;
    client.ask(&query("copyin"), "G:").await;
    let words = client.ask(&query("select 1"), "Z:").await;
    assert_eq!(words, ["E:08P01 unexpected message type 0x51 during COPY from stdin", "Z:I"]);
}

#[tokio::test]
async fn a_client_that_disappears_leaves_nothing() {
    let world = World::new();
    let mut client = world.connect().await;
    client.ask(&query("copyin"), "G:").await;
    client.send(&copy_data("1\t2\n")).await;
    let Client { stream, task, .. } = client;
    drop(stream);
    task.await.unwrap();
    assert_eq!(world.done(), ["run copyin", "aborted", "failed 08006", "close"]);
}

#[tokio::test]
async fn a_message_of_many_megabytes_is_not_collected() {
    let world = World::new();
    let mut client = world.connect().await;
    client.ask(&query("copyin"), "G:").await;
    let line = "12345678\t12345678\n";
    let data = line.repeat(200_000);
    client.send(&[copy_data(&data), message(b'c', &[])].concat()).await;
    assert_eq!(client.until("Z:").await, ["C:COPY 200000", "Z:I"]);
    assert_eq!(world.done()[1], format!("copied \"{} bytes\"", data.len()));
}

#[tokio::test]
async fn out() {
    let world = World::new();
    let mut client = world.connect().await;
    assert_eq!(
        client.query("copyout 2").await,
        [
            "H:[0, 0, 2, 0, 0, 0, 0]",
            "d:[49, 9, 50, 10]",
            "d:[49, 9, 50, 10]",
            "c",
            "C:COPY 2",
            "Z:I"
        ]
    );
    assert_eq!(client.query("copyout 50000").await.len(), 50_004);
}
