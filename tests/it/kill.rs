//! Killed with -9 at any moment, in flushes and compactions above all: every acknowledged unit is there, none is
//! there twice, and of what was not acknowledged each unit is there whole or not at all.
//!
//! Before each start `terrane check --deep` looks at what the kill has left, and finds no error.
//!
//! Sixteen writers have keys of their own and so know what their rows must be: after each kill a writer's rows
//! are those before its last unit, or, where that was not answered, those after it. Rows count their updates,
//! shared counters count everyone's, and a table without a key has a row a unit: what is applied twice shows.
//!
//! `TERRANE_KILLS` says how often (20), `TERRANE_SEED` what is done (1). The moments are the machine's.

use crate::server::{Server, execute, rows, sqlstate, tables};
use crate::tools::assert_no_errors;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use terrane_env::random::SplitMix64;
use tokio_postgres::Client;

const WRITERS: i64 = 16;
/// Keys of one writer.
const KEYS: i64 = 250;
const COUNTERS: i64 = 4;
/// Kills of which this share should fall in a flush or compaction wait for one to begin.
const CHANCE_OF_TRIGGER: f64 = 0.7;
/// The least share of kills that fell in one.
const SHARE_IN_BACKGROUND_WORK: f64 = 0.25;

/// What one writer's rows are.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    /// Key -> value, and how often it was updated.
    rows: BTreeMap<i64, (i64, i64)>,
    /// The units in the table without a key, each once.
    journal: BTreeSet<i64>,
}

/// Statements that stand or fall together, and what they leave.
struct Unit {
    statements: Vec<(String, u64)>,
    after: State,
    counters: Vec<i64>,
    is_block: bool,
    /// A block in one message, not a message a statement.
    at_once: bool,
}

/// A writer, over all rounds.
struct Writer {
    number: i64,
    random: SplitMix64,
    /// Numbers values and units, none twice.
    next: i64,
    state: State,
    counted: [i64; COUNTERS as usize],
    acknowledged: u64,
}

/// What a writer was doing when the server went away: it may be done or not.
struct Unanswered {
    after: State,
    counters: Vec<i64>,
}

enum Answer {
    Done,
    NotApplied,
    Unknown,
}

impl Writer {
    fn value(&mut self) -> i64 {
        self.next += 1;
        self.number * 1_000_000_000 + self.next
    }

    fn id(&self, key: i64) -> i64 {
        self.number * 1_000_000 + key
    }

    fn insert(&mut self, keys: &[i64], unit: &mut Unit) {
        let mut tuples = Vec::new();
        for key in keys {
            let (id, value) = (self.id(*key), self.value());
            let pad = "p".repeat(self.random.below(1500) as usize);
            tuples.push(format!("({id}, {}, {value}, 0, '{pad}')", self.number));
            unit.after.rows.insert(id, (value, 0));
        }
        let statement = format!("insert into t values {}", tuples.join(", "));
        unit.statements.push((statement, keys.len() as u64));
    }

    /// A change of one key of its own: which depends on whether it has a row.
    fn change(&mut self, unit: &mut Unit) {
        let key = self.random.below(KEYS as u64) as i64;
        let id = self.id(key);
        let Some((value, updates)) = unit.after.rows.get(&id).copied() else {
            return self.insert(&[key], unit);
        };
        if self.random.chance(0.25) {
            unit.after.rows.remove(&id);
            unit.statements.push((format!("delete from t where id = {id}"), 1));
            return;
        }
        let new = self.value();
        unit.after.rows.insert(id, (new, updates + 1));
        // The condition on the old value: an update applied twice would find none.
        let text = format!("update t set v = {new}, n = n + 1 where id = {id} and v = {value}");
        unit.statements.push((text, 1));
    }

    fn unit(&mut self) -> Unit {
        let mut unit = Unit {
            statements: Vec::new(),
            after: self.state.clone(),
            counters: Vec::new(),
            is_block: false,
            at_once: self.random.chance(0.5),
        };
        match self.random.below(10) {
            0..=3 => self.change(&mut unit),
            4..=5 => {
                let start = self.random.below(KEYS as u64) as i64;
                let count = 2 + self.random.below(20) as usize;
                let free: Vec<i64> = (start..KEYS)
                    .filter(|key| !unit.after.rows.contains_key(&self.id(*key)))
                    .take(count)
                    .collect();
                match free.is_empty() {
                    true => self.change(&mut unit),
                    false => self.insert(&free, &mut unit),
                }
            }
            6 => {
                let counter = self.random.below(COUNTERS as u64) as i64;
                unit.counters.push(counter);
                let text = format!("update counters set n = n + 1 where id = {counter}");
                unit.statements.push((text, 1));
            }
            _ => {
                unit.is_block = true;
                for _ in 0..2 + self.random.below(5) {
                    self.change(&mut unit);
                }
                let number = self.value();
                unit.after.journal.insert(number);
                let text = format!("insert into journal values ({}, {number})", self.number);
                unit.statements.push((text, 1));
                if self.random.chance(0.3) {
                    let counter = self.random.below(COUNTERS as u64) as i64;
                    unit.counters.push(counter);
                    let text = format!("update counters set n = n + 1 where id = {counter}");
                    unit.statements.push((text, 1));
                }
            }
        }
        unit
    }

