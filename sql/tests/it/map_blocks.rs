//! Map columns in blocks: rows that a block has written without reading their maps read as they do where every statement
//! commits. Random statements run on two databases, in blocks on the one; after each both show the same.

use crate::harness::{Client, Frontend};
use crate::random::Random;

const TABLES: &str = "
    create table t (id int primary key, n int not null check (n < 1000), m hstore, k map(text, int), u int unique);
    insert into t values (1, 1, 'a=>1, b=>2, c=>3', '{\"a\": 1, \"b\": 2}', 1), (2, 2, '', '{}', 2),
        (3, 3, 'z=>26', '{\"c\": 3}', null);
";

/// `#` is a row, `%` a key, `$` a number.
const STATEMENTS: &[&str] = &[
    "update t set n = n + 1",
    "update t set n = $ where id = #",
    "update t set m['%'] = '$' where id = #",
    "update t set m['%'] = '$'",
    "update t set m['%'] = m -> '%' where id = #",
    "update t set m['%'] = m -> '%', n = n + 1",
    "update t set k['%'] = coalesce(k['%'], 0) + $ where id = #",
    "update t set k['%'] = coalesce(k['%'], 0) + $",
    "update t set m = m || '%=>$, %=>NULL' where id = #",
    "update t set m = delete(m, '%') where id = #",
    "update t set m = m - '%', k = k - '%'",
    "update t set m = 'x=>$' where id = #",
    "update t set m = m || hstore('%', n::text) where id = #",
    "update t set m = NULL where id = #",
    "update t set n = n + 1 where m -> '%' is not null",
    "update t set n = n + 1, m['%'] = 'y' where k['%'] > 1",
    "update t set n = 2000 where id = #",
    "update t set m['%'] = 'q', n = 2000",
    "update t set u = $ where id = #",
    "update t set m['%'] = m -> '%' || 'r' returning id, m, k",
    "update t set id = id + 10 where id = #",
    "update t set id = id - 10 where id > 10",
    "delete from t where id = #",
    "delete from t where m ? '%'",
    "insert into t values (#, $, '%=>new', '{\"%\": $}', null)",
    "insert into t values (#, $, '%=>up') on conflict (id) do update set m = t.m || excluded.m, n = excluded.n",
    "insert into t values (#, $, '%=>no') on conflict do nothing",
    "with c as (update t set m['%'] = 'w' where id = # returning m) select m from c",
];

const QUERIES: &[&str] = &[
    "select * from t order by id",
    "select id, m -> '%', k ? '%', n from t order by id",
    "select id from t where m -> '%' is not null order by id",
    "select m from t where id = #",
    "select n, k -> '%' from t where id = # and m ? '%'",
    "select id, key, value from t, each(m) where key >= '%' order by id, key",
    "select count(*) from t a join t b on a.m = b.m",
];

fn spelled(random: &mut Random, statement: &str) -> String {
    let mut out = String::new();
    for character in statement.chars() {
        match character {
            '#' => out.push_str(&(1 + random.below(4)).to_string()),
            '$' => out.push_str(&random.below(50).to_string()),
            '%' => out.push_str(random.one(&["a", "b", "c", "d"])),
            other => out.push(other),
        }
    }
    out
}

struct Pair {
    blocks: Client,
    alone: Client,
}

impl Pair {
    /// The answers to a statement, which must be the same; true where it succeeded.
    async fn same(&mut self, sql: &str, done: &[String]) -> bool {
        let told = |answer: Result<Vec<String>, terrane_sql::error::SqlError>| {
            answer.map_err(|error| format!("{} {error} {:?}", error.state.0, error.detail))
        };
        let blocks = told(self.blocks.run(sql).await);
        let alone = told(self.alone.run(sql).await);
        assert_eq!(blocks, alone, "{sql}\nafter {done:#?}");
        alone.is_ok()
    }
}

async fn agree(seed: u64, isolation: &str) {
    let mut random = Random(seed);
    let (one, other) = (Frontend::new().await, Frontend::new().await);
    let mut pair = Pair { blocks: one.connect().await, alone: other.connect().await };
    pair.blocks.ok(TABLES).await;
    pair.alone.ok(TABLES).await;
    for _ in 0..12 {
        pair.blocks.ok(&format!("begin isolation level {isolation}")).await;
        let mut done = Vec::new();
        for _ in 0..12 {
            // An error would end the block; what is taken back here is not run there.
            pair.blocks.ok("savepoint s").await;
            if random.below(6) == 0 {
                let statement = random.one(STATEMENTS);
                let taken_back = spelled(&mut random, statement);
                let _ = pair.blocks.run(&taken_back).await;
                pair.blocks.ok("rollback to s").await;
            }
            let statement = random.one(STATEMENTS);
            let sql = spelled(&mut random, statement);
            done.push(sql.clone());
            if !pair.same(&sql, &done).await {
                pair.blocks.ok("rollback to s").await;
            }
            let query = random.one(QUERIES);
            let query = spelled(&mut random, query);
            pair.same(&query, &done).await;
        }
        pair.blocks.ok("commit").await;
        pair.same("select * from t order by id", &done).await;
    }
}

#[tokio::test]
async fn maps_that_a_block_has_not_read_are_as_if_it_had() {
    for seed in 0..6 {
        agree(seed, "read committed").await;
        agree(1000 + seed, "repeatable read").await;
    }
}
