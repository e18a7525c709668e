//! The fast road answers as the general one: random point statements, in autocommit and in blocks, run on two
//! databases of which one has the fast road turned off. Everything must be the same: columns, bytes of
//! rows in both formats, tags, and errors with their texts.

use crate::harness::{Client, Frontend};
use crate::random::Random;
use terrane_sql::session::format::Formats;
use terrane_sql::types::oid;

const TABLES: &str = "
    create table t (
        a int, b text, c bigint default 7 check (c < 1000), d numeric(10,2), e varchar(5),
        f boolean not null default true, g timestamptz, h float8, u uuid, i smallint, j jsonb,
        k char(3), l bytea, m date, n numeric, o int[], p interval, primary key (a, b desc));
    create table k (id bigint primary key, n int not null, s text unique);
    create table h (x int, y text default 'why');
    create table s (id serial primary key, v text, w timestamptz default '2001-02-03 04:05:06+00');
    create table v (id varchar(4) primary key, \"Mixed\" int);
    create schema other;
    create table other.t (a int primary key, z text);
";

/// What a parameter may be: how its values look, and which types a client may say it has.
#[derive(Clone, Copy)]
enum Kind {
    Int,
    Text,
    Other(u32, &'static [&'static str]),
}

fn parameter(random: &mut Random, kind: Kind) -> (u32, Option<String>) {
    let (types, values): (&[u32], &[&str]) = match kind {
        Kind::Int => (
            &[0, 0, oid::INT2, oid::INT4, oid::INT8],
            &["0", "1", "2", "3", "1", "2", "-1", "32768", "99", "x"],
        ),
        Kind::Text => {
            (&[0, 0, oid::TEXT, oid::VARCHAR], &["x", "y", "", "zz", "Å", "too long", "x   ", "1"])
        }
        Kind::Other(type_oid, values) => (&[0, type_oid][..], values),
    };
    let type_oid = types[random.below(types.len())];
    let value = (random.below(12) > 0).then(|| random.one(values).to_owned());
    (type_oid, value)
}

