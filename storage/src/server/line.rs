//! A commit line: one commit log and the order of its commits. A server has two, METADATA's own and the
//! users' (rule 18).
//!
//! A commit, on its caller's thread, under row locks:
//! reserve log space → take the commit mutex → assign seqs and one commit timestamp → hand the bytes to
//! the log → insert into the memtables → let go of everything → wait for the log's sync.
//!
//! Watermarks:
//! - `applied`: every commit up to this seq is in the memtables. Row programs read here.
//! - `durable`: the log's. Every commit up to this seq survives a power cut.
//! - `visible`: the commit timestamp of the last commit that is both. Clients read here (rule 2). It is
//!   advanced before anyone who waits for the log is woken.
//!
//! Invariants: seqs and commit timestamps ascend in log order; a memtable's rows of one commit are all in
//! before `applied` covers them; nothing blocks under the commit mutex.

use super::hybrid_clock::HybridClock;
use crate::log::record::RECORD_HEADER_BYTES_MAX;
use crate::log::{CommitLog, RecordRef, Reservation, Ticket};
use crate::memtable::{CHAIN_MERGE_LENGTH, Memtable};
use crate::tablet::Tablet;
use crate::tablet::map_entries::EntryWrites;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering, fence};
use terrane_client::blocking;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, LocalityGroupId, RequestId, Seq, StorageId};
use terrane_client::row::{PackedCells, ROW_COMPLETE, ROW_MARKER, RowMutation};
use terrane_env::Env;

/// The kind of a log record whose payload is a [`terrane_client::row::RowChange`].
pub const RECORD_MUTATION: u8 = 1;
/// The kind of a log record that deletes a range: its key is the range's start; see
/// [`super::delete_range::payload_of`].
pub const RECORD_RANGE_DELETE: u8 = 2;

/// The visible timestamp is moved without a commit only where it is this far behind the clock.
const QUIET_MICROS: i64 = 10_000;

/// A row to be written, evaluated under its lock.
#[derive(Debug)]
pub struct Write {
    /// Where.
    pub tablet: Arc<Tablet>,
    /// The row's key.
    pub key: Bytes,
    /// The mutation's bytes: the log's payload and the memtable's version.
    pub mutation: Vec<u8>,
    /// For an update of some columns: the row's cells as they will be, to be put in front of the chain of
    /// updates where that has become long.
    pub whole: Option<PackedCells>,
    /// What the mutation is to each locality group it is written in; empty where the table has one only.
    pub parts: Vec<GroupWrite>,
    /// What it is to the groups of map columns.
    pub entries: Vec<EntryWrites>,
}

/// A row's mutation in one of several locality groups.
#[derive(Debug)]
pub struct GroupWrite {
    /// The group.
    pub group: LocalityGroupId,
    /// The memtable's version.
    pub mutation: Vec<u8>,
    /// As [`Write::whole`], of the group's cells.
    pub whole: Option<PackedCells>,
}

impl Write {
    /// Goes to the tablet that has the row now, where its own was split or merged since the row was evaluated. Under
    /// the commit mutex.
    fn follow(&mut self) {
        while let Some(successor) = self.tablet.successor_of(&self.key) {
            self.tablet = successor.clone();
        }
    }

    /// Bytes it takes in the log, at most.
    pub fn log_bytes_max(&self) -> usize {
        RECORD_HEADER_BYTES_MAX + self.key.len() + self.mutation.len()
    }
}

/// Waits until what an answer rests on is durable and visible.
#[derive(Debug)]
#[must_use = "an answer is given only after this"]
pub struct Durable {
    /// `None`: it is already.
    ticket: Option<Ticket>,
    marks: Arc<Watermarks>,
}

impl Durable {
    /// See the type. An error means that the outcome is not known.
    pub async fn wait(self) -> Result<(), TabletError> {
        let Some(ticket) = self.ticket else { return Ok(()) };
        let seq = ticket.seq();
        ticket.await?;
        // The ticket may be good a moment before the thread that applied the commit has moved the visible mark:
        // whoever is answered reads at it next and must find what it was told.
        self.marks.durable_up_to(seq);
        Ok(())
    }
}

/// See the module's documentation.
pub struct CommitLine {
    log: CommitLog,
    clock: Arc<HybridClock>,
    env: Env,
    sequencer: Mutex<Sequencer>,
    marks: Arc<Watermarks>,
    /// Bytes of all memtables of the server.
    memtable_bytes: Arc<AtomicUsize>,
    /// Bytes handed to the log so far, and whether a multiple of `log_step` was passed lately.
    logged_bytes: AtomicU64,
    log_step: u64,
    log_grew: AtomicBool,
}

