//! Splitting a tablet (rule 19).
//!
//! 1. The split intent is written into the parent's METADATA row: that commits the split. The parent takes no
//!    other edit from here on.
//! 2. The left child's row is put, then the parent's row becomes the right child's.
//! 3. Under the commit mutex the children take the parent's place in the directory, all in memory: fresh active
//!    memtables before the parent's, which both refer to as frozen ones, and the parent's files, clipped.
//!
//! Reads and writes go on all the time: on the parent up to 3, then on the children. The commit mutex is held
//! for some allocations. Not a byte of data is written: each child flushes its part of the shared memtables when
//! they are due (*rejected:* a flush first and a second, small one with commits stopped, as for a move: it
//! writes as much as the memtables hold, and the second one waits for a sync inside the pause).
//!
//! Who came before finds the children: a row program that was routed to the parent is routed again once it has
//! its locks, or, if it is evaluated already, its writes follow to the children when they are sequenced
//! ([`super::line::Write::follow`]): it holds the rows' locks, so the row is as it was. A read has pinned
//! the parent's version and goes on. So nobody is told anything of a split, and request ids, which are the
//! server's, stay known.
//!
//! Fault model: a crash before 1 is durable leaves the parent; after it, [`TabletServer::open`] recovers the
//! children's memtables from the log by key and finishes 2 before anything is served. A failure in between is
//! tried again by whatever next flushes or merges the tablet. A table that is dropped meanwhile gets no row back.
//!
//! METADATA's tablets are split likewise, their rows are in the root; the root never is.

use super::TabletServer;
use super::background::Job;
use super::edits::Edit;
use super::jobs::Input;
use crate::memtable::Memtable;
use crate::scan::{Run, RunFile};
use crate::tablet::Tablet;
use crate::tablet::group_version::GroupVersion;
use crate::tablet::version::Version;
use futures::executor::block_on;
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use terrane_client::error::TabletError;
use terrane_client::ids::{RequestId, StorageId};
use terrane_client::key::KEY_BYTES_MAX;
use terrane_client::metadata::events::EventKind;
use terrane_client::metadata::split::{self, SplitIntent};
use terrane_client::metadata::{TabletRow, codec, root};
use terrane_client::program::{Atomicity, ModifyRequest, RowError, RowOutcome};
use terrane_client::read::KeyRange;
use terrane_client::service::TabletName;

/// What splits, or merges, of tablets there were since the server started.
#[derive(Debug, Default)]
pub(super) struct ChangeCounters {
    made: AtomicU64,
    /// The longest that the commit mutex was held.
    pause_longest_micros: AtomicU64,
}

impl ChangeCounters {
    pub(super) fn count(&self, pause: Duration) {
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        self.made.fetch_add(1, Ordering::Relaxed);
        self.pause_longest_micros.fetch_max(micros, Ordering::Relaxed);
    }

    /// How many, and the longest that one has held up commits.
    pub(super) fn get(&self) -> (u64, Duration) {
        let micros = self.pause_longest_micros.load(Ordering::Relaxed);
        (self.made.load(Ordering::Relaxed), Duration::from_micros(micros))
    }
}

/// Why there are to be more tablets, or fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Someone asked for it.
    Asked,
    /// Its size.
    Size,
}

impl Why {
    /// As events say it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Asked => "request",
            Self::Size => "size",
        }
    }
}

/// Nobody else changes the tablet's files or METADATA row.
struct Quiesced<'a> {
    _flushes: MutexGuard<'a, ()>,
    _merges: MutexGuard<'a, ()>,
    _edits: MutexGuard<'a, ()>,
}

/// What a roll-forward has written.
enum Rows {
    Children(TabletRow, TabletRow),
    /// The parent's row is gone: the table was dropped.
    Dropped,
}

