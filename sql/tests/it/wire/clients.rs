//! Real clients over TCP: tokio-postgres here; psql and psycopg come with the whole server.

use super::fake::FakeService;
use super::script::{PATIENCE, World};
use futures::TryStreamExt;
use terrane_sql::wire::server::{ServerConfig, listen};
use tokio_postgres::{NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn tokio_postgres() {
    let world = World::with(FakeService::default(), ServerConfig::default());
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = tokio::spawn(world.server.clone().serve(listener, shutdown.clone()));

    let text = format!("host=127.0.0.1 port={} user=u dbname=terrane", address.port());
    let (mut client, connection) = ::tokio_postgres::connect(&text, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);

    let messages = client.simple_query("select 7; insert").await.unwrap();
    assert!(matches!(&messages[1], SimpleQueryMessage::Row(row) if row.get(0) == Some("7")));
    // Binary, by way of Describe.
    let rows = client.query("rows 1000", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|r| i64::from(r.get::<_, i32>(0))).sum::<i64>(), 500_500);
    assert_eq!(client.execute("update", &[]).await.unwrap(), 2);
    let error = client.query("fail", &[]).await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().hint(), Some("do not"));

    // A portal in parts, while other statements run in the same block.
    let block = client.transaction().await.unwrap();
    let portal = block.bind("rows 250", &[]).await.unwrap();
    assert_eq!(block.query_portal(&portal, 100).await.unwrap().len(), 100);
    assert_eq!(block.query("rows 10", &[]).await.unwrap().len(), 10);
    assert_eq!(block.query_portal(&portal, 100).await.unwrap().len(), 100);
    assert_eq!(block.query_portal(&portal, 100).await.unwrap().len(), 50);
    block.commit().await.unwrap();

    let parts: Vec<bytes::Bytes> =
        client.copy_out("copyout 3").await.unwrap().try_collect().await.unwrap();
    assert_eq!(parts.len(), 3);

    // Ten thousand statements in flight at once.
    let statement = client.prepare("rows 3").await.unwrap();
    let all = (0..10_000).map(|_| client.query(&statement, &[]));
    let all = futures::future::try_join_all(all).await.unwrap();
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), 30_000);

    let token = client.cancel_token();
    let waiting = client.query("wait", &[]);
    let cancel = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (answer, ()) = tokio::join!(waiting, cancel);
    assert_eq!(answer.unwrap_err().as_db_error().unwrap().code().code(), "57014");

    drop(client);
    tokio::time::timeout(PATIENCE, connection).await.unwrap().unwrap().unwrap();
    shutdown.cancel();
    tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
}