    /// Works until the server is gone; gives what was not answered.
    async fn work(&mut self, client: Client) -> Option<Unanswered> {
        loop {
            let unit = self.unit();
            match run(&client, &unit).await {
                Answer::Done => {
                    self.acknowledged += 1;
                    for counter in unit.counters {
                        self.counted[counter as usize] += 1;
                    }
                    self.state = unit.after;
                }
                Answer::NotApplied if client.is_closed() => return None,
                Answer::NotApplied => {}
                Answer::Unknown => {
                    return Some(Unanswered { after: unit.after, counters: unit.counters });
                }
            }
        }
    }
}

/// What an error says about a unit of which nothing, or all, may be applied.
fn judge(error: &tokio_postgres::Error, statement: &str) -> Answer {
    match sqlstate(error).as_deref() {
        None | Some("08007" | "40003") => Answer::Unknown,
        Some("40001") => Answer::NotApplied,
        Some(_) => panic!("{statement}: {error:?}"),
    }
}

async fn run(client: &Client, unit: &Unit) -> Answer {
    if !unit.is_block {
        let (statement, count) = &unit.statements[0];
        return match execute(client, statement).await {
            Ok(affected) => {
                assert_eq!(affected, *count, "{statement}");
                Answer::Done
            }
            Err(error) => judge(&error, statement),
        };
    }
    if unit.at_once {
        let mut text = String::from("begin");
        for (statement, _) in &unit.statements {
            text.push_str("; ");
            text.push_str(statement);
        }
        text.push_str("; commit");
        return match client.batch_execute(&text).await {
            Ok(()) => Answer::Done,
            Err(error) => {
                let answer = judge(&error, &text);
                let _ = client.batch_execute("rollback").await;
                answer
            }
        };
    }
    if client.batch_execute("begin").await.is_err() {
        return Answer::NotApplied;
    }
    for (statement, count) in &unit.statements {
        match execute(client, statement).await {
            Ok(affected) => assert_eq!(affected, *count, "{statement}"),
            Err(error) => {
                // COMMIT was never sent: whatever the error, nothing of it may be there.
                judge(&error, statement);
                let _ = client.batch_execute("rollback").await;
                return Answer::NotApplied;
            }
        }
    }
    match client.batch_execute("commit").await {
        Ok(()) => Answer::Done,
        Err(error) => judge(&error, "commit"),
    }
}

/// What the server has of every writer.
async fn found(client: &Client) -> BTreeMap<i64, State> {
    let number = |text: &Option<String>| -> i64 { text.as_ref().unwrap().parse().unwrap() };
    let mut states: BTreeMap<i64, State> = BTreeMap::new();
    let mut scanned = 0;
    for row in rows(client, "select id, writer, v, n from t").await {
        let (id, state) = (number(&row[0]), states.entry(number(&row[1])).or_default());
        let known = state.rows.insert(id, (number(&row[2]), number(&row[3])));
        assert_eq!(known, None, "row {id} is there twice");
        scanned += 1;
    }
    let counted = rows(client, "select count(*) from t").await;
    assert_eq!(number(&counted[0][0]), scanned, "count(*) and a scan differ");
    for row in rows(client, "select writer, unit from journal").await {
        let state = states.entry(number(&row[0])).or_default();
        let unit = number(&row[1]);
        assert!(state.journal.insert(unit), "unit {unit} is in the journal twice");
    }
    states
}

/// Compares what is there with what was acknowledged, and goes on from there.
async fn check(client: &Client, writers: &mut [Writer], unanswered: Vec<Option<Unanswered>>) {
    let mut found = found(client).await;
    // What the counters are by what was acknowledged; at least; and at most.
    let mut acknowledged = [0; COUNTERS as usize];
    writers.iter().for_each(|writer| {
        acknowledged.iter_mut().zip(&writer.counted).for_each(|(sum, counted)| *sum += counted);
    });
    let (mut least, mut most) = (acknowledged, acknowledged);
    for (writer, open) in writers.iter_mut().zip(unanswered) {
        let state = found.remove(&writer.number).unwrap_or_default();
        let (before, after) = (&writer.state, open.as_ref().map(|open| &open.after));
        let is_before = state == *before;
        let is_after = after == Some(&state);
        assert!(
            is_before || is_after,
            "writer {}: before {before:?}\nafter {after:?}\nfound {state:?}",
            writer.number
        );
        for counter in open.into_iter().flat_map(|open| open.counters) {
            // A unit of nothing but a counter leaves the same rows either way.
            least[counter as usize] += i64::from(is_after && !is_before);
            most[counter as usize] += i64::from(is_after);
        }
        check_some_rows(client, writer, &state).await;
        writer.state = state;
    }
    assert!(found.is_empty(), "rows of writers that do not exist: {found:?}");
    let mut left = 0;
    for (counter, row) in
        rows(client, "select n from counters order by id").await.iter().enumerate()
    {
        let n: i64 = row[0].as_ref().unwrap().parse().unwrap();
        assert!(
            (least[counter]..=most[counter]).contains(&n),
            "counter {counter} is {n}, not from {} to {}",
            least[counter],
            most[counter]
        );
        // Taken over by the first writer, so that the next round's sums are exact again.
        writers[0].counted[counter] += n - acknowledged[counter];
        left += 1;
    }
    assert_eq!(left, COUNTERS);
}