/// What the commit mutex guards.
#[derive(Debug)]
pub struct Sequencer {
    last_seq: u64,
}

#[derive(Debug, Default)]
struct Watermarks {
    applied_seq: AtomicU64,
    visible_ts: AtomicI64,
    durable_seq: AtomicU64,
    /// The seq of the commit that `visible_ts` is of.
    visible_seq: AtomicU64,
    /// Commits above the visible mark, in order: last seq and timestamp.
    pending: Mutex<VecDeque<(u64, CommitTs)>>,
}

impl Watermarks {
    /// Every commit up to this one is durable: on return those that are applied are visible.
    fn durable_up_to(&self, seq: Seq) {
        if self.visible_seq.load(Ordering::Acquire) < seq.0 {
            self.durable_seq.fetch_max(seq.0, Ordering::AcqRel);
            self.advance();
        }
    }

    /// Moves `visible` to the last commit that is applied and durable.
    fn advance(&self) {
        // Pairs with the same fence on the other side: of a thread that stored `applied` and one that
        // stored `durable`, at least one sees both.
        fence(Ordering::SeqCst);
        let mut pending = self.pending.lock();
        let applied = self.applied_seq.load(Ordering::Acquire);
        let both = applied.min(self.durable_seq.load(Ordering::Acquire));
        let mut visible = None;
        while let Some(first) = pending.front().copied().filter(|first| first.0 <= both) {
            visible = Some(first);
            pending.pop_front();
        }
        if let Some((seq, commit_ts)) = visible {
            self.visible_ts.store(commit_ts.0, Ordering::Release);
            self.visible_seq.store(seq, Ordering::Release);
        }
    }
}

impl CommitLine {
    /// A line over a log whose recovered records are applied already. `last_seq` is the largest seq ever
    /// used in it.
    pub fn new(
        log: CommitLog,
        env: Env,
        clock: Arc<HybridClock>,
        memtable_bytes: Arc<AtomicUsize>,
        log_step: u64,
        last_seq: Seq,
    ) -> Self {
        let marks = Arc::new(Watermarks::default());
        marks.applied_seq.store(last_seq.0, Ordering::Release);
        marks.durable_seq.store(last_seq.0, Ordering::Release);
        marks.visible_seq.store(last_seq.0, Ordering::Release);
        // A timestamp after every recovered commit and before every new one.
        marks.visible_ts.store(clock.next().0, Ordering::Release);
        let inside = marks.clone();
        log.on_durable(move |seq| inside.durable_up_to(seq));
        let sequencer = Mutex::new(Sequencer { last_seq: last_seq.0 });
        Self {
            log,
            clock,
            env,
            sequencer,
            marks,
            memtable_bytes,
            logged_bytes: AtomicU64::new(0),
            log_step,
            log_grew: AtomicBool::new(false),
        }
    }

    /// The timestamp that clients read at.
    pub fn visible_ts(&self) -> CommitTs {
        CommitTs(self.marks.visible_ts.load(Ordering::Acquire))
    }

    /// The timestamp that a read without one is at: the visible one, which is moved to now where nothing was committed
    /// lately. What expires does so by the clock, and not with the next commit.
    pub fn read_ts(&self) -> CommitTs {
        let visible = self.visible_ts();
        if self.clock.wall_micros().saturating_sub(visible.0) < QUIET_MICROS {
            return visible;
        }
        // While somebody commits, the visible timestamp is about to move by itself.
        let Some(_nothing_is_sequenced) = self.sequencer.try_lock() else { return visible };
        let pending = self.marks.pending.lock();
        if !pending.is_empty() {
            return visible;
        }
        // Every commit so far is visible, and every later one will have a larger timestamp.
        let now = self.clock.next();
        self.marks.visible_ts.store(now.0, Ordering::Release);
        now
    }

    /// The time by which a row that is read under its lock has expired or not.
    pub fn now(&self) -> CommitTs {
        self.clock.now()
    }

    /// Every commit up to this one is in the memtables.
    pub fn applied_seq(&self) -> Seq {
        Seq(self.marks.applied_seq.load(Ordering::Acquire))
    }

    /// True once for each segment's worth of bytes that the log has taken.
    pub fn log_grew(&self) -> bool {
        self.log_grew.load(Ordering::Relaxed) && self.log_grew.swap(false, Ordering::Relaxed)
    }

