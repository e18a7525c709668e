//! COPY through a session: rows go through the same checks as INSERT's, and a COPY that fails leaves nothing
//! behind, be it alone, in a block, or given up by its client.

use crate::harness::{Client, Frontend};

async fn session() -> Client {
    Frontend::new().await.connect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn text_csv_and_column_lists() {
    let mut client = session().await;
    client.ok("create table t (a int primary key, b text, c numeric(6,2) default 1.5)").await;
    for cut in [1, 7, 1000] {
        client.ok("truncate t").await;
        let data = "1\tone\t2.25\n2\t\\N\t\\N\n3\ta\\tb\t0\n\\.\n";
        assert_eq!(client.copy("copy t from stdin", data, cut).await.unwrap(), "COPY 3");
        let csv = "b,a\n\"x,\"\"y\",4\n,5\n";
        let sql = "copy t (b, a) from stdin with (format csv, header match)";
        assert_eq!(client.copy(sql, csv, cut).await.unwrap(), "COPY 2");
        assert_eq!(
            client.ok("select * from t order by a").await,
            ["1|one|2.25", "2|NULL|NULL", "3|a\tb|0.00", "4|x,\"y|1.50", "5|NULL|1.50", "SELECT 5"]
        );
    }
    let out = client.ok("copy t (a, b) to stdout").await.concat();
    assert_eq!(out.matches("d\0\0\0").count(), 5);
    assert!(out.contains("3\ta\\tb\n"), "{out:?}");
    let out = client.ok("copy (select count(*) as n from t) to stdout csv header").await.concat();
    assert!(out.contains("n\n") && out.contains("5\n"), "{out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_constraint_is_checked_and_names_its_line() {
    let mut client = session().await;
    client
        .ok("create table t (a int primary key, b int not null check (b > 0), c text unique, \
             d text check (length(d) < 4))")
        .await;
    client.ok("insert into t values (1, 1, 'x', 'd')").await;
    for (data, state, context) in [
        ("2\t1\ty\td\n1\t1\tz\td\n", "23505", "COPY t, line 2"),
        ("2\t1\ty\td\n2\t1\tz\td\n", "23505", "COPY t, line 2"),
        ("2\t1\ty\td\n3\t1\tx\td\n", "23505", "COPY t, line 2"),
        ("2\t1\ty\td\n3\t1\ty\td\n", "23505", "COPY t, line 2"),
        ("2\t\\N\ty\td\n", "23502", "COPY t, line 1"),
        ("\\N\t1\ty\td\n", "23502", "COPY t, line 1"),
        ("2\t0\ty\td\n", "23514", "COPY t, line 1"),
        ("2\t1\ty\tlong\n", "23514", "COPY t, line 1"),
        ("2\tx\ty\td\n", "22P02", "COPY t, line 1, column b: \"x\""),
        ("2\t1\ty\n", "22P04", "COPY t, line 1: \"2\t1\ty\""),
    ] {
        for block in [false, true] {
            if block {
                client.ok("begin").await;
            }
            let error = client.copy("copy t from stdin", data, 5).await.unwrap_err();
            assert_eq!(error.state.0, state, "{data:?}: {error}");
            assert_eq!(error.context.as_deref(), Some(context), "{data:?}: {error}");
            assert_eq!(error.hint, None);
            if block {
                assert_eq!(client.fails("select 1").await, "25P02");
                client.ok("rollback").await;
            }
            assert_eq!(client.ok("select * from t").await, ["1|1|x|d", "SELECT 1"], "{data:?}");
        }
    }
    let sql = "copy t from stdin";
    client.copy(sql, "2\t1\t\\N\t\\N\n3\t1\t\\N\tabc\n", 4).await.unwrap();
    assert_eq!(client.fails("insert into t values (4, 1, 'x')").await, "23505");
    assert_eq!(client.ok("select count(*) from t").await[0], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_serial_and_defaults_are_filled_in() {
    let mut client = session().await;
    client
        .ok("create table t (id serial primary key, i int generated always as identity, \
             v text, at date default '2020-02-29', n int default 2 + 3)")
        .await;
    client.copy("copy t (v) from stdin", "x\ny\n", 100).await.unwrap();
    client.copy("copy t (v, i, id) from stdin", "z\t70\t80\n", 100).await.unwrap();
    assert_eq!(
        client.ok("select id, i, v, n, at from t order by id").await,
        ["1|1|x|5|2020-02-29", "2|2|y|5|2020-02-29", "80|70|z|5|2020-02-29", "SELECT 3"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_keeps_the_rows_it_is_true_for() {
    let mut client = session().await;
    client.ok("create table t (a int, b text default 'd')").await;
    let sql = "copy t (a) from stdin where a % 2 = 0 and b = 'd'";
    assert_eq!(client.copy(sql, "1\n2\n\\N\n4\n", 100).await.unwrap(), "COPY 2");
    assert_eq!(client.ok("select a from t order by a").await, ["2", "4", "SELECT 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_see_it_and_can_take_it_back() {
    let frontend = Frontend::new().await;
    let (mut client, mut other) = (frontend.connect().await, frontend.connect().await);
    client.ok("create table t (a int primary key)").await;
    client.ok("begin; insert into t values (1)").await;
    client.copy("copy t from stdin", "2\n3\n", 100).await.unwrap();
    client.ok("savepoint s").await;
    client.copy("copy t from stdin", "4\n", 100).await.unwrap();
    assert_eq!(client.ok("select count(*) from t").await[0], "4");
    assert_eq!(other.ok("select count(*) from t").await[0], "0");
    client.ok("rollback to s").await;
    assert_eq!(client.ok("select count(*) from t").await[0], "3");
    client.ok("commit").await;
    assert_eq!(other.ok("select a from t order by a").await, ["1", "2", "3", "SELECT 3"]);
    let error = client.copy_fail("copy t from stdin", "7\n8\n").await;
    assert_eq!(error.state.0, "57014");
    assert_eq!(other.ok("select count(*) from t").await[0], "3");
}

/// Rule 31: rows for a table made or emptied in the block need no buffer, and are invisible until COMMIT.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_the_block_takes_any_number_of_rows() {
    let frontend = Frontend::new().await;
    let (mut client, mut other) = (frontend.connect().await, frontend.connect().await);
    let rows = 20_000;
    // More than a block may buffer.
    let pad = "p".repeat(4_000);
    let data: String = (0..rows).map(|a| format!("{a}\t{pad}\n")).collect();
    client.ok("create table t (a int primary key, b text)").await;
    client.ok("insert into t values (-1, 'before')").await;
    client.ok("begin").await;
    let error = client.copy("copy t from stdin", &data, 1 << 16).await.unwrap_err();
    assert_eq!(error.state.0, "54000");
    client.ok("rollback").await;
    for end in ["rollback", "commit"] {
        client.ok("begin; truncate t").await;
        let tag = client.copy("copy t from stdin with (freeze on)", &data, 1 << 16).await.unwrap();
        assert_eq!(tag, format!("COPY {rows}"));
        assert_eq!(client.ok("select count(*) from t").await[0], rows.to_string());
        assert_eq!(other.ok("select count(*) from t").await[0], "1");
        client.ok(end).await;
    }
    assert_eq!(other.ok("select count(*), min(a) from t").await[0], format!("{rows}|0"));
    // A savepoint from before is a place to come back to.
    client.ok("begin; savepoint s; create table u (a int)").await;
    client.copy("copy u from stdin", "1\n", 100).await.unwrap();
    client.ok("savepoint s2").await;
    client.copy("copy u from stdin", "2\n", 100).await.unwrap();
    client.ok("rollback to s2").await;
    assert_eq!(client.ok("select * from u").await, ["1", "SELECT 1"]);
    client.ok("rollback to s; commit").await;
    assert_eq!(other.fails("select * from u").await, "42P01");
}

/// Rule 31: a COPY that is a transaction of its own and too large for one goes on in batches, and its
/// error says how many rows stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_copy_says_what_stays_of_it() {
    let mut client = session().await;
    client.ok("create table t (a int primary key, b text)").await;
    let pad = "p".repeat(8_000);
    let rows = 12_000;
    let mut data: String = (0..rows).map(|a| format!("{a}\t{pad}\n")).collect();
    data.push_str("0\tagain\n");
    let error = client.copy("copy t from stdin", &data, 1 << 16).await.unwrap_err();
    assert_eq!(error.state.0, "23505");
    assert_eq!(error.context, Some(format!("COPY t, line {}", rows + 1)));
    let stays: u64 = client.ok("select count(*) from t").await[0].parse().unwrap();
    assert!(stays > 0 && stays <= rows);
    let hint = error.hint.clone().unwrap();
    assert!(hint.starts_with(&format!("The first {stays} rows were applied")), "{hint}");
    // The first ones, without a gap.
    assert_eq!(client.ok("select max(a) + 1 from t").await[0], stays.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_statements_of_a_message_are_one_transaction() {
    let mut client = session().await;
    client.ok("create table t (a int primary key)").await;
    assert_eq!(client.fails("copy t from stdin; select 1 / 0").await, "22012");
    assert_eq!(
        client.ok("copy t from stdin; select 1; copy t to stdout").await,
        ["COPY 0", "1", "SELECT 1", "", ""]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_says_so() {
    let mut client = session().await;
    client.ok("create table t (a int); create view v as select a from t").await;
    for (sql, state) in [
        ("copy nowhere from stdin", "42P01"),
        ("copy nowhere to stdout", "42P01"),
        ("copy t (b) from stdin", "42703"),
        ("copy t (a, a) from stdin", "42701"),
        ("copy v to stdout", "42809"),
        ("copy v from stdin", "42809"),
        ("copy t from '/etc/passwd'", "0A000"),
        ("copy t to program 'true'", "0A000"),
        ("copy t from stdin (format nonsense)", "22023"),
        ("copy t from stdin csv quote 'ab'", "0A000"),
        ("copy t from stdin where nowhere = 1", "42703"),
        ("copy t from stdin where a", "42804"),
        ("copy (select 1) from stdin", "42601"),
        ("copy (insert into t values (1)) to stdout", "0A000"),
        ("begin read only; copy t from stdin", "25006"),
    ] {
        assert_eq!(client.fails(sql).await, state, "{sql}");
        client.ok("rollback").await;
    }
}