/// Some keys one by one: another path than a scan's.
async fn check_some_rows(client: &Client, writer: &mut Writer, state: &State) {
    for _ in 0..4 {
        let key = writer.random.below(KEYS as u64) as i64;
        let id = writer.id(key);
        let row = rows(client, &format!("select v, n from t where id = {id}")).await;
        let text = |(v, n): &(i64, i64)| vec![Some(v.to_string()), Some(n.to_string())];
        assert_eq!(row, state.rows.get(&id).map(text).into_iter().collect::<Vec<_>>());
    }
}

/// Waits for a random moment, mostly one at which a flush or a merge has just begun a file.
async fn wait_for_a_moment(random: &mut SplitMix64, data: &Path) {
    tokio::time::sleep(Duration::from_millis(100 + random.below(400))).await;
    if random.chance(CHANCE_OF_TRIGGER) {
        let known = tables(data);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until && tables(data).iter().all(|file| known.contains(file)) {
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
    }
}

/// Starts that found files nobody names: a flush or a merge was under way, or its end.
fn unfinished(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.contains("unfinished files removed")).count()
}

async fn prepare(client: &Client) {
    let ddl = "create table t (id bigint primary key, writer int not null, v bigint not null,
                   n bigint not null, pad text family pads,
                   family pads with (block_size = '8kB'));
               create table journal (writer int not null, unit bigint not null);
               create table counters (id int primary key, n bigint not null);";
    client.batch_execute(ddl).await.unwrap();
    for counter in 0..COUNTERS {
        execute(client, &format!("insert into counters values ({counter}, 0)")).await.unwrap();
    }
}

/// The journal grows otherwise.
async fn truncate_journal(client: &Client, writers: &mut [Writer]) {
    client.batch_execute("truncate journal").await.unwrap();
    writers.iter_mut().for_each(|writer| writer.state.journal.clear());
}

fn number_from(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_at_any_moment_loses_nothing_acknowledged() {
    let (kills, seed) = (number_from("TERRANE_KILLS", 20), number_from("TERRANE_SEED", 1));
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut random = SplitMix64::new(seed);
    let writer = |number| Writer {
        number,
        random: SplitMix64::new(seed * 1000 + number as u64),
        next: 0,
        state: State::default(),
        counted: [0; COUNTERS as usize],
        acknowledged: 0,
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(writer).collect();
    let mut server = Server::start(&data, &["--memtable-mib", "1"]);
    let log = server.log.clone();
    prepare(&server.connect().await).await;
    let mut longest_start = Duration::ZERO;
    for kill in 0..kills {
        let clients = join_all((0..WRITERS).map(|_| server.connect())).await;
        let working = writers.into_iter().zip(clients).map(|(mut writer, client)| {
            tokio::spawn(async move {
                let unanswered = writer.work(client).await;
                (writer, unanswered)
            })
        });
        let working: Vec<_> = working.collect();
        wait_for_a_moment(&mut random, &data).await;
        server.kill();
        assert_no_errors(&data);
        let mut unanswered = Vec::new();
        writers = Vec::new();
        for done in join_all(working).await {
            let (writer, open) = done.unwrap();
            writers.push(writer);
            unanswered.push(open);
        }
        server = Server::start(&data, &["--memtable-mib", "1"]);
        longest_start = longest_start.max(server.started_in);
        let client = Arc::new(server.connect().await);
        check(&client, &mut writers, unanswered).await;
        if kill % 4 == 3 {
            truncate_journal(&client, &mut writers).await;
        }
    }
    assert!(server.stop(), "a clean stop after all that");
    assert_no_errors(&data);
    let acknowledged: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
    let in_work = unfinished(&log);
    println!(
        "{kills} kills, {in_work} of them in a flush or compaction; {acknowledged} units \
         acknowledged, none lost, none twice, none in part; longest start {longest_start:?}"
    );
    assert!(in_work as f64 >= kills as f64 * SHARE_IN_BACKGROUND_WORK, "{in_work} of {kills}");
}
