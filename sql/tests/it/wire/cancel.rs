//! What ends a statement from outside: cancel requests, timeouts, clients that go away, shutdown.

use super::fake::FakeService;
use super::script::*;
use std::time::Duration;
use terrane_sql::wire::server::ServerConfig;

fn cancel_packet(pid: i32, secret: &[u8]) -> Vec<u8> {
    let mut packet = ((12 + secret.len()) as u32).to_be_bytes().to_vec();
    packet.extend_from_slice(&80_877_102_u32.to_be_bytes());
    packet.extend_from_slice(&pid.to_be_bytes());
    packet.extend_from_slice(secret);
    packet
}

async fn request_cancel(world: &World, pid: i32, secret: &[u8]) {
    let mut other = world.connect_raw(1 << 10);
    other.send(&cancel_packet(pid, secret)).await;
    assert!(other.rest().await.is_empty());
}

#[tokio::test]
async fn a_cancel_request_ends_a_running_statement() {
    let world = World::new();
    let mut client = world.connect().await;
    let (pid, secret) = client.key.clone();
    assert_eq!(secret.len(), 4);
    client.send(&query("wait")).await;
    while world.journal.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // The wrong key does nothing, whatever its length.
    for wrong in [&[0; 4][..], &[1; 32], &secret[..3]] {
        if !wrong.is_empty() {
            request_cancel(&world, pid, wrong).await;
        }
    }
    request_cancel(&world, pid + 1, &secret).await;
    assert!(tokio::time::timeout(Duration::from_millis(30), client.word()).await.is_err());
    request_cancel(&world, pid, &secret).await;
    assert_eq!(
        client.until("Z:").await,
        ["E:57014 canceling statement due to user request", "Z:I"]
    );
    // A late one hits nothing.
    request_cancel(&world, pid, &secret).await;
    assert_eq!(client.query("select 1").await.len(), 4);
}

#[tokio::test]
async fn rows_that_stream_are_cancelled_too_even_if_nobody_reads() {
    let world = World::new();
    let mut client = world.connect().await;
    let (pid, secret) = client.key.clone();
    client.send(&query("endless")).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    request_cancel(&world, pid, &secret).await;
    let words = client.until("Z:").await;
    assert_eq!(
        words[words.len() - 2..],
        ["E:57014 canceling statement due to user request", "Z:I"]
    );
    // A stream that waits.
    client.send(&query("slowrows")).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    request_cancel(&world, pid, &secret).await;
    assert_eq!(client.until("Z:").await.len(), 3);
    // A COPY that waits for its client.
    client.ask(&query("copyin"), "G:").await;
    request_cancel(&world, pid, &secret).await;
    assert!(client.until("Z:").await[0].starts_with("E:57014"));
}

#[tokio::test]
async fn statement_timeout_covers_running_and_sending() {
    let world = World::new();
    let mut client = world.connect().await;
    client.query("timeout 40").await;
    for sql in ["wait", "endless", "slowrows", "copyin"] {
        let words = client.query(sql).await;
        assert_eq!(
            words[words.len() - 2..],
            ["E:57014 canceling statement due to statement timeout", "Z:I"],
            "{sql}"
        );
    }
    // Each statement of a message has its own time.
    assert_eq!(client.query("select 1; select 2; select 3").await.len(), 10);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_statement() {
    let world = World::new();
    for sql in ["wait", "slowrows", "endless"] {
        let mut client = world.connect().await;
        client.send(&query(sql)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Client { stream, task, .. } = client;
        drop(stream);
        tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
        let done = world.done();
        assert!(done.contains(&"failed 08006".to_owned()), "{sql} {done:?}");
        assert_eq!(done.last().unwrap(), "close");
    }
    assert!(world.server.backends().list().is_empty());
}

#[tokio::test]
async fn idle_too_long() {
    let world = World::new();
    let mut client = world.connect().await;
    client.send(&query("idletimeout 30")).await;
    let words = client.rest().await;
    assert_eq!(
        words.last().unwrap(),
        "E:FATAL 57P05 terminating connection due to idle-session timeout"
    );
    let mut client = world.connect().await;
    client.query("begin").await;
    client.send(&query("idletimeout 30")).await;
    let words = client.rest().await;
    assert!(words.last().unwrap().starts_with("E:FATAL 25P03"), "{words:?}");
}

#[tokio::test]
async fn termination_tells_idle_and_busy_clients() {
    let world = World::new();
    let mut idle = world.connect().await;
    let mut busy = world.connect().await;
    let mut streaming = world.connect().await;
    busy.send(&query("wait")).await;
    streaming.send(&query("slowrows")).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    for backend in world.server.backends().list() {
        assert!(world.server.backends().terminate(backend.pid));
    }
    for client in [&mut idle, &mut busy, &mut streaming] {
        assert_eq!(
            client.rest().await.last().unwrap(),
            "E:FATAL 57P01 terminating connection due to administrator command"
        );
    }
    assert!(!world.server.backends().terminate(1));
}

#[tokio::test]
async fn shutdown_ends_all_connections() {
    use terrane_sql::wire::server::listen;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = World::with(FakeService::default(), ServerConfig::default());
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let server = tokio::spawn(world.server.clone().serve(listener, shutdown.clone()));
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client.write_all(&startup(0x30000, &[("user", "u"), ("database", "terrane")])).await.unwrap();
    while world.server.backends().list().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    let text = String::from_utf8_lossy(&all);
    assert!(text.contains("57P01"), "{text}");
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
