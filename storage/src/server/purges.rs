//! How far tablets are purged, and when the next purge is due (rule 13). [`super::purge`] does the work.
//!
//! What is known of a tablet is a time: what was dead by then is in no file. It moves on when a purge is done, which METADATA
//! notes ([`PurgeMark`]), and, in memory alone, when the tablet is found to hold nothing dead. So after a restart it is what
//! the last purge has left: too old rather than too young, and a tablet without a mark is purged at once.
//!
//! The log is everybody's, and a table that is dropped leaves no tablet behind that could tell of it. Therefore a value in the
//! lock service says that the log may hold records of tables that promise to purge: it is there before the first of them is
//! served, and until the log was erased after the last of them is gone. A server that finds it when it starts erases its logs.

use crate::log::Erasure;
use parking_lot::Mutex;
use std::collections::HashMap;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, Seq, StorageId};
use terrane_client::lock::{Change, LockService, Transaction};
use terrane_client::metadata::PurgeMark;
use terrane_client::schema::TableSchema;
use terrane_client::service::TabletName;
use tokio::sync::watch;

/// Purges of a tablet begin at least this part of what is promised apart.
const BETWEEN_PARTS: i64 = 8;

/// What a table promises, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    /// How long after its death something is gone.
    pub(super) within: i64,
    /// How long it is readable.
    pub(super) kept: i64,
}

impl Promise {
    pub(super) fn of(schema: &TableSchema) -> Option<Self> {
        let within = schema.purge_within_micros?;
        Some(Self { within, kept: schema.kept_micros() })
    }
}

/// How far a tablet is purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// What was dead by then is gone; `None`: nobody knows of anything.
    pub(super) to: Option<CommitTs>,
    /// When it was first looked at.
    pub(super) seen_at: i64,
    /// When the last purge was begun.
    pub(super) begun_at: Option<i64>,
    /// When the last one was done.
    pub(super) done_at: Option<i64>,
    /// Why the last purge failed.
    pub(super) error: Option<String>,
}

impl Progress {
    pub(super) fn new(mark: Option<PurgeMark>, now: i64) -> Self {
        Self {
            to: mark.map(|mark| mark.to),
            seen_at: now,
            done_at: mark.map(|mark| mark.done_at_micros),
            ..Self::default()
        }
    }

    /// By when the oldest that may be left has to be gone.
    pub(super) fn deadline(&self, promise: Promise) -> i64 {
        self.to.map_or(self.seen_at, |to| to.0).saturating_add(promise.within)
    }

    /// When the next purge is to begin: half way between the time at which something may go and the one at which it has to
    /// be gone; and not at once again after one that could not get further.
    pub(super) fn due_at(&self, promise: Promise) -> i64 {
        let half_way = |to: CommitTs| to.0.saturating_add((promise.within + promise.kept) / 2);
        let due = self.to.map_or(self.seen_at, half_way);
        let again = self.begun_at.map(|begun| begun.saturating_add(promise.within / BETWEEN_PARTS));
        again.map_or(due, |again| due.max(again))
    }
}

/// Tables that were dropped: the log may have records of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Not before this.
    pub(super) since: i64,
    /// The shortest that one of them has promised.
    pub(super) within: i64,
}

impl Dropped {
    pub(super) fn deadline(&self) -> i64 {
        self.since.saturating_add(self.within)
    }

    pub(super) fn due_at(&self) -> i64 {
        self.since.saturating_add(self.within / 2)
    }

    fn and(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| {
            let deadline = self.deadline().min(other.deadline());
            let since = self.since.min(other.since);
            Self { since, within: deadline.saturating_sub(since) }
        })
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Purges {
    pub(super) state: Mutex<State>,
    pub(super) started_at: i64,
    /// Of each table the time before which reads are ended.
    reads: Mutex<HashMap<StorageId, watch::Sender<CommitTs>>>,
    /// Held while a round is under way.
    pub(super) rounds: Mutex<()>,
    /// Held while the lock service's value is written or removed: whether it is there.
    is_noted: tokio::sync::Mutex<bool>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) tablets: HashMap<TabletName, Progress>,
    /// The tables that promise to purge.
    pub(super) tables: HashMap<StorageId, Promise>,
    /// Tables that are about to be served, by how many calls.
    expected: HashMap<StorageId, usize>,
    /// Nothing up to this seq is in the users' log's files, nor in files that it has freed.
    pub(super) erased_to: Seq,
    pub(super) dropped: Option<Dropped>,
    /// What was begun to be erased of the users' log and of METADATA's.
    pub(super) begun: [Option<Erasure>; 2],
    /// Why the logs could not be erased.
    pub(super) log_error: Option<String>,
    pub(super) looked_at: i64,
}

/// A table is about to be served.
pub(super) struct Expected<'p>(&'p Purges, StorageId);

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if let Some(count) = state.expected.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                state.expected.remove(&self.1);
            }
        }
    }
}

/// The lock service's value of a server.
pub(super) fn note_key(server: &str) -> String {
    format!("/terrane/purges/{server}")
}

