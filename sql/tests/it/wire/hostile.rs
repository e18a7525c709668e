//! Bad input: an error or a closed connection, and the server lives on.

use super::script::*;
use proptest::prelude::*;
use terrane_sql::wire::fuzz;

#[tokio::test]
async fn garbage_before_login_is_closed() {
    let world = World::new();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[255; 64],
        &[0, 0, 0, 7, 0, 3, 0],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        &[0, 0, 0x27, 0x11, 0, 3, 0, 0],
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &[0, 0, 0, 9, 4, 0xd2, 0x16, 0x2e, 1],
    ] {
        let mut client = world.connect_raw(1 << 12);
        client.send(bytes).await;
        assert!(client.rest().await.is_empty(), "{bytes:?}");
    }
    // A startup packet with no end in sight.
    for packet in [&b"user"[..], b"user\0", b"user\0u\0", b"user\0u\0\0x", b"user\0\xff\0\0"] {
        let mut client = world.connect_raw(1 << 12);
        let mut bytes = ((packet.len() + 8) as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(&[0, 3, 0, 0]);
        bytes.extend_from_slice(packet);
        client.send(&bytes).await;
        let words = client.rest().await;
        assert!(words[0].starts_with("E:FATAL "), "{words:?}");
    }
    assert_eq!(world.connect().await.query("select 1").await.len(), 4);
}

#[tokio::test]
async fn a_broken_frame_ends_the_connection() {
    let world = World::new();
    for bytes in [
        &[b'Q', 0x7f, 0xff, 0xff, 0xff][..],
        &[b'Q', 0xff, 0xff, 0xff, 0xff],
        &[b'Q', 0, 0, 0, 3],
        &[b'S', 0, 0, 0x40, 0],
        b"y\0\0\0\x04",
        b"\0\0\0\0\0\0",
        b"hello",
    ] {
        let mut client = world.connect().await;
        client.send(bytes).await;
        let words = client.rest().await;
        assert!(words[0].starts_with("E:FATAL 08P01 invalid"), "{words:?}");
        client.task.await.unwrap();
    }
    assert_eq!(world.connect().await.query("select 1").await.len(), 4);
}

#[tokio::test]
async fn half_a_message_is_waited_for_and_forgotten() {
    let world = World::new();
    for bytes in
        [&b"Q"[..], &[b'Q', 0, 0], &[b'Q', 0x3f, 0xff, 0xff, 0xff, b'x'], &parse("a", "b")[..7]]
    {
        let mut client = world.connect().await;
        client.send(bytes).await;
        let Client { stream, task, .. } = client;
        drop(stream);
        task.await.unwrap();
    }
    assert!(world.server.backends().list().is_empty());
}

#[tokio::test]
async fn a_malformed_body_is_an_error_of_its_own() {
    let world = World::new();
    let mut client = world.connect().await;
    for body in [
        &b""[..],
        b"p",
        b"p\0s\0",
        b"p\0s\0\0\x01",
        b"p\0s\0\xff\xff\0\0",
        b"p\0s\0\0\0\xff\xff\0\0",
        b"p\0s\0\0\0\0\x01\x7f\xff\xff\xff",
        b"p\0s\0\0\0\0\x01\x80\0\0\0",
        b"p\0s\0\0\x02\0\0\0\0\0\x01\0\0\0\0\0\0",
        b"p\0s\0\0\0\0\0\0\x01",
        b"p\0s\0\0\0\0\0\0\0x",
        b"\xff\0\0\0\0\0\0\0\0",
    ] {
        let words = client.ask(&[message(b'B', body), sync()].concat(), "Z:").await;
        assert_eq!(words.len(), 2, "{words:?}");
        let known = words[0].starts_with("E:08P01") || words[0].starts_with("E:22021");
        assert!(known, "{words:?}");
    }
    for (kind, body) in [
        (b'P', &b"a\0b"[..]),
        (b'P', b"a\0b\0\xff\xff"),
        (b'D', b""),
        (b'D', b"S"),
        (b'E', b"\0\0"),
        (b'C', b"Q\0"),
        (b'H', b"x"),
    ] {
        let words = client.ask(&[message(kind, body), sync()].concat(), "Z:").await;
        assert!(words[0].starts_with("E:08P01"), "{words:?}");
    }
    for body in [&b"no end"[..], b"", b"two\0ends\0", b"\xc3\x28\0"] {
        let words = client.ask(&message(b'Q', body), "Z:").await;
        assert!(words[0].starts_with("E:08P01") || words[0].starts_with("E:22021"), "{words:?}");
    }
    // A Sync with a body is still where skipping ends.
    let words = client.ask(&message(b'S', b"x"), "Z:").await;
    assert!(words[0].starts_with("E:08P01"));
    assert_eq!(client.query("select 1").await.len(), 4);
}

#[tokio::test]
async fn a_panic_ends_one_connection_only() {
    let world = World::new();
    let mut other = world.connect().await;
    let mut client = world.connect().await;
    client.send(&query("panic")).await;
    assert!(client.rest().await.is_empty());
    assert!(client.task.await.is_err());
    assert_eq!(other.query("select 1").await.len(), 4);
    assert_eq!(world.server.backends().list().len(), 1);
}

#[tokio::test]
async fn copy_messages_outside_of_copy_are_dropped() {
    let world = World::new();
    let mut client = world.connect().await;
    let all = [copy_data(&"x".repeat(300_000)), message(b'c', &[]), message(b'f', b"\0")];
    client.send(&all.concat()).await;
    assert_eq!(client.query("select 1").await.len(), 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz::fuzz_messages(&data);
        fuzz::fuzz_startup(&data);
    }

    #[test]
    fn any_body_is_survived(
        kind in proptest::sample::select(b"QPBDCESHXdcfpF".to_vec()),
        data in proptest::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..60),
    ) {
        fuzz::fuzz_messages(&message(kind, &data));
    }
}