    /// The line's log.
    pub fn log(&self) -> &CommitLog {
        &self.log
    }

    /// Takes the commit mutex: nothing is committed while it is held.
    pub fn stop_commits(&self) -> MutexGuard<'_, Sequencer> {
        self.sequencer.lock()
    }

    /// A wait for everything applied up to now to be durable and visible: for answers that were computed
    /// from applied state (rule 2).
    pub fn durable_now(&self) -> Durable {
        self.durable(self.applied_seq())
    }

    /// A wait for every commit up to this one.
    pub fn durable(&self, seq: Seq) -> Durable {
        // Asked of the marks first: a log that was emptied before a restart knows smaller seqs only.
        let is_visible = self.marks.visible_seq.load(Ordering::Acquire) >= seq.0;
        let ticket = (!is_visible).then(|| self.log.ticket(seq));
        Durable { ticket, marks: self.marks.clone() }
    }

    /// Makes `at` readable: every commit up to it is visible and none will be added (rule 24).
    pub async fn visible_at(&self, table: StorageId, at: CommitTs) -> Result<(), TabletError> {
        if at <= self.visible_ts() {
            return Ok(());
        }
        if self.clock.is_too_far_ahead(at) {
            let text = format!("table {table}: timestamp {} lies in the future", at.0);
            return Err(TabletError::Unavailable(text));
        }
        let seq = {
            let sequencer = self.sequencer.lock();
            self.clock.observe(at);
            Seq(sequencer.last_seq)
        };
        self.durable(seq).wait().await
    }

    /// Promises log space for rows. May take a while: not under the commit mutex.
    pub fn reserve(&self, writes: &[Write]) -> Result<Reservation, TabletError> {
        self.reserve_bytes(writes.iter().map(|write| write.log_bytes_max() as u64).sum())
    }

    /// The same for records of this many bytes.
    pub(super) fn reserve_bytes(&self, bytes: u64) -> Result<Reservation, TabletError> {
        match self.log.try_reserve(bytes)? {
            Some(reservation) => Ok(reservation),
            None => Ok(blocking::in_place(|| self.log.reserve(bytes))?),
        }
    }

    /// Commits rows that are locked by the caller: all of them, at one timestamp. On an error nothing was
    /// written. `is_allowed` is asked under the commit mutex.
    pub fn commit(
        &self,
        reservation: Reservation,
        request: RequestId,
        writes: &mut [Write],
        is_allowed: impl FnOnce() -> Result<(), TabletError>,
    ) -> Result<(CommitTs, Durable), TabletError> {
        let sequencer = self.sequencer.lock();
        is_allowed()?;
        writes.iter_mut().for_each(Write::follow);
        if let Some(gone) = writes.iter().find(|write| !write.tablet.is_serving()) {
            return Err(TabletError::NotServing { table: gone.tablet.table });
        }
        let writes = &*writes;
        let log =
            |first_seq, commit_ts| self.append(reservation, request, writes, first_seq, commit_ts);
        let apply = |first_seq, commit_ts| apply(writes, request, first_seq, commit_ts);
        self.sequence_in(sequencer, writes.len(), log, apply)
    }

    /// Commits some records: takes the commit mutex and their sequence numbers, logs them and applies them. `apply`
    /// returns by how many bytes memtables grew.
    pub(super) fn sequence(
        &self,
        records: usize,
        is_possible: impl FnOnce() -> Result<(), TabletError>,
        log: impl FnOnce(u64, CommitTs) -> Result<Ticket, TabletError>,
        apply: impl FnOnce(u64, CommitTs) -> usize,
    ) -> Result<(CommitTs, Durable), TabletError> {
        let sequencer = self.sequencer.lock();
        is_possible()?;
        self.sequence_in(sequencer, records, log, apply)
    }

    fn sequence_in(
        &self,
        mut sequencer: MutexGuard<'_, Sequencer>,
        records: usize,
        log: impl FnOnce(u64, CommitTs) -> Result<Ticket, TabletError>,
        apply: impl FnOnce(u64, CommitTs) -> usize,
    ) -> Result<(CommitTs, Durable), TabletError> {
        let first_seq = sequencer.last_seq + 1;
        let last_seq = sequencer.last_seq + records as u64;
        let commit_ts = self.clock.next();
        let ticket = log(first_seq, commit_ts)?;
        sequencer.last_seq = last_seq;
        // Rule 1's test waits here.
        let _ = self.env.failpoints.hit("commit.before_apply");
        let grown = apply(first_seq, commit_ts);
        self.memtable_bytes.fetch_add(grown, Ordering::Relaxed);
        self.marks.applied_seq.store(last_seq, Ordering::Release);
        drop(sequencer);
        fence(Ordering::SeqCst);
        if self.marks.durable_seq.load(Ordering::Acquire) >= last_seq {
            self.marks.advance();
        }
        Ok((commit_ts, Durable { ticket: Some(ticket), marks: self.marks.clone() }))
    }

    fn append<'w>(
        &self,
        reservation: Reservation,
        request: RequestId,
        writes: &'w [Write],
        first_seq: u64,
        commit_ts: CommitTs,
    ) -> Result<Ticket, TabletError> {
        let record = |(write, seq): (&'w Write, u64)| RecordRef {
            table: write.tablet.table,
            seq: Seq(seq),
            commit_ts,
            request,
            kind: RECORD_MUTATION,
            key: &write.key,
            payload: &write.mutation,
        };
        match writes {
            [one] => self.append_records(reservation, &[record((one, first_seq))]),
            many => {
                let records: Vec<_> = many.iter().zip(first_seq..).map(record).collect();
                self.append_records(reservation, &records)
            }
        }
    }

    /// Hands the records of one commit to the log. Under the commit mutex.
    pub(super) fn append_records(
        &self,
        reservation: Reservation,
        records: &[RecordRef<'_>],
    ) -> Result<Ticket, TabletError> {
        let last = records.last().expect("a commit has records");
        // Before the log has it: the sync thread may be done with it before this thread goes on.
        self.marks.pending.lock().push_back((last.seq.0, last.commit_ts));
        let appended = self.log.append(reservation, records);
        let ticket = appended.inspect_err(|_| {
            self.marks.pending.lock().pop_back();
        })?;
        let bytes: u64 = records.iter().map(|record| record.encoded_bytes_max() as u64).sum();
        let before = self.logged_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before / self.log_step != (before + bytes) / self.log_step {
            self.log_grew.store(true, Ordering::Relaxed);
        }
        Ok(ticket)
    }
}

