//! The commit log: what is acknowledged is in it, synced.
//!
//! One log per server and purpose (METADATA has its own). A log is a directory of segments; docs/format-log.md
//! has the bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`format`] | the bytes of segments and frames |
//! | [`record`] | the bytes of records |
//! | [`group`] | commits gathered for one write and one sync |
//! | [`ticket`] | waiting until a commit is durable |
//! | [`sync`], [`prepare`] | the two threads |
//! | [`segment`] | preparing and recycling files |
//! | [`erase`] | what it held leaves the disk |
//! | [`state`] | what the threads share; the arithmetic of space |
//! | [`inspect`] | looking at a log without opening it |
//! | [`scan`], [`chain`], [`recover`], [`replay`] | opening: frames, what counts, the new segment, the records |
//!
//! Contract:
//! - Commits are appended in commit order, under the server's commit mutex. Replay gives them back in that order:
//!   a prefix of what was appended that holds everything acknowledged, and no commit in part (rules 4 and 15).
//! - Space is reserved before a commit is sequenced; only there is the disk full (rule 16). After `append`
//!   the answer is durable or "outcome unknown", never "failed".
//! - The hook is called before any ticket tells that its commit is durable (rule 2).
//!
//! Concurrency: [`CommitLog::append`] copies the commit under one mutex that is never held over IO. The
//! sync thread takes what has gathered, writes and syncs it, and announces it; meanwhile the next group gathers.
//!
//! Fault model: a power cut keeps, drops or tears everything unsynced; a failed write or sync leaves its file
//! untrusted for good; a bit may turn anywhere. The first two lose nothing acknowledged. A turned bit is
//! reported with file and offset, except in the frames of the very last sync, where nothing tells it from a torn
//! write: those are cut, and [`ReplayReport::cut`] says so.

mod chain;
mod erase;
mod error;
pub mod format;
pub mod fuzz;
mod group;
pub mod inspect;
mod options;
mod prepare;
pub mod record;
mod recover;
mod replay;
pub mod scan;
mod segment;
mod state;
mod sync;
mod ticket;

pub use chain::{Chain, Cut};
pub use erase::Erasure;
pub use error::LogError;
pub use format::LogIdentity;
pub use options::LogOptions;
pub use record::{Record, RecordRef};
pub use replay::{Replay, ReplayReport};
pub use state::LogStats;
pub use ticket::Ticket;

use format::SERVER_BYTES_MAX;
use group::space_for;
use parking_lot::{Condvar, Mutex};
use recover::{Recovered, recover};
use state::{DurableHook, LogSegment, Shared, State};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use terrane_client::ids::Seq;
use terrane_env::Env;
use terrane_env::threads::{Priority, ThreadHandle};
use ticket::Durability;

/// See the module's documentation. Dropping it writes and syncs what was appended, and ends its threads.
#[derive(Debug)]
pub struct CommitLog {
    shared: Arc<Shared>,
    threads: Mutex<Vec<ThreadHandle>>,
}

/// Space for a commit, promised. Dropping it gives the space back.
#[derive(Debug)]
#[must_use = "space is given back when the reservation is dropped"]
pub struct Reservation {
    shared: Arc<Shared>,
    /// Space held, frame headers included.
    space: u64,
    /// Bytes of records it is for.
    record_bytes: u64,
}

impl CommitLog {
    /// Opens the log in `directory`, created if missing, and gives what it holds. Whatever survived is
    /// durable when this returns.
    ///
    /// # Errors
    /// Corruption names file and offset, and nothing was changed. [`LogError::Fenced`] if a later epoch has
    /// written here.
    pub fn open(
        env: &Env,
        directory: &Path,
        identity: LogIdentity,
        options: LogOptions,
    ) -> Result<(CommitLog, Replay), LogError> {
        options.check();
        if identity.server.len() > SERVER_BYTES_MAX {
            return Err(LogError::Misuse(format!("server name over {SERVER_BYTES_MAX} bytes")));
        }
        let recovered = recover(env, directory, &identity, &options)?;
        for cut in &recovered.chain.cut {
            tracing::warn!("log cut in {} at {}: {}", cut.file.display(), cut.offset, cut.what);
        }
        let state = initial_state(&recovered, &options);
        let shared = Arc::new(Shared {
            env: env.clone(),
            directory: directory.to_owned(),
            identity: identity.clone(),
            options,
            durability: Arc::new(Durability::new(state.last_seq)),
            state: Mutex::new(state),
            work: Condvar::new(),
            prepare: Condvar::new(),
            space: Condvar::new(),
            on_durable: OnceLock::new(),
        });
        let log = CommitLog { shared: shared.clone(), threads: Mutex::default() };
        log.start("log-sync", Priority::Prompt, sync::run)?;
        log.start("log-prepare", Priority::Normal, prepare::run)?;
        let replay =
            Replay::new(env.clone(), identity, recovered.found, recovered.chain, Some(shared));
        Ok((log, replay))
    }