const STATEMENTS: &[(&str, &[Kind])] = {
    use Kind::{Int, Other, Text};
    const BOOL: Kind = Other(oid::BOOL, &["t", "false", "on"]);
    const NUMERIC: Kind = Other(oid::NUMERIC, &["1.005", "-2", "12345678.9", "123456789.01"]);
    const FLOAT: Kind = Other(oid::FLOAT8, &["1.5", "NaN", "-0", "1e300"]);
    const TIME: Kind = Other(oid::TIMESTAMPTZ, &["2001-02-03 04:05:06+01", "2020-01-01"]);
    const UUID: Kind = Other(oid::UUID, &["5e0e7a44-9c1c-4a3b-8f43-1c1c1c1c1c1c"]);
    const JSON: Kind = Other(oid::JSONB, &["{\"b\": 1, \"a\": [null]}", "3", "{"]);
    const BYTES: Kind = Other(oid::BYTEA, &["\\x00ff", "abc"]);
    const DATE: Kind = Other(oid::DATE, &["2001-02-03", "2001-02-30"]);
    const ARRAY: Kind = Other(1007, &["{1,NULL,3}", "{}"]);
    const SPAN: Kind = Other(oid::INTERVAL, &["1 day 02:03", "-1 mon"]);
    &[
        ("select * from t where a = $1 and b = $2", &[Int, Text]),
        ("select * from t where b = $2 and (a = $1)", &[Int, Text]),
        ("select a, b, b, c as \"Cc\", t.h from t where $1 = t.a and b = $2", &[Int, Text]),
        ("select x.e e1, x.c from t x where x.a = $1 and x.b = $2 and c > $3", &[Int, Text, Int]),
        (
            "select d from t where a = $1 and b = $2 and (f or c between 3 and $3)",
            &[Int, Text, Int],
        ),
        ("select c from t where a = 1 and b = 'x'", &[]),
        ("select c from t where a = -1 and b = ''", &[]),
        ("select c from t where a = '2' and b = 'y' and e is null", &[]),
        ("select c from t where a = 1 and a = $1 and b = $2", &[Int, Text]),
        ("select c from t where a = 99999999999 and b = 'y'", &[]),
        ("select c from t where a = null and b = $1", &[Text]),
        ("select t.c from t x where a = $1 and b = $2", &[Int, Text]),
        ("select nope from t where a = $1 and b = $2", &[Int, Text]),
        ("select c / (c - 7) from t where a = $1 and b = $2", &[Int, Text]),
        ("select count(*) from t where a = $1 and b = $2", &[Int, Text]),
        ("select c from t where a = $1 and b = $2 for update", &[Int, Text]),
        ("select c from t where a = $1 and b = $2 limit 0", &[Int, Text]),
        (
            "insert into t (a, b, c, d, e) values ($1, $2, $3, $4, $5)",
            &[Int, Text, Int, NUMERIC, Text],
        ),
        (
            "insert into t (b, a, f, g, h, u, i) values ($2, $1, $3, $4, $5, $6, $7)",
            &[Int, Text, BOOL, TIME, FLOAT, UUID, Int],
        ),
        (
            "insert into t (a, b, j, k, l, m, n) values ($1, $2, $3, $4, $5, $6, $7)",
            &[Int, Text, JSON, Text, BYTES, DATE, NUMERIC],
        ),
        ("insert into t (a, b, o, p) values ($1, $2, $3, $4)", &[Int, Text, ARRAY, SPAN]),
        ("insert into t (a, b) values ($1, $2), ($3, 'x'), (1, 'y')", &[Int, Text, Int]),
        ("insert into t (a, b, c) values (1, 'x', default), ($1, 'y', 5)", &[Int]),
        ("insert into t values ($1, $2, 1000)", &[Int, Text]),
        ("insert into t (a, b) values ($1, $2) returning *", &[Int, Text]),
        ("insert into t (a, b) values ($1, $2) on conflict do nothing", &[Int, Text]),
        ("update t set c = c + $3 where a = $1 and b = $2", &[Int, Text, Int]),
        ("update t set c = $3, e = $4, d = d * 2 where a = $1 and b = $2", &[Int, Text, Int, Text]),
        ("update t set e = $3 where a = $1 and b = $2 and c <> $4", &[Int, Text, Text, Int]),
        ("update t set f = $3, h = $4 where a = $1 and b = $2", &[Int, Text, BOOL, FLOAT]),
        ("update t set d = $3, i = $4 where a = $1 and b = $2", &[Int, Text, NUMERIC, Int]),
        ("update t set c = 100 / (c - 7) where a = $1 and b = $2", &[Int, Text]),
        ("update t set e = 'q', j = '[1]', c = default where a = $1 and b = $2", &[Int, Text]),
        ("update t set e = e || $3 where a = $1 and b = $2", &[Int, Text, Text]),
        ("update t set a = a + 1 where a = $1 and b = $2", &[Int, Text]),
        ("update t set c = 1, c = 2 where a = $1 and b = $2", &[Int, Text]),
        ("update t set c = 'x'::text where a = $1 and b = $2", &[Int, Text]),
        ("update t set c = c + 1 where a = $1 and b = $2 returning c", &[Int, Text]),
        ("delete from t where a = $1 and b = $2", &[Int, Text]),
        ("delete from t where a = $1 and b = $2 and (c < $3 or e = $4)", &[Int, Text, Int, Text]),
        ("insert into k values ($1, $2, $3)", &[Int, Int, Text]),
        ("update k set s = $2 where id = $1", &[Int, Text]),
        ("update k set n = n * $2 where id = $1", &[Int, Int]),
        ("delete from k where id = $1", &[Int]),
        ("select * from k where id = $1", &[Int]),
        ("insert into h values ($1, $2)", &[Int, Text]),
        ("insert into h (x) values ($1)", &[Int]),
        ("select * from h where x = $1 order by y", &[Int]),
        ("insert into s (v) values ($1)", &[Text]),
        ("insert into s (id, v) values ($1, $2)", &[Int, Text]),
        ("select * from s where id = $1", &[Int]),
        ("insert into v values ($1, $2)", &[Text, Int]),
        ("select \"Mixed\", id from v where id = $1", &[Text]),
        ("update v set \"Mixed\" = $2 where id = $1", &[Text, Int]),
        ("insert into other.t values ($1, $2)", &[Int, Text]),
        ("select z from other.t where a = $1", &[Int]),
        ("select o.z from other.t o where o.a = $1", &[Int]),
        ("select a, b, c from t where a > $1 and a <= $2 order by a, b", &[Int, Int]),
        ("select b from t where a = $1 order by b limit 2", &[Int]),
        ("select b from t where a = $1 order by b limit $2", &[Int, Int]),
        ("select f, count(*), sum(c) from t where b <> $1 group by f order by f", &[Text]),
        ("select t.a, k.n from t join k on t.a = k.id where k.n < $1 order by t.a, t.b", &[Int]),
        ("select a + $1, b || $2 from t where c in ($3, 7) order by a, b", &[Int, Text, Int]),
        ("select d::text, e::char(2), g::date from t where d >= $1 order by a, b", &[NUMERIC]),
        ("select (select max(n) from k where id < $1) from t where i = $1 order by a, b", &[Int]),
        ("select $1::text, $2::int + 1", &[Text, Int]),
        ("select now() = now(), a from t where h > $1 and g < $2 order by a, b", &[FLOAT, TIME]),
    ]
};

/// Statements between which the others stand.
const CONTROL: &[&str] = &[
    "begin",
    "begin",
    "commit",
    "commit",
    "rollback",
    "savepoint p",
    "rollback to p",
    "begin isolation level repeatable read",
    "set search_path = other, public",
    "reset search_path",
    "alter table k add column extra int default 5",
    "alter table k drop column extra",
];

struct Pair {
    fast: Client,
    general: Client,
}