impl TabletServer {
    /// Splits the tablet of a key, which becomes the first one of the right child. Nothing to do where the
    /// tablet begins there already.
    pub(super) fn split_tablet(
        &self,
        table: StorageId,
        key: &[u8],
        why: Why,
    ) -> Result<(), TabletError> {
        if table == StorageId::METADATA && *key < root::end()[..] {
            return Err(TabletError::Unsupported("METADATA's root tablet never splits".to_owned()));
        }
        if key.len() > KEY_BYTES_MAX {
            let (size, limit) = (key.len(), KEY_BYTES_MAX);
            return Err(TabletError::TooLarge { what: "row key", size, limit });
        }
        // The left one's name: once the intent is there, it must be possible to put its row.
        codec::row_key(table, Some(key))?;
        loop {
            self.check_open()?;
            let tablet = self.tablets.table(table)?.tablet_of(key)?.clone();
            self.finish_merge(&tablet)?;
            if key == &tablet.range.start[..] || self.split_at(&tablet, Some((key, why)))? {
                return Ok(());
            }
        }
    }

    /// Finishes a split that was begun, if there is one.
    pub(super) fn finish_split(&self, tablet: &Tablet) -> Result<(), TabletError> {
        match tablet.is_splitting() {
            true => self.split_at(tablet, None).map(drop),
            false => Ok(()),
        }
    }

    /// Splits a tablet, unless another split of it was begun before: then that one is finished and the
    /// answer is false.
    fn split_at(&self, tablet: &Tablet, key: Option<(&[u8], Why)>) -> Result<bool, TabletError> {
        let _quiesced = quiesce(tablet);
        if tablet.is_retired() {
            return Ok(false);
        }
        if tablet.merging().is_some() {
            // It is finished, or taken back, first.
            return Ok(false);
        }
        self.check_edits(tablet)?;
        let mut is_ours = false;
        if !tablet.is_splitting() {
            let Some((key, why)) = key else { return Ok(false) };
            self.failpoint("split.before_intent")?;
            let is_chosen = why == Why::Asked;
            let intent = || Some(SplitIntent { at: key.to_vec(), is_chosen });
            if self.edit(tablet, |row| row.split = intent())? == Edit::Dropped {
                self.forget(tablet)?;
                return Err(TabletError::NotServing { table: tablet.table });
            }
            is_ours = true;
        }
        let begun = tablet.row();
        let is_chosen = begun.split.as_ref().is_some_and(|split| split.is_chosen);
        let reason = if is_chosen { Why::Asked } else { Why::Size }.reason();
        let listed = self.begin_work(EventKind::Split, tablet, None, reason, Input::default());
        let written = block_on(self.write_children(&tablet.name(), Some(&begun)));
        if matches!(written, Err(TabletError::OutcomeUnknown(_))) {
            tablet.edits_stopped.store(true, Ordering::Release);
        }
        match written? {
            Rows::Children(left, right) => {
                self.failpoint("split.before_switch")?;
                if let Some(pause) = self.switch(tablet, left, right) {
                    self.splits.count(pause);
                }
                for child in tablet.successors() {
                    child.note(self.event(EventKind::Split, reason, listed.began(), 0));
                    self.write_events(child);
                }
                Ok(is_ours)
            }
            Rows::Dropped => {
                self.forget(tablet)?;
                Err(TabletError::NotServing { table: tablet.table })
            }
        }
    }

    /// Finishes, in METADATA alone, the split that a start or load has found.
    pub(super) async fn roll_forward(&self, name: &TabletName) -> Result<(), TabletError> {
        self.write_children(name, None).await.map(drop)
    }