/// Puts writes into their tablets' active memtables and returns by how many bytes those grew. Under the
/// commit mutex: nobody freezes one meanwhile.
fn apply(writes: &[Write], request: RequestId, first_seq: u64, commit_ts: CommitTs) -> usize {
    let mut grown = 0;
    let mut seqs = first_seq..;
    for of_tablet in writes.chunk_by(|a, b| Arc::ptr_eq(&a.tablet, &b.tablet)) {
        let version = of_tablet[0].tablet.version();
        let before = version.memtable_bytes();
        for (write, seq) in of_tablet.iter().zip(&mut seqs) {
            let Write { key, mutation, whole, parts, entries, .. } = write;
            let at = Applied { key, seq: Seq(seq), commit_ts, request };
            if parts.is_empty() {
                at.insert(version.default_group().active(), mutation, whole.as_ref());
            }
            for part in parts {
                // A tablet has a group before there is a schema that names it. One that it has no more was
                // dropped after this was evaluated.
                if let Some(group) = version.group(part.group) {
                    at.insert(group.active(), &part.mutation, part.whole.as_ref());
                }
            }
            for writes in entries {
                if let Some(group) = version.group(writes.group) {
                    writes.insert_into(group.active(), Seq(seq), commit_ts);
                    group.active().remember(request);
                }
            }
        }
        grown += version.memtable_bytes() - before;
    }
    grown
}

/// A row's write while it goes into memtables.
struct Applied<'w> {
    key: &'w [u8],
    seq: Seq,
    commit_ts: CommitTs,
    request: RequestId,
}

impl Applied<'_> {
    fn insert(&self, memtable: &Memtable, mutation: &[u8], whole: Option<&PackedCells>) {
        memtable.insert(self.key, self.seq, self.commit_ts, mutation);
        memtable.remember(self.request);
        if let Some(whole) = whole
            && memtable.chain(self.key) > CHAIN_MERGE_LENGTH
        {
            memtable.insert_image(self.key, self.seq, &image_of(whole));
        }
    }
}

/// A mutation that writes the whole row.
fn image_of(whole: &PackedCells) -> Vec<u8> {
    let mut image = Vec::with_capacity(whole.as_bytes().len() + 1);
    RowMutation { flags: ROW_MARKER | ROW_COMPLETE, cells: whole.clone() }.encode(&mut image);
    image
}