    fn start(
        &self,
        name: &str,
        priority: Priority,
        body: fn(&Arc<Shared>),
    ) -> Result<(), LogError> {
        let shared = self.shared.clone();
        let thread = self.shared.env.threads.spawn(name, priority, Box::new(move || body(&shared)));
        let thread = thread.map_err(|error| LogError::Stopped(format!("no thread: {error}")))?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// Sets what is called with each new durable seq: on the sync thread, before any ticket tells. It must
    /// be short, must not wait for the log, and must not own the log (hold a `Weak`). Set once.
    ///
    /// # Panics
    /// When it was set before.
    pub fn on_durable(&self, hook: impl Fn(Seq) + Send + Sync + 'static) {
        let hook = DurableHook(Box::new(hook));
        assert!(self.shared.on_durable.set(hook).is_ok(), "the durable hook is set once");
    }

    /// Promises space for records of `record_bytes` bytes (the sum of
    /// [`RecordRef::encoded_bytes_max`]). May block while a segment is prepared: not for use under the commit mutex.
    pub fn reserve(&self, record_bytes: u64) -> Result<Reservation, LogError> {
        let mut reservation =
            Reservation { shared: self.shared.clone(), space: 0, record_bytes: 0 };
        reservation.grow(record_bytes)?;
        Ok(reservation)
    }

    /// As [`CommitLog::reserve`], but `None` where that would block.
    pub fn try_reserve(&self, record_bytes: u64) -> Result<Option<Reservation>, LogError> {
        let mut state = self.shared.state.lock();
        let space = self.shared.check(&state, record_bytes)?;
        if !self.shared.take(&mut state, space) {
            return Ok(None);
        }
        drop(state);
        Ok(Some(Reservation { shared: self.shared.clone(), space, record_bytes }))
    }

    /// Appends one commit: memory work only. Its records' seqs ascend and lie above all appended before.
    pub fn append(
        &self,
        mut reservation: Reservation,
        records: &[RecordRef<'_>],
    ) -> Result<Ticket, LogError> {
        let bound: usize = records.iter().map(RecordRef::encoded_bytes_max).sum();
        if bound as u64 > reservation.record_bytes {
            let held = reservation.record_bytes;
            return Err(LogError::Misuse(format!("{bound} bytes appended, {held} reserved")));
        }
        let shared = &*self.shared;
        let mut state = shared.state.lock();
        if let Some(stopped) = &state.stopped {
            return Err(stopped.clone());
        }
        let Some((first, last)) = records.first().zip(records.last()) else {
            return Ok(self.ticket(Seq(state.last_seq)));
        };
        if first.seq.0 <= state.last_seq || !records.is_sorted_by(|a, b| a.seq < b.seq) {
            let seq = state.last_seq;
            return Err(LogError::Misuse(format!("seq {} appended after {seq}", first.seq.0)));
        }
        let joins = state.queue.back();
        if joins.is_none_or(|group| group.len() + bound > shared.options.group_bytes) {
            let group = state.free_groups.pop().unwrap_or_default();
            state.queue.push_back(group);
        }
        let group = state.queue.back_mut().expect("one was just pushed or joined");
        group.push(records, bound, shared.options.frame_bytes);
        group.reserved += std::mem::take(&mut reservation.space);
        state.last_seq = last.seq.0;
        state.stats.commits += 1;
        drop(state);
        shared.work.notify_one();
        Ok(self.ticket(last.seq))
    }

    /// A ticket for everything up to `seq`.
    pub fn ticket(&self, seq: Seq) -> Ticket {
        Ticket::new(self.shared.durability.clone(), seq.0)
    }

    /// Everything up to this seq is durable.
    pub fn durable(&self) -> Seq {
        Seq(self.shared.durability.seq())
    }

    /// Gives up everything up to a seq: it is in published runs of all tablets. Segments without anything
    /// above are freed once a mark that says so is durable; until then nothing waits for it.
    pub fn retire(&self, up_to: Seq) {
        let up_to = up_to.0.min(self.shared.durability.seq());
        let mut state = self.shared.state.lock();
        let freeable =
            state.segments.iter().take_while(|segment| segment.last_seq <= up_to).count();
        // The last one is being written, unless it was ended.
        let number = match state.segments.get(freeable) {
            Some(first_kept) => first_kept.id.number,
            None => state.after_active(),
        };
        state.free_below = state.free_below.max(number);
        drop(state);
        self.shared.work.notify_one();
    }

    /// Counts and sizes.
    pub fn stats(&self) -> LogStats {
        let state = self.shared.state.lock();
        let oldest = state.segments.front().filter(|_| state.segments.len() > 1);
        LogStats {
            segments: state.segments.len() as u64,
            segment_bytes: state.segments.iter().map(|segment| segment.len).sum(),
            reserved_bytes: state.reserved,
            last_seq: Seq(state.last_seq),
            durable_seq: self.durable(),
            oldest_segment_last_seq: oldest.map(|segment| Seq(segment.last_seq)),
            ..state.stats
        }
    }

    /// Why the log takes no more commits, if it does not.
    pub fn stopped(&self) -> Option<LogError> {
        self.shared.state.lock().stopped.clone()
    }

    /// Writes and syncs what was appended, and ends the threads. Later appends are refused.
    pub fn close(&self) {
        self.shared.state.lock().stopping = true;
        self.shared.work.notify_all();
        self.shared.prepare.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a commit-log thread had panicked");
            }
        }
    }
}