    /// Rolls a split forward: the left child's row, then the right one's. A second time it does what the
    /// first has left; `begun` is the row with the intent, where it is known.
    async fn write_children(
        &self,
        name: &TabletName,
        begun: Option<&TabletRow>,
    ) -> Result<Rows, TabletError> {
        let Some(stored) = self.read_stored(name)? else { return Ok(Rows::Dropped) };
        let parent = codec::tablet_row(&stored)?;
        let Some((left, right)) = split::children(&parent) else {
            // The last step may have been made before.
            let known = begun.and_then(split::children).filter(|(_, right)| *right == parent);
            if let Some((left, right)) = known {
                return Ok(Rows::Children(left, right));
            }
            let text = format!("tablet {name:?} has no split to finish");
            return Err(TabletError::Internal(text));
        };
        self.failpoint("split.before_left")?;
        let request = ModifyRequest {
            request: RequestId::default(),
            programs: Arc::new(split::put_left(&parent, &left, stored.version)?),
            atomicity: Atomicity::AllOrNone,
        };
        for result in self.modify_unthrottled(&request).await?.results {
            match result {
                // Unmatched: it was put before.
                Ok(RowOutcome::Applied { .. } | RowOutcome::Unmatched) => {}
                // Only a drop of the table edits a row that is being split.
                Err(RowError::VersionChanged { .. }) => return Ok(Rows::Dropped),
                Err(error) => return Err(error.into()),
            }
        }
        self.failpoint("split.before_right")?;
        match self.write_row(&split::become_right(&parent, &right)?).await? {
            true => Ok(Rows::Children(left, right)),
            false => Ok(Rows::Dropped),
        }
    }

    /// Puts the children in the parent's place. How long commits were stopped; `None` where the parent was dropped.
    fn switch(&self, parent: &Tablet, left: TabletRow, right: TabletRow) -> Option<Duration> {
        let pause = {
            let _no_commits = self.line(parent.table).stop_commits();
            let began = self.env.clock.monotonic();
            if !parent.is_serving() {
                // Dropped since: METADATA's rows are gone, or will be.
                return None;
            }
            self.files.references.replace(&[&parent.row()], &[&left, &right]);
            let version = parent.version();
            let children =
                [left, right].map(|row| Arc::new(child(row, &version, self.env.clock.monotonic())));
            // Both children will flush them.
            unflushed(&version).for_each(|memtable| memtable.share());
            self.tablets.replace(&[parent], &children);
            parent.retire(children.to_vec());
            self.env.clock.monotonic().saturating_sub(began)
        };
        self.count_runs();
        self.background.wake(Job::Flush);
        self.background.wake(Job::Compact);
        Some(pause)
    }
}

/// Waits until the tablet's files are left alone. A merge may take long, and flushes are not held up
/// meanwhile.
fn quiesce(tablet: &Tablet) -> Quiesced<'_> {
    loop {
        drop(tablet.merges.lock());
        let flushes = tablet.flushes.lock();
        if let Some(merges) = tablet.merges.try_lock() {
            let edits = tablet.edits.lock();
            return Quiesced { _flushes: flushes, _merges: merges, _edits: edits };
        }
    }
}

fn unflushed(version: &Version) -> impl Iterator<Item = &Arc<Memtable>> {
    let all = version.groups().iter().flat_map(|group| &group.sources.memtables);
    all.filter(|memtable| !memtable.is_empty())
}

/// A child of a tablet that is at `version`: the parent's memtables frozen behind an empty one, its files
/// clipped. METADATA's row was clipped by the same rule.
pub(super) fn child(row: TabletRow, version: &Version, now: Duration) -> Tablet {
    let range = KeyRange { start: row.start.clone().into(), end: row.end.clone().map(Into::into) };
    let groups = version.groups().iter().map(|group| {
        let runs = group.sources.runs.iter().filter_map(|run| clipped(run, &range));
        let mut child = GroupVersion::new(group.id, Arc::default(), runs.collect());
        let frozen = group.sources.memtables.iter().filter(|memtable| !memtable.is_empty());
        child.sources.memtables.extend(frozen.cloned());
        child
    });
    let version = Version::new(version.gc_floor, groups.collect());
    let child = Tablet::new(row, version, now);
    child.set_frozen_for("split");
    child
}

/// A run's files within a range; `None` if none has keys there.
fn clipped(run: &Run, range: &KeyRange) -> Option<Arc<Run>> {
    let files = run
        .files()
        .iter()
        .map(|file| RunFile { table: file.table.clone(), bounds: file.bounds.intersect(range) });
    let files: Vec<RunFile> = files.filter(|file| !file.bounds.is_empty()).collect();
    (!files.is_empty()).then(|| Arc::new(Run::new(files)))
}
