//! What is at work on tablets, and what waits: for whoever asks.
//!
//! Work under way is listed from its begin to its end, whoever does it: a background thread, or one that someone's request is on.
//! What waits is not listed but looked for when somebody asks: frozen memtables, runs that are to be merged, splits and merges of
//! tablets that were begun. Compactions that are over are remembered, the last [`COMPACTIONS_MAX`] of them, until the server ends.

use super::TabletServer;
use crate::compaction::pick::{Kind, pick};
use crate::tablet::Tablet;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use terrane_client::ids::LocalityGroupId;
use terrane_client::metadata::FileRow;
use terrane_client::metadata::events::{EventKind, TabletEvent};
use terrane_client::status::{CompactionState, CompactionStatus, JobStatus, TabletRange};

/// Compactions that are remembered.
const COMPACTIONS_MAX: usize = 256;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: Mutex<Vec<Arc<Work>>>,
    /// Newest first.
    compactions: Mutex<VecDeque<CompactionStatus>>,
}

/// What a piece of work goes through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Input {
    pub(super) runs: u64,
    pub(super) bytes: u64,
    pub(super) rows: u64,
}

/// Work under way.
#[derive(Debug)]
pub(super) struct Work {
    kind: EventKind,
    tablet: TabletRange,
    group: Option<LocalityGroupId>,
    is_major: bool,
    reason: &'static str,
    started_micros: i64,
    began: Duration,
    input: Input,
    rows_read: AtomicU64,
}

/// Keeps work listed until dropped.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    jobs: &'a Jobs,
    work: Arc<Work>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.jobs.running.lock().retain(|work| !Arc::ptr_eq(work, &self.work));
    }
}

impl Listed<'_> {
    /// So many row versions have been read.
    pub(super) fn read_rows(&self, rows: u64) {
        self.work.rows_read.store(rows, Ordering::Relaxed);
    }

    /// When it began.
    pub(super) fn began(&self) -> Duration {
        self.work.began
    }

    /// A compaction is over.
    pub(super) fn compacted(&self, now: Duration, written: &[FileRow], state: CompactionState) {
        let output = (written.len() as u64, bytes_of(written));
        let status = CompactionStatus {
            output_files: output.0,
            output_bytes: output.1,
            output_rows: written.iter().map(|file| file.rows).sum(),
            state,
            ..self.work.compaction(now)
        };
        let mut compactions = self.jobs.compactions.lock();
        compactions.push_front(status);
        compactions.truncate(COMPACTIONS_MAX);
    }
}

/// Bytes of files.
pub(super) fn bytes_of(files: &[FileRow]) -> u64 {
    files.iter().map(|file| file.size_bytes).sum()
}

impl Work {
    fn compaction(&self, now: Duration) -> CompactionStatus {
        CompactionStatus {
            tablet: self.tablet.clone(),
            group: self.group.unwrap_or_default(),
            is_major: self.is_major,
            reason: self.reason.to_owned(),
            state: CompactionState::Running,
            started_micros: self.started_micros,
            micros: micros(now.saturating_sub(self.began)),
            runs: self.input.runs,
            input_bytes: self.input.bytes,
            input_rows: self.input.rows,
            read_rows: self.rows_read.load(Ordering::Relaxed),
            output_files: 0,
            output_bytes: 0,
            output_rows: 0,
        }
    }

    fn job(&self) -> JobStatus {
        let read = self.rows_read.load(Ordering::Relaxed);
        let part = |rows: u64| (read as f64 / rows as f64).min(1.0);
        JobStatus {
            kind: self.kind,
            is_running: true,
            tablet: self.tablet.clone(),
            group: self.group,
            reason: self.reason.to_owned(),
            started_micros: Some(self.started_micros),
            input_bytes: self.input.bytes,
            progress: (self.input.rows > 0).then(|| part(self.input.rows)),
        }
    }