impl Drop for CommitLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// The space records take, if the log takes them at all.
    fn check(&self, state: &State, record_bytes: u64) -> Result<u64, LogError> {
        if let Some(stopped) = &state.stopped {
            return Err(stopped.clone());
        }
        if state.stopping {
            return Err(LogError::Stopped("closed".to_owned()));
        }
        let limit = self.options.commit_bytes_max;
        if record_bytes > limit {
            return Err(LogError::TooLarge { bytes: record_bytes, limit });
        }
        Ok(space_for(record_bytes, self.options.frame_bytes))
    }

    /// Takes space if there is enough.
    fn take(&self, state: &mut State, space: u64) -> bool {
        let enough = state.usable(&self.options) >= state.reserved + space;
        if enough {
            state.reserved += space;
        }
        enough
    }
}

impl Reservation {
    /// Promises space for so many more bytes of records; on an error the reservation is as it was. May
    /// block, as [`CommitLog::reserve`] does.
    pub fn grow(&mut self, record_bytes: u64) -> Result<(), LogError> {
        let mut state = self.shared.state.lock();
        let total = self.record_bytes.saturating_add(record_bytes);
        loop {
            let space = self.shared.check(&state, total)?.saturating_sub(self.space);
            if self.shared.take(&mut state, space) {
                self.space += space;
                self.record_bytes = total;
                return Ok(());
            }
            let failures = state.prepare_failures;
            state.wanted = state.wanted.max(state.reserved + space);
            self.shared.prepare.notify_one();
            self.shared.space.wait(&mut state);
            if let Some(error) = state.failure_since(failures) {
                return Err(error);
            }
        }
    }

    /// Bytes of records it is for.
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.space > 0 {
            self.shared.state.lock().reserved -= self.space;
        }
    }
}

/// The state of a log just recovered.
fn initial_state(recovered: &Recovered, options: &LogOptions) -> State {
    let Recovered { chain, found, active, .. } = recovered;
    let mut segments: VecDeque<LogSegment> = VecDeque::new();
    let mut starts_commit = true;
    for frame in &chain.frames {
        let from = &found[frame.segment()];
        let known = segments.iter().rposition(|segment| segment.id == from.id);
        let known = known.unwrap_or_else(|| {
            segments.push_back(LogSegment::new(from.id, from.path.clone(), from.len));
            segments.len() - 1
        });
        let at = frame.of(found);
        let segment = &mut segments[known];
        segment.last_seq = segment.last_seq.max(at.header.last_seq);
        if starts_commit {
            segment.base_lsn = segment.base_lsn.or(Some(at.header.lsn));
        }
        starts_commit = !at.is_open();
    }
    segments.make_contiguous().sort_unstable_by_key(|segment| segment.id);
    let last_seq = segments.iter().map(|segment| segment.last_seq).max();
    let last_seq = last_seq.unwrap_or(0).max(chain.low.last_seq);
    // The new segment may hold copies of the last commits.
    let new = LogSegment::new(active.id, active.path.clone(), active.len);
    segments.push_back(LogSegment { last_seq, ..new });
    let free_below = chain.low.segment;
    State {
        queue: VecDeque::new(),
        free_groups: Vec::new(),
        last_seq,
        reserved: 0,
        next_lsn: chain.end_lsn + 1,
        active: active.clone(),
        position: recovered.position,
        ready: VecDeque::new(),
        segments,
        spares: recovered.spares.clone(),
        spares_max: options.spare_segments_max,
        freed: Vec::new(),
        recycling: 0,
        is_freeing: false,
        unremoved: Vec::new(),
        low: chain.low,
        free_below,
        next_segment: recovered.next_segment,
        next_bytes: options.first_segment_bytes,
        wanted: 0,
        prepare_failures: 0,
        prepare_error: None,
        replaying: true,
        stopping: false,
        stopped: None,
        stats: LogStats::default(),
    }
}

#[cfg(test)]
mod tests;