impl Pair {
    async fn run(&mut self, sql: &str) {
        let fast = self.fast.run(sql).await.map_err(|error| error.to_string());
        let general = self.general.run(sql).await.map_err(|error| error.to_string());
        assert_eq!(fast, general, "{sql}");
    }
}

/// Runs one random statement on both; true where the fast road encoded its rows. The error is how they differ.
async fn one_statement(random: &mut Random, pair: &mut Pair) -> Result<bool, String> {
    let (sql, kinds) = STATEMENTS[random.below(STATEMENTS.len())];
    let (types, values): (Vec<u32>, Vec<Option<String>>) =
        kinds.iter().map(|kind| parameter(random, *kind)).unzip();
    let formats = if random.below(2) == 0 { Formats::TEXT } else { Formats::BINARY };
    let alone = random.below(3) > 0;
    let (fast, packed) = pair.fast.execute(sql, &types, &values, formats.clone(), alone).await;
    let (general, never) = pair.general.execute(sql, &types, &values, formats, alone).await;
    assert!(!never, "{sql}: the fast road is turned off");
    let told = |answer: Result<_, terrane_sql::error::SqlError>| {
        answer.map_err(|error| {
            format!("{} {error} {:?} {:?}", error.state.0, error.detail, error.constraint)
        })
    };
    let (fast, general) = (told(fast), told(general));
    if fast != general {
        return Err(format!("{sql} {types:?} {values:?}\n  fast {fast:?}\n  general {general:?}"));
    }
    Ok(packed)
}

async fn agree(seed: u64, steps: usize) -> Result<usize, String> {
    let mut random = Random(seed);
    let (fast, general) = (Frontend::new().await, Frontend::new().await);
    let mut pair = Pair { fast: fast.connect().await, general: general.connect().await };
    pair.general.ok("set terrane.enable_point_road = off").await;
    pair.general.ok("set terrane.enable_plan_cache = off").await;
    pair.run(TABLES).await;
    let mut packed = 0;
    for _ in 0..steps {
        match random.below(12) {
            0 => pair.run(random.one(CONTROL)).await,
            _ => packed += usize::from(one_statement(&mut random, &mut pair).await?),
        }
    }
    let _ = (pair.fast.run("rollback").await, pair.general.run("rollback").await);
    pair.run("reset search_path").await;
    for table in
        ["t order by a, b", "k order by id", "s order by id", "v order by id", "other.t order by a"]
    {
        pair.run(&format!("select * from {table}")).await;
    }
    pair.run("select x, y, count(*) from h group by x, y order by x, y").await;
    Ok(packed)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_roads_answer_alike() {
    let (mut packed, mut differences) = (0, Vec::new());
    for seed in 0..40 {
        match agree(seed, 250).await {
            Ok(reads) => packed += reads,
            Err(how) => differences.push(format!("seed {seed}: {how}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(packed > 200, "only {packed} reads took the fast road");
}

/// A plan is looked at anew when the catalog changes under a prepared statement.
#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_follows_the_catalog() {
    let frontend = Frontend::new().await;
    let (mut one, mut two) = (frontend.connect().await, frontend.connect().await);
    one.ok("create table t (a int primary key, b int); insert into t values (1, 2)").await;
    let sql = "update t set b = b + 1 where a = $1";
    let one_row = [Some("1".to_owned())];
    for step in
        ["select 1", "alter table t add column c text default 'x'", "alter table t drop column c"]
    {
        two.ok(step).await;
        let (answer, _) = one.execute(sql, &[], &one_row, Formats::TEXT, true).await;
        assert_eq!(answer.unwrap().tag, "UPDATE 1", "{step}");
    }
    two.ok("truncate t").await;
    let (answer, _) = one.execute(sql, &[], &one_row, Formats::TEXT, true).await;
    assert_eq!(answer.unwrap().tag, "UPDATE 0");
    two.ok("drop table t").await;
    let (answer, _) = one.execute(sql, &[], &one_row, Formats::TEXT, true).await;
    assert_eq!(answer.unwrap_err().state.0, "42P01");
}

/// Each UPDATE of autocommit is evaluated under the row's lock: none is lost and none has to be repeated.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_updates_of_one_row_all_count() {
    let frontend = Frontend::new().await;
    let mut client = frontend.connect().await;
    client.ok("create table c (a int primary key, n int); insert into c values (1, 0)").await;
    let mut running = Vec::new();
    for _ in 0..8 {
        let mut client = frontend.connect().await;
        running.push(tokio::spawn(async move {
            for _ in 0..50 {
                let one_row = [Some("1".to_owned())];
                let sql = "update c set n = n + 1 where a = $1";
                let (answer, _) = client.execute(sql, &[], &one_row, Formats::TEXT, true).await;
                assert_eq!(answer.unwrap().tag, "UPDATE 1");
            }
        }));
    }
    for task in running {
        task.await.unwrap();
    }
    assert_eq!(client.ok("select n from c where a = 1").await[0], "400");
}
