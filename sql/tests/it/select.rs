//! Queries without tables: literals, operators and casts mean what they mean in PostgreSQL.

use crate::harness::Frontend;

#[tokio::test(flavor = "multi_thread")]
async fn literals_and_operators() {
    let mut client = Frontend::new().await.connect().await;
    for (sql, expected) in [
        ("select 1", "1"),
        ("select 1 + 1, 7 / 2, -7 / 2, 7 % 3, 2 * 3 - 1", "2|3|-3|1|5"),
        ("select 1.50 + 1, 10 / 4.0, 1.5 * 1.5", "2.50|2.5000000000000000|2.25"),
        ("select 'a' || 'b', 'a' || 1", "ab|a1"),
        ("select null + 1, null = 1, null is null", "NULL|NULL|t"),
        ("select '2001-02-03'::date + 1, date '2001-03-01' - date '2001-02-01'", "2001-02-04|28"),
        ("select timestamp '2001-01-31' + interval '1 month'", "2001-02-28 00:00:00"),
        ("select cast(2.5 as int), 2.5::float8::int, '17'::int", "3|2|17"),
        ("select 'abcdef'::varchar(3), true::text, 1.0::float8::text", "abc|true|1"),
        ("select case when 1 = 1 then 'x' else 'y' end", "x"),
        ("select 1 = '1', 2 in (1, 2, 3), 5 between 1 and 4", "t|t|f"),
        ("select count(*), sum(x), min(x) from (values (1), (2), (3)) v(x)", "3|6|1"),
        ("values (1, 'a'), (2, 'b') order by 1 desc limit 1", "2|b"),
    ] {
        let lines = client.ok(sql).await;
        assert_eq!(lines[0], expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_postgresql_states() {
    let mut client = Frontend::new().await.connect().await;
    for (sql, state) in [
        ("select 1 / 0", "22012"),
        ("select 1.0 / 0", "22012"),
        ("select 1::float8 / 0", "22012"),
        ("select 2147483647 + 1", "22003"),
        ("select 9223372036854775807 + 1", "22003"),
        ("select 'x'::int", "22P02"),
        ("select 1 = 'x'", "22P02"),
        ("select 'a' + date '2001-01-01'", "22007"),
        ("select x", "42703"),
        ("select * from nowhere", "42P01"),
        ("select nowhere(1)", "42883"),
        ("select 1 from (select 1) a, (select 2) a", "42712"),
        ("selec 1", "42601"),
        ("select count(*) from (values (1)) v(x) for update", "0A000"),
        ("select x from (values (1)) v(x) for update nowait", "0A000"),
        ("select 1::nowhere", "42704"),
    ] {
        match client.run(sql).await {
            Ok(lines) => panic!("{sql} answered {lines:?}"),
            Err(error) => assert_eq!(error.state.0, state, "{sql}: {error}"),
        }
    }
}