    fn is_of(&self, kind: EventKind, tablet: &TabletRange, group: Option<LocalityGroupId>) -> bool {
        self.kind == kind && self.tablet == *tablet && self.group == group
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn range_of(tablet: &Tablet) -> TabletRange {
    TabletRange {
        table: tablet.table,
        start: tablet.range.start.to_vec(),
        end: tablet.range.end.as_ref().map(|end| end.to_vec()),
    }
}

impl TabletServer {
    /// Lists work that begins now.
    pub(super) fn begin_work(
        &self,
        kind: EventKind,
        tablet: &Tablet,
        group: Option<LocalityGroupId>,
        reason: &'static str,
        input: Input,
    ) -> Listed<'_> {
        self.list(kind, tablet, group, reason, input, false)
    }

    /// Lists a compaction that begins now.
    pub(super) fn begin_compaction(
        &self,
        tablet: &Tablet,
        group: LocalityGroupId,
        kind: Kind,
        reason: &'static str,
        input: Input,
    ) -> Listed<'_> {
        let is_major = kind == Kind::Major;
        self.list(EventKind::Compaction, tablet, Some(group), reason, input, is_major)
    }

    fn list(
        &self,
        kind: EventKind,
        tablet: &Tablet,
        group: Option<LocalityGroupId>,
        reason: &'static str,
        input: Input,
        is_major: bool,
    ) -> Listed<'_> {
        let work = Arc::new(Work {
            kind,
            tablet: range_of(tablet),
            group,
            is_major,
            reason,
            started_micros: self.clock.wall_micros(),
            began: self.env.clock.monotonic(),
            input,
            rows_read: AtomicU64::new(0),
        });
        self.jobs.running.lock().push(work.clone());
        Listed { jobs: &self.jobs, work }
    }

    /// What has just happened to a tablet.
    pub(super) fn event(
        &self,
        kind: EventKind,
        reason: &str,
        began: Duration,
        bytes: u64,
    ) -> TabletEvent {
        TabletEvent {
            at_micros: self.clock.wall_micros(),
            kind,
            reason: reason.to_owned(),
            micros: micros(self.env.clock.monotonic().saturating_sub(began)),
            bytes,
        }
    }

    /// Compactions, newest first.
    pub(super) fn compaction_statuses(&self) -> Vec<CompactionStatus> {
        let now = self.env.clock.monotonic();
        let running: Vec<Arc<Work>> = self.jobs.running.lock().clone();
        let running = running.iter().rev().filter(|work| work.kind == EventKind::Compaction);
        let mut all: Vec<CompactionStatus> = running.map(|work| work.compaction(now)).collect();
        all.extend(self.jobs.compactions.lock().iter().cloned());
        all
    }

    /// What is under way, and what waits.
    pub(super) fn job_statuses(&self) -> Vec<JobStatus> {
        let running: Vec<Arc<Work>> = self.jobs.running.lock().clone();
        let mut jobs: Vec<JobStatus> = running.iter().map(|work| work.job()).collect();
        for tablet in self.tablets.all() {
            let waiting = self.waiting(&tablet).into_iter();
            let is_running = |job: &JobStatus| {
                running.iter().any(|work| work.is_of(job.kind, &job.tablet, job.group))
            };
            jobs.extend(waiting.filter(|job| !is_running(job)));
        }
        jobs
    }

    fn waiting(&self, tablet: &Tablet) -> Vec<JobStatus> {
        let range = range_of(tablet);
        let job = |kind, group, reason: &str, input_bytes| JobStatus {
            kind,
            is_running: false,
            tablet: range.clone(),
            group,
            reason: reason.to_owned(),
            started_micros: None,
            input_bytes,
            progress: None,
        };
        let mut waiting = Vec::new();
        if tablet.is_splitting() {
            waiting.push(job(EventKind::Split, None, "begun", 0));
        }
        if tablet.merging().is_some() {
            waiting.push(job(EventKind::Merge, None, "begun", 0));
        }
        for group in tablet.version().groups() {
            let frozen = group.frozen().iter().filter(|memtable| !memtable.is_empty());
            let frozen: u64 = frozen.map(|memtable| memtable.bytes() as u64).sum();
            if frozen > 0 {
                waiting.push(job(EventKind::Flush, Some(group.id), tablet.frozen_for(), frozen));
            }
            let size = |run: &Arc<crate::scan::Run>| {
                run.files().iter().map(|file| file.table.size_bytes()).sum::<u64>()
            };
            let sizes: Vec<u64> = group.sources.runs.iter().map(size).collect();
            if let Some(pick) = pick(&sizes).filter(|_| self.options.compaction) {
                let bytes = sizes[pick.runs].iter().sum();
                waiting.push(job(EventKind::Compaction, Some(group.id), "runs", bytes));
            }
        }
        waiting
    }
}