impl Purges {
    /// `is_noted` where the lock service says that the logs may hold what has to be purged.
    pub(super) fn new(is_noted: bool, now: i64) -> Self {
        let dropped = is_noted.then_some(Dropped { since: now, within: 0 });
        let state = State { dropped, looked_at: now, ..State::default() };
        Self {
            state: Mutex::new(state),
            started_at: now,
            reads: Mutex::default(),
            rounds: Mutex::default(),
            is_noted: tokio::sync::Mutex::new(is_noted),
        }
    }

    /// Notes, before anyone can write to it, that a table promises to purge. Until the answer is dropped the table is not
    /// taken for one that is gone.
    pub(super) async fn expect(
        &self,
        schema: &TableSchema,
        lock: &dyn LockService,
        server: &str,
    ) -> Result<Option<Expected<'_>>, TabletError> {
        let Some(promise) = Promise::of(schema) else { return Ok(None) };
        let mut is_noted = self.is_noted.lock().await;
        {
            let mut state = self.state.lock();
            *state.expected.entry(schema.storage).or_default() += 1;
            state.tables.insert(schema.storage, promise);
        }
        let expected = Expected(self, schema.storage);
        if !*is_noted {
            let put = Change::Put { key: note_key(server), value: bytes::Bytes::new() };
            lock.commit(Transaction { compares: Vec::new(), changes: vec![put] }).await?;
            *is_noted = true;
        }
        Ok(Some(expected))
    }

    /// Removes the note, if there is nothing left that it is for.
    pub(super) async fn settle(
        &self,
        lock: &dyn LockService,
        server: &str,
    ) -> Result<bool, TabletError> {
        let mut is_noted = self.is_noted.lock().await;
        let is_needed = {
            let state = self.state.lock();
            !(state.tables.is_empty() && state.expected.is_empty() && state.dropped.is_none())
        };
        if !*is_noted || is_needed {
            return Ok(false);
        }
        let delete = Change::Delete { key: note_key(server) };
        lock.commit(Transaction { compares: Vec::new(), changes: vec![delete] }).await?;
        *is_noted = false;
        Ok(true)
    }

    /// The time before which a table's reads are ended, as it moves.
    pub(super) fn ended_reads(&self, table: StorageId) -> watch::Receiver<CommitTs> {
        let mut reads = self.reads.lock();
        let sender = reads.entry(table).or_insert_with(|| watch::Sender::new(CommitTs::ABSENT));
        sender.subscribe()
    }

    /// Ends the reads of a table that are older than a time.
    pub(super) fn end_reads(&self, table: StorageId, before: CommitTs) {
        let mut reads = self.reads.lock();
        let Some(sender) = reads.get(&table) else { return };
        sender.send_replace(before);
        if sender.receiver_count() == 0 {
            reads.remove(&table);
        }
    }
}

impl State {
    /// The tables with a promise that are served now. One that was and is not any more was dropped.
    pub(super) fn set_tables(
        &mut self,
        promises: &HashMap<StorageId, Promise>,
        is_served: impl Fn(StorageId) -> bool,
        now: i64,
    ) {
        let gone = |table: &StorageId| !is_served(*table) && !self.expected.contains_key(table);
        for (_, promise) in self.tables.iter().filter(|(table, _)| gone(table)) {
            let dropped = Dropped { since: self.looked_at, within: promise.within };
            self.dropped = Some(dropped.and(self.dropped));
        }
        let expected: Vec<(StorageId, Promise)> = self
            .tables
            .iter()
            .filter(|(table, _)| self.expected.contains_key(table))
            .map(|(table, promise)| (*table, *promise))
            .collect();
        self.tables.clone_from(promises);
        for (table, promise) in expected {
            self.tables.entry(table).or_insert(promise);
        }
        self.looked_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISE: Promise = Promise { within: 1600, kept: 400 };

    #[test]
    fn a_purge_begins_half_way_between_may_and_must() {
        let mark = PurgeMark { to: CommitTs(10_000), done_at_micros: 10_400 };
        let mut progress = Progress::new(Some(mark), 20_000);
        assert_eq!((progress.due_at(PROMISE), progress.deadline(PROMISE)), (11_000, 11_600));
        progress.begun_at = Some(10_950);
        assert_eq!(progress.due_at(PROMISE), 11_150, "what could not get further waits a little");
    }

    #[test]
    fn a_tablet_without_a_mark_is_due_at_once() {
        let progress = Progress::new(None, 20_000);
        assert_eq!((progress.due_at(PROMISE), progress.deadline(PROMISE)), (20_000, 21_600));
    }

    #[test]
    fn a_table_that_is_gone_was_dropped_after_the_last_look() {
        let table = StorageId(1000);
        let mut state = State { looked_at: 5, ..State::default() };
        state.set_tables(&HashMap::from([(table, PROMISE)]), |_| true, 100);
        assert_eq!(state.dropped, None);
        state.set_tables(&HashMap::new(), |_| false, 200);
        let dropped = Dropped { since: 100, within: 1600 };
        assert_eq!((state.dropped, state.tables.len()), (Some(dropped), 0));
        assert_eq!(dropped.and(Some(Dropped { since: 50, within: 2000 })).deadline(), 1700);
    }
}
