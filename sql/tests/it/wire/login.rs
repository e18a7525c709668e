//! Login: encryption requests, versions, databases, the limit of connections, passwords.

use super::fake::FakeService;
use super::script::*;
use terrane_sql::wire::auth;
use terrane_sql::wire::server::ServerConfig;
use tokio::io::AsyncReadExt;

const U: &[(&str, &str)] = &[("user", "u"), ("database", "terrane")];

#[tokio::test]
async fn encryption_is_declined_and_login_goes_on() {
    let world = World::new();
    let mut client = world.connect_raw(1 << 12);
    for code in [80_877_104_u32, 80_877_103] {
        client.send(&[8_u32.to_be_bytes(), code.to_be_bytes()].concat()).await;
        assert_eq!(client.stream.read_u8().await.unwrap(), b'N');
    }
    client.send(&startup(0x30000, U)).await;
    assert_eq!(client.until("Z:").await, ["R:0", "S:server_version=15.0", "S:user=u", "K:", "Z:I"]);
    // Asked again, it is no client.
    let mut client = world.connect_raw(1 << 12);
    let ssl = [8_u32.to_be_bytes(), 80_877_103_u32.to_be_bytes()].concat();
    client.send(&ssl).await;
    assert_eq!(client.stream.read_u8().await.unwrap(), b'N');
    client.send(&ssl).await;
    assert_eq!(
        client.rest().await,
        ["E:FATAL 0A000 unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2"]
    );
    // Bytes behind an SSL request may be another's.
    let mut client = world.connect_raw(1 << 12);
    client.send(&[ssl, startup(0x30000, U)].concat()).await;
    assert_eq!(client.rest().await, ["E:FATAL 08P01 received unencrypted data after SSL request"]);
}

#[tokio::test]
async fn versions() {
    let world = World::new();
    let mut client = world.connect_raw(1 << 12);
    client.send(&startup(0x30002, U)).await;
    assert_eq!(client.until("Z:").await[0], "R:0");
    assert_eq!(client.key.1.len(), 32);
    let mut client = world.connect_raw(1 << 12);
    client.send(&startup(0x3270f, &[U, &[("_pq_.x", "1")]].concat())).await;
    let words = client.until("Z:").await;
    assert_eq!(words[0], format!("v:{:?}", b"\0\x03\0\x02\0\0\0\x01_pq_.x\0"));
    for version in [0x20000, 0x40000] {
        let mut client = world.connect_raw(1 << 12);
        client.send(&startup(version, U)).await;
        assert!(client.rest().await[0].starts_with("E:FATAL 0A000 unsupported frontend"));
    }
}

#[tokio::test]
async fn who_is_not_let_in() {
    let world = World::new();
    for (parameters, word) in [
        (&[][..], "E:FATAL 28000 no PostgreSQL user name specified in startup packet"),
        (&[("user", "u"), ("database", "x")], "E:FATAL 3D000 database \"x\" does not exist"),
        (&[("user", "u")], "E:FATAL 3D000 database \"u\" does not exist"),
        (
            &[("user", "u"), ("database", "terrane"), ("replication", "database")],
            "E:FATAL 0A000 replication connections are not supported",
        ),
        (
            &[("user", "u"), ("options", "-x")],
            "E:FATAL 42601 invalid command-line argument for server process: -x",
        ),
    ] {
        let mut client = world.connect_raw(1 << 12);
        client.send(&startup(0x30000, parameters)).await;
        assert_eq!(client.rest().await.last().unwrap(), word);
    }
    assert!(world.server.backends().list().is_empty());
}

#[tokio::test]
async fn one_connection_too_many() {
    let config = ServerConfig { connections_max: 2, ..ServerConfig::default() };
    let world = World::with(FakeService::default(), config);
    let first = world.connect().await;
    let second = world.connect().await;
    let mut third = world.connect_raw(1 << 12);
    third.send(&startup(0x30000, U)).await;
    assert_eq!(third.rest().await, ["E:FATAL 53300 sorry, too many clients already"]);
    drop(first.stream);
    first.task.await.unwrap();
    let fourth = world.connect().await;
    assert_ne!(fourth.key.0, second.key.0);
}

#[tokio::test]
async fn a_client_that_never_logs_in_is_dropped() {
    let config = ServerConfig {
        login_time_max: std::time::Duration::from_millis(30),
        ..ServerConfig::default()
    };
    let world = World::with(FakeService::default(), config);
    let mut client = world.connect_raw(1 << 12);
    client.send(&[0, 0]).await;
    assert!(client.rest().await.is_empty());
}

#[tokio::test]
async fn passwords() {
    let verifier = auth::verifier("sëcret", b"0123456789abcdef");
    let service = FakeService { verifier: Some(verifier), ..FakeService::default() };
    let world = World::with(service, ServerConfig::default());
    let connect = |password: &str| {
        let mut config = tokio_postgres::Config::new();
        config.user("u").dbname("terrane").password(password);
        let (near, far) = tokio::io::duplex(1 << 14);
        let server = world.server.clone();
        tokio::spawn(async move { server.serve_stream(far, None).await });
        async move { config.connect_raw(near, tokio_postgres::NoTls).await }
    };
    let (client, connection) = connect("sëcret").await.unwrap();
    tokio::spawn(connection);
    assert_eq!(client.simple_query("select 1").await.unwrap().len(), 3);
    let Err(error) = connect("wrong").await else { panic!("let in") };
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "28P01");
    assert_eq!(error.message(), "password authentication failed for user \"u\"");
}

#[tokio::test]
async fn malformed_passwords() {
    let verifier = auth::verifier("secret", b"0123456789abcdef");
    let service = FakeService { verifier: Some(verifier), ..FakeService::default() };
    let world = World::with(service, ServerConfig::default());
    let first = |mechanism: &str, length: i32, data: &str| {
        let mut body = [mechanism.as_bytes(), &[0]].concat();
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(data.as_bytes());
        message(b'p', &body)
    };
    for bytes in [
        query("select 1"),
        message(b'p', b""),
        message(b'p', &[b'x'; 5000]),
        first("PLAIN", 3, "abc"),
        first("SCRAM-SHA-256", -1, ""),
        first("SCRAM-SHA-256", 100, "abc"),
        first("SCRAM-SHA-256", 3, "abc"),
        first("SCRAM-SHA-256", 6, "n,,n=u"),
        first("SCRAM-SHA-256", 8, "n,,,r=,,"),
    ] {
        let mut client = world.connect_raw(1 << 14);
        client.send(&startup(0x30000, U)).await;
        assert_eq!(client.word().await.unwrap(), "R:10 SCRAM-SHA-256");
        client.send(&bytes).await;
        let words = client.rest().await;
        assert!(words[0].starts_with("E:FATAL 08P01"), "{words:?} for {bytes:?}");
    }
    // A proof that is nonsense.
    let mut client = world.connect_raw(1 << 14);
    client.send(&startup(0x30000, U)).await;
    client.word().await;
    client.send(&first("SCRAM-SHA-256", 15, "n,,n=u,r=abcdef")).await;
    assert!(client.word().await.unwrap().starts_with("R:11 r=abcdef"));
    client.send(&message(b'p', b"c=biws,r=abcdef,p=AAAA")).await;
    let words = client.rest().await;
    assert!(words[0].starts_with("E:FATAL 28P01"), "{words:?}");
}
