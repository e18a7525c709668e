//! Tables, changes of rows and blocks, as one session and as several.

use crate::harness::Frontend;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_creation_to_deletion() {
    let mut client = Frontend::new().await.connect().await;
    client
        .ok("create table t (a int primary key, b text not null default 'x', c numeric(8,2))")
        .await;
    assert_eq!(
        client.ok("insert into t values (1, 'one', 1.5), (2, 'two', null)").await,
        ["INSERT 0 2"]
    );
    assert_eq!(client.ok("insert into t (a) values (3)").await, ["INSERT 0 1"]);
    assert_eq!(
        client.ok("select * from t order by a desc").await,
        ["3|x|NULL", "2|two|NULL", "1|one|1.50", "SELECT 3"]
    );
    assert_eq!(client.ok("update t set c = coalesce(c, 0) + 1 where a < 3").await, ["UPDATE 2"]);
    assert_eq!(
        client.ok("delete from t where a = 2 returning a, b, c").await,
        ["2|two|1.00", "DELETE 1"]
    );
    assert_eq!(client.ok("select a, c from t").await, ["1|2.50", "3|NULL", "SELECT 2"]);
    client.ok("drop table t").await;
    assert_eq!(client.fails("select * from t").await, "42P01");
}

/// The statements DataFusion's own DML hooks answer by changing every row.
#[tokio::test(flavor = "multi_thread")]
async fn predicates_are_never_lost() {
    let mut client = Frontend::new().await.connect().await;
    client.ok("create table t (a int primary key, b int)").await;
    client.ok("insert into t select x, x % 3 from generate_series(1, 9) g(x)").await;
    client.ok("create table u (a int)").await;
    client.ok("insert into u values (1), (2), (99)").await;
    for (sql, tag, left) in [
        ("delete from t where false", "DELETE 0", "9"),
        ("delete from t where null", "DELETE 0", "9"),
        ("delete from t where a in (select a from u)", "DELETE 2", "7"),
        (
            "delete from t where exists (select 1 from u where u.a = 99 and t.a = 3)",
            "DELETE 1",
            "6",
        ),
        ("delete from t where a <> all (select a from u) and a = 4", "DELETE 1", "5"),
        ("delete from t x where x.a = 5", "DELETE 1", "4"),
        ("delete from t using u where u.a + 5 = t.a", "DELETE 2", "2"),
        ("update t set b = 7 where a not in (select a from u) and b = 100", "UPDATE 0", "2"),
        ("update t set b = u.a from u where u.a = 1 and t.a = 8", "UPDATE 1", "2"),
    ] {
        assert_eq!(client.ok(sql).await, [tag], "{sql}");
        assert_eq!(client.ok("select count(*) from t").await[0], left, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn constraints_have_their_states() {
    let mut client = Frontend::new().await.connect().await;
    client
        .ok("create table t (a int primary key, b int not null, c int check (c > 0), d text unique)")
        .await;
    client.ok("insert into t values (1, 1, 1, 'x')").await;
    for (sql, state) in [
        ("insert into t values (1, 2, 2, 'y')", "23505"),
        ("insert into t values (2, 2, 2, 'x')", "23505"),
        ("insert into t values (4, 4, 4, 'z'), (4, 4, 4, 'zz')", "23505"),
        ("insert into t values (2, null, 2, 'y')", "23502"),
        ("insert into t values (null, 1, 2, 'y')", "23502"),
        ("insert into t values (2, 2, 0, 'y')", "23514"),
        ("update t set c = -1", "23514"),
        ("update t set b = null", "23502"),
        ("insert into t values ('x', 1, 1, 'y')", "22P02"),
        ("insert into t (e) values (1)", "42703"),
        ("insert into t values (1, 2, 3, 'x', 5)", "42601"),
        ("update t set b = 'x'::text", "42804"),
    ] {
        assert_eq!(client.fails(sql).await, state, "{sql}");
    }
    assert_eq!(client.ok("select * from t").await, ["1|1|1|x", "SELECT 1"]);
    client.ok("create table k (a int primary key, n int)").await;
    client.ok("insert into k values (1, 10)").await;
    assert_eq!(
        client.ok("insert into k values (1, 0) on conflict do nothing").await,
        ["INSERT 0 0"]
    );
    let upsert =
        "insert into k values (1, 5), (2, 7) on conflict (a) do update set n = k.n + excluded.n";
    assert_eq!(client.ok(upsert).await, ["INSERT 0 2"]);
    assert_eq!(client.ok("select * from k").await, ["1|15", "2|7", "SELECT 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_sees_its_own_writes_and_others_do_not() {
    let frontend = Frontend::new().await;
    let (mut one, mut two) = (frontend.connect().await, frontend.connect().await);
    one.ok("create table t (a int primary key, b int)").await;
    one.ok("insert into t values (1, 1), (5, 5)").await;
    one.ok("begin; insert into t values (3, 3); update t set b = 9 where a = 1; delete from t where a = 5").await;
    assert_eq!(one.ok("select * from t order by a").await, ["1|9", "3|3", "SELECT 2"]);
    assert_eq!(two.ok("select * from t").await, ["1|1", "5|5", "SELECT 2"]);
    one.ok("savepoint s; insert into t values (4, 4)").await;
    assert_eq!(one.fails("insert into t values (4, 4)").await, "23505");
    assert_eq!(one.fails("select 1").await, "25P02");
    one.ok("rollback to s; insert into t values (6, 6); commit").await;
    assert_eq!(two.ok("select * from t").await, ["1|9", "3|3", "6|6", "SELECT 3"]);
    two.ok("begin; delete from t where a = 1; insert into t values (1, 100); commit").await;
    assert_eq!(one.ok("select b from t where a = 1").await[0], "100");
    one.ok("begin; delete from t; rollback").await;
    assert_eq!(one.ok("select count(*) from t").await[0], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_update_does_not_happen() {
    let frontend = Frontend::new().await;
    let (mut one, mut two) = (frontend.connect().await, frontend.connect().await);
    one.ok("create table c (a int primary key, n int); insert into c values (1, 0)").await;
    one.ok("begin; update c set n = n + 1").await;
    two.ok("begin; update c set n = n + 10; commit").await;
    one.ok("commit").await;
    assert_eq!(one.ok("select n from c").await[0], "11");
    // What was computed from what the block was told cannot be computed again.
    one.ok("begin; update c set n = (select max(n) from c) + 1").await;
    two.ok("update c set n = n + 1").await;
    assert_eq!(one.fails("commit").await, "40001");
    assert_eq!(one.ok("select n from c").await[0], "12");
}

#[tokio::test(flavor = "multi_thread")]
async fn staged_ddl_is_seen_inside_and_forgotten_by_rollback() {
    let frontend = Frontend::new().await;
    let (mut one, mut two) = (frontend.connect().await, frontend.connect().await);
    one.ok("begin; create table t (a serial primary key, b text)").await;
    one.ok("insert into t (b) values ('x'), ('y')").await;
    assert_eq!(two.fails("select * from t").await, "42P01");
    assert_eq!(one.ok("select * from t").await, ["1|x", "2|y", "SELECT 2"]);
    one.ok("rollback").await;
    assert_eq!(one.fails("select * from t").await, "42P01");
    one.ok("create table t (a int, b text); insert into t values (1, 'x')").await;
    one.ok("alter table t add column c int default 7").await;
    assert_eq!(two.ok("select * from t").await, ["1|x|7", "SELECT 1"]);
    one.ok("alter table t add primary key (a)").await;
    assert_eq!(one.fails("insert into t values (1, 'z', 3)").await, "23505");
    one.ok("create view v as select a, b from t where c = 7").await;
    assert_eq!(two.ok("select * from v").await, ["1|x", "SELECT 1"]);
    one.ok("create table w as select a + 1 as a2 from t").await;
    assert_eq!(one.ok("select * from w").await, ["2", "SELECT 1"]);
    one.ok("truncate t").await;
    assert_eq!(one.ok("select count(*) from t").await[0], "0");
}
